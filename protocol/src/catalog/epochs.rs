//! The sharings that came after the one that home dealt.

use std::collections::{BTreeMap, BTreeSet};

use shard_codec::Digest;

use crate::catalog::{Catalog, History, history};
use crate::document::{Certified, Custody, DEALT_EPOCH, Epoch, Manifest, ReshareScope, block_of};
use crate::identifier::{DatabaseName, SiteName};
use crate::machine::{Announcement, Event, Output, Record, RecordKind};
use crate::timestamp::Timestamp;
use crate::wire::summary::known;
use crate::wire::{Refusal, RefusalCode};

/// A certificate that some snapshot stands by.
#[derive(Clone, Debug)]
struct Held {
    bytes: Vec<u8>,
    proposal: Digest,
    at: Timestamp,
    holders: BTreeSet<SiteName>,
    /// Of the charter whose custodians decided.
    version: u64,
    /// Snapshots of which no newer epoch is known.
    standing: BTreeSet<u64>,
}

/// Of one database: certificates by block and epoch, and the sharing that each snapshot has by them.
#[derive(Debug, Default)]
pub struct Epochs {
    certificates: BTreeMap<(u64, u64), Held>,
    custodies: BTreeMap<u64, Custody>,
    /// The newest of each block, of which no snapshot may stand any more.
    newest: BTreeMap<u64, u64>,
}

impl Epochs {
    pub(super) fn custody(&self, sequence: u64) -> Option<&Custody> {
        self.custodies.get(&sequence)
    }

    fn of_snapshot(&self, sequence: u64) -> Option<&Held> {
        let custody = self.custody(sequence)?;
        self.certificates.get(&(block_of(sequence), custody.epoch))
    }

    /// The newest epoch of a block.
    #[must_use]
    pub fn newest(&self, block: u64) -> u64 {
        self.newest.get(&block).copied().unwrap_or(DEALT_EPOCH)
    }

    /// The newest epoch of each block, as runs: an epoch, and of how many blocks; up to the last that has another than home
    /// dealt.
    #[must_use]
    pub fn runs(&self) -> Vec<(u64, u64)> {
        let count = self.newest.last_key_value().map_or(0, |(block, _epoch)| block.saturating_add(1));
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for block in 0..count {
            match runs.last_mut().filter(|(epoch, _count)| *epoch == self.newest(block)) {
                Some((_epoch, count)) => *count += 1,
                None => runs.push((self.newest(block), 1)),
            }
        }
        runs
    }

    /// The newest charter version whose custodians decided about a block; 0 if none did.
    #[must_use]
    pub fn version(&self, block: u64) -> u64 {
        let of_block = self.certificates.range((block, 0)..=(block, u64::MAX));
        of_block.map(|(_key, held)| held.version).max().unwrap_or(0)
    }

    /// Whether a certified proposal is held.
    fn holds(&self, proposal: Digest) -> bool {
        self.certificates.values().any(|held| held.proposal == proposal)
    }

    /// The certificate of one epoch of a block, if some snapshot stands by it.
    #[must_use]
    pub fn certificate(&self, block: u64, epoch: u64) -> Option<&[u8]> {
        self.certificates.get(&(block, epoch)).map(|held| held.bytes.as_slice())
    }

    /// Certificates that some snapshot stands by, by block and epoch, from these on.
    pub fn certificates_from(&self, block: u64, epoch: u64) -> impl Iterator<Item = &[u8]> {
        self.certificates.range((block, epoch)..).map(|(_key, held)| held.bytes.as_slice())
    }

    pub(super) fn digest(&self) -> Digest {
        let held: Vec<(u64, u64, Digest)> =
            self.certificates.iter().map(|((block, epoch), held)| (*block, *epoch, held.proposal)).collect();
        known("epochs", &held)
    }

    /// Takes what was certified of `own` snapshots; those whose sharing it changes, and the certificates that nobody stands by any
    /// more.
    fn take(&mut self, certified: &Certified, own: &BTreeSet<u64>, bytes: &[u8]) -> (BTreeSet<u64>, Vec<(u64, u64)>) {
        let scope = &certified.proposal.scope;
        let key = (scope.block, scope.epoch);
        let newest = self.newest.entry(scope.block).or_insert(DEALT_EPOCH);
        *newest = scope.epoch.max(*newest);
        let mut standing = BTreeSet::new();
        for (sequence, custody) in certified.proposal.custodies().filter(|(sequence, _custody)| own.contains(sequence))
        {
            let before = self.custodies.get(&sequence).map_or(DEALT_EPOCH, |custody| custody.epoch);
            if before >= scope.epoch {
                continue;
            }
            if let Some(held) = self.certificates.get_mut(&(scope.block, before)) {
                held.standing.remove(&sequence);
            }
            self.custodies.insert(sequence, custody);
            standing.insert(sequence);
        }
        let held = Held {
            bytes: bytes.to_vec(),
            proposal: certified.digest,
            at: certified.proposal.at,
            holders: certified.holders.clone(),
            version: certified.version,
            standing: standing.clone(),
        };
        self.certificates.insert(key, held);
        let left = self.certificates.iter().filter(|(_key, held)| held.standing.is_empty()).map(|(key, _held)| *key);
        let left: Vec<(u64, u64)> = left.collect();
        left.iter().for_each(|key| drop(self.certificates.remove(key)));
        (standing, left)
    }
}

impl History {
    /// The sharing of a snapshot's key as it is now: the one that its manifest names, or the newest that was agreed on
    /// since.
    #[must_use]
    pub fn custody_of<'a>(&'a self, manifest: &'a Manifest) -> &'a Custody {
        self.epochs().custody(manifest.sequence).unwrap_or(&manifest.custody)
    }

    /// Names the sharing of a snapshot's key as it is now.
    #[must_use]
    pub fn sharing(&self, sequence: u64) -> Option<Digest> {
        let manifest = self.manifest(sequence)?.digest();
        let agreed = self.epochs().of_snapshot(sequence).map(|held| held.proposal);
        Some(agreed.map_or(manifest, |proposal| known("sharing", &(manifest, proposal))))
    }

    /// Whether a site has promised to hold its share of the newest epoch: by a receipt of the one that home dealt, or by the
    /// vote that confirmed a later one.
    #[must_use]
    pub fn has_promised_share(&self, site: &SiteName, sequence: u64) -> bool {
        match self.agreed_sharing(sequence) {
            Some((_at, holders)) => holders.contains(site),
            None => self.receipt_of(site, sequence).is_some_and(|receipt| receipt.holds_share),
        }
    }

    /// When the sharing began, and who said then that he holds his share of it; `None` if it is the one home dealt.
    #[must_use]
    pub fn agreed_sharing(&self, sequence: u64) -> Option<(Timestamp, &BTreeSet<SiteName>)> {
        self.epochs().of_snapshot(sequence).map(|held| (held.at, &held.holders))
    }
}

impl Catalog {
    /// Takes a certificate. What it says holds for those of its snapshots of which no newer epoch is known; this site's
    /// old shares of them are erased. `None` if it is known already.
    ///
    /// # Errors
    /// It certifies nothing; it is not of the same secrets; its snapshots are not known here yet; or another one of the same
    /// epoch is known, which is an alarm.
    pub(crate) fn take_epoch(
        &mut self,
        bytes: &[u8],
        outputs: &mut Vec<Output>,
    ) -> Result<Option<(Certified, BTreeSet<u64>)>, Refusal> {
        let refuse = |why: String| Refusal::new(RefusalCode::Share, why);
        let epoch = Epoch::decode(bytes).map_err(refuse)?;
        let proposal = Digest::of(&epoch.proposal);
        // Every site brings every certificate: one that is known is not looked into again.
        if self.databases.values().any(|history| history.epochs().holds(proposal)) {
            return Ok(None);
        }
        let certified = epoch.verify(&self.charters).map_err(refuse)?;
        let scope = &certified.proposal.scope;
        if scope.state != self.state() {
            return Err(refuse("an epoch of another state".to_owned()));
        }
        let unknown = || Refusal::new(RefusalCode::Behind, "the snapshots of the epoch are not known here yet");
        let history = self.databases.get(&scope.database).ok_or_else(unknown)?;
        let key = (scope.block, scope.epoch);
        if history.epochs().certificates.contains_key(&key) {
            let (database, block) = (scope.database.clone(), scope.block);
            outputs.push(Output::Report(Event::EpochForked { database, block, epoch: scope.epoch }));
            return Err(refuse("two certificates of one epoch".to_owned()));
        }
        if !scope.snapshots.iter().any(|(sequence, _)| epoch_of(history, *sequence) < scope.epoch) {
            return Ok(None); // newer ones stand in the place of all of it
        }
        // Who was put out has keys still, and a copy of every manifest: he decides nothing about what came after him.
        if certified.version < self.oldest_version(history, scope) {
            return Err(refuse("an epoch that custodians of the past decided on".to_owned()));
        }
        let own = of_own_secrets(history, &certified).ok_or_else(unknown)?;
        if own.is_empty() {
            return Err(refuse("the new shares are not of the secrets of these snapshots".to_owned()));
        }
        let history = self.databases.get_mut(&scope.database).ok_or_else(unknown)?;
        let (changed, left) = history.epochs_mut().take(&certified, &own, bytes);
        for (block, epoch) in left {
            outputs.push(Output::Persist(record(&scope.database, block, epoch, Vec::new())));
        }
        outputs.push(Output::Persist(record(&scope.database, scope.block, scope.epoch, bytes.to_vec())));
        for sequence in &changed {
            #[cfg(feature = "planted-bugs")]
            if crate::planted::is_planted(crate::planted::Bug::OldSharesKept) {
                continue;
            }
            if history.remove_share(*sequence) {
                let (kind, key) = (RecordKind::Share, history::key(&scope.database, *sequence));
                outputs.push(Output::Persist(Record { kind, key, value: Vec::new() }));
            }
        }
        outputs.push(Output::Announce(Announcement::Epoch(bytes.to_vec().into())));
        let (database, count) = (scope.database.clone(), changed.len() as u64);
        outputs.push(Output::Report(Event::Reshared { database, block: scope.block, epoch: scope.epoch, count }));
        Ok(Some((certified, changed)))
    }
}

fn epoch_of(history: &History, sequence: u64) -> u64 {
    history.epochs().custody(sequence).map_or(DEALT_EPOCH, |custody| custody.epoch)
}

impl Catalog {
    /// The newest charter version by which any of these snapshots was dealt, or its shares given on.
    fn oldest_version(&self, history: &History, scope: &ReshareScope) -> u64 {
        let of_manifest = |sequence: &u64| {
            let named = history.manifest(*sequence)?.document().charter;
            let version = self.charters.iter().find(|version| version.digest() == named)?;
            Some(version.document().version)
        };
        // Not of others in the block: certificates may come in any order.
        let of_epoch = |sequence: &u64| history.epochs().of_snapshot(*sequence).map(|held| held.version);
        let sequences = || scope.snapshots.iter().map(|(sequence, _sharing)| sequence);
        sequences().filter_map(of_manifest).chain(sequences().filter_map(of_epoch)).max().unwrap_or(0)
    }
}

/// The snapshots of a certificate that are of the secrets home dealt: `C_0` is the same for ever. On the two branches of a
/// fork a number has two secrets, and one of them is not meant. `None` if a snapshot is not known here yet.
fn of_own_secrets(history: &History, certified: &Certified) -> Option<BTreeSet<u64>> {
    let mut own = BTreeSet::new();
    for (sequence, custody) in certified.proposal.custodies() {
        let dealt = &history.manifest(sequence)?.document().custody;
        if dealt.commitments.first_chunk::<32>() == custody.commitments.first_chunk::<32>() {
            own.insert(sequence);
        }
    }
    Some(own)
}

fn record(database: &DatabaseName, block: u64, epoch: u64, value: Vec<u8>) -> Record {
    let mut key = history::key(database, block);
    key.extend_from_slice(&epoch.to_be_bytes());
    Record { kind: RecordKind::Epoch, key, value }
}
