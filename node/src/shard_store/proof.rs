//! Proving a range of a shard from the leaves of that range alone.

use shard_codec::Digest;
use shard_codec::shard_tree::{LeafHasher, leaf_range};

use super::{ReadError, ShardStore, StoredShard, Verification};

impl ShardStore {
    /// The proof of a range that `shard_tree::prove_range` makes from the whole shard. Reads the leaves of the range, from
    /// the disk, and nothing else of the shard; what is read is checked, so rotten bytes are never proved.
    ///
    /// The whole shard is read once if the index does not know the hashes of its leaves, or wrong ones.
    ///
    /// # Errors
    /// As [`ReadError`]; a shard that is rotten in the range is withdrawn.
    pub fn prove_range(&self, root: &Digest, offset: u64, bytes: u64) -> Result<Vec<u8>, ReadError> {
        let shard = self.inner.claimed(root)?.ok_or(ReadError::Absent { root: *root })?;
        let range = offset..offset.saturating_add(bytes);
        let outside = || ReadError::Range {
            root: *root,
            offset,
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            shard_bytes: shard.bytes,
        };
        let span = leaf_range(shard.bytes, &range).map_err(|_outside| outside())?;
        let span_bytes = usize::try_from(span.end - span.start).map_err(|_too_long| outside())?;
        if let Some(leaves) = self.inner.index.leaf_hashes(&shard)? {
            let (file, _bytes) = self.open_claimed(root)?;
            file.expect_few_reads();
            let mut contents = vec![0; span_bytes];
            let is_read = file.read_exact_at(&mut contents, span.start).is_ok();
            if is_read && let Ok(proof) = leaves.prove_range(range.clone(), &contents) {
                return Ok(proof);
            }
            match self.inner.withdraw_unless_sound(root)? {
                Verification::Rotten => return Err(ReadError::Rotten { root: *root }),
                Verification::Absent => return Err(ReadError::Absent { root: *root }),
                Verification::Verified => {} // a put has just replaced the file
            }
        }
        let contents = self.read(root)?;
        self.learn_leaves(&shard, &contents)?;
        shard_codec::shard_tree::prove_range(&contents, range).map_err(|_outside| outside())
    }

    fn learn_leaves(&self, shard: &StoredShard, contents: &[u8]) -> Result<(), ReadError> {
        if self.inner.index.leaf_hashes(shard)?.is_none() {
            let mut hasher = LeafHasher::new();
            hasher.update(contents);
            self.inner.index.keep_leaf_hashes(&hasher.finish())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
