//! What the store claims, in `index.redb`.
//!
//! # Layout
//! Table `shards`: key the root, 32 bytes; value, integers little-endian: condition u8 (0 sound, 1 found
//! rotten), shard index u8, length in bytes u64, stripe number u64, then the database's name in UTF-8.
//!
//! Table `leaf_hashes`: key the root; value the BLAKE3 chaining values of the shard's leaves of 16 KiB, 32 bytes each. A
//! shard stored before this table was there has none until the scrub comes by. They follow from the root alone, so a
//! version that does not know the table cannot leave wrong ones behind, and the schema stays the same.
//!
//! Table `unreferenced`: key the root of a shard that nothing refers to; value the moment in ms at which that was first seen,
//! by the clock of retention.
//!
//! Table `scrub`: key `"progress"`; value, integers little-endian: running u8 (0 or 1), begin and end of a pass in ms of
//! wall time u64 (0: none), bytes read u64, shards found bad u64, then the root of the last shard read, if any.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;

use redb::{ReadableTable, TableDefinition};
use shard_codec::shard_tree::LeafHashes;
use shard_codec::{Digest, ShardIndex};

use super::{ScrubProgress, StoredShard};
use crate::redb_file::{RedbFile, RedbFileError};

const SHARDS: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("shards");
const LEAF_HASHES: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("leaf_hashes");
const UNREFERENCED: TableDefinition<'_, [u8; 32], u64> = TableDefinition::new("unreferenced");
const SCRUB: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("scrub");
const PROGRESS: &str = "progress";
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
            drop(transaction.open_table(LEAF_HASHES)?);
            drop(transaction.open_table(SCRUB)?);
            drop(transaction.open_table(UNREFERENCED)?);
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

    /// The entries of those of `roots` that have one.
    pub(super) fn get_each(&self, roots: &[Digest]) -> Result<Vec<StoredShard>, RedbFileError> {
        let found = self.file.read(|transaction| {
            let shards = transaction.open_table(SHARDS)?;
            let mut found = Vec::with_capacity(roots.len());
            for root in roots {
                found.extend(shards.get(root.as_bytes())?.map(|value| decode(*root, value.value())));
            }
            Ok(found)
        })?;
        found
            .into_iter()
            .map(|entry| entry.map(|entry| entry.shard).ok_or_else(|| self.file.damaged("shard")))
            .collect()
    }

    pub(super) fn insert(&self, shard: &StoredShard, leaves: &LeafHashes) -> Result<(), RedbFileError> {
        self.file.write(|transaction| {
            transaction.open_table(SHARDS)?.insert(shard.root.as_bytes(), encode(shard, SOUND).as_slice())?;
            transaction.open_table(LEAF_HASHES)?.insert(shard.root.as_bytes(), leaves.as_bytes())?;
            Ok(())
        })
    }

    /// The hashes of the leaves of `shard`, if there are any that lead to its root.
    pub(super) fn leaf_hashes(&self, shard: &StoredShard) -> Result<Option<LeafHashes>, RedbFileError> {
        self.file.read(|transaction| {
            let hashes = transaction.open_table(LEAF_HASHES)?.get(shard.root.as_bytes())?;
            Ok(hashes.and_then(|hashes| LeafHashes::check(&shard.root, shard.bytes, hashes.value())))
        })
    }

    pub(super) fn keep_leaf_hashes(&self, leaves: &LeafHashes) -> Result<(), RedbFileError> {
        self.file.write(|transaction| {
            transaction.open_table(LEAF_HASHES)?.insert(leaves.root().as_bytes(), leaves.as_bytes())?;
            Ok(())
        })
    }

    /// Puts anything, or nothing, where the hashes of the leaves of `root` are.
    #[cfg(test)]
    pub(super) fn spoil_leaf_hashes(&self, root: &Digest, hashes: Option<&[u8]>) {
        let spoil = |transaction: &redb::WriteTransaction| {
            let mut table = transaction.open_table(LEAF_HASHES)?;
            let _former = match hashes {
                Some(hashes) => table.insert(root.as_bytes(), hashes)?,
                None => table.remove(root.as_bytes())?,
            };
            Ok(())
        };
        self.file.write(spoil).unwrap();
    }

    /// How far the scrub is; a record that says nothing sensible is none.
    pub(super) fn scrub_progress(&self) -> Result<ScrubProgress, RedbFileError> {
        self.file.read(|transaction| {
            let progress = transaction.open_table(SCRUB)?.get(PROGRESS)?;
            Ok(progress.and_then(|progress| decode_progress(progress.value())).unwrap_or_default())
        })
    }

    pub(super) fn keep_scrub_progress(&self, progress: &ScrubProgress) -> Result<(), RedbFileError> {
        self.file.write(|transaction| {
            transaction.open_table(SCRUB)?.insert(PROGRESS, encode_progress(progress).as_slice())?;
            Ok(())
        })
    }

    /// Since when nothing refers to which shards.
    pub(super) fn notes(&self) -> Result<BTreeMap<Digest, u64>, RedbFileError> {
        self.file.read(|transaction| {
            let mut notes = BTreeMap::new();
            for entry in transaction.open_table(UNREFERENCED)?.iter()? {
                let (root, noted) = entry?;
                notes.insert(Digest::from_bytes(root.value()), noted.value());
            }
            Ok(notes)
        })
    }

    pub(super) fn note(&self, roots: &[Digest], at_ms: u64) -> Result<(), RedbFileError> {
        self.file.write(|transaction| {
            let mut notes = transaction.open_table(UNREFERENCED)?;
            for root in roots {
                notes.insert(root.as_bytes(), at_ms)?;
            }
            Ok(())
        })
    }

    pub(super) fn forget_notes(&self, roots: &[Digest]) -> Result<(), RedbFileError> {
        self.file.write(|transaction| {
            let mut notes = transaction.open_table(UNREFERENCED)?;
            for root in roots {
                notes.remove(root.as_bytes())?;
            }
            Ok(())
        })
    }

    /// Forgets shards, with all that is known of them.
    pub(super) fn remove<'a>(&self, roots: impl IntoIterator<Item = &'a Digest>) -> Result<(), RedbFileError> {
        self.file.write(|transaction| {
            let mut shards = transaction.open_table(SHARDS)?;
            let mut leaves = transaction.open_table(LEAF_HASHES)?;
            let mut notes = transaction.open_table(UNREFERENCED)?;
            for root in roots {
                shards.remove(root.as_bytes())?;
                leaves.remove(root.as_bytes())?;
                notes.remove(root.as_bytes())?;
            }
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

fn encode_progress(progress: &ScrubProgress) -> Vec<u8> {
    let mut value = vec![u8::from(progress.is_running)];
    let ScrubProgress { pass_started_ms, last_pass_ended_ms, bytes_read, rotten_count, .. } = progress;
    for number in [pass_started_ms.unwrap_or(0), last_pass_ended_ms.unwrap_or(0), *bytes_read, *rotten_count] {
        value.extend_from_slice(&number.to_le_bytes());
    }
    value.extend(progress.after.iter().flat_map(|root| *root.as_bytes()));
    value
}

fn decode_progress(value: &[u8]) -> Option<ScrubProgress> {
    let (running, rest) = value.split_first()?;
    let (numbers, root) = rest.split_first_chunk::<32>()?;
    let (numbers, _none) = numbers.as_chunks();
    let &[started, ended, bytes_read, rotten_count] = numbers else { return None };
    let time = |number| Some(u64::from_le_bytes(number)).filter(|ms| *ms > 0);
    Some(ScrubProgress {
        is_running: *running == 1,
        pass_started_ms: time(started),
        last_pass_ended_ms: time(ended),
        bytes_read: u64::from_le_bytes(bytes_read),
        rotten_count: u64::from_le_bytes(rotten_count),
        after: root.try_into().ok().map(Digest::from_bytes),
    })
}
