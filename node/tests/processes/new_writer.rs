//! A home is replaced by charter while a site is away.

use super::harness::{Plan, State, assert_same, wait_until, write_files};

const LAND: &str = "land-register";

/// Sites that gave a receipt for their share.
fn receipts(report: &serde_json::Value) -> usize {
    report["share_sites"].as_array().unwrap().len()
}

#[test]
fn a_site_that_was_away_while_the_writer_was_replaced_comes_back() {
    let mut state = State::running(Plan::default());
    for seed in 1..=4 {
        write_files(&state.path(&format!("source-{seed}")), 3, 100_000, seed);
    }
    assert_eq!(receipts(&state.backup(LAND, "dir:source-1").succeeded().json), 7);

    // One site misses a snapshot of the old home, the charter, and the first snapshot of the new home.
    state.kill(6);
    assert_eq!(receipts(&state.backup(LAND, "dir:source-2").succeeded().json), 6);
    state.run(&["home", "init", "--dir", "new-home", "--name", "Land Board in exile"]).succeeded();
    state.plan.homes = vec!["new-home"];
    std::fs::write(state.path("second.toml"), state.charter_plan(&[])).unwrap();
    let draft = ["charter", "draft", "--plan", "second.toml", "--previous", "charter.txt", "--out", "second.txt"];
    state.run(&draft).succeeded();
    state.sign("charter", "second.txt", &[1, 2, 3]);
    state.run(&["charter", "publish", "--dir", "home", "--charter", "second.txt"]).succeeded();
    for index in 0..6 {
        wait_until("the new charter holds", 15, || state.log_of(index).contains("charter version 2 holds"));
    }
    let error = state.backup(LAND, "dir:source-3").refused_with(3);
    assert!(error.contains("writer"), "{error}");
    let back_up = |state: &State, source: &str| {
        let arguments = ["backup", LAND, "--from", source, "--dir", "new-home", "--charter", "second.txt"];
        state.run(&arguments).succeeded().json
    };
    let report = back_up(&state, "dir:source-3");
    assert_eq!((report["sequence"].as_u64(), receipts(&report)), (Some(3), 6), "{report}");

    // It asks the others, and gives its receipt at the next backup.
    state.start(6);
    wait_until("the new charter holds", 15, || state.log_of(6).contains("charter version 2 holds"));
    let report = back_up(&state, "dir:source-4");
    assert_eq!((report["sequence"].as_u64(), receipts(&report)), (Some(4), 7), "{report}");
    assert_eq!(report["shard_sites"].as_array().unwrap().len(), 7, "{report}");

    // And again after a restart: what it took is what it replays.
    state.kill(6);
    state.start(6);
    (0..2).for_each(|index| state.kill(index));
    state.order(LAND, "order.txt", &[1, 2, 3]);
    state.restore("order.txt", "restored").succeeded();
    assert_same(&state.path("source-4"), &state.path("restored"));
}
