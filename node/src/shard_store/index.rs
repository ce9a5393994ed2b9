//! What the store claims, in `index.redb`.
//!
//! # Layout
//! Table `shards`: key the root, 32 bytes; value, integers little-endian: condition u8 (0 sound, 1 found
//! rotten), shard index u8, length in bytes u64, stripe number u64, then the database's name in UTF-8.

use std::ops::Bound;
use std::path::Path;

use redb::{ReadableTable, TableDefinition};
use shard_codec::{Digest, ShardIndex};

use super::StoredShard;
use crate::redb_file::{RedbFile, RedbFileError};

const SHARDS: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("shards");
const KIND: &str = "legation shard index";
const SCHEMA: u64 = 1;
const CACHE_BYTES: usize = 32 << 20;
const SOUND: u8 = 0;
const ROTTEN: u8 = 1;

/// One record of the index.
#[derive(Debug)]
pub(super) struct IndexEntry {
    /// What was stored.
    pub(super) shard: StoredShard,
    /// Whether a re-read once found it rotten.
    pub(super) rotten: bool,
}

#[derive(Debug)]
pub(super) struct Index {
    file: RedbFile,
}

impl Index {
    pub(super) fn open(path: &Path) -> Result<Self, RedbFileError> {
        let file = RedbFile::open(path, KIND, SCHEMA, CACHE_BYTES)?;
        file.write(|transaction| {
            drop(transaction.open_table(SHARDS)?);
            Ok(())
        })?;
        Ok(Self { file })
    }

    pub(super) fn get(&self, root: &Digest) -> Result<Option<IndexEntry>, RedbFileError> {
        let found = self.file.read(|transaction| {
            let shards = transaction.open_table(SHARDS)?;
            Ok(shards.get(root.as_bytes())?.map(|value| decode(*root, value.value())))
        })?;
        found.map(|entry| entry.ok_or_else(|| self.file.damaged("shard"))).transpose()
    }

    /// For each of `roots`, in their order, whether it has an entry.
    pub(super) fn contains_each(&self, roots: &[Digest]) -> Result<Vec<bool>, RedbFileError> {
        self.file.read(|transaction| {
            let shards = transaction.open_table(SHARDS)?;
            let mut known = Vec::with_capacity(roots.len());
            for root in roots {
                known.push(shards.get(root.as_bytes())?.is_some());
            }
            Ok(known)
        })
    }

    pub(super) fn insert(&self, shard: &StoredShard) -> Result<(), RedbFileError> {
        self.file.write(|transaction| {
            transaction.open_table(SHARDS)?.insert(shard.root.as_bytes(), encode(shard, SOUND).as_slice())?;
            Ok(())
        })
    }

    /// Notes durably that the file of `root` is not the shard any more.
    pub(super) fn mark_rotten(&self, root: &Digest) -> Result<(), RedbFileError> {
        let Some(entry) = self.get(root)? else {
            return Ok(());
        };
        self.file.write(|transaction| {
            let value = encode(&entry.shard, ROTTEN);
            transaction.open_table(SHARDS)?.insert(root.as_bytes(), value.as_slice())?;
            Ok(())
        })
    }

    /// Shows every entry to `visit`.
    pub(super) fn for_each(&self, mut visit: impl FnMut(IndexEntry)) -> Result<(), RedbFileError> {
        let sound = self.file.read(|transaction| {
            for entry in transaction.open_table(SHARDS)?.iter()? {
                let (root, value) = entry?;
                match decode(Digest::from_bytes(root.value()), value.value()) {
                    Some(entry) => visit(entry),
                    None => return Ok(false),
                }
            }
            Ok(true)
        })?;
        if sound { Ok(()) } else { Err(self.file.damaged("shard")) }
    }

    /// At most `limit` shards that pass `wanted`, in the order of their roots, after `after`.
    pub(super) fn entries(
        &self,
        after: Option<&Digest>,
        limit: usize,
        wanted: impl Fn(&Digest) -> bool,
    ) -> Result<Vec<StoredShard>, RedbFileError> {
        let start = after.map_or(Bound::Unbounded, |root| Bound::Excluded(*root.as_bytes()));
        let found = self.file.read(|transaction| {
            let mut shards = Vec::new();
            for entry in transaction.open_table(SHARDS)?.range::<[u8; 32]>((start, Bound::Unbounded))? {
                if shards.len() == limit {
                    break;
                }
                let (root, value) = entry?;
                let root = Digest::from_bytes(root.value());
                if wanted(&root) {
                    shards.push(decode(root, value.value()).map(|entry| entry.shard));
                }
            }
            Ok(shards)
        })?;
        found.into_iter().map(|shard| shard.ok_or_else(|| self.file.damaged("shard"))).collect()
    }
}

fn encode(shard: &StoredShard, condition: u8) -> Vec<u8> {
    let mut value = vec![condition, shard.shard_index.get()];
    value.extend_from_slice(&shard.bytes.to_le_bytes());
    value.extend_from_slice(&shard.stripe_number.to_le_bytes());
    value.extend_from_slice(shard.database.as_bytes());
    value
}

fn decode(root: Digest, value: &[u8]) -> Option<IndexEntry> {
    let ([condition, shard_index], rest) = value.split_first_chunk::<2>()?;
    let (bytes, rest) = rest.split_first_chunk::<8>()?;
    let (stripe_number, database) = rest.split_first_chunk::<8>()?;
    let shard = StoredShard {
        root,
        bytes: u64::from_le_bytes(*bytes),
        database: std::str::from_utf8(database).ok()?.to_owned(),
        stripe_number: u64::from_le_bytes(*stripe_number),
        shard_index: ShardIndex::new(*shard_index),
    };
    match *condition {
        SOUND => Some(IndexEntry { shard, rotten: false }),
        ROTTEN => Some(IndexEntry { shard, rotten: true }),
        _ => None,
    }
}
