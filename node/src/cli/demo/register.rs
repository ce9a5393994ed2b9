//! The land register: a SQLite database with owners, parcels and a journal of transfers, and the life in it.
//!
//! Every transaction keeps two invariants, so that a copy torn out of the middle of one is recognized:
//! an owner's `parcel_count` is the number of parcels that name this owner, and a parcel's `entry_count` is the number
//! of journal entries that name this parcel.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags, params};

use super::invention::Inventor;
use crate::cli::Failure;

/// All tables, each with a whole number `id`.
pub(super) const TABLES: [&str; 3] = ["owners", "parcels", "entries"];
/// Rows of one transfer of ownership: a parcel, two owners, a journal entry.
const TRANSFER_ROWS: u64 = 4;
const PAUSE: Duration = Duration::from_millis(3);
const BUSY_WAIT: Duration = Duration::from_secs(10);
const SEED: u64 = 1_918;

const SCHEMA: &str = "
    PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
    CREATE TABLE owners (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, personal_code TEXT NOT NULL, address TEXT NOT NULL,
        email TEXT NOT NULL, parcel_count INTEGER NOT NULL);
    CREATE TABLE parcels (
        id INTEGER PRIMARY KEY, number TEXT NOT NULL, county TEXT NOT NULL, municipality TEXT NOT NULL,
        address TEXT NOT NULL, purpose TEXT NOT NULL, area_m2 INTEGER NOT NULL, value_cents INTEGER NOT NULL,
        owner_id INTEGER NOT NULL REFERENCES owners (id), mortgage_holder TEXT, mortgage_eur INTEGER,
        boundary TEXT NOT NULL, registered TEXT NOT NULL, entry_count INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY, parcel_id INTEGER NOT NULL REFERENCES parcels (id), seller_id INTEGER NOT NULL,
        buyer_id INTEGER NOT NULL, price_cents INTEGER NOT NULL, notary TEXT NOT NULL);
    BEGIN";
const INDEXES: &str = "
    UPDATE owners SET parcel_count = (SELECT count(*) FROM parcels WHERE owner_id = owners.id);
    CREATE UNIQUE INDEX parcels_number ON parcels (number);
    CREATE INDEX owners_name ON owners (name);
    COMMIT;
    PRAGMA journal_mode = WAL";

pub(crate) fn sql(error: rusqlite::Error) -> Failure {
    Failure::unexpected(format!("land register: {error}"))
}

/// The register on the disk of the home.
pub(crate) struct Register {
    path: PathBuf,
    connection: Connection,
    parcels: i64,
    owners: i64,
}

impl Register {
    /// Invents it.
    pub(crate) fn create(path: &Path, parcels: u64) -> Result<Self, Failure> {
        let connection = Connection::open(path).map_err(sql)?;
        connection.execute_batch(SCHEMA).map_err(sql)?;
        let parcels = i64::try_from(parcels).unwrap_or(i64::MAX);
        let owners = parcels * 6 / 10;
        let mut inventor = Inventor::new(SEED);
        fill_owners(&connection, &mut inventor, owners).map_err(sql)?;
        connection.execute_batch("CREATE INDEX parcels_owner ON parcels (owner_id)").map_err(sql)?;
        fill_parcels(&connection, &mut inventor, parcels, owners).map_err(sql)?;
        connection.execute_batch(INDEXES).map_err(sql)?;
        drop(connection);
        let connection = open(path)?;
        Ok(Self { path: path.to_owned(), connection, parcels, owners })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Rows of all tables, and bytes of the database.
    pub(super) fn size(&self) -> Result<(u64, u64), Failure> {
        let number = |query: &str| self.connection.query_row(query, [], |row| row.get::<_, i64>(0)).map_err(sql);
        let pages = number("SELECT page_count FROM pragma_page_count")?;
        let page_bytes = number("SELECT page_size FROM pragma_page_size")?;
        Ok((row_count(&self.connection)?, (pages * page_bytes).cast_unsigned()))
    }

    /// Lets notaries write until [`Notaries::stop`].
    pub(super) fn start_notaries(&self) -> Result<Notaries, Failure> {
        let (connection, parcels, owners) = (open(&self.path)?, self.parcels, self.owners);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut inventor = Inventor::new(SEED + 1);
            let mut transfers = 0;
            while !stopped.load(Ordering::Relaxed) {
                transfer(&connection, &mut inventor, parcels, owners)?;
                transfers += 1;
                std::thread::sleep(PAUSE);
            }
            Ok(transfers)
        });
        Ok(Notaries { stop, thread: Some(thread) })
    }

    /// Changes `rows` rows that lie scattered over the whole register, and says how many it were.
    pub(crate) fn change(&self, rows: u64) -> Result<u64, Failure> {
        let mut inventor = Inventor::new(SEED + 2);
        let mut changed = 0;
        while changed < rows {
            if inventor.between(0, 15) == 0 {
                transfer(&self.connection, &mut inventor, self.parcels, self.owners).map_err(sql)?;
                changed += TRANSFER_ROWS;
            } else {
                let (holder, euros) = inventor.mortgage().unzip();
                let values = params![holder, euros, inventor.between(1, self.parcels)];
                let text = "UPDATE parcels SET mortgage_holder = ?1, mortgage_eur = ?2 WHERE id = ?3";
                self.connection.prepare_cached(text).and_then(|mut query| query.execute(values)).map_err(sql)?;
                changed += 1;
            }
        }
        Ok(changed)
    }

    /// Writes a copy of the register, to compare with later.
    pub(super) fn copy_to(&self, path: &Path) -> Result<(), Failure> {
        let mut copy = Connection::open(path).map_err(sql)?;
        let backup = Backup::new(&self.connection, &mut copy).map_err(sql)?;
        backup.run_to_completion(i32::MAX, Duration::ZERO, None).map_err(sql)
    }

    /// Names, personal codes, numbers, addresses and boundaries that stand in it: `count` of each.
    pub(super) fn sample(&self, count: i64) -> Result<Vec<String>, Failure> {
        let mut texts = Vec::new();
        for (table, column, rows) in [
            ("owners", "name", self.owners),
            ("owners", "personal_code", self.owners),
            ("parcels", "number", self.parcels),
            ("parcels", "address", self.parcels),
            ("parcels", "substr(boundary, 1, 24)", self.parcels),
        ] {
            let text = format!("SELECT {column} FROM {table} WHERE id % ?1 = 1 LIMIT ?2");
            let step = (rows / count.max(1)).max(1);
            let mut query = self.connection.prepare(&text).map_err(sql)?;
            let found = query.query_map(params![step, count], |row| row.get::<_, String>(0)).map_err(sql)?;
            for found in found {
                texts.push(found.map_err(sql)?);
            }
        }
        texts.sort();
        texts.dedup();
        Ok(texts)
    }
}

fn open(path: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sql)?;
    connection.busy_timeout(BUSY_WAIT).map_err(sql)?;
    connection.execute_batch("PRAGMA synchronous = NORMAL").map_err(sql)?;
    Ok(connection)
}

pub(super) fn row_count(connection: &Connection) -> Result<u64, Failure> {
    let count = |table: &&str| {
        let text = format!("SELECT count(*) FROM {table}");
        connection.query_row(&text, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned).map_err(sql)
    };
    TABLES.iter().map(count).sum()
}

fn fill_owners(connection: &Connection, inventor: &mut Inventor, owners: i64) -> rusqlite::Result<()> {
    let mut insert = connection.prepare("INSERT INTO owners VALUES (?1, ?2, ?3, ?4, ?5, 0)")?;
    for id in 1..=owners {
        let owner = inventor.owner(id);
        insert.execute(params![id, owner.name, owner.personal_code, owner.address, owner.email])?;
    }
    Ok(())
}

fn fill_parcels(connection: &Connection, inventor: &mut Inventor, parcels: i64, owners: i64) -> rusqlite::Result<()> {
    let text = "INSERT INTO parcels VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 0)";
    let mut insert = connection.prepare(text)?;
    for id in 1..=parcels {
        let parcel = inventor.parcel(id);
        let (holder, euros) = parcel.mortgage.unzip();
        insert.execute(params![
            id,
            parcel.number,
            parcel.county,
            parcel.municipality,
            parcel.address,
            parcel.purpose,
            parcel.area_m2,
            parcel.value_cents,
            inventor.between(1, owners),
            holder,
            euros,
            parcel.boundary,
            parcel.registered
        ])?;
    }
    Ok(())
}

/// One sale, in one transaction.
fn transfer(connection: &Connection, inventor: &mut Inventor, parcels: i64, owners: i64) -> rusqlite::Result<()> {
    let (parcel, buyer) = (inventor.between(1, parcels), inventor.between(1, owners));
    let (price, notary) = (inventor.between(100_000, 90_000_000), inventor.owner(buyer).name);
    let transaction = rusqlite::Transaction::new_unchecked(connection, rusqlite::TransactionBehavior::Immediate)?;
    let execute = |text: &str, values: &[&dyn rusqlite::ToSql]| transaction.prepare_cached(text)?.execute(values);
    let seller: i64 =
        transaction.query_row("SELECT owner_id FROM parcels WHERE id = ?1", [parcel], |row| row.get(0))?;
    execute("UPDATE owners SET parcel_count = parcel_count - 1 WHERE id = ?1", &[&seller])?;
    execute("UPDATE parcels SET owner_id = ?1, entry_count = entry_count + 1 WHERE id = ?2", &[&buyer, &parcel])?;
    execute(
        "INSERT INTO entries (parcel_id, seller_id, buyer_id, price_cents, notary) VALUES (?1, ?2, ?3, ?4, ?5)",
        &[&parcel, &seller, &buyer, &price, &notary],
    )?;
    execute("UPDATE owners SET parcel_count = parcel_count + 1 WHERE id = ?1", &[&buyer])?;
    transaction.commit()
}

/// Somebody who writes while the backup runs.
pub(super) struct Notaries {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<rusqlite::Result<u64>>>,
}

impl Notaries {
    /// Ends the writing and says how many rows were written.
    pub(super) fn stop(mut self) -> Result<u64, Failure> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().ok_or_else(|| Failure::unexpected("the notaries went home twice"))?;
        let transfers = thread.join().map_err(|_panic| Failure::unexpected("the notaries' thread failed"))?;
        Ok(transfers.map_err(sql)? * TRANSFER_ROWS)
    }
}

impl Drop for Notaries {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Register, SEED, open, transfer};
    use crate::cli::demo::comparison::{compare, contradictions};
    use crate::cli::demo::invention::Inventor;

    #[test]
    fn the_same_register_is_made_again_and_life_in_it_keeps_its_invariants() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("a.db"), folder.path().join("b.db"));
        let register = Register::create(&first, 500).unwrap();
        let twin = Register::create(&second, 500).unwrap();
        assert!(compare(&first, &second).unwrap().is_identical());
        assert_eq!(register.size().unwrap(), twin.size().unwrap());

        let connection = open(&first).unwrap();
        let mut inventor = Inventor::new(SEED + 1);
        (0..50).for_each(|_| transfer(&connection, &mut inventor, 500, 300).unwrap());
        assert!(register.change(40).unwrap() >= 40);
        assert_eq!(contradictions(&first).unwrap(), Vec::<String>::new());
        let compared = compare(&first, &second).unwrap();
        assert!(compared.differences > 50 && !compared.is_identical());

        // Half a transfer is seen.
        connection.execute("UPDATE owners SET parcel_count = parcel_count + 1 WHERE id = 3", []).unwrap();
        assert_eq!(contradictions(&first).unwrap().len(), 1);

        let copy = folder.path().join("copy.db");
        register.copy_to(&copy).unwrap();
        assert!(compare(&first, &copy).unwrap().is_identical());
    }
}
