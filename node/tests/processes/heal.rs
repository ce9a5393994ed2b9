//! Losses that the sites find and mend among themselves: no key, no home, no writer.

use std::collections::BTreeMap;
use std::fs;

use super::harness::{Plan, State, assert_same, wait_until, write_files};

/// Every shard file of a site: its name, and whether its bytes have that root.
fn shards(state: &State, index: usize) -> BTreeMap<String, bool> {
    let files = walkdir::WalkDir::new(state.sites[index].dir.join("store/shards")).into_iter().filter_map(Result::ok);
    let files = files.filter(|entry| entry.file_type().is_file());
    let sound =
        |path: &std::path::Path, name: &str| fs::read(path).is_ok_and(|bytes| blake3::hash(&bytes).to_string() == name);
    files
        .map(|entry| {
            let name = entry.file_name().to_str().unwrap().to_owned();
            let is_sound = sound(entry.path(), &name);
            (name, is_sound)
        })
        .collect()
}

#[test]
fn two_emptied_sites_are_rebuilt_without_home() {
    let mut state = State::running(Plan { site_count: 5, data_shards: 3, threshold: 3, ..Plan::default() });
    write_files(&state.path("source"), 9, 700_000, 3);
    state.backup("land-register", "dir:source").succeeded();
    let before = [shards(&state, 1), shards(&state, 2)];
    assert!(before[0].len() > 3 && before.iter().flat_map(BTreeMap::values).all(|sound| *sound));
    // The disks are gone, and what the two knew with them; only their keys are left. Home is gone for ever.
    fs::rename(state.path("home"), state.path("home-lost")).unwrap();
    for index in [1, 2] {
        state.kill(index);
        fs::remove_dir_all(state.sites[index].dir.join("store")).unwrap();
        fs::remove_file(state.sites[index].dir.join("state.redb")).unwrap();
        state.start_with(index, &["--repair-patience", "8"], &[]);
    }
    for (index, before) in [1, 2].into_iter().zip(&before) {
        wait_until("the shards are back", 60, || shards(&state, index) == *before);
    }
    for index in [1, 2] {
        wait_until("it says so", 20, || {
            state.log_of(index).contains("shards and 1 shares of land-register are missing")
        });
    }
    for index in [1, 2] {
        wait_until("the others made its share anew", 60, || {
            state.log_of(index).contains("1 shares of land-register are recovered")
        });
        wait_until("it says so", 20, || state.log_of(index).contains("all of land-register is held here again"));
    }
    // One of the untouched sites is left: the two rebuilt ones carry the restore. Shards and shares are needed of three
    // sites, so neither would be enough without what the two got back.
    (3..5).for_each(|index| state.kill(index));
    state.order("land-register", "order.txt", &[1, 2, 3]);
    state.restore("order.txt", "restored").succeeded();
    assert_same(&state.path("source"), &state.path("restored"));
}

#[test]
fn a_liar_is_found_named_and_not_counted_on() {
    let mut state = State::found(Plan { site_count: 5, data_shards: 2, ..Plan::default() });
    let fast = ["--audit-interval", "1"];
    (0..4).for_each(|index| state.start_with(index, &fast, &[]));
    state.start_with(4, &fast, &[("LEGATION_TEST_LIE", "flip-bits")]);
    write_files(&state.path("source"), 5, 300_000, 4);
    state.backup("land-register", "dir:source").succeeded();
    let alarm = "ALARM: ca-cloud sent other bytes than those of its shard of land-register";
    for index in 0..4 {
        wait_until("every site knows", 40, || state.log_of(index).contains(alarm));
    }
    // What lies to auditors lies to helpers: the repair names it, and ends well without it.
    state.kill(1);
    fs::remove_dir_all(state.sites[1].dir.join("store")).unwrap();
    let before = shards(&state, 2).len();
    state.start_with(1, &["--repair-patience", "0"], &[]);
    wait_until("the shards are back", 40, || shards(&state, 1).len() == before);
    assert!(shards(&state, 1).values().all(|sound| *sound));
}
