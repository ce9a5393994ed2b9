//! Many runs, each with a configuration drawn from its seed. Nothing depends on how many threads there are: results are
//! put together in the order of the seeds.

use std::collections::BTreeMap;
use std::ops::Range;

use rayon::prelude::*;
use serde::Serialize;

use super::Config;
use super::config::ConfigError;
use super::engine::run;
use super::report::{Report, Violation};

/// What a swarm must reach at least once: each kind of work, fault and enemy, each kind of refusal.
pub const MUST_REACH: [&str; 61] = [
    "publish",
    "restore",
    "replace",
    "a site was leaving",
    "replace-writer",
    "turn-custodians",
    "crash",
    "crash-home",
    "lose-home",
    "lose",
    "partition",
    "one-way",
    "rot",
    "empty",
    "empty-with-records",
    "full-disk",
    "slow-disk",
    "step-clock",
    "lie",
    "copy",
    "steal-writer",
    "capture-officials",
    "loss",
    "one way",
    "a message arrived twice",
    "a process stopped itself",
    "a snapshot was durable",
    "a snapshot was not durable",
    "a suspicious snapshot was passed over",
    "a restore succeeded",
    "a restore failed",
    "a share was released",
    "home found a fork",
    "refused: not allowed",
    "refused: not found",
    "refused: order",
    "refused: charter",
    "refused: manifest",
    "refused: share",
    "refused: fork",
    "refused: behind",
    "refused: disk full",
    "a wrong share was thrown away",
    "a wrong shard was thrown away",
    "a shard was remade",
    "a share that waited was delivered",
    "a snapshot was passed over",
    "a shard was found missing",
    "a site said what it lacks",
    "a site was whole again",
    "a shard was mended",
    "a repair failed",
    "a helper was told what is lacking",
    "a helper lied",
    "help was refused",
    "a loss was proven",
    "an audit was answered",
    "shares were given on",
    "shares were not given on at once",
    "snapshots were let go",
    "shards were collected",
];

/// A run that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What did not hold.
    pub violation: Violation,
    /// How to see it again.
    pub replay: String,
}

/// What a swarm came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SwarmReport {
    /// Runs.
    pub runs: u64,
    /// Those that failed, by seed.
    pub failures: Vec<Failure>,
    /// In how many runs each thing happened.
    pub reached: BTreeMap<String, u64>,
    /// What never happened though it must: the swarm does not test it.
    pub never_reached: Vec<String>,
    /// Messages of all runs.
    pub messages: u64,
    /// Virtual time of all runs.
    pub virtual_ms: u64,
    /// The same, for every site of a run.
    pub site_ms: u64,
    /// Snapshots that were durable.
    pub durable_snapshots: u64,
    /// Restores that succeeded.
    pub restores: u64,
}

impl SwarmReport {
    /// Adds what later seeds came to.
    pub fn add(&mut self, later: Self) {
        self.runs += later.runs;
        self.failures.extend(later.failures);
        self.messages += later.messages;
        self.virtual_ms += later.virtual_ms;
        self.site_ms += later.site_ms;
        self.durable_snapshots += later.durable_snapshots;
        self.restores += later.restores;
        for (what, runs) in later.reached {
            *self.reached.entry(what).or_insert(0) += runs;
        }
        self.never_reached.retain(|what| !self.reached.contains_key(what));
    }
}

/// Runs all `seeds` on so many threads.
///
/// # Errors
/// A configuration that cannot be run, or no threads to be had.
pub fn swarm(seeds: Range<u64>, threads: usize) -> Result<SwarmReport, SwarmError> {
    swarm_with(seeds, threads, Config::from_seed)
}

/// Why there is no swarm.
#[derive(Debug, thiserror::Error)]
pub enum SwarmError {
    /// A configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The operating system.
    #[error("cannot start {threads} threads: {reason}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// Why not.
        reason: String,
    },
}

/// As [`swarm`], with configurations made by `make`.
///
/// # Errors
/// As [`swarm`].
pub fn swarm_with(
    seeds: Range<u64>,
    threads: usize,
    make: impl Fn(u64) -> Config + Sync,
) -> Result<SwarmReport, SwarmError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build();
    let pool = pool.map_err(|error| SwarmError::Threads { threads, reason: error.to_string() })?;
    let runs: Result<Vec<Report>, ConfigError> =
        pool.install(|| seeds.into_par_iter().map(|seed| run(&make(seed), &mut ())).collect());
    Ok(summarise(runs?))
}

fn summarise(runs: Vec<Report>) -> SwarmReport {
    let mut report = SwarmReport {
        runs: 0,
        failures: Vec::new(),
        reached: BTreeMap::new(),
        never_reached: Vec::new(),
        messages: 0,
        virtual_ms: 0,
        site_ms: 0,
        durable_snapshots: 0,
        restores: 0,
    };
    for run in runs {
        report.runs += 1;
        report.messages += run.messages;
        report.virtual_ms += run.ended_ms;
        report.site_ms += run.ended_ms * run.sites;
        report.durable_snapshots += run.snapshots.iter().filter(|one| one.durable_after_ms.is_some()).count() as u64;
        report.restores += run.restores.iter().filter(|restore| restore.took_ms.is_some()).count() as u64;
        for what in run.reached.into_keys() {
            *report.reached.entry(what).or_insert(0) += 1;
        }
        if let Some(violation) = run.violation {
            let replay = format!("legation-sim replay --seed {}", run.seed);
            report.failures.push(Failure { seed: run.seed, violation, replay });
        }
    }
    let never = MUST_REACH.iter().filter(|what| !report.reached.contains_key(**what));
    report.never_reached = never.map(|what| (*what).to_owned()).collect();
    report
}
