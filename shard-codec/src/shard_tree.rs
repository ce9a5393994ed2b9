//! The BLAKE3 tree of a shard: its root, and proofs that a range of bytes belongs to that root.
//!
//! The root is the plain BLAKE3 hash. A proof is the range in `bao` order (parents as two 32-byte chaining values,
//! then leaves), with leaves of 16 KiB: the bytes themselves are in it. Its length follows from the geometry alone
//! and is checked before a byte is hashed, so a hostile proof costs no more than its own length.
//!
//! # Source
//! BLAKE3 specification, section 6.4 (verified streaming); the crate `bao-tree`, chunk groups of 2^4.

mod leaf_hashes;
#[cfg(test)]
mod tests;

use std::ops::Range;

use bao_tree::io::BaoContentItem;
use bao_tree::io::outboard::PostOrderMemOutboard;
use bao_tree::io::sync::{DecodeResponseIter, encode_ranges_validated};
use bao_tree::iter::ResponseIterRef;
use bao_tree::{BaoTree, BlockSize, ChunkNum, ChunkRanges};

use crate::digest::Digest;
use crate::limits::STRIPE_BYTES_MAX;

pub use leaf_hashes::{LeafHasher, LeafHashes, leaf_range, leaves};

/// Leaves of a proof are 2^4 BLAKE3 chunks of 1 KiB.
const BLOCK_SIZE: BlockSize = BlockSize::from_chunk_log(4);
/// Length of a leaf in bytes: ranges are proven in multiples of it.
pub const LEAF_BYTES: u64 = 16 << 10;
const CHUNKS_PER_LEAF: u64 = 16;

/// Why a range could not be proven or is not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// A shard cannot be this long.
    #[error("a shard of {actual} bytes, at most {limit}")]
    TooLong {
        /// The limit in bytes.
        limit: u64,
        /// The length in bytes.
        actual: u64,
    },
    /// The range is empty, reversed, or passes the end of the shard.
    #[error("range {start}..{end} of {shard_bytes} bytes")]
    OutOfBounds {
        /// First byte asked for.
        start: u64,
        /// First byte no longer asked for.
        end: u64,
        /// Length of the shard.
        shard_bytes: u64,
    },
    /// A proof of this range has exactly one length.
    #[error("a proof of {actual} bytes, expected {expected}")]
    ProofBytes {
        /// The only possible length.
        expected: u64,
        /// The length found.
        actual: u64,
    },
    /// The bytes are not those that the root names.
    #[error("the proof does not lead to the root")]
    Mismatch,
}

/// The root of a whole shard.
#[must_use]
pub fn root(shard: &[u8]) -> Digest {
    Digest::of(shard)
}

/// The root of a shard that arrives in parts.
#[derive(Clone, Debug, Default)]
pub struct RootHasher(blake3::Hasher);

impl RootHasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the shard, in order.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The root of all bytes taken.
    #[must_use]
    pub fn finish(&self) -> Digest {
        Digest::from_bytes(*self.0.finalize().as_bytes())
    }
}

/// A proof of `range`, for [`verify_range`]. Reads and hashes the whole shard.
///
/// # Errors
/// The range is empty or outside the shard, or the shard too long.
pub fn prove_range(shard: &[u8], range: Range<u64>) -> Result<Vec<u8>, RangeError> {
    let shard_bytes = shard.len() as u64;
    let (tree, ranges) = geometry(shard_bytes, &range)?;
    let mut proof = Vec::with_capacity(usize::try_from(proof_bytes(tree, &ranges)).unwrap_or(0));
    let outboard = PostOrderMemOutboard::create(shard, BLOCK_SIZE);
    match encode_ranges_validated(shard, &outboard, &ranges, &mut proof) {
        Ok(()) => Ok(proof),
        // The outboard was made from these very bytes, and a Vec takes all it is given.
        Err(_cannot_happen) => Err(RangeError::Mismatch),
    }
}

/// The bytes of `range`, if `proof` shows that they belong to the shard of `shard_bytes` that `root` names.
///
/// `shard_bytes` comes from the manifest, never from who sent the proof: only a range that reaches the last leaf
/// proves the length too.
///
/// # Errors
/// The range is empty or outside the shard, or the proof is of another length, range or shard.
pub fn verify_range(root: &Digest, shard_bytes: u64, range: Range<u64>, proof: &[u8]) -> Result<Vec<u8>, RangeError> {
    let (tree, ranges) = geometry(shard_bytes, &range)?;
    let (expected, actual) = (proof_bytes(tree, &ranges), proof.len() as u64);
    if expected != actual {
        return Err(RangeError::ProofBytes { expected, actual });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(range.end - range.start).unwrap_or(0));
    for item in DecodeResponseIter::new(blake3::Hash::from_bytes(*root.as_bytes()), tree, proof, &ranges) {
        let Ok(item) = item else {
            return Err(RangeError::Mismatch);
        };
        if let BaoContentItem::Leaf(leaf) = item {
            let within = |position: u64| usize::try_from(position.saturating_sub(leaf.offset)).unwrap_or(usize::MAX);
            let (start, end) = (within(range.start), within(range.end).min(leaf.data.len()));
            bytes.extend_from_slice(leaf.data.get(start..end).unwrap_or_default());
        }
    }
    if bytes.len() as u64 == range.end - range.start { Ok(bytes) } else { Err(RangeError::Mismatch) }
}

/// The one length that a proof of `range` can have, in bytes.
///
/// # Errors
/// The range is empty or outside the shard, or the shard too long.
pub fn range_proof_bytes(shard_bytes: u64, range: Range<u64>) -> Result<u64, RangeError> {
    geometry(shard_bytes, &range).map(|(tree, ranges)| proof_bytes(tree, &ranges))
}

/// The tree of a shard, and the range widened to whole leaves.
fn geometry(shard_bytes: u64, range: &Range<u64>) -> Result<(BaoTree, ChunkRanges), RangeError> {
    let limit = STRIPE_BYTES_MAX as u64;
    if shard_bytes > limit {
        return Err(RangeError::TooLong { limit, actual: shard_bytes });
    }
    if range.start >= range.end || range.end > shard_bytes {
        return Err(RangeError::OutOfBounds { start: range.start, end: range.end, shard_bytes });
    }
    let first = ChunkNum(range.start / LEAF_BYTES * CHUNKS_PER_LEAF);
    let last = ChunkNum(range.end.div_ceil(LEAF_BYTES) * CHUNKS_PER_LEAF);
    // Up to the end is written as an open range: that is the tree's canonical form.
    let ranges =
        if last.to_bytes() >= shard_bytes { ChunkRanges::from(first..) } else { ChunkRanges::from(first..last) };
    Ok((BaoTree::new(shard_bytes, BLOCK_SIZE), ranges))
}

fn proof_bytes(tree: BaoTree, ranges: &ChunkRanges) -> u64 {
    ResponseIterRef::new(tree, ranges).map(|chunk| chunk.size() as u64).sum()
}
