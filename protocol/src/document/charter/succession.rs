//! Who took whose place. Manifests name sites for ever; a site that is gone is succeeded by one that the charter names,
//! and that one then stands wherever the manifests name the other: it holds its shards, and its shares.
//!
//! A successor is new with the version that names it, so no older manifest names it beside its predecessor: two shards
//! of one stripe, or two shares of one key, never come to lie at one site.
//!
//! While the predecessor is *draining* it keeps its places and is counted on; its successor is its *heir*: it takes what
//! the other holds, and counts from the version on that marks the other lost.

use std::collections::{BTreeMap, BTreeSet};

use super::{Charter, CharterError, Site};
use crate::identifier::SiteName;

/// Who came after one site.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    holder: SiteName,
    heir: Option<SiteName>,
    line: Vec<SiteName>,
}

/// For each site that has a successor, who stands in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Succession(BTreeMap<SiteName, Place>);

impl Succession {
    /// What a charter says.
    #[must_use]
    pub fn of(charter: &Charter) -> Self {
        let mut places: BTreeMap<SiteName, Place> = BTreeMap::new();
        // Successors come after their predecessors, so a chain is followed from its end.
        for site in charter.sites.iter().rev() {
            let Some(predecessor) = &site.succeeds else { continue };
            let later = places.get(&site.name).cloned();
            let line = std::iter::once(&site.name).chain(later.iter().flat_map(|place| &place.line)).cloned().collect();
            let (holder, heir) = if charter.active_site(predecessor).is_some() {
                // Who stands in the heir's own place, if that is gone already.
                (predecessor.clone(), Some(later.map_or_else(|| site.name.clone(), |place| place.holder)))
            } else {
                later.map_or_else(|| (site.name.clone(), None), |place| (place.holder, place.heir))
            };
            places.insert(predecessor.clone(), Place { holder, heir, line });
        }
        Self(places)
    }

    /// The site that stands where a manifest says `named`.
    #[must_use]
    pub fn holder<'a>(&'a self, named: &'a SiteName) -> &'a SiteName {
        self.0.get(named).map_or(named, |place| &place.holder)
    }

    /// The site that takes over from the one that stands there now, while that one is leaving.
    #[must_use]
    pub fn heir(&self, named: &SiteName) -> Option<&SiteName> {
        self.0.get(named)?.heir.as_ref()
    }

    /// Whether `site` stands where a manifest says `named`, or is taking over there.
    #[must_use]
    pub fn is_due(&self, named: &SiteName, site: &SiteName) -> bool {
        self.holder(named) == site || self.heir(named) == Some(site)
    }

    /// Everybody who ever held what a manifest gives to `named`: that site, and those who came after it.
    pub fn line<'a>(&'a self, named: &'a SiteName) -> impl Iterator<Item = &'a SiteName> {
        std::iter::once(named).chain(self.0.get(named).into_iter().flat_map(|place| &place.line))
    }

    /// Whether anybody in `names` has a successor.
    #[must_use]
    pub fn changes(&self, names: &[SiteName]) -> bool {
        !self.0.is_empty() && names.iter().any(|name| self.0.contains_key(name))
    }

    /// Sites that are leaving, each with the one that takes over.
    pub fn handovers(&self) -> impl Iterator<Item = (&SiteName, &SiteName)> {
        let leaving = self.0.iter().filter(|(name, place)| **name == place.holder);
        leaving.filter_map(|(name, place)| Some((name, place.heir.as_ref()?)))
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
                return Err(format!(
                    "site {new} succeeds {name}, which is active: mark that draining, lost or expelled"
                ));
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

/// A succession is said once, by the version that admits the successor, and never taken back; nor does a site come back
/// that was succeeded.
pub(super) fn check_new(newest: &Charter, next: &Charter) -> Result<(), CharterError> {
    for site in &next.sites {
        let is_kept = newest.site(&site.name).is_none_or(|held| held.succeeds == site.succeeds);
        let is_known = site.succeeds.as_ref().is_none_or(|name| newest.site(name).is_some());
        // Somebody else stands in the place of a site that is out: it does not come back to it.
        let was_out = newest.site(&site.name).is_some_and(|held| newest.active_site(&held.name).is_none());
        let is_back = was_out && next.active_site(&site.name).is_some();
        if !is_kept || !is_known || is_back && next.sites.iter().any(|one| one.succeeds.as_ref() == Some(&site.name)) {
            return Err(CharterError::Succession { version: next.version, site: site.name.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
