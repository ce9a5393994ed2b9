//! Ordinary days of a register.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::cli::Failure;
use crate::cli::demo::register::{Register, sql};
use crate::trial::source::{Numbers, write_file};

/// What happens on a day, besides the daily work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Day {
    /// Nothing.
    Plain,
    /// Every index is built anew.
    Reindex,
    /// A year-end batch: every parcel is valued anew.
    Batch,
    /// Every row of a table is written anew with another column.
    Migration,
    /// The file is written anew without its free pages.
    Vacuum,
    /// A fifth more entries, and many scanned documents.
    Load,
    /// A twentieth of the entries goes.
    Purge,
}

impl Day {
    /// A month has one of each.
    pub(super) const fn of(number: u64) -> Self {
        match number % 30 {
            3 | 13 | 23 => Self::Reindex,
            5 => Self::Load,
            10 => Self::Batch,
            15 => Self::Purge,
            20 => Self::Vacuum,
            25 => Self::Migration,
            _ => Self::Plain,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Reindex => "reindex",
            Self::Batch => "year_end_batch",
            Self::Migration => "migration",
            Self::Vacuum => "vacuum",
            Self::Load => "bulk_load",
            Self::Purge => "purge",
        }
    }
}

/// A register, documents that were scanned for it, and a compressed export that is another one every day.
pub(super) struct Life {
    dir: PathBuf,
    register: Register,
    numbers: Numbers,
    scans: u64,
    migrations: u64,
}

impl Life {
    pub(super) fn begin(dir: &Path, parcels: u64, scans_mib: u64) -> Result<Self, Failure> {
        let scans = dir.join("scans");
        fs::create_dir_all(&scans).map_err(|error| Failure::file(&scans, &error))?;
        let register = Register::create(&dir.join("land.db"), parcels)?;
        let numbers = Numbers::new(1_918);
        let mut life = Self { dir: dir.to_owned(), register, numbers, scans: 0, migrations: 0 };
        for _scan in 0..scans_mib {
            life.scan()?;
        }
        life.export(0)?;
        life.register.change(1_000)?;
        life.settle()?;
        Ok(life)
    }

    pub(super) fn live(&mut self, day: Day) -> Result<(), Failure> {
        self.register.change(50 + self.numbers.below(2_000) as u64)?;
        self.scan()?;
        self.export(self.scans)?;
        match day {
            Day::Plain => {}
            Day::Reindex => self.batch("REINDEX")?,
            Day::Batch => self.batch("UPDATE parcels SET value_cents = value_cents * 103 / 100")?,
            Day::Migration => {
                self.migrations += 1;
                let column = format!("zone_{}", self.migrations);
                self.batch(&format!(
                    "ALTER TABLE parcels ADD COLUMN {column} TEXT; UPDATE parcels SET {column} = 'zone ' || (id % 17)"
                ))?;
            }
            Day::Vacuum => self.batch("VACUUM")?,
            Day::Load => {
                self.batch(
                    "INSERT INTO entries (parcel_id, seller_id, buyer_id, price_cents, notary) \
                     SELECT id, owner_id, owner_id, value_cents, 'digitized from the books' FROM parcels WHERE id % 5 = 0; \
                     UPDATE parcels SET entry_count = entry_count + 1 WHERE id % 5 = 0",
                )?;
                for _scan in 0..8 {
                    self.scan()?;
                }
            }
            Day::Purge => self.batch("DELETE FROM entries WHERE id % 20 = 7")?,
        }
        self.settle()
    }

    fn batch(&self, text: &str) -> Result<(), Failure> {
        Connection::open(self.register.path()).and_then(|connection| connection.execute_batch(text)).map_err(sql)
    }

    /// All is in the file itself.
    fn settle(&self) -> Result<(), Failure> {
        self.batch("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    fn scan(&mut self) -> Result<(), Failure> {
        self.scans += 1;
        write_file(&self.dir.join(format!("scans/{}.jp2", self.scans)), 1, self.scans).map(drop)
    }

    fn export(&self, day: u64) -> Result<(), Failure> {
        write_file(&self.dir.join("export.csv.gz"), 2, (1 << 32) + day).map(drop)
    }
}
