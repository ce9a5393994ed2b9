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
    let either = |sites: f64| sites + chance * (1.0 - sites);
    let disclosure = &mut outcome.disclosure;
    let (sites, both) = (disclosure.by_horizon.estimate, either(disclosure.by_horizon.estimate));
    let with = |estimate: &Estimate| Estimate {
        estimate: either(estimate.estimate),
        low95: either(estimate.low95),
        high95: either(estimate.high95),
        // The part of the officials is exact: the error of the sites is all there is.
        relative_error: estimate.relative_error.map(|error| error * estimate.estimate / either(estimate.estimate)),
        method: estimate.method,
    };
    disclosure.by_horizon = with(&disclosure.by_horizon);
    disclosure.independent = disclosure.independent.as_ref().map(with);
    if both > 0.0 {
        disclosure.causes.iter_mut().for_each(|cause| cause.share *= sites / both);
        disclosure.causes.push(Cause { together: vec![CAUSE.to_owned()], share: (both - sites) / both });
        disclosure.causes.sort_by(|a, b| b.share.total_cmp(&a.share));
    }
    for (years, disclosed) in outcome.curves.years.iter().zip(&mut outcome.curves.disclosed) {
        let by_then = quorum_captured(officials, *years)?;
        *disclosed += by_then * (1.0 - *disclosed);
    }
    outcome.assumptions.push(format!(
        "A quorum of {} captured officials discloses everything; officials are captured independently of the sites and of \
         each other.",
        officials.quorum
    ));
    Ok(())
}
