//! Two databases row by row, and one database against its own invariants. Judges from outside: knows no snapshot.

use std::path::Path;

use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator as _;
use rusqlite::{Connection, OpenFlags};

use super::register::{TABLES, sql};
use crate::cli::Failure;

/// What the comparison of two databases found.
#[derive(Debug)]
pub(super) struct Comparison {
    /// Rows that were compared, of all tables.
    pub(super) rows: u64,
    /// Rows that differ or are missing on either side.
    pub(super) differences: u64,
    /// Whether tables and indexes are defined alike.
    same_schema: bool,
}

impl Comparison {
    pub(super) fn is_identical(&self) -> bool {
        self.same_schema && self.differences == 0 && self.rows > 0
    }
}

fn open(path: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(sql)
}

fn texts(connection: &Connection, query: &str) -> Result<Vec<String>, Failure> {
    let mut query = connection.prepare(query).map_err(sql)?;
    let rows = query.query_map([], |row| row.get(0)).map_err(sql)?;
    rows.collect::<Result<_, _>>().map_err(sql)
}

fn schema(connection: &Connection) -> Result<Vec<String>, Failure> {
    texts(connection, "SELECT type || name || tbl_name || coalesce(sql, '') FROM sqlite_schema ORDER BY name")
}

/// Compares every value of every row of every table.
pub(super) fn compare(reference: &Path, other: &Path) -> Result<Comparison, Failure> {
    let (reference, other) = (open(reference)?, open(other)?);
    let same_schema = schema(&reference)? == schema(&other)?;
    let mut compared = Comparison { rows: 0, differences: 0, same_schema };
    if same_schema {
        for table in TABLES {
            compare_table(&reference, &other, table, &mut compared).map_err(sql)?;
        }
    }
    Ok(compared)
}

/// Walks both tables in the order of their ids, as one merges sorted lists.
fn compare_table(
    reference: &Connection,
    other: &Connection,
    table: &str,
    compared: &mut Comparison,
) -> rusqlite::Result<()> {
    let text = format!("SELECT * FROM {table} ORDER BY id");
    let (mut left, mut right) = (reference.prepare(&text)?, other.prepare(&text)?);
    let columns = left.column_count();
    let (mut left, mut right) = (left.query([])?, right.query([])?);
    left.advance()?;
    right.advance()?;
    loop {
        let (in_left, in_right) = (left.get(), right.get());
        let id = |row: Option<&rusqlite::Row<'_>>| row.map(|row| row.get::<_, i64>(0)).transpose();
        let (left_id, right_id) = (id(in_left)?, id(in_right)?);
        if left_id.is_none() && right_id.is_none() {
            return Ok(());
        }
        let takes_left = left_id.is_some_and(|left| right_id.is_none_or(|right| left <= right));
        let takes_right = right_id.is_some_and(|right| left_id.is_none_or(|left| right <= left));
        let mut same = takes_left && takes_right;
        if let (true, Some(in_left), Some(in_right)) = (same, in_left, in_right) {
            for column in 0..columns {
                same &= in_left.get_ref(column)? == in_right.get_ref(column)?;
            }
        }
        compared.rows += 1;
        compared.differences += u64::from(!same);
        if takes_left {
            left.advance()?;
        }
        if takes_right {
            right.advance()?;
        }
    }
}

/// What contradicts itself in a register: broken pages and indexes, or halves of transactions.
pub(super) fn contradictions(path: &Path) -> Result<Vec<String>, Failure> {
    let connection = open(path)?;
    let mut found = texts(&connection, "PRAGMA integrity_check(10)")?;
    found.retain(|line| line != "ok");
    for (what, query) in [
        (
            "owners whose parcel_count is wrong",
            "SELECT count(*) FROM owners LEFT JOIN (SELECT owner_id, count(*) AS held FROM parcels GROUP BY owner_id) \
             ON owner_id = owners.id WHERE parcel_count <> coalesce(held, 0)",
        ),
        (
            "parcels whose entry_count is wrong",
            "SELECT count(*) FROM parcels LEFT JOIN (SELECT parcel_id, count(*) AS held FROM entries GROUP BY parcel_id) \
             ON parcel_id = parcels.id WHERE entry_count <> coalesce(held, 0)",
        ),
        ("gaps in the journal", "SELECT coalesce(max(id), 0) - count(*) FROM entries"),
    ] {
        let count: i64 = connection.query_row(query, [], |row| row.get(0)).map_err(sql)?;
        if count != 0 {
            found.push(format!("{what}: {count}"));
        }
    }
    Ok(found)
}
