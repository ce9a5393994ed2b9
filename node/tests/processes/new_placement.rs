//! What was stored for another placement, or by another copy of the home, is not referred to.

use std::process::Command;

use node::fault_point::VARIABLE;

use super::harness::{Plan, State, assert_same, write_files};

const LAND: &str = "land-register";
const COURT: &str = "court-files";

#[test]
fn after_a_new_placement_everything_is_stored_where_the_charter_wants_it() {
    let first = vec!["ee-home", "lu-vault", "fr-embassy", "fi-centre", "ca-cloud"];
    let second = vec!["lu-vault", "fr-embassy", "fi-centre", "ca-cloud", "jp-embassy"];
    let databases = vec![LAND, COURT];
    let mut state = State::running(Plan { site_count: 6, databases, placement: first, ..Plan::default() });
    write_files(&state.path("source"), 6, 500_000, 1);
    // One database is published under the first charter, the other is stored and not published.
    state.backup(COURT, "dir:source").succeeded();
    let died = state.backing_up(LAND, "dir:source", &[(VARIABLE, "seal")]).wait();
    assert_eq!(died.code, -1, "{died:?}");

    state.plan.placement.clone_from(&second);
    state.amend_charter(2);
    for database in [LAND, COURT] {
        let report = state.backup(database, "dir:source").succeeded().json;
        let mut holders: Vec<&str> = second.clone();
        holders.sort_unstable();
        assert_eq!(report["shard_sites"], serde_json::json!(holders), "{database}: {report}");
        assert!(report["sent_bytes"].as_u64().unwrap() > 3_000_000, "{database}: {report}");
    }
    // The first site holds nothing that counts any more, and a further one may be lost.
    state.kill(0);
    state.kill(1);
    for database in [LAND, COURT] {
        let (order, target) = (format!("{database}.txt"), format!("{database}-restored"));
        state.order(database, &order, &[1, 2, 3]);
        state.restore(&order, &target).succeeded();
        assert_same(&state.path("source"), &state.path(&target));
    }
}

#[test]
fn a_stripe_number_that_another_copy_of_the_home_used_is_not_mistaken_for_ones_own() {
    let state = State::running(Plan { site_count: 5, ..Plan::default() });
    write_files(&state.path("source"), 2, 100_000, 1);
    write_files(&state.path("source-a"), 3, 400_000, 2);
    write_files(&state.path("source-b"), 3, 400_000, 3);
    state.backup(LAND, "dir:source").succeeded();
    let copied = Command::new("cp").args(["-r", "home", "home-a"]).current_dir(state.dir.path()).status().unwrap();
    assert!(copied.success());
    // This home stores stripes and dies; its copy gives the same numbers to other stripes, and publishes.
    let died = state.backing_up(LAND, "dir:source-b", &[(VARIABLE, "seal")]).wait();
    assert_eq!(died.code, -1, "{died:?}");
    assert_eq!(state.backup_at("home-a", LAND, "dir:source-a").succeeded().json["sequence"], 2);

    let report = state.backup(LAND, "dir:source-b").succeeded().json;
    assert_eq!((&report["sequence"], &report["durable"]), (&3.into(), &true.into()), "{report}");
    state.order(LAND, "order.txt", &[1, 2, 3]);
    state.restore("order.txt", "restored").succeeded();
    assert_same(&state.path("source-b"), &state.path("restored"));
}
