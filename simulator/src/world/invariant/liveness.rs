//! Liveness: once everything is mended, all standing sites know the same.

use std::collections::{BTreeMap, BTreeSet};

use protocol::document::{Receipt, ReleaseNotice};
use protocol::host::Machines;
use protocol::identifier::{DatabaseName, SiteName};
use protocol::number_set::NumberSet;
use protocol::placement::durability;
use protocol::release::LogEntry;
use protocol::signature::Signed;
use shard_codec::Digest;

use super::durability::held_by;
use super::{Scene, ledger};
use crate::world::sim_site::SimSite;

/// What one site knows of one database.
#[derive(Debug, Default, PartialEq, Eq)]
struct Head {
    digest: Option<Digest>,
    /// Of every snapshot who holds the shards, and who a share.
    receipts: BTreeSet<(u64, String, bool, bool)>,
    is_forked: bool,
    /// Snapshots that the sites have let go.
    let_go: NumberSet,
}

/// What one site knows, as far as all must know it.
#[derive(Debug, PartialEq, Eq)]
struct Knowledge {
    charter: Digest,
    heads: Vec<Head>,
    orders: BTreeSet<Digest>,
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
        let let_go = history.agreed_gone().clone();
        Head { digest: history.head().map(Signed::digest), receipts, is_forked: false, let_go }
    };
    let orders = machines.release.log().iter().filter_map(|entry| match entry {
        LogEntry::Order(order) => Some(order.digest()),
        LogEntry::Notice(_) | LogEntry::Veto(_) => None,
    });
    Some(Knowledge {
        charter: catalog.charters().newest().digest(),
        heads: scene.config.databases.iter().map(of_database).collect(),
        orders: orders.collect(),
    })
}

/// Whoever keeps a snapshot of that number knows of every release of it. Who keeps none takes no notice of it, which anybody
/// could invent: he is on another branch, or nobody vouches for what he missed, and learns of it when he follows.
fn all_hear_of_releases(members: &[&SimSite]) -> Result<(), String> {
    let mut heard: Vec<(&SimSite, &Machines, BTreeMap<Digest, &ReleaseNotice>)> = Vec::new();
    for site in members {
        let Some(process) = &site.process else { continue };
        let log = process.machines.release.log().iter();
        let notices = log.filter_map(|entry| match entry {
            LogEntry::Order(_) | LogEntry::Veto(_) => None,
            LogEntry::Notice(notice) => Some((notice.digest(), notice.document())),
        });
        heard.push((site, &process.machines, notices.collect()));
    }
    for (site, machines, own) in &heard {
        let lacks = |(digest, notice): (&Digest, &&ReleaseNotice)| {
            let history = machines.catalog.history(&notice.database);
            history.is_some_and(|history| history.manifest(notice.sequence).is_some()) && !own.contains_key(digest)
        };
        if let Some((other, ..)) = heard.iter().find(|(_other, _machines, theirs)| theirs.iter().any(lacks)) {
            return Err(format!("{} and {} know different releases", site.keys.name, other.keys.name));
        }
    }
    Ok(())
}

/// Sites that must converge: honest, standing, and members by the newest charter.
pub fn members<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = &'a SimSite> {
    let charter = scene.cast.chain.charter();
    scene.standing().filter(|site| charter.site(&site.keys.name).is_some_and(|entry| entry.is_member()))
}

/// Whether all standing sites know the same.
///
/// # Errors
/// What they do not agree about.
pub fn converged(scene: &Scene<'_>) -> Result<(), String> {
    let names = || scene.config.databases.iter().map(|database| &database.name);
    let mut forked: Vec<&DatabaseName> = Vec::new();
    let vouched: BTreeSet<&DatabaseName> = names().filter(|name| is_vouched(scene, name)).collect();
    let mut first: Option<(&SimSite, Knowledge)> = None;
    for site in members(scene) {
        let name = &site.keys.name;
        let known = knowledge(scene, site, &vouched).ok_or_else(|| format!("{name} is down"))?;
        if known.charter != scene.cast.chain.newest().digest() {
            return Err(format!("{name} does not know the newest charter"));
        }
        match &first {
            None => {
                forked =
                    known.heads.iter().zip(names()).filter(|(head, _)| head.is_forked).map(|(_, name)| name).collect();
                first = Some((site, known));
            }
            Some((other, expected)) => {
                if let Some(what) = difference(&known, expected) {
                    return Err(format!("{name} and {} know different {what}", other.keys.name));
                }
            }
        }
    }
    let members: Vec<&SimSite> = members(scene).collect();
    all_hear_of_releases(&members)?;
    ledger::is_whole(scene, &members, vouched.into_iter().filter(|name| !forked.contains(name)))
}

fn difference(one: &Knowledge, other: &Knowledge) -> Option<&'static str> {
    let mut pairs = one.heads.iter().zip(&other.heads);
    if pairs.any(|(one, other)| (one.digest, one.is_forked) != (other.digest, other.is_forked)) {
        return Some("heads");
    }
    let mut pairs = one.heads.iter().zip(&other.heads);
    if pairs.any(|(one, other)| one.let_go != other.let_go) {
        return Some("snapshots that were let go");
    }
    if one.heads != other.heads {
        return Some("receipts");
    }
    (one.orders != other.orders).then_some("orders")
}

/// Whether home can make the next snapshot durable with the standing members alone. If not, it says so and waits for
/// people.
#[must_use]
pub fn could_be_durable(scene: &Scene<'_>, database: &DatabaseName) -> bool {
    let charter = scene.cast.chain.charter();
    let Some(entry) = charter.database(database) else { return false };
    let names: BTreeSet<SiteName> = members(scene).map(|site| site.keys.name.clone()).collect();
    durability::foresee(charter, entry, &names).is_durable() && !counts_on_the_lost(scene, database)
}

/// Home takes a site that does not answer for one that comes back with its shards. Where it never does, and too little
/// of the newest snapshot is left without it, home waits until a charter says that the site is lost.
fn counts_on_the_lost(scene: &Scene<'_>, database: &DatabaseName) -> bool {
    let charter = scene.cast.chain.charter();
    let is_active = |site: &SimSite| charter.site(&site.keys.name).is_some_and(|one| one.is_member());
    let chronicle = scene.chronicle;
    let signed = chronicle.authored.keys().filter_map(|digest| Some((digest, chronicle.places.get(digest)?)));
    let newest = signed.filter(|(_, (name, _))| name == database).max_by_key(|(_, (_, sequence))| *sequence);
    let too_few = |(digest, _): (&Digest, _)| {
        held_by(scene, members(scene), digest).is_ok_and(|held| held.shards < held.data_shards)
    };
    scene.sites.iter().any(|site| site.lost && is_active(site)) && newest.is_some_and(too_few)
}
