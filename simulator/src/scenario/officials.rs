//! Officials are captured one by one and replaced; a quorum of captured keys opens everything, since every site obeys an
//! order that holds. What befalls the officials is independent of what befalls the sites, so it is solved by itself, as
//! a chain, and put together with the outcome of the sites.

use crate::fate::exact::refusal::Impossible;
use crate::fate::exact::stripe::{Repair, Stripe};
use crate::fate::outcome::{Cause, Estimate, Outcome};

use super::file::Officials;

/// What the table of causes calls it.
pub const CAUSE: &str = "a quorum of officials captured";

/// The chance that a quorum is captured at once within `years`: each official at a constant rate, each replaced after an
/// exponential time.
///
/// # Errors
/// The rate of capture, or the time until replacement, is zero.
pub fn quorum_captured(officials: Officials, years: f64) -> Result<f64, Impossible> {
    let free = officials.total - officials.quorum + 1;
    let replaced = Repair::Parallel(1.0 / officials.replaced_after.years());
    Stripe::new(officials.total, free, officials.captured_every.per_year(), replaced)?.loss_by(years)
}

/// Adds the capture of officials to what the sites disclose.
///
/// # Errors
/// As [`quorum_captured`].
pub fn add(outcome: &mut Outcome, officials: Officials) -> Result<(), Impossible> {
    if officials.captured_every.per_year() <= 0.0 {
        return Ok(());
    }
    let chance = quorum_captured(officials, outcome.horizon_years)?;
    let disclosure = &mut outcome.disclosure;
    let (sites, both) = (disclosure.by_horizon.estimate, either(disclosure.by_horizon.estimate, chance));
    disclosure.by_horizon = with(&disclosure.by_horizon, chance);
    disclosure.independent = disclosure.independent.as_ref().map(|alone| with(alone, chance));
    if both > 0.0 {
        disclosure.causes.iter_mut().for_each(|cause| cause.share *= sites / both);
        disclosure.causes.push(Cause { together: vec![CAUSE.to_owned()], share: (both - sites) / both });
        disclosure.causes.sort_by(|a, b| b.share.total_cmp(&a.share));
    }
    // Over the mission the capture of a quorum comes at a constant rate, but for the first weeks.
    let rate = -libm::log1p(-chance) / outcome.horizon_years;
    for (years, disclosed) in outcome.curves.years.iter().zip(&mut outcome.curves.disclosed) {
        *disclosed = either(*disclosed, -libm::expm1(-rate * years));
    }
    outcome.assumptions.push(format!(
        "A quorum of {} captured officials discloses everything; officials are captured independently of the sites and of \
         each other.",
        officials.quorum
    ));
    Ok(())
}

/// One of two independent events.
fn either(first: f64, second: f64) -> f64 {
    first + second * (1.0 - first)
}

/// An estimate of the sites together with the exact chance of the officials: the error of the sites is all there is.
fn with(sites: &Estimate, officials: f64) -> Estimate {
    let both = either(sites.estimate, officials);
    Estimate {
        estimate: both,
        low95: either(sites.low95, officials),
        high95: either(sites.high95, officials),
        relative_error: sites.relative_error.filter(|_| both > 0.0).map(|error| error * sites.estimate / both),
        method: sites.method,
    }
}
