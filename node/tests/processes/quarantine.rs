//! Ransomware, a dropped table and a year-end batch: the first two are put in quarantine, and what was good stays what is
//! restored.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::harness::{Plan, Said, State, assert_same, write_files};
use super::postgres::Cluster;

const LAND: &str = "land-register";

fn state() -> State {
    State::running(Plan { site_count: 5, ..Plan::default() })
}

fn sql(path: &Path, text: &str) {
    let database = rusqlite::Connection::open(path).unwrap();
    database.execute_batch(text).unwrap();
}

/// A register of some MiB of text.
fn found_register(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    sql(
        path,
        "CREATE TABLE parcel (id INTEGER PRIMARY KEY, owner TEXT, value INTEGER, boundary TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
         INSERT INTO parcel SELECT i, 'owner number ' || i % 9000, i * 37 % 100000,
           'from the oak at ' || i || ' along the stream to the stone at ' || i * 3 FROM n;
         CREATE TABLE entry AS SELECT id, owner, 'sold to owner number ' || value AS what FROM parcel",
    );
}

/// What a small ransomware does to a file: every block is another one afterwards, in its place.
fn encrypt(path: &Path) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut bytes = fs::read(path).unwrap();
    let mut key = vec![0; bytes.len()];
    blake3::Hasher::new_derive_key("ransomware of the tests").finalize_xof().fill(&mut key);
    bytes.iter_mut().zip(&key).for_each(|(byte, key)| *byte ^= key);
    file.write_all_at(&bytes, 0).unwrap();
}

#[track_caller]
fn suspicions(said: &Said) -> Vec<String> {
    let findings = said.json["report"]["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["suspicion"].as_str().unwrap().to_owned()).collect()
}

fn quarantine(state: &State, site: &str) -> serde_json::Value {
    state.run(&["status", "--dir", site]).json["databases"][0]["quarantine"].clone()
}

#[test]
fn ransomware_at_home_displaces_nothing() {
    let mut state = state();
    let (source, land) = (state.path("source"), state.path("source/land.db"));
    found_register(&land);
    state.backup(LAND, "dir:source").succeeded();
    sql(&land, "UPDATE parcel SET owner = 'Kask' WHERE id % 50 = 0");
    state.backup(LAND, "dir:source").succeeded();
    let good = state.path("good");
    fs::create_dir(&good).unwrap();
    fs::copy(&land, good.join("land.db")).unwrap();

    encrypt(&land);
    for sequence in 3..=4 {
        let said = state.backup(LAND, "dir:source");
        let message = said.refused_with(11);
        assert!(message.contains(&format!("snapshot {sequence} of land-register is stored and durable")), "{message}");
        assert!(message.contains("--expect-change") && message.contains("bits of entropy"), "{message}");
        assert_eq!(suspicions(&said), ["entropy", "compressibility", "page-structure"], "{message}");
    }
    // Every site knows, whoever asks, and says what to do.
    for site in ["lu-vault", "ca-cloud"] {
        assert_eq!(quarantine(&state, site)["newest_accepted"], 2);
        let text = state.run(&["doctor", "--dir", site]).refused_with(11);
        assert!(text.contains("snapshot 4 looks as if the register was damaged"), "{text}");
    }
    let listed = state.run(&["snapshots", LAND, "--dir", "home"]).succeeded().json;
    let reasons: Vec<usize> = listed["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["quarantine"].as_array().unwrap().len())
        .collect();
    assert_eq!(reasons, [3, 3, 0, 0], "{listed}");

    // The latest is the last good one; what was made of it can be looked at by its number.
    state.order(LAND, "order.txt", &[1, 2, 3]);
    let report = state.restore("order.txt", "restored").succeeded().json;
    assert_eq!((&report["sequence"], report["passed_over"].as_object().unwrap().len()), (&2.into(), 2), "{report}");
    assert_same(&good, &state.path("restored"));
    state.order_with(LAND, "look.txt", &[1, 2, 3], &["--sequence", "3"]);
    state.restore("look.txt", "evidence").succeeded();
    assert_same(&source, &state.path("evidence"));

    // The officials may accept it all the same.
    state.plan.retention = "quarantine = { accepted = [{ first = 3, last = 4, reason = 'sealed on purpose' }] }";
    state.amend_charter(2);
    assert_eq!(quarantine(&state, "lu-vault")["count"], 0);
    state.order(LAND, "later.txt", &[1, 2, 3]);
    let report = state.restore("later.txt", "accepted").succeeded().json;
    assert_eq!(report["sequence"], 4);
    assert_same(&source, &state.path("accepted"));
    // And from then on it is what the next ones are held against.
    state.backup(LAND, "dir:source").succeeded();
}

#[test]
fn a_dropped_table_is_seen_and_a_batch_that_rewrites_everything_is_not() {
    let state = state();
    let land = state.path("source/land.db");
    found_register(&land);
    state.backup(LAND, "sqlite:source/land.db").succeeded();
    sql(&land, "UPDATE parcel SET value = value * 103 / 100");
    state.backup(LAND, "sqlite:source/land.db").succeeded();
    sql(&land, "DROP TABLE entry");
    let said = state.backup(LAND, "sqlite:source/land.db");
    said.refused_with(11);
    assert_eq!(suspicions(&said), ["size", "page-structure"]);
    // It was meant: said beforehand, it is no alarm, and it is shown.
    let purge = ["--from", "sqlite:source/land.db", "--dir", "home", "--charter", "charter.txt", "--expect-change"];
    let report = state.run(&[&["backup", LAND], purge.as_slice()].concat()).succeeded().json;
    assert_eq!((report["quarantine"].as_array().unwrap().len(), report["findings"].as_array().unwrap().len()), (0, 2));
    state.backup(LAND, "sqlite:source/land.db").succeeded();
    assert_eq!(quarantine(&state, "fi-centre")["newest_accepted"], 5);
}

/// Attack: a thief has the writer's key and another program; what he publishes says nothing of suspicion.
#[test]
fn sites_see_sizes_whatever_home_says() {
    let mut state = State::found(Plan {
        site_count: 5,
        retention: "quarantine = { shrunk_percent = 50, grown_percent = 400 }",
        ..Plan::default()
    });
    (0..5).for_each(|index| state.start(index));
    // Scanned documents, which do not compress.
    write_files(&state.path("source"), 4, 600_000, 1);
    state.backup(LAND, "dir:source").succeeded();
    fs::remove_dir_all(state.path("source")).unwrap();
    fs::create_dir(state.path("source")).unwrap();
    fs::write(state.path("source/README"), "your files are gone").unwrap();
    let said = state.run(&[
        "backup",
        LAND,
        "--from",
        "dir:source",
        "--dir",
        "home",
        "--charter",
        "charter.txt",
        "--expect-change",
    ]);
    let message = said.refused_with(11);
    assert!(message.contains("beyond the charter's bounds"), "{message}");
    assert_eq!(quarantine(&state, "fi-centre")["newest_accepted"], 1);
}

/// The files of a real cluster, page by page.
#[test]
fn a_cluster_of_postgresql_is_watched_page_by_page() {
    let (state, cluster) = (state(), Cluster::new());
    let source = format!("dir:{}", cluster.path().join("data").display());
    let run = |text: &str| {
        cluster.sql("land", text);
        cluster.sql("land", "checkpoint");
    };
    run("create table entry as select n, 'sold by owner ' || n % 7777 || ' to owner ' || n % 9999 as what \
         from generate_series(1, 400000) n");
    run("create table parcel as select n, 'EE-' || n as cadastre, n * 3 as value from generate_series(1, 200000) n");
    state.backup(LAND, &source).succeeded();
    run("update parcel set value = value + 1 where n % 100 = 0");
    state.backup(LAND, &source).succeeded();
    // A year-end batch, and what an administrator does afterwards.
    run("update parcel set value = value * 2");
    state.backup(LAND, &source).succeeded();
    run("create index on entry (n)");
    state.backup(LAND, &source).succeeded();
    run("drop table entry");
    let said = state.backup(LAND, &source);
    said.refused_with(11);
    assert!(suspicions(&said).contains(&"page-structure".to_owned()), "{:?}", said.json);
}
