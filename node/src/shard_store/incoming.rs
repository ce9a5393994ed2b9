//! Shards that are being received: each in a file of its own, until it is whole.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use shard_codec::Digest;

use super::files::uncache;

#[derive(Debug)]
pub(super) struct IncomingFiles {
    dir: PathBuf,
}

impl IncomingFiles {
    pub(super) fn create(dir: &Path) -> io::Result<Self> {
        let files = Self { dir: dir.join("incoming") };
        create_directory(&files.dir)?;
        Ok(files)
    }

    /// The name of the `number`th shard received by this process. A counter is enough: the store's lock
    /// keeps other processes out, and the last one's leftovers are removed before the first.
    pub(super) fn path(&self, number: u64, root: &Digest) -> PathBuf {
        self.dir.join(format!("{number}-{}", root.short()))
    }

    pub(super) fn create_file(path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
    }

    /// Removes what was being received and says how many files it was.
    pub(super) fn clear(&self) -> io::Result<u64> {
        let mut removed = 0;
        for entry in fs::read_dir(&self.dir)? {
            fs::remove_file(entry?.path())?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Bytes an ordinary user can still write to the file system.
    pub(super) fn free_bytes(&self) -> io::Result<u64> {
        let status = rustix::fs::statvfs(&self.dir)?;
        Ok(status.f_bavail.saturating_mul(status.f_frsize))
    }

    pub(super) fn directory(&self) -> &Path {
        &self.dir
    }
}

/// Makes the contents durable and read-only.
pub(super) fn sync_contents(file: &File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o400))?;
    file.sync_all()?;
    uncache(file);
    Ok(())
}

pub(super) fn create_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
