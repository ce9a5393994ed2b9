//! Other codes for the same sites: loss against disclosure over (data_shards, threshold, refresh).

use serde::Serialize;

use super::figures::Figures;
use super::verdict::{Standing, stands};
use crate::fate::model::Model;
use crate::fate::outcome::Outcome;
use crate::scenario::file::Target;
use crate::scenario::time::Span;

/// Most values of one axis: one byte numbers shards and shares.
const VALUES_MAX: usize = 255;

/// What is tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Shards that rebuild.
    pub data_shards: Vec<u32>,
    /// Shares that open.
    pub threshold: Vec<u32>,
    /// Years between refreshes; `None` for never.
    pub refresh_years: Vec<Option<f64>>,
}

impl Grid {
    /// Every code that the sites of a model allow, with its own refresh: all data_shards and thresholds where there are few
    /// sites, about twelve of each where there are many.
    pub fn around(model: &Model) -> Self {
        let (shards, shares) = holders(model);
        Self {
            data_shards: thinned(1, shards),
            threshold: thinned(2, shares),
            refresh_years: vec![model.code.refresh_years],
        }
    }
}

fn thinned(from: u32, to: u32) -> Vec<u32> {
    let to = to.min(255);
    let step = (to.saturating_sub(from) / 12).max(1);
    (from..=to).step_by(usize::try_from(step).unwrap_or(1)).collect()
}

/// Reads `4`, `3..=7`, `3..7` (without the 7) or `3,5,7`.
///
/// # Errors
/// What is wrong with it, in words.
pub fn counts(text: &str) -> Result<Vec<u32>, String> {
    let number = |text: &str| {
        text.trim()
            .parse::<u32>()
            .map_err(|error| format!("'{text}' is not a number (as in 4, 3..=7 or 3,5,7): {error}"))
    };
    let (from, end) = if let Some((from, to)) = text.split_once("..=") {
        (number(from)?, number(to)?.saturating_add(1))
    } else if let Some((from, end)) = text.split_once("..") {
        (number(from)?, number(end)?)
    } else {
        return text.split(',').take(VALUES_MAX + 1).map(number).collect();
    };
    if from >= end {
        return Err(format!("'{text}' is empty"));
    }
    if (end - from) as usize > VALUES_MAX {
        return Err(format!("'{text}' has more than {VALUES_MAX} values"));
    }
    Ok((from..end).collect())
}

/// Reads times between refreshes: `30d,90d,never`.
///
/// # Errors
/// What is wrong with it, in words.
pub fn refreshes(text: &str) -> Result<Vec<Option<f64>>, String> {
    text.split(',')
        .map(|part| {
            if part.trim() == "never" {
                return Ok(None);
            }
            let span: Span = part.trim().parse()?;
            if span.ms() == 0 {
                Err("the time between refreshes must be above zero".to_owned())
            } else {
                Ok(Some(span.years()))
            }
        })
        .collect()
}

/// The codes that were tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Frontier {
    /// In the order of the grid.
    pub points: Vec<Point>,
    /// Codes of the grid that the sites cannot hold.
    pub impossible: usize,
    /// What is wanted.
    pub target: Target,
}

/// One code.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Shards that rebuild.
    pub data_shards: u32,
    /// Shares that open.
    pub threshold: u32,
    /// Years between refreshes.
    pub refresh_years: Option<f64>,
    /// Bytes stored for each byte kept.
    pub overhead: f64,
    /// What comes of it.
    pub figures: Figures,
    /// No other point has less loss without more disclosure, or the reverse, by the upper ends of the intervals.
    pub is_best: bool,
    /// It is the code of the scenario.
    pub is_current: bool,
    /// Whether the targets for loss, disclosure and unavailability are met, all together.
    pub standing: Standing,
}

/// Estimates every code of a grid; `estimate` must use the same seed every time. `progress` is told how many of how many
/// estimates are done.
///
/// # Errors
/// The first error of `estimate`.
pub fn sweep<E>(
    model: &Model,
    grid: &Grid,
    target: &Target,
    mut estimate: impl FnMut(&Model) -> Result<Outcome, E>,
    mut progress: impl FnMut(usize, usize),
) -> Result<Frontier, E> {
    let (shards, shares) = holders(model);
    let mut codes = Vec::new();
    let mut impossible = 0;
    for &refresh_years in &grid.refresh_years {
        for &data_shards in &grid.data_shards {
            for &threshold in &grid.threshold {
                if data_shards == 0 || data_shards > shards || threshold < 2 || threshold > shares {
                    impossible += 1;
                } else {
                    codes.push((data_shards, threshold, refresh_years));
                }
            }
        }
    }
    let mut points = Vec::with_capacity(codes.len());
    for &(data_shards, threshold, refresh_years) in &codes {
        let mut tried = model.clone();
        tried.code.data_shards = data_shards;
        tried.code.threshold = threshold;
        tried.code.refresh_years = refresh_years;
        // Lazy repair that would begin too late for this code begins as late as it can.
        tried.policy.repair_at = model.policy.repair_at.map(|at| at.max(data_shards));
        let is_current = tried.code == model.code;
        let figures = Figures::of(&estimate(&tried)?);
        let overhead = f64::from(shards) / f64::from(data_shards);
        let standing = standing(&figures, target);
        let point =
            Point { data_shards, threshold, refresh_years, overhead, figures, is_best: false, is_current, standing };
        points.push(point);
        progress(points.len(), codes.len());
    }
    mark_best(&mut points);
    Ok(Frontier { points, impossible, target: *target })
}

fn holders(model: &Model) -> (u32, u32) {
    let count = |holds: fn(&crate::fate::model::Site) -> bool| {
        u32::try_from(model.sites.iter().filter(|site| holds(site)).count()).unwrap_or(u32::MAX)
    };
    (count(|site| site.holds_shard), count(|site| site.holds_share))
}

/// All targets together: missed where one is, met where all are.
fn standing(figures: &Figures, target: &Target) -> Standing {
    let wanted = [
        (target.loss_per_year, &figures.loss),
        (target.disclosure_per_year, &figures.disclosure),
        (target.unavailability, &figures.unavailability),
    ];
    let standings = wanted.into_iter().filter_map(|(wanted, found)| Some(stands(found, wanted?)));
    standings.max().unwrap_or(Standing::Met)
}

/// Marks the points that no other beats in loss and in disclosure, by the upper ends of the intervals: by the estimates a
/// code of which nothing was seen would seem worse than one that was seen to fail once. None that loses or discloses for
/// certain is marked, and of those that are alike in both only what stores least.
pub fn mark_best(points: &mut [Point]) {
    let values: Vec<[f64; 3]> = points
        .iter()
        .map(|point| [point.figures.loss.high95, point.figures.disclosure.high95, point.overhead])
        .collect();
    for (point, [loss, disclosure, overhead]) in points.iter_mut().zip(&values) {
        let beats = |[l, d, o]: &[f64; 3]| l <= loss && d <= disclosure && (l < loss || d < disclosure || o < overhead);
        let is_certain = *loss >= f64::MAX || *disclosure >= f64::MAX;
        point.is_best = !is_certain && !values.iter().any(beats);
    }
}

#[cfg(test)]
mod tests;
