//! Retention: what a site has promised stays, and what is on its disk is in its memory again after every start.

use std::collections::BTreeMap;

use protocol::document::{Epoch, Manifest, Receipt, block_of};
use protocol::identifier::DatabaseName;
use protocol::machine::{Record, RecordKind};
use protocol::number_set::NumberSet;
use protocol::signature::Signed;
use shard_codec::Digest;

use super::durability::{record_key, share_key, standing};
use super::{Fact, Invariant, Scene};
use crate::world::sim_site::SimSite;
use crate::world::trace::NodeId;

/// What a site promised of one snapshot.
#[derive(Clone, Copy, Debug, Default)]
struct Promise {
    shards: bool,
    share: bool,
}

#[derive(Debug, Default)]
pub(super) struct Retention {
    promises: BTreeMap<(NodeId, Digest), Promise>,
    /// By site, database and stage, what was let go.
    gone: BTreeMap<(NodeId, Vec<u8>), NumberSet>,
}

/// The snapshots that a record says are let go, by all or by the site itself.
pub(super) fn gone_of(record: &Record) -> Option<(DatabaseName, NumberSet)> {
    let (name, _stage) = record.key.split_last_chunk::<9>().filter(|_key| record.kind == RecordKind::Expiry)?;
    Some((std::str::from_utf8(name).ok()?.parse().ok()?, NumberSet::from_bytes(&record.value).ok()?))
}

impl Invariant for Retention {
    fn name(&self) -> &'static str {
        "retention"
    }

    fn observe(&mut self, scene: &Scene<'_>, node: NodeId, fact: &Fact) -> Result<(), String> {
        let Some(site) = scene.honest(node) else { return Ok(()) };
        match fact {
            Fact::ReceiptLeft(receipt) => {
                self.promise(node, receipt);
                Ok(())
            }
            Fact::Conflict(record) => {
                Err(format!("a {:?} is to be written over another one: the site stops for good", record.kind))
            }
            Fact::Started => {
                self.check(scene, node, site)?;
                remembers_all(site)
            }
            Fact::Emptied { records } => {
                self.emptied(node, *records);
                if *records {
                    self.gone.retain(|(of, _place), _gone| *of != node);
                }
                Ok(())
            }
            Fact::Synced(records) => records.iter().try_for_each(|record| self.check_gone(scene, node, record)),
            Fact::Crashed
            | Fact::Struck
            | Fact::Ticked
            | Fact::ColumnsLeft { .. }
            | Fact::BlindedLeft { .. }
            | Fact::Mended(_)
            | Fact::AnswerLeft(_)
            | Fact::Judged(_)
            | Fact::Reached(_)
            | Fact::Handled { .. }
            | Fact::ShareLeft { .. }
            | Fact::Refused(_)
            | Fact::Noted(_) => Ok(()),
        }
    }

    fn finish(&mut self, scene: &Scene<'_>) -> Result<(), String> {
        scene.standing().try_for_each(|site| self.check(scene, site.node, site))
    }
}

impl Retention {
    fn promise(&mut self, node: NodeId, receipt: &Signed<Receipt>) {
        let receipt = receipt.document();
        let promise = self.promises.entry((node, receipt.manifest)).or_default();
        promise.shards |= receipt.holds_shards;
        promise.share |= receipt.holds_share;
    }

    /// What goes has gone in its time: a later snapshot is there that can be restored and that home did not find suspicious,
    /// and no rule keeps it however far the clocks may be off. Judged by the true time, and without the machine's own reading of the rules.
    fn check_gone(&mut self, scene: &Scene<'_>, node: NodeId, record: &Record) -> Result<(), String> {
        let Some((database, gone)) = gone_of(record) else { return Ok(()) };
        let before = self.gone.insert((node, record.key.clone()), gone.clone()).unwrap_or_default();
        if !before.without(&gone).is_empty() {
            return Err(format!("what was let go of {database} is kept again"));
        }
        let entry = scene.config.databases.iter().find(|entry| entry.name == database);
        let rules = entry.and_then(|entry| entry.retention.as_ref());
        let rules = rules.ok_or_else(|| format!("snapshots of {database} go, of which all are kept for ever"))?;
        let least_ms = rules.keep.iter().map(|rule| rule.for_seconds.map(|seconds| seconds * 1_000)).min().flatten();
        let least_ms = least_ms.ok_or_else(|| format!("snapshots of {database} go, which a rule keeps for ever"))?;
        let off_ms = 2 * u64::from(scene.config.clock.offset_ms_max) + 2_000;
        let of_database = |manifest: &&Manifest| manifest.database == database;
        let chapters = || scene.chronicle.chapters.iter().map(|(digest, chapter)| (digest, chapter.signed.document()));
        for (digest, manifest) in chapters().filter(|(_, manifest)| of_database(manifest)) {
            let sequence = manifest.sequence;
            if !gone.contains(sequence) || before.contains(sequence) {
                continue;
            }
            let begun = scene.chronicle.authored.get(digest).map(|authored| authored.begun);
            if begun.is_some_and(|begun| scene.now.plus_ms(off_ms) < begun.plus_ms(least_ms)) {
                return Err(format!("{database} {sequence} goes before its time"));
            }
            let is_there = |digest: &Digest| standing(scene, digest).is_ok_and(|standing| standing.is_enough());
            let mut later = chapters()
                .filter(|(_, later)| of_database(later) && later.sequence > sequence && later.suspicions.is_empty());
            if !later.any(|(digest, _later)| is_there(digest)) {
                return Err(format!("{database} {sequence} goes, and no later good snapshot could be restored"));
            }
        }
        Ok(())
    }

    /// What was on the disk is gone by no fault of the site.
    fn emptied(&mut self, node: NodeId, records: bool) {
        for ((of, _manifest), promise) in &mut self.promises {
            if *of == node {
                promise.shards = false;
                promise.share &= !records;
            }
        }
    }

    fn check(&self, scene: &Scene<'_>, node: NodeId, site: &SimSite) -> Result<(), String> {
        for ((_node, manifest), promise) in self.promises.range((node, Digest::from_bytes([0; 32]))..) {
            if *_node != node {
                break;
            }
            let Some(chapter) = scene.chronicle.chapters.get(manifest) else { continue };
            let document = chapter.signed.document();
            let what = format!("{} {}", document.database, document.sequence);
            // Erased by who has let it go itself, and only that.
            let discarded = site.disk.record(RecordKind::Expiry, &record_key(&document.database, DISCARDED));
            let discarded = discarded.and_then(|bytes| NumberSet::from_bytes(bytes).ok()).unwrap_or_default();
            if discarded.contains(document.sequence) {
                continue;
            }
            // Erased only by who has the certificate that others hold the shares of the next epoch.
            let is_listed = |certificate: &[u8]| {
                let epoch = Epoch::decode(certificate).and_then(|epoch| epoch.proposal());
                epoch.is_ok_and(|proposal| proposal.scope.snapshots.iter().any(|(one, _)| *one == document.sequence))
            };
            let block = record_key(&document.database, block_of(document.sequence));
            let mut certificates = site.disk.records(RecordKind::Epoch).filter(|(key, _)| key.starts_with(&block));
            let is_certified = certificates.any(|(_key, certificate)| is_listed(certificate));
            let is_kept = site.disk.record(RecordKind::Share, &share_key(document)).is_some();
            if promise.share && !is_kept && !is_certified {
                return Err(format!("the share of {what} that was promised is gone"));
            }
            let mut shards = chapter.live.iter().filter_map(|live| scene.chronicle.shard_of(live, &site.keys.name));
            let is_gone =
                |root: &Digest| site.disk.sound(root).is_none() && !scene.chronicle.rotted.contains(&(node, *root));
            if promise.shards && shards.any(|(_index, root)| is_gone(&root)) {
                return Err(format!("a shard of {what} that was promised is gone"));
            }
        }
        Ok(())
    }
}

/// In the key of the record of what a site has let go itself.
const DISCARDED: u64 = 2;

/// Every record on the disk is known to the machines that were put together from it.
fn remembers_all(site: &SimSite) -> Result<(), String> {
    let Some(process) = &site.process else { return Ok(()) };
    let (catalog, release) = (&process.machines.catalog, &process.machines.release);
    let kept = |kind| site.disk.records(kind).count();
    let databases: Vec<&DatabaseName> = catalog.histories().map(|(name, _history)| name).collect();
    let histories = || databases.iter().filter_map(|name| catalog.history(name));
    let manifests: usize = histories().map(|history| history.manifests_from(1).count()).sum();
    let forks: usize = histories().map(|history| history.forks().count()).sum();
    let shares = histories()
        .flat_map(|history| history.manifests_from(1).filter(|one| history.share(one.document().sequence).is_some()))
        .count();
    let log = release.log().len();
    for (what, on_disk, in_memory) in [
        ("manifests", kept(RecordKind::Manifest), manifests),
        ("shares", kept(RecordKind::Share), shares),
        ("proofs of forks", kept(RecordKind::Fork), forks),
        ("entries of the release log", kept(RecordKind::Order) + kept(RecordKind::Notice), log),
    ] {
        if on_disk != in_memory {
            return Err(format!("{on_disk} {what} are on the disk, {in_memory} are known after the start"));
        }
    }
    Ok(())
}
