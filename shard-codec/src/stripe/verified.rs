//! Shards and ranges of shards, before and after they were checked against their root.

use std::ops::Range;

use crate::digest::Digest;
use crate::index::ShardIndex;
use crate::shard_tree::{self, RangeError};

/// The bytes are not the shard that the manifest names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shard {index}: root {actual}, expected {expected}")]
pub struct ShardMismatch {
    /// The position the bytes claimed.
    pub index: ShardIndex,
    /// The root that the manifest names.
    pub expected: Digest,
    /// The root of the bytes.
    pub actual: Digest,
}

/// Bytes that claim to be a shard.
#[derive(Clone, Debug)]
pub struct UncheckedShard {
    index: ShardIndex,
    bytes: Vec<u8>,
}

impl UncheckedShard {
    /// Bytes as they came from a site or a disk.
    #[must_use]
    pub const fn new(index: ShardIndex, bytes: Vec<u8>) -> Self {
        Self { index, bytes }
    }

    /// The position claimed.
    #[must_use]
    pub const fn index(&self) -> ShardIndex {
        self.index
    }

    /// Checks the bytes against the root that the manifest names for this position.
    ///
    /// # Errors
    /// Another root; the error names the shard.
    pub fn verify(self, root: &Digest) -> Result<VerifiedShard, ShardMismatch> {
        let actual = shard_tree::root(&self.bytes);
        if actual != *root {
            return Err(ShardMismatch { index: self.index, expected: *root, actual });
        }
        Ok(VerifiedShard { index: self.index, bytes: self.bytes })
    }
}

/// A shard that was checked against its root.
#[derive(Clone, Debug)]
pub struct VerifiedShard {
    index: ShardIndex,
    bytes: Vec<u8>,
}

impl VerifiedShard {
    /// Its position in the stripe.
    #[must_use]
    pub const fn index(&self) -> ShardIndex {
        self.index
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its bytes, owned, to be used again as a buffer.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// A range of it, or `None` if it passes the end.
    #[must_use]
    pub fn columns(&self, columns: Range<u64>) -> Option<VerifiedColumns> {
        let range = usize::try_from(columns.start).ok()?..usize::try_from(columns.end).ok()?;
        let bytes = self.bytes.get(range)?.to_vec();
        Some(VerifiedColumns { index: self.index, columns, bytes })
    }
}

/// A range of a shard that was checked against the shard's root.
#[derive(Clone, Debug)]
pub struct VerifiedColumns {
    pub(super) index: ShardIndex,
    pub(super) columns: Range<u64>,
    pub(super) bytes: Vec<u8>,
}

impl VerifiedColumns {
    /// Checks a range proof ([`shard_tree::prove_range`]) against the root of shard `index`.
    ///
    /// # Errors
    /// As [`shard_tree::verify_range`].
    pub fn verify(
        index: ShardIndex,
        root: &Digest,
        shard_bytes: u64,
        columns: Range<u64>,
        proof: &[u8],
    ) -> Result<Self, RangeError> {
        let bytes = shard_tree::verify_range(root, shard_bytes, columns.clone(), proof)?;
        Ok(Self { index, columns, bytes })
    }

    /// The shard it is a range of.
    #[must_use]
    pub const fn index(&self) -> ShardIndex {
        self.index
    }

    /// Which bytes of the shard.
    #[must_use]
    pub const fn columns(&self) -> &Range<u64> {
        &self.columns
    }

    /// The bytes of the range.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
