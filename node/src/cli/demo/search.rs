//! Looking for plaintext on a disk: many needles at once, in every file of a folder, across all buffer borders.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use aho_corasick::AhoCorasick;

use crate::cli::Failure;

/// Every SQLite database begins with it.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";
/// Shorter needles would be found by chance in some gigabytes of sealed bytes.
const NEEDLE_BYTES_MIN: usize = 8;
const FRAGMENT_BYTES: usize = 24;
const FRAGMENTS: u64 = 128;
/// A fragment with fewer different bytes may be empty space of a page.
const DIFFERENT_BYTES_MIN: usize = 12;

/// What is looked for.
pub(super) struct Needles {
    automaton: AhoCorasick,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) bytes: u64,
    pub(super) hits: u64,
    /// Hits by file, to tell where.
    pub(super) files: BTreeMap<String, u64>,
}

impl Needles {
    /// `texts` in UTF-8 and in both orders of UTF-16, the header of SQLite, and `fragments` of pages as they are.
    pub(super) fn new(texts: &[String], fragments: Vec<Vec<u8>>) -> Result<Self, Failure> {
        let mut needles = fragments;
        needles.push(SQLITE_MAGIC.to_vec());
        for text in texts.iter().filter(|text| text.len() >= NEEDLE_BYTES_MIN) {
            needles.push(text.as_bytes().to_vec());
            needles.push(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
            needles.push(text.encode_utf16().flat_map(u16::to_be_bytes).collect());
        }
        let automaton = AhoCorasick::new(needles).map_err(Failure::unexpected)?;
        Ok(Self { automaton })
    }

    pub(super) fn count(&self) -> usize {
        self.automaton.patterns_len()
    }

    /// Searches one stream.
    fn search(&self, stream: impl std::io::Read) -> std::io::Result<u64> {
        let mut hits = 0;
        for hit in self.automaton.stream_find_iter(stream) {
            hit?;
            hits += 1;
        }
        Ok(hits)
    }

    /// Searches every file below `folder`.
    pub(super) fn search_folder(&self, folder: &Path) -> Result<Found, Failure> {
        let mut found = Found::default();
        for entry in walkdir::WalkDir::new(folder) {
            let entry = entry.map_err(Failure::unexpected)?;
            if !entry.file_type().is_file() {
                continue;
            }
            let failed = |error: std::io::Error| Failure::file(entry.path(), &error);
            let file = File::open(entry.path()).map_err(failed)?;
            found.bytes += file.metadata().map_err(failed)?.len();
            let hits = self.search(file.take(u64::MAX)).map_err(failed)?;
            found.hits += hits;
            if hits > 0 {
                found.files.insert(entry.path().display().to_string(), hits);
            }
        }
        Ok(found)
    }
}

/// Pieces of a database's pages, from all over the file.
pub(super) fn page_fragments(database: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let failed = |error: std::io::Error| Failure::file(database, &error);
    let file = File::open(database).map_err(failed)?;
    let step = file.metadata().map_err(failed)?.len() / (FRAGMENTS + 1);
    let mut fragments = Vec::new();
    for position in 1..=FRAGMENTS {
        let mut window = [0; 1024];
        let filled = file.read_at(&mut window, position * step).map_err(failed)?;
        let pieces = window.get(..filled).unwrap_or_default().chunks_exact(FRAGMENT_BYTES);
        let telling = |piece: &&[u8]| {
            let different: std::collections::BTreeSet<_> = piece.iter().collect();
            different.len() >= DIFFERENT_BYTES_MIN
        };
        fragments.extend(pieces.into_iter().find(telling).map(<[u8]>::to_vec));
    }
    Ok(fragments)
}

#[cfg(test)]
mod tests {
    use super::{Needles, page_fragments};

    const NAME: &str = "T\u{f5}nis P\u{f5}ldsepp";

    fn needles() -> Needles {
        Needles::new(&[NAME.to_owned(), "12345:001:0001".to_owned()], vec![vec![7; 24]]).unwrap()
    }

    /// A stream that gives a few bytes at a time.
    struct Trickle<'a>(&'a [u8], usize);

    impl std::io::Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.1.min(buffer.len()).min(self.0.len());
            let (now, later) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    #[test]
    fn needles_are_found_wherever_a_buffer_ends() {
        let utf16: Vec<u8> = NAME.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let planted = [NAME.as_bytes(), b"12345:001:0001", b"SQLite format 3\0", &utf16, &[7; 24]];
        for needle in planted {
            for start in [0, 1, 65_520, 65_530, 65_535, 65_536, 131_060, 262_140] {
                let mut disk = vec![0xa5_u8; 300_000];
                disk[start..start + needle.len()].copy_from_slice(needle);
                assert_eq!(needles().search(disk.as_slice()).unwrap(), 1, "at {start}");
                assert_eq!(needles().search(Trickle(&disk, 7)).unwrap(), 1, "at {start}, trickling");
            }
        }
        assert_eq!(needles().search([0xa5_u8; 300_000].as_slice()).unwrap(), 0);
    }

    #[test]
    fn a_folder_is_searched_to_its_bottom_and_hits_name_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("store/shards/ab");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(folder.path().join("clean"), [1; 5_000]).unwrap();
        std::fs::write(deep.join("dirty"), format!("..{NAME}..{NAME}..")).unwrap();
        let found = needles().search_folder(folder.path()).unwrap();
        assert_eq!((found.hits, found.files.len()), (2, 1));
        assert!(found.files.keys().all(|path| path.ends_with("ab/dirty")));
        assert_eq!(found.bytes, 5_000 + 6 + 2 * NAME.len() as u64);
    }

    #[test]
    fn fragments_of_pages_are_telling() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut bytes = vec![0_u8; 400_000];
        bytes[200_000..].iter_mut().enumerate().for_each(|(i, byte)| *byte = u8::try_from(i % 251).unwrap());
        std::fs::write(file.path(), &bytes).unwrap();
        let fragments = page_fragments(file.path()).unwrap();
        assert!((60..=66).contains(&fragments.len()), "{}", fragments.len());
        assert!(fragments.iter().all(|fragment| fragment.len() == 24 && fragment[0] != fragment[1]));
    }
}
