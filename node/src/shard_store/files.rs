//! The files of the store: where they are, and the order of operations that makes them durable.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use shard_codec::Digest;

const READ_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Files {
    shards: PathBuf,
    incoming: PathBuf,
}

impl Files {
    /// Creates what is missing, all 256 directories of `shards/` at once: their names are then durable before
    /// the first shard, and a commit has one directory to fsync, not two.
    pub(super) fn create(dir: &Path) -> io::Result<Self> {
        let files = Self { shards: dir.join("shards"), incoming: dir.join("incoming") };
        create_directory(&files.incoming)?;
        create_directory(&files.shards)?;
        for prefix in 0..=u8::MAX {
            create_directory(&files.prefix_path(prefix))?;
        }
        sync_directory(&files.shards)?;
        sync_directory(dir)?;
        Ok(files)
    }

    pub(super) fn shard_path(&self, root: &Digest) -> PathBuf {
        let [prefix, ..] = *root.as_bytes();
        self.prefix_path(prefix).join(root.to_string())
    }

    fn prefix_path(&self, prefix: u8) -> PathBuf {
        self.shards.join(format!("{prefix:02x}"))
    }

    /// The name of the `number`th shard received by this process. A counter is enough: the store's lock
    /// keeps other processes out, and the last one's leftovers are removed before the first.
    pub(super) fn incoming_path(&self, number: u64, root: &Digest) -> PathBuf {
        self.incoming.join(format!("{number}-{}", root.short()))
    }

    pub(super) fn create_incoming(path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
    }

    /// Removes what was being received and says how many files it was.
    pub(super) fn clear_incoming(&self) -> io::Result<u64> {
        let mut removed = 0;
        for entry in fs::read_dir(&self.incoming)? {
            fs::remove_file(entry?.path())?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Makes the contents durable and read-only.
    pub(super) fn sync_contents(file: &File) -> io::Result<()> {
        file.set_permissions(Permissions::from_mode(0o400))?;
        file.sync_all()?;
        Self::uncache(file);
        Ok(())
    }

    /// A shard is written once and read again in years: its pages are given back at once, to the next shard instead
    /// of driving everything else on the machine out of the page cache.
    pub(super) fn uncache(file: &File) {
        // Only advice: a file system that does not take it loses nothing.
        let _unadvised = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    }

    /// Makes the name of `root` under `shards/` durable.
    pub(super) fn sync_name(&self, root: &Digest) -> io::Result<()> {
        let [prefix, ..] = *root.as_bytes();
        sync_directory(&self.prefix_path(prefix))
    }

    pub(super) fn open_shard(&self, root: &Digest) -> io::Result<File> {
        File::open(self.shard_path(root))
    }

    /// The length of the file of `root`, if there is one.
    pub(super) fn shard_bytes(&self, root: &Digest) -> io::Result<Option<u64>> {
        match fs::metadata(self.shard_path(root)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the file of `root` has `bytes` bytes that hash to `root`. A missing file is not sound, and neither
    /// is one the disk cannot read.
    ///
    /// # Errors
    /// The file is there but cannot be opened: permissions, or no file descriptor left. That says nothing
    /// about its contents, so no claim may be withdrawn for it.
    pub(super) fn is_sound(&self, root: &Digest, bytes: u64) -> io::Result<bool> {
        let file = match self.open_shard(root) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        Ok(file.metadata()?.len() == bytes && hash(file).is_ok_and(|actual| actual == *root))
    }

    /// Shows every file under `shards/` to `visit`: its root if its name is one and it lies where it belongs, its
    /// path, its length in bytes.
    pub(super) fn for_each_shard(
        &self,
        mut visit: impl FnMut(Option<Digest>, PathBuf, u64) -> io::Result<()>,
    ) -> io::Result<()> {
        for prefix in 0..=u8::MAX {
            for entry in fs::read_dir(self.prefix_path(prefix))? {
                let entry = entry?;
                let path = entry.path();
                let root = entry.file_name().to_str().and_then(|name| name.parse::<Digest>().ok());
                let root = root.filter(|root| self.shard_path(root) == path);
                let bytes = entry.metadata()?.len();
                visit(root, path, bytes)?;
            }
        }
        Ok(())
    }

    /// Bytes an ordinary user can still write to the file system.
    pub(super) fn free_bytes(&self) -> io::Result<u64> {
        let status = rustix::fs::statvfs(&self.shards)?;
        Ok(status.f_bavail.saturating_mul(status.f_frsize))
    }

    pub(super) fn directory(&self) -> &Path {
        &self.shards
    }
}

fn hash(mut file: File) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = match file.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let Some(part) = buffer.get(..count).filter(|part| !part.is_empty()) else {
            return Ok(Digest::from_bytes(*hasher.finalize().as_bytes()));
        };
        hasher.update(part);
    }
}

fn create_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
