//! The three figures by which plans are compared.

use serde::Serialize;

use crate::fate::outcome::{Estimate, Outcome};

/// Loss, disclosure and unavailability of one plan.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Losses per year, as a constant rate over the horizon.
    pub loss: Estimate,
    /// Disclosures per year, as a constant rate over the horizon.
    pub disclosure: Estimate,
    /// Share of the time without service.
    pub unavailability: Estimate,
}

/// One of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// Data loss.
    Loss,
    /// Disclosure.
    Disclosure,
    /// Time without service.
    Unavailability,
}

impl Figure {
    /// All three, in the order of a report.
    pub const ALL: [Self; 3] = [Self::Loss, Self::Disclosure, Self::Unavailability];

    /// As a person says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Disclosure => "disclosure",
            Self::Unavailability => "unavailability",
        }
    }
}

impl Figures {
    /// Those of an outcome.
    pub fn of(outcome: &Outcome) -> Self {
        // A share of the time is no larger than the chance of any such time.
        let service = &outcome.unavailability;
        let share = service.share_of_time;
        let most = share.high95.min(service.any.high95).max(share.estimate);
        Self {
            loss: outcome.loss.by_horizon.per_year(outcome.horizon_years),
            disclosure: outcome.disclosure.by_horizon.per_year(outcome.horizon_years),
            unavailability: Estimate { high95: most, ..share },
        }
    }

    /// One of the three.
    pub const fn get(&self, figure: Figure) -> &Estimate {
        match figure {
            Figure::Loss => &self.loss,
            Figure::Disclosure => &self.disclosure,
            Figure::Unavailability => &self.unavailability,
        }
    }
}

/// The value to rank by: what was seen at zero may be as large as its upper end.
pub fn ranked(estimate: &Estimate) -> f64 {
    if estimate.estimate > 0.0 { estimate.estimate } else { estimate.high95 }
}

/// Whether two intervals have a point in common.
pub fn overlap(first: &Estimate, second: &Estimate) -> bool {
    first.low95 <= second.high95 && second.low95 <= first.high95
}
