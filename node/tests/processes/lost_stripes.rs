//! Stripes that too many sites have lost: home still has the plaintext, so the next snapshot stores it anew.

use std::fs;

use super::harness::{Plan, State, assert_same, write_files};

const LAND: &str = "land-register";
const SITES: usize = 5;

/// All at once: one after the other they would be mended by the sites that still have theirs.
fn lose_shards(state: &mut State, sites: std::ops::Range<usize>) {
    sites.clone().for_each(|index| state.kill(index));
    for index in sites.clone() {
        fs::remove_dir_all(state.sites[index].dir.join("store")).unwrap();
    }
    sites.for_each(|index| state.start(index));
}

#[test]
fn what_too_many_sites_have_lost_is_stored_anew() {
    let mut state = State::running(Plan { site_count: SITES, ..Plan::default() });
    write_files(&state.path("source"), 6, 400_000, 1);
    let first = state.backup(LAND, "dir:source").succeeded().json["sent_bytes"].as_u64().unwrap();

    // Three of five are away and three are needed: nothing is lost, and nothing is sent again.
    (0..3).for_each(|index| state.kill(index));
    let said = state.backup(LAND, "dir:source");
    said.refused_with(4);
    assert_eq!(said.json["report"]["sent_bytes"], 0, "{}", said.json);
    assert_eq!(said.json["report"]["notes"].as_array().unwrap().len(), 0, "{}", said.json);
    (0..3).for_each(|index| state.start(index));

    // Two have lost theirs: it is remade from the others.
    lose_shards(&mut state, 0..2);
    let report = state.backup(LAND, "dir:source").succeeded().json;
    assert_eq!((&report["sent_bytes"], report["notes"].as_array().unwrap().len()), (&0.into(), 0), "{report}");
    state.assert_all_shards_verify(LAND);

    // Three have lost theirs: no site can remake anything.
    lose_shards(&mut state, 0..3);
    state.run(&["verify", LAND, "--dir", "home"]).refused_with(6);
    let report = state.backup(LAND, "dir:source").succeeded().json;
    // Nearly: which chunks share a stripe, and so how much padding there is, depends on which worker is first.
    let sent = report["sent_bytes"].as_u64().unwrap();
    assert!(sent.abs_diff(first) < first / 100, "{first} {report}");
    let note = report["notes"][0].as_str().unwrap();
    assert!(note.contains("stripes of earlier snapshots are lost") && note.contains("3 of 5"), "{note}");
    assert_eq!(report["shard_sites"].as_array().unwrap().len(), SITES, "{report}");
    state.assert_all_shards_verify(LAND);
    (3..5).for_each(|index| state.kill(index));
    state.order(LAND, "order.txt", &[1, 2, 3]);
    state.restore("order.txt", "restored").succeeded();
    assert_same(&state.path("source"), &state.path("restored"));
}

#[test]
fn a_stripe_that_only_a_liar_completes_is_stored_anew() {
    let mut state = State::found(Plan { site_count: 4, data_shards: 2, threshold: 2, ..Plan::default() });
    // Two of four sites take the first snapshot, and one of them serves wrong bytes: nobody can make the others' shards.
    state.start(0);
    state.start_with(1, &[], &[("LEGATION_TEST_LIE", "flip-bits")]);
    write_files(&state.path("source"), 3, 200_000, 1);
    state.backup("land-register", "dir:source").refused_with(4);
    state.start(2);
    state.start(3);
    // The liar says that it holds its shards. Home, which has the plaintext, does not wait for it for ever.
    let report = state.backup("land-register", "dir:source").succeeded().json;
    assert_eq!(report["shard_sites"].as_array().unwrap().len(), 4, "{report}");
    state.kill(1);
    state.order("land-register", "order.txt", &[1, 2, 3]);
    state.restore("order.txt", "restored").succeeded();
    assert_same(&state.path("source"), &state.path("restored"));
}
