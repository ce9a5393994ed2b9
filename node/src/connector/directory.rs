//! `dir:` a directory with all that is in it, in the order of the names.
//!
//! Symbolic links are kept, not followed. Sockets, pipes and devices are skipped and noted. A name that is
//! not UTF-8 and a file that may not be read end the capture: a snapshot with a hole nobody sees is worse than none.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::reading::{Reading, modified_ms, permission_bits};
use super::{Capture, CaptureError, CaptureNote, CaptureSummary, CutHint, Entry, EntryKind};

/// A directory being captured.
#[derive(Debug)]
pub struct DirectoryCapture {
    root: PathBuf,
    walk: walkdir::IntoIter,
    reading: Option<Reading>,
    summary: CaptureSummary,
}

impl DirectoryCapture {
    /// Opens the directory at `root`; the path itself may be a symbolic link to one.
    ///
    /// # Errors
    /// Nothing there, or no directory.
    pub fn open(root: &Path) -> Result<Self, CaptureError> {
        let metadata = fs::metadata(root).map_err(|source| CaptureError::io(root, source))?;
        if !metadata.is_dir() {
            return Err(CaptureError::WrongKind { path: root.to_owned(), expected: "directory" });
        }
        let walk = WalkDir::new(root).min_depth(1).follow_links(false).sort_by_file_name().into_iter();
        Ok(Self { root: root.to_owned(), walk, reading: None, summary: CaptureSummary::default() })
    }

    fn path_of(&self, location: &Path) -> Result<String, CaptureError> {
        let relative = location.strip_prefix(&self.root).unwrap_or(location);
        let text = relative.to_str().ok_or_else(|| CaptureError::NotUtf8 { path: location.to_owned() })?;
        Ok(text.to_owned())
    }

    /// The entry of what the walk found, or `None` if it is skipped.
    fn enter(&mut self, found: &DirEntry) -> Result<Option<Entry>, CaptureError> {
        let location = found.path();
        let path = self.path_of(location)?;
        let kind = if found.file_type().is_dir() {
            EntryKind::Directory
        } else if found.file_type().is_symlink() {
            let target = match fs::read_link(location) {
                Ok(target) => target,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return self.note(CaptureNote::Vanished { path });
                }
                Err(error) => return Err(CaptureError::io(location, error)),
            };
            let target = target.to_str().ok_or_else(|| CaptureError::NotUtf8 { path: location.to_owned() })?;
            EntryKind::Symlink { target: target.to_owned() }
        } else if found.file_type().is_file() {
            return match Reading::open(location, path.clone()) {
                Ok((reading, entry)) => {
                    self.reading = Some(reading);
                    Ok(Some(entry))
                }
                Err(CaptureError::Missing { .. }) => self.note(CaptureNote::Vanished { path }),
                Err(CaptureError::WrongKind { .. }) => self.note(CaptureNote::SpecialFile { path }),
                Err(other) => Err(other),
            };
        } else {
            return self.note(CaptureNote::SpecialFile { path });
        };
        let metadata = match fs::symlink_metadata(location) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.note(CaptureNote::Vanished { path }),
            Err(error) => return Err(CaptureError::io(location, error)),
        };
        let (mode, modified_ms) = (permission_bits(&metadata), modified_ms(&metadata));
        Ok(Some(Entry { path, kind, mode, modified_ms, cut: CutHint::ContentDefined }))
    }

    #[expect(clippy::unnecessary_wraps, reason = "the value of the branches that skip")]
    fn note(&mut self, note: CaptureNote) -> Result<Option<Entry>, CaptureError> {
        self.summary.notes.push(note);
        Ok(None)
    }

    fn close_reading(&mut self) {
        if let Some(reading) = self.reading.take() {
            self.summary.bytes += reading.read_bytes();
            self.summary.notes.extend(reading.close());
        }
    }
}

impl Capture for DirectoryCapture {
    fn next_entry(&mut self) -> Result<Option<Entry>, CaptureError> {
        self.close_reading();
        while let Some(found) = self.walk.next() {
            let found = match found {
                Ok(found) => found,
                Err(error) => {
                    let location = error.path().unwrap_or(&self.root).to_owned();
                    let vanished = error.io_error().is_some_and(|io| io.kind() == io::ErrorKind::NotFound);
                    if vanished && location != self.root {
                        let path = self.path_of(&location)?;
                        self.summary.notes.push(CaptureNote::Vanished { path });
                        continue;
                    }
                    return Err(CaptureError::io(&location, error.into()));
                }
            };
            if let Some(entry) = self.enter(&found)? {
                self.summary.entries += 1;
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, CaptureError> {
        self.reading.as_mut().map_or(Ok(0), |reading| reading.read(buffer))
    }

    fn finish(mut self: Box<Self>) -> Result<CaptureSummary, CaptureError> {
        self.close_reading();
        Ok(self.summary)
    }
}
