//! Many stripes over many sites, when a share of the sites dies at once (Cidon et al., Copysets, USENIX ATC 2013). The
//! more different sets of sites hold a stripe, the likelier that some set dies, and the less is lost with it.

use super::chance::at_least_once;
use super::count::Count;
use super::refusal::{Impossible, code};

/// Probability that a stripe of `needed` of `sites`, drawn at random from `all` sites of which `failed` died, is lost.
pub fn stripe_lost(all: u32, failed: u32, sites: u32, needed: u32) -> Result<f64, Impossible> {
    let spare = code(sites, needed)?;
    Ok(Count::drawn(all, failed, sites)?.at_least(spare + 1))
}

/// Probability that at least one of `sets` independent random sets is lost.
pub fn any_lost(all: u32, failed: u32, sites: u32, needed: u32, sets: f64) -> Result<f64, Impossible> {
    at_least_once(stripe_lost(all, failed, sites, needed)?, sets)
}
