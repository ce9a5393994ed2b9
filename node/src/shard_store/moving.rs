//! Moving all shards of a store to another place, while no site runs. Home brings nothing again.
//!
//! | after | old place | new place | counts |
//! | --- | --- | --- | --- |
//! | moving | everything | part of it | the old one; moving again goes on where it stopped |
//! | 1 all shards are there, read back or durable | everything | everything | the old one |
//! | 2 the choice is written | everything | everything | the new one |
//! | 3 the old place is cleared | - | everything | the new one; moving again clears what is left |

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::choice::{self, StorePlace, choose, chosen};
use super::incoming::{IncomingFiles, sync_contents};
use super::opening::open_place;
use super::place::Place;
use super::{OpenError, ReadError, ShardStore, StoreOptions, StoredShard};
use crate::redb_file::RedbFileError;

/// Shards that are moved before the next ones are looked up.
const PAGE: usize = 256;
/// Shards on their way at once: most of the time is spent waiting for the storage.
const AT_ONCE: usize = 8;

/// What moving came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Shards in the new place.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of these, shards that were there already.
    pub already_count: u64,
    /// Shards that the store lacks: they are remade from other sites, in the new place.
    pub lacking_count: u64,
}

/// Nothing is lost: the shards count where they did before.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// The store, or the new place.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A shard cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A shard cannot be written, or removed.
    #[error("{path}: {source}; run the same command again: it goes on where it stopped")]
    Io {
        /// Its name.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// An earlier move has not cleared the place it left.
    #[error("{former} is not cleared yet since the shards moved to {now}: run move-store --to {now} first")]
    NotCleared {
        /// The place that was left.
        former: StorePlace,
        /// Where they are.
        now: StorePlace,
    },
    /// A shard is not in the new place, though that said so.
    #[error("{path} was written and is not there: may these keys read? Nothing was removed")]
    NotThere {
        /// Its name.
        path: PathBuf,
    },
    /// The index.
    #[error(transparent)]
    Index(#[from] RedbFileError),
    /// A thread died.
    #[error("a worker of the move failed")]
    Worker,
}

/// A store that is to be moved.
#[derive(Debug)]
pub struct Move {
    store: ShardStore,
    dir: PathBuf,
    former: StorePlace,
    wanted: StorePlace,
    stage: Stage,
}

/// What is left to do.
#[derive(Debug)]
enum Stage {
    /// Bring everything to the new place, and clear the old one.
    Bring(Place),
    /// The store is open in its new place; clear this one.
    Clear(Place),
    Nothing,
}

impl Move {
    /// Opens the store in `dir` and the place that is wanted. Nothing changes.
    ///
    /// # Errors
    /// A site has the store open, or one of the two cannot be opened.
    pub fn prepare(dir: &Path, wanted: StorePlace, owner: &str) -> Result<Self, MoveError> {
        let io_error = |source| MoveError::Io { path: dir.to_owned(), source };
        let (store, _report) = ShardStore::open_with(dir, StoreOptions::default())?;
        let now = chosen(dir).map_err(io_error)?.unwrap_or(StorePlace::Files);
        // A move that ended before its choice has cleared nothing, and nothing is to be cleared.
        let former = choice::former(dir).map_err(io_error)?.filter(|former| *former != now);
        let stage = match &former {
            Some(former) if now != wanted => {
                return Err(MoveError::NotCleared { former: former.clone(), now });
            }
            Some(former) => Stage::Clear(open_place(dir, former, Some(owner))?),
            None if now != wanted => Stage::Bring(open_place(dir, &wanted, Some(owner))?),
            None => Stage::Nothing,
        };
        Ok(Self { store, dir: dir.to_owned(), former: former.unwrap_or(now), wanted, stage })
    }

    /// Where the shards lie, or lay.
    #[must_use]
    pub const fn former(&self) -> &StorePlace {
        &self.former
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Nothing)
    }

    /// Shards and bytes that are to be moved.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        (self.store.count(), self.store.stored_bytes_by_database().values().sum())
    }

    /// Moves everything; `moved` hears of the bytes of each shard.
    ///
    /// # Errors
    /// As [`MoveError`].
    pub fn run(self, moved: impl Fn(u64) + Sync) -> Result<Moved, MoveError> {
        let io_error = |source| MoveError::Io { path: self.dir.clone(), source };
        let mut result = Moved { lacking_count: self.store.withdrawn_count(), ..Moved::default() };
        let to = match &self.stage {
            Stage::Bring(to) => to,
            Stage::Clear(old) => return self.clear(old).map(|()| result),
            Stage::Nothing => return Ok(result),
        };
        let already = AtomicU64::new(0);
        self.for_each_page(|page| {
            self.bring(to, page, &already, &moved)?;
            result.count += page.len() as u64;
            result.bytes += page.iter().map(|shard| shard.bytes).sum::<u64>();
            Ok(())
        })?;
        result.already_count = already.into_inner();
        choice::keep_former(&self.dir, &self.former).map_err(io_error)?;
        choose(&self.dir, &self.wanted).map_err(io_error)?;
        self.clear(&self.store.inner.place)?;
        Ok(result)
    }

    fn for_each_page(&self, mut visit: impl FnMut(&[StoredShard]) -> Result<(), MoveError>) -> Result<(), MoveError> {
        let mut after = None;
        loop {
            let page = self.store.entries(after.as_ref(), PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.root);
            visit(&page)?;
        }
    }

    fn bring(
        &self,
        to: &Place,
        page: &[StoredShard],
        already: &AtomicU64,
        moved: &(impl Fn(u64) + Sync),
    ) -> Result<(), MoveError> {
        let next = AtomicU64::new(0);
        let work = || -> Result<(), MoveError> {
            while let Some(shard) =
                usize::try_from(next.fetch_add(1, Ordering::Relaxed)).ok().and_then(|at| page.get(at))
            {
                if !self.bring_one(to, shard)? {
                    already.fetch_add(1, Ordering::Relaxed);
                }
                moved(shard.bytes);
            }
            Ok(())
        };
        let ended: Vec<Result<(), MoveError>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..AT_ONCE).map(|_worker| scope.spawn(work)).collect();
            workers.into_iter().map(|worker| worker.join().unwrap_or(Err(MoveError::Worker))).collect()
        });
        ended.into_iter().collect::<Result<(), MoveError>>()?;
        let roots: Vec<_> = page.iter().map(|shard| shard.root).collect();
        to.settle(&roots).map_err(|source| MoveError::Io { path: to.location(), source })
    }

    /// False if it was there already.
    fn bring_one(&self, to: &Place, shard: &StoredShard) -> Result<bool, MoveError> {
        let StoredShard { root, bytes, .. } = shard;
        let failed = |source| MoveError::Io { path: to.name(root), source };
        if to.sound(root, *bytes).map_err(failed)?.is_some() {
            return Ok(false);
        }
        let contents = self.store.read(root)?;
        let inner = &self.store.inner;
        let path = inner.incoming.path(inner.incoming_count.fetch_add(1, Ordering::Relaxed), root);
        let written = IncomingFiles::create_file(&path).and_then(|mut file| {
            file.write_all(&contents)?;
            sync_contents(&file)
        });
        let taken = written.and_then(|()| {
            let prepared = to.prepare(&path, root)?;
            to.take(&prepared, &path, root)
        });
        // Renamed, or not needed any more.
        let _gone = std::fs::remove_file(&path);
        taken.map_err(failed)?;
        if to.sound(root, *bytes).map_err(failed)?.is_none() {
            return Err(MoveError::NotThere { path: to.name(root) });
        }
        Ok(true)
    }

    /// Removes from the old place what the index knows; what it does not know stays there.
    fn clear(&self, old: &Place) -> Result<(), MoveError> {
        let failed = |source| MoveError::Io { path: old.location(), source };
        let mut there = Vec::new();
        old.for_each(|root, _name, _bytes| {
            there.extend(root);
            Ok(())
        })
        .map_err(failed)?;
        for page in there.chunks(PAGE) {
            let known = self.store.inner.index.contains_each(page)?;
            for (root, _known) in page.iter().zip(known).filter(|(_root, known)| *known) {
                old.unlink(root).map_err(|source| MoveError::Io { path: old.name(root), source })?;
            }
            old.settle(page).map_err(failed)?;
        }
        choice::forget_former(&self.dir).map_err(|source| MoveError::Io { path: self.dir.clone(), source })
    }
}
