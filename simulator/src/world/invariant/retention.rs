//! Retention: what a site has promised stays, and what is on its disk is in its memory again after every start.

use std::collections::BTreeMap;

use protocol::document::{Epoch, Receipt, block_of};
use protocol::identifier::DatabaseName;
use protocol::machine::RecordKind;
use protocol::signature::Signed;
use shard_codec::Digest;

use super::durability::{record_key, share_key};
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
                Ok(())
            }
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
            | Fact::Synced(_)
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
