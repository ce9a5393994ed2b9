//! The answer to a plan: each probability by the best way that there is for it, which is said beside it.

mod solved;

use super::engine::plan::Plan;
use super::engine::world::Target;
use super::engine::{Options, Watch, answer, in_pool, simulate};
use super::model::{Model, ModelError};
use super::outcome::{Estimate, EventOutcome, Method, Outcome, counted};
use super::rare;

/// Simulates the plan, and finds loss and disclosure
///
/// - exactly, where the plan is a Markov chain or a sum over independent sites that is small enough;
/// - by counting, where that meets `relative_error`;
/// - by importance sampling otherwise, where every failure has a rate and there are at most 128 sites, or by counting where
///   it is still the better.
///
/// Beside both stands the same plan without groups and timeline: what would be if every site failed by itself.
///
/// # Errors
/// The model describes nothing; see [`Model::check`].
pub fn estimate(model: &Model, options: &Options, watch: &Watch<'_>) -> Result<Outcome, ModelError> {
    model.check()?;
    let plan = Plan::new(model);
    let tally = in_pool(options.threads, || simulate(&plan, options, watch));
    let mut outcome = answer::outcome(&plan, options, &tally);
    let (loss, disclosure) = (&mut outcome.loss, &mut outcome.disclosure);
    let mut rare = improve(&plan, Target::Loss, options, loss, &mut outcome.curves.lost);
    rare += improve(&plan, Target::Disclosure, options, disclosure, &mut outcome.curves.disclosed);
    if !(model.groups.is_empty() && model.timeline.is_empty()) {
        let alone = Model { groups: vec![], timeline: vec![], ..model.clone() };
        let alone = Plan::new(&alone);
        let mut counted_alone = None;
        for (target, event) in [(Target::Loss, loss), (Target::Disclosure, disclosure)] {
            let (found, replications) = independent(&alone, target, options, &mut counted_alone);
            event.independent = Some(found);
            rare += replications;
        }
    }
    outcome.effort.rare_replications = rare;
    Ok(outcome)
}

/// A walk towards the loss of hundreds of sites takes as many steps each time: with more sites than this, events are counted.
const WALKED_SITES_MAX: usize = 128;

/// Puts something better in place of what was counted, if there is; returns the replications that this took.
fn improve(plan: &Plan<'_>, target: Target, options: &Options, event: &mut EventOutcome, curve: &mut Vec<f64>) -> u64 {
    if let Some(exact) = exact(plan, target) {
        event.by_horizon = Estimate::exact(exact);
        return 0;
    }
    let error = |estimate: &Estimate| estimate.relative_error.unwrap_or(f64::MAX);
    let is_long = plan.model.sites.len() > WALKED_SITES_MAX || options.rare_replications_max == 0;
    if is_long || error(&event.by_horizon) <= options.relative_error || rare::check(plan.model).is_err() {
        return 0;
    }
    let mut found = rare::by_horizon(plan, target, options);
    let is_even = found.by_horizon.method == Method::Weighted;
    if !is_even {
        // Counting bounds it, even if it saw nothing.
        found.by_horizon.high95 = event.by_horizon.high95;
    }
    let is_better = if is_even {
        error(&found.by_horizon) < error(&event.by_horizon)
    } else {
        event.by_horizon.relative_error.is_none() && found.by_horizon.estimate < event.by_horizon.high95
    };
    if is_better {
        event.by_horizon = found.by_horizon;
        event.causes = answer::causes(plan, &found.causes);
        *curve = found.curve;
    }
    found.replications
}

fn exact(plan: &Plan<'_>, target: Target) -> Option<f64> {
    match target {
        Target::Loss => solved::loss(plan.model),
        Target::Disclosure if !plan.can_disclose => Some(0.0),
        Target::Disclosure => solved::disclosure(plan.model),
    }
}

/// One event of the plan without groups and timeline, by the same choice. It is counted once for both events.
fn independent(
    alone: &Plan<'_>,
    target: Target,
    options: &Options,
    counted_alone: &mut Option<[Estimate; 2]>,
) -> (Estimate, u64) {
    if let Some(exact) = exact(alone, target) {
        return (Estimate::exact(exact), 0);
    }
    let [loss, disclosure] = *counted_alone.get_or_insert_with(|| {
        let tally = in_pool(options.threads, || simulate(alone, options, &|_| ()));
        [counted(tally.lost, tally.replications), counted(tally.disclosed, tally.replications)]
    });
    let by_horizon = match target {
        Target::Loss => loss,
        Target::Disclosure => disclosure,
    };
    let mut event = EventOutcome { by_horizon, independent: None, causes: vec![] };
    let replications = improve(alone, target, options, &mut event, &mut vec![]);
    (event.by_horizon, replications)
}
