//! A state on this machine: officials, a home, and sites that are processes of their own.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;

/// The binary under test, built with the feature `test-hooks`.
pub(crate) const LEGATION: &str = env!("CARGO_BIN_EXE_legation");

/// Names, kinds and jurisdictions of the sites, home first.
const SITES: [(&str, &str, &str); 7] = [
    ("ee-home", "home", "EE"),
    ("lu-vault", "data-centre", "LU"),
    ("fr-embassy", "embassy", "FR"),
    ("fi-centre", "data-centre", "FI"),
    ("ca-cloud", "cloud", "CA"),
    ("jp-embassy", "embassy", "JP"),
    ("pt-centre", "data-centre", "PT"),
];

/// How a state is founded.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) site_count: usize,
    /// Of these, how many the founding charter names; all of them if absent.
    pub(crate) members: Option<usize>,
    pub(crate) data_shards: usize,
    pub(crate) threshold: usize,
    pub(crate) databases: Vec<&'static str>,
    /// The home that writes each database; begun again from the first when they run out.
    pub(crate) homes: Vec<&'static str>,
    pub(crate) stripe_mib: u32,
    /// Where shards lie; at all active sites if empty.
    pub(crate) placement: Vec<&'static str>,
    /// Who holds shares; all active sites if empty.
    pub(crate) custodians: Vec<&'static str>,
    /// What the plan says of retention, if anything.
    pub(crate) retention: &'static str,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            site_count: 7,
            members: None,
            data_shards: 3,
            threshold: 3,
            databases: vec!["land-register"],
            homes: vec!["home"],
            stripe_mib: 1,
            placement: Vec::new(),
            custodians: Vec::new(),
            retention: "",
        }
    }
}

/// A site of the state.
pub(crate) struct Site {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) port: u16,
    child: Option<Child>,
}

/// What a finished command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) json: Value,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Said {
    pub(crate) fn of(output: Output) -> Self {
        let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { code: output.status.code().unwrap_or(-1), json, stdout: output.stdout, stderr }
    }

    /// The error text of a command that was to fail with `code`.
    #[track_caller]
    pub(crate) fn refused_with(&self, code: i32) -> String {
        assert_eq!(self.code, code, "stdout {} stderr {}", String::from_utf8_lossy(&self.stdout), self.stderr);
        let from_json = self.json.get("error").and_then(Value::as_str).map(ToOwned::to_owned);
        from_json.unwrap_or_else(|| self.stderr.clone())
    }

    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "stdout {} stderr {}", String::from_utf8_lossy(&self.stdout), self.stderr);
        self
    }
}

/// A founded state; every process it started dies with it.
pub(crate) struct State {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) sites: Vec<Site>,
    pub(crate) plan: Plan,
}

impl State {
    /// Founds a state; no site runs yet.
    pub(crate) fn found(plan: Plan) -> Self {
        let dir = tempfile::Builder::new().prefix("legation-test-").tempdir().unwrap();
        let passphrase = dir.path().join("passphrase");
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&passphrase).unwrap();
        file.write_all(b"a passphrase of the tests\n").unwrap();
        let sites = SITES.iter().take(plan.site_count).map(|(name, _, _)| Site {
            name: (*name).to_owned(),
            dir: dir.path().join(name),
            port: free_port(),
            child: None,
        });
        let state = Self { sites: sites.collect(), plan, dir };
        for number in 1..=5 {
            state
                .run(&[
                    "official",
                    "new",
                    "--name",
                    &format!("Official {number}"),
                    "--out",
                    &format!("official-{number}"),
                ])
                .succeeded();
        }
        for (site, (name, kind, jurisdiction)) in state.sites.iter().zip(SITES) {
            let address = format!("/ip4/127.0.0.1/tcp/{}", site.port);
            state
                .run(&[
                    "site",
                    "init",
                    "--dir",
                    name,
                    "--name",
                    name,
                    "--kind",
                    kind,
                    "--jurisdiction",
                    jurisdiction,
                    "--address",
                    &address,
                ])
                .succeeded();
        }
        let homes: std::collections::BTreeSet<&str> = state.plan.homes.iter().copied().collect();
        for home in homes {
            state.run(&["home", "init", "--dir", home, "--name", "Land Board"]).succeeded();
        }
        fs::write(state.path("charter.toml"), state.charter_plan(&[])).unwrap();
        state.run(&["charter", "draft", "--plan", "charter.toml", "--out", "charter.txt"]).succeeded();
        state.sign("charter", "charter.txt", &[1, 2, 3]);
        state
    }

    /// Founds a state and starts all its sites.
    pub(crate) fn running(plan: Plan) -> Self {
        let mut state = Self::found(plan);
        for index in 0..state.sites.len() {
            state.start(index);
        }
        state
    }

    /// The plan of the charter; the sites of `expelled` are marked so and hold nothing.
    pub(crate) fn charter_plan(&self, expelled: &[&str]) -> String {
        let entry = |site: &Site| {
            let file = format!("{}/join-request.txt", site.name);
            if expelled.contains(&site.name.as_str()) {
                format!("{{ join_request = \"{file}\", state = \"expelled\" }}")
            } else {
                format!("\"{file}\"")
            }
        };
        let members = self.plan.members.unwrap_or(self.sites.len());
        let sites: Vec<String> = self.sites.iter().take(members).map(entry).collect();
        let places = [("placement", &self.plan.placement), ("custodians", &self.plan.custodians)];
        let places = places.into_iter().filter(|(_what, names)| !names.is_empty());
        let places: String = places.map(|(what, names)| format!("{what} = {names:?}\n")).collect();
        let databases = self.plan.databases.iter().zip(self.plan.homes.iter().cycle()).map(|(name, home)| {
            format!(
                "[[databases]]\nname = \"{name}\"\ndata_shards = {}\nthreshold = {}\nwriters = [\"{home}/writer.card\"]\nstripe_mib = {}\n{places}{}\n",
                self.plan.data_shards, self.plan.threshold, self.plan.stripe_mib, self.plan.retention
            )
        });
        format!(
            "state = \"Republic of the Tests\"\nquorum = 3\nofficials = [{}]\nsites = [{}]\n{}",
            (1..=5).map(|number| format!("\"official-{number}.card\"")).collect::<Vec<_>>().join(", "),
            sites.join(", "),
            databases.collect::<String>()
        )
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command in the state's folder, with `--json` and the passphrase file.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(LEGATION);
        command.current_dir(self.dir.path()).arg("--json").args(arguments);
        command.env("LEGATION_PASSPHRASE_FILE", self.path("passphrase")).env_remove("RUST_LOG");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        Said::of(self.command(arguments).stdin(Stdio::null()).output().unwrap())
    }

    /// Lets officials sign a charter or an order in place.
    pub(crate) fn sign(&self, kind: &str, file: &str, officials: &[usize]) {
        for number in officials {
            self.run(&[kind, "sign", file, "--key", &format!("official-{number}.key")]).succeeded();
        }
    }

    /// Starts a site and waits until it serves.
    pub(crate) fn start(&mut self, index: usize) {
        self.start_with(index, &[], &[]);
    }

    /// Starts a site with more arguments and environment.
    pub(crate) fn start_with(&mut self, index: usize, arguments: &[&str], environment: &[(&str, &str)]) {
        let name = self.sites[index].name.clone();
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path(&format!("{name}.log"))).unwrap();
        let mut command = self.command(&["site", "run", "--dir", &name, "--charter", "charter.txt"]);
        command.args(arguments).envs(environment.iter().copied()).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
        let log = || fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default();
        assert_eq!(said["serving"], name.as_str(), "{line} {}", log());
        self.sites[index].child = Some(child);
    }

    /// kill -9.
    pub(crate) fn kill(&mut self, index: usize) {
        if let Some(mut child) = self.sites[index].child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The exit code of a site that has ended by itself.
    pub(crate) fn ended(&mut self, index: usize) -> Option<i32> {
        self.sites[index].child.as_mut()?.try_wait().unwrap()?.code()
    }

    /// The site's process.
    pub(crate) fn process_id(&self, index: usize) -> u32 {
        self.sites[index].child.as_ref().unwrap().id()
    }

    pub(crate) fn log_of(&self, index: usize) -> String {
        fs::read_to_string(self.path(&format!("{}.log", self.sites[index].name))).unwrap_or_default()
    }

    /// The next charter, from [`State::charter_plan`] as it is now, signed and held by all sites that run.
    pub(crate) fn amend_charter(&self, version: u64) {
        let (plan, out) = (format!("charter-{version}.toml"), format!("charter-{version}.txt"));
        fs::write(self.path(&plan), self.charter_plan(&[])).unwrap();
        let draft = ["charter", "draft", "--plan", &plan, "--previous", "charter.txt", "--out", &out];
        self.run(&draft).succeeded();
        self.sign("charter", &out, &[1, 2, 3]);
        self.run(&["charter", "publish", "--dir", "home", "--charter", &out]).succeeded();
        for (index, site) in self.sites.iter().enumerate().filter(|(_index, site)| site.child.is_some()) {
            let holds = format!("charter version {version} holds");
            wait_until(&format!("the new charter at {}", site.name), 15, || self.log_of(index).contains(&holds));
        }
    }

    pub(crate) fn backup(&self, database: &str, source: &str) -> Said {
        self.backup_at("home", database, source)
    }

    pub(crate) fn backup_at(&self, home: &str, database: &str, source: &str) -> Said {
        self.run(&["backup", database, "--from", source, "--dir", home, "--charter", "charter.txt"])
    }

    /// A release order for one database, signed by these officials; the recipient's key is `exile.key`.
    pub(crate) fn order(&self, database: &str, file: &str, officials: &[usize]) {
        self.order_with(database, file, officials, &[]);
    }

    /// As [`State::order`], with more arguments.
    pub(crate) fn order_with(&self, database: &str, file: &str, officials: &[usize], more: &[&str]) {
        let always = ["--charter", "charter.txt", "--recipient", "exile.key", "--reason", "the tests"];
        let draft = ["order", "draft", "--database", database, "--out", file];
        self.run(&[&draft, &always, more].concat()).succeeded();
        self.sign("order", file, officials);
    }

    pub(crate) fn restore(&self, order: &str, to: &str) -> Said {
        self.run(&["restore", "--order", order, "--key", "exile.key", "--charter", "charter.txt", "--to", to])
    }
}

impl Drop for State {
    fn drop(&mut self) {
        for index in 0..self.sites.len() {
            self.kill(index);
        }
        if std::thread::panicking() {
            for site in &self.sites {
                eprintln!(
                    "--- {}\n{}",
                    site.name,
                    fs::read_to_string(self.path(&format!("{}.log", site.name))).unwrap_or_default()
                );
            }
        }
    }
}

/// Waits for something that other processes bring about.
#[track_caller]
pub(crate) fn wait_until(what: &str, seconds: u64, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "not within {seconds} s: {what}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

/// A port that no other test takes: below those the kernel gives to outgoing connections, and each of the tests that
/// run at once has a range of its own.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let slot = std::env::var("NEXTEST_TEST_GLOBAL_SLOT").ok().and_then(|slot| slot.parse().ok());
    let range = slot.unwrap_or_else(std::process::id) % 80;
    let candidates = std::iter::repeat_with(|| NEXT.fetch_add(1, Ordering::Relaxed) % 250).take(250);
    let mut ports = candidates.map(|offset| 10_000 + u16::try_from(range).unwrap() * 250 + offset);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

/// A directory of files that do not compress, the same for the same seed.
pub(crate) fn write_files(dir: &Path, file_count: usize, file_bytes: usize, seed: u64) {
    fs::create_dir_all(dir.join("nested/deeper")).unwrap();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for number in 0..file_count {
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .take(file_bytes / 8 + 1)
        .flatten()
        .take(file_bytes)
        .collect();
        let place = if number % 3 == 0 { "nested/deeper" } else { "" };
        let path = dir.join(place).join(format!("file-{number}.bin"));
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    }
}

/// Asserts that two directories hold the same files, modes included.
#[track_caller]
pub(crate) fn assert_same(expected: &Path, actual: &Path) {
    let read = |root: &Path| {
        let mut found = std::collections::BTreeMap::new();
        for entry in
            walkdir::WalkDir::new(root).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file())
        {
            let mode = entry.metadata().unwrap().permissions().mode();
            let digest = blake3::hash(&fs::read(entry.path()).unwrap());
            found.insert(entry.path().strip_prefix(root).unwrap().to_owned(), (digest.to_string(), mode));
        }
        found
    };
    assert_eq!(read(expected), read(actual));
}
