//! A database in use is captured at one moment: whole, consistent, the same bytes where nothing changed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::connector::page_format::PageFormat;
use crate::connector::tests::drain;

struct Register {
    dir: tempfile::TempDir,
    path: PathBuf,
}

impl Register {
    fn new(journal_mode: &str, rows: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("register.db");
        let connection = Connection::open(&path).unwrap();
        connection.query_row(&format!("PRAGMA journal_mode={journal_mode}"), [], |_row| Ok(())).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE account (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL);
                 INSERT INTO account VALUES (1, 500), (2, 500);
                 CREATE TABLE parcel (id INTEGER PRIMARY KEY, owner TEXT NOT NULL);",
            )
            .unwrap();
        connection.execute_batch("BEGIN").unwrap();
        for id in 0..rows {
            connection.execute("INSERT INTO parcel VALUES (?1, ?2)", (id, format!("{id:0400}"))).unwrap();
        }
        connection.execute_batch("COMMIT").unwrap();
        Self { dir, path }
    }

    fn options(&self) -> CaptureOptions {
        CaptureOptions { sqlite_busy_ms: 5_000, sqlite_check: true, ..CaptureOptions::new(self.dir.path()) }
    }

    fn capture(&self) -> (Entry, Vec<u8>) {
        let capture = SqliteCapture::open(&self.path, &self.options()).unwrap();
        let (mut entries, summary) = drain(Box::new(capture)).unwrap();
        assert_eq!((entries.len(), summary.notes.len()), (1, 0));
        entries.remove(0)
    }
}

/// Opens captured bytes as a database, checks it, and gives the sum that every transaction keeps.
fn check_restored(contents: &[u8]) -> i64 {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("restored.db");
    fs::write(&path, contents).unwrap();
    let connection = Connection::open(&path).unwrap();
    let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    connection.query_row("SELECT sum(amount) FROM account", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_database_is_captured_consistently_while_others_write() {
    for journal_mode in ["wal", "delete"] {
        let register = Register::new(journal_mode, 40_000);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let connection = Connection::open(&register.path).unwrap();
                connection.busy_timeout(Duration::from_secs(20)).unwrap();
                connection.execute_batch("PRAGMA synchronous=OFF").unwrap();
                let mut written = 0_u32;
                while !stop.load(Ordering::Relaxed) {
                    let moved = written % 7 + 1;
                    let transfer = format!(
                        "BEGIN IMMEDIATE;
                         UPDATE account SET amount = amount - {moved} WHERE id = 1;
                         UPDATE parcel SET owner = owner || '-' WHERE id = {written};
                         UPDATE account SET amount = amount + {moved} WHERE id = 2;
                         COMMIT;"
                    );
                    connection.execute_batch(&transfer).unwrap();
                    written += 1;
                }
                written
            });
            for _snapshot in 0..5 {
                let (entry, contents) = register.capture();
                assert_eq!(entry.kind, EntryKind::File { bytes_hint: Some(contents.len() as u64) });
                assert_eq!(check_restored(&contents), 1000, "{journal_mode}");
            }
            stop.store(true, Ordering::Relaxed);
            assert!(writer.join().unwrap() > 0, "{journal_mode}: the writer wrote");
        });
    }
}

#[test]
fn what_is_only_in_the_wal_is_captured() {
    let register = Register::new("wal", 10);
    let connection = Connection::open(&register.path).unwrap();
    connection.execute_batch("PRAGMA wal_autocheckpoint=0; UPDATE account SET amount = 900 WHERE id = 1").unwrap();
    assert!(!fs::read(register.path.with_extension("db-wal")).unwrap().is_empty());
    assert_eq!(check_restored(&register.capture().1), 1400);
}

#[test]
fn pages_that_nobody_touched_are_the_same_in_the_next_snapshot() {
    for journal_mode in ["wal", "delete"] {
        let register = Register::new(journal_mode, 5_000);
        let (entry, first) = register.capture();
        assert_eq!(entry.cut, CutHint::Pages { unit_bytes: 4096, format: PageFormat::Sqlite { page_bytes: 4096 } });
        assert_eq!(entry.path, "register.db");
        assert_eq!(first.len() % 4096, 0);
        let (_entry, again) = register.capture();
        assert!(first == again, "{journal_mode}: nothing changed");
        let connection = Connection::open(&register.path).unwrap();
        connection.execute_batch("UPDATE parcel SET owner = 'the state' WHERE id = 2500").unwrap();
        drop(connection);
        let (_entry, second) = register.capture();
        let changed = first.chunks(4096).zip(second.chunks(4096)).filter(|(old, new)| old != new).count();
        assert!((1..=3).contains(&changed), "{journal_mode}: {changed} pages for one row");
    }
}

#[test]
fn a_lock_that_is_not_given_up_is_an_error_after_the_limit() {
    let register = Register::new("delete", 10);
    let writer = Connection::open(&register.path).unwrap();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let options = CaptureOptions { sqlite_busy_ms: 200, ..register.options() };
    let error = SqliteCapture::open(&register.path, &options).unwrap_err();
    assert!(matches!(error, CaptureError::Busy { waited_ms: 200.., .. }), "{error}");
    writer.execute_batch("ROLLBACK").unwrap();
    assert_eq!(check_restored(&register.capture().1), 1000);
}

#[test]
fn a_damaged_database_is_named() {
    let register = Register::new("delete", 5_000);
    let mut bytes = fs::read(&register.path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    fs::write(&register.path, bytes).unwrap();
    let error = SqliteCapture::open(&register.path, &register.options()).unwrap_err();
    assert!(matches!(error, CaptureError::Damaged { .. }), "{error}");
}

#[test]
fn the_copy_has_no_name_while_it_is_read_and_nothing_is_left_beside_the_database() {
    let register = Register::new("wal", 100);
    let scratch = tempfile::tempdir().unwrap();
    let options = CaptureOptions { sqlite_check: true, ..CaptureOptions::new(scratch.path()) };
    let mut capture = SqliteCapture::open(&register.path, &options).unwrap();
    capture.next_entry().unwrap().unwrap();
    assert!(capture.read(&mut [0; 100]).unwrap() > 0);
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    let beside: Vec<_> = fs::read_dir(register.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside, ["register.db"], "{beside:?}");
}

#[test]
fn leftover_copies_are_removed_and_nothing_else() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("legation-capture-abc"), "x").unwrap();
    fs::write(scratch.path().join("other"), "x").unwrap();
    assert_eq!(remove_leftover_copies(scratch.path()).unwrap(), 1);
    assert!(scratch.path().join("other").exists());
}
