//! Writing a snapshot back: into a directory that nothing can be written outside of, or to standard output.
//!
//! # Security
//! The paths come from the contents of a snapshot and are treated as hostile. An absolute path, an empty part,
//! `.`, `..` or a NUL is refused. Every directory on the way is opened from its parent without following
//! symbolic links, so neither a link that was there before nor one that is put there meanwhile leads outside;
//! the snapshot's own links are made last of all. Set-uid, set-gid and sticky bits are not restored. Nothing
//! that exists is overwritten.
//!
//! # Resuming
//! A file is written under `.legation-partial/`, in a name derived from the caller's tag (the manifest's
//! digest) and its path, and moved to its place when it is complete and fsynced. A run with the same tag and
//! target finds the partial files ([`Restorer::read_at`] lets the caller check what is there) and is told
//! which files are [`Created::Finished`]. A run that ends well removes `.legation-partial/`.
//!
//! Read next: `tree`, which holds the rules for paths.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use shard_codec::Digest;

use super::{Entry, EntryKind};
use crate::redb_file::is_disk_full;

mod handles;
mod stream;
mod tree;
mod write_behind;

use handles::Handles;
use stream::StreamTarget;
use tree::Tree;
use write_behind::WriteBehind;

/// Where to restore to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreTarget {
    /// Into this directory, which is made if it is not there.
    Directory(PathBuf),
    /// To standard output: exactly one file, in order.
    Stdout,
}

/// Names an entry between [`Restorer::create`] and [`Restorer::finish_entry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(usize);

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// A file: write its bytes, then finish it. What an earlier run wrote is still in it.
    Open(EntryId),
    /// A file that an earlier run with the same tag completed; nothing is left to do.
    Finished,
    /// A directory or link: made by [`Restorer::finish`] at the latest; nothing is left to do.
    Noted,
}

/// What was restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreSummary {
    /// Files in their place, those of earlier runs included.
    pub files: u64,
    /// Directories of the snapshot.
    pub directories: u64,
    /// Symbolic links of the snapshot.
    pub symlinks: u64,
    /// Bytes of the files that this run completed.
    pub bytes: u64,
}

/// The restore, or one entry of it, failed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The path could lead outside the target, or is no path.
    #[error("`{path}`: refused: {reason}")]
    RefusedPath {
        /// The path in the snapshot.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something is there that this restore did not write.
    #[error("{path}: exists already; it is not overwritten")]
    Exists {
        /// The path in the snapshot.
        path: String,
    },
    /// A part of the path is a file or a symbolic link, not a directory.
    #[error("{path}: a part of the path is not a directory; links are not followed")]
    Obstructed {
        /// The path in the snapshot.
        path: String,
    },
    /// The snapshot has the path twice.
    #[error("{path}: twice in the snapshot")]
    Duplicate {
        /// The path in the snapshot.
        path: String,
    },
    /// Standard output takes one file and nothing else.
    #[error("{path}: standard output takes exactly one file; restore into a directory")]
    OneFileOnly {
        /// The path in the snapshot.
        path: String,
    },
    /// Standard output takes bytes in their order.
    #[error("bytes from {actual} came when those from {expected} were due")]
    OutOfOrder {
        /// The next byte to write.
        expected: u64,
        /// The first byte that came.
        actual: u64,
    },
    /// There is no open entry of that name.
    #[error("no such open entry")]
    UnknownEntry,
    /// The restore was to end with a file incomplete.
    #[error("{path}: incomplete")]
    Unfinished {
        /// The path in the snapshot.
        path: String,
    },
    /// The disk is full.
    #[error("{path}: no space left on the device")]
    DiskFull {
        /// The path in the snapshot.
        path: String,
    },
    /// The operating system refuses.
    #[error("{path}: {source}")]
    Io {
        /// The path in the snapshot, or the target.
        path: String,
        /// Its reason.
        source: io::Error,
    },
}

impl RestoreError {
    fn io(path: &str, source: io::Error) -> Self {
        let path = path.to_owned();
        if is_disk_full(&source) { Self::DiskFull { path } } else { Self::Io { path, source } }
    }
}

/// A restore under way. Blocking; writes may come from several threads, the rest from one.
#[derive(Debug)]
pub struct Restorer {
    target: Target,
}

#[derive(Debug)]
enum Target {
    Directory(Box<DirectoryTarget>),
    Stream(StreamTarget),
}

impl Restorer {
    /// Starts or resumes the restore of the snapshot `tag` names.
    ///
    /// # Errors
    /// The directory cannot be made or opened.
    pub fn open(target: &RestoreTarget, tag: &Digest) -> Result<Self, RestoreError> {
        let target = match target {
            RestoreTarget::Stdout => Target::Stream(StreamTarget::new(Box::new(io::stdout()))),
            RestoreTarget::Directory(path) => Target::Directory(Box::new(DirectoryTarget::open(path.clone(), *tag)?)),
        };
        Ok(Self { target })
    }

    /// Starts the restore of exactly one file to `stream`, as to standard output.
    #[must_use]
    pub fn to_stream(stream: Box<dyn Write + Send>) -> Self {
        Self { target: Target::Stream(StreamTarget::new(stream)) }
    }

    /// Takes the next entry of the snapshot, in any order.
    ///
    /// # Errors
    /// The path is refused, obstructed, taken, or there twice; or IO.
    pub fn create(&mut self, entry: &Entry) -> Result<Created, RestoreError> {
        match &mut self.target {
            Target::Directory(target) => target.create(entry),
            Target::Stream(target) => target.create(entry),
        }
    }

    /// Writes `bytes` from `offset` on.
    ///
    /// # Errors
    /// The entry is not open, disk full, IO; to a stream also out of order.
    pub fn write_at(&self, entry: EntryId, offset: u64, bytes: &[u8]) -> Result<(), RestoreError> {
        match &self.target {
            Target::Directory(target) => target.write_at(entry, offset, bytes),
            Target::Stream(target) => target.write_at(entry, offset, bytes),
        }
    }

    /// Reads what an earlier run wrote, to check it; 0 where nothing was written, and always for a stream.
    ///
    /// # Errors
    /// The entry is not open, or IO.
    pub fn read_at(&self, entry: EntryId, offset: u64, buffer: &mut [u8]) -> Result<usize, RestoreError> {
        match &self.target {
            Target::Directory(target) => target.read_at(entry, offset, buffer),
            Target::Stream(_stream) => Ok(0),
        }
    }

    /// Completes a file of `bytes` bytes: cut to that length, mode and time set, fsynced, moved to its place.
    ///
    /// # Errors
    /// The entry is not open, its place was taken meanwhile, or IO.
    pub fn finish_entry(&mut self, entry: EntryId, bytes: u64) -> Result<(), RestoreError> {
        match &mut self.target {
            Target::Directory(target) => target.finish_entry(entry, bytes),
            Target::Stream(target) => target.finish_entry(entry, bytes),
        }
    }

    /// Makes the links, sets modes and times of the directories, and makes all of it durable.
    ///
    /// # Errors
    /// A file is incomplete, a link's place is taken, or IO.
    pub fn finish(self) -> Result<RestoreSummary, RestoreError> {
        match self.target {
            Target::Directory(target) => target.finish(),
            Target::Stream(target) => target.finish(),
        }
    }
}

/// A file between creation and its place.
#[derive(Debug)]
struct OpenEntry {
    path: String,
    partial: String,
    mode: u32,
    modified: SystemTime,
    finished: bool,
}

struct DirectoryTarget {
    tree: Tree,
    tag: Digest,
    entries: Vec<OpenEntry>,
    handles: Mutex<Handles>,
    write_behind: WriteBehind,
    taken: BTreeSet<String>,
    directories: Vec<Entry>,
    symlinks: Vec<(String, String)>,
    markers: Vec<String>,
    summary: RestoreSummary,
}

impl fmt::Debug for DirectoryTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryTarget").field("summary", &self.summary).finish_non_exhaustive()
    }
}

impl DirectoryTarget {
    fn open(path: PathBuf, tag: Digest) -> Result<Self, RestoreError> {
        let write_behind =
            WriteBehind::start().map_err(|source| RestoreError::io(&path.display().to_string(), source))?;
        Ok(Self {
            tree: Tree::open(path)?,
            tag,
            entries: Vec::new(),
            handles: Mutex::default(),
            write_behind,
            taken: BTreeSet::new(),
            directories: Vec::new(),
            symlinks: Vec::new(),
            markers: Vec::new(),
            summary: RestoreSummary::default(),
        })
    }

    fn create(&mut self, entry: &Entry) -> Result<Created, RestoreError> {
        tree::check_path(&entry.path)?;
        if !self.taken.insert(entry.path.clone()) {
            return Err(RestoreError::Duplicate { path: entry.path.clone() });
        }
        match &entry.kind {
            EntryKind::Directory => {
                self.tree.create_directory(&entry.path)?;
                self.directories.push(entry.clone());
                self.summary.directories += 1;
                Ok(Created::Noted)
            }
            EntryKind::Symlink { target } => {
                tree::check_symlink_target(&entry.path, target)?;
                self.symlinks.push((entry.path.clone(), target.clone()));
                Ok(Created::Noted)
            }
            EntryKind::File { .. } => self.create_file(entry),
        }
    }

    fn create_file(&mut self, entry: &Entry) -> Result<Created, RestoreError> {
        let partial = partial_name(&self.tag, &entry.path);
        let modified = system_time(entry.modified_ms);
        if let Some(existing) = self.tree.existing(&entry.path)? {
            let finished = self.tree.read_marker(&partial)? == Some(existing);
            if !finished {
                return Err(RestoreError::Exists { path: entry.path.clone() });
            }
            self.markers.push(partial);
            self.summary.files += 1;
            return Ok(Created::Finished);
        }
        let id = EntryId(self.entries.len());
        let file = self.tree.open_partial(&entry.path, &partial)?;
        self.handles().insert(id, Arc::new(file));
        let (path, mode) = (entry.path.clone(), entry.mode & 0o777);
        self.entries.push(OpenEntry { path, partial, mode, modified, finished: false });
        Ok(Created::Open(id))
    }

    fn handles(&self) -> std::sync::MutexGuard<'_, Handles> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, id: EntryId) -> Result<&OpenEntry, RestoreError> {
        self.entries.get(id.0).filter(|entry| !entry.finished).ok_or(RestoreError::UnknownEntry)
    }

    /// The entry's file; opened again if too many others were written meanwhile.
    fn handle(&self, id: EntryId) -> Result<(Arc<File>, &str), RestoreError> {
        let entry = self.entry(id)?;
        let mut handles = self.handles();
        if let Some(file) = handles.get(id) {
            return Ok((file, &entry.path));
        }
        let file = Arc::new(self.tree.open_partial(&entry.path, &entry.partial)?);
        handles.insert(id, Arc::clone(&file));
        Ok((file, &entry.path))
    }

    fn write_at(&self, id: EntryId, offset: u64, bytes: &[u8]) -> Result<(), RestoreError> {
        let (file, path) = self.handle(id)?;
        file.write_all_at(bytes, offset).map_err(|source| RestoreError::io(path, source))?;
        self.write_behind.wrote(&file, bytes.len());
        Ok(())
    }

    fn read_at(&self, id: EntryId, offset: u64, buffer: &mut [u8]) -> Result<usize, RestoreError> {
        let (file, path) = self.handle(id)?;
        file.read_at(buffer, offset).map_err(|source| RestoreError::io(path, source))
    }

    fn finish_entry(&mut self, id: EntryId, bytes: u64) -> Result<(), RestoreError> {
        let (file, _path) = self.handle(id)?;
        let entry = self.entry(id)?;
        let (path, partial) = (entry.path.clone(), entry.partial.clone());
        let failed = |source| RestoreError::io(&path, source);
        file.set_len(bytes).map_err(failed)?;
        file.set_permissions(Permissions::from_mode(entry.mode)).map_err(failed)?;
        file.set_modified(entry.modified).map_err(failed)?;
        self.write_behind.settle().map_err(failed)?;
        file.sync_all().map_err(failed)?;
        let identity = tree::identity(&file.metadata().map_err(failed)?);
        self.tree.write_marker(&partial, &identity)?;
        self.tree.place(&partial, &path)?;
        self.handles().remove(id);
        if let Some(entry) = self.entries.get_mut(id.0) {
            entry.finished = true;
        }
        self.markers.push(partial);
        self.summary.files += 1;
        self.summary.bytes += bytes;
        Ok(())
    }

    fn finish(mut self) -> Result<RestoreSummary, RestoreError> {
        if let Some(entry) = self.entries.iter().find(|entry| !entry.finished) {
            return Err(RestoreError::Unfinished { path: entry.path.clone() });
        }
        for (path, target) in &self.symlinks {
            self.tree.create_symlink(path, target)?;
            self.summary.symlinks += 1;
        }
        self.tree.sync_directories()?;
        // Children before parents: a parent may become read-only, and making a child changes its time.
        self.directories.sort_by(|left, right| right.path.cmp(&left.path));
        for entry in &self.directories {
            self.tree.finish_directory(&entry.path, entry.mode & 0o777, system_time(entry.modified_ms))?;
        }
        self.tree.remove_work(&self.markers)?;
        Ok(self.summary)
    }
}

/// A name of fixed length without a separator, whatever the path.
fn partial_name(tag: &Digest, path: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(tag.as_bytes()).update(path.as_bytes());
    hasher.finalize().to_hex().to_string()
}

fn system_time(modified_ms: i64) -> SystemTime {
    let distance = Duration::from_millis(modified_ms.unsigned_abs());
    let time = if modified_ms < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    time.unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests;
