//! The chance of an event together with the chance of its complement, so that neither is found by subtraction.

use super::refusal::{Impossible, not_negative, positive, probability};

/// An event that happens with probability `yes` and does not with probability `no`; they sum to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chance {
    yes: f64,
    no: f64,
}

impl Chance {
    /// An event of a known probability. Its complement is rounded: below 1e-16 of either side nothing is left.
    pub fn of(yes: f64) -> Result<Self, Impossible> {
        probability("probability", yes).map(|yes| Self { yes, no: 1.0 - yes })
    }

    /// An event at a constant rate (per year) happens within `years`.
    pub fn within(per_year: f64, years: f64) -> Result<Self, Impossible> {
        Ok(Self::of_hazard(not_negative("rate", per_year)? * not_negative("years", years)?))
    }

    /// A lifetime of Weibull's law ends within `years`; `scale` in years, a `shape` above 1 wears out.
    pub fn weibull(shape: f64, scale: f64, years: f64) -> Result<Self, Impossible> {
        let age = not_negative("years", years)? / positive("scale", scale)?;
        Ok(Self::of_hazard(libm::pow(age, positive("shape", shape)?)))
    }

    /// An event with this hazard, summed over the time: `1 - e^-hazard`.
    fn of_hazard(hazard: f64) -> Self {
        Self { yes: -libm::expm1(-hazard), no: libm::exp(-hazard) }
    }

    /// That it happens.
    pub fn yes(self) -> f64 {
        self.yes
    }

    /// That it does not.
    pub fn no(self) -> f64 {
        self.no
    }

    /// The complement.
    #[must_use]
    pub fn inverse(self) -> Self {
        Self { yes: self.no, no: self.yes }
    }

    /// Both of two independent events.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { yes: self.yes * other.yes, no: self.no + self.yes * other.no }
    }
}

/// At least once in `tries` independent tries, which need not be whole: `1 - (1-q)^tries` without the subtractions.
///
/// Plain doubles lose the fraction of a period here: the figures of Backblaze's durability table for five and more
/// failures are 0.27 % low for that reason.
pub fn at_least_once(each: f64, tries: f64) -> Result<f64, Impossible> {
    let (each, tries) = (probability("probability", each)?, not_negative("tries", tries)?);
    if tries <= 0.0 {
        return Ok(0.0);
    }
    Ok(-libm::expm1(tries * libm::log1p(-each)))
}

/// Probability within `years` of an event that takes `mean_years` on average, as if it came at a constant rate.
///
/// From a new system the first year is better than this: no site is down yet.
pub fn by_mean_time(mean_years: f64, years: f64) -> Result<f64, Impossible> {
    Ok(Chance::within(1.0 / positive("mean time", mean_years)?, years)?.yes())
}

/// The rate per year that zero events in `years` exclude with this confidence: for 0.95 the "rule of three".
pub fn rate_excluded(years: f64, confidence: f64) -> Result<f64, Impossible> {
    let doubt = 1.0 - probability("confidence", confidence)?;
    Ok(-libm::log(positive("doubt", doubt)?) / positive("years", years)?)
}
