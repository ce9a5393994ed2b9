//! The files of the store: where they are, and the order of operations that makes them durable.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use shard_codec::Digest;
use shard_codec::shard_tree::{LeafHasher, LeafHashes, leaves};

/// Bytes of one read of a shard.
pub(super) const READ_BYTES: usize = 1 << 20;

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

    /// The same for a file of which a few leaves are read: neither a page that is cached nor one that nobody asked for.
    pub(super) fn expect_few_reads(file: &File) {
        Self::uncache(file);
        let _unadvised = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Random);
    }

    /// Shows every leaf of a shard of `bytes` bytes to `visit`, from the disk; `None` instead of one that it cannot read.
    pub(super) fn for_each_leaf(file: &File, bytes: u64, mut visit: impl FnMut(Range<u64>, Option<&[u8]>)) {
        Self::uncache(file);
        let mut buffer = Vec::new();
        for leaf in leaves(bytes) {
            buffer.resize(usize::try_from(leaf.end - leaf.start).unwrap_or(0), 0);
            let is_read = file.read_exact_at(&mut buffer, leaf.start).is_ok();
            visit(leaf, is_read.then_some(buffer.as_slice()));
        }
        Self::uncache(file);
    }

    /// Makes the name of `root` under `shards/` durable.
    pub(super) fn sync_name(&self, root: &Digest) -> io::Result<()> {
        let [prefix, ..] = *root.as_bytes();
        sync_directory(&self.prefix_path(prefix))
    }

    /// Takes the name of `root` away; the bytes that its file had, 0 if there was none.
    pub(super) fn unlink(&self, root: &Digest) -> io::Result<u64> {
        let bytes = self.shard_bytes(root)?;
        bytes.map_or(Ok(0), |bytes| fs::remove_file(self.shard_path(root)).map(|()| bytes))
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

    /// The hashes of the leaves of `root`, if its file has `bytes` bytes **on the disk** that hash to `root`. A missing
    /// file is not sound, and neither is one the disk cannot read.
    ///
    /// # Errors
    /// The file is there but cannot be opened: permissions, or no file descriptor left. That says nothing
    /// about its contents, so no claim may be withdrawn for it.
    pub(super) fn sound(&self, root: &Digest, bytes: u64) -> io::Result<Option<LeafHashes>> {
        let Some(file) = self.open_of_length(root, bytes)? else {
            return Ok(None);
        };
        Self::uncache(&file);
        let leaves = hash(&file).ok().filter(|leaves| leaves.root() == *root);
        Self::uncache(&file);
        Ok(leaves)
    }

    /// The file of `root`, if it is there and has `bytes` bytes.
    ///
    /// # Errors
    /// As [`Files::sound`].
    pub(super) fn open_of_length(&self, root: &Digest, bytes: u64) -> io::Result<Option<File>> {
        match self.open_shard(root) {
            Ok(file) => Ok((file.metadata()?.len() == bytes).then_some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
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

fn hash(mut file: &File) -> io::Result<LeafHashes> {
    let mut hasher = LeafHasher::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = match file.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let Some(part) = buffer.get(..count).filter(|part| !part.is_empty()) else {
            return Ok(hasher.finish());
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
