//! Loss, disclosure and unavailability of a choice of sites, for every code at once, by closed forms.
//!
//! Sites are down independently of each other with the probability of their steady state, given which shared events are
//! still felt. The chance of loss is how often the number of sites up crosses from k to k-1: one by one, or by a
//! shared event. Over all sets of shared events felt at once, weighted with how long each is felt, this is the crossing
//! rate of an alternating renewal process. It counts a second crossing of one and the same loss again, so it
//! is a little high; for 5 of 9 sites at 0.05 losses a year and repair in 30 days it is 0.6 % above the exact chain. Sites
//! that fell together are counted as coming back together, which is up to 2.5 times too high where each comes back after an
//! exponential time of its own.
//!
//! Repair is taken as unlimited: crews, lazy repair and the bytes it moves are not in these forms, nor is the capture of
//! officials. What is recommended is therefore estimated by fate mode before it is shown.

use crate::scenario::file::Effect;
use crate::scenario::select::bonds;
use crate::scenario::time::{Law, Span};
use crate::scenario::{Event, Scenario, Site, Struck, When};

use super::PlanFigures;

/// Up to this many shared events every set of them is considered; beyond, sets of up to two, and the rest as if all were
/// felt at once.
const EVENTS_ALL_SETS: usize = 6;

/// The candidates and the events, in rates per year.
pub(super) struct Hazards {
    sites: Vec<SiteHazard>,
    events: Vec<EventHazard>,
    bonds: Vec<u64>,
    years: f64,
}

struct SiteHazard {
    holds_shards: bool,
    holds_shares: bool,
    /// Losses of everything per year, and how long each is felt, in years.
    lost: (f64, f64),
    /// Silent losses of the shard per year, and how long each is felt.
    rotten: (f64, f64),
    /// Part of the time down with nothing lost.
    down: f64,
    /// Captures per year.
    captured: f64,
}

struct EventHazard {
    hits: u64,
    per_year: f64,
    /// Chance of each site it may hit.
    chance: f64,
    /// Chance that what is hit is lost.
    destroys: f64,
    /// It takes shards alone: rot.
    spares_shares: bool,
    /// Chance that what is hit is also read.
    reads: f64,
    /// Part of the time in which it is felt.
    felt: f64,
}

impl Hazards {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let wait = scenario.policy.audit.years() / 2.0;
        let site = |site: &Site| {
            let lifetime = site.lifetime.map_or(0.0, |law| 1.0 / law.mean_years().max(1e-9));
            let lost = site.lost_per_year + lifetime + site.seized_per_year;
            SiteHazard {
                holds_shards: site.holds_shards,
                holds_shares: site.holds_shares,
                lost: (lost, scenario.policy.notice.years() + site.repair.mean_years()),
                rotten: (site.rot_per_year, wait + site.remake.mean_years()),
                down: part(site.down_per_year * site.down_for.mean_years()),
                captured: site.seized_per_year + site.copied_per_year,
            }
        };
        let years = scenario.run.years;
        // An agreement that is not renewed takes its site for good.
        let agreement = |(at, site): (usize, &Site)| {
            let ends = site.agreement_ends.filter(|ends| ends.years() < years && site.renewal < 1.0)?;
            let left = (years - ends.years()) / years;
            Some(EventHazard {
                hits: mask(&[at]),
                per_year: 1.0 / years,
                chance: 1.0 - site.renewal,
                destroys: 1.0,
                spares_shares: false,
                reads: 0.0,
                felt: left,
            })
        };
        let agreements: Vec<EventHazard> = scenario.sites.iter().enumerate().filter_map(agreement).collect();
        // Software binds no one to act together; promise P3 is about who may.
        let bonds = bonds(scenario).into_iter().filter(|bond| !bond.selector.starts_with("software:"));
        Self {
            sites: scenario.sites.iter().map(site).collect(),
            events: scenario.events.iter().map(|event| of_event(scenario, event)).chain(agreements).collect(),
            bonds: bonds.map(|bond| mask(&bond.sites)).collect(),
            years,
        }
    }

    fn chosen(&self, choice: u64) -> impl Iterator<Item = (usize, &SiteHazard)> {
        self.sites.iter().enumerate().filter(move |(at, _)| choice >> at & 1 == 1)
    }

    /// What promise P3 asks of a code on these sites.
    pub(super) fn coalition_rule(&self, choice: u64) -> CoalitionRule {
        let holders = |holds: fn(&SiteHazard) -> bool| {
            self.chosen(choice).filter(|(_, site)| holds(site)).fold(0_u64, |set, (at, _)| set | 1 << at)
        };
        let (shards, shares) = (holders(|site| site.holds_shards), holders(|site| site.holds_shares));
        let most = |of: u64| self.bonds.iter().map(|bond| (bond & of).count_ones()).max().unwrap_or(0);
        CoalitionRule {
            shares_most: most(shares),
            shards_left: shards.count_ones() - most(shards),
            shares_left: shares.count_ones() - most(shares),
        }
    }
}

/// An event as a hazard.
fn of_event(scenario: &Scenario, event: &Event) -> EventHazard {
    let (years, wait) = (scenario.run.years, scenario.policy.audit.years() / 2.0);
    let (per_year, left) = match event.when {
        // Once in the mission, and felt from then on if it is for good.
        When::At(at) => (1.0 / years, (years - at.years()).max(0.0) / years),
        When::PerYear(rate) => (rate, part(rate * years / 2.0)),
    };
    let repair = |at: &usize| scenario.sites.get(*at).map_or(0.0, |site| site.repair.mean_years());
    let repair = event.hits.iter().map(repair).fold(0.0, f64::max);
    EventHazard {
        hits: mask(&event.hits),
        per_year,
        chance: match event.struck {
            Struck::Each(chance) => chance,
            // A search refuses it.
            Struck::Pick(_) => 1.0,
        },
        destroys: match event.effect {
            Effect::Lost | Effect::Seized | Effect::Rotted => 1.0,
            Effect::Expelled => 1.0 - event.moved,
            Effect::Copied | Effect::Down => 0.0,
        },
        spares_shares: event.effect == Effect::Rotted,
        reads: match event.effect {
            Effect::Seized | Effect::Copied => 1.0,
            Effect::Expelled => event.raided,
            Effect::Lost | Effect::Down | Effect::Rotted => 0.0,
        },
        felt: match event.effect {
            Effect::Copied => 0.0,
            Effect::Down => part(per_year * event.lasts.map_or(0.0, Law::mean_years)),
            Effect::Rotted => part(per_year * wait),
            Effect::Lost | Effect::Seized | Effect::Expelled if event.for_good => left,
            Effect::Lost | Effect::Seized | Effect::Expelled => {
                part(per_year * (scenario.policy.notice.years() + repair))
            }
        },
    }
}

/// Positions as a set of bits.
fn mask(sites: &[usize]) -> u64 {
    sites.iter().fold(0, |set, at| set | 1_u64.checked_shl(bit(*at)).unwrap_or(0))
}

/// The largest coalition of a choice of sites.
#[derive(Clone, Copy)]
pub(super) struct CoalitionRule {
    shares_most: u32,
    shards_left: u32,
    shares_left: u32,
}

impl CoalitionRule {
    pub(super) fn allows(self, data_shards: u32, threshold: u32) -> bool {
        self.shares_most < threshold && self.shards_left >= data_shards && self.shares_left >= threshold
    }
}

/// The figures of one choice of sites; entry k of each list is for a code that needs k.
pub(super) struct SitesFigures {
    shard_losses: Vec<f64>,
    share_losses: Vec<f64>,
    shards_down: Vec<f64>,
    shares_down: Vec<f64>,
    /// For each time between refreshes: chance per year that so many shares of one epoch are captured.
    captured: Vec<Vec<f64>>,
}

impl SitesFigures {
    pub(super) fn of(hazards: &Hazards, choice: u64, refreshes: &[Option<Span>]) -> Self {
        let shards: Vec<usize> = hazards.chosen(choice).filter(|(_, s)| s.holds_shards).map(|(at, _)| at).collect();
        let shares: Vec<usize> = hazards.chosen(choice).filter(|(_, s)| s.holds_shares).map(|(at, _)| at).collect();
        let (shard_losses, shards_down) = losses(hazards, &shards, true);
        let (share_losses, shares_down) = losses(hazards, &shares, false);
        let captured = refreshes.iter().map(|refresh| captures(hazards, &shares, *refresh)).collect();
        Self { shard_losses, share_losses, shards_down, shares_down, captured }
    }

    pub(super) fn of_code(&self, data_shards: u32, threshold: u32, refresh: usize) -> PlanFigures {
        let at = |list: &[f64], k: u32| list.get(k as usize).copied().unwrap_or(1.0);
        let losses = at(&self.shard_losses, data_shards) + at(&self.share_losses, threshold);
        let down = at(&self.shards_down, data_shards) + at(&self.shares_down, threshold);
        PlanFigures {
            loss_per_year: -libm::expm1(-losses),
            disclosure_per_year: self.captured.get(refresh).map_or(1.0, |captured| at(captured, threshold)),
            unavailability: down.min(1.0),
        }
    }
}

/// The part of the time that a load (events times how long each is felt) takes.
fn part(load: f64) -> f64 {
    load / (1.0 + load)
}

/// Chance that a site is hit by an event that happens.
fn chance(event: &EventHazard, site: usize) -> f64 {
    if event.hits >> site & 1 == 0 { 0.0 } else { event.chance }
}

/// Sets of events with their weights; each event is in with its own chance. What is left out is counted as all at once.
fn sets(chances: &[f64]) -> Vec<(Vec<usize>, f64)> {
    let count = chances.len();
    let all: u64 = (1 << count.min(63)) - 1;
    let singles = (0..count).map(|a| 1_u64 << a);
    let pairs = (0..count).flat_map(|a| (0..a).map(move |b| 1_u64 << a | 1 << b));
    let masks: Vec<u64> = if count <= EVENTS_ALL_SETS {
        (0..=all).collect()
    } else {
        std::iter::once(0).chain(singles).chain(pairs).collect()
    };
    let weight = |mask: u64| {
        let in_or_out = |(at, chance): (usize, &f64)| if mask >> at & 1 == 1 { *chance } else { 1.0 - chance };
        chances.iter().enumerate().map(in_or_out).product::<f64>()
    };
    let members = |mask: u64| (0..count).filter(|at| mask >> at & 1 == 1).collect::<Vec<_>>();
    let mut sets: Vec<(Vec<usize>, f64)> = masks.iter().map(|&mask| (members(mask), weight(mask))).collect();
    let rest = 1.0 - sets.iter().map(|(_, weight)| weight).sum::<f64>();
    if count > EVENTS_ALL_SETS && rest > 1e-15 {
        sets.push((members(all), rest));
    }
    sets.retain(|(_, weight)| *weight > 0.0);
    sets
}

/// The law of how many of these independent events happen.
fn count_law(chances: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut law = vec![1.0];
    for chance in chances {
        law.push(0.0);
        let mut below = 0.0;
        for weight in &mut law {
            let here = *weight;
            *weight = here * (1.0 - chance) + below * chance;
            below = here;
        }
    }
    law
}

/// Losses per year and part of the time down, entry k for k needed, of these holders of shards or shares.
fn losses(hazards: &Hazards, holders: &[usize], shards: bool) -> (Vec<f64>, Vec<f64>) {
    let n = holders.len();
    let (mut lost, mut down) = (vec![0.0; n + 1], vec![0.0; n + 1]);
    let counts = |event: &&EventHazard| {
        event.per_year > 0.0 && (event.felt > 0.0 || event.destroys > 0.0) && (shards || !event.spares_shares)
    };
    let events: Vec<&EventHazard> = hazards.events.iter().filter(counts).collect();
    let felt: Vec<f64> = events.iter().map(|event| event.felt).collect();
    for (set, weight) in sets(&felt) {
        let spared = |site: usize, only_losses: bool| -> f64 {
            let hit = set.iter().filter_map(|at| events.get(*at));
            let taken = |event: &EventHazard| {
                let down = if event.destroys > 0.0 || only_losses { event.destroys } else { 1.0 };
                down * chance(event, site)
            };
            hit.map(|event| 1.0 - taken(event)).product()
        };
        // (standing, serving, hazard) of each holder under this set of events.
        let holder = |&at: &usize| {
            let site = hazards.sites.get(at);
            let (lost, rotten) = site.map_or(((0.0, 0.0), (0.0, 0.0)), |site| (site.lost, site.rotten));
            let rotten = if shards { rotten } else { (0.0, 0.0) };
            let gone = part(lost.0 * lost.1 + rotten.0 * rotten.1);
            let stands = (1.0 - gone) * spared(at, true);
            let serves = (1.0 - gone) * (1.0 - site.map_or(0.0, |site| site.down)) * spared(at, false);
            (stands, serves, lost.0 + rotten.0)
        };
        let state: Vec<(f64, f64, f64)> = holders.iter().map(holder).collect();
        let serving = count_law(state.iter().map(|(_, serves, _)| *serves));
        add_below(&mut down, &serving, weight);
        for (place, (stands, _, hazard)) in state.iter().enumerate() {
            let others = state.iter().enumerate().filter(|(other, _)| *other != place);
            let others = count_law(others.map(|(_, (stands, _, _))| *stands));
            // Exactly k-1 of the others stand: this one's loss leaves too few.
            for (k, lost) in lost.iter_mut().enumerate().skip(1) {
                *lost += weight * hazard * stands * others.get(k - 1).copied().unwrap_or(0.0);
            }
        }
        let standing = below(&count_law(state.iter().map(|(stands, _, _)| *stands)), n);
        let still_to_come = events.iter().enumerate().filter(|(at, event)| event.destroys > 0.0 && !set.contains(at));
        for (_, event) in still_to_come {
            let after = holders.iter().zip(&state);
            let after =
                count_law(after.map(|(site, (stands, _, _))| stands * (1.0 - event.destroys * chance(event, *site))));
            for ((lost, after), before) in lost.iter_mut().zip(below(&after, n)).zip(&standing) {
                *lost += weight * event.per_year * (after - before).max(0.0);
            }
        }
    }
    (lost, down)
}

/// Entry k: the chance that fewer than k happen.
fn below(law: &[f64], n: usize) -> Vec<f64> {
    let mut sums = vec![0.0; n + 1];
    add_below(&mut sums, law, 1.0);
    sums
}

fn add_below(sums: &mut [f64], law: &[f64], weight: f64) {
    let mut sum = 0.0;
    for (entry, chance) in sums.iter_mut().skip(1).zip(law) {
        sum += chance;
        *entry += weight * sum;
    }
}

/// Chance per year that k or more shares of one epoch are captured, entry k.
fn captures(hazards: &Hazards, holders: &[usize], refresh: Option<Span>) -> Vec<f64> {
    let epoch = refresh.map_or(hazards.years, Span::years);
    let events: Vec<&EventHazard> =
        hazards.events.iter().filter(|event| event.reads > 0.0 && event.per_year > 0.0).collect();
    let happens: Vec<f64> = events.iter().map(|event| -libm::expm1(-event.per_year * epoch)).collect();
    let mut reached = vec![0.0; holders.len() + 1];
    for (set, weight) in sets(&happens) {
        let captured = |site: &usize| {
            let alone = hazards.sites.get(*site).map_or(0.0, |site| -libm::expm1(-site.captured * epoch));
            let hit = set.iter().filter_map(|at| events.get(*at));
            let spared: f64 = hit.map(|event| 1.0 - event.reads * chance(event, *site)).product();
            // 1 - (1-alone) spared, without taking a small number from 1 where no event hit.
            alone * spared + (1.0 - spared)
        };
        let law = count_law(holders.iter().map(captured));
        let mut sum = 0.0;
        for (entry, chance) in reached.iter_mut().zip(&law).rev() {
            sum += chance;
            *entry += weight * sum;
        }
    }
    // So many epochs in a year.
    reached.into_iter().map(|q: f64| -libm::expm1(libm::log1p(-q.min(1.0)) / epoch)).collect()
}

/// A position as the number of a bit.
fn bit(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
