//! The Monte Carlo: replications of a plan, in blocks over all cores.
//!
//! A block has a stream of random numbers of its own, found from the seed and its number, and blocks are merged in their
//! order: the outcome is the same to the last bit on one thread or on many.
//!
//! | module | holds |
//! | --- | --- |
//! | `plan` | the model made ready |
//! | `world` | what can happen: the one meaning of every event |
//! | `clocks` | which comes first |
//! | `draw` | random numbers |
//! | `tally`, `histogram` | what is counted |
//! | `answer` | counts made into an outcome |

pub(crate) mod answer;
pub(crate) mod clocks;
pub(crate) mod draw;
pub(crate) mod histogram;
pub(crate) mod plan;
pub(crate) mod tally;
pub(crate) mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::model::{Model, ModelError};
use super::outcome::Outcome;
use draw::{Draw, Purpose};
use plan::Plan;
use tally::Tally;
use world::World;

/// How much to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The same seed gives the same outcome.
    pub seed: u64,
    /// Plain replications of the horizon, at least one.
    pub replications: u64,
    /// Threads; `None`: one per core. The outcome does not depend on it.
    pub threads: Option<usize>,
    /// Importance sampling goes on until the standard error is this share of the estimate.
    pub relative_error: f64,
    /// Or until so many replications are done.
    pub rare_replications_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 1, replications: 100_000, threads: None, relative_error: 0.01, rare_replications_max: 4_000_000 }
    }
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Replications done.
    pub done: u64,
    /// Replications in all; importance sampling may end before.
    pub total: u64,
}

/// Who is told of progress, from any thread.
pub type Watch<'w> = dyn Fn(Progress) + Sync + 'w;

/// Simulates the plan.
///
/// # Errors
/// The model describes nothing; see [`Model::check`].
pub fn run(model: &Model, options: &Options, watch: &Watch<'_>) -> Result<Outcome, ModelError> {
    model.check()?;
    let plan = Plan::new(model);
    let tally = in_pool(options.threads, || simulate(&plan, options, watch));
    Ok(answer::outcome(&plan, options, &tally))
}

/// On this many threads.
pub(crate) fn in_pool<R: Send>(threads: Option<usize>, work: impl FnOnce() -> R + Send) -> R {
    let pool = threads.and_then(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().ok());
    match pool {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// All replications, counted.
pub(crate) fn simulate(plan: &Plan<'_>, options: &Options, watch: &Watch<'_>) -> Tally {
    match world::clocks_of(plan) {
        0..=64 => simulate_with::<1>(plan, options, watch),
        65..=1024 => simulate_with::<2>(plan, options, watch),
        1025..=16_384 => simulate_with::<3>(plan, options, watch),
        16_385..=262_144 => simulate_with::<4>(plan, options, watch),
        _ => simulate_with::<5>(plan, options, watch),
    }
}

fn simulate_with<const LEVELS: usize>(plan: &Plan<'_>, options: &Options, watch: &Watch<'_>) -> Tally {
    let total = options.replications.max(1);
    let in_block = (total / 256).clamp(1, 4096);
    let blocks = total.div_ceil(in_block);
    let short = world::only_outages(plan);
    let done = AtomicU64::new(0);
    let block = |block: u64| {
        let draw = |purpose| Draw::new(options.seed, purpose, block);
        let mut world = World::<LEVELS, false>::new(plan, draw(Purpose::Plain), draw(Purpose::Service));
        let count = in_block.min(total - block * in_block);
        for replication in 0..count {
            world.take_part(replication);
            if short { world.replicate_outages() } else { world.replicate() }
        }
        let done = done.fetch_add(count, Ordering::Relaxed) + count;
        watch(Progress { done, total });
        world.tally
    };
    // A round of blocks at a time: memory stays small, and the order of merging is that of the blocks.
    let mut sum = Tally::new(plan);
    let round = 8 * rayon::current_num_threads();
    for first in (0..blocks).step_by(round) {
        let last = blocks.min(first + round as u64);
        let tallies: Vec<Tally> = (first..last).into_par_iter().map(block).collect();
        tallies.iter().for_each(|tally| sum.merge(tally));
    }
    sum
}
