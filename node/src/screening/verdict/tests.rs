//! Each rule at its bound, and the days on which none may speak.

use protocol::document::Suspicion::{self, ChangeRate, Compressibility, Entropy, PageStructure, Size};

use super::*;
use crate::connector::page_format::PageCounts;

const MIB: u64 = 1 << 20;

fn portion(mib: u64, compressed_percent: u64, entropy_millibits: u64) -> Portion {
    let bytes = mib * MIB;
    let random_bytes = if compressed_percent >= 100 { bytes } else { 0 };
    Portion { bytes, sealed_bytes: bytes * compressed_percent / 100, random_bytes, entropy_millibits }
}

/// A register of 100 MiB of text in pages, of which 2 were changed today.
fn register() -> Profile {
    Profile {
        all: portion(100, 30, 5_200),
        fresh: portion(2, 30, 5_200),
        pages: PageCounts { written: 12_800, sound: 12_800, ..PageCounts::default() },
        is_comparable: true,
    }
}

fn found(accepted: &[Profile], now: &Profile) -> Vec<Suspicion> {
    judge(accepted, now).into_iter().map(|finding| finding.suspicion).collect()
}

fn against_register(change: impl FnOnce(&mut Profile)) -> Vec<Suspicion> {
    let mut now = register();
    change(&mut now);
    found(&[register()], &now)
}

#[test]
fn ordinary_days_are_not_suspicious() {
    assert_eq!(against_register(|_now| {}), []);
    // A year-end batch rewrites every row, and the text stays text.
    assert_eq!(against_register(|now| now.fresh = now.all), []);
    // A bulk load of scanned images: much comes, nothing goes.
    assert_eq!(
        against_register(|now| {
            now.all = portion(300, 75, 7_900);
            now.fresh = portion(200, 100, 7_990);
        }),
        []
    );
    // A purge of a tenth, and no more.
    assert_eq!(against_register(|now| now.all = portion(90, 30, 5_200)), []);
    // The first snapshot, and one of almost nothing.
    assert_eq!(found(&[], &register()), []);
    let small = Profile { all: portion(0, 30, 5_200), ..register() };
    assert_eq!(found(&[small], &Profile { all: portion(5, 100, 8_000), fresh: portion(5, 100, 8_000), ..small }), []);
}

#[test]
fn encryption_in_place_is_seen_by_what_takes_the_place_of_text() {
    let encrypted = |mib| {
        move |now: &mut Profile| {
            now.fresh = portion(mib, 100, 7_990);
            now.all.sealed_bytes += mib * MIB * 70 / 100;
        }
    };
    assert_eq!(against_register(encrypted(100)), [Entropy, Compressibility]);
    assert_eq!(against_register(encrypted(5)), [Entropy, Compressibility]);
    assert_eq!(against_register(encrypted(4)), [], "less than a twentieth: a limit");
    // Every other block of a page: half random, half text.
    assert_eq!(against_register(|now| now.fresh = portion(80, 62, 7_300)), [Compressibility]);
    assert_eq!(against_register(|now| now.fresh = portion(80, 54, 7_300)), []);
    // Written as text, base 64.
    assert_eq!(against_register(|now| now.fresh = portion(80, 76, 6_000)), [Compressibility]);
}

/// A home that lost its index, or a new placement: all is stored anew, and all of it is as it was.
#[test]
fn what_is_not_known_is_not_taken_for_fresh() {
    let anew = |now: &mut Profile| {
        now.is_comparable = false;
        now.fresh = now.all;
    };
    assert_eq!(against_register(anew), []);
    let scans = Profile { all: portion(100, 100, 7_980), fresh: portion(100, 100, 7_980), ..register() };
    assert_eq!(found(&[scans, scans], &Profile { is_comparable: false, ..scans }), []);
    let encrypted = |now: &mut Profile| {
        now.is_comparable = false;
        now.all = portion(100, 100, 7_990);
        now.fresh = now.all;
    };
    assert_eq!(against_register(encrypted), [Entropy, Compressibility]);
}

#[test]
fn what_is_gone_is_seen_by_size_and_by_pages() {
    assert_eq!(against_register(|now| now.all = portion(89, 30, 5_200)), [Size]);
    // A dropped table of SQLite: the file is as large as before, and its pages are free.
    let dropped = |now: &mut Profile| {
        now.pages.listed_free = 2_000;
        now.pages.free_bytes = 2_000 * 8_192;
    };
    assert_eq!(against_register(dropped), [Size, PageStructure]);
    assert_eq!(against_register(|now| now.pages.sound = 11_520), []);
    assert_eq!(against_register(|now| now.pages.sound = 11_519), [PageStructure]);
    assert_eq!(against_register(|now| now.pages.broken = 128), []);
    assert_eq!(against_register(|now| now.pages.broken = 129), [PageStructure]);
    // Rows that overflow their pages go: of a thousand pages of trees and fifty thousand that overflow, a few are free.
    let overflowing = |listed_free| Profile {
        pages: PageCounts { written: 51_000, sound: 1_000, listed_free, ..PageCounts::default() },
        ..register()
    };
    assert_eq!(found(&[overflowing(0)], &overflowing(1_000)), []);
    assert_eq!(found(&[overflowing(1_000)], &overflowing(12_000)), [PageStructure]);
    // Gone altogether.
    let empty =
        Profile { all: Portion::default(), fresh: Portion::default(), pages: PageCounts::default(), ..register() };
    assert_eq!(found(&[register()], &empty), [Size, PageStructure]);
}

/// Scanned documents do not compress, encrypted or not.
#[test]
fn what_never_compressed_is_seen_by_being_rewritten_as_never_before() {
    let scans = |mib| Profile {
        all: portion(100, 100, 7_980),
        fresh: portion(mib, 100, 7_980),
        pages: PageCounts::default(),
        is_comparable: true,
    };
    let first = Profile { is_comparable: false, ..scans(100) };
    assert_eq!(found(&[first, scans(3)], &scans(50)), [ChangeRate]);
    assert_eq!(found(&[first, scans(3)], &scans(49)), []);
    // A dump that is compressed as a whole is another one every day; one in a week is known after a week.
    assert_eq!(found(&[first, scans(25), scans(3)], &scans(100)), []);
    // Growth is not: a third came, and nothing went.
    let grown = Profile { all: portion(150, 100, 7_980), fresh: portion(50, 100, 7_980), ..scans(50) };
    let rewritten = Profile { all: grown.all, ..scans(100) };
    assert_eq!(found(&[first, scans(3), grown], &rewritten), [ChangeRate]);
    // Nothing is known of what is usual, or of what was there before.
    assert_eq!(found(&[first], &scans(100)), []);
    assert_eq!(found(&[first, scans(3)], &Profile { is_comparable: false, ..scans(100) }), []);
}

#[test]
fn figures_say_what_was_and_what_is() {
    let mut now = register();
    now.fresh = portion(80, 100, 7_990);
    (now.pages.broken, now.pages.sound) = (10_000, 2_800);
    let figures: Vec<String> = judge(&[register()], &now).into_iter().map(|finding| finding.figures).collect();
    assert_eq!(
        figures,
        [
            "80 % were rewritten with 7.99 bits of entropy a byte, the accepted snapshot has 5.20",
            "80 % were rewritten and compress to 100 % of their size, the accepted snapshot to 30 %",
            "12800 pages of databases are in use and 2800 look like it, where 12800 and 12800 did; 10000 are broken",
        ]
    );
}
