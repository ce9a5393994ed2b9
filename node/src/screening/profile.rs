//! What the contents of one snapshot look like.

use serde::{Deserialize, Serialize};

use crate::connector::page_format::{PageCounts, PageFormat};

/// Of each so many bytes of a chunk, the frequencies of so many are counted, from the middle.
const BLOCK_BYTES: usize = 64 << 10;
const SAMPLE_BYTES: usize = 256;

/// Some of the chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Portion {
    /// Plaintext, in bytes.
    pub bytes: u64,
    /// The same, compressed and sealed, in bytes.
    pub sealed_bytes: u64,
    /// Plaintext of chunks that do not compress, in bytes.
    pub random_bytes: u64,
    /// Shannon entropy of a byte, in thousandths of a bit: 8,000 for random bytes.
    pub entropy_millibits: u64,
}

/// All chunks of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Every chunk.
    pub all: Portion,
    /// Those that the accepted snapshot does not have.
    pub fresh: Portion,
    /// Pages of database files.
    pub pages: PageCounts,
    /// Whether all that the accepted snapshot has was known, so that what is fresh is.
    pub is_comparable: bool,
}

impl Profile {
    /// Bytes that are in use: free pages of databases are not.
    #[must_use]
    pub const fn used_bytes(&self) -> u64 {
        self.all.bytes.saturating_sub(self.pages.free_bytes)
    }

    /// Bytes that the accepted snapshot has too.
    #[must_use]
    pub const fn kept_bytes(&self) -> u64 {
        self.all.bytes.saturating_sub(self.fresh.bytes)
    }
}

/// Watches chunks go by.
#[derive(Debug, Default)]
pub struct Profiler {
    all: Counting,
    fresh: Counting,
    pages: PageCounts,
    file: PageCounts,
    format: Option<PageFormat>,
    /// The file comes and goes with the work of its database.
    is_passing: bool,
}

#[derive(Debug)]
struct Counting {
    portion: Portion,
    frequencies: [u64; 256],
}

impl Default for Counting {
    fn default() -> Self {
        Self { portion: Portion::default(), frequencies: [0; 256] }
    }
}

impl Profiler {
    /// The next file, and what its pages are.
    pub fn begin_file(&mut self, path: &str, format: Option<PageFormat>) {
        self.pages.add_file(&std::mem::take(&mut self.file));
        self.format = format;
        self.is_passing = is_passing(path);
    }

    /// A chunk of the file, and whether the accepted snapshot has it too.
    pub fn take(&mut self, plaintext: &[u8], sealed_bytes: u32, is_kept: bool) {
        if self.is_passing {
            return;
        }
        self.all.take(plaintext, sealed_bytes);
        if !is_kept {
            self.fresh.take(plaintext, sealed_bytes);
        }
        if let Some(format) = self.format {
            format.count(plaintext, &mut self.file);
        }
    }

    /// What was seen.
    #[must_use]
    pub fn finish(&self, is_comparable: bool) -> Profile {
        let mut pages = self.pages;
        pages.add_file(&self.file);
        Profile { all: self.all.finish(), fresh: self.fresh.finish(), pages, is_comparable }
    }
}

/// Logs of databases, which are as long as the work since they were last cleared.
fn is_passing(path: &str) -> bool {
    let is_log = ["-wal", "-shm", "-journal"].iter().any(|end| path.ends_with(end));
    is_log || path.split('/').any(|part| part == "pg_wal")
}

impl Counting {
    fn take(&mut self, plaintext: &[u8], sealed_bytes: u32) {
        let bytes = plaintext.len() as u64;
        self.portion.bytes += bytes;
        self.portion.sealed_bytes += u64::from(sealed_bytes);
        if u64::from(sealed_bytes) >= bytes {
            self.portion.random_bytes += bytes;
        }
        let samples = plaintext.chunks(BLOCK_BYTES).flat_map(|block| {
            let from = block.len().saturating_sub(SAMPLE_BYTES) / 2;
            block.iter().skip(from).take(SAMPLE_BYTES)
        });
        for byte in samples {
            if let Some(count) = self.frequencies.get_mut(usize::from(*byte)) {
                *count += 1;
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a measure of thousandths")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 8,000")]
    fn finish(&self) -> Portion {
        let total = self.frequencies.iter().sum::<u64>() as f64;
        let of = |count: &u64| {
            let part = *count as f64 / total;
            -part * part.log2()
        };
        let bits: f64 = self.frequencies.iter().filter(|count| **count > 0).map(of).sum();
        Portion { entropy_millibits: (bits * 1_000.0).round() as u64, ..self.portion }
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng as _;

    use super::*;

    #[test]
    fn random_bytes_have_eight_bits_and_text_has_fewer() {
        let (mut rng, mut random) = (crate::entropy::rng(), Profiler::default());
        random.begin_file("scans.zip", None);
        for index in 0..512 {
            let mut bytes = vec![0_u8; 4096];
            rng.fill_bytes(&mut bytes);
            random.take(&bytes, 4096 + 28, index % 2 == 0);
        }
        let random = random.finish(true);
        assert!(random.all.entropy_millibits >= 7_990, "{random:?}");
        assert_eq!((random.all.random_bytes, random.fresh.random_bytes), (512 * 4096, 256 * 4096));
        assert_eq!(random.kept_bytes(), random.all.bytes / 2);
        let mut text = Profiler::default();
        for number in 0..512 {
            let line = format!("Parcel {number}/7, owner Kask, registered on 2026-03-01 by the land register.\n");
            text.take(line.repeat(60).as_bytes(), 700, false);
        }
        let text = text.finish(true);
        assert!(text.all.entropy_millibits < 5_500 && text.all.random_bytes == 0, "{text:?}");
        // One chunk of a MiB is enough to tell.
        let mut large = Profiler::default();
        let mut bytes = vec![0_u8; 1 << 20];
        rng.fill_bytes(&mut bytes);
        large.take(&bytes, 1 << 20, false);
        assert!(large.finish(true).fresh.entropy_millibits >= 7_930);
        // Logs come and go.
        for (path, counts) in [("land.db-wal", false), ("data/pg_wal/00000001", false), ("land.db", true)] {
            let mut profiler = Profiler::default();
            profiler.begin_file(path, None);
            profiler.take(&bytes, 1 << 20, false);
            assert_eq!(profiler.finish(true).all.bytes > 0, counts, "{path}");
        }
        let empty = Profiler::default().finish(true);
        assert_eq!((empty.all, empty.used_bytes()), (Portion::default(), 0));
    }
}
