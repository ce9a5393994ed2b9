//! The best of what was judged so far. Merged in any order it is the same: every tie is broken by the plan itself.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use rayon::prelude::*;

use super::refusal::{self, Binding, Broken};
use super::{Judge, Plan};
use crate::scenario::file::Target;

/// Half a decade.
const STEPS_PER_DECADE: f64 = 2.0;

#[derive(Default)]
pub(super) struct Found {
    best: Option<Plan>,
    /// The cheapest of each (loss, disclosure), both in half decades, among plans that keep the coalition rule.
    cheapest: BTreeMap<(i32, i32), Plan>,
    /// For each set of broken limits: the plan that comes nearest.
    broken: BTreeMap<Broken, Plan>,
}

impl Found {
    /// Judges choices of sites on all cores, and returns how promising each is: lower is better.
    pub(super) fn judge_all(&mut self, choices: &[u64], judge: &Judge<'_>, counts: bool) -> Vec<f64> {
        let judged = choices.par_chunks(256).map(|chunk| {
            let mut found = Self::default();
            let scores: Vec<f64> = chunk.iter().map(|&choice| found.judge(choice, judge, counts)).collect();
            (found, scores)
        });
        let mut scores = Vec::new();
        for (found, part) in judged.collect::<Vec<_>>() {
            self.merge(found);
            scores.extend(part);
        }
        scores
    }

    fn judge(&mut self, choice: u64, judge: &Judge<'_>, counts: bool) -> f64 {
        let mut score = f64::MAX;
        for (plan, broken) in judge.plans(choice) {
            score = score.min(refusal::distance(&plan, judge.target, broken));
            if counts {
                self.take(plan, broken);
            }
        }
        score
    }

    fn take(&mut self, plan: Plan, broken: Broken) {
        if !broken.coalition() {
            let key = (decades(plan.figures.loss_per_year), decades(plan.figures.disclosure_per_year));
            keep(&mut self.cheapest, key, &plan, order);
        }
        if broken.is_none() {
            if self.best.as_ref().is_none_or(|best| order(&plan, best) == Ordering::Less) {
                self.best = Some(plan);
            }
        } else {
            keep(&mut self.broken, broken, &plan, |a, b| refusal::nearer(a, b, broken));
        }
    }

    fn merge(&mut self, other: Self) {
        if let Some(plan) = other.best
            && self.best.as_ref().is_none_or(|best| order(&plan, best) == Ordering::Less)
        {
            self.best = Some(plan);
        }
        for (key, plan) in other.cheapest {
            keep(&mut self.cheapest, key, &plan, order);
        }
        for (key, plan) in other.broken {
            keep(&mut self.broken, key, &plan, |a, b| refusal::nearer(a, b, key));
        }
    }

    pub(super) fn finish(self, target: &Target) -> (Option<Plan>, Vec<Plan>, Vec<Binding>) {
        let plans: Vec<Plan> = self.cheapest.into_values().collect();
        let dominated = |plan: &Plan| plans.iter().any(|other| dominates(other, plan));
        let mut frontier: Vec<Plan> = plans.iter().filter(|plan| !dominated(plan)).cloned().collect();
        frontier.sort_by(order);
        let binding = if self.best.is_some() { Vec::new() } else { refusal::binding(&self.broken, target) };
        (self.best, frontier, binding)
    }
}

fn keep<K: Ord>(map: &mut BTreeMap<K, Plan>, key: K, plan: &Plan, order: impl Fn(&Plan, &Plan) -> Ordering) {
    map.entry(key)
        .and_modify(|held| {
            if order(plan, held) == Ordering::Less {
                *held = plan.clone();
            }
        })
        .or_insert_with(|| plan.clone());
}

/// The logarithm in half decades; nothing below 1e-40 is told apart.
#[allow(clippy::cast_possible_truncation, reason = "between -80 and 0")]
fn decades(chance: f64) -> i32 {
    (libm::log10(chance.max(1e-40)) * STEPS_PER_DECADE).round() as i32
}

/// Cheaper first, then less overhead, then safer, then the sites themselves.
pub(super) fn order(a: &Plan, b: &Plan) -> Ordering {
    let risk = |plan: &Plan| plan.figures.loss_per_year.max(1e-40) * plan.figures.disclosure_per_year.max(1e-40);
    (a.cost_per_year.total_cmp(&b.cost_per_year))
        .then(a.overhead.total_cmp(&b.overhead))
        .then(risk(a).total_cmp(&risk(b)))
        .then_with(|| a.sites.cmp(&b.sites))
        .then(a.code.data_shards.cmp(&b.code.data_shards))
        .then(a.code.threshold.cmp(&b.code.threshold))
        .then_with(|| a.code.refresh.cmp(&b.code.refresh))
}

/// Not worse in anything, and better in something.
fn dominates(a: &Plan, b: &Plan) -> bool {
    let figures = |plan: &Plan| {
        let (loss, disclosure) = (decades(plan.figures.loss_per_year), decades(plan.figures.disclosure_per_year));
        (plan.cost_per_year, loss, disclosure)
    };
    let (a, b) = (figures(a), figures(b));
    a.0 <= b.0 && a.1 <= b.1 && a.2 <= b.2 && a != b
}
