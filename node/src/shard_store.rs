//! The shards a site keeps: content-addressed files, written once, never changed, never lost once acknowledged.
//!
//! ```text
//! DIR/lock            held while a process has the store open
//! DIR/index.redb      root -> length, database, stripe, shard index; hashes of leaves; how far the scrub is
//! DIR/incoming/       shards that are being received
//! DIR/shards/ab/<hex> shards, mode 0400; "ab" are the first two digits of the root
//! DIR/place           where the shards lie: here, or in object storage
//! DIR/place.former    where they lay, until that is cleared
//! DIR/objects-*.redb  names and versions of objects, one file a place
//! ```
//! A shard is *stored* when [`IncomingShard::commit`] has returned `Ok`; only then may a receipt be signed.
//! The index says what the store claims to hold, the files say what it has. What goes, and when, is decided by retention,
//! which lives above; [`collect`] is how it goes.
//!
//! # After a crash
//! `commit` takes these steps in this order; this is what is on disk if the machine stops after each:
//!
//! | after | incoming/ | shards/ | index | at the next open |
//! | --- | --- | --- | --- | --- |
//! | receiving | part of the file | - | - | leftover removed; the sender sends again |
//! | 1 temporary file fsynced | whole file | - | - | the same |
//! | 2 renamed | whole file or nothing | nothing or whole file | - | either the row above or the row below |
//! | 3 directories fsynced | - | whole file | - | reported as unindexed, left alone, adopted by the next put |
//! | 4 index committed | - | whole file | entry | stored |
//!
//! The contents are fsynced before the rename, so a name under `shards/` never stands for half a shard; the
//! index is committed last, so an entry never stands for a file that was not durable. `Ok` comes after step
//! 4, so nothing acknowledged is in another row.
//!
//! In object storage (`objects`) step 2 is in two: the object is put under a name that was never used, and then noted. What was
//! put and not noted counts for nothing: the next put of that shard finds it, or the next start takes its name up as unindexed.
//!
//! An unindexed file is not removed, because a lost index would then destroy every shard of the site; it is
//! not indexed either, because nobody knows its database and stripe. [`ShardStore::begin`] for its root
//! hashes it, fsyncs it, indexes it and answers [`Put::AlreadyStored`] without a byte over the network: so a
//! site that lost its index gets it back from the home's next offer.
//!
//! An indexed file that is missing, of another length, or rotten is *withdrawn*: reported, no longer
//! claimed, its entry kept. A disk that was not mounted is then whole again at the next open, and a repair
//! that puts the shard again replaces the file. [`ShardStore::damage`] says which ranges are bad, and
//! [`ShardStore::mend`] takes those alone. It writes the whole file anew, through the steps above, so for a
//! shard that is withdrawn the table reads:
//!
//! | after | incoming/ | shards/ | index | at the next open |
//! | --- | --- | --- | --- | --- |
//! | composing | part of the file | bad file | entry | leftover removed; withdrawn as before |
//! | 1 temporary file fsynced | whole file | bad file | entry | the same |
//! | 2 renamed, 3 directory fsynced | - | whole file | entry | stored; if marked rotten still withdrawn, without a bad range: mended with nothing |
//! | 4 index committed | - | whole file | entry, not marked | stored |
//!
//! All calls block; they may come from any number of threads. Read next: [`writer`], then `files`, `index`, `ledger`,
//! [`damage`], [`scrub`].

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shard_codec::{Digest, ShardIndex};

use crate::redb_file::RedbFileError;

mod choice;
pub mod collect;
pub mod damage;
#[cfg(test)]
mod fault;
mod files;
mod incoming;
mod index;
mod ledger;
mod moving;
mod object_index;
mod objects;
mod opening;
mod pace;
mod place;
mod proof;
pub mod scrub;
pub mod writer;

pub use choice::StorePlace;
pub use damage::{Damage, MendError};
use incoming::IncomingFiles;
use index::Index;
use ledger::Ledger;
pub use moving::{Move, MoveError, Moved};
pub use opening::{OpenError, OpenReport};
use place::{Place, Readable};
pub use scrub::{Scrub, ScrubOptions, ScrubProgress, ScrubStep};
pub use writer::{IncomingShard, Put, PutError, PutRequest};

/// How much a store may take.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Space in bytes of the file system that is never used, so that the index can always be written (64 MiB).
    pub reserve_bytes: u64,
    /// The most all shards may take in bytes, whatever the file system offers.
    pub capacity_bytes: Option<u64>,
    /// Where the shards lie; what was chosen before, or files, if it is not said.
    pub place: Option<StorePlace>,
    /// Whose store it is: an object storage may serve several sites. Whoever it was before, if it is not said.
    pub owner: Option<String>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { reserve_bytes: 64 << 20, capacity_bytes: None, place: None, owner: None }
    }
}

/// What the index says about one shard. Two stripes may share a shard (all zeros, say); then it names the
/// one that came first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredShard {
    /// Its BLAKE3 root, which is its name.
    pub root: Digest,
    /// Its length in bytes.
    pub bytes: u64,
    /// The database it was stored for.
    pub database: String,
    /// The stripe it was stored for.
    pub stripe_number: u64,
    /// Its position in that stripe.
    pub shard_index: ShardIndex,
}

/// What a full re-read of a shard found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// The bytes on disk hash to the root.
    Verified,
    /// They do not, or the disk cannot read them; the shard is withdrawn from now on.
    Rotten,
    /// The store does not claim the shard.
    Absent,
}

/// The shard cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store does not claim it.
    #[error("shard {root} is not stored here")]
    Absent {
        /// The shard asked for.
        root: Digest,
    },
    /// What is on disk is not the shard any more; it is withdrawn.
    #[error("shard {root} is rotten on disk")]
    Rotten {
        /// The shard asked for.
        root: Digest,
    },
    /// The range does not lie in the shard.
    #[error("shard {root} has {shard_bytes} bytes, asked for {bytes} from {offset}")]
    Range {
        /// The shard asked for.
        root: Digest,
        /// First byte asked for.
        offset: u64,
        /// Bytes asked for.
        bytes: usize,
        /// The shard's length in bytes.
        shard_bytes: u64,
    },
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] RedbFileError),
}

/// The store cannot tell whether a shard is sound.
#[derive(Debug)]
enum InspectError {
    Io { path: PathBuf, source: io::Error },
    Index(RedbFileError),
}

impl From<RedbFileError> for InspectError {
    fn from(error: RedbFileError) -> Self {
        Self::Index(error)
    }
}

impl From<InspectError> for ReadError {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Io { path, source } => Self::Io { path, source },
            InspectError::Index(error) => Self::Index(error),
        }
    }
}

/// An open store; clones are the same store.
#[derive(Clone, Debug)]
pub struct ShardStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    incoming: IncomingFiles,
    place: Place,
    index: Index,
    ledger: Mutex<Ledger>,
    /// Held over rename, fsync and index commit, and while a claim is withdrawn, so that the two never cross.
    committing: Mutex<()>,
    scrub: Mutex<ScrubProgress>,
    /// Since when nothing refers to which shards, as in the index.
    notes: Mutex<BTreeMap<Digest, u64>>,
    options: StoreOptions,
    incoming_count: AtomicU64,
    _lock: File,
    #[cfg(test)]
    fault: fault::Fault,
}

impl Inner {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notes(&self) -> MutexGuard<'_, BTreeMap<Digest, u64>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the store claims the shard; whoever is told so relies on it, and it is not removed for a while.
    fn is_relied_on(&self, root: &Digest) -> Result<bool, RedbFileError> {
        if self.notes().contains_key(root) {
            let _committing = self.committing();
            self.forget_notes(&[*root])?;
            return Ok(self.claimed(root)?.is_some());
        }
        Ok(self.claimed(root)?.is_some())
    }

    fn committing(&self) -> MutexGuard<'_, ()> {
        self.committing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry of a shard the store claims.
    fn claimed(&self, root: &Digest) -> Result<Option<StoredShard>, RedbFileError> {
        if self.ledger().is_withdrawn(root) {
            return Ok(None);
        }
        Ok(self.index.get(root)?.map(|entry| entry.shard))
    }

    /// Whether the file of `shard` is what it should be.
    fn is_sound(&self, shard: &StoredShard) -> Result<bool, InspectError> {
        let path = || self.place.name(&shard.root);
        let sound = self.place.sound(&shard.root, shard.bytes);
        sound.map(|leaves| leaves.is_some()).map_err(|source| InspectError::Io { path: path(), source })
    }

    /// Stops claiming `root` if its file is really not the shard.
    fn withdraw_unless_sound(&self, root: &Digest) -> Result<Verification, InspectError> {
        let _committing = self.committing();
        let Some(shard) = self.claimed(root)? else {
            return Ok(Verification::Absent);
        };
        // Looked at again under the lock: a put may just have replaced the file.
        if self.is_sound(&shard)? {
            return Ok(Verification::Verified);
        }
        let path = self.place.name(root);
        let found = self.place.bytes_of(root).map_err(|source| InspectError::Io { path, source })?;
        // A file that is gone may come back with its disk; only one that was read and is wrong is marked for good.
        if found.is_some() {
            self.index.mark_rotten(root)?;
        }
        self.ledger().withdraw(&shard);
        Ok(if found.is_some() { Verification::Rotten } else { Verification::Absent })
    }
}

impl ShardStore {
    /// Opens or creates the store in `dir` with the default options; see [`ShardStore::open_with`].
    ///
    /// # Errors
    /// As [`ShardStore::open_with`].
    pub fn open(dir: &Path) -> Result<(Self, OpenReport), OpenError> {
        Self::open_with(dir, StoreOptions::default())
    }

    /// Opens or creates the store in `dir`: takes its lock, removes what was being received when the last
    /// process ended, and compares index and files (names and lengths; contents are for the scrub).
    ///
    /// # Errors
    /// Another process has it open, or the directory or index cannot be read or written.
    pub fn open_with(dir: &Path, options: StoreOptions) -> Result<(Self, OpenReport), OpenError> {
        opening::open(dir, options)
    }

    /// Starts storing a shard, or says that it is stored.
    ///
    /// A shard that is claimed is read and hashed first; if it is rotten it is withdrawn, and the writer's
    /// commit replaces it. A file that is there without being indexed is adopted.
    ///
    /// # Errors
    /// Quota, disk, or IO, before anything is received.
    pub fn begin(&self, request: PutRequest) -> Result<Put, PutError> {
        writer::begin(&self.inner, request)
    }

    /// Whether the store claims the shard.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn contains(&self, root: &Digest) -> Result<bool, RedbFileError> {
        Ok(self.inner.claimed(root)?.is_some())
    }

    /// As [`ShardStore::missing`], for one who relies from now on on what is here: that nothing refers to it is forgotten.
    ///
    /// # Errors
    /// The index cannot be read or written.
    pub fn rely_on(&self, roots: &[Digest]) -> Result<Vec<Digest>, RedbFileError> {
        let is_noted = !self.inner.notes().is_empty();
        let _committing = is_noted.then(|| self.inner.committing());
        if is_noted {
            self.inner.forget_notes(roots)?;
        }
        self.missing(roots)
    }

    /// Those of `roots` that the store does not claim, in their order.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn missing(&self, roots: &[Digest]) -> Result<Vec<Digest>, RedbFileError> {
        let mut known = self.inner.index.contains_each(roots)?.into_iter();
        let ledger = self.inner.ledger();
        let absent = |root: &&Digest| !known.next().unwrap_or(false) || ledger.is_withdrawn(root);
        Ok(roots.iter().filter(absent).copied().collect())
    }

    /// What the store knows about a shard it claims.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn entry(&self, root: &Digest) -> Result<Option<StoredShard>, RedbFileError> {
        self.inner.claimed(root)
    }

    /// At most `limit` shards the store claims, in the order of their roots, after `after`.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn entries(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<StoredShard>, RedbFileError> {
        self.inner.index.entries(after, limit, |root| !self.inner.ledger().is_withdrawn(root))
    }

    /// The whole shard, checked against its root: rotten bytes are never returned.
    ///
    /// # Errors
    /// As [`ReadError`].
    pub fn read(&self, root: &Digest) -> Result<Vec<u8>, ReadError> {
        let mut contents = Vec::new();
        self.read_into(root, &mut contents)?;
        Ok(contents)
    }

    /// The same into a buffer that is used again; what it held is replaced.
    ///
    /// # Errors
    /// As [`ReadError`]; the contents mean nothing then.
    pub fn read_into(&self, root: &Digest, contents: &mut Vec<u8>) -> Result<(), ReadError> {
        let (file, bytes) = self.open_claimed(root)?;
        let Ok(length) = usize::try_from(bytes) else {
            return Err(ReadError::Rotten { root: *root });
        };
        contents.resize(length, 0);
        let read = file.read_exact_at(contents, 0);
        file.uncache();
        if read.is_ok() && Digest::of(contents) == *root {
            return Ok(());
        }
        match self.inner.withdraw_unless_sound(root)? {
            Verification::Verified => {
                let source =
                    read.err().unwrap_or_else(|| io::Error::other("replaced while it was read: read it again"));
                Err(ReadError::Io { path: self.inner.place.name(root), source })
            }
            Verification::Rotten | Verification::Absent => Err(ReadError::Rotten { root: *root }),
        }
    }

    /// `bytes` bytes from `offset` on, **not** checked against the root: the reader checks its range proof.
    ///
    /// # Errors
    /// As [`ReadError`].
    pub fn read_range(&self, root: &Digest, offset: u64, bytes: usize) -> Result<Vec<u8>, ReadError> {
        let (file, shard_bytes) = self.open_claimed(root)?;
        let inside = offset.checked_add(bytes as u64).is_some_and(|end| end <= shard_bytes);
        if !inside {
            return Err(ReadError::Range { root: *root, offset, bytes, shard_bytes });
        }
        let mut contents = vec![0; bytes];
        match file.read_exact_at(&mut contents, offset) {
            Ok(()) => Ok(contents),
            Err(source) => match self.inner.withdraw_unless_sound(root)? {
                Verification::Verified => Err(ReadError::Io { path: self.inner.place.name(root), source }),
                Verification::Rotten | Verification::Absent => Err(ReadError::Rotten { root: *root }),
            },
        }
    }

    /// What lies there of a shard, open for reading, and its length in bytes; **not** checked against the root.
    fn open_claimed(&self, root: &Digest) -> Result<(Readable, u64), ReadError> {
        let shard = self.inner.claimed(root)?.ok_or(ReadError::Absent { root: *root })?;
        match self.inner.place.open(root, shard.bytes) {
            Ok(Some(readable)) => Ok((readable, shard.bytes)),
            Ok(None) => match self.inner.withdraw_unless_sound(root)? {
                Verification::Rotten => Err(ReadError::Rotten { root: *root }),
                Verification::Absent | Verification::Verified => Err(ReadError::Absent { root: *root }),
            },
            Err(source) => Err(ReadError::Io { path: self.inner.place.name(root), source }),
        }
    }

    /// Reads the whole shard and compares it with its root. A shard that is not what it was is withdrawn:
    /// it counts as missing from now on, also after a restart, until a put replaces it.
    ///
    /// # Errors
    /// The file cannot be opened though it exists, or the index fails.
    pub fn verify(&self, root: &Digest) -> Result<Verification, ReadError> {
        match self.inner.claimed(root)? {
            None => Ok(Verification::Absent),
            Some(shard) if self.inner.is_sound(&shard)? => Ok(Verification::Verified),
            Some(_unsound) => Ok(self.inner.withdraw_unless_sound(root)?),
        }
    }

    /// Bytes of the shards claimed for `database`.
    #[must_use]
    pub fn stored_bytes(&self, database: &str) -> u64 {
        self.inner.ledger().stored_bytes(database)
    }

    /// Bytes of the shards claimed, by database.
    #[must_use]
    pub fn stored_bytes_by_database(&self) -> BTreeMap<String, u64> {
        self.inner.ledger().stored_bytes_by_database()
    }

    /// Free space of the file system in bytes, if it tells.
    #[must_use]
    pub fn free_bytes(&self) -> Option<u64> {
        self.inner.incoming.free_bytes().ok()
    }

    /// Shards of the index that are not claimed.
    #[must_use]
    pub fn withdrawn_count(&self) -> u64 {
        self.inner.ledger().withdrawn_count()
    }

    /// Shards claimed.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.inner.ledger().count()
    }
}

#[cfg(test)]
mod tests;
