//! Agreement: no charter holds that a quorum of officials did not sign; every kept manifest follows one that is kept;
//! two honest sites keep different manifests of one number only if the writer's key was stolen.

use std::collections::{BTreeMap, BTreeSet};

use protocol::document::{Charter, Epoch, Manifest};
use protocol::identifier::DatabaseName;
use protocol::machine::{Record, RecordKind};
use protocol::signature::Signed;
use shard_codec::Digest;

use super::durability::record_key;
use super::liveness::members;
use super::{Fact, Invariant, Scene};
use crate::world::sim_site::SimSite;
use crate::world::trace::NodeId;

#[derive(Debug, Default)]
pub(super) struct Agreement {
    kept: BTreeMap<(DatabaseName, u64), BTreeSet<Digest>>,
    by_site: BTreeMap<(NodeId, DatabaseName, u64), Digest>,
}

impl Invariant for Agreement {
    fn name(&self) -> &'static str {
        "agreement"
    }

    fn observe(&mut self, scene: &Scene<'_>, node: NodeId, fact: &Fact) -> Result<(), String> {
        if let Fact::Emptied { records: true } = fact {
            // What it kept it has kept no more, by no fault of its own: it begins anew, on whichever branch it hears of.
            self.by_site.retain(|(site, _database, _sequence), _digest| *site != node);
        }
        let Fact::Synced(records) = fact else { return Ok(()) };
        let Some(site) = scene.honest(node) else { return Ok(()) };
        for record in records {
            if record.kind == RecordKind::Charter {
                check_charter(scene, record)?;
            }
            if record.kind == RecordKind::Epoch {
                check_epoch(scene, site, &record.value)?;
            }
            if record.kind == RecordKind::Share {
                // Certificates are few, and one that is on the disk already speaks of a share that comes now.
                site.disk.records(RecordKind::Epoch).try_for_each(|(_key, bytes)| check_epoch(scene, site, bytes))?;
            }
            if record.kind == RecordKind::Manifest {
                self.check_manifest(scene, node, record)?;
            }
        }
        Ok(())
    }

    /// A branch that was kept only by sites that are gone, were emptied or replaced since is left out: no site listens to
    /// those, so nobody who could still prove the fork has seen it. Whoever is a member must have been told of the others'.
    fn finish(&mut self, scene: &Scene<'_>) -> Result<(), String> {
        if !scene.config.asserted.liveness {
            return Ok(());
        }
        for ((database, sequence), _kept) in self.kept.iter().filter(|(_place, kept)| kept.len() > 1) {
            let key = record_key(database, *sequence);
            let held = members(scene).filter_map(|site| site.disk.record(RecordKind::Manifest, &key));
            let held: BTreeSet<Digest> =
                held.filter_map(|envelope| Some(scene.chronicle.chapter_of(envelope)?.signed.digest())).collect();
            let is_proven = members(scene).any(|site| {
                site.disk.records(RecordKind::Fork).any(|(key, _proof)| key.starts_with(database.as_str().as_bytes()))
            });
            if held.len() > 1 && !is_proven {
                let count = held.len();
                return Err(format!(
                    "{count} manifests of {database} {sequence} are kept, and nobody has a proof of it"
                ));
            }
        }
        Ok(())
    }
}

fn check_charter(scene: &Scene<'_>, record: &Record) -> Result<(), String> {
    let signed = Signed::<Charter>::decode(&record.value).map_err(|error| error.to_string())?;
    let version = signed.document().version;
    let lawful = scene.cast.chain.version(version).map(Signed::digest);
    if lawful == Some(signed.digest()) {
        return Ok(());
    }
    Err(format!("charter version {version} holds here, which no quorum of officials signed"))
}

/// No block has two certified proposals of one epoch, or two halves of the state erase each other's shares; and who has a
/// certificate has no older share any more.
fn check_epoch(scene: &Scene<'_>, site: &SimSite, certificate: &[u8]) -> Result<(), String> {
    let split = scene.chronicle.certified.iter().find(|(_place, proposals)| proposals.len() > 1);
    if let Some(((database, block, epoch), _proposals)) = split {
        return Err(format!("two proposals are certified for {database} block {block} epoch {epoch}"));
    }
    let Ok(epoch) = Epoch::decode(certificate) else { return Ok(()) }; // none stands by it any more
    let scope = epoch.proposal()?.scope;
    let chapters = scene.chronicle.chapters.values().map(|chapter| chapter.signed.document());
    let of_scope = chapters.filter(|manifest| {
        let is_listed = scope.snapshots.iter().any(|(sequence, _sharing)| *sequence == manifest.sequence);
        manifest.database == scope.database && is_listed
    });
    for manifest in of_scope {
        let held = scene.opened.share(scene.chronicle, site, manifest);
        if held.is_ok_and(|(custody, _share)| custody.epoch < scope.epoch) {
            let (database, sequence, epoch) = (&scope.database, manifest.sequence, scope.epoch);
            return Err(format!("the share of {database} {sequence} from before epoch {epoch} is still on the disk"));
        }
    }
    Ok(())
}

impl Agreement {
    fn check_manifest(&mut self, scene: &Scene<'_>, node: NodeId, record: &Record) -> Result<(), String> {
        let decoded;
        let signed = match scene.chronicle.chapter_of(&record.value) {
            Some(chapter) => &chapter.signed,
            None => {
                decoded = Signed::<Manifest>::decode(&record.value).map_err(|error| error.to_string())?;
                &decoded
            }
        };
        let (manifest, digest) = (signed.document(), signed.digest());
        let (database, sequence) = (&manifest.database, manifest.sequence);
        let place = |sequence| (node, database.clone(), sequence);
        let before = self.by_site.get(&place(sequence.saturating_sub(1))).copied();
        if manifest.previous != before {
            return Err(format!("manifest {sequence} of {database} is kept without the one it follows"));
        }
        if self.by_site.insert(place(sequence), digest).is_some_and(|held| held != digest) {
            return Err(format!("manifest {sequence} of {database} was another one here before"));
        }
        let is_stolen = scene.chronicle.stolen.contains(database);
        if !is_stolen && !scene.chronicle.authored.contains_key(&digest) {
            return Err(format!("manifest {sequence} of {database} is kept, which home never signed"));
        }
        let all = self.kept.entry((database.clone(), sequence)).or_default();
        all.insert(digest);
        if all.len() > 1 && !is_stolen {
            return Err(format!(
                "honest sites keep different manifests {sequence} of {database}, and no key was stolen"
            ));
        }
        Ok(())
    }
}
