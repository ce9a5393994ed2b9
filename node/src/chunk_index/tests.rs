//! Chunks are found while their stripe lives; numbers are never given out twice; lookups are fast enough.

use super::*;
use crate::clock::Monotonic;

fn open(dir: &tempfile::TempDir) -> ChunkIndex {
    ChunkIndex::open(&dir.path().join("chunks.redb")).unwrap()
}

fn chunk_id(number: u64) -> [u8; 32] {
    *blake3::hash(&number.to_le_bytes()).as_bytes()
}

fn stripe(shards: u8) -> StripeRecord {
    let shards = (0..shards).map(|index| StripeShard { root: [index; 32], stored: false }).collect();
    StripeRecord { payload_bytes: 16 << 20, shards, state: StripeState::Pending }
}

fn location(stripe_number: u64) -> Location {
    Location { stripe_number, offset: 0x0102_0304, bytes: 0x0506_0708 }
}

#[test]
fn the_layouts_are_the_documented_ones() {
    let bytes = layout::encode_location(&location(0x1112_1314_1516_1718));
    assert_eq!(hex::encode(bytes), "18171615141312110403020108070605");
    assert_eq!(layout::decode_location(&bytes), location(0x1112_1314_1516_1718));
    let mut record = stripe(2);
    record.state = StripeState::Published { sequence: 7 };
    record.shards[1].stored = true;
    let bytes = layout::encode_stripe(&record).unwrap();
    let expected = format!("010700000000000000{}02{}00{}01", "00000001", "00".repeat(32), "01".repeat(32));
    assert_eq!(hex::encode(&bytes), expected);
    assert_eq!(layout::decode_stripe(&bytes).unwrap(), record);
    for damaged in 0..bytes.len() {
        assert_eq!(layout::decode_stripe(&bytes[..damaged]), None, "cut to {damaged} bytes");
    }
    assert_eq!(layout::encode_stripe(&StripeRecord { shards: vec![record.shards[0]; 256], ..record }), None);
}

#[test]
fn a_stripe_and_its_chunks_come_back_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(&dir);
    let number = index.next_stripe_number().unwrap();
    index.record_stripe(number, &stripe(3), &[(chunk_id(1), location(number))]).unwrap();
    index.mark_stored(&[(number, 0), (number, 2)]).unwrap();
    index.publish(&[number], 9).unwrap();
    drop(index);
    let index = open(&dir);
    assert_eq!(index.get(&chunk_id(1)).unwrap(), Some(location(number)));
    assert_eq!(index.get_batch(&[chunk_id(2), chunk_id(1)]).unwrap(), [None, Some(location(number))]);
    let record = index.stripe(number).unwrap().unwrap();
    assert_eq!(record.state, StripeState::Published { sequence: 9 });
    assert_eq!(record.shards.iter().map(|shard| shard.stored).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(index.stripes(0, 10).unwrap(), [(number, record)]);
}

#[test]
fn a_stripe_number_is_never_given_out_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = BTreeSet::new();
    for _restart in 0..3 {
        let index = open(&dir);
        for _call in 0..1500 {
            assert!(seen.insert(index.next_stripe_number().unwrap()));
        }
    }
}

/// A home that lost its index goes on after the numbers that the manifests used.
#[test]
fn numbers_that_others_used_are_skipped_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(&dir);
    let first = index.next_stripe_number().unwrap();
    index.skip_past(1_000_000).unwrap();
    assert_eq!(index.next_stripe_number().unwrap(), 1_000_001);
    // Never back.
    index.skip_past(1_000_001).unwrap();
    index.skip_past(first).unwrap();
    assert_eq!(index.next_stripe_number().unwrap(), 1_000_002);
    index.skip_past(5_000_000).unwrap();
    drop(index);
    // Not even if none was given out before the process died.
    let index = open(&dir);
    assert!(index.next_stripe_number().unwrap() > 5_000_000);
    let mut seen = BTreeSet::new();
    assert!((0..3_000).all(|_call| seen.insert(index.next_stripe_number().unwrap())));
    // The highest number a manifest may name is far from the last one there is.
    index.skip_past(protocol::limits::STRIPE_NUMBER_MAX).unwrap();
    assert_eq!(index.next_stripe_number().unwrap(), protocol::limits::STRIPE_NUMBER_MAX + 1);
}

#[test]
fn a_forgotten_stripe_takes_its_chunks_along_before_and_after_a_sweep() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(&dir);
    index.record_stripe(1, &stripe(1), &[(chunk_id(1), location(1))]).unwrap();
    index.record_stripe(2, &stripe(1), &[(chunk_id(2), location(2))]).unwrap();
    index.forget_stripe(1).unwrap();
    assert_eq!(index.get_batch(&[chunk_id(1), chunk_id(2)]).unwrap(), [None, Some(location(2))]);
    drop(index);
    let index = open(&dir);
    assert_eq!(index.get(&chunk_id(1)).unwrap(), None);
    assert_eq!(index.chunk_count().unwrap(), 2);
    assert_eq!(index.sweep().unwrap(), 1);
    assert_eq!(index.chunk_count().unwrap(), 1);
    assert_eq!(index.get(&chunk_id(2)).unwrap(), Some(location(2)));
}

#[test]
fn what_does_not_fit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(&dir);
    index.record_stripe(1, &stripe(2), &[]).unwrap();
    let twice = index.record_stripe(1, &stripe(2), &[(chunk_id(1), location(1))]).unwrap_err();
    assert!(matches!(twice, ChunkIndexError::StripeExists { stripe_number: 1 }));
    assert_eq!(index.get(&chunk_id(1)).unwrap(), None);
    let dead = index.insert_batch(&[(chunk_id(1), location(5))]).unwrap_err();
    assert!(matches!(dead, ChunkIndexError::UnknownStripe { stripe_number: 5 }));
    let shard = index.mark_stored(&[(1, 0), (1, 2)]).unwrap_err();
    assert!(matches!(shard, ChunkIndexError::UnknownShard { stripe_number: 1, shard_index: 2 }));
    assert!(!index.stripe(1).unwrap().unwrap().shards[0].stored, "a refused call notes nothing");
}

/// Prints the rate. The bound is far below what was measured, so that a busy machine does not fail it.
#[test]
fn lookups_are_fast_enough() {
    const CHUNKS: u64 = 100_000;
    let dir = tempfile::tempdir().unwrap();
    let index = open(&dir);
    index.record_stripe(1, &stripe(5), &[]).unwrap();
    let chunks: Vec<_> = (0..CHUNKS).map(|number| (chunk_id(number), location(1))).collect();
    index.insert_batch(&chunks).unwrap();
    let single = Monotonic::start();
    for (id, expected) in &chunks {
        assert_eq!(index.get(id).unwrap(), Some(*expected));
    }
    let single_ms = single.elapsed_ms().max(1);
    let ids: Vec<_> = chunks.iter().map(|(id, _location)| *id).collect();
    let batch = Monotonic::start();
    for ids in ids.chunks(256) {
        assert!(index.get_batch(ids).unwrap().iter().all(Option::is_some));
    }
    let batch_ms = batch.elapsed_ms().max(1);
    println!("get {} /s, get_batch(256) {} /s", CHUNKS * 1000 / single_ms, CHUNKS * 1000 / batch_ms);
    assert!(batch_ms < 10_000, "{batch_ms} ms for {CHUNKS} lookups");
}
