//! Who took whose place. Manifests name sites for ever; a site that is gone is succeeded by one that the charter names,
//! and that one then stands wherever the manifests name the other: it holds its shards, and its shares.
//!
//! A successor is new with the version that names it, so no older manifest names it beside its predecessor: two shards
//! of one stripe, or two shares of one key, never come to lie at one site.

use std::collections::{BTreeMap, BTreeSet};

use super::{Charter, CharterError, Site};
use crate::identifier::SiteName;

/// For each site that was succeeded, those who came after it, the one that stands in its place now last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Succession(BTreeMap<SiteName, Vec<SiteName>>);

impl Succession {
    /// What a charter says.
    #[must_use]
    pub fn of(charter: &Charter) -> Self {
        let mut after: BTreeMap<SiteName, Vec<SiteName>> = BTreeMap::new();
        // Successors come after their predecessors, so a chain is followed from its end.
        for site in charter.sites.iter().rev() {
            if let Some(predecessor) = &site.succeeds {
                let later = after.get(&site.name).into_iter().flatten();
                let line = std::iter::once(&site.name).chain(later).cloned().collect();
                after.insert(predecessor.clone(), line);
            }
        }
        Self(after)
    }

    /// The site that stands where a manifest says `named`.
    #[must_use]
    pub fn holder<'a>(&'a self, named: &'a SiteName) -> &'a SiteName {
        self.0.get(named).and_then(|line| line.last()).unwrap_or(named)
    }

    /// Everybody who ever held what a manifest gives to `named`: that site, and those who came after it.
    pub fn line<'a>(&'a self, named: &'a SiteName) -> impl Iterator<Item = &'a SiteName> {
        std::iter::once(named).chain(self.0.get(named).into_iter().flatten())
    }

    /// Whether anybody in `names` was succeeded.
    #[must_use]
    pub fn changes(&self, names: &[SiteName]) -> bool {
        !self.0.is_empty() && names.iter().any(|name| self.0.contains_key(name))
    }
}

/// What can be seen in one version alone.
pub(super) fn validate(charter: &Charter) -> Result<(), String> {
    let mut before: BTreeMap<&SiteName, &Site> = BTreeMap::new();
    let mut succeeded: BTreeSet<&SiteName> = BTreeSet::new();
    for site in &charter.sites {
        if let Some(name) = &site.succeeds {
            let (new, roles) = (&site.name, site.roles);
            let predecessor =
                before.get(name).ok_or_else(|| format!("site {new} succeeds {name}, which is not before it"))?;
            if predecessor.state == super::SiteState::Active {
                return Err(format!("site {new} succeeds {name}, which is active: mark that lost or expelled"));
            }
            if predecessor.roles.shards && !roles.shards || predecessor.roles.shares && !roles.shares {
                return Err(format!(
                    "site {new} succeeds {name} and cannot hold what that held: give it the same roles"
                ));
            }
            if !succeeded.insert(name) {
                return Err(format!("two sites succeed {name}"));
            }
        }
        before.insert(&site.name, site);
    }
    for database in &charter.databases {
        let named = database.placement.iter().chain(&database.custodians);
        if let Some(name) = named.into_iter().find(|name| succeeded.contains(name)) {
            let database = &database.name;
            return Err(format!("database {database} names site {name}, which was succeeded: name its successor"));
        }
    }
    Ok(())
}

/// A succession is said once, by the version that admits the successor, and never taken back.
pub(super) fn check_new(newest: &Charter, next: &Charter) -> Result<(), CharterError> {
    for site in &next.sites {
        let is_kept = newest.site(&site.name).is_none_or(|held| held.succeeds == site.succeeds);
        let is_known = site.succeeds.as_ref().is_none_or(|name| newest.site(name).is_some());
        if !is_kept || !is_known {
            return Err(CharterError::Succession { version: next.version, site: site.name.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
