//! How fast protocol mode is: messages per second of nine machines that only keep each other up to date, and of a whole
//! run drawn from a seed.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use simulator::world::config::{
    Action, Asserted, ClockConfig, DatabaseConfig, DiskConfig, Happening, NetworkConfig, PaceConfig, SiteConfig,
};
use simulator::world::{Config, run};

/// Nine sites, one snapshot, and then an hour in which nothing happens.
fn quiet_hour(encode_messages: bool) -> Config {
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
        heal_at_ms: 3_600_000,
        converge_within_ms: 60_000,
        encode_messages,
        asserted: Asserted::default(),
        planted_bug: None,
        pace: PaceConfig::default(),
        network: NetworkConfig::default(),
        disk: DiskConfig::default(),
        clock: ClockConfig::default(),
        sites: jurisdictions.iter().enumerate().map(site).collect(),
        alliances: Vec::new(),
        databases: vec![DatabaseConfig { name: name.clone(), data_shards: 5, threshold: 4, change_bytes: 1_000 }],
        timeline: vec![Happening { at_ms: 1_000, action: Action::Publish { database: name } }],
    }
}

fn steady_state(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("nine machines, one hour");
    group.sample_size(10);
    for (name, encode_messages) in [("typed messages", false), ("through the wire format", true)] {
        let config = quiet_hour(encode_messages);
        let report = run(&config, &mut ()).expect("a config that can be run");
        assert_eq!(report.violation, None);
        group.throughput(Throughput::Elements(report.messages));
        group.bench_function(name, |bencher| bencher.iter(|| run(&config, &mut ())));
    }
    group.finish();
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

criterion_group!(benches, steady_state, seeds);
criterion_main!(benches);
