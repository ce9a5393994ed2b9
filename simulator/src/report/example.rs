//! A plan and what might come of it, made by hand: for tests of what is shown.

use crate::fate::model::{
    Blow, Code, Effect, Group, GroupKind, Hits, Law, Model, Outage, Policy, Restore, Site, Timed,
};
use crate::fate::outcome::{
    Cause, Curves, DatabaseOutcome, Distribution, Effort, Estimate, EventOutcome, Method, Outcome, RepairOutcome,
    Unavailability, counted,
};
use crate::scenario::Scenario;

pub(crate) fn scenario() -> Scenario {
    crate::scenario::read(crate::scenario::library::find("home-occupied").unwrap()).unwrap()
}

/// One factor of every kind.
pub(crate) fn model() -> Model {
    let site = |at: usize| Site {
        is_home: at == 0,
        loss: Some(Law::Exponential { mean_years: 16.0 }),
        rot_per_year: 0.03125,
        outage: Some(Outage {
            every: Law::Weibull { shape: 1.5, scale_years: 0.5 },
            lasts: Law::LogNormal { mean_years: 0.001, cv: 1.0 },
        }),
        seized_per_year: 0.0078125,
        copied_per_year: 0.00390625,
        repair: Some(Law::Uniform { low_years: 0.03125, high_years: 0.125 }),
        remake: Law::Constant { years: 0.015625 },
        ..Site::new(format!("s{at}"))
    };
    let chance = |chance| Blow { hits: Hits::Each { chance }, ..Blow::on_all(Effect::Seized) };
    Model {
        horizon_years: 2.0,
        sites: (0..6).map(site).collect(),
        groups: vec![Group {
            name: "an ally is overrun".to_owned(),
            kind: GroupKind::Alliance,
            members: vec![2, 3],
            per_year: 0.0625,
            blow: Blow::on_all(Effect::Seized),
        }],
        timeline: vec![
            Timed { name: "two hosts turn".to_owned(), at_years: 0.09, targets: vec![4, 5], blow: chance(0.25) },
            Timed { name: "home is occupied".to_owned(), at_years: 0.08, targets: vec![0], blow: chance(1.0) },
        ],
        code: Code { data_shards: 3, threshold: 3, refresh_years: Some(0.0625), ciphertext_is_public: true },
        policy: Policy {
            audit_years: Some(0.03125),
            detect_years: 0.0009765625,
            uplink_share: Some(0.5),
            ..Policy::default()
        },
        databases: Vec::new(),
        restore: Restore::default(),
        writer: None,
    }
}

pub(crate) fn outcome() -> Outcome {
    let tries = 50_000;
    let cause = |names: &[&str], share| Cause { together: names.iter().map(|n| (*n).to_owned()).collect(), share };
    let weighted = |estimate: f64, error: f64| Estimate {
        estimate,
        low95: estimate * (1.0 - 1.96 * error),
        high95: estimate * (1.0 + 1.96 * error),
        relative_error: Some(error),
        method: Method::Weighted,
    };
    let independent = Some(weighted(6.73e-9, 0.008));
    let years: Vec<f64> = (0..=100).map(|at| f64::from(at) / 50.0).collect();
    let curve = |of: fn(f64) -> f64| -> Vec<f64> { years.iter().map(|year| of(*year)).collect() };
    Outcome {
        horizon_years: 2.0,
        loss: EventOutcome {
            by_horizon: counted(31, tries),
            independent,
            causes: vec![
                cause(&["a host yields to pressure", "home is occupied", "two hosts turn"], 0.58),
                cause(&["a northern ally is overrun", "home is occupied", "loss of a site"], 0.32),
                cause(&["home is occupied", "loss of a site", "rot"], 0.1),
            ],
        },
        disclosure: EventOutcome {
            by_horizon: counted(412, tries),
            independent: Some(counted(0, tries)),
            causes: vec![cause(&["home is occupied", "two hosts turn", "a northern ally is overrun"], 1.0)],
        },
        unavailability: Unavailability {
            share_of_time: Estimate { method: Method::Averaged, ..weighted(6.1e-4, 0.03) },
            any: counted(2_210, tries),
            falls_per_year: Estimate { method: Method::Averaged, ..weighted(0.024, 0.02) },
            causes: vec![cause(&["outage"], 0.9), cause(&["a host yields to pressure"], 0.1)],
        },
        curves: Curves {
            lost: curve(|year| if year < 0.1 { 0.0 } else { 6.2e-4 * (year - 0.1) / 1.9 }),
            disclosed: curve(|year| if year < 0.09 { 0.0 } else { 0.004 + 0.0042 * (year - 0.09) / 1.91 }),
            unavailable: curve(|year| 3e-4 + 3e-4 * year + 1e-4 * libm::sin(40.0 * year)),
            years,
        },
        databases: vec![database("population-register", 21.0, 0.15), database("land-register", 60.0, 0.7)],
        repair: RepairOutcome {
            repairs_per_year: Estimate { method: Method::Averaged, ..weighted(0.83, 0.004) },
            bytes_per_year: Estimate { method: Method::Averaged, ..weighted(3.1e12, 0.004) },
        },
        effort: Effort {
            seed: 1,
            replications: tries,
            events: 1_234_567,
            rare_replications: 200_000,
            site_years: 1.1e6,
            generator: "xoshiro256++ (rand_xoshiro 0.8.2)",
        },
        assumptions: vec!["Whoever has enough shares is taken to have the sealed data.".to_owned()],
    }
}

fn database(name: &str, rto: f64, rpo: f64) -> DatabaseOutcome {
    DatabaseOutcome { name: name.to_owned(), rpo_hours: around(rpo, 1.0), rto_hours: around(rto, 1.0) }
}

/// A logistic law of the logarithm around `median`, of which `ends` ever ends.
fn around(median: f64, ends: f64) -> Distribution {
    let at = |share: f64| (share < ends).then(|| median * libm::sqrt(share / (ends * 1.0001 - share)));
    let ecdf = (1..100).map(|step| f64::from(step) / 100.0 * ends * 0.999);
    Distribution {
        samples: 50_000,
        never: 1.0 - ends,
        mean: Some(median * 1.2),
        p5: at(0.05),
        p50: at(0.5),
        p75: at(0.75),
        p90: at(0.899),
        p95: at(0.95),
        p99: at(0.99),
        ecdf: ecdf.filter_map(|share| Some((at(share)?, share))).collect(),
    }
}
