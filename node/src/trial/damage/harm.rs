//! Ways to damage a register: a small ransomware, a careless administrator, a broken disk.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::cli::Failure;
use crate::cli::demo::register::sql;

const BLOCK_BYTES: usize = 4_096;

pub(super) type Harm = fn(&Path) -> Result<(), Failure>;

/// Each by name, done to a folder with a register and scanned documents.
pub(super) const HARMS: [(&str, Harm); 10] = [
    ("all_files_encrypted_in_place", |dir| for_each_file(dir, |path| encrypt(path, 1, 0))),
    ("register_encrypted_in_place", |dir| encrypt(&register(dir), 1, 0)),
    ("register_encrypted_behind_its_header", |dir| encrypt(&register(dir), 1, 1)),
    ("every_second_page_encrypted", |dir| encrypt(&register(dir), 2, 1)),
    ("every_eighth_page_encrypted", |dir| encrypt(&register(dir), 8, 1)),
    ("files_encrypted_under_other_names", |dir| for_each_file(dir, encrypt_to_another_name)),
    ("a_table_dropped", |dir| execute(dir, "DROP TABLE owners")),
    ("a_table_emptied", |dir| execute(dir, "DELETE FROM parcels")),
    ("register_truncated", |dir| truncate(&register(dir))),
    ("scans_deleted", |dir| {
        let scans = dir.join("scans");
        fs::remove_dir_all(&scans).map_err(|error| Failure::file(&scans, &error))
    }),
];

/// What cannot be told from work: text that gives way to other text, and a little at a time.
pub(super) const LIMITS: [(&str, Harm); 2] = [
    ("every_text_overwritten_with_digits", |dir| {
        execute(
            dir,
            "UPDATE parcels SET boundary = hex(randomblob(length(boundary) / 2)), address = hex(randomblob(8))",
        )
    }),
    ("every_fiftieth_page_encrypted", |dir| encrypt(&register(dir), 50, 1)),
];

fn register(dir: &Path) -> PathBuf {
    dir.join("land.db")
}

fn execute(dir: &Path, text: &str) -> Result<(), Failure> {
    let connection = Connection::open(register(dir)).map_err(sql)?;
    connection.execute_batch("PRAGMA foreign_keys = OFF").map_err(sql)?;
    connection.execute_batch(text).map_err(sql)?;
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").map_err(sql)
}

fn truncate(path: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::file(path, &error);
    let file = File::options().write(true).open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    file.set_len(bytes / 2).map_err(failed)
}

fn for_each_file(dir: &Path, harm: impl Fn(&Path) -> Result<(), Failure>) -> Result<(), Failure> {
    // All names first: harm makes others.
    let entries: Vec<_> = walkdir::WalkDir::new(dir).into_iter().filter_map(Result::ok).collect();
    entries.iter().filter(|entry| entry.file_type().is_file()).try_for_each(|entry| harm(entry.path()))
}

/// Encrypts every `step`th block of a file from block `first` on, where it lies.
fn encrypt(path: &Path, step: usize, first: usize) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::file(path, &error);
    let file = File::options().read(true).write(true).open(path).map_err(failed)?;
    let bytes = usize::try_from(file.metadata().map_err(failed)?.len()).unwrap_or(usize::MAX);
    let mut stream = blake3::Hasher::new_derive_key("legation trial ransomware").finalize_xof();
    let (mut block, mut key) = (vec![0; BLOCK_BYTES], vec![0; BLOCK_BYTES]);
    for number in (first..bytes.div_ceil(BLOCK_BYTES)).step_by(step) {
        let at = (number * BLOCK_BYTES) as u64;
        let count = file.read_at(&mut block, at).map_err(failed)?;
        stream.fill(&mut key);
        block.iter_mut().zip(&key).for_each(|(byte, key)| *byte ^= key);
        file.write_all_at(block.get(..count).unwrap_or_default(), at).map_err(failed)?;
    }
    Ok(())
}

fn encrypt_to_another_name(path: &Path) -> Result<(), Failure> {
    encrypt(path, 1, 0)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".locked");
    fs::rename(path, name).map_err(|error| Failure::file(path, &error))
}

/// Copies a folder into one that is not there yet.
pub(super) fn copy_folder(from: &Path, to: &Path) -> Result<(), Failure> {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.map_err(Failure::unexpected)?;
        let path = to.join(entry.path().strip_prefix(from).map_err(Failure::unexpected)?);
        let copied =
            if entry.file_type().is_dir() { fs::create_dir(&path) } else { fs::copy(entry.path(), &path).map(drop) };
        copied.map_err(|error| Failure::file(&path, &error))?;
    }
    Ok(())
}
