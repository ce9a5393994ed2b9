//! The shard store on the disk of the temporary folder: what the hashes of leaves cost a put, what they spare a proof, and
//! how near the scrub comes to a raw read. Everything that is read comes from the disk, not from the page cache.
//!
//! Compare rows of one run; the disk of another machine is another disk.
#![expect(clippy::unwrap_used, reason = "a benchmark that panics is a benchmark that is fixed")]

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use node::shard_store::{Put, PutRequest, Scrub, ScrubOptions, ScrubStep, ShardStore};
use shard_codec::shard_tree::{LeafHasher, RootHasher, prove_range};
use shard_codec::{Digest, ShardIndex};

/// One shard of a stripe of 16 MiB over three sites.
const SHARD_BYTES: usize = 5_592_448;
const SHARDS: u64 = 24;

fn shard(number: u64) -> Vec<u8> {
    let mut bytes = vec![0; SHARD_BYTES];
    blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn put(store: &ShardStore, shard: &[u8]) -> Digest {
    let request = PutRequest {
        root: Digest::of(shard),
        bytes: shard.len() as u64,
        database: "land-register".to_owned(),
        quota_bytes: u64::MAX,
        stripe_number: 0,
        shard_index: ShardIndex::new(0),
    };
    let root = request.root;
    if let Put::Writer(mut incoming) = store.begin(request).unwrap() {
        incoming.write(shard).unwrap();
        incoming.commit().unwrap();
    }
    root
}

fn group<'a>(criterion: &'a mut Criterion, name: &str, bytes: u64) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Bytes(bytes));
    group
}

fn puts(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let (store, _report) = ShardStore::open(folder.path()).unwrap();
    let mut shard = shard(0);
    let mut group = group(criterion, "put", SHARD_BYTES as u64);
    group.bench_function("hash/root alone", |bencher| {
        bencher.iter(|| {
            let mut hasher = RootHasher::new();
            hasher.update(&shard);
            black_box(hasher.finish())
        });
    });
    group.bench_function("hash/root and leaves", |bencher| {
        bencher.iter(|| {
            let mut hasher = LeafHasher::new();
            hasher.update(&shard);
            black_box(hasher.finish())
        });
    });
    let mut number = 0_u64;
    group.bench_function("durable put", |bencher| {
        bencher.iter(|| {
            number += 1;
            shard.splice(..8, number.to_le_bytes()).for_each(drop);
            put(&store, &shard)
        });
    });
}

/// Reads files as the scrub does, without hashing.
fn read_raw(paths: &[PathBuf]) {
    let mut buffer = vec![0; 1 << 20];
    for path in paths {
        let mut file = File::open(path).unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        while file.read(&mut buffer).unwrap() > 0 {
            black_box(&mut buffer);
        }
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }
}

fn scrub(store: &ShardStore) {
    let mut scrub = Scrub::begin(store.clone(), ScrubOptions::UNPACED, 1).unwrap();
    while !matches!(scrub.step(1).unwrap(), ScrubStep::Ended) {}
    assert_eq!(store.scrub_progress().rotten_count, 0);
}

fn reads(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let (store, _report) = ShardStore::open(folder.path()).unwrap();
    let roots: Vec<Digest> = (0..SHARDS).map(|number| put(&store, &shard(number))).collect();
    let path = |root: &Digest| {
        let name = root.to_string();
        folder.path().join("shards").join(name.chars().take(2).collect::<String>()).join(name)
    };
    let paths: Vec<PathBuf> = roots.iter().map(path).collect();
    let mut scrubs = group(criterion, "read", SHARDS * SHARD_BYTES as u64);
    scrubs.bench_function("raw", |bencher| bencher.iter(|| read_raw(&paths)));
    scrubs.bench_function("scrub", |bencher| bencher.iter(|| scrub(&store)));
    scrubs.finish();

    let mut proofs = group(criterion, "prove 16 KiB", 16 << 10);
    let mut next = roots.iter().cycle();
    proofs.bench_function("from the whole shard", |bencher| {
        bencher
            .iter(|| prove_range(&store.read(next.next().unwrap()).unwrap(), 2 << 20..(2 << 20) + (16 << 10)).unwrap());
    });
    proofs.bench_function("from its leaf", |bencher| {
        bencher.iter(|| store.prove_range(next.next().unwrap(), 2 << 20, 16 << 10).unwrap());
    });
    proofs.finish();
    let size = |path: PathBuf| path.metadata().unwrap().len();
    println!("index: {} bytes for {SHARDS} shards of {SHARD_BYTES} bytes", size(folder.path().join("index.redb")));
}

criterion_group!(benches, puts, reads);
criterion_main!(benches);
