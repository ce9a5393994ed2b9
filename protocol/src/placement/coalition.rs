//! Promise P3: no coalition reaches the threshold, or takes away so much that too little remains.
//!
//! A coalition is every set of sites that may act (or fail) together: one jurisdiction, one declared alliance, one
//! building owner, one vendor, one network. A site that is lost or expelled stays in its coalitions: it can give
//! nothing back, but whoever took it may still hold its shares. The check is on single coalitions; two of them acting together is what
//! the threshold and the parity shards are sized for, and what the simulator is for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::document::{Charter, Database, Succession};
use crate::identifier::{DatabaseName, SiteName};

/// What binds the sites of a coalition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bond {
    /// One law.
    Jurisdiction(String),
    /// Several laws that may act as one.
    Alliance(String),
    /// One building owner.
    Owner(String),
    /// One vendor.
    Vendor(String),
    /// One network.
    Network(String),
}

impl fmt::Display for Bond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jurisdiction(code) => write!(f, "jurisdiction {code}"),
            Self::Alliance(name) => write!(f, "alliance '{name}'"),
            Self::Owner(name) => write!(f, "building owner '{name}'"),
            Self::Vendor(name) => write!(f, "vendor '{name}'"),
            Self::Network(name) => write!(f, "network '{name}'"),
        }
    }
}

/// Sites that may act together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coalition {
    /// What binds them.
    pub bond: Bond,
    /// Its sites, active or not.
    pub sites: BTreeSet<SiteName>,
}

/// How a coalition breaks promise P3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Harm {
    /// It could reconstruct the snapshot keys.
    Reads {
        /// Shares it holds.
        shares: usize,
    },
    /// Without it too few shards remain.
    TakesShards {
        /// Shards that remain.
        remaining: usize,
    },
    /// Without it too few shares remain.
    TakesShares {
        /// Shares that remain.
        remaining: usize,
    },
}

/// A charter that breaks promise P3, with the coalition named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Breach {
    /// The database in danger.
    pub database: DatabaseName,
    /// Who endangers it; absent when too few active sites are left even without any coalition.
    pub coalition: Option<Coalition>,
    /// How.
    pub harm: Harm,
    /// The bound that is broken: the threshold, or the number of data shards.
    pub bound: usize,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (who, sites) = match &self.coalition {
            Some(coalition) => {
                let names: Vec<&str> = coalition.sites.iter().map(SiteName::as_str).collect();
                (coalition.bond.to_string(), format!(" ({})", names.join(", ")))
            }
            None => ("the sites that are no longer active".to_owned(), String::new()),
        };
        let (database, bound) = (&self.database, self.bound);
        match self.harm {
            Harm::Reads { shares } => write!(
                f,
                "database {database}: {who}{sites} holds {shares} shares and could read it (threshold {bound}): \
                 raise the threshold or move custodians to other domains"
            ),
            Harm::TakesShards { remaining } => write!(
                f,
                "database {database}: without {who}{sites} only {remaining} shards remain of {bound} needed: \
                 add sites in other domains or lower data_shards"
            ),
            Harm::TakesShares { remaining } => write!(
                f,
                "database {database}: without {who}{sites} only {remaining} shares remain of {bound} needed: \
                 add custodians in other domains or lower the threshold"
            ),
        }
    }
}

/// Every coalition of the charter's sites, the lost and expelled ones included.
#[must_use]
pub fn coalitions(charter: &Charter) -> Vec<Coalition> {
    let mut by_bond: BTreeMap<Bond, BTreeSet<SiteName>> = BTreeMap::new();
    for site in &charter.sites {
        let mut join = |bond| by_bond.entry(bond).or_default().insert(site.name.clone());
        join(Bond::Jurisdiction(site.jurisdiction.clone()));
        for alliance in &charter.alliances {
            if alliance.jurisdictions.contains(&site.jurisdiction) {
                join(Bond::Alliance(alliance.name.clone()));
            }
        }
        site.owner.iter().for_each(|name| _ = join(Bond::Owner(name.clone())));
        site.vendor.iter().for_each(|name| _ = join(Bond::Vendor(name.clone())));
        site.network.iter().for_each(|name| _ = join(Bond::Network(name.clone())));
    }
    by_bond.into_iter().map(|(bond, sites)| Coalition { bond, sites }).collect()
}

/// A set of sites, one bit each: a charter may have a thousand databases and a thousand coalitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SiteSet(Vec<u64>);

impl SiteSet {
    fn insert(&mut self, position: usize) {
        let (word, bit) = (position / 64, position % 64);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0.get_mut(word).into_iter().for_each(|bits| *bits |= 1 << bit);
    }

    fn words(&self) -> impl Iterator<Item = u64> {
        self.0.iter().copied().chain(std::iter::repeat(0))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|bits| bits.count_ones() as usize).sum()
    }

    pub(crate) fn count_with(&self, other: &Self) -> usize {
        self.0.iter().zip(other.words()).map(|(a, b)| (a & b).count_ones() as usize).sum()
    }

    pub(crate) fn count_without(&self, other: &Self) -> usize {
        self.0.iter().zip(other.words()).map(|(a, b)| (a & !b).count_ones() as usize).sum()
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        let words = self.0.len().max(other.0.len());
        Self(self.words().zip(other.words()).take(words).map(|(a, b)| a | b).collect())
    }

    fn contains(&self, position: usize) -> bool {
        self.0.get(position / 64).is_some_and(|bits| bits >> (position % 64) & 1 == 1)
    }

    fn count_with_and_without(&self, with: &Self, without: &Self) -> usize {
        let words = self.0.iter().zip(with.words()).zip(without.words());
        words.map(|((bits, with), without)| (bits & with & !without).count_ones() as usize).sum()
    }
}

/// Where each site stands in the charter.
pub(crate) struct Positions<'a>(BTreeMap<&'a SiteName, usize>);

impl<'a> Positions<'a> {
    pub(crate) fn of(charter: &'a Charter) -> Self {
        Self(charter.sites.iter().enumerate().map(|(position, site)| (&site.name, position)).collect())
    }

    /// Names that are no site's are left out.
    pub(crate) fn set<'b>(&self, names: impl IntoIterator<Item = &'b SiteName>) -> SiteSet {
        let mut set = SiteSet::default();
        names.into_iter().filter_map(|name| self.0.get(name)).for_each(|position| set.insert(*position));
        set
    }

    /// The sites of a set, by name.
    pub(crate) fn names(&self, set: &SiteSet) -> impl Iterator<Item = &'a SiteName> {
        self.0.iter().filter(|(_name, position)| set.contains(**position)).map(|(name, _position)| *name)
    }
}

/// What one coalition has of a database, and what is left without it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weight {
    /// Shares that it could put together.
    pub(crate) shares: usize,
    /// Shards of active sites without it.
    pub(crate) shards_left: usize,
    /// Shares of active sites without it.
    pub(crate) shares_left: usize,
}

impl Weight {
    fn harm(self, database: &Database) -> Option<(Harm, usize)> {
        let Self { shares, shards_left, shares_left } = self;
        let (threshold, data_shards) = (usize::from(database.threshold), usize::from(database.data_shards));
        if shares >= threshold {
            Some((Harm::Reads { shares }, threshold))
        } else if shards_left < data_shards {
            Some((Harm::TakesShards { remaining: shards_left }, data_shards))
        } else if shares_left < threshold {
            Some((Harm::TakesShares { remaining: shares_left }, threshold))
        } else {
            None
        }
    }
}

/// Shows every database with nobody, and then with each coalition, until `visit` has seen enough.
pub(crate) fn weigh<'a, E>(
    charter: &'a Charter,
    mut visit: impl FnMut(&'a Database, Option<&Coalition>, Weight) -> Result<(), E>,
) -> Result<(), E> {
    let positions = Positions::of(charter);
    let active = positions.set(charter.active_sites().map(|site| &site.name));
    let succession = Succession::of(charter);
    let taken = coalitions(charter).into_iter().map(|one| {
        // Whoever took a site that was succeeded has the share that its successor has.
        let read = positions.set(one.sites.iter().flat_map(|site| succession.line(site)));
        (positions.set(&one.sites), read, one)
    });
    let taken: Vec<(SiteSet, SiteSet, Coalition)> = taken.collect();
    for database in &charter.databases {
        let (placement, custodians) = (positions.set(&database.placement), positions.set(&database.custodians));
        let nobody = SiteSet::default();
        let takers = taken.iter().map(|(sites, read, coalition)| (Some(coalition), sites, read));
        for (coalition, taken, read) in std::iter::once((None, &nobody, &nobody)).chain(takers) {
            let weight = Weight {
                shares: custodians.count_with(read),
                shards_left: placement.count_with_and_without(&active, taken),
                shares_left: custodians.count_with_and_without(&active, taken),
            };
            visit(database, coalition, weight)?;
        }
    }
    Ok(())
}

/// Refuses a charter in which one coalition could read a database or take it away.
///
/// # Errors
/// The first breach, with database, coalition and bound.
pub fn check(charter: &Charter) -> Result<(), Breach> {
    weigh(charter, |database, coalition, weight| {
        weight.harm(database).map_or(Ok(()), |(harm, bound)| {
            let (database, coalition) = (database.name.clone(), coalition.cloned());
            Err(Breach { database, coalition, harm, bound })
        })
    })
}

#[cfg(test)]
mod tests;
