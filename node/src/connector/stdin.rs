//! `-` standard input, or any other stream: one entry of unknown length named `stdin`.

use std::fmt;
use std::io::Read;
use std::path::Path;

use super::reading::read_some;
use super::{Capture, CaptureError, CaptureSummary, CutHint, Entry, EntryKind};
use crate::clock;

/// The path of the one entry.
pub const STDIN_PATH: &str = "stdin";

/// A stream being captured.
pub struct StreamCapture {
    stream: Box<dyn Read + Send>,
    entered: bool,
    summary: CaptureSummary,
}

impl fmt::Debug for StreamCapture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamCapture").field("summary", &self.summary).finish_non_exhaustive()
    }
}

impl StreamCapture {
    /// Captures `stream` to its end.
    #[must_use]
    pub fn new(stream: Box<dyn Read + Send>) -> Self {
        Self { stream, entered: false, summary: CaptureSummary::default() }
    }
}

impl Capture for StreamCapture {
    fn next_entry(&mut self) -> Result<Option<Entry>, CaptureError> {
        if self.entered {
            return Ok(None);
        }
        self.entered = true;
        self.summary.entries = 1;
        Ok(Some(Entry {
            path: STDIN_PATH.to_owned(),
            kind: EntryKind::File { bytes_hint: None },
            mode: 0o600,
            modified_ms: i64::try_from(clock::now_ms()).unwrap_or(i64::MAX),
            cut: CutHint::ContentDefined,
        }))
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, CaptureError> {
        if !self.entered {
            return Ok(0);
        }
        let count = read_some(&mut self.stream, buffer)
            .map_err(|source| CaptureError::Io { path: Path::new("standard input").to_owned(), source })?;
        self.summary.bytes += count as u64;
        Ok(count)
    }

    fn finish(self: Box<Self>) -> Result<CaptureSummary, CaptureError> {
        Ok(self.summary)
    }
}
