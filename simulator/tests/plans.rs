//! Plans that several tests simulate, and the reference figures by their number.

#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a part of tests, each of which uses some of it; a panic fails the test, which is its job"
)]

use simulator::fate::model::{Code, Law, Model, Policy, Restore, Site};

/// In years.
pub const DAY: f64 = 1.0 / 365.0;

pub fn exponential(mean_years: f64) -> Law {
    Law::Exponential { mean_years }
}

/// So many sites like this one.
pub fn sites(count: usize, like: &Site) -> Vec<Site> {
    (0..count).map(|number| Site { name: format!("site-{number}"), ..like.clone() }).collect()
}

/// A plan with nothing but sites.
pub fn model(horizon_years: f64, data_shards: u32, threshold: u32, sites: Vec<Site>) -> Model {
    Model {
        horizon_years,
        sites,
        groups: vec![],
        timeline: vec![],
        code: Code { data_shards, threshold, refresh_years: None, ciphertext_is_public: false },
        policy: Policy::default(),
        databases: vec![],
        restore: Restore::default(),
        writer: None,
    }
}

/// Members of blocs of these sizes, in order.
pub fn blocs(sizes: &[usize]) -> Vec<Vec<usize>> {
    let mut first = 0;
    let members = |&size: &usize| {
        first += size;
        (first - size..first).collect()
    };
    sizes.iter().map(members).collect()
}

/// The value of a row of the reference figures.
pub fn reference(id: &str) -> f64 {
    let text = include_str!("reference/sim_reference.csv");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let row = reader.records().map(|record| record.unwrap()).find(|record| &record[0] == id);
    row.unwrap_or_else(|| panic!("no row {id}"))[4].parse().unwrap()
}
