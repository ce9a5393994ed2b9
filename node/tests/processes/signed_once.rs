//! A home signs a sequence number once, whatever the sites have forgotten.

use std::fs;

use super::harness::{Plan, State, assert_same, write_files};

const SITES: usize = 5;

/// All sites start again after `change` was made to their state files; all at once, or they would tell each other.
fn with_state_files(state: &mut State, change: impl Fn(&std::path::Path, &std::path::Path)) {
    (0..SITES).for_each(|index| state.kill(index));
    for site in &state.sites {
        change(&site.dir.join("state.redb"), &site.dir.join("state.aside"));
    }
    (0..SITES).for_each(|index| state.start(index));
}

#[test]
fn a_number_whose_snapshot_no_site_shows_any_more_is_not_used_again() {
    let mut state = State::running(Plan { site_count: SITES, ..Plan::default() });
    write_files(&state.path("source"), 3, 100_000, 1);
    state.backup("land-register", "dir:source").succeeded();
    with_state_files(&mut state, |file, aside| fs::rename(file, aside).unwrap());

    write_files(&state.path("source"), 3, 100_000, 2);
    let error = state.backup("land-register", "dir:source").refused_with(5);
    assert!(error.contains("this home signed snapshot 1 of land-register before"), "{error}");
    let listed = state.run(&["snapshots", "land-register", "--dir", "home"]).succeeded().json;
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 0, "nothing was published: {listed}");

    // The sites remember: the history goes on where it was.
    with_state_files(&mut state, |file, aside| fs::rename(aside, file).unwrap());
    let report = state.backup("land-register", "dir:source").succeeded().json;
    assert_eq!(report["sequence"], 2, "{report}");
    state.order("land-register", "order.txt", &[1, 2, 3]);
    state.restore("order.txt", "restored").succeeded();
    assert_same(&state.path("source"), &state.path("restored"));
}
