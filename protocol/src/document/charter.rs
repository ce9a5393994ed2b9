//! The charter: who governs, which sites there are, what is kept where.

mod agreement;
mod chain;
mod quarantine;
mod retention;
pub(crate) mod succession;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use shard_codec::limits::STRIPE_BYTES_MAX;
use shard_codec::share_sealing::SealingPublicKey;
use shard_codec::{CodingParameters, Digest, ShardIndex};

pub use agreement::{Agreement, DISTANCE_KM_MAX};
pub use chain::{CharterChain, CharterError};
pub use quarantine::Quarantine;
pub use retention::{Keep, Period, Retention, Span};
pub use succession::Succession;

use super::{Document, check_text};
use crate::identifier::{DatabaseName, SiteName};
use crate::limits::{
    ADDRESSES_MAX, ALLIANCES_MAX, CHARTER_BYTES_MAX, DATABASES_MAX, OFFICIALS_MAX, REFRESH_DAYS_MAX, RPO_SECONDS_MAX,
    SIGNATURES_MAX, SITES_MAX,
};
use crate::placement::coalition;
use crate::signature::PublicKey;
use crate::timestamp::Timestamp;

/// The root document of a state. Version N+1 carries a quorum of version N and of itself, as TUF's root role does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charter {
    /// The state, in words.
    pub state_name: String,
    /// From 1.
    pub version: u64,
    /// Digest of version 1, which names the state; absent in version 1 itself.
    pub genesis: Option<Digest>,
    /// Digest of the version before.
    pub previous: Option<Digest>,
    /// When it was drafted, by the drafter's clock.
    pub drafted: Timestamp,
    /// Who may sign.
    pub officials: Vec<Official>,
    /// How many of them decide.
    pub quorum: u16,
    /// Jurisdictions that may act together.
    pub alliances: Vec<Alliance>,
    /// All sites there ever were, with their state.
    pub sites: Vec<Site>,
    /// What is kept.
    pub databases: Vec<Database>,
}

/// One official.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Official {
    /// The person or office, in words.
    pub name: String,
    /// The signing key.
    pub key: PublicKey,
}

/// Jurisdictions that count as one when secrecy and survival are computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alliance {
    /// For instance `Nordic mutual assistance`.
    pub name: String,
    /// ISO 3166 alpha-2 codes.
    pub jurisdictions: Vec<String>,
}

/// What kind of place a site is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SiteKind {
    /// On the state's own territory.
    Home,
    /// In an embassy.
    Embassy,
    /// A data centre of the state, or of an ally under treaty.
    DataCentre,
    /// Rented.
    Cloud,
}

/// Where the site stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SiteState {
    /// A full member.
    Active,
    /// A member that leaves in good order: it keeps its places until its successor holds all that it holds.
    Draining,
    /// Gone; a new one takes its place under a new name.
    Lost,
    /// Put out; its key is refused.
    Expelled,
}

/// What a site holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// Coded data.
    pub shards: bool,
    /// Shares of snapshot keys.
    pub shares: bool,
}

/// One site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Unique, for ever.
    pub name: SiteName,
    /// What kind of place.
    pub kind: SiteKind,
    /// Whose law holds on the ground: ISO 3166 alpha-2.
    pub jurisdiction: String,
    /// Who owns the building, if that is a domain of its own.
    pub owner: Option<String>,
    /// The cloud vendor, whose home law reaches the site too.
    pub vendor: Option<String>,
    /// The network it hangs on.
    pub network: Option<String>,
    /// What it holds.
    pub roles: Roles,
    /// Ed25519; the PeerId on the mesh is made of it.
    pub identity: PublicKey,
    /// Shares are sealed to it (X-Wing, 1216 bytes).
    #[serde(with = "serde_bytes")]
    pub sealing_key: Vec<u8>,
    /// Multiaddrs.
    pub addresses: Vec<String>,
    /// Member, lost or expelled.
    pub state: SiteState,
    /// The site whose place this one takes, in every manifest there is. Not written if there is none, as in charters made
    /// before there were successors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeds: Option<SiteName>,
    /// On what ground it stands there. Not written if nothing is said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Agreement>,
}

impl Site {
    /// Whether the others talk to it.
    #[must_use]
    pub const fn is_member(&self) -> bool {
        matches!(self.state, SiteState::Active | SiteState::Draining)
    }

    /// Checks one entry by itself.
    ///
    /// # Errors
    /// What is wrong.
    pub fn validate(&self) -> Result<(), String> {
        let name = &self.name;
        if !is_jurisdiction(&self.jurisdiction) {
            return Err(format!("site {name}: jurisdiction must be two capital letters (ISO 3166), as in EE"));
        }
        for (what, text) in [("owner", &self.owner), ("vendor", &self.vendor), ("network", &self.network)] {
            text.as_ref().map_or(Ok(()), |text| check_text(&format!("site {name}: {what}"), text))?;
        }
        if let Some(agreement) = &self.agreement {
            agreement.validate().map_err(|why| format!("site {name}: {why}"))?;
        }
        if !self.roles.shards && !self.roles.shares {
            return Err(format!("site {name}: holds neither shards nor shares"));
        }
        if !self.identity.is_usable() {
            return Err(format!("site {name}: the identity is not a usable key"));
        }
        if self.addresses.is_empty() || self.addresses.len() > ADDRESSES_MAX {
            return Err(format!("site {name}: needs 1 to {ADDRESSES_MAX} addresses"));
        }
        self.addresses.iter().try_for_each(|address| check_text(&format!("site {name}: address"), address))?;
        SealingPublicKey::from_bytes(&self.sealing_key)
            .map(|_key| ())
            .map_err(|error| format!("site {name}: sealing key: {error}"))
    }
}

/// ISO 3166 alpha-2 by form; which codes are assigned is for people.
fn is_jurisdiction(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// One database and how it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Unique.
    pub name: DatabaseName,
    /// Shards that rebuild a stripe.
    pub data_shards: u8,
    /// Shares that reconstruct a snapshot key.
    pub threshold: u8,
    /// Shard i of every stripe lies at the i-th of these.
    pub placement: Vec<SiteName>,
    /// Share i + 1 of every snapshot key lies at the i-th of these.
    pub custodians: Vec<SiteName>,
    /// Keys that may publish snapshots.
    pub writers: Vec<PublicKey>,
    /// Payload of a full stripe in bytes.
    pub stripe_bytes: u32,
    /// What one site may hold of it, in bytes.
    pub quota_bytes: u64,
    /// Recovery point objective: how old its newest snapshot may become before the sites raise an alarm, in seconds.
    pub rpo_seconds: Option<u64>,
    /// So many days after their last epoch began, shares get a new one though nothing has changed: what was stolen before
    /// is worth nothing beside what is stolen later. Not written if they are only changed with their custodians.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_days: Option<u16>,
    /// How long its snapshots are kept. Not written if for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Which of its snapshots are suspicious, and which of those were accepted. Not written if no size is, and none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Quarantine>,
}

impl Database {
    /// The code of its stripes.
    ///
    /// # Errors
    /// Fewer sites than data shards, or none.
    pub fn coding(&self) -> Result<CodingParameters, String> {
        let (data, total) = (usize::from(self.data_shards), self.placement.len());
        let parity = total
            .checked_sub(data)
            .ok_or_else(|| format!("database {}: {data} data shards do not fit on {total} sites", self.name))?;
        CodingParameters::new(data, parity).map_err(|error| format!("database {}: {error}", self.name))
    }

    /// Which shard of every stripe lies at `site`.
    #[must_use]
    pub fn shard_index_of(&self, site: &SiteName) -> Option<ShardIndex> {
        let position = self.placement.iter().position(|name| name == site)?;
        u8::try_from(position).ok().map(ShardIndex::new)
    }
}

impl Charter {
    /// The officials' keys.
    #[must_use]
    pub fn roll(&self) -> BTreeSet<PublicKey> {
        self.officials.iter().map(|official| official.key).collect()
    }

    /// The entry of a site, whatever its state.
    #[must_use]
    pub fn site(&self, name: &SiteName) -> Option<&Site> {
        self.sites.iter().find(|site| &site.name == name)
    }

    /// The active site with this identity.
    #[must_use]
    pub fn active_site_by_identity(&self, identity: PublicKey) -> Option<&Site> {
        self.active_sites().find(|site| site.identity == identity)
    }

    /// The entry of a site that is a member.
    #[must_use]
    pub fn active_site(&self, name: &SiteName) -> Option<&Site> {
        self.site(name).filter(|site| site.is_member())
    }

    /// Sites that are members.
    pub fn active_sites(&self) -> impl Iterator<Item = &Site> {
        self.sites.iter().filter(|site| site.is_member())
    }

    /// The entry of a database.
    #[must_use]
    pub fn database(&self, name: &DatabaseName) -> Option<&Database> {
        self.databases.iter().find(|database| &database.name == name)
    }

    /// Whether `key` may publish any database at all.
    #[must_use]
    pub fn is_writer(&self, key: PublicKey) -> bool {
        self.databases.iter().any(|database| database.writers.contains(&key))
    }

    fn validate_roll(&self) -> Result<(), String> {
        let roll = self.roll();
        if roll.len() != self.officials.len() {
            return Err("two officials have the same key".to_owned());
        }
        if roll.is_empty() || roll.len() > OFFICIALS_MAX {
            return Err(format!("needs 1 to {OFFICIALS_MAX} officials"));
        }
        if !(1..=roll.len()).contains(&usize::from(self.quorum)) {
            return Err(format!("a quorum of {} cannot be reached by {} officials", self.quorum, roll.len()));
        }
        for official in &self.officials {
            check_text("an official's name", &official.name)?;
            if !official.key.is_usable() {
                return Err(format!("the key of {} is not usable", official.name));
            }
        }
        Ok(())
    }

    fn validate_sites(&self) -> Result<(), String> {
        if self.sites.is_empty() || self.sites.len() > SITES_MAX {
            return Err(format!("needs 1 to {SITES_MAX} sites"));
        }
        let names: BTreeSet<_> = self.sites.iter().map(|site| &site.name).collect();
        let identities: BTreeSet<_> = self.sites.iter().map(|site| site.identity).collect();
        let sealing_keys: BTreeSet<_> = self.sites.iter().map(|site| &site.sealing_key).collect();
        if [names.len(), identities.len(), sealing_keys.len()].iter().any(|count| *count != self.sites.len()) {
            return Err("two sites share a name, an identity or a sealing key".to_owned());
        }
        if !self.roll().is_disjoint(&identities) {
            return Err("an official's key is also a site's identity".to_owned());
        }
        self.sites.iter().try_for_each(Site::validate)
    }

    /// A code that no site can have would make an alliance of nobody, and the coalition check silently blind.
    fn validate_alliances(&self) -> Result<(), String> {
        if self.alliances.len() > ALLIANCES_MAX {
            return Err(format!("at most {ALLIANCES_MAX} alliances"));
        }
        for alliance in &self.alliances {
            check_text("an alliance's name", &alliance.name)?;
            let codes: BTreeSet<_> = alliance.jurisdictions.iter().collect();
            if codes.is_empty() || codes.len() != alliance.jurisdictions.len() {
                return Err(format!("alliance '{}': needs jurisdictions, each once", alliance.name));
            }
            if !codes.iter().all(|code| is_jurisdiction(code)) {
                let name = &alliance.name;
                return Err(format!("alliance '{name}': a jurisdiction is two capital letters (ISO 3166), as in EE"));
            }
        }
        Ok(())
    }

    fn validate_database(database: &Database, sites: &BTreeMap<&SiteName, &Site>) -> Result<(), String> {
        let name = &database.name;
        database.coding()?;
        let stripe_bytes = usize::try_from(database.stripe_bytes).unwrap_or(usize::MAX);
        if database.rpo_seconds.is_some_and(|rpo| !(60..=RPO_SECONDS_MAX).contains(&rpo)) {
            return Err(format!("database {name}: rpo_seconds must be a minute to a year"));
        }
        if database.refresh_days.is_some_and(|days| !(1..=REFRESH_DAYS_MAX).contains(&days)) {
            return Err(format!("database {name}: refresh_days must be 1 to {REFRESH_DAYS_MAX}"));
        }
        if !(1 << 20..=STRIPE_BYTES_MAX).contains(&stripe_bytes) {
            return Err(format!("database {name}: stripe_bytes must be 1 MiB to 64 MiB"));
        }
        if database.writers.is_empty() {
            return Err(format!("database {name}: needs at least one usable writer key"));
        }
        if !(2..=database.custodians.len()).contains(&usize::from(database.threshold)) {
            let count = database.custodians.len();
            return Err(format!("database {name}: threshold must be 2 to {count} (its custodians)"));
        }
        if let Some(retention) = &database.retention {
            retention.validate().map_err(|why| format!("database {name}: {why}"))?;
        }
        if let Some(quarantine) = &database.quarantine {
            quarantine.validate().map_err(|why| format!("database {name}: {why}"))?;
        }
        for (what, list) in [("placement", &database.placement), ("custodians", &database.custodians)] {
            if list.iter().collect::<BTreeSet<_>>().len() != list.len() || list.len() > SITES_MAX {
                return Err(format!("database {name}: {what} names a site twice"));
            }
            for site_name in list {
                let site = sites.get(site_name).ok_or_else(|| format!("database {name}: no site {site_name}"))?;
                let has_role = if what == "placement" { site.roles.shards } else { site.roles.shares };
                if !has_role {
                    return Err(format!("database {name}: site {site_name} does not have the role for {what}"));
                }
            }
        }
        Ok(())
    }
}

impl Document for Charter {
    const KIND: &'static str = "charter";
    const BYTES_MAX: usize = CHARTER_BYTES_MAX;
    const SIGNATURES_MAX: usize = SIGNATURES_MAX;

    fn validate(&self) -> Result<(), String> {
        check_text("the state's name", &self.state_name)?;
        if self.version == 0 || (self.version == 1) != (self.genesis.is_none() && self.previous.is_none()) {
            return Err("version 1 has no predecessor, every later version names one".to_owned());
        }
        if self.version > 1 && (self.genesis.is_none() || self.previous.is_none()) {
            return Err("a later version names genesis and predecessor".to_owned());
        }
        self.validate_roll()?;
        self.validate_sites()?;
        self.validate_alliances()?;
        succession::validate(self)?;
        let names: BTreeSet<_> = self.databases.iter().map(|database| &database.name).collect();
        if names.len() != self.databases.len() || names.len() > DATABASES_MAX {
            return Err(format!("at most {DATABASES_MAX} databases, each named once"));
        }
        let sites: BTreeMap<_, _> = self.sites.iter().map(|site| (&site.name, site)).collect();
        self.databases.iter().try_for_each(|database| Self::validate_database(database, &sites))
    }

    fn validate_costly(&self) -> Result<(), String> {
        for Database { name, writers, .. } in &self.databases {
            if !writers.iter().all(PublicKey::is_usable) {
                return Err(format!("database {name}: needs at least one usable writer key"));
            }
        }
        coalition::check(self).map_err(|breach| breach.to_string())
    }
}

#[cfg(test)]
mod tests;
