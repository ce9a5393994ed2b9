//! The coalitions of a charter as sets of bits, so that every stripe can be counted against every one of them.

use std::collections::BTreeSet;

use crate::document::Charter;
use crate::identifier::SiteName;
use crate::placement::coalition::{Bond, Positions, SiteSet, coalitions};

/// Coalitions tried together at the most: beyond, the answer is "more than this".
const TOGETHER_MAX: usize = 3;

/// The smallest number of coalitions that together do some harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SmallestUnion {
    /// These do it, and no fewer do.
    Of(Vec<Bond>),
    /// It takes more than this many.
    MoreThan(usize),
}

impl SmallestUnion {
    /// How many it takes at least.
    #[must_use]
    pub fn count_at_least(&self) -> usize {
        match self {
            Self::Of(bonds) => bonds.len(),
            Self::MoreThan(count) => count + 1,
        }
    }
}

/// The coalitions of a charter.
pub(crate) struct CoalitionSets<'a> {
    pub(super) positions: Positions<'a>,
    sets: Vec<(Bond, SiteSet)>,
    active: BTreeSet<&'a SiteName>,
}

impl<'a> CoalitionSets<'a> {
    pub(crate) fn of(charter: &'a Charter) -> Self {
        let positions = Positions::of(charter);
        let sets = coalitions(charter).into_iter().map(|one| (one.bond, positions.set(&one.sites))).collect();
        let active = charter.active_sites().map(|site| &site.name).collect();
        Self { positions, sets, active }
    }

    /// The active ones of `names`.
    pub(super) fn active<'b>(&self, names: impl IntoIterator<Item = &'b SiteName>) -> SiteSet {
        self.set(names.into_iter().filter(|name| self.active.contains(*name)))
    }

    pub(crate) fn set<'b>(&self, names: impl IntoIterator<Item = &'b SiteName>) -> SiteSet {
        self.positions.set(names)
    }

    /// What remains of `holders` without the coalition that takes the most, and which that is.
    pub(crate) fn worst(&self, holders: &SiteSet) -> (usize, Option<&Bond>) {
        let without = self.sets.iter().map(|(bond, taken)| (holders.count_without(taken), Some(bond)));
        without.min_by_key(|(left, _bond)| *left).unwrap_or((holders.count(), None))
    }

    /// The fewest coalitions whose sites together satisfy `is_harm`.
    pub(super) fn smallest(&self, is_harm: impl Fn(&SiteSet) -> bool) -> SmallestUnion {
        let mut unions: Vec<(Vec<usize>, SiteSet)> = vec![(Vec::new(), SiteSet::default())];
        for _ in 0..TOGETHER_MAX {
            let mut grown = Vec::new();
            for (members, union) in &unions {
                let from = members.last().map_or(0, |last| last + 1);
                for (position, (_bond, sites)) in self.sets.iter().enumerate().skip(from) {
                    let (mut members, union) = (members.clone(), union.union(sites));
                    members.push(position);
                    if is_harm(&union) {
                        let bond = |position: &usize| self.sets.get(*position).map(|(bond, _sites)| bond.clone());
                        return SmallestUnion::Of(members.iter().filter_map(bond).collect());
                    }
                    grown.push((members, union));
                }
            }
            unions = grown;
        }
        SmallestUnion::MoreThan(TOGETHER_MAX)
    }
}
