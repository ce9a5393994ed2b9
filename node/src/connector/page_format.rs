//! Which files are rewritten in place, page by page: SQLite databases and PostgreSQL heaps and indexes.
//!
//! Cutting those at page borders finds the unchanged pages again; content-defined cuts do not (see
//! `docs/decisions/`). A wrong guess costs some deduplication and nothing else.

use serde::{Deserialize, Serialize};

use super::CutHint;

/// Bytes of a file's head that [`cut_hint`] looks at.
pub(super) const HEAD_BYTES: usize = 18;
/// SQLite, <https://www.sqlite.org/fileformat.html>, section 1.3.
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// A unit is never smaller: below it the index costs more than the finer cut saves.
const UNIT_BYTES_MIN: u32 = 4096;
/// PostgreSQL's block, unless it was built otherwise.
const POSTGRES_PAGE_BYTES: u32 = 8192;
/// Of each page.
const POSTGRES_HEADER_BYTES: usize = 24;
/// Of the first page.
const SQLITE_HEADER_BYTES: usize = 100;

/// The hint for the file `path` of `bytes` bytes that begins with `head`.
pub(super) fn cut_hint(path: &str, bytes: u64, head: &[u8]) -> CutHint {
    if let Some(cut) = sqlite_cut(head) {
        return cut;
    }
    if bytes > 0 && bytes.is_multiple_of(u64::from(POSTGRES_PAGE_BYTES)) && is_postgres_relation(path) {
        return CutHint::Pages { unit_bytes: POSTGRES_PAGE_BYTES, format: PageFormat::Postgres };
    }
    CutHint::ContentDefined
}

/// How to cut the SQLite database that begins with `head`, if it is one.
pub(super) fn sqlite_cut(head: &[u8]) -> Option<CutHint> {
    let rest = head.strip_prefix(SQLITE_MAGIC)?;
    let page_bytes = match rest {
        [0, 1, ..] => 65_536,
        [high, low, ..] => u32::from(u16::from_be_bytes([*high, *low])),
        _ => return None,
    };
    let is_size = page_bytes.is_power_of_two() && page_bytes >= 512;
    let format = PageFormat::Sqlite { page_bytes };
    is_size.then(|| CutHint::Pages { unit_bytes: page_bytes.max(UNIT_BYTES_MIN), format })
}

/// What the pages of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PageFormat {
    /// PostgreSQL, `src/include/storage/bufpage.h`: heaps, indexes and their maps.
    Postgres,
    /// SQLite, <https://www.sqlite.org/fileformat.html>, section 1.6.
    Sqlite {
        /// From the header.
        page_bytes: u32,
    },
}

/// Pages of database files, by what their own bytes say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageCounts {
    /// All that were ever written.
    pub written: u64,
    /// Of these, pages whose header fits itself.
    pub sound: u64,
    /// Pages whose header does not; only told where every page has one.
    pub broken: u64,
    /// Pages that their database has on its free list.
    pub listed_free: u64,
    /// What is on free lists and in pages that were never written, in bytes.
    pub free_bytes: u64,
}

impl PageCounts {
    /// Pages in use.
    #[must_use]
    pub const fn used(&self) -> u64 {
        self.written.saturating_sub(self.listed_free)
    }

    /// Adds the pages of a whole file of pages of this size. Its free list names no more pages than it has.
    pub fn add_file(&mut self, file: &Self) {
        let listed_free = file.listed_free.min(file.written);
        let free_bytes =
            file.free_bytes.checked_div(file.listed_free).map_or(file.free_bytes, |page| page * listed_free);
        self.written += file.written;
        self.sound += file.sound;
        self.broken += file.broken;
        self.listed_free += listed_free;
        self.free_bytes += free_bytes;
    }
}

impl PageFormat {
    /// Counts the pages in `bytes`, which begin at a page.
    pub fn count(self, bytes: &[u8], counts: &mut PageCounts) {
        match self {
            Self::Postgres => {
                bytes.chunks(POSTGRES_PAGE_BYTES as usize).for_each(|page| count_postgres(page, counts));
            }
            Self::Sqlite { page_bytes } => {
                let page_bytes = usize::try_from(page_bytes).unwrap_or(usize::MAX);
                bytes.chunks(page_bytes).for_each(|page| count_sqlite(page, page_bytes, counts));
            }
        }
    }
}

/// A page of zeroes is one that was never written.
fn count_postgres(page: &[u8], counts: &mut PageCounts) {
    let word = |at: usize| {
        let bytes = page.get(at..at + 2)?.try_into().ok()?;
        Some(usize::from(u16::from_ne_bytes(bytes)))
    };
    let header = (|| Some((word(12)?, word(14)?, word(16)?, word(18)?)))();
    let is_sound = header.is_some_and(|(lower, upper, special, size_and_version)| {
        page.len() == POSTGRES_PAGE_BYTES as usize
            && (POSTGRES_HEADER_BYTES..=upper).contains(&lower)
            && upper <= special
            && special <= POSTGRES_PAGE_BYTES as usize
            && size_and_version & 0xff00 == POSTGRES_PAGE_BYTES as usize
            && (1..=4).contains(&(size_and_version & 0xff))
    });
    if is_sound {
        counts.written += 1;
        counts.sound += 1;
    } else if page.iter().all(|byte| *byte == 0) {
        counts.free_bytes += page.len() as u64;
    } else {
        counts.written += 1;
        counts.broken += 1;
    }
}

/// Pages of overflowing rows and pointers have no header, so no page can be told to be broken.
fn count_sqlite(page: &[u8], page_bytes: usize, counts: &mut PageCounts) {
    let (mut tree, mut offset) = (page, 0);
    if page.starts_with(SQLITE_MAGIC) {
        // Leaves on the free list look as they did in use.
        let free = page.get(36..40).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
        counts.listed_free += u64::from(free);
        counts.free_bytes += u64::from(free) * page_bytes as u64;
        offset = SQLITE_HEADER_BYTES;
        tree = page.get(offset..).unwrap_or_default();
    }
    let word = |at: usize| Some(usize::from(u16::from_be_bytes(tree.get(at..at + 2)?.try_into().ok()?)));
    let header = (|| Some((*tree.first()?, word(3)?, word(5)?)))();
    let is_sound = header.is_some_and(|(kind, cells, content)| {
        let pointers = offset + cells * 2 + if matches!(kind, 2 | 5) { 12 } else { 8 };
        let content = if content == 0 { 65_536 } else { content };
        matches!(kind, 2 | 5 | 10 | 13) && pointers <= content && content <= page_bytes
    });
    counts.written += 1;
    counts.sound += u64::from(is_sound);
}

/// `base/5/16384`, `base/5/16384.1`, `base/5/16384_fsm`, `base/5/16384_vm`, `global/1260`, under any directory.
fn is_postgres_relation(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    let name = parts.next().unwrap_or_default();
    if !parts.any(|part| part == "base" || part == "global" || part.starts_with("PG_")) {
        return false;
    }
    let (name, segment) = name.split_once('.').unwrap_or((name, "0"));
    let relation = name.strip_suffix("_fsm").or_else(|| name.strip_suffix("_vm")).unwrap_or(name);
    [relation, segment].iter().all(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
