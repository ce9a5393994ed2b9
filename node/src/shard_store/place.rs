//! Where shards lie once they are whole: in files of this machine, or as objects of a storage that is rented. Nothing above
//! knows which.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use shard_codec::Digest;
use shard_codec::shard_tree::{LeafHasher, LeafHashes, leaves};

use super::files::{Files, expect_few_reads, uncache};
use super::object_index::Entry;
use super::objects::{Object, Objects};

/// Bytes of one read of a shard.
pub(super) const READ_BYTES: usize = 1 << 20;

/// One of them.
#[derive(Debug)]
pub(super) enum Place {
    Files(Files),
    Objects(Objects),
}

/// A shard on its way to its name.
#[derive(Debug)]
pub(super) enum Prepared {
    File,
    Object(Entry),
}

/// A shard that can be read, range by range.
#[derive(Debug)]
pub(super) enum Readable {
    File(File),
    Object(Object),
}

impl Place {
    /// Where that is, for errors.
    pub(super) fn location(&self) -> PathBuf {
        match self {
            Self::Files(files) => files.directory().to_owned(),
            Self::Objects(objects) => PathBuf::from(objects.url()),
        }
    }

    /// What a shard is called there, for errors.
    pub(super) fn name(&self, root: &Digest) -> PathBuf {
        match self {
            Self::Files(files) => files.shard_path(root),
            Self::Objects(objects) => objects.name(root),
        }
    }

    /// The length of what lies under `root`, if anything does.
    ///
    /// # Errors
    /// It cannot be told; that says nothing about the contents.
    pub(super) fn bytes_of(&self, root: &Digest) -> io::Result<Option<u64>> {
        match self {
            Self::Files(files) => files.shard_bytes(root),
            Self::Objects(objects) => objects.bytes_of(root),
        }
    }

    /// The same, as it was noted: without asking a storage that is far away.
    pub(super) fn bytes_noted(&self, root: &Digest) -> io::Result<Option<u64>> {
        match self {
            Self::Files(files) => files.shard_bytes(root),
            Self::Objects(objects) => objects.bytes_noted(root),
        }
    }

    /// What lies under `root`, if it has `bytes` bytes.
    ///
    /// # Errors
    /// It is there but cannot be opened: permissions, no file descriptor left, no network. That says nothing about its
    /// contents, so no claim may be withdrawn for it.
    pub(super) fn open(&self, root: &Digest, bytes: u64) -> io::Result<Option<Readable>> {
        match self {
            Self::Files(files) => Ok(files.open_of_length(root, bytes)?.map(Readable::File)),
            Self::Objects(objects) => Ok(objects.open_object(root, bytes)?.map(Readable::Object)),
        }
    }

    /// The hashes of the leaves of `root`, if what lies there has `bytes` bytes **in the place itself** that hash to it. What
    /// is missing is not sound, and neither is what the disk cannot read.
    ///
    /// # Errors
    /// As [`Place::open`].
    pub(super) fn sound(&self, root: &Digest, bytes: u64) -> io::Result<Option<LeafHashes>> {
        let Some(readable) = self.open(root, bytes)? else { return Ok(None) };
        Ok(readable.hash(bytes)?.filter(|leaves| leaves.root() == *root))
    }

    /// Does what may be done with the whole file at `incoming` while others commit too: an object is brought to its storage,
    /// under a name that nothing refers to yet.
    pub(super) fn prepare(&self, incoming: &Path, root: &Digest) -> io::Result<Prepared> {
        match self {
            Self::Files(_) => Ok(Prepared::File),
            Self::Objects(objects) => objects.bring(incoming, root).map(Prepared::Object),
        }
    }

    /// What was prepared takes the name of `root`. It is there for every process afterwards, and not before
    /// [`Place::settle`] for good. The caller holds the commit lock.
    pub(super) fn take(&self, prepared: &Prepared, incoming: &Path, root: &Digest) -> io::Result<()> {
        match (self, prepared) {
            (Self::Files(files), _) => files.take(incoming, root),
            (Self::Objects(objects), Prepared::Object(entry)) => objects.take(root, entry),
            (Self::Objects(_), Prepared::File) => Err(io::Error::other("prepared for another place")),
        }
    }

    /// Makes the names of these durable.
    pub(super) fn settle(&self, roots: &[Digest]) -> io::Result<()> {
        match self {
            Self::Files(files) => files.settle(roots),
            Self::Objects(_) => Ok(()), // an object is durable when its storage says that it is there
        }
    }

    /// Removes what is not needed after a commit.
    pub(super) fn tidy(&self, prepared: &Prepared, root: &Digest) {
        if let (Self::Objects(objects), Prepared::Object(entry)) = (self, prepared) {
            // What cannot be removed now costs room, and nothing else.
            let _kept = objects.tidy(root, entry);
        }
    }

    /// Makes what lies under `root` as durable as a commit would have; false if it is not the shard (any more). The caller holds
    /// the commit lock: what was looked at before may have been collected since.
    pub(super) fn adopt(&self, root: &Digest, bytes: u64) -> io::Result<bool> {
        match self {
            Self::Files(files) => {
                files.adopt(root)?;
                Ok(true)
            }
            Self::Objects(objects) => objects.pin(root, bytes),
        }
    }

    /// Takes the name of `root` away; the bytes that were there, 0 if there were none.
    pub(super) fn unlink(&self, root: &Digest) -> io::Result<u64> {
        match self {
            Self::Files(files) => files.unlink(root),
            Self::Objects(objects) => objects.unlink(root),
        }
    }

    /// Shows everything that lies here to `visit`: its root if its name is one and it lies where it belongs, its name, its
    /// length in bytes.
    pub(super) fn for_each(&self, visit: impl FnMut(Option<Digest>, PathBuf, u64) -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::Files(files) => files.for_each_shard(visit),
            Self::Objects(objects) => objects.for_each(visit),
        }
    }
}

impl Readable {
    pub(super) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_exact_at(buffer, offset),
            Self::Object(object) => object.read_exact_at(buffer, offset),
        }
    }

    /// It is read once, from the disk itself, and not again for long: its pages are given back.
    pub(super) fn uncache(&self) {
        if let Self::File(file) = self {
            uncache(file);
        }
    }

    /// The same for one of which a few leaves are read.
    pub(super) fn expect_few_reads(&self) {
        if let Self::File(file) = self {
            expect_few_reads(file);
        }
    }

    /// Shows every leaf of a shard of `bytes` bytes to `visit`, from the place itself; `None` instead of one that cannot be
    /// read there.
    ///
    /// # Errors
    /// The place does not answer, which says nothing about its contents.
    pub(super) fn for_each_leaf(
        &self,
        bytes: u64,
        mut visit: impl FnMut(std::ops::Range<u64>, Option<&[u8]>),
    ) -> io::Result<()> {
        if let Self::Object(object) = self {
            let contents = object.read_all()?;
            for leaf in leaves(bytes) {
                let range = usize::try_from(leaf.start).ok().zip(usize::try_from(leaf.end).ok());
                visit(leaf, range.and_then(|(start, end)| contents.as_ref()?.get(start..end)));
            }
            return Ok(());
        }
        self.uncache();
        let mut buffer = Vec::new();
        for leaf in leaves(bytes) {
            buffer.resize(usize::try_from(leaf.end - leaf.start).unwrap_or(0), 0);
            let is_read = self.read_exact_at(&mut buffer, leaf.start).is_ok();
            visit(leaf, is_read.then_some(buffer.as_slice()));
        }
        self.uncache();
        Ok(())
    }

    /// The hashes of its leaves; `None` if it cannot be read to its end.
    fn hash(&self, bytes: u64) -> io::Result<Option<LeafHashes>> {
        let mut hasher = LeafHasher::new();
        if let Self::Object(object) = self {
            let contents = object.read_all()?;
            return Ok(contents.map(|contents| {
                hasher.update(&contents);
                hasher.finish()
            }));
        }
        self.uncache();
        let (mut buffer, mut offset) = (vec![0; READ_BYTES], 0);
        while offset < bytes {
            let count = usize::try_from(bytes - offset).unwrap_or(usize::MAX).min(READ_BYTES);
            let Some(part) = buffer.get_mut(..count) else { break };
            if self.read_exact_at(part, offset).is_err() {
                return Ok(None);
            }
            hasher.update(part);
            offset += count as u64;
        }
        self.uncache();
        Ok(Some(hasher.finish()))
    }
}
