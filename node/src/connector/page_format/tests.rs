//! Page files are recognised by what they are and where they lie.

use super::*;

fn sqlite_head(high: u8, low: u8) -> Vec<u8> {
    let mut head = SQLITE_MAGIC.to_vec();
    head.extend([high, low]);
    head
}

#[test]
fn sqlite_databases_are_recognised_by_their_head() {
    for (high, low, expected) in [(2, 0, 4096), (0x10, 0, 4096), (0x20, 0, 8192), (0, 1, 65_536)] {
        let hint = cut_hint("any/name", 12_345, &sqlite_head(high, low));
        assert!(matches!(hint, CutHint::Pages { unit_bytes, .. } if unit_bytes == expected), "{hint:?}");
    }
    for (high, low) in [(0, 0), (0, 64), (0x10, 1)] {
        assert_eq!(cut_hint("any/name", 12_345, &sqlite_head(high, low)), CutHint::ContentDefined);
    }
    assert_eq!(cut_hint("any/name", 12_345, SQLITE_MAGIC), CutHint::ContentDefined);
}

#[test]
fn postgresql_relations_are_recognised_by_their_path() {
    let pages = CutHint::Pages { unit_bytes: 8192, format: PageFormat::Postgres };
    let relations =
        ["base/5/16384", "base/5/16384.1", "data/base/5/16384_fsm", "base/5/16384_vm", "global/1260", "base/5/1_fsm.2"];
    for path in relations {
        assert_eq!(cut_hint(path, 81_920, &[]), pages, "{path}");
    }
    for path in ["base/5/PG_VERSION", "global/pg_control", "16384", "other/16384", "base/5/16384.", "base/5/_fsm"] {
        assert_eq!(cut_hint(path, 81_920, &[]), CutHint::ContentDefined, "{path}");
    }
    assert_eq!(cut_hint("base/5/16384", 81_921, &[]), CutHint::ContentDefined);
    assert_eq!(cut_hint("base/5/16384", 0, &[]), CutHint::ContentDefined);
}

/// A real database, its pages counted as a backup would.
fn counts_of(path: &std::path::Path) -> PageCounts {
    let bytes = std::fs::read(path).unwrap();
    let Some(CutHint::Pages { format, unit_bytes }) = sqlite_cut(&bytes) else { return PageCounts::default() };
    let mut counts = PageCounts::default();
    bytes.chunks(unit_bytes as usize).for_each(|unit| format.count(unit, &mut counts));
    counts
}

#[test]
fn pages_of_a_dropped_table_are_free_and_pages_of_noise_are_not_sound() {
    for page_bytes in [1_024, 4_096, 65_536] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("land.db");
        let database = rusqlite::Connection::open(&path).unwrap();
        database
            .execute_batch(&format!(
                "PRAGMA page_size = {page_bytes}; CREATE TABLE parcel (id INTEGER PRIMARY KEY, text)"
            ))
            .unwrap();
        database.execute_batch("CREATE TABLE owner (id INTEGER PRIMARY KEY, text)").unwrap();
        for table in ["parcel", "owner"] {
            let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)";
            database.execute_batch(&format!("{rows} INSERT INTO {table} SELECT i, 'row number ' || i FROM n")).unwrap();
        }
        let pragma = |name: &str| {
            let count: i64 = database.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).unwrap();
            u64::try_from(count).unwrap()
        };
        let pages = pragma("page_count");
        let full = counts_of(&path);
        assert_eq!((full.used(), full.listed_free, full.free_bytes), (pages, 0, 0), "of {page_bytes}");
        database.execute_batch("DROP TABLE owner").unwrap();
        let half = counts_of(&path);
        let free = pragma("freelist_count");
        assert_eq!((half.listed_free, half.free_bytes), (free, free * page_bytes));
        assert!(half.used().abs_diff(full.used() / 2) <= full.used() / 10 + 2, "{half:?} of {full:?}");
        // Its header may say what it likes: a file has no more free pages than pages.
        let (mut all, mut boasting) =
            (full, PageCounts { written: 3, listed_free: 1_000_000, ..PageCounts::default() });
        boasting.free_bytes = boasting.listed_free * page_bytes;
        all.add_file(&boasting);
        assert_eq!((all.used(), all.free_bytes), (full.used(), 3 * page_bytes));
        // Encrypted behind its header, hardly a page looks like one.
        let mut bytes = std::fs::read(&path).unwrap();
        let key = shard_codec::Digest::of(&bytes);
        for (index, byte) in bytes.iter_mut().enumerate().skip(100) {
            *byte ^= shard_codec::Digest::of(&[key.as_bytes().as_slice(), &(index / 32).to_be_bytes()].concat())
                .as_bytes()[index % 32];
        }
        std::fs::write(&path, bytes).unwrap();
        assert!(counts_of(&path).sound <= full.sound / 20 + 1, "of {page_bytes}");
    }
}

#[test]
fn postgresql_pages_are_sound_empty_or_broken() {
    let mut page = vec![0_u8; 8192];
    let put = |page: &mut [u8], at: usize, word: u16| page[at..at + 2].copy_from_slice(&word.to_ne_bytes());
    for (at, word) in [(12, 40), (14, 8_000), (16, 8_192), (18, 0x2004)] {
        put(&mut page, at, word);
    }
    let counts = |page: &[u8]| {
        let mut counts = PageCounts::default();
        PageFormat::Postgres.count(page, &mut counts);
        (counts.sound, counts.broken, counts.free_bytes)
    };
    assert_eq!(counts(&page), (1, 0, 0));
    assert_eq!(counts(&vec![0; 16_384]), (0, 0, 16_384));
    // Never written, and not in use.
    // The start of the free space, its end, the special space, the size: each must fit.
    for (at, word) in [(12, 23), (12, 8_001), (14, 8_193), (16, 8_193), (16, 7_999), (18, 0x2005), (18, 0x1004)] {
        let mut bad = page.clone();
        put(&mut bad, at, word);
        assert_eq!(counts(&bad), (0, 1, 0), "{word} at {at}");
    }
    assert_eq!(counts(&page[..20]), (0, 1, 0), "a torn one");
}
