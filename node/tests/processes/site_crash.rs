//! kill -9 of sites while they store: what they acknowledged is there, and what they knew they know again.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::evidence::{Numbers, wait_until};
use super::harness::{Plan, State, assert_same};

const SITES: usize = 5;
const ROUNDS: u64 = 12;
const SOURCE_BYTES: usize = 16 << 20;

fn five_sites() -> Plan {
    Plan { site_count: SITES, ..Plan::default() }
}

#[test]
fn a_site_killed_at_any_moment_has_every_shard_it_acknowledged() {
    let mut state = State::running(five_sites());
    let mut numbers = Numbers::new(7);
    fs::create_dir_all(state.path("source")).unwrap();
    let replace = |state: &State, numbers: &mut Numbers| {
        fs::write(state.path("source/register.bin"), numbers.bytes(SOURCE_BYTES)).unwrap();
    };
    replace(&state, &mut numbers);
    let started = Instant::now();
    state.backup("land-register", "dir:source").succeeded();
    let backup_ms = u64::try_from(started.elapsed().as_millis()).unwrap();

    let (mut killed_during, mut durable_without) = (0, 0);
    for round in 0..ROUNDS {
        replace(&state, &mut numbers);
        let victim = usize::try_from(numbers.below(SITES as u64)).unwrap();
        let delay_ms = backup_ms / 8 + numbers.below(backup_ms);
        let mut backup = state.backing_up("land-register", "dir:source", &[]);
        thread::sleep(Duration::from_millis(delay_ms));
        let during = !backup.has_ended();
        state.kill(victim);
        killed_during += u32::from(during);
        let said = backup.wait();
        let name = state.sites[victim].name.clone();
        match said.code {
            0 => {
                assert_eq!(said.json["durable"], true);
                durable_without += u32::from(said.json["missing"].get(&name).is_some());
            }
            4 => assert!(said.refused_with(4).contains("NOT DURABLE"), "{said:?}"),
            other => panic!("round {round}: exit code {other}: {said:?}"),
        }
        state.assert_store_is_true(victim, "land-register");
        state.start(victim);
        if round % 3 == 0 {
            // A further backup, of the same data, heals the site at once; else the next round does.
            let healed = state.backup("land-register", "dir:source").succeeded().json;
            assert_eq!(healed["shard_sites"].as_array().unwrap().len(), SITES, "{healed}");
            assert_eq!(healed["share_sites"].as_array().unwrap().len(), SITES, "{healed}");
        }
    }
    println!("{killed_during} of {ROUNDS} kills came during a backup; {durable_without} were durable without the site");
    assert!(killed_during * 2 >= u32::try_from(ROUNDS).unwrap(), "too few kills hit a backup: {killed_during}");
    let healed = state.backup("land-register", "dir:source").succeeded().json;
    assert_eq!(healed["shard_sites"].as_array().unwrap().len(), SITES, "{healed}");
    state.assert_all_shards_verify("land-register");
    state.order("land-register", "order.txt", &[1, 2, 3]);
    state.restore("order.txt", "restored").succeeded();
    assert_same(&state.path("source"), &state.path("restored"));
    for index in 0..SITES {
        state.kill(index);
        state.assert_store_is_true(index, "land-register");
    }
}

#[test]
fn a_site_killed_and_started_again_knows_what_it_knew() {
    let mut state = State::running(five_sites());
    super::harness::write_files(&state.path("source"), 4, 700_000, 3);
    state.backup("land-register", "dir:source").succeeded();
    super::harness::write_files(&state.path("source"), 5, 600_000, 4);
    state.backup("land-register", "dir:source").succeeded();
    state.order("land-register", "order.txt", &[1, 2, 3]);
    state.restore("order.txt", "restored").succeeded();
    let show =
        |state: &State, index: usize| state.run(&["site", "show", "--dir", &state.sites[index].name]).succeeded().json;
    for index in 0..SITES {
        state.kill(index);
    }
    let before: Vec<_> = (0..SITES).map(|index| show(&state, index)).collect();
    for (index, shown) in before.iter().enumerate() {
        assert!(shown["shard_count"].as_u64().unwrap() > 0, "{shown}");
        assert_eq!(shown["manifest_count"], 2, "{shown}");
        assert_eq!(shown["share_count"], 2, "{shown}");
        let log = shown["release_log"].as_array().unwrap();
        assert!(log.iter().any(|line| line.as_str().unwrap().contains("released its share")), "{shown}");
        state.start(index);
    }
    // What they know again is good for verifying, for restoring under the same order, and for a further snapshot.
    state.assert_all_shards_verify("land-register");
    state.restore("order.txt", "restored-again").succeeded();
    assert_same(&state.path("source"), &state.path("restored-again"));
    let third = state.backup("land-register", "dir:source").succeeded().json;
    assert_eq!(third["sequence"], 3);
    assert_eq!(third["shard_sites"].as_array().unwrap().len(), SITES, "{third}");
    for (index, shown) in before.iter().enumerate() {
        state.kill(index);
        let after = show(&state, index);
        assert_eq!(after["manifest_count"], 3, "{after}");
        assert!(after["shard_count"].as_u64() >= shown["shard_count"].as_u64(), "{after}");
        for line in shown["release_log"].as_array().unwrap() {
            assert!(after["release_log"].as_array().unwrap().contains(line), "{line} is gone from {after}");
        }
    }
}

#[test]
fn losing_too_many_sites_during_a_backup_is_an_error_that_names_them() {
    let mut state = State::running(five_sites());
    fs::create_dir_all(state.path("source")).unwrap();
    fs::write(state.path("source/register.bin"), Numbers::new(71).bytes(96 << 20)).unwrap();
    let mut backup = state.backing_up("land-register", "dir:source", &[]);
    wait_until("something is stored", || backup.has_ended() || state.shard_file_bytes() > 10 << 20);
    for index in [1, 2, 3] {
        state.kill(index);
    }
    let error = backup.wait().refused_with(5);
    assert!(error.contains("only 2 sites still take shards, 3 are needed"), "{error}");
    assert!(error.contains("run the same command again"), "{error}");
    for index in [1, 2, 3] {
        assert!(error.contains(&state.sites[index].name), "{error}");
        state.assert_store_is_true(index, "land-register");
        state.start(index);
    }
    let report = state.backup("land-register", "dir:source").succeeded().json;
    assert_eq!(report["shard_sites"].as_array().unwrap().len(), SITES, "{report}");
    assert!(report["sent_bytes"].as_u64().unwrap() < 150 << 20, "nothing was found again: {report}");
}
