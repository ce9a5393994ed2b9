//! The crash table of the module above, row by row; and what must not be stored is not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use super::fault::Fault;
use super::writer::CommitStep;
use super::*;

pub(super) const DATABASE: &str = "land-register";

pub(super) fn contents(number: u8) -> Vec<u8> {
    (0..100_000_u32).map(|index| index.to_le_bytes()[usize::from(number) % 2] ^ number).collect()
}

pub(super) fn request(contents: &[u8]) -> PutRequest {
    PutRequest {
        root: Digest::of(contents),
        bytes: contents.len() as u64,
        database: DATABASE.to_owned(),
        quota_bytes: u64::MAX,
        stripe_number: 7,
        shard_index: ShardIndex::new(2),
    }
}

pub(super) fn open(dir: &tempfile::TempDir) -> (ShardStore, OpenReport) {
    ShardStore::open_with(dir.path(), small_reserve()).unwrap()
}

fn small_reserve() -> StoreOptions {
    StoreOptions { reserve_bytes: 0, ..StoreOptions::default() }
}

pub(super) fn receive(store: &ShardStore, contents: &[u8]) -> Result<IncomingShard, PutError> {
    let Put::Writer(mut shard) = store.begin(request(contents))? else { panic!("already stored") };
    for part in contents.chunks(30_000) {
        shard.write(part)?;
    }
    Ok(shard)
}

pub(super) fn put(store: &ShardStore, contents: &[u8]) -> Result<(), PutError> {
    receive(store, contents)?.commit()
}

pub(super) fn is_stored(store: &ShardStore, contents: &[u8]) -> bool {
    matches!(store.begin(request(contents)).unwrap(), Put::AlreadyStored)
}

pub(super) fn files_in(path: &Path) -> usize {
    fs::read_dir(path).unwrap().count()
}

pub(super) fn shard_path(store: &ShardStore, contents: &[u8]) -> PathBuf {
    store.inner.place.name(&Digest::of(contents))
}

/// Changes one bit of the file at `path`, as a disk would.
pub(super) fn rot(path: &Path) {
    rot_at(path, &[50_000]);
}

pub(super) fn rot_at(path: &Path, positions: &[usize]) {
    let mut bytes = fs::read(path).unwrap();
    positions.iter().for_each(|position| bytes[*position] ^= 1);
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(path, bytes).unwrap();
}

pub(super) fn fault(store: &ShardStore) -> &Fault {
    &store.inner.fault
}

#[test]
fn a_stored_shard_reads_back_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, report) = open(&dir);
    assert_eq!(report, OpenReport::default());
    let (one, two) = (contents(1), contents(2));
    put(&store, &one).unwrap();
    put(&store, &two).unwrap();
    drop(store);
    let (store, report) = open(&dir);
    assert_eq!(report, OpenReport::default());
    let root = Digest::of(&one);
    assert_eq!(store.read(&root).unwrap(), one);
    assert_eq!(store.read_range(&root, 99_990, 10).unwrap(), one[99_990..]);
    assert!(matches!(store.read_range(&root, 99_990, 11).unwrap_err(), ReadError::Range { shard_bytes: 100_000, .. }));
    assert!(matches!(store.read_range(&root, u64::MAX, 11).unwrap_err(), ReadError::Range { .. }));
    assert_eq!(store.verify(&root).unwrap(), Verification::Verified);
    assert!(is_stored(&store, &one));
    assert_eq!((store.count(), store.stored_bytes(DATABASE), store.stored_bytes("other")), (2, 200_000, 0));
    let absent = Digest::of(b"absent");
    assert_eq!(store.missing(&[absent, root]).unwrap(), [absent]);
    assert!(matches!(store.read(&absent).unwrap_err(), ReadError::Absent { .. }));
    let entries = store.entries(None, 10).unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(store.entries(Some(&entries[0].root), 10).unwrap(), entries[1..]);
    assert_eq!(store.entries(None, 1).unwrap(), entries[..1]);
    assert_eq!(store.entry(&root).unwrap().unwrap().shard_index, ShardIndex::new(2));
    assert_eq!(fs::metadata(shard_path(&store, &one)).unwrap().permissions().mode() & 0o777, 0o400);
}

#[test]
fn a_second_opener_is_refused_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _report) = open(&dir);
    assert!(matches!(ShardStore::open(dir.path()).unwrap_err(), OpenError::InUse { .. }));
    // A shard on its way keeps the store, and with it the lock.
    let shard = receive(&store, &contents(1)).unwrap();
    drop(store);
    assert!(matches!(ShardStore::open(dir.path()).unwrap_err(), OpenError::InUse { .. }));
    drop(shard);
    open(&dir);
}

#[test]
fn a_crash_before_the_rename_leaves_nothing_but_a_leftover() {
    let dir = tempfile::tempdir().unwrap();
    let one = contents(1);
    let (store, _report) = open(&dir);
    fault(&store).crash_after(CommitStep::ContentsSynced);
    put(&store, &one).unwrap_err();
    assert_eq!(files_in(&dir.path().join("incoming")), 1);
    drop(store);
    let (store, report) = open(&dir);
    assert_eq!(report, OpenReport { removed_incoming: 1, ..OpenReport::default() });
    assert!(!store.contains(&Digest::of(&one)).unwrap());
    assert_eq!(files_in(&dir.path().join("incoming")), 0);
    put(&store, &one).unwrap();
}

#[test]
fn a_crash_between_rename_and_index_leaves_a_file_that_the_next_put_adopts() {
    for step in [CommitStep::Renamed, CommitStep::NameSynced] {
        let dir = tempfile::tempdir().unwrap();
        let one = contents(1);
        let root = Digest::of(&one);
        let (store, _report) = open(&dir);
        fault(&store).crash_after(step);
        put(&store, &one).unwrap_err();
        assert!(!store.contains(&root).unwrap(), "not acknowledged, not claimed");
        drop(store);
        let (store, report) = open(&dir);
        assert_eq!(report, OpenReport { unindexed: vec![root], ..OpenReport::default() });
        assert!(!store.contains(&root).unwrap());
        assert_eq!(store.count(), 0);
        assert!(is_stored(&store, &one), "adopted without a byte over the network");
        assert_eq!((store.count(), store.stored_bytes(DATABASE)), (1, 100_000));
        drop(store);
        let (store, report) = open(&dir);
        assert_eq!(report, OpenReport::default());
        assert_eq!(store.read(&root).unwrap(), one);
    }
}

#[test]
fn a_crash_after_the_index_leaves_the_shard_stored() {
    let dir = tempfile::tempdir().unwrap();
    let one = contents(1);
    let (store, _report) = open(&dir);
    fault(&store).crash_after(CommitStep::Indexed);
    put(&store, &one).unwrap_err();
    drop(store);
    let (store, report) = open(&dir);
    assert!(report.is_whole() && report.unindexed.is_empty());
    assert_eq!(store.read(&Digest::of(&one)).unwrap(), one);
}

#[test]
fn a_rotten_unindexed_file_is_not_adopted_but_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let one = contents(1);
    let (store, _report) = open(&dir);
    fault(&store).crash_after(CommitStep::NameSynced);
    put(&store, &one).unwrap_err();
    rot(&shard_path(&store, &one));
    drop(store);
    let (store, _report) = open(&dir);
    assert!(!is_stored(&store, &one));
    put(&store, &one).unwrap();
    assert_eq!(store.read(&Digest::of(&one)).unwrap(), one);
}

#[test]
fn a_missing_or_cut_file_is_reported_and_not_claimed_and_comes_back_with_its_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (contents(1), contents(2));
    let (store, _report) = open(&dir);
    put(&store, &one).unwrap();
    put(&store, &two).unwrap();
    let (first, second) = (shard_path(&store, &one), shard_path(&store, &two));
    drop(store);
    let away = dir.path().join("away");
    fs::rename(&first, &away).unwrap();
    fs::set_permissions(&second, fs::Permissions::from_mode(0o600)).unwrap();
    fs::OpenOptions::new().write(true).open(&second).unwrap().set_len(99_999).unwrap();

    let (store, report) = open(&dir);
    let mut missing: Vec<_> = report.missing.iter().map(|shard| shard.root).collect();
    missing.sort();
    let mut both = [Digest::of(&one), Digest::of(&two)];
    both.sort();
    assert_eq!(missing, both);
    assert_eq!(store.missing(&both).unwrap(), both);
    assert_eq!((store.count(), store.stored_bytes(DATABASE)), (0, 0));
    assert!(store.entries(None, 10).unwrap().is_empty());
    put(&store, &two).unwrap();
    assert_eq!(store.read(&Digest::of(&two)).unwrap(), two);
    drop(store);
    fs::rename(&away, &first).unwrap();
    let (store, report) = open(&dir);
    assert_eq!(report, OpenReport::default());
    assert_eq!(store.read(&Digest::of(&one)).unwrap(), one);
}

#[test]
fn a_file_that_vanishes_under_the_running_store_is_absent_not_rotten() {
    let dir = tempfile::tempdir().unwrap();
    let one = contents(1);
    let root = Digest::of(&one);
    let (store, _report) = open(&dir);
    put(&store, &one).unwrap();
    let (path, away) = (shard_path(&store, &one), dir.path().join("away"));
    fs::rename(&path, &away).unwrap();
    assert_eq!(store.verify(&root).unwrap(), Verification::Absent);
    assert!(!store.contains(&root).unwrap());
    drop(store);
    fs::rename(&away, &path).unwrap();
    let (store, report) = open(&dir);
    assert!(report.is_whole());
    assert_eq!(store.verify(&root).unwrap(), Verification::Verified);
}

#[test]
fn a_flipped_bit_a_short_and_a_long_shard_are_refused_without_a_trace() {
    let dir = tempfile::tempdir().unwrap();
    let one = contents(1);
    let (store, _report) = open(&dir);
    let mut flipped = one.clone();
    flipped[99_999] ^= 1;
    let Put::Writer(mut shard) = store.begin(request(&one)).unwrap() else { panic!() };
    shard.write(&flipped).unwrap();
    let refused = shard.commit().unwrap_err();
    let (expected, actual) = (Digest::of(&one), Digest::of(&flipped));
    assert!(matches!(refused, PutError::RootMismatch { expected: e, actual: a } if (e, a) == (expected, actual)));

    let Put::Writer(mut shard) = store.begin(request(&one)).unwrap() else { panic!() };
    shard.write(&one[1..]).unwrap();
    assert!(matches!(shard.commit().unwrap_err(), PutError::LengthMismatch { actual: 99_999, .. }));

    let Put::Writer(mut shard) = store.begin(request(&one)).unwrap() else { panic!() };
    shard.write(&one).unwrap();
    assert!(matches!(shard.write(&[0]).unwrap_err(), PutError::LengthMismatch { actual: 100_001, .. }));
    drop(shard);

    assert_eq!(files_in(&dir.path().join("incoming")), 0);
    assert!(!shard_path(&store, &one).exists() && !store.contains(&expected).unwrap());
    put(&store, &one).unwrap();
    let lie = store.begin(PutRequest { bytes: 5, ..request(&one) }).unwrap_err();
    assert!(matches!(lie, PutError::LengthMismatch { expected: 5, actual: 100_000, .. }));
}

#[test]
fn a_rotten_shard_is_found_withdrawn_for_good_and_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let one = contents(1);
    let root = Digest::of(&one);
    let (store, _report) = open(&dir);
    put(&store, &one).unwrap();
    rot(&shard_path(&store, &one));
    assert_eq!(store.verify(&root).unwrap(), Verification::Rotten);
    assert_eq!(store.verify(&root).unwrap(), Verification::Absent);
    assert_eq!((store.count(), store.stored_bytes(DATABASE)), (0, 0));
    drop(store);
    let (store, report) = open(&dir);
    assert_eq!(report.rotten.iter().map(|shard| shard.root).collect::<Vec<_>>(), [root]);
    assert_eq!(store.missing(&[root]).unwrap(), [root]);
    put(&store, &one).unwrap();
    assert_eq!((store.count(), store.stored_bytes(DATABASE)), (1, 100_000));
    drop(store);
    let (store, report) = open(&dir);
    assert_eq!(report, OpenReport::default());
    assert_eq!(store.read(&root).unwrap(), one);
}

#[test]
fn rotten_bytes_are_never_read_and_never_pass_for_stored() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (contents(1), contents(2));
    let (store, _report) = open(&dir);
    put(&store, &one).unwrap();
    put(&store, &two).unwrap();
    rot(&shard_path(&store, &one));
    rot(&shard_path(&store, &two));
    assert!(matches!(store.read(&Digest::of(&one)).unwrap_err(), ReadError::Rotten { .. }));
    assert!(!store.contains(&Digest::of(&one)).unwrap());
    assert!(!is_stored(&store, &two), "begin reads what it claims");
    put(&store, &two).unwrap();
    assert_eq!(store.read(&Digest::of(&two)).unwrap(), two);
}

#[test]
fn a_full_store_says_so_leaves_no_trace_and_serves_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { capacity_bytes: Some(250_000), ..small_reserve() };
    let (store, _report) = ShardStore::open_with(dir.path(), options).unwrap();
    let (one, two, three) = (contents(1), contents(2), contents(3));
    put(&store, &one).unwrap();
    let on_its_way = receive(&store, &two).unwrap();
    let full = store.begin(request(&three)).unwrap_err();
    assert!(matches!(full, PutError::DiskFull { needed: 100_000, available: 50_000 }), "{full}");
    drop(on_its_way);
    put(&store, &two).unwrap();
    store.begin(request(&three)).unwrap_err();
    assert_eq!(files_in(&dir.path().join("incoming")), 0);
    assert!(!store.contains(&Digest::of(&three)).unwrap() && !shard_path(&store, &three).exists());
    assert_eq!(store.read(&Digest::of(&one)).unwrap(), one);
    // A rotten shard can still be replaced: it takes no more room than before.
    rot(&shard_path(&store, &one));
    put(&store, &one).unwrap();
    assert_eq!(store.read(&Digest::of(&one)).unwrap(), one);
}

#[test]
fn a_disk_that_fills_up_while_receiving_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _report) = open(&dir);
    let (one, two) = (contents(1), contents(2));
    put(&store, &one).unwrap();
    fault(&store).full_after(Some(60_000));
    let full = put(&store, &two).unwrap_err();
    assert!(matches!(full, PutError::DiskFull { needed: 100_000, .. }), "{full}");
    assert_eq!(files_in(&dir.path().join("incoming")), 0);
    assert_eq!(store.read(&Digest::of(&one)).unwrap(), one);
    fault(&store).full_after(None);
    put(&store, &two).unwrap();
    assert_eq!(store.stored_bytes(DATABASE), 200_000);
}

#[test]
fn the_reserve_of_the_file_system_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { reserve_bytes: u64::MAX / 2, ..StoreOptions::default() };
    let (store, _report) = ShardStore::open_with(dir.path(), options).unwrap();
    assert!(matches!(put(&store, &contents(1)).unwrap_err(), PutError::DiskFull { available: 0, .. }));
}

#[test]
fn a_quota_counts_what_is_stored_and_what_is_on_its_way() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _report) = open(&dir);
    let third = || PutRequest { quota_bytes: 200_000, ..request(&contents(3)) };
    put(&store, &contents(1)).unwrap();
    let on_its_way = receive(&store, &contents(2)).unwrap();
    let refused = store.begin(third()).unwrap_err();
    assert!(matches!(refused, PutError::QuotaExceeded { stored_bytes: 100_000, quota_bytes: 200_000, .. }));
    let other = PutRequest { database: "other".to_owned(), ..third() };
    assert!(matches!(store.begin(other).unwrap(), Put::Writer(_)));
    on_its_way.commit().unwrap();
    store.begin(third()).unwrap_err();
}

#[test]
fn many_threads_store_the_same_and_different_shards() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _report) = open(&dir);
    thread::scope(|scope| {
        for worker in 0..8_u8 {
            let store = store.clone();
            scope.spawn(move || {
                for number in [0, worker + 1, 20, worker + 30] {
                    let contents = contents(number);
                    match store.begin(request(&contents)).unwrap() {
                        Put::AlreadyStored => {}
                        Put::Writer(mut shard) => {
                            shard.write(&contents).unwrap();
                            shard.commit().unwrap();
                        }
                    }
                    assert_eq!(store.read(&Digest::of(&contents)).unwrap(), contents);
                }
            });
        }
    });
    assert_eq!((store.count(), store.stored_bytes(DATABASE)), (18, 1_800_000));
    drop(store);
    let (store, report) = open(&dir);
    assert_eq!(report, OpenReport::default());
    assert_eq!((store.count(), store.stored_bytes(DATABASE)), (18, 1_800_000));
}

#[test]
fn what_is_no_shard_is_reported_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _report) = open(&dir);
    drop(store);
    let misplaced = dir.path().join("shards/00").join("ff".repeat(32));
    let note = dir.path().join("shards/00/README");
    fs::write(&misplaced, "x").unwrap();
    fs::write(&note, "x").unwrap();
    let (_store, mut report) = open(&dir);
    report.foreign.sort();
    assert_eq!(report.foreign, [note.clone(), misplaced.clone()]);
    assert!(note.exists() && misplaced.exists());
}

/// Prints the rate of durable puts of the size that is usual.
#[test]
fn durable_puts_of_five_mebibytes() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _report) = open(&dir);
    let started = crate::clock::Monotonic::start();
    for number in 0..20_u32 {
        let mut shard = vec![0x5a; 5 << 20];
        shard[..4].copy_from_slice(&number.to_le_bytes());
        let Put::Writer(mut incoming) = store.begin(request(&shard)).unwrap() else { panic!() };
        for part in shard.chunks(1 << 20) {
            incoming.write(part).unwrap();
        }
        incoming.commit().unwrap();
    }
    println!("20 shards of 5 MiB, one thread: {} ms", started.elapsed_ms());
    assert_eq!(store.stored_bytes(DATABASE), 100 << 20);
}
