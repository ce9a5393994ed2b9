//! A redb file is opened once, as what it is, by a version that knows its schema.

use super::*;

fn open(path: &Path, kind: &str, schema: u64) -> Result<RedbFile, RedbFileError> {
    RedbFile::open(path, kind, schema, 1 << 20)
}

#[test]
fn a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.redb");
    drop(open(&path, "state", 2).unwrap());
    let refused = open(&path, "state", 1).unwrap_err();
    assert!(matches!(refused, RedbFileError::NewerSchema { expected: 1, actual: 2, .. }), "{refused}");
    open(&path, "state", 2).unwrap();
}

#[test]
fn another_kind_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.redb");
    drop(open(&path, "state", 1).unwrap());
    assert!(matches!(open(&path, "index", 1).unwrap_err(), RedbFileError::WrongKind { .. }));
}

#[test]
fn a_second_opener_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.redb");
    let _first = open(&path, "state", 1).unwrap();
    assert!(matches!(open(&path, "state", 1).unwrap_err(), RedbFileError::InUse { .. }));
}
