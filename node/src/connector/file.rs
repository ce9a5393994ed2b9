//! `file:` one regular file, under its own name.

use std::path::Path;

use super::reading::{Reading, file_name};
use super::{Capture, CaptureError, CaptureSummary, Entry};

/// A file being captured.
#[derive(Debug)]
pub struct FileCapture {
    reading: Reading,
    entry: Option<Entry>,
    summary: CaptureSummary,
}

impl FileCapture {
    /// Opens the file at `path`; the path may be a symbolic link to one.
    ///
    /// # Errors
    /// Nothing there, no regular file (read a pipe from standard input), or a name that is not UTF-8.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let name = file_name(path)?;
        let location = path.canonicalize().map_err(|source| CaptureError::io(path, source))?;
        let (reading, entry) = Reading::open(&location, name)?;
        Ok(Self { reading, entry: Some(entry), summary: CaptureSummary::default() })
    }
}

impl Capture for FileCapture {
    fn next_entry(&mut self) -> Result<Option<Entry>, CaptureError> {
        let entry = self.entry.take();
        self.summary.entries += u64::from(entry.is_some());
        Ok(entry)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, CaptureError> {
        if self.entry.is_some() { Ok(0) } else { self.reading.read(buffer) }
    }

    fn finish(mut self: Box<Self>) -> Result<CaptureSummary, CaptureError> {
        self.summary.bytes = self.reading.read_bytes();
        self.summary.notes.extend(self.reading.close());
        Ok(self.summary)
    }
}
