//! One file being captured: never more bytes than it had when it was opened, and a note if it changed.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{Mode, OFlags};

use super::page_format::{self, HEAD_BYTES};
use super::{CaptureError, CaptureNote, Entry, EntryKind};

/// A regular file, open for reading. A log that grows faster than it is read still ends, because what is
/// appended after the opening is left for the next snapshot.
#[derive(Debug)]
pub(super) struct Reading {
    file: File,
    location: PathBuf,
    path: String,
    bytes: u64,
    read_bytes: u64,
    modified: Option<SystemTime>,
}

impl Reading {
    /// Opens `location`, which is `path` in the snapshot. A symbolic link is not followed and a pipe is not waited for.
    pub(super) fn open(location: &Path, path: String) -> Result<(Self, Entry), CaptureError> {
        let failed = |source| CaptureError::io(location, source);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(location, flags, Mode::empty()).map_err(|errno| failed(io::Error::from(errno)))?;
        let file = File::from(file);
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(CaptureError::WrongKind { path: location.to_owned(), expected: "regular file" });
        }
        let bytes = metadata.len();
        // A file shorter than this is neither of the formats that are looked for.
        let mut head = [0; HEAD_BYTES];
        let head = if file.read_exact_at(&mut head, 0).is_ok() { head.as_slice() } else { &[] };
        let entry = Entry {
            cut: page_format::cut_hint(&path, bytes, head),
            kind: EntryKind::File { bytes_hint: Some(bytes) },
            mode: permission_bits(&metadata),
            modified_ms: modified_ms(&metadata),
            path: path.clone(),
        };
        let modified = metadata.modified().ok();
        Ok((Self { file, location: location.to_owned(), path, bytes, read_bytes: 0, modified }, entry))
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, CaptureError> {
        let left = usize::try_from(self.bytes - self.read_bytes).unwrap_or(usize::MAX);
        let room = buffer.len().min(left);
        let part = buffer.get_mut(..room).unwrap_or_default();
        let count = read_some(&mut self.file, part).map_err(|source| CaptureError::io(&self.location, source))?;
        self.read_bytes += count as u64;
        Ok(count)
    }

    pub(super) fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// Whether the file changed since it was opened.
    pub(super) fn close(self) -> Option<CaptureNote> {
        let now = self.file.metadata().ok();
        let same = now.is_some_and(|now| now.len() == self.bytes && now.modified().ok() == self.modified);
        if same && self.read_bytes == self.bytes {
            return None;
        }
        Some(CaptureNote::Changed { path: self.path, expected_bytes: self.bytes, actual_bytes: self.read_bytes })
    }
}

/// One read that a signal does not end.
pub(super) fn read_some(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

pub(super) fn permission_bits(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & 0o7777
}

pub(super) fn modified_ms(metadata: &Metadata) -> i64 {
    metadata.mtime().saturating_mul(1000).saturating_add(metadata.mtime_nsec() / 1_000_000)
}

/// The last part of `path` as text.
pub(super) fn file_name(path: &Path) -> Result<String, CaptureError> {
    let name = path.file_name().unwrap_or_default().to_str();
    let name = name.ok_or_else(|| CaptureError::NotUtf8 { path: path.to_owned() })?;
    if name.is_empty() {
        return Err(CaptureError::WrongKind { path: path.to_owned(), expected: "regular file" });
    }
    Ok(name.to_owned())
}
