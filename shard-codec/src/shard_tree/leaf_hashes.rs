//! The hashes of a shard's leaves: kept beside a shard, they say which of its leaves are rotten, and prove a range from
//! the leaves of that range alone.
//!
//! 32 bytes for 16 KiB, so 0.2 % of the shard. The upper nodes of the tree are not kept: they are hashed again when
//! needed, 64 bytes for each leaf. Hashes that do not lead to the root are refused, so that rotten hashes never blame
//! good bytes.

use std::io;
use std::ops::Range;

use bao_tree::io::outboard::PostOrderMemOutboard;
use bao_tree::io::sync::{ReadAt, encode_ranges_validated};
use blake3::hazmat::{ChainingValue, HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};

use super::{LEAF_BYTES, RangeError, geometry, proof_bytes};
use crate::digest::Digest;

/// The hashes of all leaves of one shard, in their order; they lead to its root.
///
/// # Invariants
/// A shard of one leaf, or of none, has one hash: its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafHashes {
    root: Digest,
    shard_bytes: u64,
    hashes: Vec<ChainingValue>,
}

impl LeafHashes {
    /// The hashes that [`LeafHashes::as_bytes`] gave, if they are those of the shard of `shard_bytes` that `root` names.
    #[must_use]
    pub fn check(root: &Digest, shard_bytes: u64, bytes: &[u8]) -> Option<Self> {
        let (hashes, rest) = bytes.as_chunks();
        let is_complete = rest.is_empty() && hashes.len() as u64 == leaf_count(shard_bytes);
        (is_complete && merge_all(hashes, &mut |_left, _right| {}) == Some(*root)).then(|| Self {
            root: *root,
            shard_bytes,
            hashes: hashes.to_vec(),
        })
    }

    /// The root they lead to.
    #[must_use]
    pub const fn root(&self) -> Digest {
        self.root
    }

    /// Length of the shard.
    #[must_use]
    pub const fn shard_bytes(&self) -> u64 {
        self.shard_bytes
    }

    /// 32 bytes for each leaf.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.hashes.as_flattened()
    }

    /// Whether `bytes` are the leaf that begins at `start`.
    #[must_use]
    pub fn is_leaf(&self, start: u64, bytes: &[u8]) -> bool {
        let place = usize::try_from(start / LEAF_BYTES).ok().filter(|_place| start.is_multiple_of(LEAF_BYTES));
        let Some(expected) = place.and_then(|place| self.hashes.get(place)) else {
            return false;
        };
        if bytes.len() as u64 != (self.shard_bytes - start).min(LEAF_BYTES) {
            return false;
        }
        if self.hashes.len() == 1 {
            return blake3::hash(bytes).as_bytes() == expected;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(start).update(bytes);
        hasher.finalize_non_root() == *expected
    }

    /// The proof that [`super::prove_range`] gives, from `leaves`: the bytes of [`leaf_range`] alone.
    ///
    /// # Errors
    /// The range is empty or outside the shard, or `leaves` are not the bytes that the root names.
    pub fn prove_range(&self, range: Range<u64>, leaves: &[u8]) -> Result<Vec<u8>, RangeError> {
        let (tree, ranges) = geometry(self.shard_bytes, &range)?;
        let mut pairs = Vec::with_capacity(self.hashes.len() * 64);
        merge_all(&self.hashes, &mut |left, right| {
            pairs.extend_from_slice(left);
            pairs.extend_from_slice(right);
        });
        let outboard =
            PostOrderMemOutboard { root: blake3::Hash::from_bytes(*self.root.as_bytes()), tree, data: pairs };
        let leaves = Leaves { start: leaf_range(self.shard_bytes, &range)?.start, bytes: leaves };
        let mut proof = Vec::with_capacity(usize::try_from(proof_bytes(tree, &ranges)).unwrap_or(0));
        match encode_ranges_validated(leaves, &outboard, &ranges, &mut proof) {
            Ok(()) => Ok(proof),
            Err(_other_bytes) => Err(RangeError::Mismatch),
        }
    }
}

/// The range of each leaf of a shard, in their order.
pub fn leaves(shard_bytes: u64) -> impl Iterator<Item = Range<u64>> {
    (0..leaf_count(shard_bytes)).map(move |leaf_index| {
        let start = leaf_index * LEAF_BYTES;
        start..start.saturating_add(LEAF_BYTES).min(shard_bytes)
    })
}

/// `range` widened to whole leaves: what a proof of it is made from.
///
/// # Errors
/// The range is empty or outside the shard, or the shard too long.
pub fn leaf_range(shard_bytes: u64, range: &Range<u64>) -> Result<Range<u64>, RangeError> {
    geometry(shard_bytes, range)?;
    let start = range.start / LEAF_BYTES * LEAF_BYTES;
    Ok(start..range.end.next_multiple_of(LEAF_BYTES).min(shard_bytes))
}

/// Hashes a shard that arrives in parts: its root and its leaves in one pass.
#[derive(Clone, Debug, Default)]
pub struct LeafHasher {
    /// The leaf that is not full, or that is full and may be the last.
    leaf: blake3::Hasher,
    leaf_bytes: u64,
    hashes: Vec<ChainingValue>,
}

impl LeafHasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the shard, in order.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.leaf_bytes == LEAF_BYTES {
                self.close_leaf();
            }
            let room = usize::try_from(LEAF_BYTES - self.leaf_bytes).unwrap_or(usize::MAX);
            let (part, rest) = bytes.split_at(bytes.len().min(room));
            self.leaf.update(part);
            self.leaf_bytes += part.len() as u64;
            bytes = rest;
        }
    }

    fn close_leaf(&mut self) {
        self.hashes.push(self.leaf.finalize_non_root());
        self.leaf_bytes = 0;
        self.leaf = blake3::Hasher::new();
        self.leaf.set_input_offset(self.hashes.len() as u64 * LEAF_BYTES);
    }

    /// The hashes of all bytes taken.
    #[must_use]
    pub fn finish(mut self) -> LeafHashes {
        let shard_bytes = self.hashes.len() as u64 * LEAF_BYTES + self.leaf_bytes;
        let only_leaf = Digest::from_bytes(if self.hashes.is_empty() {
            *self.leaf.finalize().as_bytes()
        } else {
            self.leaf.finalize_non_root()
        });
        self.hashes.push(*only_leaf.as_bytes());
        let root = merge_all(&self.hashes, &mut |_left, _right| {}).unwrap_or(only_leaf);
        LeafHashes { root, shard_bytes, hashes: self.hashes }
    }
}

/// The leaves of one range, read as if they were the shard.
struct Leaves<'a> {
    start: u64,
    bytes: &'a [u8],
}

impl ReadAt for Leaves<'_> {
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let skipped = position.checked_sub(self.start).and_then(|skipped| usize::try_from(skipped).ok());
        let mut bytes = skipped.and_then(|skipped| self.bytes.get(skipped..)).unwrap_or_default();
        io::Read::read(&mut bytes, buffer)
    }
}

/// An empty shard has one leaf, which is empty.
fn leaf_count(shard_bytes: u64) -> u64 {
    shard_bytes.div_ceil(LEAF_BYTES).max(1)
}

/// The root above `hashes`; shows each pair of children to `visit`, children before parents, left before right.
fn merge_all(hashes: &[ChainingValue], visit: &mut impl FnMut(&ChainingValue, &ChainingValue)) -> Option<Digest> {
    match hashes {
        [] => None,
        [only] => Some(Digest::from_bytes(*only)),
        _ => {
            let (left, right) = merge_children(hashes, visit);
            Some(Digest::from_bytes(*merge_subtrees_root(&left, &right, Mode::Hash).as_bytes()))
        }
    }
}

fn merge(hashes: &[ChainingValue], visit: &mut impl FnMut(&ChainingValue, &ChainingValue)) -> ChainingValue {
    if let [only] = hashes {
        return *only;
    }
    let (left, right) = merge_children(hashes, visit);
    merge_subtrees_non_root(&left, &right, Mode::Hash)
}

/// The two children above at least two hashes. The left one is the largest full tree that leaves something for the
/// right one, so this nests as deep as the tree is high: 12 for the longest shard.
fn merge_children(
    hashes: &[ChainingValue],
    visit: &mut impl FnMut(&ChainingValue, &ChainingValue),
) -> (ChainingValue, ChainingValue) {
    let (left, right) = hashes.split_at(hashes.len().next_power_of_two() / 2);
    let (left, right) = (merge(left, visit), merge(right, visit));
    visit(&left, &right);
    (left, right)
}

#[cfg(test)]
mod tests;
