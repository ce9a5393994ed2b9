//! How many events out of several happen. Every distribution is built from products and sums of probabilities.

use super::chance::Chance;
use super::refusal::{Impossible, SITES_MAX, countable, not_negative};

/// Probability of each number of events, from zero up.
#[derive(Debug, Clone, PartialEq)]
pub struct Count {
    weights: Vec<f64>,
}

impl Count {
    /// No event at all: the count is zero.
    pub fn none() -> Self {
        Self { weights: vec![1.0] }
    }

    /// Independent events of one probability: the binomial law.
    pub fn alike(events: u32, each: Chance) -> Result<Self, Impossible> {
        let mut count = Self::none();
        for _ in 0..countable(events)? {
            count.include(each);
        }
        Ok(count)
    }

    /// Independent events of different probabilities: the Poisson-binomial law, by convolution.
    pub fn of(events: &[Chance]) -> Result<Self, Impossible> {
        countable(u32::try_from(events.len()).unwrap_or(u32::MAX))?;
        let mut count = Self::none();
        for &each in events {
            count.include(each);
        }
        Ok(count)
    }

    fn include(&mut self, event: Chance) {
        let mut below = 0.0;
        self.weights.push(0.0);
        for weight in &mut self.weights {
            let here = *weight;
            *weight = here * event.no() + below * event.yes();
            below = here;
        }
    }

    /// The sum of two independent counts.
    pub fn plus(&self, other: &Self) -> Result<Self, Impossible> {
        let events = self.most().saturating_add(other.most());
        if events > SITES_MAX as usize {
            let (given, limit) = (events as f64, f64::from(SITES_MAX));
            return Err(Impossible::TooMany { what: "events", given, limit });
        }
        let mut weights = vec![0.0; events + 1];
        for (i, a) in self.weights.iter().enumerate() {
            for (weight, b) in weights.iter_mut().skip(i).zip(&other.weights) {
                *weight += a * b;
            }
        }
        Ok(Self { weights })
    }

    /// With the shock all events happen at once; without it, as before.
    #[must_use]
    pub fn or_all_at_once(mut self, shock: Chance) -> Self {
        for weight in &mut self.weights {
            *weight *= shock.no();
        }
        if let Some(all) = self.weights.last_mut() {
            *all += shock.yes();
        }
        self
    }

    fn most(&self) -> usize {
        self.weights.len().saturating_sub(1)
    }

    /// Probability of exactly this many.
    pub fn exactly(&self, events: u32) -> f64 {
        self.weights.get(events as usize).copied().unwrap_or(0.0)
    }

    /// Probability of this many or more. The far terms, mostly the smallest, are added first.
    pub fn at_least(&self, events: u32) -> f64 {
        total(self.weights.iter().skip(events as usize).rev())
    }

    /// Probability of fewer.
    pub fn fewer_than(&self, events: u32) -> f64 {
        total(self.weights.iter().take(events as usize))
    }

    /// How many of `drawn` out of `all` are among the `marked`: the hypergeometric law.
    ///
    /// Weatherspoon and Kubiatowicz 2002 use it for blocks on machines of which a tenth is down.
    pub fn drawn(all: u32, marked: u32, drawn: u32) -> Result<Self, Impossible> {
        countable(drawn)?;
        for (what, part) in [("marked", marked), ("drawn", drawn)] {
            if part > all {
                return Err(Impossible::OutOfRange { what, value: f64::from(part) });
            }
        }
        let weights = (0..=drawn).map(|hits| chance_of_hits(all, marked, drawn, hits)).collect();
        Ok(Self { weights })
    }
}

/// A sum of probabilities that exclude each other. Rounding may carry it past 1 by the last digit, and no further.
fn total<'a>(weights: impl Iterator<Item = &'a f64>) -> f64 {
    weights.fold(0.0, |sum, weight| sum + weight).min(1.0)
}

/// C(drawn, hits) times the chance that first `hits` marked ones come, then only others.
fn chance_of_hits(all: u32, marked: u32, drawn: u32, hits: u32) -> f64 {
    let mut chance = 1.0;
    for i in 0..hits {
        chance *= f64::from(marked.saturating_sub(i)) / f64::from(all - i);
        chance *= f64::from(drawn - i) / f64::from(i + 1);
    }
    for i in 0..drawn - hits {
        chance *= f64::from((all - marked).saturating_sub(i)) / f64::from(all - hits - i);
    }
    chance
}

/// Probability of at most `events` of a Poisson law with this mean, at most 700.
///
/// Storj's whitepaper (v3, section 3.4) counts lost pieces so; more pieces than there are can be lost.
pub fn poisson_at_most(mean: f64, events: u32) -> Result<f64, Impossible> {
    if not_negative("mean", mean)? > 700.0 {
        return Err(Impossible::TooMany { what: "Poisson mean", given: mean, limit: 700.0 });
    }
    let mut term = libm::exp(-mean);
    let mut sum = term;
    for i in 1..=countable(events)? {
        term *= mean / f64::from(i);
        sum += term;
    }
    Ok(sum.min(1.0))
}
