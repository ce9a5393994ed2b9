//! Durability: what home was told is durable can be put together from what the disks of the standing sites hold, at every
//! moment; at the end it is really decoded and opened.

use std::collections::{BTreeMap, BTreeSet};

use protocol::contents::{ContentsRoot, root_context};
use protocol::document::{Custody, Manifest, block_of};
use protocol::identifier::DatabaseName;
use protocol::machine::{Record, RecordKind};
use protocol::resharing;
use shard_codec::sealing::open_root;
use shard_codec::secret_sharing::reconstruct;
use shard_codec::{Digest, ShardIndex, Share, ShareIndex, UncheckedShard, VerifiedShard};

use super::retention::gone_of;
use super::{Fact, Invariant, Scene};
use crate::world::chronicle::Chapter;
use crate::world::fetch::decode;
use crate::world::home::Note;
use crate::world::sim_site::SimSite;
use crate::world::trace::NodeId;
use crate::world::workload::open_all;

#[derive(Debug, Default)]
pub(super) struct Durability {
    promised: BTreeSet<Digest>,
}

impl Invariant for Durability {
    fn name(&self) -> &'static str {
        "durability"
    }

    fn observe(&mut self, scene: &Scene<'_>, node: NodeId, fact: &Fact) -> Result<(), String> {
        if !scene.config.asserted.durability {
            return Ok(());
        }
        match fact {
            Fact::Noted(Note::Published { manifest, durable: true, .. }) => {
                self.promised.insert(*manifest);
                check(scene, manifest)
            }
            Fact::Synced(records) if scene.honest(node).is_some() => {
                self.let_go(scene, records);
                Ok(())
            }
            Fact::Struck | Fact::Crashed => self.promised.iter().try_for_each(|manifest| check(scene, manifest)),
            Fact::Started
            | Fact::Emptied { .. }
            | Fact::Ticked
            | Fact::ColumnsLeft { .. }
            | Fact::BlindedLeft { .. }
            | Fact::Mended(_)
            | Fact::AnswerLeft(_)
            | Fact::Judged(_)
            | Fact::Reached(_)
            | Fact::Handled { .. }
            | Fact::Synced(_)
            | Fact::Conflict(_)
            | Fact::ReceiptLeft(_)
            | Fact::ShareLeft { .. }
            | Fact::Refused(_)
            | Fact::Noted(_) => Ok(()),
        }
    }

    fn finish(&mut self, scene: &Scene<'_>) -> Result<(), String> {
        for manifest in &self.promised {
            check(scene, manifest)?;
            let plaintext = open_from_disks(scene, manifest)?;
            let authored = scene.chronicle.authored.get(manifest).map(|authored| authored.plaintext);
            if authored != Some(plaintext) {
                return Err(format!("snapshot {} opens to something else", manifest.short()));
            }
        }
        Ok(())
    }
}

impl Durability {
    /// What the sites have let go is promised no more; whether they may is judged by [`super::retention`].
    fn let_go(&mut self, scene: &Scene<'_>, records: &[Record]) {
        for (database, gone) in records.iter().filter_map(gone_of) {
            self.promised.retain(|manifest| {
                let place = scene.chronicle.places.get(manifest);
                place.is_none_or(|(of, sequence)| *of != database || !gone.contains(*sequence))
            });
        }
    }
}

/// What is left of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Sound shards of the stripe that has the fewest.
    pub shards: usize,
    /// Shards needed.
    pub data_shards: usize,
    /// Shares.
    pub shares: usize,
    /// Shares needed.
    pub threshold: usize,
}

impl Standing {
    /// Whether it can be restored.
    #[must_use]
    pub const fn is_enough(&self) -> bool {
        self.shards >= self.data_shards && self.shares >= self.threshold
    }
}

/// What the disks of the standing sites hold of a snapshot.
///
/// # Errors
/// Nobody keeps its manifest.
pub fn standing(scene: &Scene<'_>, manifest: &Digest) -> Result<Standing, String> {
    held_by(scene, scene.standing(), manifest)
}

/// What the disks of these sites hold of a snapshot.
///
/// # Errors
/// Nobody keeps its manifest.
pub fn held_by<'a>(
    scene: &Scene<'_>,
    sites: impl Iterator<Item = &'a SimSite>,
    manifest: &Digest,
) -> Result<Standing, String> {
    let chapter = scene.chronicle.chapters.get(manifest);
    let Chapter { signed, live } = chapter.ok_or_else(|| format!("nobody keeps manifest {}", manifest.short()))?;
    let document = signed.document();
    let sites: Vec<&SimSite> = sites.collect();
    // At whichever site: one that was replaced while it stood still has its disk.
    let is_sound = |root: Digest| sites.iter().any(|site| site.disk.sound(&root).is_some());
    let sound_shards = |stripe: &protocol::document::LiveStripe| {
        let roots = stripe.stripe.roots.chunks_exact(32).filter_map(|root| root.try_into().ok());
        roots.map(Digest::from_bytes).filter(|root| is_sound(*root)).count()
    };
    let weakest = live.iter().map(|stripe| (sound_shards(stripe), stripe.layout.parameters().data_shards()));
    let weakest = weakest.min_by_key(|(sound, needed)| sound.saturating_sub(*needed) + usize::from(sound >= needed));
    let (shards, data_shards) = weakest.unwrap_or((0, 0));
    let (shares, threshold) = shares_of(scene, &sites, document);
    Ok(Standing { shards, data_shards, shares, threshold })
}

/// The shares that are left, and how many are needed, of the epoch of which most are left over. What was certified counts as
/// held by those who keep it ready, and take it up when they learn of the certificate.
fn shares_of(scene: &Scene<'_>, sites: &[&SimSite], document: &Manifest) -> (usize, usize) {
    let key = share_key(document);
    let keepers = || sites.iter().filter(|site| site.disk.record(RecordKind::Share, &key).is_some());
    let dealt = usize::from(document.custody.threshold);
    let place = (document.database.clone(), document.sequence);
    if !scene.chronicle.epochs.contains_key(&place) {
        let index = |site: &&SimSite| scene.chronicle.share_index(&document.custody, site);
        return (keepers().filter_map(index).collect::<BTreeSet<ShareIndex>>().len(), dealt);
    }
    let mut by_epoch: BTreeMap<u64, BTreeSet<ShareIndex>> = BTreeMap::new();
    for site in keepers() {
        if let Ok((custody, share)) = scene.opened.share(scene.chronicle, site, document) {
            by_epoch.entry(custody.epoch).or_default().insert(share.index());
        }
    }
    let agreement = record_key(&document.database, block_of(document.sequence));
    for site in sites {
        let ready = site.disk.record(RecordKind::Agreement, &agreement).and_then(resharing::ready_for);
        let of = scene.chronicle.custodies(document).find(|(proposal, _custody)| ready.is_some() && *proposal == ready);
        if let Some((_proposal, custody)) = of {
            let index = scene.chronicle.share_index(custody, site);
            by_epoch.entry(custody.epoch).or_default().extend(index);
        }
    }
    let counted = scene.chronicle.custodies(document).map(|(_proposal, custody)| {
        let held = by_epoch.get(&custody.epoch).map_or(0, BTreeSet::len);
        (held, usize::from(custody.threshold))
    });
    counted.max_by_key(|(held, threshold)| held + 256 - threshold).unwrap_or((0, dealt))
}

/// Key of the record that keeps a site's share.
pub(super) fn share_key(manifest: &Manifest) -> Vec<u8> {
    record_key(&manifest.database, manifest.sequence)
}

/// Key of the records that keep a manifest and a share of it: database, zero, sequence.
pub(super) fn record_key(database: &DatabaseName, sequence: u64) -> Vec<u8> {
    [database.as_str().as_bytes(), &[0], &sequence.to_be_bytes()].concat()
}

fn check(scene: &Scene<'_>, manifest: &Digest) -> Result<(), String> {
    let Standing { shards, data_shards, shares, threshold } = standing(scene, manifest)?;
    if shards >= data_shards && shares >= threshold {
        return Ok(());
    }
    let place = scene.chronicle.places.get(manifest);
    let (database, sequence) = place.map_or(("?", 0), |(database, sequence)| (database.as_str(), *sequence));
    Err(format!(
        "snapshot {sequence} of {database} was durable, and {shards} shards of {data_shards} and {shares} shares of \
         {threshold} are left"
    ))
}

/// Opens a snapshot with nothing but the disks and keys of the standing sites; returns the digest over its plaintext.
///
/// # Errors
/// It cannot be opened.
pub fn open_from_disks(scene: &Scene<'_>, manifest: &Digest) -> Result<Digest, String> {
    let chapter = scene.chronicle.chapters.get(manifest).ok_or("nobody keeps the manifest")?;
    let document = chapter.signed.document();
    // A site and its successor have the same one.
    let mut by_epoch: BTreeMap<u64, (&Custody, BTreeMap<ShareIndex, Share>)> = BTreeMap::new();
    for (custody, share) in scene.standing().filter_map(|site| scene.opened.share(scene.chronicle, site, document).ok())
    {
        by_epoch.entry(custody.epoch).or_insert_with(|| (custody, BTreeMap::new())).1.insert(share.index(), share);
    }
    // Certified, and not taken up yet by whoever has not heard of it.
    let agreement = record_key(&document.database, block_of(document.sequence));
    for (proposal, custody) in scene.chronicle.custodies(document) {
        let Some((proposal, scope)) = proposal.and_then(|one| Some((one, scene.chronicle.scopes.get(&one)?))) else {
            continue;
        };
        for site in scene.standing() {
            let record = site.disk.record(RecordKind::Agreement, &agreement);
            let ready = record.and_then(|record| resharing::ready_shares(record, proposal, scope, &site.keys));
            let of_scope = scope.snapshots.iter().zip(ready.into_iter().flatten());
            for (_snapshot, share) in of_scope.filter(|((sequence, _), _)| *sequence == document.sequence) {
                let of_epoch = by_epoch.entry(custody.epoch).or_insert_with(|| (custody, BTreeMap::new()));
                of_epoch.1.insert(share.index(), share);
            }
        }
    }
    let is_enough = |(custody, shares): &(&Custody, BTreeMap<_, _>)| shares.len() >= usize::from(custody.threshold);
    let (custody, shares) = by_epoch.into_values().rev().find(is_enough).ok_or("too few shares of one epoch")?;
    let (threshold, shares) = (usize::from(custody.threshold), shares.into_values().collect::<Vec<Share>>());
    let secret = reconstruct(threshold, &shares, &custody.commitments()?).map_err(|error| error.to_string())?;
    let place = root_context(&document.state, &document.database, document.sequence);
    let root = open_root(&secret.snapshot_key(&place), &place, &document.sealed_root);
    let root = ContentsRoot::decode(&root.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
    open_all(&root, |number| {
        let live = chapter.live.get(number)?;
        let indices = (0..=u8::MAX).map(ShardIndex::new).map_while(|index| Some((index, live.stripe.root(index)?)));
        let shards: Vec<VerifiedShard> = indices
            .filter_map(|(index, root)| {
                let bytes = scene.standing().find_map(|site| site.disk.sound(&root))?;
                UncheckedShard::new(index, bytes.to_vec()).verify(&root).ok()
            })
            .collect();
        decode(live, &shards)
    })
}
