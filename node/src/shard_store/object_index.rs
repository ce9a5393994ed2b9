//! Under which name and version each shard lies in object storage: `objects-XXXXXXXX.redb`, named by a digest of the place.
//!
//! # Layout
//! Table `objects`: key the root, 32 bytes; value, integers little-endian: generation u32, length in bytes u64, then the
//! storage's name of the version in UTF-8, nothing if it keeps none.
//!
//! Table `owner`: key `"owner"`; value the site that the place belongs to; key `"version"`: what the storage calls the version of
//! the object that says so.

use std::io;
use std::path::Path;

use redb::{ReadableTable, TableDefinition};
use shard_codec::Digest;

use crate::redb_file::{RedbFile, RedbFileError};

const OWNER: TableDefinition<'_, &str, &str> = TableDefinition::new("owner");
const OBJECTS: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("objects");
const KIND: &str = "legation object index";
const SCHEMA: u64 = 1;
const CACHE_BYTES: usize = 16 << 20;

/// Where one shard lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The part of its name that tells it from its former ones.
    pub(super) generation: u32,
    /// Its length in bytes.
    pub(super) bytes: u64,
    /// What the storage calls this version.
    pub(super) version: Option<String>,
}

#[derive(Debug)]
pub(super) struct ObjectIndex {
    file: RedbFile,
}

fn failed(error: RedbFileError) -> io::Error {
    io::Error::other(error)
}

impl ObjectIndex {
    /// The index of the objects under `url`, in `dir`.
    pub(super) fn open(dir: &Path, url: &str) -> io::Result<Self> {
        let name = format!("objects-{}.redb", Digest::of(url.as_bytes()).short());
        let file = RedbFile::open(&dir.join(name), KIND, SCHEMA, CACHE_BYTES).map_err(failed)?;
        let create = |transaction: &redb::WriteTransaction| {
            drop(transaction.open_table(OBJECTS)?);
            drop(transaction.open_table(OWNER)?);
            Ok(())
        };
        file.write(create).map_err(failed)?;
        Ok(Self { file })
    }

    /// The site that the place belongs to.
    pub(super) fn owner(&self) -> io::Result<Option<String>> {
        self.about_owner("owner")
    }

    /// What the storage calls the version that says so.
    pub(super) fn owner_version(&self) -> io::Result<Option<String>> {
        self.about_owner("version")
    }

    fn about_owner(&self, what: &str) -> io::Result<Option<String>> {
        let found = self.file.read(|transaction| {
            let found = transaction.open_table(OWNER)?.get(what)?;
            Ok(found.map(|found| found.value().to_owned()))
        });
        found.map_err(failed)
    }

    pub(super) fn keep_owner(&self, owner: &str, version: Option<&str>) -> io::Result<()> {
        let keep = |transaction: &redb::WriteTransaction| {
            let mut table = transaction.open_table(OWNER)?;
            table.insert("owner", owner)?;
            if let Some(version) = version {
                table.insert("version", version)?;
            }
            Ok(())
        };
        self.file.write(keep).map_err(failed)
    }

    pub(super) fn get(&self, root: &Digest) -> io::Result<Option<Entry>> {
        let found = self.file.read(|transaction| {
            let objects = transaction.open_table(OBJECTS)?;
            Ok(objects.get(root.as_bytes())?.map(|value| decode(value.value())))
        });
        found.map_err(failed)?.map(|entry| entry.ok_or_else(|| failed(self.file.damaged("object")))).transpose()
    }

    pub(super) fn all(&self) -> io::Result<Vec<(Digest, Entry)>> {
        let found = self.file.read(|transaction| {
            let mut all = Vec::new();
            for entry in transaction.open_table(OBJECTS)?.iter()? {
                let (root, value) = entry?;
                all.push((Digest::from_bytes(root.value()), decode(value.value())));
            }
            Ok(all)
        });
        let damaged = || failed(self.file.damaged("object"));
        found.map_err(failed)?.into_iter().map(|(root, entry)| Ok((root, entry.ok_or_else(damaged)?))).collect()
    }

    pub(super) fn put(&self, root: &Digest, entry: &Entry) -> io::Result<()> {
        let put = |transaction: &redb::WriteTransaction| {
            transaction.open_table(OBJECTS)?.insert(root.as_bytes(), encode(entry).as_slice())?;
            Ok(())
        };
        self.file.write(put).map_err(failed)
    }

    pub(super) fn remove(&self, root: &Digest) -> io::Result<()> {
        let remove = |transaction: &redb::WriteTransaction| {
            transaction.open_table(OBJECTS)?.remove(root.as_bytes())?;
            Ok(())
        };
        self.file.write(remove).map_err(failed)
    }
}

fn encode(entry: &Entry) -> Vec<u8> {
    let mut value = entry.generation.to_le_bytes().to_vec();
    value.extend_from_slice(&entry.bytes.to_le_bytes());
    value.extend_from_slice(entry.version.as_deref().unwrap_or_default().as_bytes());
    value
}

fn decode(value: &[u8]) -> Option<Entry> {
    let (generation, rest) = value.split_first_chunk::<4>()?;
    let (bytes, version) = rest.split_first_chunk::<8>()?;
    let version = std::str::from_utf8(version).ok()?;
    Some(Entry {
        generation: u32::from_le_bytes(*generation),
        bytes: u64::from_le_bytes(*bytes),
        version: (!version.is_empty()).then(|| version.to_owned()),
    })
}
