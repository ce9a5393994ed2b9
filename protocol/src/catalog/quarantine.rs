//! Which snapshots are suspicious: kept like any other, but no good one goes for their sake and `latest` passes them over.
//!
//! Two look. Home sees the plaintext and signs what it finds suspicious into the manifest. Sites see sizes, and hold them
//! against the bounds of the charter: that is all that is left when the writer's key is stolen. Officials accept what they
//! have looked at, by charter. Each snapshot is held against the newest good one before it, so that a second one like it is no
//! less suspicious.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, History};
use crate::document::{Manifest, Quarantine, Span, Suspicion};
use crate::identifier::DatabaseName;
use crate::signature::Signed;

/// Sizes below this jump by themselves, in bytes: a MiB.
const STORED_BYTES_MIN: u64 = 1 << 20;

/// Why a snapshot is in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reasons {
    /// What home says.
    pub by_home: Vec<Suspicion>,
    /// What the sites see.
    pub by_size: Option<Jump>,
}

/// The bytes that a snapshot refers to, and the last accepted one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// Of the last accepted one.
    pub before: u64,
    /// Of this one.
    pub after: u64,
}

impl Reasons {
    /// In words, one each.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let by_home = self.by_home.iter().map(|suspicion| format!("home says: {suspicion}"));
        let by_size = self.by_size.map(|Jump { before, after }| {
            format!("it refers to {after} stored bytes, the last accepted one to {before}: beyond the charter's bounds")
        });
        by_home.chain(by_size).collect()
    }
}

impl History {
    /// The snapshots in quarantine by these bounds, and why; those that were let go too.
    #[must_use]
    pub fn quarantined(&self, bounds: Option<&Quarantine>) -> BTreeMap<u64, Reasons> {
        let accepted = bounds.map(|bounds| bounds.accepted.as_slice()).unwrap_or_default();
        let mut quarantined = BTreeMap::new();
        let mut good: [Option<Size<'_>>; 2] = [None, None];
        let sized = self.manifests_from(1).map(Signed::document).zip(self.stored_bytes());
        // What has gone is held against nothing, and nothing against it.
        for (manifest, bytes) in sized.filter(|(manifest, _bytes)| !self.is_let_go(manifest.sequence)) {
            let size = Size { bytes, manifest };
            let jumps: Vec<Jump> = good.iter().flatten().filter_map(|before| size.jump_from(before)).collect();
            let is_jump = !jumps.is_empty() && jumps.iter().all(|jump| jump.is_beyond(bounds));
            let by_size = jumps.first().copied().filter(|_jump| is_jump);
            let is_suspicious = by_size.is_some() || !manifest.suspicions.is_empty();
            let is_accepted = accepted.iter().any(|span: &Span| span.contains(manifest.sequence));
            if is_suspicious && !is_accepted {
                let by_home = manifest.suspicions.clone();
                quarantined.insert(manifest.sequence, Reasons { by_home, by_size });
                continue;
            }
            // One that was accepted though it is suspicious does not make those suspicious that are as before.
            let [_accepted, plain] = good;
            good = [Some(size), if is_suspicious { plain } else { Some(size) }];
        }
        quarantined
    }
}

/// What a snapshot refers to.
#[derive(Clone, Copy)]
struct Size<'a> {
    bytes: u64,
    manifest: &'a Manifest,
}

impl Size<'_> {
    /// Nothing where all was stored anew: elsewhere, or in another code, it takes another room.
    fn jump_from(&self, before: &Self) -> Option<Jump> {
        let is_alike = self.manifest.placement == before.manifest.placement
            && self.manifest.data_shards == before.manifest.data_shards;
        is_alike.then_some(Jump { before: before.bytes, after: self.bytes })
    }
}

impl Jump {
    fn is_beyond(self, bounds: Option<&Quarantine>) -> bool {
        let [before, after] = [self.before, self.after].map(u128::from);
        let shrunk = bounds.and_then(|bounds| bounds.shrunk_percent);
        let grown = bounds.and_then(|bounds| bounds.grown_percent);
        self.before >= STORED_BYTES_MIN
            && (shrunk.is_some_and(|least| after * 100 < before * u128::from(least))
                || grown.is_some_and(|most| after * 100 > before * u128::from(most)))
    }
}

impl Catalog {
    /// The snapshots of a database in quarantine by the newest charter, and why.
    #[must_use]
    pub fn quarantined(&self, database: &DatabaseName) -> BTreeMap<u64, Reasons> {
        let bounds = self.charter().database(database).and_then(|entry| entry.quarantine.as_ref());
        self.history(database).map(|history| history.quarantined(bounds)).unwrap_or_default()
    }
}

/// The bytes that every snapshot of a history refers to, before coding, in order.
#[derive(Debug, Default)]
pub(super) struct StoredBytes(Vec<u64>);

impl StoredBytes {
    /// Takes the next manifest; `dropped_bytes` is what the stripes it drops have.
    pub(super) fn push(&mut self, manifest: &Manifest, dropped_bytes: u64) {
        let added: u64 = manifest.stripes_added.iter().map(|stripe| u64::from(stripe.payload_bytes)).sum();
        let before = self.0.last().copied().unwrap_or_default();
        self.0.push(before.saturating_add(added).saturating_sub(dropped_bytes));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.0.iter().copied()
    }
}
