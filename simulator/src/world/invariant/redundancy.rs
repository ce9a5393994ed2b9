//! Redundancy truth: a receipt of an honest site says nothing but what its disk holds at that moment, synced.

use std::collections::BTreeSet;

use protocol::machine::RecordKind;
use shard_codec::Digest;
use shard_codec::secret_sharing::verify_share;

use super::durability::share_key;
use super::{Fact, Invariant, Scene};
use crate::world::chronicle::Chapter;
use crate::world::sim_site::SimSite;
use crate::world::trace::NodeId;

#[derive(Debug, Default)]
pub(super) struct Redundancy {
    /// Shares that held: which site, of which manifest, the digest of what is on its disk. A receipt leaves for every
    /// peer, and the same bytes hold again.
    held: BTreeSet<(NodeId, Digest, Digest)>,
}

impl Invariant for Redundancy {
    fn name(&self) -> &'static str {
        "redundancy truth"
    }

    fn observe(&mut self, scene: &Scene<'_>, node: NodeId, fact: &Fact) -> Result<(), String> {
        let Fact::ReceiptLeft(signed) = fact else { return Ok(()) };
        let Some(site) = scene.honest(node) else { return Ok(()) };
        let receipt = signed.document();
        let what = format!("a receipt for {} {} leaves", receipt.database, receipt.sequence);
        // A site that is asked again signs again, with the time of today; what it keeps is that it promised as much.
        let flags = [0, u8::from(receipt.holds_shards), u8::from(receipt.holds_share)];
        let place = [receipt.database.as_str().as_bytes(), &[0], &receipt.sequence.to_be_bytes()].concat();
        let (place, name) = (&place, site.keys.name.as_str().as_bytes());
        let as_much = [flags, [0, 1, 1]];
        let keys = as_much.iter().map(|flags| [place.as_slice(), name, flags].concat());
        if !keys.into_iter().any(|key| site.disk.record(RecordKind::Receipt, &key).is_some()) {
            return Err(format!("{what} that is not on the disk"));
        }
        let chapter = scene.chronicle.chapters.get(&receipt.manifest);
        let chapter = chapter.ok_or_else(|| format!("{what} for a manifest that nobody keeps"))?;
        let is_kept = |(_key, value): (&[u8], &[u8])| {
            scene.chronicle.chapter_of(value).is_some_and(|kept| kept.signed.digest() == receipt.manifest)
        };
        if !site.disk.records(RecordKind::Manifest).any(is_kept) {
            return Err(format!("{what}, and the manifest is not on the disk"));
        }
        if receipt.holds_share {
            self.check_share(scene, site, chapter).map_err(|why| format!("{what} for a share {why}"))?;
        }
        if receipt.holds_shards {
            check_shards(scene, node, site, chapter).map_err(|why| format!("{what} for all shards {why}"))?;
        }
        Ok(())
    }
}

impl Redundancy {
    fn check_share(&mut self, scene: &Scene<'_>, site: &SimSite, chapter: &Chapter) -> Result<(), String> {
        let document = chapter.signed.document();
        let sealed = site.disk.record(RecordKind::Share, &share_key(document)).map(Digest::of);
        let kept = (site.node, chapter.signed.digest(), sealed.ok_or("that is not on the disk")?);
        if self.held.contains(&kept) {
            return Ok(());
        }
        let (custody, share) = scene.opened.share(scene.chronicle, site, document)?;
        let index = scene.chronicle.share_index(custody, site);
        let index = index.ok_or("of which it is no custodian")?;
        verify_share(&share, index, usize::from(custody.threshold), &custody.commitments()?)
            .map_err(|error| format!("that does not hold: {error}"))?;
        self.held.insert(kept);
        Ok(())
    }
}

fn check_shards(scene: &Scene<'_>, node: NodeId, site: &SimSite, chapter: &Chapter) -> Result<(), String> {
    for live in chapter.live.iter() {
        let shard = scene.chronicle.shard_of(live, &site.keys.name);
        let (_index, root) = shard.ok_or_else(|| format!("and has none of stripe {}", live.stripe.number))?;
        // What the model itself broke, and nobody has read since, is not the site's lie.
        if site.disk.sound(&root).is_none() && !scene.chronicle.rotted.contains(&(node, root)) {
            return Err(format!("and that of stripe {} is not on the disk", live.stripe.number));
        }
    }
    Ok(())
}
