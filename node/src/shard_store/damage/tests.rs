//! Real files that rot: what is bad is named, what is good is kept, and a mend that fails changes nothing.

use std::fs;

use super::super::tests::{contents, fault, files_in, open, put, request, rot, rot_at, shard_path};
use super::super::writer::CommitStep;
use super::super::{Put, Verification};
use super::*;

const LEAF: usize = 16 << 10;

/// A store with one shard, rotten at `positions` and withdrawn.
fn rotten(positions: &[usize]) -> (tempfile::TempDir, ShardStore, Vec<u8>, Digest) {
    let dir = tempfile::tempdir().unwrap();
    let (store, _report) = open(&dir);
    let one = contents(1);
    put(&store, &one).unwrap();
    rot_at(&shard_path(&store, &one), positions);
    let root = Digest::of(&one);
    assert_eq!(store.damage(&root).unwrap(), None, "claimed still");
    assert_eq!(store.verify(&root).unwrap(), Verification::Rotten);
    (dir, store, one, root)
}

/// What a repair brings: the right bytes of every bad range.
fn cure(store: &ShardStore, root: &Digest, right: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let Some(Damage::Ranges(ranges)) = store.damage(root).unwrap() else { panic!() };
    let cut = |range: Range<u64>| {
        let (start, end) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
        (range.start, right[start..end].to_vec())
    };
    ranges.into_iter().map(cut).collect()
}

fn assert_whole(store: &ShardStore, right: &[u8]) {
    let root = Digest::of(right);
    assert_eq!(store.read(&root).unwrap(), right);
    assert_eq!(store.damage(&root).unwrap(), None);
    assert!(store.withdrawn(None, 10).unwrap().is_empty());
    assert_eq!((store.count(), store.stored_bytes(super::super::tests::DATABASE)), (1, right.len() as u64));
}

#[test]
fn one_flipped_bit_names_its_leaf_and_the_right_bytes_mend_it() {
    let (dir, store, one, root) = rotten(&[50_000]);
    let bad = 49_152..65_536;
    assert_eq!(store.damage(&root).unwrap(), Some(Damage::Ranges(vec![bad.clone()])));
    let entry = store.withdrawn(None, 10).unwrap().pop().unwrap();
    assert_eq!((entry.root, entry.bytes, entry.stripe_number), (root, 100_000, 7));

    let before = fs::read(shard_path(&store, &one)).unwrap();
    for wrong in [vec![], vec![(bad.start, vec![0; LEAF])], vec![(0, one[49_152..65_536].to_vec())]] {
        let refused = store.mend(&root, &wrong).unwrap_err();
        assert!(matches!(refused, MendError::Put(PutError::RootMismatch { expected, .. }) if expected == root));
        assert!(!store.contains(&root).unwrap());
        assert_eq!(fs::read(shard_path(&store, &one)).unwrap(), before);
        assert_eq!(files_in(&dir.path().join("incoming")), 0);
    }
    store.mend(&root, &cure(&store, &root, &one)).unwrap();
    assert_whole(&store, &one);
    store.mend(&root, &[]).unwrap(); // claimed: nothing to do
    drop(store);
    let (store, report) = open(&dir);
    assert!(report.is_whole());
    assert_whole(&store, &one);
}

#[test]
fn leaves_side_by_side_are_one_range_and_others_are_apart() {
    let (_dir, store, one, root) = rotten(&[0, 50_000, 66_000, 99_999]);
    let expected = vec![0..16_384, 49_152..81_920, 98_304..100_000];
    assert_eq!(store.damage(&root).unwrap(), Some(Damage::Ranges(expected)));
    let mut cure = cure(&store, &root, &one);
    let last = cure.pop().unwrap();
    store.mend(&root, &cure).unwrap_err();
    store.mend(&root, &[cure, vec![last]].concat()).unwrap();
    assert_whole(&store, &one);
}

#[test]
fn a_file_that_is_cut_or_gone_is_damaged_as_a_whole() {
    for remove in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (store, _report) = open(&dir);
        let one = contents(1);
        put(&store, &one).unwrap();
        let (root, path) = (Digest::of(&one), shard_path(&store, &one));
        if remove {
            fs::remove_file(&path).unwrap();
            assert_eq!(store.verify(&root).unwrap(), Verification::Absent);
        } else {
            rot(&path);
            fs::write(&path, &one[..99_999]).unwrap();
            assert_eq!(store.verify(&root).unwrap(), Verification::Rotten);
        }
        assert_eq!(store.damage(&root).unwrap(), Some(Damage::Whole));
        let refused = store.mend(&root, &[(0, one[..99_999].to_vec())]).unwrap_err();
        assert!(matches!(refused, MendError::Put(PutError::LengthMismatch { actual: 99_999, .. })));
        let (front, back) = one.split_at(30_000);
        store.mend(&root, &[(30_000, back.to_vec()), (0, front.to_vec())]).unwrap();
        assert_whole(&store, &one);
    }
}

#[test]
fn rotten_hashes_blame_nobody() {
    let (_dir, store, one, root) = rotten(&[50_000]);
    let shard = store.withdrawn(None, 1).unwrap().remove(0);
    let mut hashes = store.inner.index.leaf_hashes(&shard).unwrap().unwrap().as_bytes().to_vec();
    hashes[5] ^= 1;
    for spoilt in [Some(hashes.as_slice()), Some(&hashes[1..]), None] {
        store.inner.index.spoil_leaf_hashes(&root, spoilt);
        assert_eq!(store.damage(&root).unwrap(), Some(Damage::Whole));
    }
    store.mend(&root, &[(0, one.clone())]).unwrap();
    assert!(store.inner.index.leaf_hashes(&shard).unwrap().is_some(), "known again");
    assert_whole(&store, &one);
}

#[test]
fn withdrawn_shards_are_paged_and_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _report) = open(&dir);
    let mut roots = Vec::new();
    for number in 1..=5 {
        let shard = contents(number);
        put(&store, &shard).unwrap();
        roots.push(Digest::of(&shard));
        match number {
            5 => {}
            4 => fs::remove_file(shard_path(&store, &shard)).unwrap(),
            _ => rot(&shard_path(&store, &shard)),
        }
    }
    let sound = roots.pop().unwrap();
    roots.sort();
    for root in &roots {
        assert_ne!(store.verify(root).unwrap(), Verification::Verified);
    }
    let list = |store: &ShardStore| {
        let mut listed = Vec::new();
        while let page = store.withdrawn(listed.last(), 3).unwrap()
            && !page.is_empty()
        {
            assert!(page.len() <= 3);
            listed.extend(page.into_iter().map(|shard| shard.root));
        }
        listed
    };
    assert_eq!(list(&store), roots);
    drop(store);
    let (store, _report) = open(&dir);
    assert_eq!(list(&store), roots);
    assert_eq!(store.verify(&sound).unwrap(), Verification::Verified);
}

#[test]
fn a_crash_anywhere_in_a_mend_loses_nothing() {
    for step in [CommitStep::ContentsSynced, CommitStep::Renamed, CommitStep::NameSynced, CommitStep::Indexed] {
        let (dir, store, one, root) = rotten(&[50_000, 99_999]);
        let cure = cure(&store, &root, &one);
        fault(&store).crash_after(step);
        store.mend(&root, &cure).unwrap_err();
        drop(store);
        let (store, report) = open(&dir);
        let is_replaced = step != CommitStep::ContentsSynced;
        assert_eq!(report.removed_incoming, u64::from(!is_replaced));
        let damage = store.damage(&root).unwrap();
        match step {
            CommitStep::ContentsSynced => assert!(matches!(damage, Some(Damage::Ranges(bad)) if bad.len() == 2)),
            CommitStep::Renamed | CommitStep::NameSynced => assert_eq!(damage, Some(Damage::Ranges(vec![]))),
            CommitStep::Indexed => assert_eq!(damage, None),
        }
        let rest = if is_replaced { vec![] } else { cure };
        store.mend(&root, &rest).unwrap();
        assert_whole(&store, &one);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let (dir, store, one, root) = rotten(&[50_000]);
    for (offset, bytes) in [(99_999, 2), (100_000, 1), (u64::MAX, 1), (0, 100_001)] {
        let refused = store.mend(&root, &[(offset, vec![0; bytes])]).unwrap_err();
        assert!(matches!(refused, MendError::Range { shard_bytes: 100_000, .. }), "{refused}");
    }
    let unknown = Digest::of(b"unknown");
    assert!(matches!(store.mend(&unknown, &[]).unwrap_err(), MendError::Unknown { root } if root == unknown));
    assert_eq!(store.damage(&unknown).unwrap(), None);
    let cure = cure(&store, &root, &one);
    fault(&store).full_after(Some(60_000));
    let full = store.mend(&root, &cure).unwrap_err();
    assert!(matches!(full, MendError::Put(PutError::DiskFull { .. })), "{full}");
    assert_eq!(files_in(&dir.path().join("incoming")), 0);
    fault(&store).full_after(None);
    store.mend(&root, &cure).unwrap();
    assert_whole(&store, &one);
}

#[test]
fn a_put_that_was_faster_than_the_mend_is_left_alone() {
    let (_dir, store, one, root) = rotten(&[50_000]);
    let cure = cure(&store, &root, &one);
    let Put::Writer(mut incoming) = store.begin(request(&one)).unwrap() else { panic!() };
    incoming.write(&one).unwrap();
    incoming.commit().unwrap();
    store.mend(&root, &cure).unwrap();
    assert_whole(&store, &one);
}
