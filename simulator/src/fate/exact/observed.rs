//! Repair that sees only what audits have found, and may wait until enough is missing.
//!
//! The chain is that of the Codex whitepaper (section 5.4): `l` shards are lost and `f` of these have been noticed. Each
//! shard is audited at its own random times; repair starts at `f = l0`, and one repair restores everything.

use super::chain::Chain;
use super::refusal::{Impossible, code, positive};

/// An audited stripe with lazy repair. Rates are per year.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// Sites that hold a shard.
    pub sites: u32,
    /// Shards that restore.
    pub needed: u32,
    /// Loss of one shard.
    pub loss: f64,
    /// Audits of one shard.
    pub audit: f64,
    /// Repairs of everything, once begun.
    pub repair: f64,
    /// Losses noticed before repair begins: 1 is eager.
    pub patience: u32,
}

impl Observed {
    /// The chain, its first state, and the state of loss.
    fn chain(&self) -> Result<(Chain, usize, usize), Impossible> {
        let spare = code(self.sites, self.needed)?;
        positive("loss rate", self.loss)?;
        positive("audit rate", self.audit)?;
        positive("repair rate", self.repair)?;
        if self.patience == 0 {
            return Err(Impossible::OutOfRange { what: "losses before repair", value: 0.0 });
        }
        // Row l holds the states f = 0..=l, so it begins at l (l+1) / 2.
        let number = |lost: u32, noticed: u32| (lost as usize * (lost as usize + 1)) / 2 + noticed as usize;
        let end = number(spare + 1, 0);
        let mut chain = Chain::new(end + 1)?;
        for lost in 0..=spare {
            for noticed in 0..=lost {
                let here = number(lost, noticed);
                let next = if lost == spare { end } else { number(lost + 1, noticed) };
                chain.lead(here, next, f64::from(self.sites - lost) * self.loss)?;
                if noticed < lost {
                    chain.lead(here, here + 1, f64::from(lost - noticed) * self.audit)?;
                }
                if noticed >= self.patience {
                    chain.lead(here, 0, self.repair)?;
                }
            }
        }
        Ok((chain, 0, end))
    }

    /// Mean years to data loss, from nothing lost.
    pub fn mean_years_to_loss(&self) -> Result<f64, Impossible> {
        let (chain, start, _) = self.chain()?;
        chain.mean_time_to_end(start)
    }

    /// Probability that the data are lost within `years`, from nothing lost.
    pub fn loss_by(&self, years: f64) -> Result<f64, Impossible> {
        let (chain, start, end) = self.chain()?;
        Ok(chain.after_from(start, years)?.get(end).copied().unwrap_or(0.0))
    }
}
