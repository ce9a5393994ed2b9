//! Two outcomes side by side.

use serde::Serialize;

use super::figures::{Figure, Figures, overlap};
use super::quantile::quantile;
use crate::fate::outcome::{DatabaseOutcome, Distribution, Estimate, Outcome};

/// Every figure that two outcomes share.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What the two are called.
    pub names: [String; 2],
    /// Both had the same seed and as many missions. Where the plans are alike their chance events are then the same ones, and
    /// a difference is sharper than the intervals say.
    pub common_seed: bool,
    /// One per figure.
    pub rows: Vec<Row>,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Events per year.
    PerYear,
    /// Share of the time.
    Share,
    /// Hours.
    Hours,
    /// Bytes per year.
    BytesPerYear,
}

/// One figure of both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// In words.
    pub figure: String,
    /// What it counts.
    pub unit: Unit,
    /// Of the first.
    pub first: Estimate,
    /// Of the second.
    pub second: Estimate,
    /// Second minus first.
    pub difference: f64,
    /// Second divided by first; `None` where the first is zero.
    pub ratio: Option<f64>,
    /// What can be said.
    pub contrast: Contrast,
}

/// What can be said of two intervals. Of every figure here less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contrast {
    /// The same figure.
    Equal,
    /// The intervals overlap: the missions do not tell the two apart.
    Open,
    /// The second is lower, and the intervals do not overlap.
    SecondLower,
    /// The second is higher, and the intervals do not overlap.
    SecondHigher,
}

/// Compares what both outcomes have; databases by their names.
pub fn compare(names: [String; 2], first: &Outcome, second: &Outcome) -> Comparison {
    let (figures, others) = (Figures::of(first), Figures::of(second));
    let mut rows: Vec<Row> = Figure::ALL
        .iter()
        .map(|figure| {
            let unit = if *figure == Figure::Unavailability { Unit::Share } else { Unit::PerYear };
            row(figure.name().to_owned(), unit, *figures.get(*figure), *others.get(*figure))
        })
        .collect();
    for database in &first.databases {
        if let Some(other) = second.databases.iter().find(|other| other.name == database.name) {
            rows.extend(hours(database, other));
        }
    }
    let traffic = [&first.repair.bytes_per_year, &second.repair.bytes_per_year];
    if traffic.iter().any(|bytes| bytes.estimate > 0.0) {
        rows.push(row("repair traffic".to_owned(), Unit::BytesPerYear, *traffic[0], *traffic[1]));
    }
    let (effort, other) = (&first.effort, &second.effort);
    let common_seed = effort.seed == other.seed && effort.replications == other.replications;
    Comparison { names, common_seed, rows }
}

fn hours(database: &DatabaseOutcome, other: &DatabaseOutcome) -> Vec<Row> {
    let pairs: [(&str, &str, f64, &Distribution, &Distribution); 3] = [
        ("RTO", "half", 0.5, &database.rto_hours, &other.rto_hours),
        ("RTO", "95 of 100", 0.95, &database.rto_hours, &other.rto_hours),
        ("RPO", "95 of 100", 0.95, &database.rpo_hours, &other.rpo_hours),
    ];
    let rows = pairs.into_iter().filter_map(|(what, part, share, first, second)| {
        let name = format!("{what} of {}, {part}", database.name);
        Some(row(name, Unit::Hours, quantile(first, share)?, quantile(second, share)?))
    });
    rows.collect()
}

fn row(figure: String, unit: Unit, first: Estimate, second: Estimate) -> Row {
    let contrast =
        if first.estimate.total_cmp(&second.estimate).is_eq() && first.high95.total_cmp(&second.high95).is_eq() {
            Contrast::Equal
        } else if overlap(&first, &second) {
            Contrast::Open
        } else if second.high95 < first.low95 {
            Contrast::SecondLower
        } else {
            Contrast::SecondHigher
        };
    let ratio = (first.estimate > 0.0).then(|| second.estimate / first.estimate);
    Row { figure, unit, first, second, difference: second.estimate - first.estimate, ratio, contrast }
}

#[cfg(test)]
mod tests;
