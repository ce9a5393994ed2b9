//! Which assumption matters: each factor of a model halved and doubled by itself, everything else as it was.

mod factor;

use serde::Serialize;

pub use factor::Factor;

use super::figures::{Figure, Figures, overlap, ranked};
use crate::fate::model::Model;
use crate::fate::outcome::Outcome;

/// What each factor does to the figures, the strongest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sensitivity {
    /// With every factor as it is.
    pub base: Figures,
    /// One per factor.
    pub swings: Vec<Swing>,
}

/// What one factor does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Swing {
    /// In words.
    pub factor: String,
    /// The figures with half of it.
    pub halved: Figures,
    /// The figures with twice of it; a chance stops at 1.
    pub doubled: Figures,
    /// Loss, disclosure, unavailability: the exponent by which the figure follows the factor, over the whole range. 1 is in
    /// proportion, -1 in inverse proportion; `None` where nothing was seen at one end.
    pub elasticity: [Option<f64>; 3],
}

impl Swing {
    /// One of the elasticities.
    pub const fn elasticity(&self, figure: Figure) -> Option<f64> {
        let [loss, disclosure, unavailability] = self.elasticity;
        match figure {
            Figure::Loss => loss,
            Figure::Disclosure => disclosure,
            Figure::Unavailability => unavailability,
        }
    }

    /// Whether the two ends differ by more than their intervals.
    pub fn is_distinct(&self, figure: Figure) -> bool {
        !overlap(self.halved.get(figure), self.doubled.get(figure))
    }

    /// Logarithm of what the factor can do to the figure, for sorting.
    pub fn width(&self, base: &Figures, figure: Figure) -> f64 {
        let logs = [&self.halved, base, &self.doubled].map(|figures| libm::log(ranked(figures.get(figure))));
        let (low, high) = logs.iter().fold((f64::MAX, f64::MIN), |(low, high), log| (low.min(*log), high.max(*log)));
        if low.is_finite() && high.is_finite() { high - low } else { 0.0 }
    }
}

/// Halves and doubles every factor that the model has; `estimate` must use the same seed every time. `progress` is told how
/// many of how many estimates are done.
///
/// # Errors
/// The first error of `estimate`.
pub fn sensitivity<E>(
    model: &Model,
    mut estimate: impl FnMut(&Model) -> Result<Outcome, E>,
    mut progress: impl FnMut(usize, usize),
) -> Result<Sensitivity, E> {
    let factors = Factor::of(model);
    let total = 2 * factors.len() + 1;
    let mut done = 0;
    let mut figures = |model: &Model| {
        let outcome = estimate(model)?;
        done += 1;
        progress(done, total);
        Ok(Figures::of(&outcome))
    };
    let base = figures(model)?;
    let mut swings = Vec::new();
    for factor in factors {
        let halved = figures(&factor.scaled(model, 0.5))?;
        let doubled = figures(&factor.scaled(model, 2.0))?;
        let exponent = |figure| {
            let (half, double) = (halved.get(figure).estimate, doubled.get(figure).estimate);
            (half > 0.0 && double > 0.0).then(|| libm::log(double / half) / libm::log(4.0))
        };
        let elasticity = Figure::ALL.map(exponent);
        swings.push(Swing { factor: factor.name(model), halved, doubled, elasticity });
    }
    // What the missions do not tell apart comes last.
    let weight =
        |swing: &Swing, figure| swing.width(&base, figure) * if swing.is_distinct(figure) { 1.0 } else { 1e-3 };
    let widest = |swing: &Swing| Figure::ALL.iter().map(|figure| weight(swing, *figure)).fold(0.0, f64::max);
    swings.sort_by(|a, b| widest(b).total_cmp(&widest(a)).then_with(|| a.factor.cmp(&b.factor)));
    Ok(Sensitivity { base, swings })
}

#[cfg(test)]
mod tests;
