//! Throughput of every stage and of the whole path, on one core.
//!
//! Bytes per second are of plaintext (cut to seal, and the whole paths) or of payload (code, decode). Restore is
//! the worst case: every parity shard stands in for a data shard.
#![expect(clippy::indexing_slicing, reason = "a benchmark that panics is a benchmark that is fixed")]

use std::hint::black_box;
use std::ops::Range;

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::{ChaCha8Rng, ChaCha20Rng};
use shard_codec::sealing::{open_chunk, seal_chunk};
use shard_codec::stripe::{decode_stripe_into, encode_stripe};
use shard_codec::{
    ChunkHash, Chunker, CodingParameters, Compression, Compressor, Decompressor, DedupSecret, Digest, EncodedStripe,
    ErasureCode, Reference, ShardIndex, StripeBuilder, StripeLayout, UncheckedShard, VerifiedShard, limits,
};

const DATA_BYTES: usize = 64 << 20;
const CHUNK_BYTES: usize = 1 << 20;
const PARAMETERS: [(usize, usize); 2] = [(3, 2), (7, 3)];
const ZSTD: Compression = Compression::Zstd { level: 1 };

fn noise() -> Vec<u8> {
    let mut data = vec![0; DATA_BYTES];
    ChaCha8Rng::seed_from_u64(1).fill_bytes(&mut data);
    data
}

/// Rows of a register: few surnames and towns, dates, and an identifier that does not compress.
fn register() -> Vec<u8> {
    let names = ["Tamm", "Saar", "Sepp", "Magi", "Kask", "Kukk", "Rebane", "Ilves"];
    let towns = ["Tallinn", "Tartu", "Narva", "Parnu", "Viljandi", "Rakvere"];
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut data = Vec::with_capacity(DATA_BYTES + 256);
    while data.len() < DATA_BYTES {
        let name = names[rng.random_range(0..names.len())];
        let town = towns[rng.random_range(0..towns.len())];
        let (year, day, plot, owner) =
            (rng.random_range(1930..2020), rng.random_range(1..29), rng.random::<u32>(), rng.random::<u64>());
        data.extend_from_slice(
            format!("{plot}\t{name}\t{year}-03-{day:02}\t{town}\tactive\t{owner:016x}\tparcel\t\\N\n").as_bytes(),
        );
    }
    data.truncate(DATA_BYTES);
    data
}

fn code(data_shards: usize, parity_shards: usize) -> Reference {
    Reference::new(CodingParameters::new(data_shards, parity_shards).expect("valid")).expect("valid")
}

fn worst_case(stripe: &EncodedStripe) -> Vec<VerifiedShard> {
    let parameters = stripe.layout().parameters();
    let kept = parameters.parity_shards()..parameters.total_shards();
    kept.map(|position| {
        let index = ShardIndex::new(u8::try_from(position).expect("at most 255"));
        let bytes = stripe.shard(index).expect("in range").to_vec();
        UncheckedShard::new(index, bytes).verify(&stripe.roots()[position]).expect("untouched")
    })
    .collect()
}

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).warm_up_time(std::time::Duration::from_millis(300));
    group.measurement_time(std::time::Duration::from_millis(1200));
    group
}

fn chunk_stages(criterion: &mut Criterion) {
    let (noise, register) = (noise(), register());
    let secret = DedupSecret::random(&mut ChaCha20Rng::seed_from_u64(3));
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let mut group = group(criterion, "chunk");
    group.throughput(Throughput::Bytes(DATA_BYTES as u64));
    group.bench_function("cut", |bencher| {
        bencher.iter(|| cuts(&noise).count());
    });
    group.throughput(Throughput::Bytes(CHUNK_BYTES as u64));
    let chunk = &noise[..CHUNK_BYTES];
    group.bench_function("hash", |bencher| bencher.iter(|| black_box(ChunkHash::of(&secret, chunk))));
    let cases = [("stored", chunk, Compression::Stored), ("zstd/noise", chunk, ZSTD)];
    let cases = cases.into_iter().chain([("zstd/register", &register[..CHUNK_BYTES], ZSTD)]);
    for (name, chunk, compression) in cases {
        let hash = ChunkHash::of(&secret, chunk);
        let (mut compressor, mut decompressor) = (Compressor::new(), Decompressor::new());
        let mut sealed = Vec::new();
        group.bench_function(format!("seal/{name}"), |bencher| {
            bencher.iter(|| {
                sealed.clear();
                seal_chunk(&hash, chunk, compression, &mut compressor, &mut rng, &mut sealed).expect("seals")
            });
        });
        let mut opened = Vec::new();
        group.bench_function(format!("open/{name}"), |bencher| {
            bencher.iter(|| {
                opened.clear();
                open_chunk(&hash, &sealed, CHUNK_BYTES, &mut decompressor, &mut opened).expect("opens");
            });
        });
    }
    group.bench_function("root", |bencher| bencher.iter(|| shard_codec::shard_tree::root(chunk)));
    group.finish();
}

fn stripe_stages(criterion: &mut Criterion) {
    let noise = noise();
    let payload_bytes = limits::STRIPE_BYTES_DEFAULT;
    let mut group = group(criterion, "stripe");
    group.throughput(Throughput::Bytes(payload_bytes as u64));
    for (data_shards, parity_shards) in PARAMETERS {
        let code = code(data_shards, parity_shards);
        let name = format!("({data_shards},{})", data_shards + parity_shards);
        let stripe = encode_stripe(&code, noise[..payload_bytes].to_vec()).expect("encodes");
        let layout = *stripe.layout();
        let data: Vec<&[u8]> = (0..data_shards)
            .map(|index| stripe.shard(ShardIndex::new(u8::try_from(index).expect("small"))).expect("in range"))
            .collect();
        let mut parity = vec![vec![0; layout.shard_bytes()]; parity_shards];
        group.bench_function(format!("code only {name}"), |bencher| {
            bencher.iter(|| {
                let mut outputs: Vec<&mut [u8]> = parity.iter_mut().map(Vec::as_mut_slice).collect();
                code.encode(&data, &mut outputs).expect("encodes");
            });
        });
        let portable = Reference::portable(code.parameters()).expect("valid");
        group.bench_function(format!("code only, portable {name}"), |bencher| {
            bencher.iter(|| {
                let mut outputs: Vec<&mut [u8]> = parity.iter_mut().map(Vec::as_mut_slice).collect();
                portable.encode(&data, &mut outputs).expect("encodes");
            });
        });
        let shards = worst_case(&stripe);
        let mut payload = Vec::new();
        group.bench_function(format!("decode worst case {name}"), |bencher| {
            bencher.iter(|| decode_stripe_into(&code, &layout, &shards, &mut payload).expect("decodes"));
        });
        let mut buffer = stripe.into_buffer();
        group.bench_function(format!("code and roots {name}"), |bencher| {
            bencher.iter(|| {
                let mut payload = std::mem::take(&mut buffer);
                payload.truncate(payload_bytes);
                buffer = encode_stripe(&code, payload).expect("encodes").into_buffer();
            });
        });
    }
    group.finish();
}

fn cuts(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let chunker = Chunker::default();
    let mut rest = data;
    std::iter::from_fn(move || {
        let (chunk, after) = rest.split_at(chunker.next_chunk_bytes(rest, true)?);
        rest = after;
        Some(chunk)
    })
}

struct Entry {
    stripe: usize,
    range: Range<usize>,
    hash: ChunkHash,
    plaintext_bytes: usize,
}

/// One core's worth of the backup: `emit` takes each stripe and gives back a buffer to use again.
fn backup(
    data: &[u8],
    code: &Reference,
    compression: Compression,
    secret: &DedupSecret,
    buffer: &mut Vec<u8>,
    mut emit: impl FnMut(EncodedStripe) -> Vec<u8>,
) -> Vec<Entry> {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let mut compressor = Compressor::new();
    let (parameters, stripe_bytes) = (code.parameters(), limits::STRIPE_BYTES_DEFAULT);
    let begin = |buffer| StripeBuilder::reusing(parameters, stripe_bytes, buffer).expect("valid");
    let mut builder = begin(std::mem::take(buffer));
    let (mut entries, mut stripe) = (Vec::new(), 0);
    for chunk in cuts(data) {
        let hash = ChunkHash::of(secret, chunk);
        let range = loop {
            if let Some(range) = builder.seal(&hash, chunk, compression, &mut compressor, &mut rng).expect("seals") {
                break range;
            }
            builder = begin(emit(encode_stripe(code, builder.finish()).expect("encodes")));
            stripe += 1;
        };
        entries.push(Entry { stripe, range, hash, plaintext_bytes: chunk.len() });
    }
    *buffer = emit(encode_stripe(code, builder.finish()).expect("encodes"));
    entries
}

/// What the sites hold of one stripe, less as many shards as may be lost.
struct Kept {
    layout: StripeLayout,
    shards: Vec<(ShardIndex, Digest, Vec<u8>)>,
}

/// Verify, decode, open; the shards are given back for the next round.
fn restore(
    kept: &mut [Kept],
    code: &Reference,
    entries: &[Entry],
    decompressor: &mut Decompressor,
    payload: &mut Vec<u8>,
    plaintext: &mut Vec<u8>,
) {
    let mut entries = entries.iter().peekable();
    for (position, stripe) in kept.iter_mut().enumerate() {
        let verified: Vec<VerifiedShard> = stripe
            .shards
            .iter_mut()
            .map(|(index, root, bytes)| UncheckedShard::new(*index, std::mem::take(bytes)).verify(root).expect("good"))
            .collect();
        decode_stripe_into(code, &stripe.layout, &verified, payload).expect("decodes");
        for (kept, verified) in stripe.shards.iter_mut().zip(verified) {
            kept.2 = verified.into_bytes();
        }
        while let Some(entry) = entries.next_if(|entry| entry.stripe == position) {
            plaintext.clear();
            let sealed = &payload[entry.range.clone()];
            open_chunk(&entry.hash, sealed, entry.plaintext_bytes, decompressor, plaintext).expect("opens");
            black_box(&*plaintext);
        }
    }
}

fn whole_path(criterion: &mut Criterion) {
    let secret = DedupSecret::random(&mut ChaCha20Rng::seed_from_u64(6));
    let mut group = group(criterion, "whole path");
    group.throughput(Throughput::Bytes(DATA_BYTES as u64));
    let data = [("noise", noise()), ("register", register())];
    for (data_name, data) in &data {
        for (data_shards, parity_shards) in PARAMETERS {
            for (compression_name, compression) in [("stored", Compression::Stored), ("zstd 1", ZSTD)] {
                let code = code(data_shards, parity_shards);
                let name = format!("({data_shards},{}) {data_name} {compression_name}", data_shards + parity_shards);
                let mut buffer = Vec::new();
                group.bench_function(format!("backup {name}"), |bencher| {
                    bencher.iter(|| {
                        backup(data, &code, compression, &secret, &mut buffer, |stripe| {
                            black_box(&stripe);
                            stripe.into_buffer()
                        })
                    });
                });
                let mut kept = Vec::new();
                let entries = backup(data, &code, compression, &secret, &mut buffer, |stripe| {
                    let shards = worst_case(&stripe).into_iter();
                    let shards = shards
                        .map(|shard| (shard.index(), stripe.roots()[shard.index().as_usize()], shard.into_bytes()));
                    kept.push(Kept { layout: *stripe.layout(), shards: shards.collect() });
                    stripe.into_buffer()
                });
                let mut decompressor = Decompressor::new();
                let (mut payload, mut plaintext) = (Vec::new(), Vec::new());
                group.bench_function(format!("restore {name}"), |bencher| {
                    bencher.iter(|| {
                        restore(&mut kept, &code, &entries, &mut decompressor, &mut payload, &mut plaintext);
                    });
                });
            }
        }
    }
    group.finish();
}

criterion_group!(benches, chunk_stages, stripe_stages, whole_path);
criterion_main!(benches);
