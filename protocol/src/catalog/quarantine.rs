//! Which snapshots are suspicious: kept like any other, but no good one goes for their sake and `latest` passes them over.
//!
//! Two look. Home sees the plaintext and signs what it finds suspicious into the manifest. Sites see sizes, and hold them
//! against the bounds of the charter: that is all that is left when the writer's key is stolen. Officials accept what they
//! have looked at, by charter. Each snapshot is held against the newest one before it that is not suspicious, so that a
//! second one like it is no less suspicious.

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
        let mut last_accepted = None;
        for (manifest, after) in self.manifests_from(1).map(Signed::document).zip(self.stored_bytes()) {
            let by_size = last_accepted.map(|before| Jump { before, after }).filter(|jump| jump.is_beyond(bounds));
            let is_suspicious = by_size.is_some() || !manifest.suspicions.is_empty();
            if is_suspicious && !accepted.iter().any(|span: &Span| span.contains(manifest.sequence)) {
                let by_home = manifest.suspicions.clone();
                quarantined.insert(manifest.sequence, Reasons { by_home, by_size });
            } else {
                last_accepted = Some(after);
            }
        }
        quarantined
    }
}

impl Jump {
    fn is_beyond(self, bounds: Option<&Quarantine>) -> bool {
        let [before, after] = [self.before, self.after].map(u128::from);
        let percent = |percent: u32| before * u128::from(percent) / 100;
        let shrunk = bounds.and_then(|bounds| bounds.shrunk_percent);
        let grown = bounds.and_then(|bounds| bounds.grown_percent);
        self.before.max(self.after) >= STORED_BYTES_MIN
            && (shrunk.is_some_and(|least| after < percent(least)) || grown.is_some_and(|most| after > percent(most)))
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
