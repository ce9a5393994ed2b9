//! A disk: what is synced stays, what is not may be gone after a crash; shards may rot, and there may be no room.
//!
//! As in the node, a transaction of records is there whole or not at all, and a shard whose file is there without its
//! entry in the index is not claimed. So a crash in the middle leaves either all of a write or nothing of it that counts.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use protocol::evidence::ShardName;
use protocol::machine::{Record, RecordKind};
use protocol::timestamp::Timestamp;
use shard_codec::Digest;

use super::random::Stream;

/// Bytes of a shard.
pub type Bytes = Arc<[u8]>;

/// A shard in the store.
#[derive(Clone, Debug)]
pub struct StoredShard {
    /// What it was first stored for.
    pub name: ShardName,
    /// As they are on the disk now.
    pub bytes: Bytes,
    /// Found rotten when it was read: not claimed until it is put again.
    pub found_rotten: bool,
}

/// Why a shard cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFault {
    /// It is not there.
    Absent,
    /// Its bytes are not those it is named after.
    Rotten,
}

/// One disk.
#[derive(Debug, Default)]
pub struct Disk {
    records: BTreeMap<(RecordKind, Vec<u8>), Vec<u8>>,
    unsynced: Vec<Record>,
    shards: BTreeMap<Digest, StoredShard>,
    incoming: BTreeMap<u64, (ShardName, Bytes)>,
    /// Shards that nothing refers to, and since when.
    notes: BTreeMap<Digest, Timestamp>,
    /// Nothing more fits.
    pub full: bool,
    /// Every write takes so many times as long.
    pub slowness: u64,
}

impl Disk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self { slowness: 1, ..Self::default() }
    }

    /// Synced records of a kind, by key.
    pub fn records(&self, kind: RecordKind) -> impl Iterator<Item = (&[u8], &[u8])> {
        let of_kind = self.records.range((kind, Vec::new())..);
        of_kind.take_while(move |((one, _key), _value)| *one == kind).map(|((_kind, key), value)| (&**key, &**value))
    }

    /// One synced record.
    #[must_use]
    pub fn record(&self, kind: RecordKind, key: &[u8]) -> Option<&[u8]> {
        self.records.get(&(kind, key.to_vec())).map(Vec::as_slice)
    }

    /// How many records are synced.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.records.len()
    }

    /// Begins a transaction; false if there is no room. There is one at a time.
    pub fn begin(&mut self, records: Vec<Record>) -> bool {
        if self.full {
            return false;
        }
        self.unsynced = records;
        true
    }

    /// The transaction is on the disk; returns what it was.
    ///
    /// # Errors
    /// A record is there already with other bytes: the state file refuses it, and the process stops.
    pub fn sync(&mut self) -> Result<Vec<Record>, Record> {
        for record in &self.unsynced {
            let held = self.records.get(&(record.kind, record.key.clone()));
            if !record.kind.is_replaced() && held.is_some_and(|held| *held != record.value) {
                return Err(record.clone());
            }
        }
        let synced = std::mem::take(&mut self.unsynced);
        for Record { kind, key, value } in synced.iter().cloned() {
            // An empty one erases what was there.
            if value.is_empty() {
                self.records.remove(&(kind, key));
            } else {
                self.records.insert((kind, key), value);
            }
        }
        Ok(synced)
    }

    /// Begins to write a shard.
    pub fn begin_shard(&mut self, write: u64, name: ShardName, bytes: Bytes) {
        self.incoming.insert(write, (name, bytes));
    }

    /// The shard and its index entry are on the disk.
    pub fn sync_shard(&mut self, write: u64) {
        if let Some((name, bytes)) = self.incoming.remove(&write) {
            self.notes.remove(&name.root);
            let name = self.shards.remove(&name.root).map_or(name, |before| before.name);
            self.shards.insert(name.root, StoredShard { name, bytes, found_rotten: false });
        }
    }

    /// Whether the store claims to hold a shard.
    #[must_use]
    pub fn claims(&self, root: &Digest) -> bool {
        self.shards.get(root).is_some_and(|shard| !shard.found_rotten)
    }

    /// The same; whoever is told so relies on it from now on.
    pub fn rely_on(&mut self, root: &Digest) -> bool {
        self.notes.remove(root);
        self.claims(root)
    }

    /// Shards after this one, in the order of their roots.
    #[must_use]
    pub fn listed(&self, after: Option<&Digest>, limit: usize) -> Vec<ShardName> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.shards.range((from, Bound::Unbounded)).map(|(_root, shard)| shard.name.clone()).take(limit).collect()
    }

    /// Notes what nothing refers to, and removes what was noted long enough ago; whether there was any.
    pub fn collect(&mut self, unreferenced: &[Digest], referenced: &[Digest], at: Timestamp, grace_ms: u64) -> bool {
        referenced.iter().for_each(|root| _ = self.notes.remove(root));
        let notes = &mut self.notes;
        let is_ripe = |root: &&Digest| notes.entry(**root).or_insert(at).plus_ms(grace_ms) <= at;
        let ripe: Vec<Digest> = unreferenced.iter().filter(is_ripe).copied().collect();
        for root in &ripe {
            self.notes.remove(root);
            self.shards.remove(root);
        }
        !ripe.is_empty()
    }

    /// Reads a shard; what is found rotten is not claimed any more.
    ///
    /// # Errors
    /// It is not there, or has rotted.
    pub fn read(&mut self, root: &Digest) -> Result<Bytes, ReadFault> {
        let shard = self.shards.get_mut(root).filter(|shard| !shard.found_rotten).ok_or(ReadFault::Absent)?;
        if Digest::of(&shard.bytes) != *root {
            shard.found_rotten = true;
            return Err(ReadFault::Rotten);
        }
        Ok(shard.bytes.clone())
    }

    /// The bytes of a shard if they are sound, as somebody sees who looks at the disk itself.
    #[must_use]
    pub fn sound(&self, root: &Digest) -> Option<&Bytes> {
        self.shards.get(root).map(|shard| &shard.bytes).filter(|bytes| Digest::of(bytes) == *root)
    }

    /// The claimed shard after this one in the order of roots, the first after the last.
    #[must_use]
    pub fn claimed_after(&self, root: Option<&Digest>) -> Option<Digest> {
        let is_claimed = |(_root, shard): &(&Digest, &StoredShard)| !shard.found_rotten;
        let from = root.map_or(Bound::Unbounded, Bound::Excluded);
        let mut after = self.shards.range((from, Bound::Unbounded)).filter(is_claimed);
        let next = after.next().or_else(|| self.shards.iter().find(is_claimed));
        next.map(|(root, _shard)| *root)
    }

    /// How many shards are there.
    #[must_use]
    pub fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// Flips a bit in up to `count` shards; returns their roots.
    pub fn rot(&mut self, count: u16, stream: &mut Stream) -> Vec<Digest> {
        let roots: Vec<Digest> = self.shards.keys().copied().collect();
        let mut hit = Vec::new();
        for _ in 0..count {
            let Some(root) = stream.pick(&roots) else { break };
            let Some(shard) = self.shards.get_mut(root) else { continue };
            let mut bytes = shard.bytes.to_vec();
            let position = usize::try_from(stream.below(bytes.len() as u64)).unwrap_or(0);
            if let Some(byte) = bytes.get_mut(position) {
                *byte ^= 1 << stream.below(8);
            }
            shard.bytes = bytes.into();
            hit.push(*root);
        }
        hit
    }

    /// Throws a shard away, as a liar does.
    pub fn discard_all_shards(&mut self) {
        self.shards.clear();
    }

    /// The disk is taken out and an empty one put in; with `records`, the one with the state file too.
    pub fn empty(&mut self, records: bool) {
        self.shards.clear();
        self.incoming.clear();
        self.notes.clear();
        if records {
            self.records.clear();
            self.unsynced.clear();
        }
    }

    /// The power fails: of each write under way, all is there or nothing that counts. Returns the records of the
    /// transaction, if it is there.
    pub fn crash(&mut self, torn: f64, stream: &mut Stream) -> Vec<Record> {
        let mut synced = Vec::new();
        if !self.unsynced.is_empty() && stream.chance(torn) {
            // What conflicts with an older record would have stopped the process; here it is simply not there.
            synced = self.sync().unwrap_or_default();
        }
        self.unsynced.clear();
        for write in self.incoming.keys().copied().collect::<Vec<_>>() {
            if stream.chance(torn) {
                self.sync_shard(write);
            }
        }
        self.incoming.clear();
        synced
    }
}
