//! Importance sampling against what is known exactly: 1e-8 to 1e-20, with the error it states.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed, which is its job")]

mod plans;

use plans::{DAY, exponential, model, reference, sites};
use simulator::fate::engine::{Options, run};
use simulator::fate::model::{Blow, Code, Effect, Group, GroupKind, Hits, Law, Model, Outage, Site, Timed};
use simulator::fate::outcome::Estimate;
use simulator::fate::rare;

fn options() -> Options {
    Options { seed: 20_261_126, relative_error: 0.01, rare_replications_max: 4_000_000, ..Options::default() }
}

fn meets(id: &str, found: &Estimate, wanted: f64) {
    let error = found.relative_error.unwrap();
    let off = (found.estimate - wanted) / (found.estimate * error);
    assert!(error <= 0.01, "{id}: relative error {error}");
    assert!(off.abs() < 3.0, "{id}: found {:e}, wanted {wanted:e}, {off:.2} standard errors off", found.estimate);
}

fn failing(n: usize, loss_per_year: f64, repair: Law) -> Vec<Site> {
    sites(n, &Site { loss: Some(exponential(1.0 / loss_per_year)), repair: Some(repair), ..Site::new("") })
}

const MONTH: f64 = 30.0 / 365.25;

#[test]
fn excursions_to_loss() {
    for (id, n, k, loss, repair) in
        [("L1", 9, 5, 0.05, 12.175), ("L2", 15, 8, 0.05, 12.175), ("L3", 14, 10, 0.25, 8760.0)]
    {
        let plan = model(1.0, k, k, failing(n, loss, exponential(1.0 / repair)));
        let found = rare::cycles(&plan, &options()).unwrap();
        meets(id, &found.loss_per_excursion, reference(id));
        let mean = &found.mean_years_to_loss;
        let off = mean.estimate / reference(&format!("{id}m")) - 1.0;
        assert!(off.abs() < 3.0 * mean.relative_error.unwrap(), "{mean:?}");
    }
}

#[test]
fn losses_by_a_date() {
    for (id, n, k, loss, repair) in [
        ("A1b", 2, 1, 0.1, 52.1775),
        ("A2b", 3, 1, 0.1, 52.1775),
        ("A4b", 9, 5, 0.05, 12.175),
        ("A6b", 7, 4, 0.1, 26.089_285_714_285_714),
        ("A7b", 15, 8, 0.05, 12.175),
        ("A12b", 20, 10, 0.05, 12.175),
    ] {
        let plan = model(1.0, k, k, failing(n, loss, exponential(1.0 / repair)));
        meets(id, &rare::loss(&plan, &options()).unwrap(), reference(id));
    }
    let mut one_crew = model(1.0, 5, 5, failing(9, 0.05, exponential(MONTH)));
    one_crew.policy.crews = Some(1);
    meets("A5b", &rare::loss(&one_crew, &options()).unwrap(), reference("A5b"));
    let unrepaired = sites(5, &Site { loss: Some(exponential(20.0)), ..Site::new("") });
    meets("A8b", &rare::loss(&model(10.0, 3, 3, unrepaired), &options()).unwrap(), reference("A8b"));
}

fn with_groups(mut plan: Model, sizes: &[usize], effect: Effect) -> Model {
    let group = |members| Group {
        name: "bloc".into(),
        kind: GroupKind::Alliance,
        members,
        per_year: 0.001,
        blow: Blow::on_all(effect),
    };
    plan.groups = plans::blocs(sizes).into_iter().map(group).collect();
    plan
}

#[test]
fn blocs_that_fall_together() {
    for (id, sizes) in
        [("O1", &[3, 3, 3][..]), ("O2", &[4, 3, 2]), ("O3", &[5, 2, 2]), ("O5", &[2, 2, 2, 2, 1]), ("O6", &[1; 9])]
    {
        let plan = with_groups(model(1.0, 5, 5, failing(9, 0.05, exponential(MONTH))), sizes, Effect::Lost);
        let found = rare::cycles(&plan, &options()).unwrap().mean_years_to_loss;
        let off = (found.estimate - reference(id)) / (found.estimate * found.relative_error.unwrap());
        assert!(off.abs() < 3.0, "{id}: {found:?}");
    }
}

#[test]
fn disclosures() {
    let seized = Site { seized_per_year: 0.01, ..Site::new("") };
    meets("I1", &rare::disclosure(&model(1.0, 5, 5, sites(9, &seized)), &options()).unwrap(), reference("I1"));
    let rates = [0.002, 0.002, 0.005, 0.005, 0.01, 0.01, 0.02, 0.03, 0.05];
    let uneven = rates.iter().map(|&rate| Site { seized_per_year: rate, ..Site::new("") }).collect();
    meets("I4", &rare::disclosure(&model(1.0, 5, 5, uneven), &options()).unwrap(), reference("I4"));
    for (id, sizes) in [("I5", &[4, 3, 2][..]), ("R1n", &[2; 5]), ("R5n", &[1; 9])] {
        let (n, k) = (sizes.iter().sum(), if id == "R5n" { 4 } else { 5 });
        let plan = with_groups(model(1.0, k, k, sites(n, &seized)), sizes, Effect::Seized);
        meets(id, &rare::disclosure(&plan, &options()).unwrap(), reference(id));
    }
    // Captured sites are whole again at once, as the row assumes.
    let back = Site { repair: Some(Law::Constant { years: 0.0 }), ..seized };
    let mut plan = model(10.0, 5, 5, sites(9, &back));
    plan.code = Code { refresh_years: Some(30.0 * DAY), ..plan.code };
    meets("I3", &rare::disclosure(&plan, &options()).unwrap(), reference("I3"));
}

#[test]
fn rot_between_audits() {
    let rotting = sites(9, &Site { rot_per_year: 0.05, ..Site::new("") });
    for (id, days) in [("B1_1d", 1.0), ("B1_7d", 7.0), ("B1_30d", 30.0), ("B1_90d", 90.0), ("B1_365d", 365.0)] {
        // The formula raises to a number of periods that is not whole; so many whole ones, and the power corrects it.
        let periods = (365.0_f64 / days).round();
        let mut plan = model(periods * days * DAY, 5, 5, rotting.clone());
        plan.policy.audit_years = Some(days * DAY);
        let found = rare::loss(&plan, &options()).unwrap();
        meets(id, &found, reference(id) * periods * days / 365.0);
    }
}

#[test]
fn a_timeline() {
    let mut plan = model(1.0, 5, 5, failing(9, 0.05, exponential(MONTH)));
    let blow = Blow { for_good: true, ..Blow::on_all(Effect::Lost) };
    plan.timeline = vec![Timed { name: "home occupied".into(), at_years: 30.0 * DAY, targets: vec![0], blow }];
    meets("P1", &rare::loss(&plan, &options()).unwrap(), reference("P1"));
}

/// Repair in exactly a week: no Markov chain.
#[test]
fn repair_of_any_law() {
    let plan = model(1.0, 1, 1, failing(2, 0.1, Law::Constant { years: 7.0 * DAY }));
    let found = rare::cycles(&plan, &options()).unwrap().mean_years_to_loss;
    let off = found.estimate / reference("A10") - 1.0;
    assert!(off.abs() < 3.0 * found.relative_error.unwrap(), "{found:?}");
}

/// Years of eleven sites with everything that befalls a site alone: repair of any law, rot, outages, crews, refreshes.
fn quiet_years(years: f64, data_shards: u32, threshold: u32, seized_per_year: f64) -> Model {
    let like = Site {
        loss: Some(exponential(20.0)),
        repair: Some(Law::LogNormal { mean_years: 30.0 * DAY, cv: 0.5 }),
        rot_per_year: 0.02,
        outage: Some(Outage { every: exponential(0.5), lasts: exponential(DAY / 4.0) }),
        seized_per_year,
        ..Site::new("")
    };
    let mut plan = model(years, data_shards, threshold, sites(11, &like));
    plan.sites[9].holds_shard = false;
    plan.sites[10].holds_shard = false;
    plan.code.refresh_years = Some(28.0 * DAY);
    plan.policy.audit_years = Some(7.0 * DAY);
    plan.policy.crews = Some(3);
    plan
}

/// The same plan made frequent enough to count: two ways to one figure, with every way back of any law.
#[test]
fn weighted_is_counted_where_both_see_it() {
    let mut plan = quiet_years(2.0, 7, 3, 0.3);
    plan.policy.detect_years = DAY;
    let blow = Blow { hits: Hits::Each { chance: 0.5 }, ..Blow::on_all(Effect::Seized) };
    plan.groups =
        vec![Group { name: "bloc".into(), kind: GroupKind::Alliance, members: vec![2, 3, 4], per_year: 0.02, blow }];
    plan.timeline = vec![Timed { name: "turned".into(), at_years: 0.5, targets: vec![5], blow }];
    let counted = run(&plan, &Options { replications: 400_000, ..options() }, &|_| ()).unwrap();
    let options = Options { relative_error: 0.02, ..options() };
    for (weighted, counted) in [
        (rare::loss(&plan, &options).unwrap(), counted.loss.by_horizon),
        (rare::disclosure(&plan, &options).unwrap(), counted.disclosure.by_horizon),
    ] {
        let error = |found: &Estimate| found.estimate * found.relative_error.unwrap();
        let off = (weighted.estimate - counted.estimate) / error(&weighted).hypot(error(&counted));
        assert!(counted.relative_error.unwrap() < 0.05 && off.abs() < 3.0, "{weighted:?} {counted:?}");
    }
}

/// Ten years, 4 of 9 shards, 5 of 11 shares: 1e-9 and 5e-14, with a stated error that is small enough to plan by.
#[test]
fn a_quiet_decade() {
    let plan = quiet_years(10.0, 4, 5, 1.0 / 300.0);
    let options = Options { relative_error: 0.1, ..options() };
    let loss = rare::loss(&plan, &options).unwrap();
    let disclosure = rare::disclosure(&plan, &options).unwrap();
    assert!(loss.relative_error.unwrap() <= 0.1 && loss.estimate > 0.5e-9 && loss.estimate < 3e-9, "{loss:?}");
    assert!(disclosure.estimate > 4e-14 && disclosure.estimate < 7e-14, "{disclosure:?}");
}
