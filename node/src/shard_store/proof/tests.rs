//! The proofs are those of the whole shard, and nothing but the range is read for them.

use super::super::tests::{contents, open, put, request, rot_at, shard_path};
use super::super::{Put, Verification};
use super::*;
use shard_codec::shard_tree::{prove_range, verify_range};

fn store_of(shards: &[Vec<u8>]) -> (tempfile::TempDir, ShardStore) {
    let dir = tempfile::tempdir().unwrap();
    let (store, _report) = open(&dir);
    for shard in shards {
        let Put::Writer(mut incoming) = store.begin(request(shard)).unwrap() else { panic!() };
        shard.chunks(70_000).for_each(|part| incoming.write(part).unwrap());
        incoming.commit().unwrap();
    }
    (dir, store)
}

#[test]
fn proofs_are_those_of_the_whole_shard() {
    let lengths = [1_usize, 64, 1_024, 16_384, 16_385, 100_000, 1_000_000];
    let shards: Vec<Vec<u8>> =
        lengths.into_iter().map(|bytes| contents(1).into_iter().cycle().take(bytes).collect()).collect();
    let (_dir, store) = store_of(&shards);
    let mut draws = blake3::Hasher::new().finalize_xof();
    let mut draw = |below: u64| {
        let mut bytes = [0; 8];
        draws.fill(&mut bytes);
        u64::from_le_bytes(bytes) % below
    };
    for shard in &shards {
        let (root, total) = (Digest::of(shard), shard.len() as u64);
        for _draw in 0..30 {
            let offset = draw(total);
            let bytes = 1 + draw(total - offset);
            let proof = store.prove_range(&root, offset, bytes).unwrap();
            assert!(proof == prove_range(shard, offset..offset + bytes).unwrap(), "{bytes} from {offset} of {total}");
            verify_range(&root, total, offset..offset + bytes, &proof).unwrap();
        }
        for (offset, bytes) in [(0, 0), (total, 1), (0, total + 1), (u64::MAX, 1), (1, u64::MAX)] {
            assert!(matches!(store.prove_range(&root, offset, bytes).unwrap_err(), ReadError::Range { .. }));
        }
    }
    let absent = Digest::of(b"absent");
    assert!(matches!(store.prove_range(&absent, 0, 1).unwrap_err(), ReadError::Absent { .. }));
}

#[test]
fn nothing_but_the_leaves_of_the_range_is_read_and_rotten_ones_are_never_proved() {
    let one = contents(1);
    let (_dir, store) = store_of(std::slice::from_ref(&one));
    let root = Digest::of(&one);
    // Every leaf is rotten but 32,768..49,152: who read more would see it.
    rot_at(&shard_path(&store, &one), &[0, 16_384, 49_152, 65_536, 81_920, 98_304]);
    let proof = store.prove_range(&root, 40_000, 5_000).unwrap();
    assert!(proof == prove_range(&one, 40_000..45_000).unwrap());
    assert!(store.contains(&root).unwrap());
    assert!(matches!(store.prove_range(&root, 40_000, 10_000).unwrap_err(), ReadError::Rotten { .. }));
    assert!(!store.contains(&root).unwrap(), "withdrawn");
    assert!(matches!(store.prove_range(&root, 40_000, 5_000).unwrap_err(), ReadError::Absent { .. }));
}

#[test]
fn a_cut_or_vanished_file_is_withdrawn() {
    let (one, two) = (contents(1), contents(2));
    let (_dir, store) = store_of(&[one.clone(), two.clone()]);
    rot_at(&shard_path(&store, &one), &[]);
    std::fs::OpenOptions::new().write(true).open(shard_path(&store, &one)).unwrap().set_len(90_000).unwrap();
    std::fs::remove_file(shard_path(&store, &two)).unwrap();
    assert!(matches!(store.prove_range(&Digest::of(&one), 95_000, 100).unwrap_err(), ReadError::Rotten { .. }));
    assert!(matches!(store.prove_range(&Digest::of(&two), 95_000, 100).unwrap_err(), ReadError::Absent { .. }));
    assert_eq!(store.withdrawn(None, 10).unwrap().len(), 2);
}

#[test]
fn unknown_or_rotten_hashes_are_learnt_from_the_whole_shard() {
    let one = contents(1);
    let (_dir, store) = store_of(std::slice::from_ref(&one));
    let root = Digest::of(&one);
    let shard = store.entry(&root).unwrap().unwrap();
    for spoilt in [None, Some([7; 224].as_slice())] {
        store.inner.index.spoil_leaf_hashes(&root, spoilt);
        let proof = store.prove_range(&root, 40_000, 5_000).unwrap();
        assert!(proof == prove_range(&one, 40_000..45_000).unwrap());
        assert!(store.inner.index.leaf_hashes(&shard).unwrap().is_some());
    }
    store.inner.index.spoil_leaf_hashes(&root, None);
    rot_at(&shard_path(&store, &one), &[0]);
    assert!(matches!(store.prove_range(&root, 40_000, 5_000).unwrap_err(), ReadError::Rotten { .. }));
    assert!(store.inner.index.leaf_hashes(&shard).unwrap().is_none(), "nothing is learnt from rotten bytes");
    put(&store, &one).unwrap();
    assert_eq!(store.verify(&root).unwrap(), Verification::Verified);
}
