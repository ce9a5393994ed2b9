//! Passes over real files on a clock that the tests move.

use std::fs;

use super::super::tests::{contents, open, put, request, rot, rot_at, shard_path};
use super::super::{Damage, Put};
use super::*;

const BEGIN_MS: u64 = 1_700_000_000_000;

/// A store of `count` shards of 100,000 bytes, and the shards in the order of their roots.
fn store_of(count: u8) -> (tempfile::TempDir, ShardStore, Vec<Vec<u8>>) {
    let dir = tempfile::tempdir().unwrap();
    let (store, _report) = open(&dir);
    let mut shards: Vec<Vec<u8>> = (1..=count).map(contents).collect();
    shards.iter().for_each(|shard| put(&store, shard).unwrap());
    shards.sort_by_key(|shard| Digest::of(shard));
    (dir, store, shards)
}

/// Steps to the end of the pass; bytes read and findings.
fn finish(scrub: &mut Scrub, now_ms: u64) -> (u64, Vec<(Digest, Verification)>) {
    let (mut bytes_read, mut findings) = (0, Vec::new());
    loop {
        match scrub.step(now_ms).unwrap() {
            ScrubStep::Read { bytes, found } => {
                bytes_read += bytes;
                findings.extend(found.map(|(shard, verification)| (shard.root, verification)));
            }
            ScrubStep::Wait { wait_ms } => panic!("nothing to wait for: {wait_ms}"),
            ScrubStep::Ended => return (bytes_read, findings),
        }
    }
}

fn unpaced(store: &ShardStore) -> Scrub {
    Scrub::begin(store.clone(), ScrubOptions::UNPACED, BEGIN_MS).unwrap()
}

#[test]
fn a_sound_store_is_read_through_without_a_finding() {
    let (dir, store, shards) = store_of(5);
    assert_eq!((store.scrub_progress(), store.scrub_progress().position()), (ScrubProgress::default(), 0.0));
    let mut scrub = unpaced(&store);
    assert_eq!(scrub.step(BEGIN_MS).unwrap(), ScrubStep::Read { bytes: 100_000, found: None });
    let progress = store.scrub_progress();
    assert_eq!((progress.bytes_read, progress.after), (100_000, Some(Digest::of(&shards[0]))));
    let first = f64::from(Digest::of(&shards[0]).as_bytes()[0]) / 256.0;
    assert!(progress.is_running && (progress.position() - first).abs() < 0.01);
    assert_eq!(finish(&mut scrub, BEGIN_MS + 9), (400_000, vec![]));
    let progress = store.scrub_progress();
    assert_eq!((progress.is_running, progress.bytes_read, progress.rotten_count), (false, 500_000, 0));
    assert_eq!((progress.pass_started_ms, progress.last_pass_ended_ms), (Some(BEGIN_MS), Some(BEGIN_MS + 9)));
    assert!((progress.position() - 1.0).abs() < f64::EPSILON);
    drop((scrub, store));
    assert_eq!(open(&dir).0.scrub_progress(), progress);
}

#[test]
fn a_flipped_bit_a_cut_and_a_missing_file_are_found_named_and_withdrawn() {
    let (_dir, store, shards) = store_of(6);
    rot(&shard_path(&store, &shards[1]));
    let cut = shard_path(&store, &shards[2]);
    rot(&cut);
    fs::write(&cut, &shards[2][..50]).unwrap();
    fs::remove_file(shard_path(&store, &shards[4])).unwrap();
    let (bytes_read, findings) = finish(&mut unpaced(&store), BEGIN_MS);
    let [one, two, four] = [1, 2, 4].map(|place: usize| Digest::of(&shards[place]));
    let rotten = Verification::Rotten;
    assert_eq!(findings, [(one, rotten), (two, rotten), (four, Verification::Absent)]);
    assert_eq!((bytes_read, store.count(), store.scrub_progress().rotten_count), (400_000, 3, 3));
    let start = 49_152;
    let bad = start..start + 16_384;
    assert_eq!(store.damage(&one).unwrap(), Some(Damage::Ranges(vec![bad])));
    assert_eq!(store.damage(&two).unwrap(), Some(Damage::Whole));
    assert_eq!(store.damage(&four).unwrap(), Some(Damage::Whole));
    let start_index = usize::try_from(start).unwrap();
    store.mend(&one, &[(start, shards[1][start_index..start_index + 16_384].to_vec())]).unwrap();
    store.mend(&two, &[(0, shards[2].clone())]).unwrap();
    store.mend(&four, &[(0, shards[4].clone())]).unwrap();
    assert_eq!(finish(&mut unpaced(&store), BEGIN_MS), (600_000, vec![]));
}

#[test]
fn after_a_restart_a_pass_goes_on_where_it_was() {
    let (dir, store, shards) = store_of(8);
    rot(&shard_path(&store, &shards[6]));
    let mut scrub = unpaced(&store);
    scrub.note_bytes = 150_000;
    for _shard in 0..5 {
        scrub.step(BEGIN_MS).unwrap();
    }
    drop((scrub, store));
    let (store, _report) = open(&dir);
    let progress = store.scrub_progress();
    // Noted after the second and the fourth: the fifth is read again.
    assert_eq!((progress.after, progress.bytes_read), (Some(Digest::of(&shards[3])), 400_000));
    assert_eq!((progress.is_running, progress.pass_started_ms), (true, Some(BEGIN_MS)));
    let mut scrub = Scrub::resume(store.clone(), ScrubOptions::UNPACED);
    for _shard in 4..7 {
        scrub.step(BEGIN_MS).unwrap();
    }
    drop((scrub, store));
    let (store, _report) = open(&dir);
    let progress = store.scrub_progress();
    assert_eq!(
        (progress.after, progress.rotten_count),
        (Some(Digest::of(&shards[6])), 1),
        "a finding is noted at once"
    );
    assert_eq!(finish(&mut Scrub::resume(store, ScrubOptions::UNPACED), BEGIN_MS), (100_000, vec![]));
}

#[test]
fn a_shard_that_is_replaced_while_it_is_read_is_not_reported() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _report) = open(&dir);
    let shard: Vec<u8> = contents(1).into_iter().cycle().take(3 << 20).collect();
    put(&store, &shard).unwrap();
    let replace = |is_replaced: bool| {
        rot_at(&shard_path(&store, &shard), &[(3 << 20) - 1]);
        let mut scrub = unpaced(&store);
        assert_eq!(scrub.step(BEGIN_MS).unwrap(), ScrubStep::Read { bytes: 1 << 20, found: None });
        if is_replaced {
            let Put::Writer(mut incoming) = store.begin(request(&shard)).unwrap() else { panic!() };
            incoming.write(&shard).unwrap();
            incoming.commit().unwrap();
        }
        finish(&mut scrub, BEGIN_MS)
    };
    assert_eq!(replace(true), (2 << 20, vec![]));
    assert_eq!((store.count(), store.scrub_progress().rotten_count), (1, 0));
    assert_eq!(replace(false), (2 << 20, vec![(Digest::of(&shard), Verification::Rotten)]));
}

#[test]
fn unknown_and_rotten_hashes_of_leaves_are_replaced_on_the_way() {
    let (_dir, store, shards) = store_of(3);
    let roots: Vec<Digest> = shards.iter().map(|shard| Digest::of(shard)).collect();
    store.inner.index.spoil_leaf_hashes(&roots[0], None);
    store.inner.index.spoil_leaf_hashes(&roots[1], Some(&[9; 224]));
    assert_eq!(finish(&mut unpaced(&store), BEGIN_MS), (300_000, vec![]));
    for root in &roots {
        let shard = store.entry(root).unwrap().unwrap();
        assert!(store.inner.index.leaf_hashes(&shard).unwrap().is_some());
    }
}

/// Steps on a clock that moves only when the scrub waits, until the pass ends.
fn live(scrub: &mut Scrub, now_ms: &mut u64) -> u64 {
    let mut bytes_read = 0;
    loop {
        match scrub.step(*now_ms).unwrap() {
            ScrubStep::Read { bytes, .. } => bytes_read += bytes,
            ScrubStep::Wait { wait_ms } => *now_ms += wait_ms,
            ScrubStep::Ended => return bytes_read,
        }
    }
}

#[test]
fn a_pass_takes_its_time_and_the_next_one_waits_for_its_day() {
    let (_dir, store, _shards) = store_of(10);
    // A million bytes in 2,000 s would be 500 a second: the floor makes it 10,000.
    let options = ScrubOptions { pass_ms: 2_000_000, bytes_per_second_min: 10_000 };
    let mut scrub = Scrub::resume(store.clone(), options);
    let mut now_ms = BEGIN_MS;
    assert_eq!(live(&mut scrub, &mut now_ms), 1_000_000);
    assert_eq!(now_ms, BEGIN_MS + 100_000);
    assert!(matches!(scrub.step(now_ms).unwrap(), ScrubStep::Wait { wait_ms: 1_900_000 }));
    assert_eq!(live(&mut scrub, &mut now_ms), 1_000_000);
    assert_eq!(store.scrub_progress().pass_started_ms, Some(BEGIN_MS + 2_000_000));
    // A pass that began by a clock that was wrong does not hold up the next one.
    assert!(matches!(scrub.step(BEGIN_MS).unwrap(), ScrubStep::Wait { wait_ms: ..=10_000 }));
    assert_eq!(live(&mut scrub, &mut BEGIN_MS.clone()), 1_000_000);

    // Without a floor the pass fills its time.
    let options = ScrubOptions { pass_ms: 2_000_000, bytes_per_second_min: 0 };
    let mut now_ms = BEGIN_MS;
    let mut scrub = Scrub::begin(store, options, now_ms).unwrap();
    assert_eq!(live(&mut scrub, &mut now_ms), 1_000_000);
    assert_eq!(now_ms, BEGIN_MS + 2_000_000);
}

#[test]
fn the_default_is_thirty_days_and_no_slower_than_a_mebibyte_a_second() {
    let options = ScrubOptions::default();
    assert_eq!(options.bytes_per_second(0), 1 << 20);
    assert_eq!(options.bytes_per_second(2 << 40), 1 << 20);
    assert_eq!(options.bytes_per_second(30 * 86_400 * (5 << 20)), 5 << 20);
    assert_eq!(ScrubOptions::UNPACED.bytes_per_second(u64::MAX), u64::MAX);
}

#[test]
fn an_empty_store_has_an_empty_pass() {
    let (_dir, store, _shards) = store_of(0);
    assert_eq!(finish(&mut unpaced(&store), BEGIN_MS), (0, vec![]));
    assert_eq!(store.scrub_progress().last_pass_ended_ms, Some(BEGIN_MS));
}
