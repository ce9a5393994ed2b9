//! What the machines of a node must not forget, in one crash-safe file.
//!
//! The sans-IO machines say what to keep as `(kind, key, value)` records and get all records back at the
//! next start. [`MachineState::append`] is one durable transaction: after a crash either all records of a
//! call are there or none. Nothing here understands the bytes.
//!
//! A kind is append-only unless its newest record is all that counts: the same key with other bytes is refused, so a
//! fault elsewhere in the node cannot rewrite a signed document that was once kept.
//!
//! # Layout
//! One redb table `records`, key `(kind: u8, key: bytes)`, value bytes.

use std::path::Path;

use redb::{ReadableTable, TableDefinition};

use crate::redb_file::{RedbFile, RedbFileError};

const RECORDS: TableDefinition<'_, (u8, &[u8]), &[u8]> = TableDefinition::new("records");
const KIND: &str = "legation machine state";
const SCHEMA: u64 = 1;
const CACHE_BYTES: usize = 16 << 20;
/// A record's value in bytes at the most (64 MiB): a manifest of a huge first snapshot still fits.
pub const VALUE_BYTES_MAX: usize = 64 << 20;

/// What a record is. The number is on disk and never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// A charter of the chain.
    Charter = 1,
    /// A manifest.
    Manifest = 2,
    /// This site's sealed share of a snapshot key, of its newest epoch; empty if it was erased.
    Share = 3,
    /// A receipt, given or received.
    Receipt = 4,
    /// A release order that was presented.
    Order = 5,
    /// A notice to officials: something that must not be forgotten by whoever is on duty.
    Notice = 6,
    /// A proof that two manifests conflict.
    Fork = 7,
    /// A message that is still to be delivered; the one kind that may be removed.
    Outbox = 8,
    /// The newest inventory of a site for a database.
    Inventory = 9,
    /// The newest report of an auditor.
    AuditReport = 10,
    /// An answer that proves a loss.
    Fault = 11,
    /// The certificate of an epoch of shares.
    Epoch = 12,
    /// Where the site stands in the agreement on the next one.
    Agreement = 13,
    /// The snapshots of a database that were let go.
    Expiry = 14,
    /// A moment by the clock of retention.
    Retention = 15,
    /// An official's veto.
    Veto = 16,
    /// What the snapshots of a database look like, at home.
    Profiles = 17,
}

impl RecordKind {
    /// Whether a record may take the place of an earlier one of the same key.
    const fn is_replaced(self) -> bool {
        matches!(
            self,
            Self::Share
                | Self::Outbox
                | Self::Inventory
                | Self::AuditReport
                | Self::Epoch
                | Self::Agreement
                | Self::Expiry
                | Self::Retention
                | Self::Profiles
        )
    }
}

/// One record to keep.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// What it is.
    pub kind: RecordKind,
    /// Its name among its kind; records come back in the order of these bytes.
    pub key: &'a [u8],
    /// The bytes to keep.
    pub value: &'a [u8],
}

/// A record as it comes back: `(key, value)`.
pub type StoredRecord = (Vec<u8>, Vec<u8>);

/// The records are not kept; none of them.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// An append-only record exists with other bytes.
    #[error("{kind:?} record {}: exists with other bytes, and is append-only", hex::encode(key))]
    Conflict {
        /// What it is.
        kind: RecordKind,
        /// Its name.
        key: Vec<u8>,
    },
    /// The value is longer than [`VALUE_BYTES_MAX`].
    #[error("{kind:?} record of {actual} bytes: at most {VALUE_BYTES_MAX} are kept")]
    TooLong {
        /// What it is.
        kind: RecordKind,
        /// Its length in bytes.
        actual: usize,
    },
    /// The file cannot be written. The process must stop: its memory now knows more than its disk.
    #[error(transparent)]
    Storage(#[from] RedbFileError),
}

/// The open file.
#[derive(Debug)]
pub struct MachineState {
    file: RedbFile,
}

impl MachineState {
    /// Opens or creates the file at `path`.
    ///
    /// # Errors
    /// In use by another process, of another kind, of a newer schema, or unreadable.
    pub fn open(path: &Path) -> Result<Self, RedbFileError> {
        let file = RedbFile::open(path, KIND, SCHEMA, CACHE_BYTES)?;
        file.write(|transaction| {
            drop(transaction.open_table(RECORDS)?);
            Ok(())
        })?;
        Ok(Self { file })
    }

    /// Keeps `records` in one transaction. A record that is there already with the same bytes is fine.
    ///
    /// # Errors
    /// As [`AppendError`]; then none of the records is kept.
    pub fn append(&self, records: &[Record<'_>]) -> Result<(), AppendError> {
        self.append_and_deliver(records, &[])
    }

    /// Keeps `records` and removes the outbox messages named by `delivered`, in one transaction. A
    /// delivered message that is not there is fine: a crash may have come between two attempts.
    ///
    /// # Errors
    /// As [`AppendError`]; then nothing is changed.
    pub fn append_and_deliver(&self, records: &[Record<'_>], delivered: &[&[u8]]) -> Result<(), AppendError> {
        if let Some(long) = records.iter().find(|record| record.value.len() > VALUE_BYTES_MAX) {
            return Err(AppendError::TooLong { kind: long.kind, actual: long.value.len() });
        }
        if records.is_empty() && delivered.is_empty() {
            return Ok(());
        }
        let kept = self.file.write_unless_refused(|transaction| {
            let mut table = transaction.open_table(RECORDS)?;
            for record in records {
                let key = (record.kind as u8, record.key);
                if !record.kind.is_replaced() {
                    let existing = table.get(key)?.map(|value| value.value() == record.value);
                    match existing {
                        None => {}
                        Some(true) => continue,
                        Some(false) => return Ok(Err((record.kind, record.key.to_vec()))),
                    }
                }
                table.insert(key, record.value)?;
            }
            for key in delivered {
                table.remove((RecordKind::Outbox as u8, *key))?;
            }
            Ok(Ok(()))
        })?;
        kept.map_err(|(kind, key)| AppendError::Conflict { kind, key })
    }

    /// The bytes of one record.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn get(&self, kind: RecordKind, key: &[u8]) -> Result<Option<Vec<u8>>, RedbFileError> {
        self.file.read(|transaction| {
            let table = transaction.open_table(RECORDS)?;
            Ok(table.get((kind as u8, key))?.map(|value| value.value().to_vec()))
        })
    }

    /// All records of `kind`, in the order of their keys.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn load(&self, kind: RecordKind) -> Result<Vec<StoredRecord>, RedbFileError> {
        let mut records = Vec::new();
        self.for_each(kind, |key, value| records.push((key.to_vec(), value.to_vec())))?;
        Ok(records)
    }

    /// Shows every record of `kind` to `visit` in the order of their keys, one at a time in memory.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn for_each(&self, kind: RecordKind, mut visit: impl FnMut(&[u8], &[u8])) -> Result<(), RedbFileError> {
        self.file.read(|transaction| {
            let table = transaction.open_table(RECORDS)?;
            let first: (u8, &[u8]) = (kind as u8, &[]);
            let after: (u8, &[u8]) = (kind as u8 + 1, &[]);
            for entry in table.range(first..after)? {
                let (key, value) = entry?;
                visit(key.value().1, value.value());
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
