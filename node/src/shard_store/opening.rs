//! Opening a store: its lock, what the last process left behind, and whether index and files agree.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use shard_codec::Digest;

use super::files::Files;
use super::index::Index;
use super::ledger::Ledger;
use super::{Inner, ShardStore, StoreOptions, StoredShard};
use crate::redb_file::RedbFileError;

/// What opening found that an operator should know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Shards that were being received when the last process ended; removed, never acknowledged.
    pub removed_incoming: u64,
    /// Indexed, but the file is missing or of another length; not claimed any more.
    pub missing: Vec<StoredShard>,
    /// Indexed, but found rotten before; not claimed until a put replaces them.
    pub rotten: Vec<StoredShard>,
    /// Files named like a shard that are not indexed; left alone, adopted when they are put again.
    pub unindexed: Vec<Digest>,
    /// Files under `shards/` that are no shards; left alone.
    pub foreign: Vec<PathBuf>,
}

impl OpenReport {
    /// Whether everything the index claims is there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.rotten.is_empty()
    }
}

/// The store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{path}: another process uses this store")]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// A file or directory cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The index cannot be opened.
    #[error(transparent)]
    Index(#[from] RedbFileError),
}

pub(super) fn open(dir: &Path, options: StoreOptions) -> Result<(ShardStore, OpenReport), OpenError> {
    let io_error = |source| OpenError::Io { path: dir.to_owned(), source };
    fs::create_dir_all(dir).map_err(io_error)?;
    let lock = take_lock(dir.join("lock"))?;
    let files = Files::create(dir).map_err(io_error)?;
    let mut report =
        OpenReport { removed_incoming: files.clear_incoming().map_err(io_error)?, ..OpenReport::default() };
    let index = Index::open(&dir.join("index.redb"))?;
    let mut ledger = Ledger::default();
    compare(&files, &index, &mut ledger, &mut report)?;
    let scrub = Mutex::new(index.scrub_progress()?);
    let notes = Mutex::new(index.notes()?);
    let inner = Inner {
        files,
        index,
        ledger: Mutex::new(ledger),
        committing: Mutex::new(()),
        scrub,
        notes,
        options,
        incoming_count: AtomicU64::new(0),
        _lock: lock,
        #[cfg(test)]
        fault: super::fault::Fault::default(),
    };
    Ok((ShardStore { inner: Arc::new(inner) }, report))
}

fn take_lock(path: PathBuf) -> Result<File, OpenError> {
    let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = opened.map_err(|source| OpenError::Io { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
    }
}

fn compare(files: &Files, index: &Index, ledger: &mut Ledger, report: &mut OpenReport) -> Result<(), OpenError> {
    let io_error = |source| OpenError::Io { path: files.directory().to_owned(), source };
    let mut named = Vec::new();
    let walked = files.for_each_shard(|root, path, bytes| {
        ledger.occupy(0, bytes);
        match root {
            Some(root) => named.push(root),
            None => report.foreign.push(path),
        }
        Ok(())
    });
    walked.map_err(io_error)?;
    let known = index.contains_each(&named)?;
    report.unindexed =
        named.into_iter().zip(known).filter(|(_root, known)| !known).map(|(root, _known)| root).collect();
    let mut failure = None;
    index.for_each(|entry| {
        let root = entry.shard.root;
        if entry.rotten {
            ledger.leave_unclaimed(root);
            report.rotten.push(entry.shard);
            return;
        }
        match files.shard_bytes(&root) {
            Ok(Some(bytes)) if bytes == entry.shard.bytes => ledger.claim(&entry.shard),
            Ok(_missing_or_other) => {
                ledger.leave_unclaimed(root);
                report.missing.push(entry.shard);
            }
            Err(source) => failure = Some(io_error(source)),
        }
    })?;
    failure.map_or(Ok(()), Err)
}
