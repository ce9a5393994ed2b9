//! The store's accounts in memory: what is claimed, what is promised to shards on their way, what is withdrawn.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use shard_codec::Digest;

use super::{PutError, PutRequest, StoreOptions, StoredShard};

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Bytes claimed, by database.
    claimed_bytes: BTreeMap<String, u64>,
    /// Bytes promised to shards that are being received, by database.
    promised_bytes: BTreeMap<String, u64>,
    /// Bytes of all files under `shards/`, claimed or not.
    occupied_bytes: u64,
    /// Indexed, but not claimed.
    withdrawn: BTreeSet<Digest>,
    claimed_count: u64,
}

impl Ledger {
    pub(super) fn is_withdrawn(&self, root: &Digest) -> bool {
        self.withdrawn.contains(root)
    }

    /// At most `limit` withdrawn roots after `after`, in their order.
    pub(super) fn withdrawn(&self, after: Option<&Digest>, limit: usize) -> Vec<Digest> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.withdrawn.range((start, Bound::Unbounded)).take(limit).copied().collect()
    }

    pub(super) fn withdrawn_count(&self) -> u64 {
        self.withdrawn.len() as u64
    }

    pub(super) fn stored_bytes(&self, database: &str) -> u64 {
        self.claimed_bytes.get(database).copied().unwrap_or(0)
    }

    pub(super) fn stored_bytes_by_database(&self) -> BTreeMap<String, u64> {
        self.claimed_bytes.clone()
    }

    pub(super) fn claimed_bytes(&self) -> u64 {
        self.claimed_bytes.values().sum()
    }

    pub(super) fn count(&self) -> u64 {
        self.claimed_count
    }

    /// A file of `new_bytes` bytes is under `shards/` where one of `old_bytes` was (0: none).
    pub(super) fn occupy(&mut self, old_bytes: u64, new_bytes: u64) {
        self.occupied_bytes = (self.occupied_bytes + new_bytes).saturating_sub(old_bytes);
    }

    /// The store claims `shard` from now on; it did not before.
    pub(super) fn claim(&mut self, shard: &StoredShard) {
        self.withdrawn.remove(&shard.root);
        *self.claimed_bytes.entry(shard.database.clone()).or_default() += shard.bytes;
        self.claimed_count += 1;
    }

    /// An indexed shard that the store does not claim, found when it was opened.
    pub(super) fn leave_unclaimed(&mut self, root: Digest) {
        self.withdrawn.insert(root);
    }

    /// The store claimed `shard` and does not any more.
    pub(super) fn withdraw(&mut self, shard: &StoredShard) {
        if self.withdrawn.insert(shard.root) {
            subtract(&mut self.claimed_bytes, &shard.database, shard.bytes);
            self.claimed_count = self.claimed_count.saturating_sub(1);
        }
    }

    /// A withdrawn shard is gone from the index.
    pub(super) fn forget(&mut self, root: &Digest) {
        self.withdrawn.remove(root);
    }

    /// Promises room to a shard, given that `free_bytes` are free on the file system and that it will
    /// replace a file of `replaced_bytes` bytes. What a shard on its way has written already counts twice
    /// against `free_bytes`: near the limit the store refuses a little early rather than too late.
    pub(super) fn promise(
        &mut self,
        request: &PutRequest,
        options: &StoreOptions,
        free_bytes: u64,
        replaced_bytes: u64,
    ) -> Result<(), PutError> {
        let promised: u64 = self.promised_bytes.values().sum();
        let stored_bytes = self.stored_bytes(&request.database);
        let coming = self.promised_bytes.get(&request.database).copied().unwrap_or(0);
        let quota_bytes = request.quota_bytes;
        if request.bytes > quota_bytes.saturating_sub(stored_bytes).saturating_sub(coming) {
            let (database, needed) = (request.database.clone(), request.bytes);
            return Err(PutError::QuotaExceeded { database, quota_bytes, stored_bytes, needed });
        }
        let mut available = free_bytes.saturating_sub(promised).saturating_sub(options.reserve_bytes);
        if let Some(capacity_bytes) = options.capacity_bytes {
            let kept = self.occupied_bytes.saturating_sub(replaced_bytes);
            available = available.min(capacity_bytes.saturating_sub(kept).saturating_sub(promised));
        }
        if request.bytes > available {
            return Err(PutError::DiskFull { needed: request.bytes, available });
        }
        *self.promised_bytes.entry(request.database.clone()).or_default() += request.bytes;
        Ok(())
    }

    /// Takes a promise back: the shard is stored, or it will not come.
    pub(super) fn release(&mut self, request: &PutRequest) {
        subtract(&mut self.promised_bytes, &request.database, request.bytes);
    }
}

fn subtract(accounts: &mut BTreeMap<String, u64>, database: &str, bytes: u64) {
    if let Some(account) = accounts.get_mut(database) {
        *account = account.saturating_sub(bytes);
        if *account == 0 {
            accounts.remove(database);
        }
    }
}
