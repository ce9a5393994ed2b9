//! The swarm: configurations drawn from seeds; and every run that ever failed, shrunk.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed, which is its job")]

use simulator::world::swarm::swarm;
use simulator::world::{Config, run};

#[test]
fn two_hundred_seeds_hold() {
    let report = swarm(0..200, 2).unwrap();
    let failures: Vec<String> =
        report.failures.iter().map(|failure| format!("seed {}: {}", failure.seed, failure.violation)).collect();
    assert!(failures.is_empty(), "{} of {} runs failed:\n{}", failures.len(), report.runs, failures.join("\n"));
    assert_eq!(report.never_reached, [] as [String; 0], "what is not reached is not tested");
}

/// A rotten shard is mostly found by the scrub, or mended, before anybody asks for it.
#[test]
fn what_is_rare_is_reached_by_a_seed_of_its_own() {
    let report = swarm(583..584, 1).unwrap();
    assert!(report.failures.is_empty());
    assert!(report.reached.get("refused: corrupt").is_some_and(|count| *count > 0), "{:?}", report.reached);
}

#[test]
fn what_failed_once_holds() {
    for text in [
        include_str!("failed/fork-proof-missed.toml"),
        include_str!("failed/fork-behind-partition.toml"),
        include_str!("failed/stripe-lost-before-durable.toml"),
        include_str!("failed/charter-to-a-replaced-site.toml"),
        include_str!("failed/holders-nobody-knew.toml"),
        include_str!("failed/outbox-nobody-shows.toml"),
        include_str!("failed/fork-before-what-waits-at-home.toml"),
        include_str!("failed/clock-set-while-a-shard-is-lacking.toml"),
        include_str!("failed/clock-set-while-a-disk-is-empty.toml"),
        include_str!("failed/clock-set-and-a-loss-not-told.toml"),
        include_str!("failed/charter-known-only-to-a-new-site.toml"),
        include_str!("failed/home-waits-after-a-full-disk.toml"),
        include_str!("failed/emptied-site-takes-the-other-branch.toml"),
        include_str!("failed/fork-that-a-replaced-site-knew.toml"),
        include_str!("failed/manifest-without-its-predecessor.toml"),
        include_str!("failed/release-of-a-snapshot-not-followed.toml"),
        include_str!("failed/home-waits-beside-a-liar.toml"),
        include_str!("failed/fork-that-home-does-not-see.toml"),
        include_str!("failed/emptied-site-learns-what-was-let-go.toml"),
        include_str!("failed/successor-learns-what-was-let-go.toml"),
        include_str!("failed/put-out-site-collects.toml"),
    ] {
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!(run(&config, &mut ()).unwrap().violation, None, "{text}");
    }
}
