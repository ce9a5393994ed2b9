//! The target directory, reached only from its own descriptor and never through a symbolic link.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, Metadata, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::time::SystemTime;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::RestoreError;

/// Where files are until they are complete.
const WORK_DIRECTORY: &str = ".legation-partial";
const PATH_BYTES_MAX: usize = 4096;
const DIRECTORY_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const PRIVATE_DIRECTORY: Mode = Mode::RWXU;

/// Whether `path` stays inside the target, by its text alone.
pub(super) fn check_path(path: &str) -> Result<(), RestoreError> {
    let refuse = |reason| Err(RestoreError::RefusedPath { path: path.to_owned(), reason });
    if path.is_empty() || path.len() > PATH_BYTES_MAX {
        return refuse("empty, or longer than 4096 bytes");
    }
    if path.starts_with('/') {
        return refuse("absolute");
    }
    if path.contains('\0') {
        return refuse("contains a NUL");
    }
    for part in path.split('/') {
        match part {
            "" => return refuse("has an empty part"),
            "." | ".." => return refuse("has a part `.` or `..`"),
            WORK_DIRECTORY => return refuse("is where incomplete files are kept"),
            _ => {}
        }
    }
    Ok(())
}

/// Whether `target` can be what a link points to. Where it leads is the snapshot's own affair: nothing is written through it.
pub(super) fn check_symlink_target(path: &str, target: &str) -> Result<(), RestoreError> {
    if target.is_empty() || target.len() > PATH_BYTES_MAX || target.contains('\0') {
        let reason = "its target is empty, longer than 4096 bytes, or contains a NUL";
        return Err(RestoreError::RefusedPath { path: path.to_owned(), reason });
    }
    Ok(())
}

/// What tells a file from another one that was put in its place: length and last change, as text.
pub(super) fn identity(metadata: &Metadata) -> String {
    format!("{} {}.{:09}", metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}

#[derive(Debug)]
pub(super) struct Tree {
    root: OwnedFd,
    work: OwnedFd,
    /// Directories in which something was made.
    changed: BTreeSet<String>,
}

impl Tree {
    /// Opens the target at `path`; that path is the operator's own and may contain symbolic links.
    pub(super) fn open(path: PathBuf) -> Result<Self, RestoreError> {
        let failed = |source| RestoreError::io(&path.display().to_string(), source);
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(failed)?;
        let root = OwnedFd::from(File::open(&path).map_err(failed)?);
        let work = open_or_create(&root, WORK_DIRECTORY).map_err(|errno| obstructed(WORK_DIRECTORY, errno))?;
        Ok(Self { root, work, changed: BTreeSet::from([String::new()]) })
    }

    /// Opens the directory that holds the last part of `path`, making what is missing, and gives that part.
    fn parent<'a>(&self, path: &'a str) -> Result<(OwnedFd, &'a str), RestoreError> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.directory(directory)?, name))
    }

    fn directory(&self, path: &str) -> Result<OwnedFd, RestoreError> {
        let mut directory = self.root.try_clone().map_err(|source| RestoreError::io(path, source))?;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            directory = open_or_create(&directory, part).map_err(|errno| obstructed(path, errno))?;
        }
        Ok(directory)
    }

    fn note_change(&mut self, path: &str) {
        let (directory, _name) = path.rsplit_once('/').unwrap_or(("", path));
        // A new directory is an entry of its parent, and so on up to the root.
        let mut directory = Some(directory);
        while let Some(changed) = directory {
            if !self.changed.insert(changed.to_owned()) {
                break;
            }
            directory = changed.rsplit_once('/').map(|(parent, _name)| parent);
        }
    }

    pub(super) fn create_directory(&mut self, path: &str) -> Result<(), RestoreError> {
        drop(self.directory(path)?);
        self.note_change(path);
        Ok(())
    }

    /// The identity of what is at `path`, if anything is.
    pub(super) fn existing(&self, path: &str) -> Result<Option<String>, RestoreError> {
        let (parent, name) = self.parent(path)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&parent, name, flags, Mode::empty()) {
            Ok(found) => {
                let metadata = File::from(found).metadata().map_err(|source| RestoreError::io(path, source))?;
                Ok(Some(identity(&metadata)))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(RestoreError::io(path, errno.into())),
        }
    }

    /// Opens the partial file, creating it if no earlier run did. `path` is for messages.
    pub(super) fn open_partial(&self, path: &str, partial: &str) -> Result<File, RestoreError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let private = Mode::RUSR | Mode::WUSR;
        let mut opened = rustix::fs::openat(&self.work, partial, flags, private);
        if matches!(opened, Err(Errno::ACCESS)) {
            // An earlier run gave it its final mode and ended before it was moved.
            opened = rustix::fs::chmodat(&self.work, partial, private, AtFlags::empty())
                .and_then(|()| rustix::fs::openat(&self.work, partial, flags, private));
        }
        opened.map(File::from).map_err(|errno| RestoreError::io(path, errno.into()))
    }

    /// Notes that the file of `partial` is complete, before it is moved. Not fsynced: after a power cut, a
    /// resumed run may say that a file exists which it could have taken for finished.
    pub(super) fn write_marker(&self, partial: &str, identity: &str) -> Result<(), RestoreError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = marker_name(partial);
        let written = rustix::fs::openat(&self.work, &name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(io::Error::from)
            .and_then(|marker| File::from(marker).write_all(identity.as_bytes()));
        written.map_err(|source| RestoreError::io(&name, source))
    }

    pub(super) fn read_marker(&self, partial: &str) -> Result<Option<String>, RestoreError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = marker_name(partial);
        let mut identity = String::new();
        match rustix::fs::openat(&self.work, &name, flags, Mode::empty()) {
            Ok(marker) => {
                let read = File::from(marker).take(PATH_BYTES_MAX as u64).read_to_string(&mut identity);
                read.map_err(|source| RestoreError::io(&name, source))?;
                Ok(Some(identity))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(RestoreError::io(&name, errno.into())),
        }
    }

    /// Moves a complete partial file to `path`, unless something is there.
    pub(super) fn place(&mut self, partial: &str, path: &str) -> Result<(), RestoreError> {
        let (parent, name) = self.parent(path)?;
        let moved = match rustix::fs::renameat_with(&self.work, partial, &parent, name, RenameFlags::NOREPLACE) {
            // A file system that cannot promise it: a second hard link can.
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::linkat(&self.work, partial, &parent, name, AtFlags::empty())
                    .and_then(|()| rustix::fs::unlinkat(&self.work, partial, AtFlags::empty()))
            }
            other => other,
        };
        moved.map_err(|errno| taken(path, errno))?;
        self.note_change(path);
        Ok(())
    }

    /// Makes a symbolic link, unless the same one is there.
    pub(super) fn create_symlink(&mut self, path: &str, target: &str) -> Result<(), RestoreError> {
        let (parent, name) = self.parent(path)?;
        match rustix::fs::symlinkat(target, &parent, name) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let there = rustix::fs::readlinkat(&parent, name, Vec::new());
                if !there.is_ok_and(|there| there.as_bytes() == target.as_bytes()) {
                    return Err(RestoreError::Exists { path: path.to_owned() });
                }
            }
            Err(errno) => return Err(RestoreError::io(path, errno.into())),
        }
        self.note_change(path);
        Ok(())
    }

    pub(super) fn sync_directories(&self) -> Result<(), RestoreError> {
        for path in &self.changed {
            let synced = rustix::fs::fsync(self.directory(path)?);
            synced.map_err(|errno| RestoreError::io(path, errno.into()))?;
        }
        Ok(())
    }

    pub(super) fn finish_directory(&self, path: &str, mode: u32, modified: SystemTime) -> Result<(), RestoreError> {
        let directory = File::from(self.directory(path)?);
        directory
            .set_modified(modified)
            .and_then(|()| directory.set_permissions(Permissions::from_mode(mode)))
            .and_then(|()| directory.sync_all())
            .map_err(|source| RestoreError::io(path, source))
    }

    /// Removes what this restore put beside the snapshot; what belongs to another stays.
    pub(super) fn remove_work(&self, partials: &[String]) -> Result<(), RestoreError> {
        let failed = |errno: Errno| RestoreError::io(WORK_DIRECTORY, errno.into());
        for partial in partials {
            match rustix::fs::unlinkat(&self.work, marker_name(partial), AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        match rustix::fs::unlinkat(&self.root, WORK_DIRECTORY, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(errno) => return Err(failed(errno)),
        }
        rustix::fs::fsync(&self.root).map_err(failed)
    }
}

fn open_or_create(parent: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    match rustix::fs::openat(parent, name, DIRECTORY_FLAGS, Mode::empty()) {
        Err(Errno::NOENT) => {}
        other => return other,
    }
    match rustix::fs::mkdirat(parent, name, PRIVATE_DIRECTORY) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    rustix::fs::openat(parent, name, DIRECTORY_FLAGS, Mode::empty())
}

fn marker_name(partial: &str) -> String {
    format!("{partial}.done")
}

fn obstructed(path: &str, errno: Errno) -> RestoreError {
    match errno {
        Errno::NOTDIR | Errno::LOOP => RestoreError::Obstructed { path: path.to_owned() },
        other => RestoreError::io(path, other.into()),
    }
}

fn taken(path: &str, errno: Errno) -> RestoreError {
    match errno {
        Errno::EXIST => RestoreError::Exists { path: path.to_owned() },
        other => RestoreError::io(path, other.into()),
    }
}
