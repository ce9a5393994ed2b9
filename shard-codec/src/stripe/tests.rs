//! Unit tests of `stripe`.

use super::*;
use crate::digest::Digest;
use crate::reed_solomon::{CodeError, Reference};

fn encoded(data: usize, parity: usize, payload_bytes: usize) -> (Reference, Vec<u8>, EncodedStripe) {
    let code = Reference::new(CodingParameters::new(data, parity).unwrap()).unwrap();
    let mut payload = vec![0; payload_bytes];
    blake3::Hasher::new().finalize_xof().fill(&mut payload);
    let stripe = encode_stripe(&code, payload.clone()).unwrap();
    (code, payload, stripe)
}

fn verified(stripe: &EncodedStripe, index: u8) -> VerifiedShard {
    let index = ShardIndex::new(index);
    UncheckedShard::new(index, stripe.shard(index).unwrap().to_vec()).verify(&stripe.roots()[index.as_usize()]).unwrap()
}

#[test]
fn a_builder_never_overflows_and_never_moves_its_buffer() {
    let parameters = CodingParameters::new(3, 2).unwrap();
    let mut builder = StripeBuilder::new(parameters, 100).unwrap();
    assert_eq!(builder.push_sealed(&[1; 60]), Some(0));
    assert_eq!(builder.push_sealed(&[2; 41]), None);
    assert_eq!(builder.push_sealed(&[3; 40]), Some(60));
    assert_eq!((builder.room(), builder.payload_bytes()), (0, 100));
    let payload = builder.finish();
    let address = payload.as_ptr();
    let stripe = encode_stripe(&Reference::new(parameters).unwrap(), payload).unwrap();
    assert_eq!(stripe.shard(ShardIndex::new(0)).unwrap().as_ptr(), address);
    assert_eq!(stripe.shard(ShardIndex::new(5)), None);
}

#[test]
fn a_range_is_located_across_shards() {
    let layout = StripeLayout::new(CodingParameters::new(3, 2).unwrap(), 300).unwrap();
    assert_eq!((layout.shard_bytes(), layout.total_bytes()), (128, 640));
    let index = ShardIndex::new;
    assert_eq!(layout.locate(0, 128).unwrap(), [(index(0), 0..128)]);
    assert_eq!(layout.locate(120, 140).unwrap(), [(index(0), 120..128), (index(1), 0..128), (index(2), 0..4)]);
    assert_eq!(layout.locate(300, 0).unwrap(), []);
    assert!(layout.locate(299, 2).is_err() && layout.locate(usize::MAX, 2).is_err());
}

#[test]
fn empty_and_overlong_stripes_are_refused() {
    let parameters = CodingParameters::new(3, 2).unwrap();
    assert!(StripeLayout::new(parameters, 0).is_err());
    assert!(StripeLayout::new(parameters, STRIPE_BYTES_MAX + 1).is_err());
    assert!(encode_stripe(&Reference::new(parameters).unwrap(), Vec::new()).is_err());
}

#[test]
fn a_wrong_shard_is_named() {
    let (_, _, stripe) = encoded(3, 2, 1000);
    let index = ShardIndex::new(4);
    let mut bytes = stripe.shard(index).unwrap().to_vec();
    bytes[7] ^= 1;
    let expected = stripe.roots()[4];
    let error = UncheckedShard::new(index, bytes.clone()).verify(&expected).unwrap_err();
    assert_eq!(error, ShardMismatch { index, expected, actual: Digest::of(&bytes) });
}

#[test]
fn unfit_shards_are_refused() {
    let (code, _, stripe) = encoded(3, 2, 1000);
    let layout = stripe.layout();
    let decode = |shards: &[VerifiedShard]| decode_stripe(&code, layout, shards).unwrap_err();
    let good = |index| verified(&stripe, index);
    assert_eq!(decode(&[good(0), good(4)]), CodeError::TooFew { expected: 3, actual: 2 }.into());
    assert_eq!(decode(&[good(0), good(4), good(0)]), CodeError::Duplicate { index: ShardIndex::new(0) }.into());
    let other = |index, bytes: &[u8]| {
        UncheckedShard::new(ShardIndex::new(index), bytes.to_vec()).verify(&Digest::of(bytes)).unwrap()
    };
    assert!(matches!(decode(&[good(0), good(1), other(2, &[0; 64])]), DecodeError::ShardBytes { .. }));
    assert!(matches!(decode(&[good(0), good(1), other(5, &[0; 384])]), DecodeError::Code(CodeError::Index { .. })));
    let (other_code, _, _) = encoded(4, 1, 1000);
    let shards = [good(0), good(1), good(2)];
    assert!(matches!(decode_stripe(&other_code, layout, &shards), Err(DecodeError::Parameters { .. })));
}

#[test]
fn one_shard_is_remade_from_shards_or_from_the_payload() {
    for payload_bytes in [1, 63, 64, 1000, 100_000] {
        let (code, payload, stripe) = encoded(4, 3, payload_bytes);
        let given: Vec<_> = [6, 1, 4, 3].map(|index| verified(&stripe, index)).into();
        for index in (0..7).map(ShardIndex::new) {
            let expected = stripe.shard(index).unwrap();
            assert_eq!(remake_shard(&code, stripe.layout(), &given, index).unwrap(), expected);
            assert_eq!(encode_shard(&code, stripe.layout(), &payload, index).unwrap(), expected);
        }
        assert!(encode_shard(&code, stripe.layout(), &payload, ShardIndex::new(7)).is_err());
        assert!(encode_shard(&code, stripe.layout(), &payload[1..], ShardIndex::new(0)).is_err());
    }
}

#[test]
fn ranges_of_different_columns_do_not_decode_together() {
    let (code, _, stripe) = encoded(2, 1, 1000);
    let ranges = [verified(&stripe, 0).columns(0..10).unwrap(), verified(&stripe, 1).columns(1..11).unwrap()];
    assert!(matches!(decode_columns(&code, ShardIndex::new(2), &ranges), Err(DecodeError::Columns { .. })));
}
