//! kill -9 of a backup: the next run goes on, sends little twice, loses no snapshot and forks none.

use std::fs;
use std::path::Path;

use node::fault_point::VARIABLE;

use super::evidence::{Numbers, wait_until};
use super::harness::{Plan, Said, State, assert_same};

const SITES: usize = 5;

fn state_of(databases: Vec<&'static str>) -> State {
    State::running(Plan { site_count: SITES, databases, ..Plan::default() })
}

fn write_register(state: &State, name: &str, bytes: usize, seed: u64) {
    fs::create_dir_all(state.path(name)).unwrap();
    fs::write(state.path(name).join("register.bin"), Numbers::new(seed).bytes(bytes)).unwrap();
}

#[track_caller]
fn assert_everywhere(report: &serde_json::Value) {
    assert_eq!(report["shard_sites"].as_array().unwrap().len(), SITES, "{report}");
    assert_eq!(report["share_sites"].as_array().unwrap().len(), SITES, "{report}");
}

/// Every snapshot from 1 to `count`, each one held in full by every site.
#[track_caller]
fn assert_history(state: &State, count: u64) {
    let listed = state.run(&["snapshots", "land-register", "--dir", "home"]).succeeded().json;
    let snapshots = listed["snapshots"].as_array().unwrap();
    let sequences: Vec<u64> = snapshots.iter().map(|snapshot| snapshot["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, (1..=count).rev().collect::<Vec<_>>(), "{listed}");
    for snapshot in snapshots {
        assert_eq!(snapshot["durable"], true, "{snapshot}");
        assert_eq!(snapshot["missing"].as_array().unwrap().len(), 0, "{snapshot}");
    }
}

#[track_caller]
fn assert_restores(state: &State, sequence: u64, source: &Path) {
    let (order, target) = (format!("order-{sequence}.txt"), format!("restored-{sequence}"));
    state.order_for("land-register", sequence, &order);
    let report = state.restore(&order, &target).succeeded().json;
    assert_eq!(report["sequence"], sequence);
    assert_same(source, &state.path(&target));
}

#[test]
fn a_killed_backup_goes_on_where_it_stopped() {
    let state = state_of(vec!["clean-copy", "land-register"]);
    write_register(&state, "source", 60 << 20, 21);
    let clean = state.backup("clean-copy", "dir:source").succeeded().json["sent_bytes"].as_u64().unwrap();
    let others = state.shard_file_bytes();
    assert!(clean > 90 << 20, "{clean}");

    let mut stored = 0;
    for (run, part) in [(1, 3), (2, 6)] {
        let mut backup = state.backing_up("land-register", "dir:source", &[]);
        wait_until("a part of the backup is stored", || {
            backup.has_ended() || state.shard_file_bytes() - others > clean / 10 * part
        });
        assert!(backup.kill(), "run {run} ended before it was killed");
        let now_stored = state.shard_file_bytes() - others;
        println!("killed after {now_stored} of {clean} bytes");
        assert!(now_stored > stored && now_stored < clean / 10 * (part + 3), "{now_stored} of {clean}");
        stored = now_stored;
    }
    let said = state.backup("land-register", "dir:source").succeeded().json;
    let sent = said["sent_bytes"].as_u64().unwrap();
    println!("three runs: {} bytes, one clean run: {clean} bytes", stored + sent);
    assert!(stored + sent <= clean + clean / 10, "{stored} before the kills and {sent} after: clean is {clean}");
    assert!(sent < clean / 10 * 6, "{sent} of {clean}");
    assert_everywhere(&said);
    assert_eq!(said["sequence"], 1);
    state.assert_all_shards_verify("land-register");
    assert_restores(&state, 1, &state.path("source"));
}

fn dies_at(state: &State, point: &str, source: &str) {
    let said = state.backing_up("land-register", source, &[(VARIABLE, point)]).wait();
    assert_eq!(said.code, -1, "it was to die at {point}: {said:?}");
}

fn again(state: &State, source: &str) -> Said {
    state.backup("land-register", source).succeeded()
}

#[test]
fn a_publication_that_was_interrupted_is_delivered_and_nothing_is_forked() {
    let state = state_of(vec!["land-register"]);
    for number in 1..=5_u64 {
        write_register(&state, &format!("source-{number}"), 3 << 20, number);
    }
    // Killed between sealing and the first word to a site: the snapshot is in the outbox and goes out first.
    dies_at(&state, "outbox", "dir:source-1");
    let listed = state.run(&["snapshots", "land-register", "--dir", "home"]).succeeded().json;
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 0, "{listed}");
    let said = again(&state, "dir:source-2").json;
    assert_eq!(said["sequence"], 2, "{said}");
    assert_everywhere(&said);
    assert_history(&state, 2);

    // Killed when one site has its share and the others may have nothing: the very same shares go out again.
    dies_at(&state, "first-receipt", "dir:source-3");
    let said = again(&state, "dir:source-3").json;
    assert_eq!(said["sequence"], 4, "{said}");
    assert_eq!(said["new_plaintext_bytes"], 0, "{said}");
    assert_everywhere(&said);
    assert_history(&state, 4);

    // Killed when all is published and only home's index does not know: nothing is sent again.
    dies_at(&state, "published", "dir:source-4");
    let said = again(&state, "dir:source-4").json;
    assert_eq!(said["sequence"], 6, "{said}");
    assert_eq!(said["sent_bytes"], 0, "{said}");

    // Killed before the snapshot is in the outbox: it never was, but its shards are not sent again.
    dies_at(&state, "seal", "dir:source-5");
    let said = again(&state, "dir:source-5").json;
    assert_eq!(said["sequence"], 7, "{said}");
    assert_eq!(said["sent_bytes"], 0, "{said}");
    assert_history(&state, 7);
    state.assert_all_shards_verify("land-register");
    for (sequence, source) in [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (6, 4), (7, 5)] {
        assert_restores(&state, sequence, &state.path(&format!("source-{source}")));
    }
}

#[test]
fn a_site_that_was_away_during_an_interrupted_publication_gets_its_share() {
    let mut state = state_of(vec!["land-register"]);
    write_register(&state, "source", 3 << 20, 31);
    state.kill(4);
    dies_at(&state, "first-receipt", "dir:source");
    state.start(4);
    let said = again(&state, "dir:source").json;
    assert_eq!(said["sequence"], 2, "{said}");
    assert_history(&state, 2);
    // The custodian that was away is one of the three that restore the first snapshot.
    for index in [0, 1] {
        state.kill(index);
    }
    assert_restores(&state, 1, &state.path("source"));
}

#[test]
fn a_killed_capture_leaves_no_readable_copy_for_long() {
    let state = state_of(vec!["land-register"]);
    let register = rusqlite::Connection::open(state.path("land.db")).unwrap();
    register.execute_batch("CREATE TABLE parcels (owner TEXT); INSERT INTO parcels VALUES ('Kaarel Tamm')").unwrap();
    drop(register);
    dies_at(&state, "scratch-copy", "sqlite:land.db");
    let owner = [("owner".to_owned(), b"Kaarel Tamm".to_vec())];
    let left = super::evidence::search_files(&state.path("home"), &owner);
    assert_eq!(left.len(), 1, "the fault point comes while the copy has its name: {left:?}");
    again(&state, "sqlite:land.db");
    let left = super::evidence::search_files(&state.path("home"), &owner);
    assert!(left.is_empty(), "readable at home: {left:?}");
}
