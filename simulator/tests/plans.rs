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

use serde_json::Value;
use simulator::fate::model::{Code, Law, Model, Policy, Restore, Site};

/// In years.
pub const DAY: f64 = 1.0 / 365.0;
/// What the rows K, O, P and R name in words, per year.
pub const LOSS: f64 = 0.05;
pub const REPAIR: f64 = 365.25 / 30.0;
pub const SEIZURE: f64 = 0.01;
pub const SHOCK: f64 = 0.001;

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

/// One row of the reference figures.
pub struct Row {
    pub id: String,
    pub params: Value,
    pub quantity: String,
    pub value: f64,
    pub published: Option<f64>,
    pub rel_diff: Option<f64>,
}

impl Row {
    pub fn number(&self, name: &str) -> f64 {
        self.optional(name).unwrap_or_else(|| panic!("{}: no number {name}", self.id))
    }

    pub fn optional(&self, name: &str) -> Option<f64> {
        number(&self.params[name])
    }

    pub fn count(&self, name: &str) -> u32 {
        u32::try_from(self.params[name].as_u64().unwrap_or_else(|| panic!("{}: no count {name}", self.id))).unwrap()
    }

    pub fn numbers(&self, name: &str) -> Option<Vec<f64>> {
        Some(self.params[name].as_array()?.iter().filter_map(number).collect())
    }

    pub fn groups(&self) -> Vec<u32> {
        let groups = self.params["groups"].as_array().unwrap_or_else(|| panic!("{}: no groups", self.id));
        groups.iter().map(|size| u32::try_from(size.as_u64().unwrap()).unwrap()).collect()
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// All rows of the reference figures.
pub fn rows() -> Vec<Row> {
    let text = include_str!("reference/sim_reference.csv");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(
        reader.headers().unwrap(),
        vec!["id", "model", "params", "quantity", "value", "published", "rel_diff", "tolerance", "source"]
    );
    let row = |record: csv::StringRecord| Row {
        id: record[0].to_owned(),
        params: serde_json::from_str(&record[2]).unwrap(),
        quantity: record[3].to_owned(),
        value: record[4].parse().unwrap(),
        published: record[5].parse().ok(),
        rel_diff: record[6].parse().ok(),
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

/// The value of a row of the reference figures.
pub fn reference(id: &str) -> f64 {
    rows().iter().find(|row| row.id == id).unwrap_or_else(|| panic!("no row {id}")).value
}
