//! Append-only is append-only, a call is all or nothing, and what was kept comes back.

use super::*;

fn record<'a>(kind: RecordKind, key: &'a [u8], value: &'a [u8]) -> Record<'a> {
    Record { kind, key, value }
}

fn open(dir: &tempfile::TempDir) -> MachineState {
    MachineState::open(&dir.path().join("machine.redb")).unwrap()
}

#[test]
fn records_come_back_after_a_restart_by_kind_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(&dir);
    let records = [
        record(RecordKind::Receipt, b"2", b"second"),
        record(RecordKind::Receipt, b"1", b"first"),
        record(RecordKind::Order, b"1", b"other kind"),
        record(RecordKind::Manifest, b"\xff\xff", b"neighbour"),
    ];
    state.append(&records).unwrap();
    drop(state);
    let state = open(&dir);
    let receipts = state.load(RecordKind::Receipt).unwrap();
    assert_eq!(receipts, [(b"1".to_vec(), b"first".to_vec()), (b"2".to_vec(), b"second".to_vec())]);
    assert_eq!(state.load(RecordKind::Share).unwrap(), []);
    assert_eq!(state.get(RecordKind::Order, b"1").unwrap().unwrap(), b"other kind");
}

#[test]
fn an_append_only_record_is_never_overwritten_and_the_whole_call_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(&dir);
    let kinds = [
        RecordKind::Charter,
        RecordKind::Manifest,
        RecordKind::Receipt,
        RecordKind::Order,
        RecordKind::Notice,
        RecordKind::Fork,
    ];
    for kind in kinds {
        state.append(&[record(kind, b"key", b"first")]).unwrap();
        state.append(&[record(kind, b"key", b"first")]).unwrap();
        let refused = state.append(&[record(kind, b"innocent", b"new"), record(kind, b"key", b"second")]);
        assert!(matches!(refused.unwrap_err(), AppendError::Conflict { key, .. } if key == b"key"));
        assert_eq!(state.load(kind).unwrap(), [(b"key".to_vec(), b"first".to_vec())], "{kind:?}");
    }
}

#[test]
fn the_outbox_alone_is_replaced_and_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(&dir);
    state.append(&[record(RecordKind::Outbox, b"a", b"1"), record(RecordKind::Receipt, b"a", b"kept")]).unwrap();
    state.append(&[record(RecordKind::Outbox, b"a", b"2")]).unwrap();
    assert_eq!(state.get(RecordKind::Outbox, b"a").unwrap().unwrap(), b"2");
    state.append_and_deliver(&[], &[b"a", b"never there"]).unwrap();
    assert_eq!(state.load(RecordKind::Outbox).unwrap(), []);
    assert_eq!(state.get(RecordKind::Receipt, b"a").unwrap().unwrap(), b"kept");
}

#[test]
fn a_refused_call_delivers_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(&dir);
    state.append(&[record(RecordKind::Outbox, b"a", b"1"), record(RecordKind::Manifest, b"s", b"1")]).unwrap();
    state.append_and_deliver(&[record(RecordKind::Manifest, b"s", b"2")], &[b"a"]).unwrap_err();
    assert!(state.get(RecordKind::Outbox, b"a").unwrap().is_some());
}
