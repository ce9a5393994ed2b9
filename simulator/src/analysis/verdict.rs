//! The targets of a scenario against what was found: met, missed or not decided, and which limit binds.

use serde::Serialize;

use super::coalition::{Coalitions, Smallest};
use super::figures::{Figures, ranked};
use super::quantile::{quantile, share_within};
use crate::fate::outcome::{Cause, DatabaseOutcome, Distribution, Estimate, Outcome};
use crate::scenario::Scenario;
use crate::scenario::time::Span;

/// Where a figure stands against its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The whole interval is within the target.
    Met,
    /// The interval contains the target: more missions would decide.
    Undecided,
    /// The whole interval is beyond the target.
    Missed,
}

/// Where an interval stands against the most that is wanted.
pub fn stands(found: &Estimate, wanted: f64) -> Standing {
    if found.high95 <= wanted {
        Standing::Met
    } else if found.low95 > wanted {
        Standing::Missed
    } else {
        Standing::Undecided
    }
}

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// Losses per year.
    Loss,
    /// Disclosures per year.
    Disclosure,
    /// Share of time.
    Unavailability,
    /// Hours in which 95 of 100 restores are done; the slowest database.
    RestoreTime,
    /// Hours of data that 95 of 100 disasters do not exceed; the worst database.
    DataLossTime,
    /// Cost per year, in the planner's own unit.
    Cost,
    /// Bonds that together read; more than one is wanted.
    ReadTogether,
    /// Bonds that together destroy; more than one is wanted.
    DestroyTogether,
}

/// One target, judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What is judged.
    pub goal: Goal,
    /// The most that is wanted; for the coalitions the fewest.
    pub wanted: f64,
    /// What was found, in the unit of the goal; `None` where nothing was, as when home never fell.
    pub found: Option<Estimate>,
    /// Whether that will do.
    pub standing: Standing,
    /// The database, or the coalition, that decides it.
    pub about: Option<String>,
    /// The likeliest cause.
    pub cause: Option<Cause>,
}

impl Finding {
    /// How many times too much was found; below 1 is slack. A coalition that is too small outweighs every figure: no
    /// number of missions makes it larger.
    pub fn excess(&self) -> Option<f64> {
        let found = self.found.as_ref()?;
        match self.goal {
            Goal::Loss
            | Goal::Disclosure
            | Goal::Unavailability
            | Goal::RestoreTime
            | Goal::DataLossTime
            | Goal::Cost => Some(ranked(found) / self.wanted),
            Goal::ReadTogether | Goal::DestroyTogether => (self.standing == Standing::Missed).then_some(f64::MAX),
        }
    }
}

/// All targets, judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// One per target, and one per question about coalitions.
    pub findings: Vec<Finding>,
    /// Position of the finding that binds: missed by most, or, where none is missed, with least slack.
    pub binding: Option<usize>,
}

impl Verdict {
    /// Of all targets together.
    pub fn standing(&self) -> Option<Standing> {
        self.findings.iter().map(|finding| finding.standing).max()
    }

    /// The finding that binds.
    pub fn binding(&self) -> Option<&Finding> {
        self.findings.get(self.binding?)
    }
}

/// Judges an outcome of the scenario against its targets. A target that the scenario does not state is not judged; that no
/// single bond reads or destroys is always wanted, where the coalitions are known.
pub fn verdict(scenario: &Scenario, outcome: &Outcome, coalitions: Option<&Coalitions>) -> Verdict {
    let figures = Figures::of(outcome);
    let target = &scenario.target;
    let mut findings = Vec::new();
    let chances = [
        (Goal::Loss, target.loss_per_year, figures.loss, &outcome.loss.causes),
        (Goal::Disclosure, target.disclosure_per_year, figures.disclosure, &outcome.disclosure.causes),
        (Goal::Unavailability, target.unavailability, figures.unavailability, &outcome.unavailability.causes),
    ];
    for (goal, wanted, found, causes) in chances {
        findings.extend(wanted.map(|wanted| Finding {
            goal,
            wanted,
            found: Some(found),
            standing: stands(&found, wanted),
            about: None,
            cause: causes.first().cloned(),
        }));
    }
    findings.extend(target.rto_p95.and_then(|span| worst(Goal::RestoreTime, span, outcome, |db| &db.rto_hours)));
    findings.extend(target.rpo_p95.and_then(|span| worst(Goal::DataLossTime, span, outcome, |db| &db.rpo_hours)));
    findings.extend(target.cost_per_year.map(|wanted| {
        let found = Estimate::exact(scenario.sites.iter().map(|site| site.cost_per_year).sum());
        let standing = stands(&found, wanted);
        Finding { goal: Goal::Cost, wanted, found: Some(found), standing, about: None, cause: None }
    }));
    if let Some(coalitions) = coalitions {
        findings.push(together(Goal::ReadTogether, &coalitions.read));
        findings.push(together(Goal::DestroyTogether, coalitions.destroy()));
    }
    let weight = |finding: &Finding| (finding.standing, finding.excess().unwrap_or(0.0));
    let candidates = findings.iter().enumerate().filter(|(_, finding)| finding.excess().is_some());
    let binding = candidates
        .max_by(|(_, a), (_, b)| {
            let ((a, excess_a), (b, excess_b)) = (weight(a), weight(b));
            a.cmp(&b).then(excess_a.total_cmp(&excess_b))
        })
        .map(|(at, _)| at);
    Verdict { findings, binding }
}

/// The database that is furthest from the target.
fn worst(
    goal: Goal,
    wanted: Span,
    outcome: &Outcome,
    hours: impl Fn(&DatabaseOutcome) -> &Distribution,
) -> Option<Finding> {
    let wanted = wanted.days() * 24.0;
    let findings = outcome.databases.iter().map(|database| {
        let distribution = hours(database);
        let within = share_within(distribution, wanted);
        let standing = if distribution.samples == 0 {
            Standing::Undecided
        } else if within.low95 >= 0.95 {
            Standing::Met
        } else if within.high95 < 0.95 {
            Standing::Missed
        } else {
            Standing::Undecided
        };
        let never = Estimate::exact(f64::MAX);
        let found = quantile(distribution, 0.95).or((distribution.samples > 0).then_some(never));
        Finding { goal, wanted, found, standing, about: Some(database.name.clone()), cause: None }
    });
    findings.max_by(|a, b| {
        let hours = |finding: &Finding| finding.found.map_or(0.0, |found| found.estimate);
        a.standing.cmp(&b.standing).then(hours(a).total_cmp(&hours(b)))
    })
}

fn together(goal: Goal, smallest: &Smallest) -> Finding {
    let found = smallest.size.map(|size| Estimate::exact(f64::from(u32::try_from(size).unwrap_or(u32::MAX))));
    let standing = match smallest.size {
        Some(0 | 1) => Standing::Missed,
        Some(_) if smallest.certain_below < 2 => Standing::Undecided,
        Some(_) | None => Standing::Met,
    };
    let about = smallest.sets.first().map(|set| set.bonds.join(" + "));
    Finding { goal, wanted: 2.0, found, standing, about, cause: None }
}

#[cfg(test)]
mod tests;
