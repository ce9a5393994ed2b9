//! Custodians that were away while snapshots were published get their shares of all of them when they are back.

use super::harness::{Plan, State, assert_same, write_files};

const LAND: &str = "land-register";
/// Away while the first two snapshots are published.
const LATE: [usize; 2] = [5, 6];

fn shares_remaining(state: &State, sequence: u64) -> u64 {
    let listed = state.run(&["snapshots", LAND, "--dir", "home"]).succeeded().json;
    let snapshots = listed["snapshots"].as_array().unwrap();
    let found = snapshots.iter().find(|snapshot| snapshot["sequence"] == sequence);
    found.unwrap_or_else(|| panic!("no snapshot {sequence} in {listed}"))["shares_remaining"].as_u64().unwrap()
}

#[test]
fn shares_of_older_snapshots_are_delivered_when_their_custodians_are_back() {
    let mut state = State::running(Plan { threshold: 5, ..Plan::default() });
    for number in 1..=4 {
        write_files(&state.path(&format!("source-{number}")), 3, 200_000, number);
    }
    // Five shares, one of which may be lost, are too few of five: it says so, and goes on with the next one.
    LATE.into_iter().for_each(|index| state.kill(index));
    for number in 1..=2 {
        state.backup(LAND, &format!("dir:source-{number}")).refused_with(4);
        assert_eq!(shares_remaining(&state, number), 4);
    }
    LATE.into_iter().for_each(|index| state.start(index));
    assert_eq!(state.backup(LAND, "dir:source-3").succeeded().json["sequence"], 3);
    for sequence in 1..=3 {
        assert_eq!(shares_remaining(&state, sequence), 6, "snapshot {sequence}");
    }

    // Three that were always there hold the shards of the first snapshot; only with both late shares does it open.
    (0..2).for_each(|index| state.kill(index));
    for number in 1..=3 {
        let (order, target) = (format!("order-{number}.txt"), format!("restored-{number}"));
        state.order_for(LAND, number, &order);
        let report = state.restore(&order, &target).succeeded().json;
        assert_eq!(report["share_sites"].as_array().unwrap().len(), 5, "{report}");
        assert_same(&state.path(&format!("source-{number}")), &state.path(&target));
    }
    // Nothing waits any more: nobody is offered a share of an older snapshot again.
    (0..2).for_each(|index| state.start(index));
    state.backup(LAND, "dir:source-4").succeeded();
    let waiting = node::machine_state::MachineState::open(&state.path("home/home.redb")).unwrap();
    let outbox = waiting.load(node::machine_state::RecordKind::Outbox).unwrap();
    let left: Vec<String> = outbox.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect();
    assert!(left.iter().all(|key| key.starts_with("last-signed") || key.starts_with("stored-under")), "{left:?}");
}

#[test]
fn a_charter_without_the_late_custodian_does_not_stop_anything() {
    let mut state = State::running(Plan { site_count: 6, threshold: 3, ..Plan::default() });
    write_files(&state.path("source-1"), 3, 200_000, 1);
    write_files(&state.path("source-2"), 3, 200_000, 2);
    state.kill(5);
    state.backup(LAND, "dir:source-1").succeeded();
    // Another placement and other custodians, while one site has not heard of the first snapshot.
    let later = vec!["ee-home", "lu-vault", "fr-embassy", "fi-centre", "ca-cloud"];
    state.plan.placement.clone_from(&later);
    state.plan.custodians = later;
    state.amend_charter(2);
    state.backup(LAND, "dir:source-2").succeeded();
    state.start(5);
    super::harness::wait_until("the late site has followed", 30, || {
        state.log_of(5).contains("charter version 2 holds")
    });
    super::harness::wait_until("its share of the first snapshot is there", 60, || {
        state.backup(LAND, "dir:source-2").succeeded();
        // The five may have given the key new shares before it comes, and then nobody needs it.
        state.log_of(5).contains("snapshot 1 of land-register is held here")
            || state.log_of(0).contains("have shares of epoch 2")
    });
    // Three shares open the first snapshot: its own with two others, or three of the next epoch, whichever is there by now.
    (0..2).for_each(|index| state.kill(index));
    state.order_for(LAND, 1, "order.txt");
    let report = state.restore("order.txt", "restored").succeeded().json;
    assert!(report["share_sites"].as_array().unwrap().len() >= 3, "{report}");
    assert_same(&state.path("source-1"), &state.path("restored"));
}
