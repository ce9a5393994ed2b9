//! Counts made into an outcome.

use super::super::model::{Law, Model};
use super::super::outcome::{
    Cause, Curves, DatabaseOutcome, Effort, EventOutcome, Method, Outcome, RepairOutcome, Unavailability, counted,
    weighted,
};
use super::Options;
use super::draw::GENERATOR;
use super::plan::{CauseId, Plan};
use super::tally::{Causes, STEPS, Tally};

pub(crate) fn outcome(plan: &Plan<'_>, options: &Options, tally: &Tally) -> Outcome {
    let n = tally.replications;
    let averaged = |moments: super::tally::Moments| weighted(n, moments.sum, moments.squares, Method::Averaged);
    let event = |hits: u64, found: &Causes| EventOutcome {
        by_horizon: counted(hits, n),
        independent: None,
        causes: causes(plan, found),
    };
    let model = plan.model;
    let mut share_of_time = averaged(tally.unavailable_share);
    // A share is at most 1: where none was seen, the rule of three holds for it too.
    share_of_time.high95 = share_of_time.high95.min(if tally.unavailable == 0 { counted(0, n).high95 } else { 1.0 });
    Outcome {
        horizon_years: plan.horizon,
        loss: event(tally.lost, &tally.loss_causes),
        disclosure: event(tally.disclosed, &tally.disclosure_causes),
        unavailability: Unavailability {
            share_of_time,
            any: counted(tally.unavailable, n),
            falls_per_year: averaged(tally.falls),
            causes: causes(plan, &tally.outage_causes),
        },
        curves: curves(plan, tally),
        databases: databases(plan, tally),
        repair: RepairOutcome { repairs_per_year: averaged(tally.repairs), bytes_per_year: averaged(tally.bytes) },
        effort: Effort {
            seed: options.seed,
            replications: n,
            events: tally.events,
            rare_replications: 0,
            site_years: n as f64 * plan.horizon * plan.sites.len() as f64,
            generator: GENERATOR,
        },
        assumptions: assumptions(model),
    }
}

/// At most 20 sets of causes, the likeliest first.
pub(crate) fn causes(plan: &Plan<'_>, found: &Causes) -> Vec<Cause> {
    let total: f64 = found.values().sum();
    let name = |id: &CauseId| plan.causes.get(*id as usize).cloned().unwrap_or_default();
    let mut causes: Vec<Cause> = found
        .iter()
        .map(|(together, weight)| Cause { together: together.iter().map(name).collect(), share: weight / total })
        .collect();
    causes.sort_by(|a, b| b.share.total_cmp(&a.share));
    causes.truncate(20);
    for cause in &mut causes {
        cause.together.sort();
    }
    causes
}

fn curves(plan: &Plan<'_>, tally: &Tally) -> Curves {
    let n = tally.replications as f64;
    let sums = |steps: &[u64]| {
        let mut sum = 0;
        let mut sum_up = |count: &u64| {
            sum += count;
            sum as f64 / n
        };
        steps.iter().take(STEPS + 1).map(&mut sum_up).collect()
    };
    let mut down = 0_i64;
    let unavailable = tally.falls_in_step.iter().take(STEPS + 1).map(|change| {
        down += change;
        down as f64 / n
    });
    Curves {
        years: (0..=STEPS).map(|step| plan.horizon * step as f64 / STEPS as f64).collect(),
        lost: sums(&tally.lost_in_step),
        disclosed: sums(&tally.disclosed_in_step),
        unavailable: unavailable.collect(),
    }
}

fn databases(plan: &Plan<'_>, tally: &Tally) -> Vec<DatabaseOutcome> {
    let found = tally.rpo.iter().zip(&tally.rto);
    let outcome = |(database, (rpo, rto)): (&super::super::model::Database, (&_, &_))| {
        let (rpo, rto): (&super::histogram::Histogram, &super::histogram::Histogram) = (rpo, rto);
        DatabaseOutcome { name: database.name.clone(), rpo_hours: rpo.distribution(), rto_hours: rto.distribution() }
    };
    plan.model.databases.iter().zip(found).map(outcome).collect()
}

/// What the figures rest on, in sentences.
fn assumptions(model: &Model) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    let mut say = |sentence: &str| said.push(sentence.to_owned());
    say("Everything is whole at the start.");
    say(
        "Loss: fewer than data_shards intact shards, or fewer than threshold shares, anywhere; home's live databases do not count.",
    );
    say(if model.code.ciphertext_is_public {
        "Disclosure: threshold shares of one epoch captured; the sealed data are taken to be known."
    } else {
        "Disclosure: threshold shares of one epoch and data_shards shards captured, each from a different site."
    });
    say("A site that was repaired is like the one before, with a new lifetime.");
    if model.sites.iter().any(|site| site.loss.is_some()) {
        say("Sites fail independently of each other but for groups and timeline.");
    }
    if model.sites.iter().any(|site| site.repair.is_none() && (site.loss.is_some() || site.seized_per_year > 0.0)) {
        say("Sites without a repair time stay lost.");
    }
    if model.policy.audit_years.is_none() && model.sites.iter().any(|site| site.rot_per_year > 0.0) {
        say("There are no audits: rot is never found.");
    }
    if model.code.refresh_years.is_some() {
        say("A refresh succeeds at once when threshold shares are up, and makes older captured shares worthless.");
    }
    if model.policy.uplink_share.is_some() {
        say("The lines that a repair uses are divided among the repairs under way when it begins, and not again.");
    }
    if model.groups.iter().any(|group| group.per_year > 0.0) {
        say("Groups are struck at constant rates, independently of each other.");
    }
    let not_exponential = |law: &Law| law.rate().is_none();
    if model.sites.iter().filter_map(|site| site.loss.as_ref()).any(not_exponential) {
        say("Sites age: lifetimes are not exponential, and every site is new at the start.");
    }
    if !model.databases.is_empty() {
        say("Home is lost at a time that does not depend on when snapshots are made.");
    }
    said
}
