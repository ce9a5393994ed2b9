//! Laws that hold for every input: what decodes, what is found, what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed, which is its job"
)]

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use shard_codec::sealing::{open_chunk, open_with, seal_chunk, seal_with};
use shard_codec::secret_sharing::{ReconstructError, deal, reconstruct};
use shard_codec::shard_tree::{prove_range, root, verify_range};
use shard_codec::stripe::{decode_columns, remake_shard};
use shard_codec::{
    ChunkHash, Chunker, CodingParameters, Compression, Compressor, ContentDefined, Decompressor, DedupSecret,
    EncodedStripe, FixedSize, Reference, SecretBytes, ShardIndex, Share, SnapshotSecret, UncheckedShard, VerifiedShard,
    decode_stripe, encode_stripe,
};

fn stream(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn code(data_shards: usize, parity_shards: usize) -> Reference {
    Reference::new(CodingParameters::new(data_shards, parity_shards).unwrap()).unwrap()
}

fn index(position: usize) -> ShardIndex {
    ShardIndex::new(u8::try_from(position).unwrap())
}

fn verified(stripe: &EncodedStripe, position: usize) -> VerifiedShard {
    let bytes = stripe.shard(index(position)).unwrap().to_vec();
    UncheckedShard::new(index(position), bytes).verify(&stripe.roots()[position]).unwrap()
}

/// Every subset of `0..total` with `chosen` members.
fn subsets(total: usize, chosen: usize) -> impl Iterator<Item = Vec<usize>> {
    (0_u32..1 << total)
        .filter(move |mask| mask.count_ones() as usize == chosen)
        .map(move |mask| (0..total).filter(|position| mask >> position & 1 == 1).collect())
}

#[test]
fn every_subset_of_data_shards_shards_decodes() {
    for (data, parity) in [(1, 0), (1, 3), (2, 2), (3, 2), (4, 0), (5, 4), (7, 3)] {
        let code = code(data, parity);
        let payload = stream(1, 1000);
        let stripe = encode_stripe(&code, payload.clone()).unwrap();
        for subset in subsets(data + parity, data) {
            let shards: Vec<_> = subset.iter().map(|position| verified(&stripe, *position)).collect();
            assert_eq!(decode_stripe(&code, stripe.layout(), &shards).unwrap(), payload, "{subset:?}");
            assert!(decode_stripe(&code, stripe.layout(), &shards[1..]).is_err());
        }
    }
}

fn all_cuts(chunker: &Chunker, data: &[u8], mut read_bytes: impl FnMut() -> usize) -> Vec<usize> {
    let (mut cuts, mut start, mut end) = (Vec::new(), 0, 0);
    loop {
        match chunker.next_chunk_bytes(&data[start..end], end == data.len()) {
            Some(bytes) => {
                cuts.push(bytes);
                start += bytes;
            }
            None if end == data.len() => return cuts,
            None => end = data.len().min(end + read_bytes()),
        }
    }
}

fn scenario() -> impl Strategy<Value = (usize, usize, Vec<usize>, Vec<u8>)> {
    (1_usize..24, 0_usize..12).prop_flat_map(|(data, parity)| {
        let positions: Vec<usize> = (0..data + parity).collect();
        let payload = (any::<u64>(), 1_usize..20_000).prop_map(|(seed, length)| stream(seed, length));
        (Just(data), Just(parity), Just(positions).prop_shuffle(), payload)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_shards_in_any_order_decode((data, parity, order, payload) in scenario()) {
        let code = code(data, parity);
        let stripe = encode_stripe(&code, payload.clone()).unwrap();
        let shards: Vec<_> = order.iter().take(data).map(|position| verified(&stripe, *position)).collect();
        prop_assert_eq!(decode_stripe(&code, stripe.layout(), &shards).unwrap(), payload);
        let lost = *order.last().unwrap();
        let remade = remake_shard(&code, stripe.layout(), &shards, index(lost)).unwrap();
        prop_assert_eq!(Some(remade.as_slice()), stripe.shard(index(lost)));
    }

    #[test]
    fn columns_decode_to_the_same_columns(
        (data, parity, order, payload) in scenario(), start in 0_u64..100_000, length in 1_u64..40_000
    ) {
        let code = code(data, parity);
        let stripe = encode_stripe(&code, payload).unwrap();
        let shard_bytes = stripe.layout().shard_bytes() as u64;
        let start = start % shard_bytes;
        let columns = start..shard_bytes.min(start + length);
        let ranges: Vec<_> = order
            .iter()
            .take(data)
            .map(|position| verified(&stripe, *position).columns(columns.clone()).unwrap())
            .collect();
        let wanted = index(*order.last().unwrap());
        let expected = &stripe.shard(wanted).unwrap()
            [usize::try_from(columns.start).unwrap()..usize::try_from(columns.end).unwrap()];
        prop_assert_eq!(decode_columns(&code, wanted, &ranges).unwrap(), expected);
        prop_assert!(decode_columns(&code, wanted, &ranges[1..]).is_err());
    }

    #[test]
    fn one_flipped_bit_is_found_and_its_shard_named(
        (data, parity, order, payload) in scenario(), bit in any::<usize>()
    ) {
        let stripe = encode_stripe(&code(data, parity), payload).unwrap();
        let position = order[0];
        let mut bytes = stripe.shard(index(position)).unwrap().to_vec();
        let bit = bit % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let error = UncheckedShard::new(index(position), bytes).verify(&stripe.roots()[position]).unwrap_err();
        prop_assert_eq!((error.index, error.expected), (index(position), stripe.roots()[position]));
    }

    #[test]
    fn cuts_do_not_depend_on_buffering(
        seed in any::<u64>(), length in 0_usize..200_000, reads in prop::collection::vec(1_usize..30_000, 1..20),
        repeats in any::<bool>()
    ) {
        let mut data = stream(seed, length);
        if repeats {
            data.iter_mut().enumerate().for_each(|(position, byte)| *byte = u8::try_from(position % 7).unwrap());
        }
        for chunker in [
            Chunker::ContentDefined(ContentDefined::new(2048, 8192).unwrap()),
            Chunker::ContentDefined(ContentDefined::new(1, 3).unwrap()),
            Chunker::ContentDefined(ContentDefined::new(4096, 4096).unwrap()),
            Chunker::FixedSize(FixedSize::new(8192).unwrap()),
        ] {
            let whole = all_cuts(&chunker, &data, || length);
            let mut reads = reads.iter().cycle();
            let parts = all_cuts(&chunker, &data, || *reads.next().unwrap());
            prop_assert_eq!(&whole, &parts);
            prop_assert_eq!(whole.iter().sum::<usize>(), length);
            prop_assert!(whole.iter().all(|bytes| (1..=chunker.max_bytes()).contains(bytes)));
        }
    }

    #[test]
    fn chunks_open_to_what_was_sealed(
        seed in any::<u64>(), length in 0_usize..200_000, shrinks in any::<bool>(), bit in any::<usize>()
    ) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut plaintext = stream(seed, length);
        if shrinks {
            plaintext.iter_mut().for_each(|byte| *byte &= 0x0f);
        }
        let hash = ChunkHash::of(&DedupSecret::random(&mut rng), &plaintext);
        for compression in [Compression::Stored, Compression::default(), Compression::Zstd { level: -3 }] {
            let mut sealed = b"before".to_vec();
            let compressor = &mut Compressor::new();
            let added = seal_chunk(&hash, &plaintext, compression, compressor, &mut rng, &mut sealed).unwrap();
            prop_assert!(added == sealed.len() - 6 && added <= length + shard_codec::sealing::OVERHEAD_BYTES);
            let mut opened = Vec::new();
            open_chunk(&hash, &sealed[6..], length, &mut Decompressor::new(), &mut opened).unwrap();
            prop_assert_eq!(&opened, &plaintext);
            let bit = bit % (added * 8);
            sealed[6 + bit / 8] ^= 1 << (bit % 8);
            opened.clear();
            prop_assert!(open_chunk(&hash, &sealed[6..], length, &mut Decompressor::new(), &mut opened).is_err());
            prop_assert!(opened.is_empty());
        }
    }

    #[test]
    fn frames_open_to_what_was_sealed(plaintext in prop::collection::vec(any::<u8>(), 0..300), bit in any::<usize>()) {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = SecretBytes::random(&mut rng);
        let mut sealed = seal_with(&key, b"aad", &plaintext, &mut rng).unwrap();
        prop_assert_eq!(&**open_with(&key, b"aad", &sealed).unwrap(), &plaintext);
        let bit = bit % (sealed.len() * 8);
        sealed[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(open_with(&key, b"aad", &sealed).is_err());
    }

    #[test]
    fn ranges_verify_and_other_bytes_do_not(
        seed in any::<u64>(), length in 1_usize..120_000, first in any::<u64>(), second in any::<u64>(), bit in any::<usize>()
    ) {
        let shard = stream(seed, length);
        let (first, second) = (first % length as u64, second % length as u64);
        let range = first.min(second)..first.max(second) + 1;
        let mut proof = prove_range(&shard, range.clone()).unwrap();
        let expected = &shard[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        prop_assert_eq!(verify_range(&root(&shard), length as u64, range.clone(), &proof).unwrap(), expected);
        let bit = bit % (proof.len() * 8);
        proof[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verify_range(&root(&shard), length as u64, range, &proof).is_err());
    }

    #[test]
    fn hostile_proofs_are_refused_without_a_panic(
        shard_bytes in any::<u64>(), start in any::<u64>(), end in any::<u64>(),
        proof in prop::collection::vec(any::<u8>(), 0..2000)
    ) {
        let name = root(b"shard");
        prop_assert!(verify_range(&name, shard_bytes, start..end, &proof).is_err());
        let short = shard_bytes % 5000;
        prop_assert!(verify_range(&name, short, start % 5000..end % 5000, &proof).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn threshold_shares_reconstruct_and_fewer_do_not(
        seed in any::<u64>(), threshold in 1_usize..8, spare in 0_usize..5, rotate in any::<usize>()
    ) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let secret = SnapshotSecret::random(&mut rng);
        let count = threshold + spare;
        let (mut shares, commitments) = deal(&secret, threshold, count, &mut rng).unwrap();
        shares.rotate_left(rotate % count);
        let back = reconstruct(threshold, &shares[..threshold], &commitments).unwrap();
        prop_assert!(bool::from(back.ct_eq(&secret)));
        prop_assert_eq!(
            reconstruct(threshold, &shares[1..threshold], &commitments).unwrap_err(),
            ReconstructError::TooFew { expected: threshold, actual: threshold - 1 }
        );
        // One share of another dealing in place of the last: named, and no secret comes out.
        let (others, _) = deal(&SnapshotSecret::random(&mut rng), threshold, count, &mut rng).unwrap();
        let wrong = shares.swap_remove(threshold - 1).index();
        shares.truncate(threshold - 1);
        shares.extend(others.into_iter().filter(|share| share.index() == wrong));
        prop_assert_eq!(
            reconstruct(threshold, &shares, &commitments).unwrap_err(),
            ReconstructError::Wrong { indices: vec![wrong] }
        );
    }

    #[test]
    fn any_bytes_are_a_canonical_share_or_none(bytes in prop::collection::vec(any::<u8>(), 65)) {
        if let Ok(share) = Share::from_bytes(&bytes) {
            prop_assert!(share.to_bytes().expose(|back| back.as_slice() == bytes));
        }
    }
}
