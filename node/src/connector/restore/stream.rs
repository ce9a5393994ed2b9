//! Restoring one file to a stream, byte after byte.

use std::fmt;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Created, EntryId, RestoreError, RestoreSummary};
use crate::connector::{Entry, EntryKind};

const ONLY: EntryId = EntryId(0);

pub(super) struct StreamTarget {
    path: Option<String>,
    finished: bool,
    state: Mutex<StreamState>,
}

struct StreamState {
    stream: Box<dyn Write + Send>,
    written_bytes: u64,
}

impl fmt::Debug for StreamTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamTarget").field("path", &self.path).finish_non_exhaustive()
    }
}

impl StreamTarget {
    pub(super) fn new(stream: Box<dyn Write + Send>) -> Self {
        Self { path: None, finished: false, state: Mutex::new(StreamState { stream, written_bytes: 0 }) }
    }

    pub(super) fn create(&mut self, entry: &Entry) -> Result<Created, RestoreError> {
        let is_file = matches!(entry.kind, EntryKind::File { .. });
        if !is_file || self.path.is_some() {
            return Err(RestoreError::OneFileOnly { path: entry.path.clone() });
        }
        self.path = Some(entry.path.clone());
        Ok(Created::Open(ONLY))
    }

    pub(super) fn write_at(&self, id: EntryId, offset: u64, bytes: &[u8]) -> Result<(), RestoreError> {
        let path = self.open_path(id)?;
        let mut state = self.state();
        if offset != state.written_bytes {
            return Err(RestoreError::OutOfOrder { expected: state.written_bytes, actual: offset });
        }
        state.stream.write_all(bytes).map_err(|source| RestoreError::io(path, source))?;
        state.written_bytes += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn finish_entry(&mut self, id: EntryId, bytes: u64) -> Result<(), RestoreError> {
        let path = self.open_path(id)?;
        let mut state = self.state();
        if state.written_bytes != bytes {
            return Err(RestoreError::Unfinished { path: path.to_owned() });
        }
        state.stream.flush().map_err(|source| RestoreError::io(path, source))?;
        drop(state);
        self.finished = true;
        Ok(())
    }

    pub(super) fn finish(self) -> Result<RestoreSummary, RestoreError> {
        let bytes = self.state().written_bytes;
        match self.path {
            Some(path) if !self.finished => Err(RestoreError::Unfinished { path }),
            path => Ok(RestoreSummary { files: u64::from(path.is_some()), bytes, ..RestoreSummary::default() }),
        }
    }

    fn open_path(&self, id: EntryId) -> Result<&str, RestoreError> {
        let open = id == ONLY && !self.finished;
        self.path.as_deref().filter(|_path| open).ok_or(RestoreError::UnknownEntry)
    }

    fn state(&self) -> MutexGuard<'_, StreamState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
