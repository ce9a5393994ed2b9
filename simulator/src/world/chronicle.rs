//! What really happened, written down outside the machines: who signed what, what every manifest lists, what the model
//! itself has broken. The invariants judge by this and by the disks, never by what a machine says of itself.

use std::collections::{BTreeMap, BTreeSet};

use protocol::document::{Custody, Epoch, LiveStripe, LiveStripes, Manifest, ReleaseOrder, ReshareScope, Succession};
use protocol::identifier::{DatabaseName, SiteName};
use protocol::machine::{Record, RecordKind};
use protocol::signature::{PublicKey, Signed};
use shard_codec::{Digest, ShardIndex, ShareIndex};

use super::sim_site::SimSite;
use super::trace::NodeId;
use super::virtual_clock::Time;

/// A manifest that somebody keeps, and the stripes that are live after it.
#[derive(Clone, Debug)]
pub struct Chapter {
    /// It.
    pub signed: Signed<Manifest>,
    /// What it refers to.
    pub live: LiveStripes,
}

/// A snapshot that home signed.
#[derive(Clone, Copy, Debug)]
pub struct Authored {
    /// Digest over the plaintext.
    pub plaintext: Digest,
    /// When its making began.
    pub begun: Time,
    /// When home first held it for durable.
    pub durable_at: Option<Time>,
}

/// The chronicle.
#[derive(Debug, Default)]
pub struct Chronicle {
    /// Manifests that any site keeps, by digest.
    pub chapters: BTreeMap<Digest, Chapter>,
    /// Digest of the manifest in an envelope, so that each is decoded once.
    by_envelope: BTreeMap<Digest, Digest>,
    /// Snapshots that home signed, by digest of the manifest.
    pub authored: BTreeMap<Digest, Authored>,
    /// Place of each of them.
    pub places: BTreeMap<Digest, (DatabaseName, u64)>,
    /// Databases whose writer key was stolen.
    pub stolen: BTreeSet<DatabaseName>,
    /// Manifests that thieves signed.
    pub stolen_manifests: u64,
    /// Orders that a quorum really signed.
    pub orders: BTreeMap<Digest, ReleaseOrder>,
    /// Recipients of orders that officials signed below the quorum.
    pub pretenders: BTreeSet<PublicKey>,
    /// Shards in which the model flipped a bit.
    pub rotted: BTreeSet<(NodeId, Digest)>,
    /// Sites whose disks a host copies.
    pub copied: BTreeSet<NodeId>,
    /// Who stands in whose place.
    pub succession: Succession,
    /// Sharings that were certified, by snapshot: epoch, the proposal that was certified, and what it says.
    pub epochs: BTreeMap<(DatabaseName, u64), BTreeMap<u64, (Digest, Custody)>>,
    /// The scopes of certified proposals.
    pub scopes: BTreeMap<Digest, ReshareScope>,
    /// Proposals certified for one block and epoch; more than one is the end of every agreement.
    pub certified: BTreeMap<(DatabaseName, u64, u64), BTreeSet<Digest>>,
}

impl Chronicle {
    /// Notes the manifests among what a site keeps. Each refers to its predecessor, so a site that keeps one without it
    /// leaves no chapter.
    pub fn read(&mut self, records: &[Record]) {
        records
            .iter()
            .filter(|record| record.kind == RecordKind::Epoch)
            .for_each(|record| self.read_epoch(&record.value));
        for record in records.iter().filter(|record| record.kind == RecordKind::Manifest) {
            let envelope = Digest::of(&record.value);
            if self.by_envelope.contains_key(&envelope) {
                continue;
            }
            let Ok(signed) = Signed::<Manifest>::decode(&record.value) else { continue };
            let before = signed.document().previous.and_then(|previous| self.chapters.get(&previous));
            let mut live = before.map(|chapter| chapter.live.clone()).unwrap_or_default();
            if live.apply(signed.document(), &self.succession).is_err() {
                continue;
            }
            self.by_envelope.insert(envelope, signed.digest());
            self.chapters.insert(signed.digest(), Chapter { signed, live });
        }
    }

    fn read_epoch(&mut self, certificate: &[u8]) {
        let Ok(epoch) = Epoch::decode(certificate) else { return };
        let (Ok(proposal), digest) = (epoch.proposal(), Digest::of(&epoch.proposal)) else { return };
        let scope = &proposal.scope;
        let place = (scope.database.clone(), scope.block, scope.epoch);
        if !self.certified.entry(place).or_default().insert(digest) {
            return;
        }
        for (sequence, custody) in proposal.custodies() {
            let of_snapshot = self.epochs.entry((scope.database.clone(), sequence)).or_default();
            of_snapshot.insert(scope.epoch, (digest, custody));
        }
        self.scopes.insert(digest, proposal.scope);
    }

    /// Whether its writer found a snapshot suspicious; unknown if nobody keeps its manifest.
    #[must_use]
    pub fn is_suspicious(&self, manifest: &Digest) -> Option<bool> {
        Some(!self.chapters.get(manifest)?.signed.document().suspicions.is_empty())
    }

    /// The sharings of a snapshot's key, the newest first; the last is the one that home dealt.
    pub fn custodies<'a>(&'a self, manifest: &'a Manifest) -> impl Iterator<Item = (Option<Digest>, &'a Custody)> {
        let agreed = self.epochs.get(&(manifest.database.clone(), manifest.sequence));
        let agreed = agreed.into_iter().flat_map(|epochs| epochs.values().rev());
        agreed.map(|(proposal, custody)| (Some(*proposal), custody)).chain([(None, &manifest.custody)])
    }

    /// Officials have signed a charter.
    pub fn succeed(&mut self, succession: Succession) {
        self.succession = succession;
        self.chapters.values_mut().for_each(|chapter| chapter.live.succeed(&self.succession));
    }

    /// The shard of a stripe that a site should have: one that was succeeded, and may not know it, has its own.
    #[must_use]
    pub fn shard_of(&self, live: &LiveStripe, site: &SiteName) -> Option<(ShardIndex, Digest)> {
        live.shard_due_at(site).or_else(|| live.shard_at(self.succession.holder(site)))
    }

    /// The index of a site's share of a sharing: one that was succeeded keeps its own.
    #[must_use]
    pub fn share_index(&self, custody: &Custody, site: &SimSite) -> Option<ShareIndex> {
        let name = &site.keys.name;
        custody.index_of(name).or_else(|| custody.index_due_at(name, &self.succession))
    }

    /// The chapter of a kept manifest.
    #[must_use]
    pub fn chapter_of(&self, envelope: &[u8]) -> Option<&Chapter> {
        self.chapters.get(self.by_envelope.get(&Digest::of(envelope))?)
    }
}
