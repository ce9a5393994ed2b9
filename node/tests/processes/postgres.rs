//! A real PostgreSQL register goes out by `pg_dump` and comes back into a fresh cluster by `pg_restore`.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::harness::{Plan, Said, State};

/// Three tables, as a small land register has them.
const SCHEMA: &str = "
create table parcels (id integer primary key, cadastre text not null unique, area_m2 numeric(12, 2), bounds bytea);
create table owners (id integer primary key, name text not null, born date, personal_code text);
create table titles (parcel integer references parcels, owner integer references owners, share real, since timestamptz,
                     primary key (parcel, owner));
insert into parcels select n, 'EE-' || lpad(n::text, 8, '0'), n * 1.25, sha256(n::text::bytea) from generate_series(1, 30000) n;
insert into owners select n, 'Owner ' || md5(n::text), date '1930-01-01' + n % 25000, md5('code' || n) from generate_series(1, 20000) n;
insert into titles select n, 1 + n * 7 % 20000, 1.0 / (1 + n % 4), timestamptz '1991-08-20 23:03+03' + n * interval '1 hour'
  from generate_series(1, 30000) n;
create index on titles (since);
";
const TABLES: [&str; 3] = ["parcels", "owners", "titles"];

/// A cluster in a folder of its own, on a socket in that folder; it ends with the value.
pub(crate) struct Cluster {
    dir: tempfile::TempDir,
    server: Child,
}

fn binaries() -> PathBuf {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = installed.map(|version| version.path().join("bin")).collect();
    let config = Command::new("pg_config").arg("--bindir").output();
    found.extend(config.ok().map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())));
    found.retain(|dir| dir.join("initdb").exists());
    found.sort();
    found.pop().expect("PostgreSQL is not installed: scripts/test installs it (apt-get install postgresql)")
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A program of PostgreSQL, which refuses to be root.
fn program(name: &str) -> Command {
    let path = binaries().join(name);
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(path);
    command
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("legation-pg-").tempdir().unwrap();
        if is_root() {
            assert!(Command::new("chown").arg("postgres").arg(dir.path()).status().unwrap().success());
        }
        let data = dir.path().join("data");
        let made = program("initdb")
            .current_dir("/")
            .args(["-A", "trust", "-U", "postgres", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let mut server = program("postgres");
        server.current_dir("/").arg("-D").arg(&data).arg("-k").arg(dir.path()).args([
            "-c",
            "listen_addresses=",
            "-c",
            "fsync=off",
        ]);
        let server = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let cluster = Self { dir, server };
        super::harness::wait_until("PostgreSQL answers", 30, || {
            cluster.client("psql", "postgres").args(["-qc", "select 1"]).output().unwrap().status.success()
        });
        cluster.sql("postgres", "create database land");
        cluster
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    fn client(&self, name: &str, database: &str) -> Command {
        let mut command = program(name);
        command.current_dir("/").args(["-U", "postgres", "-h"]).arg(self.path()).args(["-d", database]);
        command
    }

    #[track_caller]
    pub(crate) fn sql(&self, database: &str, text: &str) -> Vec<u8> {
        let output = self.client("psql", database).args(["-v", "ON_ERROR_STOP=1", "-qXAtc", text]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Rows and digest of each table, in a fixed order.
    fn digests(&self) -> Vec<(usize, blake3::Hash)> {
        let copy = |table: &&str| {
            let rows = self.sql("land", &format!("copy (select * from {table} order by 1, 2) to stdout"));
            (rows.iter().filter(|byte| **byte == b'\n').count(), blake3::hash(&rows))
        };
        TABLES.iter().map(copy).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let stopped = program("pg_ctl")
            .current_dir("/")
            .args(["stop", "-s", "-m", "immediate", "-D"])
            .arg(self.path().join("data"))
            .status();
        if stopped.is_ok() {
            let _ended = self.server.wait();
        }
    }
}

#[test]
fn a_register_comes_back_into_a_fresh_cluster() {
    let old = Cluster::new();
    old.sql("land", SCHEMA);
    let expected = old.digests();
    assert_eq!(expected.iter().map(|(rows, _)| *rows).collect::<Vec<_>>(), [30_000, 20_000, 30_000]);

    let mut state = State::running(Plan { site_count: 5, ..Plan::default() });
    let mut dump = old.client("pg_dump", "land").arg("-Fc").stdout(Stdio::piped()).spawn().unwrap();
    let backup = ["backup", "land-register", "--from", "-", "--dir", "home", "--charter", "charter.txt"];
    let output = state.command(&backup).stdin(dump.stdout.take().unwrap()).output().unwrap();
    assert!(dump.wait().unwrap().success());
    assert_eq!(Said::of(output).succeeded().json["durable"], true);
    state.order("land-register", "order.txt", &[1, 2, 3]);
    drop(old);
    (0..2).for_each(|index| state.kill(index));

    let new = Cluster::new();
    let restore = ["restore", "--order", "order.txt", "--key", "exile.key", "--charter", "charter.txt", "--to", "-"];
    let mut restored = state.command(&restore).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut load = new.client("pg_restore", "land");
    let load = load.arg("--exit-on-error").stdin(restored.stdout.take().unwrap()).output().unwrap();
    assert!(load.status.success(), "{}", String::from_utf8_lossy(&load.stderr));
    let report = restored.wait_with_output().unwrap();
    assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stderr));
    assert_eq!(new.digests(), expected);
}
