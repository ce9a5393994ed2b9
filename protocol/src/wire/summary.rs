//! What two sites compare before either asks for anything: one digest for each part of what a site knows.
//!
//! A digest is taken over what a document *says*, in one sorted list, never over who signed it when or in which order it
//! came: two sites that know the same have the same digest. A new kind of document that sites spread is one more
//! [`Part`]; the compiler then names every place that must know of it.

use serde::{Deserialize, Serialize};
use shard_codec::Digest;

use crate::cbor;
use crate::identifier::DatabaseName;

/// A part of what a site knows. The order of the variants is the order in which a round looks at them: manifests need
/// their charter, epochs, receipts and notices need their manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Part {
    /// The chain of charters.
    Charters,
    /// All of one database; it has a summary of its own, of the parts that name it.
    Database(DatabaseName),
    /// The manifests of a database.
    Manifests(DatabaseName),
    /// The epochs of the shares of its keys.
    Epochs(DatabaseName),
    /// Whether a proof of a fork of it is known.
    Forks(DatabaseName),
    /// The receipts of all its snapshots.
    Receipts(DatabaseName),
    /// Inventories of the sites, and losses that are proven.
    Evidence(DatabaseName),
    /// Orders and notices.
    Releases,
    /// The reports of the auditors.
    Reports,
}

impl Part {
    /// In which summary it stands: that of this database, or that of everything.
    #[must_use]
    pub const fn database(&self) -> Option<&DatabaseName> {
        match self {
            Self::Charters | Self::Database(_) | Self::Releases | Self::Reports => None,
            Self::Manifests(database)
            | Self::Epochs(database)
            | Self::Forks(database)
            | Self::Receipts(database)
            | Self::Evidence(database) => Some(database),
        }
    }
}

/// Parts and their digests, sorted.
pub type Summary = Vec<(Part, Digest)>;

/// The digest of all that a summary lists.
#[must_use]
pub fn digest_of_summary(summary: &Summary) -> Digest {
    known("summary", summary)
}

/// The digest of something that a site knows: what it is, and its one encoding.
#[must_use]
pub fn known<T: Serialize>(kind: &str, value: &T) -> Digest {
    Digest::of(&[b"legation v1 known ".as_slice(), kind.as_bytes(), &[0], &cbor::encode(value)].concat())
}
