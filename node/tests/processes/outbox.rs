//! Snapshots that home has signed, that no site shows, and that no site takes any more as they are.

use std::fs;

use node::fault_point::VARIABLE;

use super::harness::{Plan, State, assert_same, write_files};

const LAND: &str = "land-register";

/// Two snapshots of which no site has heard, the first under a charter that `amend` makes a thing of the past.
fn two_that_no_site_shows(plan: Plan, amend: impl FnOnce(&mut State)) {
    let mut state = State::running(plan);
    for seed in 1..=3 {
        write_files(&state.path(&format!("source-{seed}")), 3, 100_000, seed);
    }
    let dies_before_any_site_hears = |state: &State, source: &str| {
        let died = state.backing_up(LAND, source, &[(VARIABLE, "outbox")]).wait();
        assert_eq!(died.code, -1, "{died:?}");
    };
    dies_before_any_site_hears(&state, "dir:source-1");
    amend(&mut state);
    dies_before_any_site_hears(&state, "dir:source-2");

    let report = state.backup(LAND, "dir:source-3").succeeded().json;
    assert_eq!((&report["sequence"], &report["durable"]), (&3.into(), &true.into()), "{report}");
    let listed = state.run(&["snapshots", LAND, "--dir", "home"]).succeeded().json;
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 3, "{listed}");
    for sequence in [2, 3] {
        let (order, target) = (format!("order-{sequence}.txt"), format!("restored-{sequence}"));
        state.order_for(LAND, sequence, &order);
        state.restore(&order, &target).succeeded();
        assert_same(&state.path(&format!("source-{sequence}")), &state.path(&target));
    }
}

#[test]
fn a_home_goes_on_after_a_new_placement_with_what_no_site_shows() {
    let first = vec!["ee-home", "lu-vault", "fr-embassy", "fi-centre", "ca-cloud"];
    let plan = Plan { site_count: 6, placement: first, ..Plan::default() };
    two_that_no_site_shows(plan, |state| {
        state.plan.placement = vec!["lu-vault", "fr-embassy", "fi-centre", "ca-cloud", "jp-embassy"];
        state.amend_charter(2);
    });
}

#[test]
fn a_home_goes_on_with_a_new_key_with_what_no_site_shows() {
    two_that_no_site_shows(Plan { site_count: 5, ..Plan::default() }, |state| {
        state.run(&["home", "init", "--dir", "new-key", "--name", "Land Board"]).succeeded();
        state.plan.homes = vec!["new-key"];
        state.amend_charter(2);
        fs::copy(state.path("new-key/home.key"), state.path("home/home.key")).unwrap();
    });
}
