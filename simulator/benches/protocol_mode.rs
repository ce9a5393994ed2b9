//! How fast protocol mode is: messages per second of nine machines that only ask each other whether they know the same,
//! which is the rate of the engine, as no signature is checked; a quiet hour of nine that also audit each other and look through what they hold, in
//! which signatures are what takes time; and whole runs drawn from seeds.

use std::collections::BTreeSet;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use simulator::world::config::{
    Action, Asserted, ClockConfig, DatabaseConfig, DiskConfig, Happening, NetworkConfig, PaceConfig, SiteConfig,
};
use simulator::world::{Config, run};

const HOUR_MS: u64 = 3_600_000;

/// Nine sites, one snapshot, and then a time in which nothing happens.
fn quiet(heal_at_ms: u64, pace: PaceConfig, encode_messages: bool) -> Config {
    let site = |(index, jurisdiction): (usize, &&str)| SiteConfig {
        name: format!("site-{index}").parse().expect("letters, digits and '-'"),
        jurisdiction: (*jurisdiction).to_owned(),
        shards: true,
        shares: true,
        spare: false,
    };
    let name: protocol::identifier::DatabaseName = "land-register".parse().expect("letters and '-'");
    let jurisdictions = ["EE", "LU", "FI", "IS", "CH", "JP", "CA", "NZ", "AU"];
    Config {
        seed: 1,
        officials: 5,
        quorum: 3,
        heal_at_ms,
        converge_within_ms: 60_000,
        encode_messages,
        asserted: Asserted::default(),
        planted_bug: None,
        pace,
        network: NetworkConfig::default(),
        disk: DiskConfig::default(),
        clock: ClockConfig::default(),
        sites: jurisdictions.iter().enumerate().map(site).collect(),
        alliances: Vec::new(),
        databases: vec![DatabaseConfig {
            name: name.clone(),
            data_shards: 5,
            threshold: 4,
            change_bytes: 1_000,
            retention: None,
            suspicious: BTreeSet::new(),
        }],
        timeline: vec![Happening { at_ms: 1_000, action: Action::Publish { database: name } }],
    }
}

/// Sites that do not come to look after what they hold: all that they do is to ask each other what is new. A question
/// and its answer are cheap, and there are 200,000 of them in a day; a signature checked costs as much as a hundred.
fn only_compare() -> PaceConfig {
    const MONTH_MS: u32 = 30 * 86_400_000;
    PaceConfig {
        tick_ms: MONTH_MS,
        audit_interval_ms: MONTH_MS,
        report_interval_ms: MONTH_MS,
        sweep_interval_ms: MONTH_MS,
        scrub_interval_ms: MONTH_MS,
        ..PaceConfig::default()
    }
}

fn nine_machines(criterion: &mut Criterion) {
    for (title, hours, pace, messages_min) in [
        ("nine machines that only compare, five days", 120, only_compare(), 1_000_000),
        ("nine machines that look after all, one hour", 1, PaceConfig::default(), 10_000),
    ] {
        let mut group = criterion.benchmark_group(title);
        group.sample_size(10);
        for (name, encode_messages) in [("typed messages", false), ("through the wire format", true)] {
            let config = quiet(hours * HOUR_MS, pace, encode_messages);
            let report = run(&config, &mut ()).expect("a config that can be run");
            assert_eq!(report.violation, None);
            assert!(report.messages > messages_min, "{} messages", report.messages);
            group.throughput(Throughput::Elements(report.messages));
            group.bench_function(name, |bencher| bencher.iter(|| run(&config, &mut ())));
        }
        group.finish();
    }
}

fn seeds(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one run of the swarm");
    group.sample_size(10);
    for seed in [0, 3, 6] {
        let config = Config::from_seed(seed);
        let id = BenchmarkId::new("seed", format!("{seed}, {} sites", config.sites.len()));
        group.bench_function(id, |bencher| bencher.iter(|| run(&config, &mut ())));
    }
    group.finish();
}

criterion_group!(benches, nine_machines, seeds);
criterion_main!(benches);
