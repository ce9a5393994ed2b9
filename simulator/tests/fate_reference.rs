//! The Monte Carlo against the reference figures: every row that it can simulate, within three standard errors over
//! fixed seeds. The rows themselves are held to the exact solvers in `reference.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed, which is its job"
)]

mod plans;

use plans::{DAY, exponential, model, reference, sites};
use simulator::fate::engine::{Options, run};
use simulator::fate::model::{
    Blow, Code, Database, Effect, Group, GroupKind, Hits, Law, Model, Outage, Restore, Site, Timed,
};
use simulator::fate::outcome::{Estimate, Outcome};

fn simulate(plan: &Model, replications: u64) -> Outcome {
    run(plan, &Options { seed: 20_261_126, replications, ..Options::default() }, &|_| ()).unwrap()
}

/// Within three standard errors of the row; and the error is small enough to mean something.
fn meets(id: &str, found: &Estimate, error_max: f64) {
    let wanted = reference(id);
    let error = found.relative_error.unwrap_or_else(|| panic!("{id}: nothing was seen, {wanted:e} was wanted"));
    assert!(error < error_max, "{id}: relative error {error}");
    let off = (found.estimate - wanted) / (found.estimate * error);
    assert!(off.abs() < 3.0, "{id}: found {:e}, wanted {wanted:e}, {off:.2} standard errors off", found.estimate);
}

fn repaired(n: usize, loss_per_year: f64, repair: Law) -> Vec<Site> {
    sites(n, &Site { loss: Some(exponential(1.0 / loss_per_year)), repair: Some(repair), ..Site::new("") })
}

#[test]
fn losses_with_repair() {
    for (id, n, k, loss, repair, replications) in
        [("A1b", 2, 1, 0.1, 52.1775, 4_000_000), ("A3b", 9, 6, 1.0, 12.0, 400_000)]
    {
        let plan = model(1.0, k, k, repaired(n, loss, exponential(1.0 / repair)));
        meets(id, &simulate(&plan, replications).loss.by_horizon, 0.04);
    }
    let never = sites(5, &Site { loss: Some(exponential(20.0)), ..Site::new("") });
    meets("A8b", &simulate(&model(10.0, 3, 3, never), 400_000).loss.by_horizon, 0.01);
    let aging = Law::Weibull { shape: 1.12, scale_years: 10.0 };
    let aging = sites(9, &Site { loss: Some(aging), ..Site::new("") });
    meets("A11", &simulate(&model(5.0, 6, 6, aging), 200_000).loss.by_horizon, 0.01);
}

/// The share of time does not depend on the laws, only on their means.
#[test]
fn outages_of_any_law() {
    let shape = 1.12;
    let laws = [
        (exponential(1.0), exponential(1.0 / 12.0)),
        (
            Law::Weibull { shape, scale_years: 1.0 / libm::tgamma(1.0 + 1.0 / shape) },
            Law::LogNormal { mean_years: 1.0 / 12.0, cv: 0.5 },
        ),
        (Law::LogNormal { mean_years: 1.0, cv: 0.7 }, Law::Constant { years: 1.0 / 12.0 }),
    ];
    for (every, lasts) in laws {
        // A long time, so that the start, with every site new, does not matter.
        let outage = Some(Outage { every, lasts });
        let plan = model(3000.0, 6, 6, sites(9, &Site { outage, ..Site::new("") }));
        let found = simulate(&plan, 1024);
        meets("A9a", &found.unavailability.share_of_time, 0.01);
        meets("A9b", &found.unavailability.falls_per_year, 0.01);
    }
}

/// The mean time to loss of a mirror whose repair takes exactly a week, from the chance of loss by a date: from the
/// first repairs on, loss comes at a constant rate.
#[test]
fn a_mirror_with_constant_repair() {
    let plan = model(200.0, 1, 1, repaired(2, 0.1, Law::Constant { years: 7.0 * DAY }));
    meets("A10", &simulate(&plan, 400_000).loss.by_horizon.per_year(200.0).inverse(), 0.01);
}

trait Inverse {
    fn inverse(self) -> Estimate;
}

impl Inverse for Estimate {
    fn inverse(self) -> Estimate {
        Estimate { estimate: 1.0 / self.estimate, ..self }
    }
}

#[test]
fn rot_between_audits() {
    // The rows are too rare to count, but one; they are weighted in `fate_rare.rs`. Faster rot, over many audits.
    let rotting = |per_year| sites(9, &Site { rot_per_year: per_year, ..Site::new("") });
    let mut plan = model(10.0, 5, 5, rotting(1.0));
    plan.policy.audit_years = Some(0.25);
    let wanted = simulator::fate::exact::disclosure::lost_between_audits(9, 5, 1.0, 10.0, 0.25).unwrap();
    let found = simulate(&plan, 100_000).loss.by_horizon;
    assert!(
        (found.estimate - wanted).abs() < 3.0 * found.estimate * found.relative_error.unwrap(),
        "{found:?} {wanted}"
    );
}

fn struck(n: usize, members: &[Vec<usize>], effect: Effect, per_year: f64, site: &Site) -> Model {
    let mut plan = model(1.0, 5, 5, sites(n, site));
    let group = |(number, members): (usize, &Vec<usize>)| Group {
        name: format!("bloc-{number}"),
        kind: GroupKind::Alliance,
        members: members.clone(),
        per_year,
        blow: Blow::on_all(effect),
    };
    plan.groups = members.iter().enumerate().map(group).collect();
    plan
}

#[test]
fn disclosure() {
    let seized = Site { seized_per_year: 0.01, ..Site::new("") };
    meets("I2", &simulate(&model(10.0, 5, 5, sites(9, &seized)), 3_000_000).disclosure.by_horizon, 0.03);
    let blocs = |sizes: &[usize]| plans::blocs(sizes);
    let plan = struck(9, &blocs(&[5, 2, 2]), Effect::Seized, 0.001, &seized);
    meets("I6", &simulate(&plan, 2_000_000).disclosure.by_horizon, 0.03);
    let failing = Site { loss: Some(exponential(20.0)), ..Site::new("") };
    let plan = struck(9, &blocs(&[4, 3, 2]), Effect::Lost, 0.001, &failing);
    meets("I7", &simulate(&plan, 3_000_000).loss.by_horizon, 0.05);
    let mut plan = model(1.0, 5, 6, sites(9, &failing));
    plan.code.threshold = 6;
    meets("I8", &simulate(&plan, 2_000_000).loss.by_horizon, 0.05);
    // A refresh: hazards so high that counting sees it; the captured are whole again at once.
    let copied = Site { copied_per_year: 1.0, ..Site::new("") };
    let mut plan = model(5.0, 5, 5, sites(9, &copied));
    plan.code.refresh_years = Some(0.25);
    let wanted = simulator::fate::exact::disclosure::disclosed(9, 5, 1.0, 5.0, Some(0.25)).unwrap();
    let found = simulate(&Model { code: Code { ciphertext_is_public: true, ..plan.code }, ..plan }, 200_000)
        .disclosure
        .by_horizon;
    assert!(
        (found.estimate - wanted).abs() < 3.0 * found.estimate * found.relative_error.unwrap(),
        "{found:?} {wanted}"
    );
}

#[test]
fn attacks_on_availability() {
    // Up 0.995 of the time: outages of a day.
    let outage = Outage { every: exponential(199.0 * DAY), lasts: exponential(DAY) };
    let site = Site { outage: Some(outage), ..Site::new("") };
    let mut plan = struck(9, &[(0..9).collect()], Effect::Down(exponential(3.0 * DAY)), 4.0, &site);
    plan.horizon_years = 400.0;
    plan.groups[0].blow.hits = Hits::Each { chance: 0.6 };
    let found = simulate(&plan, 4000).unavailability.share_of_time;
    meets("J1", &found, 0.01);
    meets("J2", &Estimate { estimate: found.estimate * 525_600.0, ..found }, 0.01);
    for (id, count) in [("J3", 4), ("J4", 3)] {
        let mut plan = model(100.0, 5, 5, sites(9, &site));
        let blow =
            Blow { hits: Hits::AtRandom { count }, ..Blow::on_all(Effect::Down(Law::Constant { years: 200.0 })) };
        plan.timeline = vec![Timed { name: "attack".into(), at_years: 0.0, targets: (0..9).collect(), blow }];
        meets(id, &simulate(&plan, 4000).unavailability.share_of_time, 0.05);
    }
}

#[test]
fn a_timeline() {
    let mut plan = model(335.0 * DAY, 5, 5, repaired(9, 0.05, exponential(30.0 / 365.25)));
    let blow = Blow { for_good: true, ..Blow::on_all(Effect::Lost) };
    plan.timeline = vec![Timed { name: "home occupied".into(), at_years: 0.0, targets: vec![0, 4, 7], blow }];
    let found = simulate(&plan, 600_000);
    meets("P2", &found.loss.by_horizon, 0.03);
    assert_eq!(found.loss.causes[0].together, ["home occupied", "site lost"]);
}

#[test]
fn restores_and_traffic() {
    let mut plan = model(
        1.0,
        5,
        5,
        sites(9, &Site { loss: Some(exponential(20.0)), repair: Some(Law::Constant { years: 0.0 }), ..Site::new("") }),
    );
    plan.sites.push(Site { is_home: true, holds_shard: false, holds_share: false, ..Site::new("home") });
    let blow = Blow { for_good: true, ..Blow::on_all(Effect::Lost) };
    plan.timeline = vec![Timed { name: "occupied".into(), at_years: 0.5, targets: vec![9], blow }];
    let minute = DAY / 1440.0;
    plan.databases = vec![Database {
        name: "land".into(),
        bytes: 1e14,
        priority: 1,
        snapshot_years: 15.0 * minute,
        lag_years: 2.0 * minute,
    }];
    plan.restore = Restore { ingress_bytes_per_s: 5e8, ..Restore::default() };
    let found = simulate(&plan, 200_000);
    let (rpo, rto) = (&found.databases[0].rpo_hours, &found.databases[0].rto_hours);
    assert!((rpo.mean.unwrap() * 60.0 / reference("Q4") - 1.0).abs() < 0.003, "{rpo:?}");
    assert!((rpo.p95.unwrap() * 60.0 / 16.25 - 1.0).abs() < 0.01, "{rpo:?}");
    assert!((rto.mean.unwrap() / reference("Q3") - 1.0).abs() < 1e-9, "{rto:?}");
    let bytes = found.repair.bytes_per_year;
    meets("Q5", &Estimate { estimate: bytes.estimate / 1e12, ..bytes }, 0.01);

    // Answers of an hour on average, and nothing to send.
    plan.restore = Restore { answer: exponential(DAY / 24.0), ..Restore::default() };
    plan.databases[0].bytes = 0.0;
    let rto = &simulate(&plan, 400_000).databases[0].rto_hours;
    assert!((rto.mean.unwrap() / reference("Q1") - 1.0).abs() < 0.003, "{rto:?}");
    let at_an_hour = rto.ecdf.iter().min_by(|a, b| (a.0 - 1.0).abs().total_cmp(&(b.0 - 1.0).abs())).unwrap();
    assert!((at_an_hour.1 - reference("Q2")).abs() < 0.02, "{at_an_hour:?}");
}

/// Nothing lost in many years excludes a rate, and no more.
#[test]
fn nothing_seen_is_not_nothing() {
    let found = simulate(&model(3.0, 5, 5, sites(9, &Site::new(""))), 1000).loss.by_horizon;
    assert!(found.estimate <= 0.0 && found.relative_error.is_none());
    let rate = found.per_year(3.0).high95;
    let wanted = reference("Q6") * 3e9 / 3000.0;
    assert!((rate / wanted - 1.0).abs() < 1e-9, "{rate:e} {wanted:e}");
}
