//! The same config gives the same trace: in one process, and in two.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed, which is its job")]

use simulator::world::config::{Action, Happening};
use simulator::world::{Config, Report, replay, run};

/// Three sites, a snapshot, a restore, by hand.
fn thin() -> Config {
    let text = r#"
        seed = 1
        officials = 3
        quorum = 2
        heal_at_ms = 60000
        converge_within_ms = 60000
        sites = [
            { name = "tallinn", jurisdiction = "EE" },
            { name = "luxembourg", jurisdiction = "LU" },
            { name = "helsinki", jurisdiction = "FI" },
        ]
        databases = [{ name = "land-register", data_shards = 2, threshold = 2, change_bytes = 500 }]
        timeline = [
            { at_ms = 1000, action = { publish = { database = "land-register" } } },
            { at_ms = 20000, action = { publish = { database = "land-register" } } },
            { at_ms = 40000, action = { restore = { database = "land-register" } } },
        ]
    "#;
    toml::from_str(text).unwrap()
}

fn report(config: &Config) -> Report {
    run(config, &mut ()).unwrap()
}

#[test]
fn three_sites_publish_follow_and_restore() {
    let report = report(&thin());
    assert_eq!(report.violation, None);
    assert_eq!(report.snapshots.len(), 2);
    assert!(report.snapshots.iter().all(|snapshot| snapshot.restorable && snapshot.durable_after_ms.is_some()));
    let sequences: Vec<_> = report.restores.iter().map(|restore| restore.sequence).collect();
    assert_eq!(sequences, [Some(2), Some(2)], "once by the timeline, once at the end");
    assert!(report.converged_after_ms.is_some());
}

#[test]
fn the_same_config_gives_the_same_trace() {
    let (config, mut lines) = (thin(), Vec::new());
    let first = report(&config);
    assert_eq!(report(&config), first);
    let watched = replay(&config, 1, |line| lines.push(line.to_owned())).unwrap();
    assert_eq!(watched, first, "watching changes nothing");
    assert!(lines.len() > usize::try_from(first.trace_lines).unwrap());
    let mut other = config;
    other.timeline.push(Happening { at_ms: 50_000, action: Action::CrashHome { down_ms: 1 } });
    assert_ne!(report(&other).trace_digest, first.trace_digest);
}

/// Prints what the next test compares.
#[test]
fn prints_its_digests() {
    for seed in [0, 1, 6] {
        println!("trace {}", report(&Config::from_seed(seed)).trace_digest);
    }
}

#[test]
fn two_processes_give_the_same_traces() {
    let digests = || {
        let mut process = std::process::Command::new(std::env::current_exe().unwrap());
        let output = process.args(["--exact", "prints_its_digests", "--nocapture"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .filter_map(|line| line.split_once("trace "))
            .map(|(_, digest)| digest.to_owned())
            .collect::<Vec<_>>()
    };
    let first = digests();
    assert_eq!(first.len(), 3);
    assert_eq!(first, digests());
}

#[test]
fn the_number_of_threads_changes_nothing() {
    assert_eq!(simulator::world::swarm(0..12, 1).unwrap(), simulator::world::swarm(0..12, 3).unwrap());
}

#[test]
fn a_config_is_text_and_back() {
    for seed in 0..20 {
        let config = Config::from_seed(seed);
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
    }
}
