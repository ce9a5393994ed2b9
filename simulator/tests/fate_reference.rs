//! The simulations against the reference figures: every row that the model can play is played, by counting or by
//! weighting, over a fixed seed, and must come within three standard errors. Every other row is named with the reason.
//! The exact solvers are held to the same rows in `reference.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed, which is its job"
)]

mod plans;

use plans::{DAY, LOSS, REPAIR, Row, SEIZURE, SHOCK, exponential, model, rows, sites};
use rayon::prelude::*;
use simulator::fate::engine::{Options, run};
use simulator::fate::model::{
    Blow, Database, Effect, Group, GroupKind, Hits, Law, Model, Outage, Restore, Site, Timed,
};
use simulator::fate::outcome::{Distribution, Estimate, Method, Outcome};
use simulator::fate::rare;

/// Rows that no simulation is held to.
const NOT_SIMULATED: [(&[&str], &str); 8] = [
    (
        &["A1c", "A2c", "A3c", "A4c", "A5c", "A6c", "A7c", "A12c", "A13c", "F1", "G1"],
        "a first-order formula: off from what it approximates, which is what a simulation finds",
    ),
    (&["G2"], "the published figure is twice what its own chain gives; the row says it is no test"),
    (
        &[
            "C1_2_4",
            "C1_4_8",
            "C1_8_16",
            "C1_16_32",
            "C1_20_40",
            "C1_32_64",
            "C1_1_2",
            "C1_1_3",
            "C1_1_10",
            "C1_1_16",
            "C1_4_6",
            "C1_4_12",
            "C1_20_30",
            "C1_20_50",
            "C1_100_150",
        ],
        "a Poisson number of losses, which may exceed the number of sites; the rows C2 count sites",
    ),
    (
        &["D1", "D2", "D3", "D4"],
        "many stripes over few of the sites each; here every site holds a shard of every stripe",
    ),
    (&["D5"], "as D1; and a known number of sites lost at one moment has no rate that could be raised to see 6e-8"),
    (&["E1_2_1", "E1_4_1", "E1_16_8", "E1_32_16"], "a million machines, and a model has 100,000 sites at most"),
    (
        &[
            "H1_18_9_l1",
            "H1_16_8_l1_below",
            "H1_7_7_l1",
            "H1_6_6_l1_below",
            "H1_4_6_l1",
            "H1_2_3_l1_below",
            "H1_28_14_l5",
            "H1_26_13_l5_below",
            "H1_13_13_l5",
            "H1_12_12_l5_below",
            "H1_8_12_l5",
            "H1_6_9_l5_below",
        ],
        "each shard is audited at random times of its own and one repair mends all; here an audit sees all, at fixed times",
    ),
    (
        &[
            "M1_1_20_40_35",
            "M1_6_20_40_30",
            "M1_12_20_40_25",
            "M1_1_30_60_35",
            "M1_6_30_70_40",
            "M1_12_30_80_45",
            "M1_1_40_80_60",
            "M1_6_40_120_50",
            "M1_12_40_120_45",
        ],
        "pieces decay as a quantity, not one by one, which is 1 % off; and what is missing is made from one reading",
    ),
];

/// What a simulation found, and its standard error; zero where nothing is left to chance.
#[derive(Clone, Copy)]
struct Found {
    value: f64,
    error: f64,
}

impl Found {
    /// An error of more than a tenth would mean little.
    fn new(row: &Row, estimate: &Estimate) -> Self {
        let error = estimate.relative_error.unwrap_or_else(|| panic!("{}: nothing was seen", row.id));
        assert!(error < 0.1, "{}: relative error {error}", row.id);
        assert_ne!(estimate.method, Method::WeightedUnevenly, "{}", row.id);
        Self { value: estimate.estimate, error: estimate.estimate * error }
    }

    fn through(self, function: impl Fn(f64) -> f64) -> Self {
        let (low, high) = (function(self.value - self.error), function(self.value + self.error));
        Self { value: function(self.value), error: (high - low).abs() / 2.0 }
    }

    /// At least once in `periods`, if this is the chance in one.
    fn in_periods(self, periods: f64) -> Self {
        self.through(|chance| -libm::expm1(periods * libm::log1p(-chance)))
    }
}

fn options() -> Options {
    Options { seed: 20_261_126, relative_error: 0.025, rare_replications_max: 1_000_000, ..Options::default() }
}

fn count(plan: &Model, replications: u64) -> Outcome {
    run(plan, &Options { replications, ..options() }, &|_| ()).unwrap()
}

fn loss(row: &Row, plan: &Model) -> Found {
    Found::new(row, &rare::loss(plan, &options()).unwrap())
}

fn disclosure(row: &Row, plan: &Model) -> Found {
    Found::new(row, &rare::disclosure(plan, &options()).unwrap())
}

fn failing(n: u32, loss_per_year: f64, repair: Option<Law>) -> Vec<Site> {
    sites(n as usize, &Site { loss: Some(exponential(1.0 / loss_per_year)), repair, ..Site::new("") })
}

fn seized(n: u32, per_year: f64) -> Vec<Site> {
    // Whole again at once, as the rows assume; a share that was captured in this epoch stays captured.
    let back = Some(Law::Constant { years: 0.0 });
    sites(n as usize, &Site { seized_per_year: per_year, repair: back, ..Site::new("") })
}

fn in_blocs(mut plan: Model, sizes: &[u32], effect: Effect, per_year: f64) -> Model {
    let sizes: Vec<usize> = sizes.iter().map(|&size| size as usize).collect();
    let group = |members| Group {
        name: "bloc".into(),
        kind: GroupKind::Alliance,
        members,
        per_year,
        blow: Blow::on_all(effect),
    };
    plan.groups = plans::blocs(&sizes).into_iter().map(group).collect();
    plan
}

/// What a simulation finds for a row, or nothing.
fn simulate(row: &Row) -> Option<Found> {
    match row.id.as_str() {
        "A9a" | "A9b" => outages(row),
        "A10" => Some(mirror(row)),
        "A11" => Some(aging(row)),
        "P1" | "P2" => occupied(row),
        "J1" | "J2" => Some(attacks(row)),
        "J3" | "J4" => Some(budget(row)),
        id => match id.as_bytes()[0] {
            b'A' | b'K' | b'L' | b'O' | b'R' if !row.quantity.starts_with("P_disclosure") => stripe(row),
            b'K' | b'R' => Some(disclosed_in_blocs(row)),
            b'B' => Some(between_audits(row)),
            b'C' => storj(row),
            b'I' => Some(captured(row)),
            b'N' => Some(gone_at_once(row)),
            b'Q' => recovered(row),
            _ => None,
        },
    }
}

/// Sites that fail and are repaired, some of them together.
fn stripe(row: &Row) -> Option<Found> {
    let groups = row.params["groups"].is_array().then(|| row.groups());
    let n = groups.as_ref().map_or_else(|| row.count("n"), |groups| groups.iter().sum());
    let (k, rate) = (row.count("k"), row.optional("mu_per_yr").unwrap_or(REPAIR));
    let repair = (rate > 0.0 && row.id != "A8d").then(|| exponential(1.0 / rate));
    let loss_per_year = row.optional("lambda_per_yr").unwrap_or(LOSS);
    let mut plan = model(row.optional("T_yr").unwrap_or(1.0), k, k, failing(n, loss_per_year, repair));
    plan.policy.crews = (row.params["repair"] == "serial").then_some(1);
    if let Some(groups) = groups {
        plan = in_blocs(plan, &groups, Effect::Lost, row.optional("shock_per_yr").unwrap_or(SHOCK));
    }
    let cycles = || rare::cycles(&plan, &options()).unwrap();
    match row.quantity.as_str() {
        "gamma" => Some(Found::new(row, &cycles().loss_per_excursion)),
        "MTTDL_yr" => Some(Found::new(row, &cycles().mean_years_to_loss)),
        "P_loss_1yr" => Some(Found::new(row, &cycles().mean_years_to_loss).through(|mean| -libm::expm1(-1.0 / mean))),
        // Both ways, where counting sees it.
        "P_loss_by_T" if row.value > 0.01 => Some(Found::new(row, &count(&plan, 400_000).loss.by_horizon)),
        "P_loss_by_T" => Some(loss(row, &plan)),
        _ => None,
    }
}

fn outages(row: &Row) -> Option<Found> {
    let (every, lasts) = (exponential(1.0 / row.number("lambda_per_yr")), exponential(1.0 / row.number("mu_per_yr")));
    let site = Site { outage: Some(Outage { every, lasts }), ..Site::new("") };
    // A long time, so that the start, with every site up, does not matter.
    let plan = model(3000.0, row.count("k"), row.count("k"), sites(row.count("n") as usize, &site));
    let found = count(&plan, 512).unavailability;
    match row.quantity.as_str() {
        "unavailability" => Some(Found::new(row, &found.share_of_time)),
        "loss_crossings_per_yr" => Some(Found::new(row, &found.falls_per_year)),
        _ => None,
    }
}

/// From the first repairs on, loss comes at a constant rate.
fn mirror(row: &Row) -> Found {
    let repair = Law::Constant { years: row.number("repair_days_const") * DAY };
    let plan = model(200.0, 1, 1, failing(2, row.number("lambda_per_yr"), Some(repair)));
    Found::new(row, &count(&plan, 200_000).loss.by_horizon.per_year(200.0)).through(|rate| 1.0 / rate)
}

fn aging(row: &Row) -> Found {
    let law = Law::Weibull { shape: row.number("shape"), scale_years: row.number("scale_yr") };
    let site = Site { loss: Some(law), ..Site::new("") };
    let plan = model(row.number("T_yr"), row.count("k"), row.count("k"), sites(row.count("n") as usize, &site));
    Found::new(row, &count(&plan, 200_000).loss.by_horizon)
}

fn occupied(row: &Row) -> Option<Found> {
    let strike = |targets, day: f64, years| {
        let blow = Blow { for_good: true, ..Blow::on_all(Effect::Lost) };
        let mut plan = model(years, 5, 5, failing(9, LOSS, Some(exponential(1.0 / REPAIR))));
        plan.timeline = vec![Timed { name: "home occupied".into(), at_years: day * DAY, targets, blow }];
        plan
    };
    match row.id.as_str() {
        "P1" => Some(loss(row, &strike(vec![0], row.number("home_lost_day"), row.number("T_yr")))),
        "P2" => {
            let found = count(&strike(vec![0, 4, 7], 0.0, 335.0 * DAY), 600_000);
            assert_eq!(found.loss.causes[0].together, ["home occupied", "site lost"]);
            Some(Found::new(row, &found.loss.by_horizon))
        }
        _ => None,
    }
}

/// What is lost in silence is put right at every audit. The rows raise to a number of periods that is not whole: whole
/// ones are played, and a power makes up for the rest.
fn between_audits(row: &Row) -> Found {
    if row.id.starts_with("B1") {
        let (n, k) = (row.count("n") as usize, row.count("k"));
        let audit = row.number("audit_days") * DAY;
        let periods = (row.number("T_yr") / audit).round();
        let rotting = Site { rot_per_year: row.number("lambda_per_yr"), ..Site::new("") };
        let mut plan = model(periods * audit, k, k, sites(n, &rotting));
        plan.policy.audit_years = Some(audit);
        return loss(row, &plan).in_periods(row.number("T_yr") / (periods * audit));
    }
    let (drives, failures) = (row.count("D") + row.count("P"), row.count("failures_ge"));
    let (needed, period) = (drives + 1 - failures, row.number("repair_days") * DAY);
    let plan = model(period, needed, needed, failing(drives, row.number("afr"), None));
    loss(row, &plan).in_periods(1.0 / period)
}

fn storj(row: &Row) -> Option<Found> {
    // With no spare piece the Poisson form of C1 is exact.
    if row.id.starts_with("C1") && row.count("n") > row.count("k") {
        return None;
    }
    let plan = model(1.0, row.count("k"), row.count("k"), failing(row.count("n"), 0.1, None));
    Some(loss(row, &plan).through(|chance| 100.0 * (1.0 - chance)))
}

/// Each with this chance at one moment, or within one year: how many are gone in the end is the same.
fn gone_at_once(row: &Row) -> Found {
    let per_year = -libm::log1p(-row.number("fmax"));
    let plan = model(1.0, row.count("r"), row.count("r"), failing(row.count("n"), per_year, None));
    loss(row, &plan).through(|chance| 1.0 - chance)
}

fn captured(row: &Row) -> Found {
    let (n, years) = (row.count("n"), row.number("T_yr"));
    if let Some(loss_per_year) = row.optional("loss_per_yr") {
        let data_shards = row.optional("k_data").map_or_else(|| row.count("k"), |_| row.count("k_data"));
        let threshold = row.optional("k_key").map_or(data_shards, |_| row.count("k_key"));
        let plan = model(years, data_shards, threshold, failing(n, loss_per_year, None));
        let plan = match row.optional("alliance_per_yr") {
            Some(per_year) => in_blocs(plan, &row.groups(), Effect::Lost, per_year),
            None => plan,
        };
        return Found::new(row, &count(&plan, 2_000_000).loss.by_horizon);
    }
    let k = row.count("k");
    let sites = match row.numbers("seizure_per_yr") {
        Some(rates) => rates.iter().flat_map(|&rate| seized(1, rate)).collect(),
        None => seized(n, row.number("seizure_per_yr")),
    };
    let mut plan = model(years, k, k, sites);
    if let Some(per_year) = row.optional("alliance_per_yr") {
        plan = in_blocs(plan, &row.groups(), Effect::Seized, per_year);
    }
    match row.optional("refresh_days") {
        Some(days) => refreshed(row, plan, days, years),
        None if row.value > 5e-4 => Found::new(row, &count(&plan, 2_000_000).disclosure.by_horizon),
        None => disclosure(row, &plan),
    }
}

/// As with audits: whole periods are played.
fn refreshed(row: &Row, mut plan: Model, days: f64, years: f64) -> Found {
    let periods = (years / (days * DAY)).round();
    plan.horizon_years = periods * days * DAY;
    plan.code.refresh_years = Some(days * DAY);
    disclosure(row, &plan).in_periods(years / plan.horizon_years)
}

fn disclosed_in_blocs(row: &Row) -> Found {
    let groups = if row.params["groups"].is_array() { row.groups() } else { vec![] };
    let n = if groups.is_empty() { row.count("n") } else { groups.iter().sum() };
    let plan = in_blocs(model(1.0, row.count("k"), row.count("k"), seized(n, SEIZURE)), &groups, Effect::Seized, SHOCK);
    match row.optional("refresh_days").or_else(|| row.id.starts_with('K').then_some(30.0)) {
        Some(days) => refreshed(row, plan, days, 1.0),
        None => disclosure(row, &plan),
    }
}

/// Nine sites that are up 0.995 of the time, in outages of a day.
fn nine(years: f64) -> Model {
    let outage = Outage { every: exponential(199.0 * DAY), lasts: exponential(DAY) };
    model(years, 5, 5, sites(9, &Site { outage: Some(outage), ..Site::new("") }))
}

fn attacks(row: &Row) -> Found {
    let blow = Blow { hits: Hits::Each { chance: 0.6 }, ..Blow::on_all(Effect::Down(exponential(3.0 * DAY))) };
    let mut plan = nine(400.0);
    plan.groups =
        vec![Group { name: "attack".into(), kind: GroupKind::Network, members: (0..9).collect(), per_year: 4.0, blow }];
    let found = Found::new(row, &count(&plan, 1000).unavailability.share_of_time);
    found.through(|share| if row.quantity == "minutes_per_yr" { 525_600.0 * share } else { share })
}

fn budget(row: &Row) -> Found {
    let hits = Hits::AtRandom { count: row.count("b") };
    let blow = Blow { hits, ..Blow::on_all(Effect::Down(Law::Constant { years: 200.0 })) };
    let mut plan = nine(100.0);
    plan.timeline = vec![Timed { name: "attack".into(), at_years: 0.0, targets: (0..9).collect(), blow }];
    Found::new(row, &count(&plan, 4000).unavailability.share_of_time)
}

/// The mean of a distribution whose deviation is known.
fn mean(distribution: &Distribution, deviation: f64) -> Found {
    Found { value: distribution.mean.unwrap(), error: deviation / libm::sqrt(distribution.samples as f64) }
}

/// Home is lost in half a year; nine sites stand abroad, and are lost and repaired.
fn recovered(row: &Row) -> Option<Found> {
    if row.id == "Q6" {
        // Nothing lost in fewer years, which exclude a higher rate.
        let found = count(&model(3.0, 5, 5, sites(9, &Site::new(""))), 1000).loss.by_horizon;
        assert!(found.estimate <= 0.0 && found.relative_error.is_none());
        return Some(Found { value: found.per_year(3.0).high95 * 3000.0 / row.number("years"), error: 0.0 });
    }
    let mut plan = model(1.0, 5, 5, failing(9, LOSS, Some(Law::Constant { years: 0.0 })));
    plan.sites.push(Site { is_home: true, holds_shard: false, holds_share: false, ..Site::new("home") });
    let blow = Blow { for_good: true, ..Blow::on_all(Effect::Lost) };
    plan.timeline = vec![Timed { name: "occupied".into(), at_years: 0.5, targets: vec![9], blow }];
    let minute = DAY / 1440.0;
    let database = Database {
        name: "land".into(),
        bytes: 1e14,
        priority: 1,
        snapshot_years: 15.0 * minute,
        lag_years: 2.0 * minute,
    };
    plan.databases = vec![database];
    plan.restore = Restore { ingress_bytes_per_s: 5e8, ..Restore::default() };
    if matches!(row.id.as_str(), "Q1" | "Q2") {
        // Answers of an hour on average, and nothing to send.
        plan.restore = Restore { answer: exponential(DAY / 24.0), ..Restore::default() };
        plan.databases[0].bytes = 0.0;
    }
    let found = count(&plan, 200_000);
    let (rpo, rto) = (&found.databases[0].rpo_hours, &found.databases[0].rto_hours);
    match row.id.as_str() {
        // The fifth of nine exponential times is a sum of five, of means 1/9 to 1/5.
        "Q1" => Some(mean(rto, libm::sqrt((5..=9).map(|left| 1.0 / f64::from(left * left)).sum()))),
        "Q2" => Some(part_within(rto, row.number("t_h"))),
        "Q3" => Some(Found { value: rto.mean.unwrap(), error: 0.0 }),
        "Q4" => {
            assert!((rpo.p95.unwrap() * 60.0 / 16.25 - 1.0).abs() < 0.01, "{rpo:?}");
            Some(mean(rpo, 0.25 / libm::sqrt(12.0)).through(|hours| 60.0 * hours))
        }
        "Q5" => Some(Found::new(row, &found.repair.bytes_per_year).through(|bytes| bytes / 1e12)),
        _ => None,
    }
}

/// The part of all samples up to this value, between two points of the curve. A point stands in the middle of its bin of
/// 1 %, and says what is within the whole of it.
fn part_within(distribution: &Distribution, value: f64) -> Found {
    let value = value / libm::sqrt(1.01);
    let after = distribution.ecdf.iter().position(|point| point.0 > value).unwrap();
    let ((x, low), (y, high)) = (distribution.ecdf[after - 1], distribution.ecdf[after]);
    let part = low + (high - low) * (value - x) / (y - x);
    Found { value: part, error: libm::sqrt(part * (1.0 - part) / distribution.samples as f64) }
}

/// What was found for a row that is simulated; nothing for one that is named.
fn found(row: &Row) -> Option<Found> {
    let reason = NOT_SIMULATED.iter().find(|(ids, _)| ids.contains(&row.id.as_str()));
    match (simulate(row), reason) {
        (found, None) => Some(found.unwrap_or_else(|| panic!("{}: neither simulated nor named", row.id))),
        (None, Some(_)) => None,
        (Some(_), Some((_, reason))) => panic!("{}: simulated, though '{reason}'", row.id),
    }
}

/// The rows of one part are simulated or named; all parts together are all rows.
fn meets(part: Part) {
    let (mut squares, mut chances, mut offences) = (0.0, 0, Vec::new());
    let rows: Vec<Row> = rows().into_iter().filter(|row| part_of(row) == part).collect();
    let all: Vec<Option<Found>> = rows.par_iter().map(found).collect();
    for (row, found) in rows.iter().zip(all).filter_map(|(row, found)| Some((row, found?))) {
        let off = found.value - row.value;
        // The last digits of what leaves nothing to chance; elsewhere they would hide an error of 1e-10 beside a 1.
        let allowed = if found.error > 0.0 { 3.0 * found.error } else { 1e-9 * row.value };
        if found.error > 0.0 {
            squares += (off / found.error).powi(2);
            chances += 1;
        }
        if off.is_nan() || off.abs() > allowed {
            let errors = off / found.error;
            offences.push(format!(
                "{}: found {:e}, reference {:e}, {errors:.2} errors off",
                row.id, found.value, row.value
            ));
        }
    }
    assert!(offences.is_empty(), "{} rows:\n{}", offences.len(), offences.join("\n"));
    // Stated errors that were too large would let everything pass: all rows together are off as chance has it.
    let mean = squares / f64::from(chances);
    assert!(chances >= 20 && mean > 0.6 && mean < 1.5, "{chances} rows, {mean:.2} times the stated variance");
}

/// Rows of one part are simulated beside those of the others.
#[derive(PartialEq, Eq)]
enum Part {
    Stripes,
    FrontierAndRestores,
    Others,
}

fn part_of(row: &Row) -> Part {
    match row.id.as_bytes()[0] {
        b'A' | b'B' | b'L' | b'N' | b'O' => Part::Stripes,
        b'K' | b'Q' => Part::FrontierAndRestores,
        _ => Part::Others,
    }
}

#[test]
fn every_row_of_stripes_is_simulated_or_named() {
    meets(Part::Stripes);
}

#[test]
fn every_row_of_the_frontier_or_a_restore_is_simulated_or_named() {
    meets(Part::FrontierAndRestores);
}

#[test]
fn every_other_row_is_simulated_or_named() {
    meets(Part::Others);
}

#[test]
fn every_reason_is_for_a_row() {
    let rows = rows();
    let mut named: Vec<&str> = NOT_SIMULATED.iter().flat_map(|(ids, _)| ids.iter().copied()).collect();
    assert!(named.iter().all(|id| rows.iter().any(|row| row.id == *id)));
    let count = named.len();
    named.sort_unstable();
    named.dedup();
    assert_eq!(named.len(), count);
}
