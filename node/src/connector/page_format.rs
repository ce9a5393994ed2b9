//! Which files are rewritten in place, page by page: SQLite databases and PostgreSQL heaps and indexes.
//!
//! Cutting those at page borders finds the unchanged pages again; content-defined cuts do not (see
//! `docs/decisions/`). A wrong guess costs some deduplication and nothing else.

use super::CutHint;

/// Bytes of a file's head that [`cut_hint`] looks at.
pub(super) const HEAD_BYTES: usize = 18;
/// SQLite, <https://www.sqlite.org/fileformat.html>, section 1.3.
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// A unit is never smaller: below it the index costs more than the finer cut saves.
const UNIT_BYTES_MIN: u32 = 4096;
/// PostgreSQL's block, unless it was built otherwise.
const POSTGRES_PAGE_BYTES: u32 = 8192;

/// The hint for the file `path` of `bytes` bytes that begins with `head`.
pub(super) fn cut_hint(path: &str, bytes: u64, head: &[u8]) -> CutHint {
    if let Some(unit_bytes) = sqlite_unit_bytes(head) {
        return CutHint::Pages { unit_bytes };
    }
    if bytes > 0 && bytes.is_multiple_of(u64::from(POSTGRES_PAGE_BYTES)) && is_postgres_relation(path) {
        return CutHint::Pages { unit_bytes: POSTGRES_PAGE_BYTES };
    }
    CutHint::ContentDefined
}

/// The unit of the SQLite database that begins with `head`, if it is one.
pub(super) fn sqlite_unit_bytes(head: &[u8]) -> Option<u32> {
    let rest = head.strip_prefix(SQLITE_MAGIC)?;
    let page_bytes = match rest {
        [0, 1, ..] => 65_536,
        [high, low, ..] => u32::from(u16::from_be_bytes([*high, *low])),
        _ => return None,
    };
    (page_bytes.is_power_of_two() && page_bytes >= 512).then(|| page_bytes.max(UNIT_BYTES_MIN))
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
