//! Opens the redb files of a node in one way: bounded cache, one process at a time, schema checked.
//!
//! Three stores use it: [`crate::shard_store`], [`crate::machine_state`] and [`crate::chunk_index`]. Every
//! write is one transaction that is on disk when the call returns.
//!
//! After redb has met an IO error on a file it refuses all further work on it until it is opened again;
//! the process must then stop and start, which is what failing to persist demands anyway.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use redb::{
    Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};

/// `"kind"` and `"schema"` of the file.
const IDENTITY: TableDefinition<'_, &str, &str> = TableDefinition::new("identity");

/// The file cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum RedbFileError {
    /// Another process, or another handle of this one, has the file open.
    #[error("{path}: already in use by another process")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A newer version wrote the file; reading it by the old rules could lose data.
    #[error("{path}: schema {actual}, but this version knows only up to {expected}: use the newer version")]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// The newest schema this version reads.
        expected: u64,
        /// The schema in the file.
        actual: u64,
    },
    /// The file holds something else.
    #[error("{path}: expected {expected}, found {actual}")]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// What the caller wanted.
        expected: String,
        /// What the file says it is.
        actual: String,
    },
    /// A record inside the file does not have its documented layout.
    #[error("{path}: damaged record: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which record, and what is wrong with it.
        what: &'static str,
    },
    /// The disk is full.
    #[error("{path}: no space left on the device")]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// redb failed.
    #[error("{path}: {source}")]
    Storage {
        /// The file.
        path: PathBuf,
        /// redb's reason.
        source: Box<redb::Error>,
    },
}

/// A redb file that is open, with its path for messages.
pub struct RedbFile {
    database: Database,
    path: PathBuf,
}

impl Debug for RedbFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedbFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl RedbFile {
    /// Opens or creates the file at `path`, which holds `kind` in schema `schema`, with a page cache of at
    /// most `cache_bytes`.
    ///
    /// # Errors
    /// In use, of another kind, of a newer schema, or redb fails.
    pub fn open(path: &Path, kind: &str, schema: u64, cache_bytes: usize) -> Result<Self, RedbFileError> {
        let database = match Database::builder().set_cache_size(cache_bytes).create(path) {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(RedbFileError::InUse { path: path.to_owned() }),
            Err(other) => return Err(failure(path, other.into())),
        };
        let file = Self { database, path: path.to_owned() };
        let (actual_kind, actual_schema) = file.write(|transaction| {
            let mut identity = transaction.open_table(IDENTITY)?;
            let known = identity.get("kind")?.map(|value| value.value().to_owned());
            let Some(actual_kind) = known else {
                identity.insert("kind", kind)?;
                identity.insert("schema", schema.to_string().as_str())?;
                return Ok((kind.to_owned(), schema));
            };
            let actual_schema = identity.get("schema")?.and_then(|value| value.value().parse().ok());
            Ok((actual_kind, actual_schema.unwrap_or(u64::MAX)))
        })?;
        if actual_kind != kind {
            return Err(RedbFileError::WrongKind { path: file.path, expected: kind.to_owned(), actual: actual_kind });
        }
        if actual_schema > schema {
            return Err(RedbFileError::NewerSchema { path: file.path, expected: schema, actual: actual_schema });
        }
        Ok(file)
    }

    /// Runs `body` in one transaction, durable when this returns `Ok`; nothing of it stays on `Err`.
    ///
    /// # Errors
    /// What `body` or the commit fails with.
    pub fn write<R>(&self, body: impl FnOnce(&WriteTransaction) -> Result<R, redb::Error>) -> Result<R, RedbFileError> {
        let run = || {
            let transaction = self.database.begin_write()?;
            let result = body(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        run().map_err(|error| self.failure(error))
    }

    /// As [`RedbFile::write`], but `body` may refuse: then nothing is written and its refusal is the answer.
    ///
    /// # Errors
    /// The outer one if storage fails, the inner one if `body` refuses.
    pub fn write_unless_refused<R, E>(
        &self,
        body: impl FnOnce(&WriteTransaction) -> Result<Result<R, E>, redb::Error>,
    ) -> Result<Result<R, E>, RedbFileError> {
        let run = || {
            let transaction = self.database.begin_write()?;
            let result = body(&transaction)?;
            if result.is_ok() {
                transaction.commit()?;
            } else {
                transaction.abort()?;
            }
            Ok(result)
        };
        run().map_err(|error| self.failure(error))
    }

    /// Runs `body` on one consistent view.
    ///
    /// # Errors
    /// What `body` fails with.
    pub fn read<R>(&self, body: impl FnOnce(&ReadTransaction) -> Result<R, redb::Error>) -> Result<R, RedbFileError> {
        let run = || body(&self.database.begin_read()?);
        run().map_err(|error| self.failure(error))
    }

    /// The error for a record that does not have its layout.
    #[must_use]
    pub fn damaged(&self, what: &'static str) -> RedbFileError {
        RedbFileError::Damaged { path: self.path.clone(), what }
    }

    fn failure(&self, error: redb::Error) -> RedbFileError {
        failure(&self.path, error)
    }
}

fn failure(path: &Path, error: redb::Error) -> RedbFileError {
    if let redb::Error::Io(io) = &error
        && is_disk_full(io)
    {
        return RedbFileError::DiskFull { path: path.to_owned() };
    }
    RedbFileError::Storage { path: path.to_owned(), source: Box::new(error) }
}

/// Whether the disk, or this user's part of it, is full.
#[must_use]
pub fn is_disk_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests;
