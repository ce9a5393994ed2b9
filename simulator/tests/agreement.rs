//! Fate mode and protocol mode answer alike where both know what happens: the same scenario, the same hazards, once
//! counted by formula and Monte Carlo, once suffered by the real machines, which decode and reconstruct or cannot.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is its job")]

use rayon::prelude::*;
use simulator::fate::engine::{Options, run as simulate};
use simulator::scenario::protocol::config;
use simulator::scenario::{Scenario, fate, read};
use simulator::world;

/// Runs of protocol mode; a difference of three standard errors fails.
const RUNS: u64 = 200;

/// Five sites for a few days in which much happens, and nothing is repaired.
fn scenario(hazard: &str) -> Scenario {
    let mut text = format!(
        "schema = 1\ntitle = \"agreement\"\n[run]\nyears = 0.01\nmissions = 200000\n[code]\ndata_shards = 3\nthreshold = 3\n\
         [[databases]]\nname = \"register\"\nsize_gb = 1\nsnapshot_every = \"1h\"\n\
         [site_defaults]\nkind = \"data-centre\"\nrepair = \"1000y\"\n{hazard}\n"
    );
    for (name, jurisdiction) in [("a", "EE"), ("b", "LU"), ("c", "FI"), ("d", "CH"), ("e", "JP")] {
        text.push_str(&format!("[[sites]]\nname = \"{name}\"\njurisdiction = \"{jurisdiction}\"\n"));
    }
    read(&text).unwrap()
}

/// The part of the runs in which `happened`, and that fate mode's estimate is within three standard errors of it.
fn agree(scenario: &Scenario, estimate: f64, happened: impl Fn(&world::Report) -> bool + Sync) {
    let code = scenario.code.unwrap();
    let count = (0..RUNS).into_par_iter().filter(|seed| {
        let run = config(scenario, code, *seed).unwrap();
        let report = world::run(&run.config, &mut ()).unwrap();
        assert_eq!(report.violation, None, "seed {seed}");
        happened(&report)
    });
    let part = count.count() as f64 / RUNS as f64;
    let error = (estimate * (1.0 - estimate) / RUNS as f64).sqrt();
    assert!(
        (part - estimate).abs() < 3.0 * error,
        "protocol mode {part:.3}, fate mode {estimate:.3}, error {error:.3}"
    );
    assert!(estimate > 0.1 && estimate < 0.9, "{estimate}: says nothing");
}

fn outcome(scenario: &Scenario) -> simulator::fate::outcome::Outcome {
    let options = Options { replications: scenario.run.missions, ..Options::default() };
    simulate(&fate::model(scenario, scenario.code.unwrap()), &options, &|_| ()).unwrap()
}

#[test]
fn what_fate_mode_calls_lost_no_machine_restores() {
    let scenario = scenario("lost_every = \"6d\"");
    agree(&scenario, outcome(&scenario).loss.by_horizon.estimate, |report| !report.snapshots[0].restorable);
}

#[test]
fn what_fate_mode_calls_disclosed_is_read() {
    let scenario = scenario("copied_every = \"6d\"");
    agree(&scenario, outcome(&scenario).disclosure.by_horizon.estimate, |report| !report.readers.is_empty());
}
