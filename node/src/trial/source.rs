//! What is backed up: files that do not compress, and what they were.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use blake3::Hash;

use crate::cli::Failure;

const STEP_BYTES: usize = 1 << 20;

/// Files and their digests, by name.
pub(super) type Tree = BTreeMap<PathBuf, Hash>;

/// Writes a file that does not compress and is like no other with another seed; gives its digest.
pub(super) fn write_file(path: &Path, mib: u64, seed: u64) -> Result<Hash, Failure> {
    let failed = |error: std::io::Error| Failure::file(path, &error);
    let mut stream = blake3::Hasher::new().update(b"a source for trials").update(&seed.to_be_bytes()).finalize_xof();
    let (mut file, mut hasher, mut buffer) =
        (File::create(path).map_err(failed)?, blake3::Hasher::new(), vec![0; STEP_BYTES]);
    for _step in 0..mib {
        stream.fill(&mut buffer);
        hasher.update(&buffer);
        file.write_all(&buffer).map_err(failed)?;
    }
    Ok(hasher.finalize())
}

/// Writes so many MiB into a new folder, in files of at most 64 MiB; gives what they are.
pub(super) fn write_folder(dir: &Path, mib: u64, seed: u64) -> Result<Tree, Failure> {
    fs::create_dir_all(dir).map_err(|error| Failure::file(dir, &error))?;
    let mut tree = Tree::new();
    for number in 0..mib.div_ceil(64) {
        let name = PathBuf::from(format!("part-{number}.bin"));
        let digest = write_file(&dir.join(&name), (mib - number * 64).min(64), seed.wrapping_mul(1 << 20) + number)?;
        tree.insert(name, digest);
    }
    Ok(tree)
}

/// What the files of a folder are now.
pub(super) fn read_folder(dir: &Path) -> Result<Tree, Failure> {
    let mut tree = Tree::new();
    for entry in walkdir::WalkDir::new(dir) {
        let entry = entry.map_err(Failure::unexpected)?;
        if entry.file_type().is_file() {
            let mut hasher = blake3::Hasher::new();
            let failed = |error: std::io::Error| Failure::file(entry.path(), &error);
            hasher.update_reader(File::open(entry.path()).map_err(failed)?).map_err(failed)?;
            let name = entry.path().strip_prefix(dir).map_err(Failure::unexpected)?;
            tree.insert(name.to_owned(), hasher.finalize());
        }
    }
    Ok(tree)
}

/// Numbers that a seed draws: the same again with the same seed.
pub(super) struct Numbers(blake3::OutputReader);

impl Numbers {
    pub(super) fn new(seed: u64) -> Self {
        Self(blake3::Hasher::new().update(b"numbers of a trial").update(&seed.to_be_bytes()).finalize_xof())
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        usize::try_from(u32::from_be_bytes(bytes)).unwrap_or_default() % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::{read_folder, write_file, write_folder};

    #[test]
    fn what_was_written_is_what_is_read_and_a_flipped_bit_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let written = write_folder(dir.path(), 66, 7).unwrap();
        assert_eq!(written.len(), 2);
        assert_eq!(read_folder(dir.path()).unwrap(), written);
        write_file(&dir.path().join("part-1.bin"), 2, 9).unwrap();
        assert_ne!(read_folder(dir.path()).unwrap(), written);
    }
}
