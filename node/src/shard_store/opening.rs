//! Opening a store: its lock, what the last process left behind, and whether index and files agree.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use shard_codec::Digest;

use super::choice::{StorePlace, choose, chosen};
use super::files::Files;
use super::incoming::IncomingFiles;
use super::index::Index;
use super::ledger::Ledger;
use super::objects::Objects;
use super::place::Place;
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
    /// The shards lie elsewhere.
    #[error(
        "the shards of {dir} lie in {place}, not in {wanted}: leave the place out, or move them with 'legation site move-store'"
    )]
    OtherPlace {
        /// The store.
        dir: PathBuf,
        /// Where they lie.
        place: StorePlace,
        /// Where they were said to lie.
        wanted: StorePlace,
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
    let place = find_place(dir, &options)?;
    let incoming = IncomingFiles::create(dir).map_err(io_error)?;
    let mut report = OpenReport { removed_incoming: incoming.clear().map_err(io_error)?, ..OpenReport::default() };
    let index = Index::open(&dir.join("index.redb"))?;
    let mut ledger = Ledger::default();
    compare(&place, &index, &mut ledger, &mut report)?;
    let scrub = Mutex::new(index.scrub_progress()?);
    let notes = Mutex::new(index.notes()?);
    let inner = Inner {
        incoming,
        place,
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

/// The place that was chosen before, or `wanted` for a store that has nothing yet.
fn find_place(dir: &Path, options: &StoreOptions) -> Result<Place, OpenError> {
    let wanted = options.place.as_ref();
    let io_error = |source| OpenError::Io { path: dir.to_owned(), source };
    let is_new = !dir.join("index.redb").exists();
    let before = chosen(dir).map_err(io_error)?.or_else(|| (!is_new).then_some(StorePlace::Files));
    let place = before.clone().or_else(|| wanted.cloned()).unwrap_or(StorePlace::Files);
    if let Some(wanted) = wanted.filter(|wanted| **wanted != place) {
        return Err(OpenError::OtherPlace { dir: dir.to_owned(), place, wanted: wanted.clone() });
    }
    let opened = open_place(dir, &place, options.owner.as_deref())?;
    if before.is_none() {
        choose(dir, &place).map_err(io_error)?;
    }
    Ok(opened)
}

/// # Errors
/// Files cannot be made, or the object storage does not answer.
pub(super) fn open_place(dir: &Path, place: &StorePlace, owner: Option<&str>) -> Result<Place, OpenError> {
    let io_error = |source| OpenError::Io { path: dir.to_owned(), source };
    match place {
        StorePlace::Files => Files::create(dir).map(Place::Files).map_err(io_error),
        StorePlace::Objects(url) => {
            let failed = |source| OpenError::Io { path: PathBuf::from(url), source };
            Objects::open(dir, url, owner).map(Place::Objects).map_err(failed)
        }
    }
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

fn compare(place: &Place, index: &Index, ledger: &mut Ledger, report: &mut OpenReport) -> Result<(), OpenError> {
    let io_error = |source| OpenError::Io { path: place.location(), source };
    let (mut named, mut lengths) = (Vec::new(), BTreeMap::new());
    let walked = place.for_each(|root, path, bytes| {
        ledger.occupy(0, bytes);
        match root {
            Some(root) => {
                named.push(root);
                lengths.insert(root, bytes);
            }
            None => report.foreign.push(path),
        }
        Ok(())
    });
    walked.map_err(io_error)?;
    let known = index.contains_each(&named)?;
    report.unindexed =
        named.into_iter().zip(known).filter(|(_root, known)| !known).map(|(root, _known)| root).collect();
    index.for_each(|entry| {
        let root = entry.shard.root;
        if entry.rotten {
            ledger.leave_unclaimed(root);
            report.rotten.push(entry.shard);
            return;
        }
        if lengths.get(&root) == Some(&entry.shard.bytes) {
            ledger.claim(&entry.shard);
        } else {
            ledger.leave_unclaimed(root);
            report.missing.push(entry.shard);
        }
    })?;
    Ok(())
}
