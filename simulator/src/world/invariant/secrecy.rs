//! Secrecy: what an enemy has seen is counted from the disks he copied and the keys that go with them, not assumed; and
//! with what he has he really tries.

use std::collections::BTreeMap;

use protocol::document::{Manifest, RecoveryScope};
use protocol::machine::RecordKind;
use protocol::share_recovery::help;
use serde::Serialize;
use shard_codec::secret_sharing::{Commitments, reconstruct, verify_share};
use shard_codec::{Digest, Share, ShareIndex};

use super::{Fact, Invariant, Scene};
use crate::world::trace::NodeId;

#[derive(Debug)]
pub(super) struct Secrecy;

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
                if got_share { check(scene) } else { Ok(()) }
            }
            Fact::Struck => check(scene),
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
        if scene.config.asserted.secrecy { check(scene) } else { Ok(()) }
    }
}

/// What leaves a helper for the recovery of a share is not its share, whoever gets it.
fn masked(scene: &Scene<'_>, helper: NodeId, to: NodeId, scope: &RecoveryScope, sealed: &[u8]) -> Result<(), String> {
    let (Some(from), Some(site)) = (scene.site(helper), scene.site(to)) else { return Ok(()) };
    // A liar's answer may not open; it tells nothing then.
    let Some(answers) = help::open_answer(scope, &from.keys.name, &site.keys, sealed) else { return Ok(()) };
    for (answer, (sequence, digest)) in answers.iter().zip(&scope.snapshots) {
        let Some(chapter) = scene.chronicle.chapters.get(digest) else { continue };
        let manifest = chapter.signed.document();
        let threshold = usize::from(manifest.custody.threshold);
        if verify_share(answer, answer.index(), threshold, &manifest.custody.commitments()?).is_ok() {
            let (database, helper) = (&scope.database, &from.keys.name);
            return Err(format!("the share of {helper} for {database} {sequence} leaves it under no mask"));
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

/// Shares that the enemies can open, by index.
fn seized(scene: &Scene<'_>, manifest: &Manifest) -> BTreeMap<ShareIndex, Share> {
    let enemies = scene.sites.iter().filter(|site| is_enemy(scene, site.node));
    enemies.filter_map(|site| scene.opened.share(site, manifest).ok()).map(|share| (share.index(), share)).collect()
}

fn check(scene: &Scene<'_>) -> Result<(), String> {
    for (digest, chapter) in &scene.chronicle.chapters {
        let authored = scene.chronicle.authored.contains_key(digest);
        if authored {
            try_to_read(scene, chapter.signed.document())?;
        }
    }
    Ok(())
}

fn try_to_read(scene: &Scene<'_>, manifest: &Manifest) -> Result<(), String> {
    let shares: Vec<Share> = seized(scene, manifest).into_values().collect();
    let (threshold, count) = (usize::from(manifest.custody.threshold), shares.len());
    let what = || format!("{count} shares of {} {} are in the enemy's hands", manifest.database, manifest.sequence);
    if count >= threshold {
        return Err(format!("{}, and {threshold} read it", what()));
    }
    if count == 0 {
        return Ok(());
    }
    if reconstruct(threshold, &shares, &manifest.custody.commitments()?).is_ok() {
        return Err(format!("{}, and gave the key below the threshold", what()));
    }
    // As if the polynomial had only so many coefficients.
    let points: Vec<[u8; 32]> = manifest.custody.commitments()?.to_bytes().into_iter().take(count).collect();
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
        let (shares, threshold) = (seized(scene, manifest).len(), usize::from(manifest.custody.threshold));
        let (database, sequence) = (manifest.database.to_string(), manifest.sequence);
        (shares >= threshold).then_some(Reader { database, sequence, shares, threshold })
    });
    readers.collect()
}
