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
use simulator::fate::rare;

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

/// A plan with hazards, repair and groups for the long way: `sites` that fail, rot, are seized and go down.
fn full(sites: usize, horizon_years: f64) -> Model {
    let mut plan = model(sites, u32::try_from(sites * 2 / 3).unwrap(), horizon_years);
    for site in &mut plan.sites {
        site.loss = Some(Law::Exponential { mean_years: 20.0 });
        site.repair = Some(Law::LogNormal { mean_years: 30.0 / 365.0, cv: 0.5 });
        site.rot_per_year = 0.1;
        site.seized_per_year = 0.01;
    }
    plan.policy.audit_years = Some(7.0 / 365.0);
    plan.code.threshold = plan.code.data_shards;
    plan
}

fn full_plans(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("full-plan");
    for (sites, replications) in [(9, 4096), (100, 512), (1000, 64)] {
        let plan = full(sites, 10.0);
        let options = Options { replications, threads: Some(1), ..Options::default() };
        let events = run(&plan, &options, &|_| ()).unwrap().effort.events;
        group.throughput(Throughput::Elements(events));
        group.bench_function(BenchmarkId::new("fate", sites), |bencher| {
            bencher.iter(|| run(&plan, &options, &|_| ()).unwrap().loss.by_horizon.estimate);
        });
    }
    group.finish();
}

/// One and two threads; the same work with twice the years takes twice the time.
fn cores_and_years(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("threads-and-years");
    for (threads, years) in [(1, 500.0), (1, 1000.0), (2, 1000.0)] {
        let plan = model(9, 6, years);
        let options = Options { replications: 256, threads: Some(threads), ..Options::default() };
        let events = run(&plan, &options, &|_| ()).unwrap().effort.events;
        group.throughput(Throughput::Elements(events));
        group.bench_function(BenchmarkId::new(format!("{threads}-threads"), years), |bencher| {
            bencher.iter(|| run(&plan, &options, &|_| ()).unwrap().unavailability.falls_per_year.estimate);
        });
    }
    group.finish();
}

/// To a relative error of 1 % on one core: the loss per excursion of 8 of 15 sites, exactly 6.7299e-14, and its loss in a
/// year, exactly 3.7419e-14.
fn rare_events(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rare");
    group.sample_size(10);
    let mut plan = model(15, 8, 1.0);
    for site in &mut plan.sites {
        site.outage = None;
        site.loss = Some(Law::Exponential { mean_years: 20.0 });
        site.repair = Some(Law::Exponential { mean_years: 30.0 / 365.25 });
    }
    let options =
        Options { threads: Some(1), relative_error: 0.01, rare_replications_max: 4_000_000, ..Options::default() };
    let excursion = || rare::cycles(&plan, &options).unwrap().loss_per_excursion;
    let found = excursion();
    assert!((found.estimate / 6.729_895_864_708_525e-14 - 1.0).abs() < 0.03, "{found:?}");
    group.bench_function("excursion-8-of-15", |bencher| bencher.iter(excursion));
    group.bench_function("year-8-of-15", |bencher| bencher.iter(|| rare::loss(&plan, &options).unwrap()));
    group.finish();
}

criterion_group!(benches, kernels, full_plans, cores_and_years, rare_events);
criterion_main!(benches);
