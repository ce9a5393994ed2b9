//! Thresholds that must be reached within one period: shares captured between two refreshes, shards lost in silence
//! between two audits.

use super::chance::{Chance, at_least_once};
use super::count::Count;
use super::refusal::{Impossible, code, positive};

/// Probability that `threshold` or more of the sites, each hit at its own rate per year, are hit within `years` and none
/// is put right meanwhile. For disclosure the threshold is k; for loss it is n-k+1.
pub fn reached(per_year: &[f64], threshold: u32, years: f64) -> Result<f64, Impossible> {
    let hits: Vec<Chance> = per_year.iter().map(|&rate| Chance::within(rate, years)).collect::<Result<_, _>>()?;
    Ok(Count::of(&hits)?.at_least(threshold))
}

/// The same within some period of `period` years during `years`, where each period begins afresh:
/// `1 - (1-q(D))^(T/D)`. A refresh makes the shares captured before it worthless; an audit repairs what was lost.
///
/// It assumes that the refresh or repair succeeds at once with the sites that are left.
pub fn reached_in_a_period(q: f64, period: f64, years: f64) -> Result<f64, Impossible> {
    at_least_once(q, years / positive("period", period)?)
}

/// Probability that `sites` alike, each captured at `per_year`, disclose a secret of threshold `needed` within `years`;
/// with `refresh` years between refreshes, or none.
pub fn disclosed(sites: u32, needed: u32, per_year: f64, years: f64, refresh: Option<f64>) -> Result<f64, Impossible> {
    code(sites, needed)?;
    let within = |years| Ok(Count::alike(sites, Chance::within(per_year, years)?)?.at_least(needed));
    match refresh {
        Some(period) => reached_in_a_period(within(period)?, period, years),
        None => within(years),
    }
}

/// Probability that data of `needed` of `sites`, whose shards are lost in silence at `per_year` each, are lost within
/// `years` when only an audit every `audit` years finds losses and repairs at once. Backblaze's durability model.
pub fn lost_between_audits(sites: u32, needed: u32, per_year: f64, years: f64, audit: f64) -> Result<f64, Impossible> {
    let spare = code(sites, needed)?;
    let lost = Count::alike(sites, Chance::within(per_year, audit)?)?.at_least(spare + 1);
    reached_in_a_period(lost, audit, years)
}
