//! `sqlite:` a consistent snapshot of an SQLite database while others write to it.
//!
//! SQLite's online backup API (<https://www.sqlite.org/backup.html>) makes a private copy, which is then
//! read like any file, cut at page borders. The copy holds every page where the database has it - no
//! `VACUUM`, no dump - so a page nobody touched has the same bytes in every snapshot and is found again.
//!
//! **Writers.** In WAL mode one step copies everything from one read transaction; writers go on. In the
//! rollback modes the copy goes in small steps with a pause, so that writers get their turn; every write
//! makes SQLite start again, so after [`RESTARTS_MAX`] restarts one step copies the rest under one read
//! lock, and writers wait for that long. A lock held by a writer is waited for, up to
//! [`CaptureOptions::sqlite_busy_ms`] without a page copied.
//!
//! **Locks.** On Unix a process that closes *any* descriptor of a file loses all its locks on that file. So
//! the database itself is opened by SQLite alone, here and anywhere else in this process: never capture the
//! same database by `dir:` or `file:` at the same time.
//!
//! **The copy** is plaintext: it is created in the scratch directory with mode 0600 and loses its name as
//! soon as it is complete, so nothing of it survives this process once it is being read. Killed during the copying, it
//! leaves a file `legation-capture-*` that [`remove_leftover_copies`] removes. It is not overwritten:
//! on a modern disk that proves nothing. The scratch directory must be as well protected as the database.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::page_format::{HEAD_BYTES, sqlite_cut};
use super::reading::{file_name, modified_ms, permission_bits, read_some};
use super::{Capture, CaptureError, CaptureOptions, CaptureSummary, CutHint, Entry, EntryKind};
use crate::clock::Monotonic;

/// How often writers may make the copy start again before it takes the rest in one step.
pub const RESTARTS_MAX: u32 = 3;
const EXPECTED: &str = "SQLite database";
/// One page of the smallest size SQLite knows.
const DATABASE_BYTES_MIN: u64 = 512;
const COPY_PREFIX: &str = "legation-capture-";
const STEP_PAGES: i32 = 2048;
const ALL_PAGES: i32 = -1;
const PAUSE: Duration = Duration::from_millis(2);
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// The copy of a database being read.
#[derive(Debug)]
pub struct SqliteCapture {
    copy: File,
    entry: Option<Entry>,
    summary: CaptureSummary,
    database: std::path::PathBuf,
}

impl SqliteCapture {
    /// Copies the database at `path` and opens the copy.
    ///
    /// # Errors
    /// Nothing there, no SQLite database, locked for too long, damaged (with
    /// [`CaptureOptions::sqlite_check`]), or no room in the scratch directory.
    pub fn open(path: &Path, options: &CaptureOptions) -> Result<Self, CaptureError> {
        let name = file_name(path)?;
        let metadata = fs::metadata(path).map_err(|source| CaptureError::io(path, source))?;
        if !metadata.is_file() {
            return Err(CaptureError::WrongKind { path: path.to_owned(), expected: EXPECTED });
        }
        // SQLite would take it for an empty database.
        if (1..DATABASE_BYTES_MIN).contains(&metadata.len()) {
            return Err(CaptureError::WrongKind { path: path.to_owned(), expected: EXPECTED });
        }
        let scratch_error = |source| CaptureError::io(&options.scratch_dir, source);
        let scratch =
            tempfile::Builder::new().prefix(COPY_PREFIX).tempfile_in(&options.scratch_dir).map_err(scratch_error)?;
        copy(path, scratch.path(), options)?;
        #[cfg(feature = "test-hooks")]
        crate::fault_point::FaultPoint::ScratchCopy.pass();
        if options.sqlite_check {
            check(path, scratch.path())?;
        }
        let copy = File::open(scratch.path()).map_err(scratch_error)?;
        scratch.close().map_err(scratch_error)?;
        let bytes = copy.metadata().map_err(scratch_error)?.len();
        let mut head = [0; HEAD_BYTES];
        let cut = if copy.read_exact_at(&mut head, 0).is_ok() { sqlite_cut(&head) } else { None };
        let entry = Entry {
            path: name,
            kind: EntryKind::File { bytes_hint: Some(bytes) },
            mode: permission_bits(&metadata),
            modified_ms: modified_ms(&metadata),
            cut: cut.unwrap_or(CutHint::ContentDefined),
        };
        Ok(Self { copy, entry: Some(entry), summary: CaptureSummary::default(), database: path.to_owned() })
    }
}

impl Capture for SqliteCapture {
    fn next_entry(&mut self) -> Result<Option<Entry>, CaptureError> {
        let entry = self.entry.take();
        self.summary.entries += u64::from(entry.is_some());
        Ok(entry)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, CaptureError> {
        if self.entry.is_some() {
            return Ok(0);
        }
        let count = read_some(&mut self.copy, buffer)
            .map_err(|source| CaptureError::Io { path: self.database.clone(), source })?;
        self.summary.bytes += count as u64;
        Ok(count)
    }

    fn finish(self: Box<Self>) -> Result<CaptureSummary, CaptureError> {
        Ok(self.summary)
    }
}

/// Removes copies that a killed process left in `scratch_dir`, and says how many. Call it when no capture runs.
///
/// # Errors
/// The directory cannot be read or a copy cannot be removed.
pub fn remove_leftover_copies(scratch_dir: &Path) -> Result<u64, CaptureError> {
    let failed = |source| CaptureError::io(scratch_dir, source);
    let mut removed = 0;
    for entry in fs::read_dir(scratch_dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().as_bytes().starts_with(COPY_PREFIX.as_bytes()) {
            fs::remove_file(entry.path()).map_err(failed)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Opens the database so that nothing is left beside it. With a WAL there, somebody uses it, and it is opened
/// for reading alone. Without one it is opened as any of its users would, because a WAL that a reader has
/// SQLite make is not removed by that reader. Each falls back to the other: a journal may have to be rolled
/// back, or the file may be read-only.
fn open_database(path: &Path) -> Result<Connection, rusqlite::Error> {
    let open = |access| {
        let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_PAUSE)?;
        // Opening reads nothing; this does. A lock is no reason to open it in another way.
        match connection.query_row("PRAGMA schema_version", [], |row| row.get::<_, i64>(0)) {
            Err(error) if !is_busy(&error) => Err(error),
            _ => Ok(connection),
        }
    };
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let (first, second) = if Path::new(&wal).exists() {
        (OpenFlags::SQLITE_OPEN_READ_ONLY, OpenFlags::SQLITE_OPEN_READ_WRITE)
    } else {
        (OpenFlags::SQLITE_OPEN_READ_WRITE, OpenFlags::SQLITE_OPEN_READ_ONLY)
    };
    open(first).or_else(|_refused| open(second))
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked))
}

fn copy(path: &Path, copy_path: &Path, options: &CaptureOptions) -> Result<(), CaptureError> {
    let failed = |source| CaptureError::Sqlite { path: path.to_owned(), source };
    let database = open_database(path).map_err(|source| match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => {
            CaptureError::WrongKind { path: path.to_owned(), expected: EXPECTED }
        }
        _ => failed(source),
    })?;
    let journal = database.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0));
    let is_wal = journal.is_ok_and(|mode| mode.eq_ignore_ascii_case("wal"));
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(copy_path, flags).map_err(failed)?;
    // Nobody else sees the copy, and one that is not complete is thrown away.
    target.execute_batch("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;").map_err(failed)?;
    let backup = Backup::new(&database, &mut target).map_err(failed)?;

    let mut step_pages = if is_wal { ALL_PAGES } else { STEP_PAGES };
    let mut restarts = 0;
    let mut remaining_pages = i32::MAX;
    let mut waiting = Monotonic::start();
    loop {
        match backup.step(step_pages).map_err(failed)? {
            StepResult::Done => return Ok(()),
            StepResult::More => {
                waiting = Monotonic::start();
                let remaining = backup.progress().remaining;
                // Each step leaves fewer pages, unless a writer made SQLite begin again.
                restarts += u32::from(remaining >= remaining_pages);
                remaining_pages = remaining;
                if restarts >= RESTARTS_MAX {
                    step_pages = ALL_PAGES;
                } else {
                    thread::sleep(PAUSE);
                }
            }
            StepResult::Busy | StepResult::Locked | _ => {
                let waited_ms = waiting.elapsed_ms();
                if waited_ms >= options.sqlite_busy_ms {
                    return Err(CaptureError::Busy { path: path.to_owned(), waited_ms });
                }
                thread::sleep(BUSY_PAUSE);
            }
        }
    }
}

/// `PRAGMA quick_check` of the copy, which is opened as immutable: no lock, journal or WAL file beside it.
fn check(path: &Path, copy_path: &Path) -> Result<(), CaptureError> {
    let failed = |source| CaptureError::Sqlite { path: path.to_owned(), source };
    let escaped: String = copy_path.as_os_str().as_bytes().iter().map(|byte| format!("%{byte:02x}")).collect();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags).map_err(failed)?;
    let detail = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)).map_err(failed)?;
    if detail == "ok" { Ok(()) } else { Err(CaptureError::Damaged { path: path.to_owned(), detail }) }
}

#[cfg(test)]
mod tests;
