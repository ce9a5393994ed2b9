//! Where a snapshot comes from and where it is restored to.
//!
//! A [`Source`] is opened as a [`Capture`]: a sequence of entries, each read to its end before the next one.
//! It blocks, pulls, and holds one file open at a time, so memory does not depend on the size of the
//! database. What a capture could not take consistently it says in its [`CaptureSummary`]; it never
//! leaves something out in silence.
//!
//! Only `sqlite:` is a consistent snapshot of a database in use. `dir:` and `file:` read what is there and
//! report every file that changed meanwhile: take them from a database that is stopped, or from a file system snapshot.
//!
//! Ownership, hard links, access control lists and extended attributes are not kept.
//!
//! Read next: [`sqlite`], [`directory`], then [`restore`].

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub mod directory;
pub mod file;
pub mod page_format;
mod reading;
pub mod restore;
pub mod sqlite;
pub mod stdin;

pub use restore::{Created, EntryId, RestoreError, RestoreSummary, RestoreTarget, Restorer};

/// What to take a snapshot of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `sqlite:PATH`, an SQLite database that may be in use.
    Sqlite(PathBuf),
    /// `dir:PATH`, a directory with all that is in it.
    Directory(PathBuf),
    /// `file:PATH`, one file.
    File(PathBuf),
    /// `-`, standard input.
    Stdin,
}

/// The text names no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseSourceError {
    /// The scheme is not known, or there is none.
    #[error("`{text}`: not a source; use sqlite:PATH, dir:PATH, file:PATH, or - for standard input")]
    UnknownScheme {
        /// What was given.
        text: String,
    },
    /// Nothing follows the colon.
    #[error("`{scheme}:` needs a path, as in {scheme}:/var/lib/register")]
    NoPath {
        /// The scheme.
        scheme: &'static str,
    },
}

impl Source {
    /// Bytes to read, as far as one look at the file system tells; `None` for what cannot be known.
    #[must_use]
    pub fn size_bytes(&self) -> Option<u64> {
        match self {
            Self::Sqlite(path) | Self::File(path) => std::fs::metadata(path).ok().map(|metadata| metadata.len()),
            Self::Directory(_) | Self::Stdin => None,
        }
    }
}

impl FromStr for Source {
    type Err = ParseSourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "-" {
            return Ok(Self::Stdin);
        }
        let unknown = || ParseSourceError::UnknownScheme { text: text.to_owned() };
        let (scheme, path) = text.split_once(':').ok_or_else(unknown)?;
        let (scheme, source) = match scheme {
            "sqlite" => ("sqlite", Self::Sqlite as fn(PathBuf) -> Self),
            "dir" => ("dir", Self::Directory as fn(PathBuf) -> Self),
            "file" => ("file", Self::File as fn(PathBuf) -> Self),
            _ => return Err(unknown()),
        };
        if path.is_empty() { Err(ParseSourceError::NoPath { scheme }) } else { Ok(source(PathBuf::from(path))) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Directory(path) => write!(f, "dir:{}", path.display()),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Stdin => write!(f, "-"),
        }
    }
}

use page_format::PageFormat;

/// How the bytes of a file are best cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CutHint {
    /// Where the contents say so; for everything that grows in the middle.
    ContentDefined,
    /// At multiples of `unit_bytes`: the file is rewritten in place, page by page.
    Pages {
        /// What is cut out, in bytes: one page, or a few small ones.
        unit_bytes: u32,
        /// What the pages are.
        format: PageFormat,
    },
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file with bytes to read.
    File {
        /// How many they will probably be.
        bytes_hint: Option<u64>,
    },
    /// A directory; what is in it follows as entries of their own.
    Directory,
    /// A symbolic link.
    Symlink {
        /// What it points to; kept as it is, never followed.
        target: String,
    },
}

/// One thing of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path relative to the source, with `/` between the parts.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits.
    pub mode: u32,
    /// Last change in milliseconds since 1970-01-01 UTC.
    pub modified_ms: i64,
    /// How to cut it.
    pub cut: CutHint,
}

/// Something a capture could not take as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptureNote {
    /// A socket, pipe or device; skipped.
    #[error("{path}: neither file, directory nor symbolic link; skipped")]
    SpecialFile {
        /// Its path in the source.
        path: String,
    },
    /// A file changed while it was read; what was captured may be a mixture of two states.
    #[error("{path}: changed while it was read ({expected_bytes} bytes at first, {actual_bytes} captured)")]
    Changed {
        /// Its path in the source.
        path: String,
        /// Its length when it was opened, in bytes.
        expected_bytes: u64,
        /// Bytes captured.
        actual_bytes: u64,
    },
    /// A file was there when its directory was listed, and gone when it was opened.
    #[error("{path}: removed before it was read")]
    Vanished {
        /// Its path in the source.
        path: String,
    },
}

/// What was captured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureSummary {
    /// Entries given out.
    pub entries: u64,
    /// Bytes given out.
    pub bytes: u64,
    /// What an operator should know; empty for a clean capture.
    pub notes: Vec<CaptureNote>,
}

/// The capture failed; no snapshot may be made of what it gave out.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// There is nothing at the path.
    #[error("{path}: no such file or directory")]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// The path is something else than the scheme says.
    #[error("{path}: not a {expected}")]
    WrongKind {
        /// The path.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// A name is not UTF-8; it could not be restored everywhere.
    #[error("{path}: the name is not UTF-8; rename it, a snapshot keeps UTF-8 names only")]
    NotUtf8 {
        /// The path, with replacement characters.
        path: PathBuf,
    },
    /// Writers kept the database locked.
    #[error("{path}: locked by writers for {waited_ms} ms; try again at a quieter time")]
    Busy {
        /// The database.
        path: PathBuf,
        /// How long it was tried without a page copied.
        waited_ms: u64,
    },
    /// The database is damaged.
    #[error("{path}: the database is damaged: {detail}")]
    Damaged {
        /// The database.
        path: PathBuf,
        /// The first thing SQLite found.
        detail: String,
    },
    /// SQLite refuses.
    #[error("{path}: {source}")]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// Its reason.
        source: rusqlite::Error,
    },
    /// The operating system refuses.
    #[error("{path}: {source}")]
    Io {
        /// The path.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
}

impl CaptureError {
    fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::NotFound { Self::Missing { path } } else { Self::Io { path, source } }
    }
}

/// A source being read. Blocking; one thread.
///
/// Call [`Capture::next_entry`] until it gives `None`; after each file call [`Capture::read`] until it gives 0.
pub trait Capture: Send {
    /// The next entry. What was not read of the last one is passed over.
    ///
    /// # Errors
    /// As [`CaptureError`]; the capture is then over.
    fn next_entry(&mut self) -> Result<Option<Entry>, CaptureError>;

    /// Fills `buffer` with the next bytes of the last entry and says how many; 0 at its end, and for an
    /// entry that is no file.
    ///
    /// # Errors
    /// As [`CaptureError`]; the capture is then over.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, CaptureError>;

    /// Ends the capture and says what it was.
    ///
    /// # Errors
    /// As [`CaptureError`].
    fn finish(self: Box<Self>) -> Result<CaptureSummary, CaptureError>;
}

/// How to capture.
#[derive(Clone, Debug)]
pub struct CaptureOptions {
    /// Where the private copy of an SQLite database is made; as well protected as the database itself, and with
    /// room for it.
    pub scratch_dir: PathBuf,
    /// How long writers may hold an SQLite database locked without a page copied, in milliseconds (30,000).
    pub sqlite_busy_ms: u64,
    /// Whether the copy of an SQLite database is checked with `PRAGMA quick_check`, which reads all of it.
    pub sqlite_check: bool,
}

impl CaptureOptions {
    /// The defaults, with scratch copies in `scratch_dir`.
    #[must_use]
    pub fn new(scratch_dir: &Path) -> Self {
        Self { scratch_dir: scratch_dir.to_owned(), sqlite_busy_ms: 30_000, sqlite_check: false }
    }
}

/// Opens `source`. For `sqlite:` the whole consistent copy is made here.
///
/// # Errors
/// As [`CaptureError`].
pub fn open_capture(source: &Source, options: &CaptureOptions) -> Result<Box<dyn Capture>, CaptureError> {
    Ok(match source {
        Source::Sqlite(path) => Box::new(sqlite::SqliteCapture::open(path, options)?),
        Source::Directory(path) => Box::new(directory::DirectoryCapture::open(path)?),
        Source::File(path) => Box::new(file::FileCapture::open(path)?),
        Source::Stdin => Box::new(stdin::StreamCapture::new(Box::new(io::stdin()))),
    })
}

#[cfg(test)]
mod tests;
