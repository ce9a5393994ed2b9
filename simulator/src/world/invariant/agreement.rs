//! Agreement: no charter holds that a quorum of officials did not sign; every kept manifest follows one that is kept;
//! two honest sites keep different manifests of one number only if the writer's key was stolen.

use std::collections::{BTreeMap, BTreeSet};

use protocol::document::{Charter, Manifest};
use protocol::identifier::DatabaseName;
use protocol::machine::{Record, RecordKind};
use protocol::signature::Signed;
use shard_codec::Digest;

use super::durability::record_key;
use super::liveness::members;
use super::{Fact, Invariant, Scene};
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
        if scene.honest(node).is_none() {
            return Ok(());
        }
        for record in records {
            if record.kind == RecordKind::Charter {
                check_charter(scene, record)?;
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
