//! What is wrong with a withdrawn shard, and writing it anew from what is good of it.
//!
//! Nothing here is taken on trust: the hashes of the leaves must lead to the root before they blame a byte, and a mended
//! shard is claimed only when all of it hashes to its root.

use std::ops::Range;

use shard_codec::Digest;

use super::writer::{self, PutError, PutRequest};
use super::{InspectError, ReadError, ShardStore, StoredShard};
use crate::redb_file::RedbFileError;

/// What a withdrawn shard lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Everything: the file is gone or of another length, or nothing tells its good bytes from its bad ones.
    Whole,
    /// These ranges, sorted, apart from each other and made of whole leaves of 16 KiB. None at all if the file is good
    /// again: [`ShardStore::mend`] with nothing then claims it.
    Ranges(Vec<Range<u64>>),
}

/// The shard is not mended; it is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum MendError {
    /// The store never had it.
    #[error("shard {root} was never stored here")]
    Unknown {
        /// The shard.
        root: Digest,
    },
    /// A range does not lie in the shard.
    #[error("shard {root} has {shard_bytes} bytes, mended with {bytes} at {offset}")]
    Range {
        /// The shard.
        root: Digest,
        /// First byte of the range.
        offset: u64,
        /// Bytes of the range.
        bytes: u64,
        /// The shard's length in bytes.
        shard_bytes: u64,
    },
    /// The bytes do not make the shard, or they cannot be written.
    #[error(transparent)]
    Put(#[from] PutError),
}

impl ShardStore {
    /// At most `limit` shards that the index names and the store does not claim, in the order of their roots, after
    /// `after`: what a repair has to bring.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn withdrawn(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<StoredShard>, RedbFileError> {
        let roots = self.inner.ledger().withdrawn(after, limit);
        self.inner.index.get_each(&roots)
    }

    /// What is wrong with a withdrawn shard; `None` if it is claimed, or was never stored. Reads all of it from the disk.
    ///
    /// # Errors
    /// The file cannot be opened though it is there, or the index fails.
    pub fn damage(&self, root: &Digest) -> Result<Option<Damage>, ReadError> {
        let Some(shard) = self.withdrawn_entry(root)? else {
            return Ok(None);
        };
        let failed = |source| InspectError::Io { path: self.inner.place.name(root), source };
        let opened = self.inner.place.open(root, shard.bytes).map_err(failed)?;
        let Some((file, leaves)) = opened.zip(self.inner.index.leaf_hashes(&shard)?) else {
            return Ok(Some(Damage::Whole));
        };
        let mut ranges: Vec<Range<u64>> = Vec::new();
        let read = file.for_each_leaf(shard.bytes, |leaf, contents| {
            if contents.is_some_and(|contents| leaves.is_leaf(leaf.start, contents)) {
                return;
            }
            match ranges.last_mut().filter(|last| last.end == leaf.start) {
                Some(last) => last.end = leaf.end,
                None => ranges.push(leaf),
            }
        });
        read.map_err(failed)?;
        Ok(Some(Damage::Ranges(ranges)))
    }

    /// Writes a withdrawn shard anew, from the bytes of its old file and `ranges` over them, and claims it again. A shard
    /// that is claimed already is left alone.
    ///
    /// The room for it is not counted against the database's quota: it was, when the shard was first stored.
    ///
    /// # Errors
    /// As [`MendError`]; with bytes that do not make the shard nothing changes.
    pub fn mend(&self, root: &Digest, ranges: &[(u64, Vec<u8>)]) -> Result<(), MendError> {
        let Some(shard) = self.withdrawn_entry(root).map_err(PutError::Index)? else {
            let is_claimed = self.contains(root).map_err(PutError::Index)?;
            return if is_claimed { Ok(()) } else { Err(MendError::Unknown { root: *root }) };
        };
        let (contents, replaced_bytes) = self.compose(&shard, ranges)?;
        let StoredShard { root, bytes, database, stripe_number, shard_index } = shard;
        let request = PutRequest { root, bytes, database, quota_bytes: u64::MAX, stripe_number, shard_index };
        let mut incoming = writer::receive(&self.inner, request, replaced_bytes)?;
        incoming.write(&contents)?;
        Ok(incoming.commit()?)
    }

    /// The bytes of the file of `shard` as far as they can be read, with `ranges` over them, and the file's length.
    fn compose(&self, shard: &StoredShard, ranges: &[(u64, Vec<u8>)]) -> Result<(Vec<u8>, u64), MendError> {
        let (root, expected) = (shard.root, shard.bytes);
        let failed = |source| PutError::Io { path: self.inner.place.name(&root), source };
        let file = self.inner.place.open(&root, expected).map_err(failed)?;
        // Without a file there is only what was given: nothing is set aside for a length that the index alone asserts.
        let given_bytes: u64 = ranges.iter().map(|(_offset, bytes)| bytes.len() as u64).sum();
        if file.is_none() && given_bytes < expected {
            return Err(PutError::LengthMismatch { root, expected, actual: given_bytes }.into());
        }
        let mut contents = vec![0; usize::try_from(expected).unwrap_or(usize::MAX)];
        if let Some(file) = file {
            let read = file.for_each_leaf(expected, |leaf, bytes| lay(&mut contents, leaf.start, bytes).unwrap_or(()));
            read.map_err(failed)?;
        }
        for (offset, bytes) in ranges {
            let outside =
                || MendError::Range { root, offset: *offset, bytes: bytes.len() as u64, shard_bytes: expected };
            lay(&mut contents, *offset, Some(bytes)).ok_or_else(outside)?;
        }
        let replaced_bytes = self.inner.place.bytes_noted(&root).map_err(failed)?.unwrap_or(0);
        Ok((contents, replaced_bytes))
    }

    fn withdrawn_entry(&self, root: &Digest) -> Result<Option<StoredShard>, RedbFileError> {
        if !self.inner.ledger().is_withdrawn(root) {
            return Ok(None);
        }
        Ok(self.inner.index.get(root)?.map(|entry| entry.shard))
    }
}

/// Lays `bytes`, if there are any, over `contents` from `offset` on; `None` if they do not fit.
fn lay(contents: &mut [u8], offset: u64, bytes: Option<&[u8]>) -> Option<()> {
    let bytes = bytes?;
    let start = usize::try_from(offset).ok()?;
    contents.get_mut(start..start.checked_add(bytes.len())?)?.copy_from_slice(bytes);
    Some(())
}

#[cfg(test)]
mod tests;
