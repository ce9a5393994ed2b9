//! Rare events: a loss of 1e-13 in a year is found in seconds, with its error.
//!
//! Time is cut into excursions. An excursion begins when something brings the event nearer (a site is lost, a share is
//! captured) while all was quiet, and ends when all is quiet again. The plan runs on as it is; at each beginning of an
//! excursion, a copy of it is sent off on a walk that is bent towards the event, and carries as its weight the quotient
//! of the true and the bent probability of every choice. The event can begin in one excursion only, so
//! `P(event by T) = E[sum of the weights of the walks that reach it by T]`: no bias, whatever the bending.
//!
//! - Against what leads back at a rate, a walk goes on with the chance 4 in 5 (failure biasing); which way it goes on is
//!   chosen by rate in half of the cases and evenly in the other half, so that groups, however rare, are not starved
//!   (balanced: Shahabuddin, Management Science 40, 1994; Nicola, Shahabuddin and Nakayama, IEEE Trans. Reliability 50,
//!   2001). The relative error then stays bounded however rare the event.
//! - What leads back may take a time of any law: the walk then goes on at a pace that makes it likely, again 4 in 5,
//!   before the known end of the repair, the audit or the epoch. Only failures must come at constant rates; a plan in
//!   which sites age is refused.
//! - Where nothing leads back before the horizon, the next failure is forced to come before it, as early as the first of
//!   as many as are needed comes if they fall evenly: one after the other, each at any time that is left, would crowd
//!   before the end.
//! - The first beginning is made likely too: its hazards are raised so that one is expected within the horizon.
//!
//! A weight is never cut off: that would make every estimate too low. Where a few of them carry the sum, what the far
//! larger ones that were not drawn would add is not known, nor the error: the estimate then says so by its [`Method`].

mod walk;

use rayon::prelude::*;

use super::engine::Options;
use super::engine::draw::{Draw, Purpose};
use super::engine::plan::Plan;
use super::engine::tally::{Causes, Moments, STEPS, merge_causes};
use super::engine::world::{Target, clocks_of};
use super::engine::{clocks::NEVER, in_pool};
use super::model::{Model, ModelError};
use super::outcome::{Estimate, Method, weighted};
use walk::Walker;

/// Why importance sampling gives no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RareError {
    /// The model describes nothing.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Its failures do not come at a constant rate, so their chance within a time is not known.
    #[error("{site}: its lifetime is not exponential, so rare events cannot be weighted; only counting works")]
    Aging {
        /// The first such site.
        site: String,
    },
    /// Excursions do not begin alike.
    #[error("{what}: then excursions are not all alike, and there is no mean time")]
    NotRegenerative {
        /// What makes them differ.
        what: &'static str,
    },
}

/// What a rare-event run has found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) by_horizon: Estimate,
    pub(crate) causes: Causes,
    /// Reached by each point of the curve.
    pub(crate) curve: Vec<f64>,
    pub(crate) replications: u64,
}

/// Probability of loss by the horizon.
///
/// # Errors
/// The model describes nothing, or sites age.
pub fn loss(model: &Model, options: &Options) -> Result<Estimate, RareError> {
    check(model)?;
    Ok(by_horizon(&Plan::new(model), Target::Loss, options).by_horizon)
}

/// Probability of disclosure by the horizon.
///
/// # Errors
/// The model describes nothing, or sites age.
pub fn disclosure(model: &Model, options: &Options) -> Result<Estimate, RareError> {
    check(model)?;
    Ok(by_horizon(&Plan::new(model), Target::Disclosure, options).by_horizon)
}

/// Excursions of a plan without end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cycles {
    /// Probability that an excursion, once begun, ends in loss.
    pub loss_per_excursion: Estimate,
    /// Mean years to loss (MTTDL), for ever the same plan.
    pub mean_years_to_loss: Estimate,
}

/// Loss per excursion and mean time to loss; the horizon does not matter.
///
/// # Errors
/// The model describes nothing, sites age, or something comes at fixed times.
pub fn cycles(model: &Model, options: &Options) -> Result<Cycles, RareError> {
    check(model)?;
    let what = if !model.timeline.is_empty() || model.sites.iter().any(|site| site.agreement.is_some()) {
        Some("there is a timeline")
    } else if model.policy.audit_years.is_some() && model.sites.iter().any(|site| site.rot_per_year > 0.0) {
        Some("audits come at fixed times")
    } else {
        None
    };
    if let Some(what) = what {
        return Err(RareError::NotRegenerative { what });
    }
    let mut plan = Plan::new(model).without_idle_outages(false);
    plan.horizon = NEVER / 4.0;
    let chance = sample(&plan, Target::Loss, Job::Excursion, Purpose::Excursions, options);
    let length = Options { relative_error: options.relative_error / 2.0, ..*options };
    let length = sample(&plan, Target::Loss, Job::Years, Purpose::Years, &length);
    let (gamma, years) = (chance.by_horizon, length.by_horizon);
    let error = match (gamma.relative_error, years.relative_error) {
        (Some(gamma), Some(years)) => Some(libm::hypot(gamma, years)),
        (None, _) | (_, None) => None,
    };
    let mean = if gamma.estimate > 0.0 { years.estimate / gamma.estimate } else { f64::MAX };
    let spread = 1.96 * mean * error.unwrap_or(f64::MAX);
    let mean_years_to_loss = Estimate {
        estimate: mean,
        low95: (mean - spread).max(0.0),
        high95: mean + spread,
        relative_error: error,
        method: gamma.method.max(years.method),
    };
    Ok(Cycles { loss_per_excursion: gamma, mean_years_to_loss })
}

/// The model is one for which every failure has a rate.
pub(crate) fn check(model: &Model) -> Result<(), RareError> {
    model.check()?;
    let aging = model.sites.iter().find(|site| site.loss.is_some_and(|law| law.rate().is_none()));
    aging.map_or(Ok(()), |site| Err(RareError::Aging { site: site.name.clone() }))
}

pub(crate) fn by_horizon(plan: &Plan<'_>, target: Target, options: &Options) -> Found {
    let plan = &plan.without_idle_outages(target == Target::Disclosure);
    let purpose = match target {
        Target::Loss => Purpose::RareLoss,
        Target::Disclosure => Purpose::RareDisclosure,
    };
    sample(plan, target, Job::ByHorizon, purpose, options)
}

/// What one replication does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    /// The plan up to its horizon, and a walk from each beginning of an excursion.
    ByHorizon,
    /// A walk from the beginning of one excursion.
    Excursion,
    /// The years from all whole to the end of the next excursion, nothing bent.
    Years,
}

fn sample(plan: &Plan<'_>, target: Target, job: Job, purpose: Purpose, options: &Options) -> Found {
    in_pool(options.threads, || match clocks_of(plan) {
        0..=64 => sample_with::<1>(plan, target, job, purpose, options),
        65..=1024 => sample_with::<2>(plan, target, job, purpose, options),
        1025..=16_384 => sample_with::<3>(plan, target, job, purpose, options),
        16_385..=262_144 => sample_with::<4>(plan, target, job, purpose, options),
        _ => sample_with::<5>(plan, target, job, purpose, options),
    })
}

/// Blocks in the first round. Each later one is as long as all before it: an error that is looked at too often is
/// believed when it happens to be small, which makes estimates too low.
const ROUND: u64 = 16;
/// An error that fewer samples than this carry is not trusted (the bound of MCNP).
const CARRIERS_MIN: f64 = 10.0;
/// Replications of one block, or fewer where fewer are allowed in all.
const BLOCK_MAX: u64 = 1024;

fn sample_with<const LEVELS: usize>(
    plan: &Plan<'_>,
    target: Target,
    job: Job,
    purpose: Purpose,
    options: &Options,
) -> Found {
    let in_block = (options.rare_replications_max / ROUND).clamp(1, BLOCK_MAX);
    let block = |block: u64| {
        let mut walker = Walker::<LEVELS>::new(plan, target, Draw::new(options.seed, purpose, block));
        let mut moments = Moments::default();
        for _ in 0..in_block {
            moments.add(match job {
                Job::ByHorizon => walker.replicate(),
                Job::Excursion => walker.excursion(),
                Job::Years => walker.years(),
            });
        }
        (moments, walker.causes, walker.by_step)
    };
    let (mut moments, mut causes, mut blocks) = (Moments::default(), Causes::new(), 0);
    let mut by_step = vec![0.0; STEPS + 2];
    loop {
        let more = ROUND.max(blocks);
        let round: Vec<(Moments, Causes, Vec<f64>)> = (blocks..blocks + more).into_par_iter().map(block).collect();
        for (more, found, steps) in &round {
            moments.merge(*more);
            merge_causes(&mut causes, found);
            by_step.iter_mut().zip(steps).for_each(|(sum, more)| *sum += more);
        }
        blocks += more;
        let replications = blocks * in_block;
        let is_even = moments.carriers() >= CARRIERS_MIN;
        let method = if is_even { Method::Weighted } else { Method::WeightedUnevenly };
        let mut by_horizon = weighted(replications, moments.sum, moments.squares, method);
        let is_enough = is_even && by_horizon.relative_error.is_some_and(|error| error <= options.relative_error);
        if is_enough || replications >= options.rare_replications_max {
            if !is_even {
                (by_horizon.low95, by_horizon.high95) = (0.0, f64::INFINITY);
            }
            let mut sum = 0.0;
            let mut add = |step: &f64| {
                sum += step;
                sum / replications as f64
            };
            let curve = by_step.iter().take(STEPS + 1).map(&mut add).collect();
            return Found { by_horizon, causes, curve, replications };
        }
    }
}
