//! Shards as files of this machine, and the order of operations that makes them durable.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use shard_codec::Digest;

use super::incoming::{create_directory, sync_contents};

#[derive(Debug)]
pub(super) struct Files {
    shards: PathBuf,
}

impl Files {
    /// Creates what is missing, all 256 directories of `shards/` at once: their names are then durable before
    /// the first shard, and a commit has one directory to fsync, not two.
    pub(super) fn create(dir: &Path) -> io::Result<Self> {
        let files = Self { shards: dir.join("shards") };
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

    pub(super) fn directory(&self) -> &Path {
        &self.shards
    }

    fn prefix_path(&self, prefix: u8) -> PathBuf {
        self.shards.join(format!("{prefix:02x}"))
    }

    /// Gives the file at `incoming` the name of `root`.
    pub(super) fn take(&self, incoming: &Path, root: &Digest) -> io::Result<()> {
        fs::rename(incoming, self.shard_path(root))
    }

    /// Makes the names of these under `shards/` durable: once for each directory.
    pub(super) fn settle(&self, roots: &[Digest]) -> io::Result<()> {
        let prefixes: BTreeSet<u8> = roots.iter().filter_map(|root| root.as_bytes().first().copied()).collect();
        prefixes.into_iter().try_for_each(|prefix| sync_directory(&self.prefix_path(prefix)))
    }

    /// Makes a file and its name as durable as a commit would have.
    pub(super) fn adopt(&self, root: &Digest) -> io::Result<()> {
        sync_contents(&File::open(self.shard_path(root))?)?;
        self.settle(&[*root])
    }

    /// Takes the name of `root` away; the bytes that its file had, 0 if there was none.
    pub(super) fn unlink(&self, root: &Digest) -> io::Result<u64> {
        let bytes = self.shard_bytes(root)?;
        bytes.map_or(Ok(0), |bytes| fs::remove_file(self.shard_path(root)).map(|()| bytes))
    }

    /// The length of the file of `root`, if there is one.
    pub(super) fn shard_bytes(&self, root: &Digest) -> io::Result<Option<u64>> {
        match fs::metadata(self.shard_path(root)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The file of `root`, if it is there and has `bytes` bytes.
    ///
    /// # Errors
    /// The file is there but cannot be opened.
    pub(super) fn open_of_length(&self, root: &Digest, bytes: u64) -> io::Result<Option<File>> {
        match File::open(self.shard_path(root)) {
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
}

/// A shard is written once and read again in years: its pages are given back at once, to the next shard instead
/// of driving everything else on the machine out of the page cache.
pub(super) fn uncache(file: &File) {
    // Only advice: a file system that does not take it loses nothing.
    let _unadvised = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}

/// The same for a file of which a few leaves are read: neither a page that is cached nor one that nobody asked for.
pub(super) fn expect_few_reads(file: &File) {
    uncache(file);
    let _unadvised = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Random);
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
