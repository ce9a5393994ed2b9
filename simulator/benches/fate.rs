//! Events per second of fate mode on one core, beside a plain kernel of fifty lines on the same model: sites that fail
//! once a year and are back after a month, and how often the fourth is down at once.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs,
    reason = "a measurement; a panic ends it, which is right"
)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use simulator::fate::engine::{Options, run};
use simulator::fate::model::{Code, Law, Model, Outage, Policy, Restore, Site};

/// `sites` that are down for a month a year; `data_shards` of them are needed.
fn model(sites: usize, data_shards: u32, horizon_years: f64) -> Model {
    let outage =
        Outage { every: Law::Exponential { mean_years: 1.0 }, lasts: Law::Exponential { mean_years: 1.0 / 12.0 } };
    let site = |number| Site { outage: Some(outage), ..Site::new(format!("site-{number}")) };
    Model {
        horizon_years,
        sites: (0..sites).map(site).collect(),
        groups: vec![],
        timeline: vec![],
        code: Code { data_shards, threshold: 1, refresh_years: None, ciphertext_is_public: false },
        policy: Policy::default(),
        databases: vec![],
        restore: Restore::default(),
        writer: None,
    }
}

/// The peer: a heap of times in microseconds, one event taken out and one put in; logarithms for exponential times.
/// Returns events and falls below `data_shards`.
fn plain_heap(sites: usize, data_shards: usize, horizon_years: f64) -> (u64, u64) {
    const YEAR: f64 = 365.25 * 86_400e6;
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut after = |now: u64, mean_years: f64| {
        let unit = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        now + (-(1.0 - unit).ln() * mean_years * YEAR) as u64
    };
    let end = (horizon_years * YEAR) as u64;
    let mut up = vec![true; sites];
    let mut count = sites;
    let mut queue: BinaryHeap<Reverse<(u64, usize)>> = (0..sites).map(|site| Reverse((after(0, 1.0), site))).collect();
    let (mut events, mut falls) = (0, 0);
    while let Some(Reverse((now, site))) = queue.pop() {
        if now >= end {
            break;
        }
        events += 1;
        up[site] = !up[site];
        if up[site] {
            count += 1;
        } else {
            falls += u64::from(count == data_shards);
            count -= 1;
        }
        queue.push(Reverse((after(now, if up[site] { 1.0 } else { 1.0 / 12.0 }), site)));
    }
    (events, falls)
}

fn kernels(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("events");
    for (sites, data_shards) in [(9, 6_u32), (16, 11), (100, 80), (1000, 880), (10_000, 9_000)] {
        let horizon = 1e6 / (sites as f64 * 24.0 / 13.0);
        let plan = model(sites, data_shards, horizon);
        let options = Options { replications: 1, threads: Some(1), ..Options::default() };
        let events = run(&plan, &options, &|_| ()).unwrap().effort.events;
        group.throughput(Throughput::Elements(events));
        group.bench_function(BenchmarkId::new("fate", sites), |bencher| {
            bencher.iter(|| run(&plan, &options, &|_| ()).unwrap().unavailability.falls_per_year.estimate);
        });
        let (events, _) = plain_heap(sites, data_shards as usize, horizon);
        group.throughput(Throughput::Elements(events));
        group.bench_function(BenchmarkId::new("plain-heap", sites), |bencher| {
            bencher.iter(|| plain_heap(sites, data_shards as usize, horizon).1);
        });
    }
    group.finish();
}

criterion_group!(benches, kernels);
criterion_main!(benches);
