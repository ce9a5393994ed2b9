//! A stripe: n sites that hold one shard each, of which k restore the data. Sites are lost one by one at a constant rate
//! and repaired; the chain counts how many are down, and ends at n-k+1.

use super::chain::Chain;
use super::chance::Chance;
use super::count::Count;
use super::refusal::{Impossible, code, not_negative, positive};

/// Who repairs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Repair {
    /// Every lost site at once, each at this rate per year.
    Parallel(f64),
    /// One crew, one site after the other, at this rate per year.
    OneCrew(f64),
    /// Nobody.
    None,
}

/// k of n sites that fail at one rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stripe {
    sites: u32,
    needed: u32,
    loss_per_year: f64,
    repair: Repair,
}

impl Stripe {
    /// `needed` of `sites` shards restore; each site is lost at `loss_per_year`.
    pub fn new(sites: u32, needed: u32, loss_per_year: f64, repair: Repair) -> Result<Self, Impossible> {
        code(sites, needed)?;
        positive("loss rate", loss_per_year)?;
        if let Repair::Parallel(rate) | Repair::OneCrew(rate) = repair {
            not_negative("repair rate", rate)?;
        }
        Ok(Self { sites, needed, loss_per_year, repair })
    }

    /// The same with other sites.
    pub(crate) fn with_sites(self, sites: u32) -> Result<Self, Impossible> {
        Self::new(sites, self.needed, self.loss_per_year, self.repair)
    }

    /// Sites that hold a shard.
    pub fn sites(&self) -> u32 {
        self.sites
    }

    /// Losses that the code survives.
    pub fn spare(&self) -> u32 {
        self.sites - self.needed
    }

    /// Rate per year of the next loss with `down` sites down.
    fn loss(&self, down: u32) -> f64 {
        f64::from(self.sites - down) * self.loss_per_year
    }

    /// Rate per year of the next repair with `down` sites down.
    fn mend(&self, down: u32) -> f64 {
        match self.repair {
            Repair::Parallel(rate) => f64::from(down) * rate,
            Repair::OneCrew(rate) if down > 0 => rate,
            Repair::OneCrew(_) | Repair::None => 0.0,
        }
    }

    /// Mean years to data loss (MTTDL) from all sites up, by `h_0 = 1/l_0`, `h_i = 1/l_i + (mu_i/l_i) h_(i-1)`, where
    /// `h_i` is the mean time from i to i+1 sites down: nothing is subtracted.
    pub fn mean_years_to_loss(&self) -> Result<f64, Impossible> {
        let (mut step, mut sum) = (0.0, 0.0);
        for down in 0..=self.spare() {
            step = (1.0 + self.mend(down) * step) / self.loss(down);
            sum += step;
        }
        positive("mean time to loss", sum)
    }

    /// The textbook first-order form of the same, `(k-1)!/n! mu^m / lambda^(m+1)`, times `m!` with parallel repair.
    ///
    /// It assumes that repair is much faster than loss: 4 % low for 5 of 9 at 0.05 losses per year and repair in 30
    /// days, 2.5 times low for 6 of 9 at 1 per year and 12 repairs per year.
    pub fn mean_years_to_loss_first_order(&self) -> Result<f64, Impossible> {
        if self.spare() > 0 && self.mend(1) <= 0.0 {
            return Err(Impossible::NoRepair);
        }
        let repaired: f64 = (1..=self.spare()).map(|down| self.mend(down) / self.loss(down)).product();
        positive("mean time to loss", repaired / self.loss(0))
    }

    /// States 0 to m are that many sites down; state m+1 is the loss.
    pub fn chain(&self) -> Result<Chain, Impossible> {
        let mut chain = Chain::new(self.spare() as usize + 2)?;
        for down in 0..=self.spare() {
            let state = down as usize;
            chain.lead(state, state + 1, self.loss(down))?;
            if down > 0 {
                chain.lead(state, state - 1, self.mend(down))?;
            }
        }
        Ok(chain)
    }

    /// Probability that the data are lost within `years`, from all sites up, by uniformisation.
    pub fn loss_by(&self, years: f64) -> Result<f64, Impossible> {
        Ok(self.chain()?.after_from(0, years)?.last().copied().unwrap_or(0.0))
    }

    /// Probability that one site down becomes a data loss before all are up again (the gambler's ruin); what importance
    /// sampling and splitting must find.
    pub fn loss_before_all_up(&self) -> Result<f64, Impossible> {
        let (mut product, mut sum) = (1.0, 1.0);
        for down in 1..=self.spare() {
            product *= self.mend(down) / self.loss(down);
            sum += product;
        }
        Ok(1.0 / positive("odds", sum)?)
    }

    /// A site is up: `mu / (lambda + mu)`. Only for parallel repair, where sites do not wait for each other.
    fn up(&self) -> Result<Chance, Impossible> {
        let Repair::Parallel(rate) = self.repair else { return Err(Impossible::NoRepair) };
        Ok(Chance::of(self.loss_per_year / (self.loss_per_year + positive("repair rate", rate)?))?.inverse())
    }

    /// Share of time with fewer than k sites up, when every site comes and goes for ever with parallel repair. It depends
    /// on the mean times alone, so it holds for any law of lifetime and repair.
    pub fn unavailability(&self) -> Result<f64, Impossible> {
        Ok(Count::alike(self.sites, self.up()?)?.fewer_than(self.needed))
    }

    /// How often per year the stripe falls from k sites up to fewer, under the same conditions.
    pub fn falls_per_year(&self) -> Result<f64, Impossible> {
        let edge = Count::alike(self.sites, self.up()?)?.exactly(self.needed);
        Ok(edge * f64::from(self.needed) * self.loss_per_year)
    }
}

/// Mean years to the loss of a mirror of two sites, each lost at `loss_per_year`, whose repair takes exactly
/// `repair_years`: `1/(2 lambda (1-e^(-lambda D))) + 1/lambda`. No Markov chain gives this.
pub fn mirror_with_constant_repair(loss_per_year: f64, repair_years: f64) -> Result<f64, Impossible> {
    let again = Chance::within(positive("loss rate", loss_per_year)?, positive("repair time", repair_years)?)?;
    positive("mean time to loss", 1.0 / (2.0 * loss_per_year * again.yes()) + 1.0 / loss_per_year)
}
