//! Snapshots that go in their time on real disks, and what no charter brings about against one official's veto.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use super::harness::{Plan, State, assert_same, wait_until, write_files};

const LAND: &str = "land-register";
const PACE: [&str; 6] = ["--retention-interval", "1", "--retention-grace", "2", "--repair-patience", "1"];

fn state(retention: &'static str) -> State {
    let mut state = State::found(Plan { site_count: 5, retention, ..Plan::default() });
    (0..5).for_each(|index| state.start_with(index, &PACE, &[]));
    state
}

/// A backup of which nothing was there before.
fn publish(state: &State, seed: u64) {
    fs::remove_dir_all(state.path("source")).unwrap_or_default();
    write_files(&state.path("source"), 4, 600_000, seed);
    state.backup(LAND, "dir:source").succeeded();
}

fn retention(state: &State, index: usize) -> serde_json::Value {
    let name = state.sites[index].name.clone();
    state.run(&["status", "--dir", &name]).succeeded().json["databases"][0].clone()
}

fn shards(state: &State, index: usize) -> usize {
    let files = walkdir::WalkDir::new(state.sites[index].dir.join("store/shards")).into_iter();
    files.filter_map(Result::ok).filter(|entry| entry.file_type().is_file()).count()
}

#[test]
fn what_no_rule_keeps_goes_from_every_disk_and_the_rest_is_restored() {
    let mut state = state("retention = { keep = [{ one_per = 'snapshot', for = '5s' }] }");
    publish(&state, 1);
    let of_one = shards(&state, 0);
    for seed in 2..=4 {
        sleep(Duration::from_secs(3));
        publish(&state, seed);
    }
    for index in 0..5 {
        wait_until("the first two are gone here", 60, || retention(&state, index)["retention"]["discarded_count"] == 2);
        wait_until("their shards are removed", 60, || shards(&state, index) < 3 * of_one);
    }
    let seen = retention(&state, 3);
    assert_eq!((&seen["snapshot_count"], &seen["durable_count"]), (&2.into(), &2.into()), "{seen}");
    assert_eq!(seen["short_stripe_count"], 0, "{seen}");
    let listed = state.run(&["snapshots", LAND, "--dir", "home", "--charter", "charter.txt"]).succeeded().json;
    let let_go: Vec<bool> =
        listed["snapshots"].as_array().unwrap().iter().map(|line| line["let_go"].as_bool().unwrap()).collect();
    assert_eq!(let_go, [false, false, true, true], "{listed}");

    // Everybody is killed in the midst of it, and nothing comes back or goes that should not.
    (0..5).for_each(|index| state.kill(index));
    (0..5).for_each(|index| state.start_with(index, &PACE, &[]));
    sleep(Duration::from_secs(5));
    for index in 0..5 {
        assert_eq!(retention(&state, index)["retention"]["discarded_count"], 2);
        assert!(!state.log_of(index).contains("ALARM"), "{}", state.log_of(index));
    }
    state.order(LAND, "order.txt", &[1, 2, 3]);
    state.restore("order.txt", "restored").succeeded();
    assert_same(&state.path("source"), &state.path("restored"));
    state.order_with(LAND, "old.txt", &[1, 2, 3], &["--sequence", "1"]);
    let refused =
        state.run(&["restore", "--order", "old.txt", "--key", "exile.key", "--charter", "charter.txt", "--to", "old"]);
    assert_ne!(refused.code, 0);
    assert!(refused.json.to_string().contains("end of its retention"), "{}", refused.json);
    // Home goes on as if nothing had been.
    publish(&state, 5);
}

#[test]
fn one_official_stops_a_charter_that_keeps_less() {
    let mut state = state("retention = { keep = [{ one_per = 'snapshot', for = '1h' }], delay = '12s' }");
    for seed in 1..=3 {
        publish(&state, seed);
        sleep(Duration::from_secs(2));
    }
    state.plan.retention = "retention = { keep = [{ one_per = 'snapshot', for = '1s' }], delay = '12s' }";
    state.amend_charter(2);
    wait_until("every site shows it", 15, || {
        state.run(&["doctor", "--dir", "lu-vault"]).json.to_string().contains("retention-pending")
    });
    // Not everybody may: the key of an official of another state is nobody's here.
    let veto =
        ["charter", "veto", "--charter", "charter-2.txt", "--reason", "not what we decided", "--out", "veto.txt"];
    state.run(&["official", "new", "--name", "Nobody", "--out", "nobody"]).succeeded();
    let refused = state.run(&[&veto[..], &["--key", "nobody.key"]].concat()).refused_with(3);
    assert!(refused.contains("no official of charter version 2"), "{refused}");
    state.run(&[&veto[..], &["--key", "official-5.key"]].concat()).succeeded();
    // Home is not needed for it: the operator of one site brings it, and that site tells the others.
    state.kill(2);
    state.start_with(2, &[&PACE[..], &["--veto", "veto.txt"]].concat(), &[]);
    for index in 0..5 {
        wait_until("the veto is known", 30, || {
            retention(&state, index)["retention"]["pending"][0]["is_vetoed"] == true
        });
    }
    sleep(Duration::from_secs(15));
    for index in 0..5 {
        assert_eq!(retention(&state, index)["retention"]["let_go_count"], 0, "{}", state.sites[index].name);
    }
    // Said again, and not vetoed again, it takes hold after the delay.
    state.run(&["charter", "publish", "--dir", "home", "--charter", "charter-2.txt", "--veto", "veto.txt"]).succeeded();
    fs::rename(state.path("charter-2.txt"), state.path("charter.txt")).unwrap();
    state.amend_charter(3);
    sleep(Duration::from_secs(6));
    assert_eq!(retention(&state, 0)["retention"]["let_go_count"], 0);
    for index in 0..5 {
        wait_until("it has taken hold", 60, || retention(&state, index)["retention"]["discarded_count"] == 2);
    }
}
