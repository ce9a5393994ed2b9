//! Unit tests of `shard_tree`.

use super::*;

fn shard(shard_bytes: usize) -> Vec<u8> {
    let mut bytes = vec![0; shard_bytes];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn ranges_at_every_edge_of_a_leaf_are_proven() {
    for shard_bytes in [1, 64, 1023, 1024, 1025, 16_383, 16_384, 16_385, 49_152, 100_032] {
        let shard = shard(shard_bytes);
        let total = shard_bytes as u64;
        let edges = [0, 1, 1023, 1024, 16_383, 16_384, 16_385, 32_768, total - 1, total];
        for start in edges {
            for end in edges.into_iter().filter(|end| start < *end && *end <= total) {
                let proof = prove_range(&shard, start..end).unwrap();
                assert_eq!(proof.len() as u64, range_proof_bytes(total, start..end).unwrap());
                let bytes = verify_range(&root(&shard), total, start..end, &proof).unwrap();
                assert_eq!(bytes, shard[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()]);
            }
        }
    }
}

#[test]
fn a_changed_bit_anywhere_in_a_proof_is_found() {
    let shard = shard(80_000);
    let proof = prove_range(&shard, 20_000..40_000).unwrap();
    for position in (0..proof.len()).step_by(37) {
        let mut bad = proof.clone();
        bad[position] ^= 0x10;
        assert_eq!(verify_range(&root(&shard), 80_000, 20_000..40_000, &bad), Err(RangeError::Mismatch));
    }
}

#[test]
fn a_proof_of_another_range_shard_or_length_is_refused() {
    let shard = shard(80_000);
    let proof = prove_range(&shard, 0..100).unwrap();
    let root = root(&shard);
    assert_eq!(verify_range(&root, 80_000, 16_384..16_484, &proof), Err(RangeError::Mismatch));
    assert!(verify_range(&root, 160_000, 0..100, &proof).is_err());
    let end = prove_range(&shard, 79_000..80_000).unwrap();
    assert!(verify_range(&root, 80_001, 79_000..80_000, &end).is_err());
    assert_eq!(verify_range(&Digest::of(b"other"), 80_000, 0..100, &proof), Err(RangeError::Mismatch));
    let expected = proof.len() as u64;
    for bad in [&proof[1..], &[], &[proof.as_slice(), &[0]].concat()] {
        assert_eq!(
            verify_range(&root, 80_000, 0..100, bad),
            Err(RangeError::ProofBytes { expected, actual: bad.len() as u64 })
        );
    }
}

#[test]
#[expect(clippy::reversed_empty_ranges, reason = "the hostile case")]
fn impossible_ranges_are_refused() {
    for range in [0..0, 5..4, 0..11, 10..11, u64::MAX - 1..u64::MAX] {
        assert!(matches!(prove_range(&[0; 10], range.clone()), Err(RangeError::OutOfBounds { .. })));
        assert!(verify_range(&root(&[0; 10]), 10, range, &[]).is_err());
    }
    let too_long = verify_range(&root(&[]), u64::MAX, 0..u64::MAX, &[]);
    assert!(matches!(too_long, Err(RangeError::TooLong { .. })));
}

#[test]
fn the_root_does_not_depend_on_the_parts() {
    let shard = shard(100_000);
    let mut hasher = RootHasher::new();
    shard.chunks(777).for_each(|part| hasher.update(part));
    assert_eq!(hasher.finish(), root(&shard));
}
