//! Quantiles of a [`Distribution`], with the interval that its samples allow.

use crate::fate::outcome::{Distribution, Estimate, Method, counted};

/// Share of samples at or below `value`, with its 95 % interval. The points of the distribution are some way apart: the
/// interval is widened to the points on both sides.
pub fn share_within(distribution: &Distribution, value: f64) -> Estimate {
    let below = distribution.ecdf.iter().rev().find(|(at, _)| *at <= value).map_or(0.0, |(_, share)| *share);
    let above = distribution.ecdf.iter().find(|(at, _)| *at >= value).map_or(1.0 - distribution.never, |(_, s)| *s);
    let low = counted(hits(below, distribution.samples), distribution.samples);
    let high = counted(hits(above.max(below), distribution.samples), distribution.samples);
    Estimate { low95: low.low95, high95: high.high95, ..low }
}

/// The quantile of order `share`, with the points between which it lies with 95 %; `None` where that share never ends
/// or there are no samples,
/// and an upper end of [`f64::MAX`] where the samples do not exclude it.
pub fn quantile(distribution: &Distribution, share: f64) -> Option<Estimate> {
    let first = |wanted: f64| distribution.ecdf.iter().find(|(_, at)| *at >= wanted).map(|(value, _)| *value);
    let interval = counted(hits(share, distribution.samples), distribution.samples);
    if distribution.samples == 0 {
        return None;
    }
    let stored = [(0.5, distribution.p50), (0.95, distribution.p95), (0.99, distribution.p99)];
    let stored = stored.into_iter().find(|(of, _)| (of - share).abs() < 1e-9);
    let estimate = stored.map_or_else(|| first(share), |(_, value)| value)?;
    let before = distribution.ecdf.iter().rev().find(|(_, at)| *at < interval.low95.min(share));
    let low95 = before.map_or(0.0, |(value, _)| value.min(estimate));
    let high95 = first(interval.high95).unwrap_or(f64::MAX).max(estimate);
    let relative_error = (estimate > 0.0 && high95 < f64::MAX).then(|| (high95 - low95) / estimate / 3.92);
    Some(Estimate { estimate, low95, high95, relative_error, method: Method::Counted })
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a count of samples is between zero and that count, and counts are below 2^53"
)]
fn hits(share: f64, samples: u64) -> u64 {
    (libm::round(share.clamp(0.0, 1.0) * samples as f64) as u64).min(samples)
}
