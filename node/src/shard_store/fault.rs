//! Faults that tests inject: a crash after a step of a commit, a disk that fills up.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::writer::CommitStep;

#[derive(Debug, Default)]
pub(super) struct Fault {
    crash_after: Mutex<Option<CommitStep>>,
    full_after_bytes: Mutex<Option<u64>>,
    crash_before_index: AtomicBool,
}

impl Fault {
    /// Every commit from now on ends after `step` as if the process had been killed.
    pub(super) fn crash_after(&self, step: CommitStep) {
        *self.crash_after.lock().unwrap_or_else(PoisonError::into_inner) = Some(step);
    }

    /// Every shard from now on meets a full disk after so many bytes; `None` ends that.
    pub(super) fn full_after(&self, bytes: Option<u64>) {
        *self.full_after_bytes.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
    }

    /// The next removal ends before the index is told, as if the process had been killed.
    pub(super) fn crash_before_index(&self) {
        self.crash_before_index.store(true, Ordering::Relaxed);
    }

    pub(super) fn crashes_before_index(&self) -> bool {
        self.crash_before_index.swap(false, Ordering::Relaxed)
    }

    pub(super) fn crashes_after(&self, step: CommitStep) -> bool {
        *self.crash_after.lock().unwrap_or_else(PoisonError::into_inner) == Some(step)
    }

    pub(super) fn before_write(&self, written_bytes: u64) -> io::Result<()> {
        match *self.full_after_bytes.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(bytes) if written_bytes > bytes => Err(io::Error::from(io::ErrorKind::StorageFull)),
            _ => Ok(()),
        }
    }
}
