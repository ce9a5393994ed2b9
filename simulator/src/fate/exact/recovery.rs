//! How long a restore takes, how much was not yet replicated, and what repair moves. Units of time and data are the
//! caller's: what goes in comes out.

use super::chance::Chance;
use super::count::Count;
use super::refusal::{Impossible, code, not_negative, positive, probability};

/// Mean time until `needed` of `sites` have answered, each after an exponential time of this mean:
/// `(H_n - H_(n-k)) mean`, the mean of the k-th order statistic.
pub fn mean_time_to_collect(sites: u32, needed: u32, mean: f64) -> Result<f64, Impossible> {
    let spare = code(sites, needed)?;
    let sum: f64 = (spare + 1..=sites).rev().map(|left| 1.0 / f64::from(left)).sum();
    Ok(positive("mean answer time", mean)? * sum)
}

/// Probability that `needed` of `sites` have answered, each having done so with the chance `answered`.
pub fn collected(sites: u32, needed: u32, answered: Chance) -> Result<f64, Impossible> {
    code(sites, needed)?;
    Ok(Count::alike(sites, answered)?.at_least(needed))
}

/// Time to move `size` from `needed` sites at once: the slower of the receiving line and of one site's share.
pub fn transfer_time(size: f64, needed: u32, site_speed: f64, ingress_speed: f64) -> Result<f64, Impossible> {
    let size = not_negative("size", size)?;
    let shard = size / positive("needed", f64::from(needed))?;
    Ok((shard / positive("site speed", site_speed)?).max(size / positive("ingress speed", ingress_speed)?))
}

/// Age of the newest replicated snapshot (RPO) when a disaster comes at a random time: this quantile of `U(0, period)`
/// plus `lag`. The mean is the quantile 0.5.
pub fn data_not_replicated(period: f64, lag: f64, quantile: f64) -> Result<f64, Impossible> {
    let reached = probability("quantile", quantile)? * not_negative("period", period)?;
    Ok(reached + not_negative("lag", lag)?)
}

/// Data read per year by eager repair: each of `sites` is lost at `loss_per_year`, and a new shard of a `size / k` costs
/// a read of k shards.
pub fn eager_repair_traffic(sites: u32, loss_per_year: f64, size: f64) -> Result<f64, Impossible> {
    Ok(f64::from(sites) * not_negative("loss rate", loss_per_year)? * not_negative("size", size)?)
}

/// Data moved by lazy repair per unit of time and of stored data (Storj whitepaper v3, section 7.1): pieces with this
/// mean time to failure decay from n to `threshold`, then k are read and the missing ones written.
pub fn lazy_repair_ratio(sites: u32, needed: u32, threshold: u32, mean_time: f64) -> Result<f64, Impossible> {
    code(sites, needed)?;
    code(sites, threshold)?;
    if threshold < needed || threshold == sites {
        return Err(Impossible::OutOfRange { what: "repair threshold", value: f64::from(threshold) });
    }
    let missing = f64::from(sites - threshold);
    let cycle = positive("mean time", mean_time)? * libm::log1p(missing / f64::from(threshold));
    Ok((f64::from(needed) + missing) / (f64::from(needed) * cycle))
}
