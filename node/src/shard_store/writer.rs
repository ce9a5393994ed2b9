//! Receiving a shard: hash while writing, and make it durable in the order the module above explains.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use shard_codec::shard_tree::{LeafHasher, LeafHashes};
use shard_codec::{Digest, ShardIndex};

use super::incoming::{IncomingFiles, sync_contents};
use super::place::Prepared;
use super::{Inner, InspectError, StoredShard};
use crate::redb_file::{RedbFileError, is_disk_full};

/// A shard that somebody wants to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutRequest {
    /// Its BLAKE3 root.
    pub root: Digest,
    /// Its length in bytes.
    pub bytes: u64,
    /// The database whose quota it takes.
    pub database: String,
    /// The most that database may store here, in bytes.
    pub quota_bytes: u64,
    /// The stripe it belongs to.
    pub stripe_number: u64,
    /// Its position in the stripe.
    pub shard_index: ShardIndex,
}

impl PutRequest {
    fn into_stored(self) -> StoredShard {
        let Self { root, bytes, database, stripe_number, shard_index, quota_bytes: _ } = self;
        StoredShard { root, bytes, database, stripe_number, shard_index }
    }
}

/// The answer to a [`PutRequest`].
#[derive(Debug)]
pub enum Put {
    /// The shard is stored; its file was just read and hashed.
    AlreadyStored,
    /// Write the shard here.
    Writer(IncomingShard),
}

/// The shard is not stored; nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The bytes are not those of the shard.
    #[error("shard {expected}: the bytes received hash to {actual}")]
    RootMismatch {
        /// The root that was announced.
        expected: Digest,
        /// The root of what came.
        actual: Digest,
    },
    /// The shard is longer or shorter than announced.
    #[error("shard {root}: {expected} bytes were announced, {actual} are there")]
    LengthMismatch {
        /// The shard.
        root: Digest,
        /// The length announced, in bytes.
        expected: u64,
        /// What came, or at least so many.
        actual: u64,
    },
    /// There is no room.
    #[error(
        "disk full: {needed} bytes needed, {available} available; give it room (free space there, a larger disk or a \
         higher --capacity-mib) and run the backup again: it brings what is missing"
    )]
    DiskFull {
        /// Bytes the shard takes.
        needed: u64,
        /// Bytes the store may still take.
        available: u64,
    },
    /// The database has used up its quota.
    #[error(
        "{database} may hold {quota_bytes} bytes here, holds {stored_bytes} and needs {needed} more: raise quota_gib in the \
         charter"
    )]
    QuotaExceeded {
        /// The database.
        database: String,
        /// Its quota in bytes.
        quota_bytes: u64,
        /// What it stores, in bytes.
        stored_bytes: u64,
        /// Bytes the shard takes.
        needed: u64,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The index fails. The process must stop.
    #[error(transparent)]
    Index(RedbFileError),
}

impl From<InspectError> for PutError {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Io { path, source } => Self::Io { path, source },
            InspectError::Index(error) => Self::Index(error),
        }
    }
}

/// Room promised to a shard; taken back when dropped.
#[derive(Debug)]
struct Promise {
    inner: Arc<Inner>,
    request: PutRequest,
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.inner.ledger().release(&self.request);
    }
}

impl Promise {
    fn new(inner: &Arc<Inner>, request: PutRequest, replaced_bytes: u64) -> Result<Self, PutError> {
        let path = inner.incoming.directory();
        let free_bytes =
            inner.incoming.free_bytes().map_err(|source| PutError::Io { path: path.to_owned(), source })?;
        inner.ledger().promise(&request, &inner.options, free_bytes, replaced_bytes)?;
        Ok(Self { inner: Arc::clone(inner), request })
    }

    fn io_error(&self, path: &Path, source: io::Error) -> PutError {
        if is_disk_full(&source) { self.disk_full() } else { PutError::Io { path: path.to_owned(), source } }
    }

    fn index_error(&self, error: RedbFileError) -> PutError {
        if matches!(error, RedbFileError::DiskFull { .. }) { self.disk_full() } else { PutError::Index(error) }
    }

    fn disk_full(&self) -> PutError {
        PutError::DiskFull { needed: self.request.bytes, available: self.inner.incoming.free_bytes().unwrap_or(0) }
    }
}

pub(super) fn begin(inner: &Arc<Inner>, request: PutRequest) -> Result<Put, PutError> {
    let root = request.root;
    let io_error = |source| PutError::Io { path: inner.place.name(&root), source };
    let existing = inner.place.bytes_noted(&root).map_err(io_error)?;
    if let Some(shard) = inner.claimed(&root).map_err(PutError::Index)? {
        if inner.place.sound(&root, shard.bytes).map_err(io_error)?.is_some() {
            // A root fixes the length of what it names: whoever announces another is wrong.
            if shard.bytes != request.bytes {
                return Err(PutError::LengthMismatch { root, expected: request.bytes, actual: shard.bytes });
            }
            if inner.is_relied_on(&root).map_err(PutError::Index)? {
                return Ok(Put::AlreadyStored);
            }
            return receive(inner, request, 0).map(Put::Writer); // it was collected meanwhile
        }
        inner.withdraw_unless_sound(&root)?;
    } else if existing.is_some()
        && let Some(leaves) = inner.place.sound(&root, request.bytes).map_err(io_error)?
        && adopt(inner, request.clone(), &leaves)?
    {
        return Ok(Put::AlreadyStored);
    }
    receive(inner, request, existing.unwrap_or(0)).map(Put::Writer)
}

/// Makes room for a shard that will replace a file of `replaced_bytes` bytes (0: none).
pub(super) fn receive(inner: &Arc<Inner>, request: PutRequest, replaced_bytes: u64) -> Result<IncomingShard, PutError> {
    let number = inner.incoming_count.fetch_add(1, Ordering::Relaxed);
    let path = inner.incoming.path(number, &request.root);
    let promise = Promise::new(inner, request, replaced_bytes)?;
    let file = IncomingFiles::create_file(&path).map_err(|source| promise.io_error(&path, source))?;
    let incoming = Incoming { path, abandoned: false };
    Ok(IncomingShard { promise, incoming, file, hasher: Box::default(), written_bytes: 0 })
}

/// Indexes a sound file that is there already, after making it as durable as a commit would have; false if it is gone.
fn adopt(inner: &Arc<Inner>, request: PutRequest, leaves: &LeafHashes) -> Result<bool, PutError> {
    let root = request.root;
    let bytes = request.bytes;
    let promise = Promise::new(inner, request, bytes)?;
    let path = inner.place.name(&root);
    let _committing = inner.committing();
    if !inner.place.adopt(&root, bytes).map_err(|source| promise.io_error(&path, source))? {
        return Ok(false);
    }
    claim(inner, &promise, leaves).map(|()| true)
}

/// The last step: the index, then the accounts. The caller holds the commit lock.
fn claim(inner: &Inner, promise: &Promise, leaves: &LeafHashes) -> Result<(), PutError> {
    let shard = promise.request.clone().into_stored();
    inner.forget_notes(&[shard.root]).map_err(PutError::Index)?;
    if inner.claimed(&shard.root).map_err(PutError::Index)?.is_none() {
        inner.index.insert(&shard, leaves).map_err(|error| promise.index_error(error))?;
        inner.ledger().claim(&shard);
    }
    Ok(())
}

/// The temporary file; removed when dropped. After the rename there is nothing left to remove.
#[derive(Debug)]
struct Incoming {
    path: PathBuf,
    /// Left behind as by a crash; only the fault points of the tests set it.
    abandoned: bool,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.abandoned {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// A shard that is being received. Dropped without [`IncomingShard::commit`], it leaves nothing behind.
#[derive(Debug)]
pub struct IncomingShard {
    promise: Promise,
    incoming: Incoming,
    file: File,
    hasher: Box<LeafHasher>,
    written_bytes: u64,
}

impl IncomingShard {
    /// Takes the next bytes. Each call is one write to the file: hand over 64 KiB or more at a time.
    ///
    /// # Errors
    /// More bytes than announced, disk full, or IO; the shard can then only be dropped.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), PutError> {
        let written_bytes = self.written_bytes + bytes.len() as u64;
        let PutRequest { root, bytes: expected, .. } = self.promise.request;
        if written_bytes > expected {
            return Err(PutError::LengthMismatch { root, expected, actual: written_bytes });
        }
        #[cfg(test)]
        self.promise
            .inner
            .fault
            .before_write(written_bytes)
            .map_err(|source| self.promise.io_error(&self.incoming.path, source))?;
        self.file.write_all(bytes).map_err(|source| self.promise.io_error(&self.incoming.path, source))?;
        self.hasher.update(bytes);
        self.written_bytes = written_bytes;
        Ok(())
    }

    /// Bytes taken so far.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Checks length and root and makes the shard durable. When this returns `Ok`, the shard is stored.
    ///
    /// # Errors
    /// As [`PutError`]; the shard is then not claimed.
    pub fn commit(mut self) -> Result<(), PutError> {
        let PutRequest { root, bytes: expected, .. } = self.promise.request;
        if self.written_bytes != expected {
            return Err(PutError::LengthMismatch { root, expected, actual: self.written_bytes });
        }
        let leaves = std::mem::take(&mut *self.hasher).finish();
        let actual = leaves.root();
        if actual != root {
            return Err(PutError::RootMismatch { expected: root, actual });
        }
        let inner = Arc::clone(&self.promise.inner);
        sync_contents(&self.file).map_err(|source| self.promise.io_error(&self.incoming.path, source))?;
        self.reach(CommitStep::ContentsSynced)?;
        let path = inner.place.name(&root);
        let failed = |source| self.promise.io_error(&path, source);
        let prepared = inner.place.prepare(&self.incoming.path, &root).map_err(failed)?;
        let committed = self.commit_prepared(&inner, &prepared, &leaves);
        inner.place.tidy(&prepared, &root);
        committed
    }

    /// From here on everything is under the commit lock.
    fn commit_prepared(&mut self, inner: &Inner, prepared: &Prepared, leaves: &LeafHashes) -> Result<(), PutError> {
        let PutRequest { root, bytes: expected, .. } = self.promise.request;
        let path = inner.place.name(&root);
        let _committing = inner.committing();
        if inner.claimed(&root).map_err(PutError::Index)?.is_some() {
            inner.forget_notes(&[root]).map_err(PutError::Index)?;
            return Ok(()); // Another thread stored the same shard meanwhile.
        }
        let failed = |source| self.promise.io_error(&path, source);
        let replaced_bytes = inner.place.bytes_noted(&root).map_err(failed)?.unwrap_or(0);
        inner.place.take(prepared, &self.incoming.path, &root).map_err(failed)?;
        inner.ledger().occupy(replaced_bytes, expected);
        self.reach(CommitStep::Renamed)?;
        inner.place.settle(&[root]).map_err(|source| self.promise.io_error(&path, source))?;
        self.reach(CommitStep::NameSynced)?;
        claim(inner, &self.promise, leaves)?;
        self.reach(CommitStep::Indexed)
    }

    /// Where a test stops the commit as a crash would.
    #[cfg(test)]
    fn reach(&mut self, step: CommitStep) -> Result<(), PutError> {
        if self.promise.inner.fault.crashes_after(step) {
            self.incoming.abandoned = true;
            let path = self.incoming.path.clone();
            return Err(PutError::Io { path, source: io::Error::other("crash injected by a test") });
        }
        Ok(())
    }

    #[cfg(not(test))]
    #[expect(clippy::unnecessary_wraps, clippy::needless_pass_by_ref_mut, reason = "the test build stops here")]
    const fn reach(&mut self, _step: CommitStep) -> Result<(), PutError> {
        Ok(())
    }
}

/// The steps of a commit, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommitStep {
    /// The temporary file is on disk.
    ContentsSynced,
    /// The file has its name.
    Renamed,
    /// The name is on disk.
    NameSynced,
    /// The index says so, durably.
    Indexed,
}
