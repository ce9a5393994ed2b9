//! The scrub: reads every shard the store claims, in the order of their roots, and finds what has rotted.
//!
//! A pure sequence of small steps. The caller hands in the time, waits when it is told to, and may stop after any step.
//! Where the pass is stands in the index; a process that is killed reads again what came after the last note, 64 MiB
//! and the shard it was in at the most.
//!
//! It only finds: a shard that is not what it was is withdrawn, and somebody else mends it ([`super::damage`]). On its
//! way it gives shards that were stored before there were hashes of leaves their hashes, and replaces rotten ones.

use std::io;
use std::sync::{MutexGuard, PoisonError};

use shard_codec::Digest;
use shard_codec::shard_tree::{LeafHasher, LeafHashes};

use super::pace::Pace;
use super::place::{READ_BYTES, Readable};
use super::{Inner, InspectError, ReadError, ShardStore, StoredShard, Verification};
use crate::redb_file::RedbFileError;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// So much is read before the index is told.
const NOTE_BYTES: u64 = 64 << 20;
/// A wait is never longer, so that a clock that is set forward is noticed.
const WAIT_MS_MAX: u64 = 60 * 60 * 1_000;

/// How fast and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubOptions {
    /// A pass is spread over this time, and the next begins this long after the last began (30 days). 0: as fast as
    /// the disk allows, without a pause.
    pub pass_ms: u64,
    /// No slower than this, however small the store (1 MiB/s): a small store is read through sooner, then there is a
    /// pause until the next pass.
    pub bytes_per_second_min: u64,
}

impl Default for ScrubOptions {
    fn default() -> Self {
        Self::once_in_days(30)
    }
}

impl ScrubOptions {
    /// No pacing.
    pub const UNPACED: Self = Self { pass_ms: 0, bytes_per_second_min: u64::MAX };

    /// The default for another number of days.
    #[must_use]
    pub const fn once_in_days(days: u64) -> Self {
        Self { pass_ms: days.saturating_mul(DAY_MS), bytes_per_second_min: 1 << 20 }
    }

    fn bytes_per_second(&self, store_bytes: u64) -> u64 {
        let spread = u128::from(store_bytes) * 1_000 / u128::from(self.pass_ms.max(1));
        u64::try_from(spread).unwrap_or(u64::MAX).max(self.bytes_per_second_min)
    }
}

/// How far the scrub is, and what it found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubProgress {
    /// Whether a pass is on; otherwise the numbers are those of the last one.
    pub is_running: bool,
    /// When the pass began, in milliseconds of wall time.
    pub pass_started_ms: Option<u64>,
    /// When the last whole pass ended.
    pub last_pass_ended_ms: Option<u64>,
    /// Bytes read in this pass.
    pub bytes_read: u64,
    /// Shards withdrawn in this pass.
    pub rotten_count: u64,
    /// The root of the last shard that was read.
    pub after: Option<Digest>,
}

impl ScrubProgress {
    /// How much of the store the pass has behind it, from 0 to 1. Roots are evenly spread, so the last one tells.
    #[must_use]
    pub fn position(&self) -> f64 {
        match &self.after {
            _ if !self.is_running => f64::from(u8::from(self.last_pass_ended_ms.is_some())),
            None => 0.0,
            Some(root) => {
                let [a, b, c, d, ..] = *root.as_bytes();
                f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
            }
        }
    }
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScrubStep {
    /// Nothing: call again in so many milliseconds.
    Wait {
        /// At least 1.
        wait_ms: u64,
    },
    /// Read some of a shard: call again at once.
    Read {
        /// Bytes read.
        bytes: u64,
        /// The shard, if it was just withdrawn: rotten, or absent if its file is gone.
        found: Option<(StoredShard, Verification)>,
    },
    /// The pass is done. Calling again waits for the next one.
    Ended,
}

/// A scrub of one store. One at a time: two would take turns in overwriting where they are.
#[derive(Debug)]
pub struct Scrub {
    store: ShardStore,
    options: ScrubOptions,
    pace: Pace,
    reading: Option<Reading>,
    part: Vec<u8>,
    unnoted_bytes: u64,
    note_bytes: u64,
}

/// A shard that is being read.
#[derive(Debug)]
struct Reading {
    shard: StoredShard,
    file: Readable,
    hasher: Box<LeafHasher>,
    offset: u64,
}

impl ShardStore {
    /// How far the scrub is.
    #[must_use]
    pub fn scrub_progress(&self) -> ScrubProgress {
        self.inner.scrub().clone()
    }
}

impl Inner {
    fn scrub(&self) -> MutexGuard<'_, ScrubProgress> {
        self.scrub.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scrub {
    /// Goes on where the last process stopped, or waits for the next pass.
    #[must_use]
    pub fn resume(store: ShardStore, options: ScrubOptions) -> Self {
        let (pace, part) = (Pace::new(), Vec::new());
        Self { store, options, pace, reading: None, part, unnoted_bytes: 0, note_bytes: NOTE_BYTES }
    }

    /// Begins a new pass now, whatever the last one came to.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn begin(store: ShardStore, options: ScrubOptions, now_ms: u64) -> Result<Self, RedbFileError> {
        let scrub = Self::resume(store, options);
        scrub.begin_pass(now_ms)?;
        Ok(scrub)
    }

    /// Reads at most 1 MiB more. `now_ms` is wall time.
    ///
    /// # Errors
    /// The file of a shard cannot be opened though it is there: that shard is passed over, and the next step goes on. Or
    /// the index fails; then the process must stop.
    pub fn step(&mut self, now_ms: u64) -> Result<ScrubStep, ReadError> {
        let pause_ms = self.pause_ms(now_ms);
        let wait_ms = if pause_ms > 0 { pause_ms } else { self.pace.wait_ms(now_ms) };
        if wait_ms > 0 {
            return Ok(ScrubStep::Wait { wait_ms: wait_ms.min(WAIT_MS_MAX) });
        }
        if !self.store.inner.scrub().is_running {
            self.begin_pass(now_ms)?;
        }
        let mut reading = match self.reading.take() {
            Some(reading) => reading,
            None => match self.open_next(now_ms)? {
                Next::Reading(reading) => reading,
                Next::Step(step) => return Ok(step),
            },
        };
        let bytes = read_part(&mut reading, &mut self.part).unwrap_or(0);
        self.count(now_ms, bytes);
        let is_whole = reading.offset == reading.shard.bytes;
        if bytes > 0 && !is_whole {
            self.reading = Some(reading);
            return Ok(ScrubStep::Read { bytes, found: None });
        }
        reading.file.uncache();
        let leaves = reading.hasher.finish();
        let found = if is_whole && leaves.root() == reading.shard.root {
            self.keep_hashes(&reading.shard, &leaves)?;
            None
        } else {
            self.settle(&reading.shard)?
        };
        self.note(reading.shard.root, found.is_some())?;
        Ok(ScrubStep::Read { bytes, found: found.map(|verification| (reading.shard, verification)) })
    }

    /// How long until the next pass; 0 while one is on. A pass that began in the future began by a wrong clock.
    fn pause_ms(&self, now_ms: u64) -> u64 {
        let progress = self.store.inner.scrub();
        match progress.pass_started_ms {
            Some(started_ms) if !progress.is_running && started_ms <= now_ms => {
                started_ms.saturating_add(self.options.pass_ms).saturating_sub(now_ms)
            }
            _ => 0,
        }
    }

    fn begin_pass(&self, now_ms: u64) -> Result<(), RedbFileError> {
        self.change(|progress| {
            let last_pass_ended_ms = progress.last_pass_ended_ms;
            let pass_started_ms = Some(now_ms);
            *progress =
                ScrubProgress { is_running: true, pass_started_ms, last_pass_ended_ms, ..ScrubProgress::default() };
        })
    }

    fn open_next(&mut self, now_ms: u64) -> Result<Next, ReadError> {
        let after = self.store.inner.scrub().after;
        let Some(shard) = self.store.entries(after.as_ref(), 1)?.pop() else {
            self.change(|progress| {
                progress.is_running = false;
                progress.last_pass_ended_ms = Some(now_ms);
            })?;
            self.unnoted_bytes = 0;
            return Ok(Next::Step(ScrubStep::Ended));
        };
        let place = &self.store.inner.place;
        match place.open(&shard.root, shard.bytes) {
            Ok(Some(file)) => {
                file.uncache();
                Ok(Next::Reading(Reading { shard, file, hasher: Box::default(), offset: 0 }))
            }
            Ok(None) => {
                let found = self.settle(&shard)?;
                self.note(shard.root, found.is_some())?;
                let found = found.map(|verification| (shard, verification));
                Ok(Next::Step(ScrubStep::Read { bytes: 0, found }))
            }
            Err(source) => {
                let path = place.name(&shard.root);
                self.store.inner.scrub().after = Some(shard.root);
                Err(ReadError::Io { path, source })
            }
        }
    }

    fn count(&mut self, now_ms: u64, bytes: u64) {
        let store_bytes = self.store.inner.ledger().claimed_bytes();
        self.pace.pass(now_ms, bytes, self.options.bytes_per_second(store_bytes));
        self.store.inner.scrub().bytes_read += bytes;
        self.unnoted_bytes += bytes;
    }

    /// What becomes of a shard that did not read as it should: `None` if it is sound after all, because a put has
    /// replaced it meanwhile. One that cannot be told is passed over.
    fn settle(&self, shard: &StoredShard) -> Result<Option<Verification>, InspectError> {
        let verification = self.store.inner.withdraw_unless_sound(&shard.root).inspect_err(|_error| {
            self.store.inner.scrub().after = Some(shard.root);
        })?;
        Ok(Some(verification).filter(|verification| *verification != Verification::Verified))
    }

    fn keep_hashes(&self, shard: &StoredShard, leaves: &LeafHashes) -> Result<(), RedbFileError> {
        if self.store.inner.index.leaf_hashes(shard)?.is_none() {
            self.store.inner.index.keep_leaf_hashes(leaves)?;
        }
        Ok(())
    }

    /// `root` is done. The index learns of it now and then, and of every finding.
    fn note(&mut self, root: Digest, is_found: bool) -> Result<(), RedbFileError> {
        let done = |progress: &mut ScrubProgress| {
            progress.after = Some(root);
            progress.rotten_count += u64::from(is_found);
        };
        if is_found || self.unnoted_bytes >= self.note_bytes {
            self.unnoted_bytes = 0;
            return self.change(done);
        }
        done(&mut self.store.inner.scrub());
        Ok(())
    }

    /// Changes the progress, durably.
    fn change(&self, change: impl FnOnce(&mut ScrubProgress)) -> Result<(), RedbFileError> {
        let progress = {
            let mut progress = self.store.inner.scrub();
            change(&mut progress);
            progress.clone()
        };
        self.store.inner.index.keep_scrub_progress(&progress)
    }
}

enum Next {
    Reading(Reading),
    Step(ScrubStep),
}

/// The length of the next part of the file, which is read into `part` and hashed; 0 at its end.
fn read_part(reading: &mut Reading, part: &mut Vec<u8>) -> io::Result<u64> {
    let left = reading.shard.bytes - reading.offset;
    part.resize(usize::try_from(left).unwrap_or(READ_BYTES).min(READ_BYTES), 0);
    reading.file.read_exact_at(part, reading.offset)?;
    reading.hasher.update(part);
    reading.offset += part.len() as u64;
    Ok(part.len() as u64)
}

#[cfg(test)]
mod tests;
