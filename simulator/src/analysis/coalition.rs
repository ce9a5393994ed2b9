//! The fewest bonds (jurisdictions, alliances, owners, vendors ...) that together could read or destroy.
//!
//! Whoever holds `threshold` shares opens every snapshot key; whoever takes so many sites away that fewer than
//! `data_shards` shards or `threshold` shares remain destroys. Both ask for the fewest sets whose union has at least so
//! many holders: a covering problem, hard in general and small in practice. The search goes up by the number of bonds and
//! leaves a branch when the largest bonds that are left could not reach the goal any more. Its work is bounded; where the
//! bound cuts it off, the result says up to which number it is certain.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use serde::Serialize;

use crate::scenario::Scenario;
use crate::scenario::select::Bond;

/// Holders that one search may look at.
const WORK_MAX: u64 = 50_000_000;
/// Most bonds of a set that is searched for.
const SIZE_MAX: usize = 32;
/// What runs the same software fails together, but nobody decides it: it is weighed, and not among those who act.
const SOFTWARE: &str = "software:";
/// Sets that are listed.
const SETS_MAX: usize = 24;
/// Bonds that are listed by weight.
const LARGEST_MAX: usize = 12;

/// Who could act together, and what they could do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Coalitions {
    /// Sets that hold `threshold` shares.
    pub read: Smallest,
    /// Sets without which fewer than `data_shards` shards remain.
    pub destroy_shards: Smallest,
    /// Sets without which fewer than `threshold` shares remain.
    pub destroy_shares: Smallest,
    /// The bonds with most sites, the largest first.
    pub largest: Vec<Weight>,
}

impl Coalitions {
    /// The easier way to destroy.
    pub fn destroy(&self) -> &Smallest {
        let size = |way: &Smallest| way.size.unwrap_or(usize::MAX);
        if size(&self.destroy_shares) < size(&self.destroy_shards) {
            &self.destroy_shares
        } else {
            &self.destroy_shards
        }
    }
}

/// What one bond holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Weight {
    /// As a selector.
    pub bond: String,
    /// Shards on its sites.
    pub shards: usize,
    /// Shares on its sites.
    pub shares: usize,
    /// It has enough to read, by itself.
    pub can_read: bool,
    /// Without it too little is left, by itself.
    pub can_destroy: bool,
}

/// The smallest sets of bonds that reach a goal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Smallest {
    /// Sites that must be reached.
    pub needed: usize,
    /// Bonds of the smallest set that is known; `None` where all together do not reach it.
    pub size: Option<usize>,
    /// No set of fewer bonds reaches it, for certain.
    pub certain_below: usize,
    /// Sets of `size` bonds, those with fewest sites first.
    pub sets: Vec<Set>,
    /// There are more sets of that size than are listed.
    pub more: bool,
}

impl Smallest {
    /// Whether the work ran out before the smallest set was certain.
    pub fn is_cut_off(&self) -> bool {
        self.size.is_some_and(|size| self.certain_below < size)
    }
}

/// Some bonds together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Set {
    /// Holders they reach.
    pub reached: usize,
    /// As selectors; bonds of the same holders are joined by ` = `.
    pub bonds: Vec<String>,
    /// Names of the holders they reach.
    pub sites: Vec<String>,
}

/// Who could act together in a scenario; `None` without a code.
pub fn coalitions(scenario: &Scenario, bonds: &[Bond]) -> Option<Coalitions> {
    let code = scenario.code?;
    let holders = |holds: fn(&crate::scenario::Site) -> bool| -> Vec<usize> {
        scenario.sites.iter().enumerate().filter(|(_, site)| holds(site)).map(|(at, _)| at).collect()
    };
    let (shards, shares) = (holders(|site| site.holds_shards), holders(|site| site.holds_shares));
    let (data_shards, threshold) = (code.data_shards as usize, code.threshold as usize);
    let names: Vec<&str> = scenario.sites.iter().map(|site| site.name.as_str()).collect();
    let lost_shards = (shards.len() + 1).saturating_sub(data_shards);
    let lost_shares = (shares.len() + 1).saturating_sub(threshold);
    let acting: Vec<Bond> = bonds.iter().filter(|bond| !bond.selector.starts_with(SOFTWARE)).cloned().collect();
    let search = |holders: &[usize], needed| smallest(&acting, holders, needed, &names, WORK_MAX);
    let within =
        |bond: &Bond, holders: &[usize]| bond.sites.iter().filter(|at| holders.binary_search(at).is_ok()).count();
    let mut largest: Vec<Weight> = bonds
        .iter()
        .map(|bond| (bond.selector.clone(), within(bond, &shards), within(bond, &shares)))
        .map(|(bond, shards, shares)| Weight {
            bond,
            shards,
            shares,
            can_read: shares >= threshold,
            can_destroy: shards >= lost_shards || shares >= lost_shares,
        })
        .collect();
    largest.sort_by_key(|weight| Reverse(weight.shards.max(weight.shares)));
    largest.truncate(LARGEST_MAX);
    Some(Coalitions {
        read: search(&shares, threshold),
        destroy_shards: search(&shards, lost_shards),
        destroy_shares: search(&shares, lost_shares),
        largest,
    })
}

/// The fewest bonds whose union has at least `needed` of the `holders` (rising positions of sites).
fn smallest(bonds: &[Bond], holders: &[usize], needed: usize, names: &[&str], work_max: u64) -> Smallest {
    let covers = covers(bonds, holders);
    let mut search = Search::new(&covers, holders.len(), needed, work_max);
    let Some(greedy) = greedy(&covers, holders.len(), needed) else {
        return Smallest { needed, size: None, certain_below: usize::MAX, sets: Vec::new(), more: false };
    };
    let mut certain_below = 1;
    for size in 1..=greedy.len().min(SIZE_MAX) {
        let whole = search.deepen(0, size);
        search.more |= !whole;
        if !whole || !search.found.is_empty() {
            break;
        }
        certain_below = size + 1;
    }
    if search.found.is_empty() {
        search.found.push(greedy);
        search.more = true;
    }
    let size = search.found.first().map(Vec::len);
    let mut sets: Vec<Set> = search.found.iter().map(|chosen| named(chosen, &covers, holders, names)).collect();
    sets.sort();
    Smallest { needed, size, certain_below, sets, more: search.more }
}

/// One or several bonds with the same holders.
struct Cover {
    name: String,
    /// Positions among the holders.
    holders: Vec<usize>,
}

/// Bonds by their holders, the largest first; those with the same holders are one.
fn covers(bonds: &[Bond], holders: &[usize]) -> Vec<Cover> {
    let mut by_holders: BTreeMap<Vec<usize>, String> = BTreeMap::new();
    for bond in bonds {
        let held: Vec<usize> = bond.sites.iter().filter_map(|site| holders.binary_search(site).ok()).collect();
        if !held.is_empty() {
            let name = by_holders.entry(held).or_default();
            if !name.is_empty() {
                name.push_str(" = ");
            }
            name.push_str(&bond.selector);
        }
    }
    let mut covers: Vec<Cover> = by_holders.into_iter().map(|(holders, name)| Cover { name, holders }).collect();
    covers.sort_by(|a, b| b.holders.len().cmp(&a.holders.len()).then_with(|| a.name.cmp(&b.name)));
    covers
}

/// A set that reaches the goal, by taking what adds most each time; `None` where all together do not. What a bond adds
/// only falls while others are taken, so an old figure is a bound and few are counted again.
fn greedy(covers: &[Cover], holders: usize, needed: usize) -> Option<Vec<usize>> {
    let mut covered = vec![false; holders];
    let mut have = 0;
    let mut chosen = Vec::new();
    let mut heap: BinaryHeap<(usize, Reverse<usize>)> =
        covers.iter().enumerate().map(|(at, cover)| (cover.holders.len(), Reverse(at))).collect();
    while have < needed {
        let (bound, Reverse(at)) = heap.pop()?;
        let cover = covers.get(at)?;
        let gain = cover.holders.iter().filter(|holder| covered.get(**holder) == Some(&false)).count();
        if gain < bound {
            heap.push((gain, Reverse(at)));
        } else if gain == 0 {
            return None;
        } else {
            for holder in &cover.holders {
                if let Some(covered) = covered.get_mut(*holder) {
                    *covered = true;
                }
            }
            have += gain;
            chosen.push(at);
        }
    }
    chosen.sort_unstable();
    Some(chosen)
}

struct Search<'a> {
    covers: &'a [Cover],
    /// Holders of the first so many covers, summed.
    sums: Vec<usize>,
    needed: usize,
    work: u64,
    /// How many of the chosen reach each holder.
    times: Vec<u32>,
    have: usize,
    chosen: Vec<usize>,
    found: Vec<Vec<usize>>,
    more: bool,
}

impl<'a> Search<'a> {
    fn new(covers: &'a [Cover], holders: usize, needed: usize, work: u64) -> Self {
        let mut sums = vec![0];
        sums.extend(covers.iter().scan(0, |sum, cover| {
            *sum += cover.holders.len();
            Some(*sum)
        }));
        let (times, chosen) = (vec![0; holders], Vec::new());
        Self { covers, sums, needed, work, times, have: 0, chosen, found: Vec::new(), more: false }
    }

    /// Adds `left` bonds from `from` on to what is chosen. False when the work has run out.
    fn deepen(&mut self, from: usize, left: usize) -> bool {
        if left == 0 {
            if self.have >= self.needed {
                self.more |= self.found.len() == SETS_MAX;
                if self.found.len() < SETS_MAX {
                    self.found.push(self.chosen.clone());
                }
            }
            return true;
        }
        for (at, cover) in self.covers.iter().enumerate().skip(from) {
            if self.more || !self.can_reach(at, left) {
                break;
            }
            let cost = 1 + cover.holders.len() as u64;
            if self.work < cost {
                return false;
            }
            self.work -= cost;
            self.take(at, cover);
            let whole = self.deepen(at + 1, left - 1);
            self.leave(cover);
            if !whole {
                return false;
            }
        }
        true
    }

    /// The covers fall in size: no `left` later ones can add more than those from `at` on.
    fn can_reach(&self, at: usize, left: usize) -> bool {
        let sum = |end: usize| self.sums.get(end.min(self.covers.len())).copied().unwrap_or(0);
        self.have + sum(at + left) - sum(at) >= self.needed
    }

    fn take(&mut self, at: usize, cover: &Cover) {
        self.chosen.push(at);
        for holder in &cover.holders {
            if let Some(times) = self.times.get_mut(*holder) {
                self.have += usize::from(*times == 0);
                *times += 1;
            }
        }
    }

    fn leave(&mut self, cover: &Cover) {
        self.chosen.pop();
        for holder in &cover.holders {
            if let Some(times) = self.times.get_mut(*holder) {
                *times -= 1;
                self.have -= usize::from(*times == 0);
            }
        }
    }
}

fn named(chosen: &[usize], covers: &[Cover], holders: &[usize], names: &[&str]) -> Set {
    let chosen: Vec<&Cover> = chosen.iter().filter_map(|at| covers.get(*at)).collect();
    let reached: BTreeSet<usize> = chosen.iter().flat_map(|cover| cover.holders.iter().copied()).collect();
    let sites = reached.iter().filter_map(|at| names.get(*holders.get(*at)?));
    Set {
        reached: reached.len(),
        bonds: chosen.iter().map(|cover| cover.name.clone()).collect(),
        sites: sites.map(|name| (*name).to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests;
