//! The same config gives the same trace: in one process, and in two.

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
