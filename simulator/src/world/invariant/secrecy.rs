//! Secrecy: what an enemy has seen is counted from the disks he copied and the keys that go with them, not assumed; and
//! with what he has he really tries.

use std::collections::{BTreeMap, BTreeSet};

use protocol::document::{Custody, Manifest, RecoveryScope, block_of};
use protocol::machine::RecordKind;
use protocol::resharing::ready_shares;
use protocol::share_recovery::help;
use serde::Serialize;
use shard_codec::secret_sharing::{Commitments, reconstruct, verify_share};
use shard_codec::{Digest, Share, ShareIndex};

use super::durability::record_key;
use super::{Fact, Invariant, Scene};
use crate::world::trace::NodeId;

/// Shares by snapshot and epoch.
type Seen = BTreeMap<(Digest, u64), BTreeMap<ShareIndex, Share>>;

#[derive(Debug, Default)]
pub(super) struct Secrecy {
    /// What the enemies have ever had: what they copied they keep, though a site erases it.
    seen: Seen,
}

impl Invariant for Secrecy {
    fn name(&self) -> &'static str {
        "secrecy"
    }

    fn observe(&mut self, scene: &Scene<'_>, node: NodeId, fact: &Fact) -> Result<(), String> {
        if !scene.config.asserted.secrecy {
            return Ok(());
        }
        match fact {
            Fact::Synced(records) if is_enemy(scene, node) => {
                let got_share = records.iter().any(|record| record.kind == RecordKind::Share);
                if got_share { self.check(scene) } else { Ok(()) }
            }
            Fact::Struck => self.check(scene),
            Fact::ShareLeft { caller, .. } if scene.chronicle.pretenders.contains(caller) => {
                Err("a share leaves for one whom fewer officials than the quorum sent".to_owned())
            }
            Fact::BlindedLeft { to, scope, sealed } => masked(scene, node, *to, scope, sealed),
            Fact::Started
            | Fact::Crashed
            | Fact::Emptied { .. }
            | Fact::Ticked
            | Fact::ColumnsLeft { .. }
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
        if scene.config.asserted.secrecy { self.check(scene) } else { Ok(()) }
    }
}

/// What leaves a helper for the recovery of a share is not its share, whoever gets it.
fn masked(scene: &Scene<'_>, helper: NodeId, to: NodeId, scope: &RecoveryScope, sealed: &[u8]) -> Result<(), String> {
    let (Some(from), Some(site)) = (scene.site(helper), scene.site(to)) else { return Ok(()) };
    // A liar's answer may not open; it tells nothing then.
    let Some(answers) = help::open_answer(scope, &from.keys.name, &site.keys, sealed) else { return Ok(()) };
    for (answer, (sequence, _sharing)) in answers.iter().zip(&scope.snapshots) {
        let manifests = scene.chronicle.chapters.values().map(|chapter| chapter.signed.document());
        let is_it = |manifest: &&Manifest| (&manifest.database, manifest.sequence) == (&scope.database, *sequence);
        for (_proposal, custody) in manifests.filter(is_it).flat_map(|manifest| scene.chronicle.custodies(manifest)) {
            if verify_share(answer, answer.index(), usize::from(custody.threshold), &custody.commitments()?).is_ok() {
                let (database, helper) = (&scope.database, &from.keys.name);
                return Err(format!("the share of {helper} for {database} {sequence} leaves it under no mask"));
            }
        }
    }
    Ok(())
}

/// Somebody who could read a snapshot without an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reader {
    /// The database.
    pub database: String,
    /// The snapshot.
    pub sequence: u64,
    /// Shares that the enemies have together.
    pub shares: usize,
    /// Shares needed.
    pub threshold: usize,
}

/// Sites whose disk and keys an enemy has: those on copied soil, and those whose operator lies. All of them together
/// are taken for one enemy.
fn is_enemy(scene: &Scene<'_>, node: NodeId) -> bool {
    scene.chronicle.copied.contains(&node) || scene.site(node).is_some_and(|site| !site.is_honest())
}

/// Shares that the enemies can open now, each with the sharing that it is of.
fn seized<'a>(scene: &'a Scene<'_>, manifest: &'a Manifest) -> impl Iterator<Item = (&'a Custody, Share)> {
    let enemies = scene.sites.iter().filter(|site| is_enemy(scene, site.node));
    enemies.filter_map(|site| scene.opened.share(scene.chronicle, site, manifest).ok())
}

/// Shares of certified epochs that enemies keep ready and have not taken up.
fn ready<'a>(scene: &'a Scene<'_>, manifest: &'a Manifest) -> Vec<(&'a Custody, Share)> {
    let key = record_key(&manifest.database, block_of(manifest.sequence));
    let mut found = Vec::new();
    for (proposal, custody) in scene.chronicle.custodies(manifest) {
        let Some(proposal) = proposal else { continue };
        let Some(scope) = scene.chronicle.scopes.get(&proposal) else { continue };
        let Some(at) = scope.snapshots.iter().position(|(sequence, _)| *sequence == manifest.sequence) else {
            continue;
        };
        for site in scene.sites.iter().filter(|site| is_enemy(scene, site.node)) {
            let record = site.disk.record(RecordKind::Agreement, &key);
            let shares = record.and_then(|record| ready_shares(record, proposal, scope, &site.keys));
            found.extend(shares.and_then(|shares| shares.into_iter().nth(at)).map(|share| (custody, share)));
        }
    }
    found
}

impl Secrecy {
    fn check(&mut self, scene: &Scene<'_>) -> Result<(), String> {
        for (digest, chapter) in &scene.chronicle.chapters {
            if !scene.chronicle.authored.contains_key(digest) {
                continue;
            }
            let manifest = chapter.signed.document();
            for (custody, share) in seized(scene, manifest) {
                self.seen.entry((*digest, custody.epoch)).or_default().insert(share.index(), share);
            }
            for (custody, share) in ready(scene, manifest) {
                self.seen.entry((*digest, custody.epoch)).or_default().insert(share.index(), share);
            }
            for (_proposal, custody) in scene.chronicle.custodies(manifest) {
                if let Some(seen) = self.seen.get(&(*digest, custody.epoch)) {
                    try_to_read(manifest, custody, seen)?;
                }
            }
        }
        Ok(())
    }
}

/// With the shares of one epoch; those of others are points of other polynomials.
fn try_to_read(manifest: &Manifest, custody: &Custody, seen: &BTreeMap<ShareIndex, Share>) -> Result<(), String> {
    let copy = |share: &Share| share.to_bytes().expose(|bytes| Share::from_bytes(bytes).ok());
    let shares: Vec<Share> = seen.values().filter_map(copy).collect();
    let (threshold, count) = (usize::from(custody.threshold), shares.len());
    let what = || {
        let (database, sequence, epoch) = (&manifest.database, manifest.sequence, custody.epoch);
        format!("{count} shares of {database} {sequence} (epoch {epoch}) are in the enemy's hands")
    };
    if count >= threshold {
        return Err(format!("{}, and {threshold} read it", what()));
    }
    if reconstruct(threshold, &shares, &custody.commitments()?).is_ok() {
        return Err(format!("{}, and gave the key below the threshold", what()));
    }
    // As if the polynomial had only so many coefficients.
    let points: Vec<[u8; 32]> = custody.commitments()?.to_bytes().into_iter().take(count).collect();
    let fewer = Commitments::from_bytes(&points).map_err(|error| error.to_string())?;
    if reconstruct(count, &shares, &fewer).is_ok() {
        return Err(format!("{}, and gave a key by a shorter polynomial", what()));
    }
    Ok(())
}

/// Snapshots that the enemies could read, for a report.
#[must_use]
pub fn readers(scene: &Scene<'_>) -> Vec<Reader> {
    let authored = |digest: &&Digest| scene.chronicle.authored.contains_key(*digest);
    let chapters = scene.chronicle.chapters.iter().filter(|(digest, _chapter)| authored(digest));
    let readers = chapters.filter_map(|(_digest, chapter)| {
        let manifest = chapter.signed.document();
        let (database, sequence) = (manifest.database.to_string(), manifest.sequence);
        scene.chronicle.custodies(manifest).find_map(|(_proposal, custody)| {
            let of_epoch = seized(scene, manifest).filter(|(of, _share)| of.epoch == custody.epoch);
            let shares = of_epoch.map(|(_of, share)| share.index()).collect::<BTreeSet<ShareIndex>>().len();
            let threshold = usize::from(custody.threshold);
            let (database, sequence) = (database.clone(), sequence);
            (shares >= threshold).then_some(Reader { database, sequence, shares, threshold })
        })
    });
    readers.collect()
}
