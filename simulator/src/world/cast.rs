//! Who is who: officials, sites and writers with their real keys, and the charters that the officials really signed.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use protocol::document::{
    Alliance, Charter, CharterChain, Database, Document, Official, Retention, Roles, Site, SiteKind, SiteState,
};
use protocol::identifier::{DatabaseName, SiteName};
use protocol::machine::SiteKeys;
use protocol::signature::{Keypair, PublicKey, Signed};
use protocol::timestamp::Timestamp;
use shard_codec::{Digest, SealingSecretKey};

use super::config::{Config, ConfigError, SiteConfig};
use super::random::{Purpose, Stream};
use super::trace::NodeId;
use super::virtual_clock::FOUNDING_UNIX_MS;

/// Writer keys of one database, the newest last.
const WRITERS_MAX: u64 = 8;

/// Everybody who is not a process.
#[derive(Debug)]
pub struct Cast {
    /// Officials, by their place in the roll.
    pub officials: Vec<Keypair>,
    /// Keys of each site, by node; only the site and who captured it may use them.
    pub sites: Vec<Rc<SiteKeys>>,
    /// Where each site is, by node.
    pub places: Vec<SiteConfig>,
    /// The charters that a quorum of honest officials signed: no other may ever hold.
    pub chain: CharterChain,
    /// How many writers each database has had.
    writer_numbers: BTreeMap<DatabaseName, u64>,
    seed: u64,
    quorum: usize,
}

/// Signs with every key.
pub fn sign<'a, T: Document>(document: T, keys: impl IntoIterator<Item = &'a Keypair>) -> Result<Signed<T>, String> {
    let mut signed = Signed::draft(document).map_err(|error| error.to_string())?;
    keys.into_iter().for_each(|key| signed.sign(key));
    Ok(signed)
}

impl Cast {
    /// Founds the state.
    ///
    /// # Errors
    /// The real charter refuses what the config asks for.
    pub fn found(config: &Config) -> Result<Self, ConfigError> {
        let key = |index: u64| Stream::new(config.seed, Purpose::Keys, index);
        let officials: Vec<Keypair> =
            (0..u64::from(config.officials)).map(|index| Keypair::generate(key(1_000 + index).crypto())).collect();
        let sites: Vec<Rc<SiteKeys>> = (0..)
            .zip(&config.sites)
            .map(|(index, site)| {
                let mut stream = key(index);
                let identity = Keypair::generate(stream.crypto());
                let sealing = SealingSecretKey::generate(stream.crypto());
                Rc::new(SiteKeys { name: site.name.clone(), identity, sealing })
            })
            .collect();
        let charter = founding_charter(config, &officials, &sites);
        let refuse = |why: String| ConfigError::Charter(why);
        let signed = sign(charter, officials.iter().take(config.quorum.into())).map_err(refuse)?;
        let chain = CharterChain::found(signed, None).map_err(|error| refuse(error.to_string()))?;
        Ok(Self {
            officials,
            sites,
            places: config.sites.clone(),
            chain,
            writer_numbers: BTreeMap::new(),
            seed: config.seed,
            quorum: config.quorum.into(),
        })
    }

    /// Officials that decide.
    pub fn deciding(&self) -> impl Iterator<Item = &Keypair> {
        self.officials.iter().take(self.quorum)
    }

    /// How many of them decide.
    #[must_use]
    pub const fn quorum(&self) -> usize {
        self.quorum
    }

    /// The node of a site.
    #[must_use]
    pub fn node_of(&self, name: &SiteName) -> Option<NodeId> {
        let position = self.places.iter().position(|place| place.name == *name)?;
        u16::try_from(position).ok().map(NodeId)
    }

    /// The name of a node that is a site.
    #[must_use]
    pub fn name_of(&self, node: NodeId) -> Option<&SiteName> {
        self.places.get(node.index()).map(|place| &place.name)
    }

    /// Writer number `number` of a database, from 0; the newest is home's.
    #[must_use]
    pub fn writer(&self, database: &DatabaseName, number: u64) -> Keypair {
        writer_key(self.seed, self.database_position(database), number)
    }

    /// The number of the writer that the newest charter names.
    #[must_use]
    pub fn writer_number(&self, database: &DatabaseName) -> u64 {
        self.writer_numbers.get(database).copied().unwrap_or(0)
    }

    fn database_position(&self, database: &DatabaseName) -> u64 {
        let entries = &self.chain.charter().databases;
        entries.iter().position(|entry| entry.name == *database).map_or(u64::MAX, |position| position as u64)
    }

    /// The next version, changed by `change` and not signed.
    #[must_use]
    pub fn draft(&self, change: impl FnOnce(&mut Charter)) -> Charter {
        let mut next = self.chain.charter().clone();
        next.version += 1;
        next.genesis = Some(self.chain.state());
        next.previous = Some(self.chain.newest().digest());
        change(&mut next);
        next
    }

    /// A quorum signs the next version.
    ///
    /// # Errors
    /// The real charter refuses it.
    pub fn amend(&mut self, change: impl FnOnce(&mut Charter)) -> Result<Signed<Charter>, String> {
        let next = sign(self.draft(change), self.deciding())?;
        self.chain.extend(next.clone()).map_err(|error| error.to_string())?;
        Ok(next)
    }

    /// One site takes the place of another, which is leaving, or counts as lost.
    ///
    /// # Errors
    /// The real charter refuses it.
    pub fn replace_site(&mut self, gone: &SiteName, by: NodeId, state: SiteState) -> Result<Signed<Charter>, String> {
        let (place, keys) = (self.places.get(by.index()), self.sites.get(by.index()));
        let (place, keys) = place.zip(keys).ok_or("no such site")?;
        let mut entry = charter_site(place, keys);
        entry.succeeds = Some(gone.clone());
        self.amend(|charter| {
            charter.sites.iter_mut().filter(|site| site.name == *gone).for_each(|site| site.state = state);
            let lists = charter.databases.iter_mut().flat_map(|entry| [&mut entry.placement, &mut entry.custodians]);
            for name in lists.flatten().filter(|name| **name == *gone) {
                name.clone_from(&entry.name);
            }
            charter.sites.push(entry);
        })
    }

    /// The custodians of a database are named in another order, the first one last.
    ///
    /// # Errors
    /// The real charter refuses it.
    pub fn turn_custodians(&mut self, database: &DatabaseName) -> Result<Signed<Charter>, String> {
        self.amend(|charter| {
            let entries = charter.databases.iter_mut().filter(|entry| entry.name == *database);
            entries.for_each(|entry| entry.custodians.rotate_left(1));
        })
    }

    /// The database gets another writer.
    ///
    /// # Errors
    /// There have been too many.
    pub fn replace_writer(&mut self, database: &DatabaseName) -> Result<Signed<Charter>, String> {
        let number = self.writer_number(database) + 1;
        if number >= WRITERS_MAX {
            return Err("too many writers".to_owned());
        }
        let key = self.writer(database, number).public();
        let signed = self.amend(|charter| {
            charter.databases.iter_mut().filter(|entry| entry.name == *database).for_each(|entry| {
                entry.writers = vec![key];
            });
        })?;
        self.writer_numbers.insert(database.clone(), number);
        Ok(signed)
    }

    /// Digests of the charters that may hold.
    #[must_use]
    pub fn lawful_charters(&self) -> BTreeSet<Digest> {
        self.chain.iter().map(Signed::digest).collect()
    }

    /// All keys that ever wrote this database lawfully.
    #[must_use]
    pub fn lawful_writers(&self, database: &DatabaseName) -> BTreeSet<PublicKey> {
        (0..=self.writer_number(database)).map(|number| self.writer(database, number).public()).collect()
    }
}

fn writer_key(seed: u64, database: u64, number: u64) -> Keypair {
    Keypair::generate(Stream::new(seed, Purpose::Keys, 1_000_000 + database * WRITERS_MAX + number).crypto())
}

fn charter_site(place: &SiteConfig, keys: &SiteKeys) -> Site {
    Site {
        name: place.name.clone(),
        kind: SiteKind::DataCentre,
        jurisdiction: place.jurisdiction.clone(),
        owner: None,
        vendor: None,
        network: None,
        roles: Roles { shards: place.shards, shares: place.shares },
        identity: keys.identity.public(),
        sealing_key: keys.sealing.public().as_bytes().to_vec(),
        addresses: vec![format!("/dns/{}.example/tcp/4001", place.name)],
        state: SiteState::Active,
        succeeds: None,
        agreement: None,
    }
}

fn founding_charter(config: &Config, officials: &[Keypair], sites: &[Rc<SiteKeys>]) -> Charter {
    let founding = || config.sites.iter().filter(|site| !site.spare);
    let with_role = |has_role: fn(&SiteConfig) -> bool| -> Vec<SiteName> {
        founding().filter(|site| has_role(site)).map(|site| site.name.clone()).collect()
    };
    let official =
        |(index, keys): (usize, &Keypair)| Official { name: format!("official {index}"), key: keys.public() };
    let database = |(index, entry): (u64, &super::config::DatabaseConfig)| Database {
        name: entry.name.clone(),
        data_shards: entry.data_shards,
        threshold: entry.threshold,
        placement: with_role(|site| site.shards),
        custodians: with_role(|site| site.shares),
        writers: vec![writer_key(config.seed, index, 0).public()],
        stripe_bytes: 1 << 20,
        quota_bytes: 1 << 40,
        rpo_seconds: None,
        refresh_days: None,
        quarantine: None,
        retention: entry.retention.as_ref().map(|rules| Retention {
            keep: rules.keep.clone(),
            delay_seconds: rules.delay_seconds,
            holds: Vec::new(),
            deletions: Vec::new(),
        }),
    };
    Charter {
        state_name: "Ruritania".to_owned(),
        version: 1,
        genesis: None,
        previous: None,
        drafted: Timestamp::from_unix_ms(FOUNDING_UNIX_MS),
        officials: officials.iter().enumerate().map(official).collect(),
        quorum: config.quorum,
        alliances: (config.alliances.iter())
            .map(|one| Alliance { name: one.name.clone(), jurisdictions: one.jurisdictions.clone() })
            .collect(),
        sites: config
            .sites
            .iter()
            .zip(sites)
            .filter(|(place, _keys)| !place.spare)
            .map(|(place, keys)| charter_site(place, keys))
            .collect(),
        databases: (0..).zip(&config.databases).map(database).collect(),
    }
}
