//! Defects put in on purpose, one at a time: the swarm finds each of them. Nothing of this is in a normal build.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed, which is its job")]
#![cfg(feature = "planted-bugs")]

use std::collections::BTreeMap;

use simulator::world::Config;
use simulator::world::config::PlantedBug;
use simulator::world::swarm::swarm_with;

const SEEDS: u64 = 60;

/// Each defect and the invariant that must catch it.
const BUGS: [(PlantedBug, &str); 20] = [
    (PlantedBug::ReplyBeforeSync, "redundancy truth"),
    (PlantedBug::OfficialCountedTwice, "agreement"),
    (PlantedBug::HeadWithoutPredecessor, "agreement"),
    (PlantedBug::ShareBeforeLog, "release"),
    (PlantedBug::ReceiptDespiteMissing, "redundancy truth"),
    (PlantedBug::ExpiredOrder, "release"),
    (PlantedBug::UnverifiedShare, "redundancy truth"),
    (PlantedBug::ForkForgotten, "liveness"),
    (PlantedBug::AnswerNotProven, "audit truth"),
    (PlantedBug::FaultNotCounted, "audit truth"),
    (PlantedBug::HelpWithoutConfession, "repair"),
    (PlantedBug::PlacementIgnored, "repair"),
    (PlantedBug::LossHidden, "ledger truth"),
    (PlantedBug::OlderInventoryTaken, "ledger truth"),
    (PlantedBug::ShareWithoutMask, "secrecy"),
    (PlantedBug::EpochByMinority, "durability"),
    (PlantedBug::OldSharesKept, "agreement"),
    (PlantedBug::ExpiryByOneSite, "retention"),
    (PlantedBug::CollectReferenced, "retention"),
    (PlantedBug::QuarantineIgnored, "retention"),
];

#[test]
fn the_swarm_finds_every_defect() {
    let mut missed = Vec::new();
    for (bug, invariant) in BUGS {
        let make = |seed| Config { planted_bug: Some(bug), ..Config::from_seed(seed) };
        let report = swarm_with(0..SEEDS, 2, make).unwrap();
        let mut by_invariant: BTreeMap<&str, u64> = BTreeMap::new();
        for failure in &report.failures {
            *by_invariant.entry(&failure.violation.invariant).or_insert(0) += 1;
        }
        println!("{bug:?}: found in {} of {SEEDS} seeds: {by_invariant:?}", report.failures.len());
        if !by_invariant.contains_key(invariant) {
            missed.push((bug, invariant));
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
