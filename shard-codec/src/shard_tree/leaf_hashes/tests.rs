//! Unit tests of `leaf_hashes`; `shard_tree::prove_range`, which reads the whole shard, is the oracle.

use super::super::{prove_range, root, verify_range};
use super::*;

/// Lengths around every kind of edge, up to trees that are not full.
const LENGTHS: [usize; 14] =
    [0, 1, 64, 1024, 16_383, 16_384, 16_385, 32_768, 49_152, 80_000, 131_072, 131_073, 1_000_000, 5_592_448];

fn shard(shard_bytes: usize) -> Vec<u8> {
    let mut bytes = vec![0; shard_bytes];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn hashes(shard: &[u8]) -> LeafHashes {
    let mut hasher = LeafHasher::new();
    hasher.update(shard);
    hasher.finish()
}

fn cut<'a>(shard: &'a [u8], range: &Range<u64>) -> &'a [u8] {
    &shard[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
}

#[test]
fn the_root_and_the_leaves_are_those_of_the_tree_however_the_bytes_come() {
    for shard_bytes in LENGTHS {
        let shard = shard(shard_bytes);
        let whole = hashes(&shard);
        assert_eq!(whole.root(), root(&shard));
        assert_eq!(whole.shard_bytes(), shard_bytes as u64);
        assert_eq!(whole.as_bytes().len(), shard_bytes.div_ceil(16_384).max(1) * 32);
        for part_bytes in [777, 16_384, 100_000] {
            let mut hasher = LeafHasher::new();
            shard.chunks(part_bytes).for_each(|part| hasher.update(part));
            assert_eq!(hasher.finish(), whole);
        }
        assert_eq!(LeafHashes::check(&root(&shard), shard_bytes as u64, whole.as_bytes()), Some(whole));
    }
}

#[test]
fn proofs_are_the_bytes_that_the_whole_shard_gives() {
    let mut draws = blake3::Hasher::new().finalize_xof();
    let mut draw = |below: u64| {
        let mut bytes = [0; 8];
        draws.fill(&mut bytes);
        u64::from_le_bytes(bytes) % below
    };
    for shard_bytes in LENGTHS.into_iter().skip(1) {
        let shard = shard(shard_bytes);
        let (hashes, total) = (hashes(&shard), shard_bytes as u64);
        let mut ranges = vec![0..total, 0..1, total - 1..total];
        for _draw in 0..20 {
            let start = draw(total);
            ranges.push(start..start + 1 + draw(total - start));
        }
        for range in ranges {
            let span = cut(&shard, &leaf_range(total, &range).unwrap());
            let proof = hashes.prove_range(range.clone(), span).unwrap();
            assert!(proof == prove_range(&shard, range.clone()).unwrap(), "{range:?} of {total}");
            assert_eq!(verify_range(&root(&shard), total, range.clone(), &proof).unwrap(), cut(&shard, &range));
        }
    }
}

#[test]
fn a_flipped_bit_is_not_proven_and_its_leaf_is_named() {
    let shard = shard(80_000);
    let hashes = hashes(&shard);
    let mut rotten = shard.clone();
    rotten[40_000] ^= 1;
    let bad: Vec<_> = leaves(80_000).filter(|leaf| !hashes.is_leaf(leaf.start, cut(&rotten, leaf))).collect();
    assert_eq!(bad.len(), 1);
    assert_eq!(bad[0], 32_768..49_152);
    assert!(leaves(80_000).all(|leaf| hashes.is_leaf(leaf.start, cut(&shard, &leaf))));
    let span = leaf_range(80_000, &(39_000..41_000)).unwrap();
    assert_eq!(span, 32_768..49_152);
    assert_eq!(hashes.prove_range(39_000..41_000, cut(&rotten, &span)), Err(RangeError::Mismatch));
    for too_few in [&shard[32_768..49_151], &[]] {
        assert_eq!(hashes.prove_range(39_000..41_000, too_few), Err(RangeError::Mismatch));
    }
    assert!(hashes.prove_range(79_000..80_000, cut(&rotten, &(65_536..80_000))).is_ok());
}

#[test]
fn hashes_that_do_not_lead_to_the_root_are_refused() {
    for shard_bytes in LENGTHS {
        let shard = shard(shard_bytes);
        let (root, total, good) = (root(&shard), shard_bytes as u64, hashes(&shard).as_bytes().to_vec());
        for position in [0, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[position] ^= 0x40;
            assert_eq!(LeafHashes::check(&root, total, &bad), None);
        }
        assert_eq!(LeafHashes::check(&root, total, &good[1..]), None);
        assert_eq!(LeafHashes::check(&root, total, &[]), None);
        assert_eq!(LeafHashes::check(&root, total, &[good.as_slice(), &[0; 32]].concat()), None);
        assert_eq!(LeafHashes::check(&root, u64::MAX, &good), None);
    }
}

#[test]
fn a_leaf_of_another_place_or_length_is_none() {
    let shard = shard(80_000);
    let hashes = hashes(&shard);
    assert!(hashes.is_leaf(65_536, &shard[65_536..]));
    assert!(!hashes.is_leaf(16_384, &shard[..16_384]));
    assert!(!hashes.is_leaf(1, &shard[1..16_385]));
    assert!(!hashes.is_leaf(65_536, &shard[65_536..79_999]));
    assert!(!hashes.is_leaf(80_000, &[]) && !hashes.is_leaf(u64::MAX, &[]));
}
