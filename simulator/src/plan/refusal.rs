//! Which limits a plan breaks, and, when every plan breaks some, which limits bind.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;

use super::{Plan, found};
use crate::scenario::file::Target;

/// What a plan may break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// No single coalition reads or destroys.
    Coalition,
    /// Chance of loss.
    Loss,
    /// Chance of disclosure.
    Disclosure,
    /// Share of time without a restore.
    Unavailability,
    /// What it may cost.
    Cost,
}

const ALL: [Limit; 5] = [Limit::Coalition, Limit::Loss, Limit::Disclosure, Limit::Unavailability, Limit::Cost];

/// A set of broken limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Broken(u8);

impl Broken {
    pub(super) fn is_none(self) -> bool {
        self.0 == 0
    }

    pub(super) fn coalition(self) -> bool {
        self.has(Limit::Coalition)
    }

    fn has(self, limit: Limit) -> bool {
        self.0 & (1 << limit as u8) != 0
    }

    fn limits(self) -> Vec<Limit> {
        ALL.into_iter().filter(|limit| self.has(*limit)).collect()
    }
}

/// Limits that no plan meets together with all the others, and how near one comes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Binding {
    /// What would have to give way.
    pub limits: Vec<Limit>,
    /// The plan that comes nearest; it meets everything else.
    pub nearest: Plan,
    /// In words: what is wanted, and what the nearest plan reaches.
    pub message: String,
}

/// What `plan` breaks.
pub(super) fn broken(plan: &Plan, target: &Target, coalition_rule_holds: bool) -> Broken {
    let mut set = u8::from(!coalition_rule_holds);
    for limit in ALL {
        if let Some((reached, wanted)) = reached_and_wanted(plan, target, limit)
            && reached > wanted
        {
            set |= 1 << limit as u8;
        }
    }
    Broken(set)
}

fn reached_and_wanted(plan: &Plan, target: &Target, limit: Limit) -> Option<(f64, f64)> {
    match limit {
        Limit::Coalition => None,
        Limit::Loss => Some((plan.figures.loss_per_year, target.loss_per_year?)),
        Limit::Disclosure => Some((plan.figures.disclosure_per_year, target.disclosure_per_year?)),
        Limit::Unavailability => Some((plan.figures.unavailability, target.unavailability?)),
        Limit::Cost => Some((plan.cost_per_year, target.cost_per_year?)),
    }
}

/// How far a plan is from all targets, in decades, with a little for its cost: what makes a choice promising.
pub(super) fn distance(plan: &Plan, target: &Target, broken: Broken) -> f64 {
    let over = |limit| {
        let (reached, wanted) = reached_and_wanted(plan, target, limit)?;
        Some(libm::log10((reached / wanted).max(1e-3)))
    };
    let decades: f64 = ALL.into_iter().filter_map(over).sum();
    decades + if broken.coalition() { 10.0 } else { 0.0 }
}

/// Which of two plans with the same broken limits breaks them less. What is wanted is the same for both, so the product
/// of what they reach orders them.
pub(super) fn nearer(a: &Plan, b: &Plan, broken: Broken) -> Ordering {
    let reached = |plan: &Plan, limit| match limit {
        Limit::Coalition => 1.0,
        Limit::Loss => plan.figures.loss_per_year,
        Limit::Disclosure => plan.figures.disclosure_per_year,
        Limit::Unavailability => plan.figures.unavailability,
        Limit::Cost => plan.cost_per_year,
    };
    let excess = |plan: &Plan| {
        broken.limits().into_iter().map(|limit| libm::log10(reached(plan, limit).max(1e-40))).sum::<f64>()
    };
    excess(a).total_cmp(&excess(b)).then_with(|| found::order(a, b))
}

/// The smallest sets of limits that would have to give way.
pub(super) fn binding(broken: &BTreeMap<Broken, Plan>, target: &Target) -> Vec<Binding> {
    let least = broken.keys().map(|set| set.0.count_ones()).min().unwrap_or(0);
    let smallest = broken.iter().filter(|(set, _)| set.0.count_ones() == least);
    smallest
        .map(|(set, nearest)| {
            let limits = set.limits();
            let message = limits.iter().map(|&limit| in_words(nearest, target, limit)).collect::<Vec<_>>().join("; ");
            Binding { limits, nearest: nearest.clone(), message }
        })
        .collect()
}

fn in_words(plan: &Plan, target: &Target, limit: Limit) -> String {
    let (what, unit) = match limit {
        Limit::Coalition => {
            return "every plan that meets the targets lets one jurisdiction, alliance, owner, vendor, network or building \
                    read or destroy: candidates in other domains are needed"
                .to_owned();
        }
        Limit::Loss => ("loss", " a year"),
        Limit::Disclosure => ("disclosure", " a year"),
        Limit::Unavailability => ("unavailability", " of the time"),
        Limit::Cost => ("cost", " a year"),
    };
    match reached_and_wanted(plan, target, limit) {
        Some((reached, wanted)) => {
            format!("{what}: {wanted:.3e}{unit} is asked, {reached:.3e} is the least that meets all else")
        }
        None => what.to_owned(),
    }
}
