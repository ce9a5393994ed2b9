//! Liveness: once everything is mended, all standing sites know the same.

use std::collections::BTreeSet;

use protocol::document::{Custody, Manifest, Receipt, SiteState};
use protocol::identifier::DatabaseName;
use protocol::placement::durability;
use protocol::release::LogEntry;
use protocol::signature::Signed;
use protocol::timestamp::Timestamp;
use shard_codec::Digest;

use super::Scene;
use crate::world::sim_site::SimSite;

/// What one site knows of one database.
#[derive(Debug, Default, PartialEq, Eq)]
struct Head {
    digest: Option<Digest>,
    /// Of every snapshot who holds the shards, and who a share.
    receipts: BTreeSet<(u64, String, bool, bool)>,
    is_forked: bool,
}

/// What one site knows, as far as all must know it.
#[derive(Debug, PartialEq, Eq)]
struct Knowledge {
    charter: Digest,
    heads: Vec<Head>,
    log: BTreeSet<Digest>,
}

/// Whether a writer of today signed the newest manifest that any member knows: without him nobody vouches for what a
/// replaced writer signed, and who was away does not take it.
fn is_vouched(scene: &Scene<'_>, database: &DatabaseName) -> bool {
    let charter = scene.cast.chain.charter();
    let Some(entry) = charter.database(database) else { return false };
    let machines = members(scene).filter_map(|site| site.process.as_ref()).map(|process| &process.machines);
    let heads = machines.filter_map(|machines| machines.catalog.history(database)?.head());
    let newest = heads.max_by_key(|head| head.document().sequence);
    newest.is_some_and(|head| head.signatures().iter().any(|one| entry.writers.contains(&one.key)))
}

fn knowledge(scene: &Scene<'_>, site: &SimSite, vouched: &BTreeSet<&DatabaseName>) -> Option<Knowledge> {
    let machines = &site.process.as_ref()?.machines;
    let catalog = &machines.catalog;
    let of_database = |database: &crate::world::config::DatabaseConfig| {
        if !vouched.contains(&database.name) {
            return Head::default();
        }
        let Some(history) = catalog.history(&database.name) else { return Head::default() };
        if history.forks().next().is_some() {
            return Head { is_forked: true, ..Head::default() }; // which branch a site follows is for people to decide
        }
        let receipts = (1..=history.head_sequence()).flat_map(|sequence| history.receipts(sequence));
        let said = |one: &Receipt| (one.sequence, one.site.to_string(), one.holds_shards, one.holds_share);
        let receipts = receipts.map(|signed| said(signed.document())).collect();
        Head { digest: history.head().map(Signed::digest), receipts, is_forked: false }
    };
    let log = machines.release.log().iter().map(|entry| match entry {
        LogEntry::Order(order) => order.digest(),
        LogEntry::Notice(notice) => notice.digest(),
    });
    Some(Knowledge {
        charter: catalog.charters().newest().digest(),
        heads: scene.config.databases.iter().map(of_database).collect(),
        log: log.collect(),
    })
}

/// Sites that must converge: honest, standing, and members by the newest charter.
pub fn members<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = &'a SimSite> {
    let charter = scene.cast.chain.charter();
    scene.standing().filter(|site| charter.site(&site.keys.name).is_some_and(|entry| entry.state == SiteState::Active))
}

/// Whether all standing sites know the same.
///
/// # Errors
/// What they do not agree about.
pub fn converged(scene: &Scene<'_>) -> Result<(), String> {
    let names = scene.config.databases.iter().map(|database| &database.name);
    let vouched: BTreeSet<&DatabaseName> = names.filter(|name| is_vouched(scene, name)).collect();
    let mut first: Option<(&SimSite, Knowledge)> = None;
    for site in members(scene) {
        let name = &site.keys.name;
        let known = knowledge(scene, site, &vouched).ok_or_else(|| format!("{name} is down"))?;
        if known.charter != scene.cast.chain.newest().digest() {
            return Err(format!("{name} does not know the newest charter"));
        }
        match &first {
            None => first = Some((site, known)),
            Some((other, expected)) => {
                if let Some(what) = difference(&known, expected) {
                    return Err(format!("{name} and {} know different {what}", other.keys.name));
                }
            }
        }
    }
    Ok(())
}

fn difference(one: &Knowledge, other: &Knowledge) -> Option<&'static str> {
    let mut pairs = one.heads.iter().zip(&other.heads);
    if pairs.any(|(one, other)| (one.digest, one.is_forked) != (other.digest, other.is_forked)) {
        return Some("heads");
    }
    if one.heads != other.heads {
        return Some("receipts");
    }
    (one.log != other.log).then_some("releases")
}

/// Whether receipts of all standing members would make the next snapshot durable. If not, home says so and waits for
/// people.
#[must_use]
pub fn could_be_durable(scene: &Scene<'_>, database: &DatabaseName) -> bool {
    let charter = scene.cast.chain.charter();
    let Some(entry) = charter.database(database) else { return false };
    let state = scene.cast.chain.state();
    let manifest = Manifest {
        state,
        database: database.clone(),
        sequence: 1,
        previous: None,
        charter: state,
        created: Timestamp::default(),
        data_shards: entry.data_shards,
        placement: entry.placement.clone(),
        stripes_added: Vec::new(),
        stripes_dropped: Vec::new(),
        custody: Custody {
            epoch: 1,
            threshold: entry.threshold,
            custodians: entry.custodians.clone(),
            commitments: Vec::new(),
            share_digests: Vec::new(),
        },
        sealed_root: Vec::new(),
    };
    let receipt = |site: &SimSite| Receipt {
        state,
        database: database.clone(),
        sequence: 1,
        manifest: state,
        site: site.keys.name.clone(),
        holds_shards: true,
        holds_share: true,
        at: Timestamp::default(),
    };
    let receipts: Vec<Receipt> = members(scene).map(receipt).collect();
    durability::assess(charter, &manifest, &receipts).is_durable()
}
