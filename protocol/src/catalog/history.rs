//! All that is known of one database.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use shard_codec::Digest;

use crate::catalog::epochs::Epochs;
use crate::catalog::expiry::Expiry;
use crate::catalog::fork::ForkProof;
use crate::catalog::kept_stripes::KeptStripes;
use crate::catalog::quarantine::StoredBytes;
use crate::catalog::receipts::Receipts;
use crate::document::{LiveStripes, Manifest, Receipt, Succession};
use crate::identifier::{DatabaseName, SiteName};
use crate::machine::{Record, RecordKind};
use crate::signature::Signed;
use crate::wire::summary::{Part, Summary, digest_of_summary, known};

/// Manifests from sequence 1 on without gaps, and what hangs on them.
#[derive(Debug, Default)]
pub struct History {
    manifests: Vec<Signed<Manifest>>,
    stored_bytes: StoredBytes,
    live: LiveStripes,
    kept: KeptStripes,
    epochs: Epochs,
    expiry: Expiry,
    shares: BTreeMap<u64, Vec<u8>>,
    receipts: Receipts,
    forks: BTreeMap<u64, ForkProof>,
    succession: Arc<Succession>,
    /// Of the summary; empty again when anything changes.
    digest: OnceLock<Digest>,
}

impl History {
    pub(super) fn under(succession: &Arc<Succession>) -> Self {
        Self { succession: Arc::clone(succession), ..Self::default() }
    }

    /// The newest manifest.
    #[must_use]
    pub fn head(&self) -> Option<&Signed<Manifest>> {
        self.manifests.last()
    }

    /// Sequence of the newest manifest, 0 if there is none.
    #[must_use]
    pub fn head_sequence(&self) -> u64 {
        self.head().map_or(0, |head| head.document().sequence)
    }

    /// One manifest.
    #[must_use]
    pub fn manifest(&self, sequence: u64) -> Option<&Signed<Manifest>> {
        self.manifests.get(usize::try_from(sequence.checked_sub(1)?).ok()?)
    }

    /// Manifests from `sequence` on.
    pub fn manifests_from(&self, sequence: u64) -> impl Iterator<Item = &Signed<Manifest>> {
        let skip = usize::try_from(sequence.saturating_sub(1)).unwrap_or(usize::MAX);
        self.manifests.iter().skip(skip)
    }

    /// The stripes that the head refers to.
    #[must_use]
    pub fn live_stripes(&self) -> &LiveStripes {
        &self.live
    }

    /// The bytes that each snapshot refers to, before coding, from the first on.
    pub fn stored_bytes(&self) -> impl Iterator<Item = u64> {
        self.stored_bytes.iter()
    }

    /// Every stripe that a retained snapshot refers to: the head's, and those of the snapshots before it.
    #[must_use]
    pub fn kept_stripes(&self) -> &KeptStripes {
        &self.kept
    }

    /// Whether `site` said of any of these snapshots that it holds all its shards.
    #[must_use]
    pub fn gave_receipt(&self, site: &SiteName, snapshots: Range<u64>) -> bool {
        self.receipts.given_by(site, snapshots).any(|receipt| receipt.holds_shards)
    }

    /// This site's sealed share of one snapshot, of its newest epoch.
    #[must_use]
    pub fn share(&self, sequence: u64) -> Option<&[u8]> {
        self.shares.get(&sequence).map(Vec::as_slice)
    }

    /// What `site` said that it holds of one snapshot.
    #[must_use]
    pub fn receipt_of(&self, site: &SiteName, sequence: u64) -> Option<&Receipt> {
        self.receipts.given_by(site, sequence..sequence.saturating_add(1)).next()
    }

    /// Receipts of one snapshot, one a site.
    pub fn receipts(&self, sequence: u64) -> impl Iterator<Item = &Signed<Receipt>> {
        self.receipts.of(sequence)
    }

    /// All receipts, and digests over them.
    #[must_use]
    pub fn all_receipts(&self) -> &Receipts {
        &self.receipts
    }

    /// Proofs of forks, by sequence.
    pub fn forks(&self) -> impl Iterator<Item = &ForkProof> {
        self.forks.values()
    }

    /// What is known of this database, part by part.
    #[must_use]
    pub fn summary(&self, database: &DatabaseName) -> Summary {
        let head = self.head().map(|head| (head.document().sequence, head.digest()));
        vec![
            (Part::Manifests(database.clone()), known("manifests", &head)),
            (Part::Epochs(database.clone()), self.epochs.digest()),
            // One proof is an alarm; who has one asks for no others, so others must make no difference.
            (Part::Forks(database.clone()), known("forks", &!self.forks.is_empty())),
            (Part::Receipts(database.clone()), self.receipts.digest()),
        ]
    }

    /// The digest of [`History::summary`].
    #[must_use]
    pub fn digest(&self, database: &DatabaseName) -> Digest {
        *self.digest.get_or_init(|| digest_of_summary(&self.summary(database)))
    }

    /// Appends the successor of the head.
    ///
    /// # Errors
    /// Its stripes do not fit; nothing is changed then.
    pub(super) fn append(&mut self, manifest: Signed<Manifest>) -> Result<(), String> {
        let dropped = manifest.document().stripes_dropped.iter().filter_map(|number| self.live.get(*number));
        let dropped_bytes = dropped.map(|live| u64::from(live.stripe.payload_bytes)).sum();
        self.live.apply(manifest.document(), &self.succession)?;
        self.stored_bytes.push(manifest.document(), dropped_bytes);
        self.kept.apply(manifest.document(), &self.live);
        self.digest = OnceLock::new();
        self.manifests.push(manifest);
        Ok(())
    }

    /// Who stands in whose place, by the newest charter.
    #[must_use]
    pub fn succession(&self) -> &Succession {
        &self.succession
    }

    /// Whether a manifest places shards at `site`, or at one whose place it took or is taking.
    #[must_use]
    pub fn is_placed(&self, manifest: &Manifest, site: &SiteName) -> bool {
        manifest.placement.iter().any(|named| self.succession.is_due(named, site))
    }

    /// Follows a charter. What a site holds does not change, only which one it is.
    pub(super) fn succeed(&mut self, succession: &Arc<Succession>) {
        if self.succession != *succession {
            self.succession = Arc::clone(succession);
            self.kept.succeed(succession, &mut self.live);
        }
    }

    /// Shares of this site.
    #[must_use]
    pub fn share_count(&self) -> usize {
        self.shares.len()
    }

    pub(super) fn sequences_with_share(&self) -> impl Iterator<Item = u64> {
        self.shares.keys().copied()
    }

    pub(super) const fn expiry(&self) -> &Expiry {
        &self.expiry
    }

    pub(super) fn put_expiry(&mut self, expiry: Expiry) {
        self.expiry = expiry;
        self.kept.let_go(&self.expiry);
    }

    pub(super) fn put_share(&mut self, sequence: u64, sealed: Vec<u8>) {
        self.shares.insert(sequence, sealed);
    }

    /// True if there was one.
    pub(super) fn remove_share(&mut self, sequence: u64) -> bool {
        self.shares.remove(&sequence).is_some()
    }

    /// The sharings that came after the one that home dealt.
    #[must_use]
    pub const fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    pub(super) fn epochs_mut(&mut self) -> &mut Epochs {
        self.digest = OnceLock::new();
        &mut self.epochs
    }

    /// Whether a receipt says more than the one of its site that is held.
    pub(super) fn is_news(&self, receipt: &Receipt) -> bool {
        self.receipts.is_news(receipt)
    }

    /// Keeps the receipt that says more; true if it is news.
    pub(super) fn put_receipt(&mut self, receipt: Signed<Receipt>) -> bool {
        self.digest = OnceLock::new();
        self.receipts.put(receipt)
    }

    /// True if it is news.
    pub(super) fn put_fork(&mut self, sequence: u64, proof: ForkProof) -> bool {
        let is_news = !self.forks.contains_key(&sequence);
        self.digest = OnceLock::new();
        self.forks.entry(sequence).or_insert(proof);
        is_news
    }

    pub(super) fn digest_at(&self, sequence: u64) -> Option<Digest> {
        self.manifest(sequence).map(Signed::digest)
    }
}

/// Key of records that belong to one snapshot, or block of them: database, 0x00, number big-endian, so that they sort in order.
pub(crate) fn key(database: &DatabaseName, sequence: u64) -> Vec<u8> {
    let mut key = database.as_str().as_bytes().to_vec();
    key.push(0);
    key.extend_from_slice(&sequence.to_be_bytes());
    key
}

pub(crate) fn split_key(key: &[u8]) -> Result<(DatabaseName, u64), String> {
    let damaged = || "a damaged record key".to_owned();
    let (head, sequence) = key.split_last_chunk::<8>().ok_or_else(damaged)?;
    let (zero, name) = head.split_last().ok_or_else(damaged)?;
    let name = std::str::from_utf8(name).ok().filter(|_name| *zero == 0).ok_or_else(damaged)?;
    Ok((name.parse().map_err(|_name| damaged())?, u64::from_be_bytes(*sequence)))
}

pub(super) fn manifest_record(manifest: &Signed<Manifest>) -> Record {
    let document = manifest.document();
    Record { kind: RecordKind::Manifest, key: key(&document.database, document.sequence), value: manifest.encode() }
}

/// Receipts of one site for one snapshot may follow each other as it comes to hold more; what it holds is in the key.
pub(super) fn receipt_record(signed: &Signed<Receipt>) -> Record {
    let receipt = signed.document();
    let mut key = key(&receipt.database, receipt.sequence);
    key.extend_from_slice(receipt.site.as_str().as_bytes());
    key.extend_from_slice(&[0, u8::from(receipt.holds_shards), u8::from(receipt.holds_share)]);
    Record { kind: RecordKind::Receipt, key, value: signed.encode() }
}
