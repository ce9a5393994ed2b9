//! Promise P3: no coalition reaches the threshold, or takes away so much that too little remains.
//!
//! A coalition is every set of sites that may act (or fail) together: one jurisdiction, one declared alliance, one
//! building owner, one vendor, one network. A site that is lost or expelled stays in its coalitions: it can give
//! nothing back, but whoever took it may still hold its shares. The check is on single coalitions; two of them acting together is what
//! the threshold and the parity shards are sized for, and what the simulator is for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::document::{Charter, Database};
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

/// Refuses a charter in which one coalition could read a database or take it away.
///
/// # Errors
/// The first breach, with database, coalition and bound.
pub fn check(charter: &Charter) -> Result<(), Breach> {
    let coalitions = coalitions(charter);
    let active: BTreeSet<SiteName> = charter.active_sites().map(|site| site.name.clone()).collect();
    for database in &charter.databases {
        check_one(database, &active, None)?;
        for coalition in &coalitions {
            check_one(database, &active, Some(coalition))?;
        }
    }
    Ok(())
}

fn check_one(database: &Database, active: &BTreeSet<SiteName>, coalition: Option<&Coalition>) -> Result<(), Breach> {
    let (threshold, data_shards) = (usize::from(database.threshold), usize::from(database.data_shards));
    let taken = |site: &SiteName| coalition.is_some_and(|coalition| coalition.sites.contains(site));
    let remaining = |sites: &[SiteName]| sites.iter().filter(|site| active.contains(*site) && !taken(site)).count();
    let breach =
        |harm, bound| Err(Breach { database: database.name.clone(), coalition: coalition.cloned(), harm, bound });
    let shares = database.custodians.iter().filter(|site| taken(site)).count();
    if shares >= threshold {
        return breach(Harm::Reads { shares }, threshold);
    }
    let shards_left = remaining(&database.placement);
    if shards_left < data_shards {
        return breach(Harm::TakesShards { remaining: shards_left }, data_shards);
    }
    let shares_left = remaining(&database.custodians);
    if shares_left < threshold {
        return breach(Harm::TakesShares { remaining: shares_left }, threshold);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
