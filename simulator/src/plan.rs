//! A search for a plan: which of the candidate sites, how many data shards, which threshold, how often new shares.
//!
//! Every choice of sites is judged by closed forms (`figures`) for all codes at once, which takes microseconds; the one
//! that is recommended can then be estimated by fate mode with everything it knows ([`scenario_of`]). Choices grow site by site; where
//! there are more than [`WIDTH`] of one size, only the most promising go on, and the answer says that it is not
//! exhaustive.
//!
//! Refused is what breaks promise P3: one jurisdiction, alliance, owner, vendor, network or building that reaches the
//! threshold, or without which too little remains.

mod choice;
mod figures;
mod found;
pub mod refusal;

use serde::Serialize;

use crate::scenario::file::Target;
use crate::scenario::time::{Every, Span};
use crate::scenario::{Code, Scenario, Struck};
use choice::Choices;
use figures::{Hazards, SitesFigures};
use found::Found;
pub use refusal::{Binding, Limit};

/// The most choices of one size that are all followed.
pub const WIDTH: usize = 20_000;
/// As many go on where there are more.
const WIDTH_CUT: usize = 2_000;

/// One plan and what it promises.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Positions of its sites among the candidates.
    pub sites: Vec<usize>,
    /// Shards and shares.
    pub code: Code,
    /// By closed forms, per year.
    pub figures: PlanFigures,
    /// Of all sites, per year.
    pub cost_per_year: f64,
    /// Bytes stored for a byte kept.
    pub overhead: f64,
}

/// What a plan promises by the closed forms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PlanFigures {
    /// Chance of data loss in a year.
    pub loss_per_year: f64,
    /// Chance of disclosure in a year.
    pub disclosure_per_year: f64,
    /// Share of time in which nothing can be restored.
    pub unavailability: f64,
}

/// What the search found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The cheapest plan within all targets; of equally cheap ones that with the least overhead, then the safest.
    pub recommended: Option<Plan>,
    /// Plans of which no other is cheaper, loses less and discloses less; half a decade counts as equal.
    pub frontier: Vec<Plan>,
    /// If there is no plan: the limits that bind.
    pub binding: Vec<Binding>,
    /// How many choices of sites were judged, with all codes each.
    pub choices: u64,
    /// Every choice was judged.
    pub exhaustive: bool,
}

/// Why there is no search.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// No `[search]`.
    #[error("the file has no [search] with sites_min and sites_max: nothing to look for")]
    NoSearch,
    /// A site that every plan must have is not a candidate.
    #[error("search.must_have names '{0}', which is no site of this file")]
    NoSuchSite(String),
    /// More sites must be in than may be.
    #[error("search.must_have names {must} sites, but a plan has at most {max}")]
    MustExceedsMax {
        /// Named.
        must: usize,
        /// Allowed.
        max: usize,
    },
    /// Too few to choose from.
    #[error("there are {candidates} candidate sites, but a plan has at least {min}")]
    TooFew {
        /// Sites of the file.
        candidates: usize,
        /// Wanted.
        min: usize,
    },
    /// Too many to choose from.
    #[error("there are {0} candidate sites; a search takes at most 64: leave out those that are never chosen")]
    TooMany(usize),
    /// Hits that exclude each other have no closed form here.
    #[error("the event '{0}' has `pick`; a search judges by chances: give it `chance` instead")]
    Pick(String),
    /// Too many shared events.
    #[error("there are {0} events and ends of agreements; a search takes at most 60")]
    TooManyEvents(usize),
}

/// Searches among the sites of the scenario. `progress` is told the size of the choices just judged and the largest.
///
/// # Errors
/// The search makes no sense; see [`SearchError`]. That no plan reaches the targets is an [`Answer`].
pub fn search(scenario: &Scenario, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<Answer, SearchError> {
    let search = scenario.search.as_ref().ok_or(SearchError::NoSearch)?;
    let (candidates, min, max) = (scenario.sites.len(), search.sites_min as usize, search.sites_max as usize);
    if candidates > 64 {
        return Err(SearchError::TooMany(candidates));
    }
    if let Some(event) = scenario.events.iter().find(|event| matches!(event.struck, Struck::Pick(_))) {
        return Err(SearchError::Pick(event.name.clone()));
    }
    let shared = scenario.events.len() + scenario.sites.iter().filter(|site| site.agreement_ends.is_some()).count();
    if shared > 60 {
        return Err(SearchError::TooManyEvents(shared));
    }
    if candidates < min {
        return Err(SearchError::TooFew { candidates, min });
    }
    let mut must = 0_u64;
    for name in &search.must_have {
        let at = scenario.sites.iter().position(|site| site.name == *name);
        must |= 1 << at.ok_or_else(|| SearchError::NoSuchSite(name.clone()))?;
    }
    let required = must.count_ones() as usize;
    if required > max {
        return Err(SearchError::MustExceedsMax { must: required, max });
    }
    let refreshes = refreshes(&search.refresh);
    let hazards = Hazards::of(scenario);
    let judge = Judge { scenario, hazards: &hazards, target: &scenario.target, refreshes: &refreshes };
    let mut choices = Choices::new(scenario, must);
    let mut found = Found::default();
    let (mut judged, mut exhaustive) = (0, true);
    let last = max.min(candidates);
    for size in required.max(1)..=last {
        let level = choices.grow_to(size);
        judged += level.len() as u64;
        let scores = found.judge_all(level, &judge, size >= min);
        exhaustive &= choices.keep(&scores, WIDTH, WIDTH_CUT);
        progress(size, last);
    }
    let (recommended, frontier, binding) = found.finish(&scenario.target);
    Ok(Answer { recommended, frontier, binding, choices: judged, exhaustive })
}

/// The scenario with only the sites of this plan, and its code: what fate mode is asked.
pub fn scenario_of(scenario: &Scenario, plan: &Plan) -> Scenario {
    let mut only = scenario.clone();
    only.sites = plan.sites.iter().filter_map(|&at| scenario.sites.get(at)).cloned().collect();
    let moved =
        |hits: &[usize]| hits.iter().filter_map(|at| plan.sites.iter().position(|site| site == at)).collect::<Vec<_>>();
    for event in &mut only.events {
        event.hits = moved(&event.hits);
    }
    only.code = Some(plan.code);
    only.search = None;
    only
}

fn refreshes(given: &[Every]) -> Vec<Option<Span>> {
    let as_span = |every: &Every| match every {
        Every::Never => None,
        Every::Mean(span) => Some(*span),
    };
    if given.is_empty() { vec![None] } else { given.iter().map(as_span).collect() }
}

/// What a choice of sites is judged with.
struct Judge<'a> {
    scenario: &'a Scenario,
    hazards: &'a Hazards,
    target: &'a Target,
    refreshes: &'a [Option<Span>],
}

impl Judge<'_> {
    /// Every code of a choice, with the limits it breaks.
    fn plans(&self, choice: u64) -> Vec<(Plan, refusal::Broken)> {
        let sites: Vec<usize> = (0..self.scenario.sites.len()).filter(|at| choice >> at & 1 == 1).collect();
        let chosen = || sites.iter().filter_map(|&at| self.scenario.sites.get(at));
        let cost_per_year = chosen().fold(0.0, |sum, site| sum + site.cost_per_year);
        let shards = chosen().filter(|site| site.holds_shards).count();
        let shares = chosen().filter(|site| site.holds_shares).count();
        let rule = self.hazards.coalition_rule(choice);
        let figures = SitesFigures::of(self.hazards, choice, self.refreshes);
        let mut plans = Vec::new();
        for (place, &refresh) in self.refreshes.iter().enumerate() {
            for data_shards in 1..=u32::try_from(shards).unwrap_or(0) {
                for threshold in 2..=u32::try_from(shares).unwrap_or(0) {
                    let figures = figures.of_code(data_shards, threshold, place);
                    let code = Code { data_shards, threshold, refresh, ciphertext_is_public: true };
                    let overhead = shards as f64 / f64::from(data_shards);
                    let plan = Plan { sites: sites.clone(), code, figures, cost_per_year, overhead };
                    let broken = refusal::broken(&plan, self.target, rule.allows(data_shards, threshold));
                    plans.push((plan, broken));
                }
            }
        }
        plans
    }
}

#[cfg(test)]
mod tests;
