//! Importance sampling against what is known exactly: 1e-8 to 1e-20, with the error it states.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed, which is its job")]

mod plans;

use plans::{DAY, exponential, model, reference, sites};
use simulator::fate::engine::Options;
use simulator::fate::model::{Blow, Code, Effect, Group, GroupKind, Law, Model, Site, Timed};
use simulator::fate::outcome::Estimate;
use simulator::fate::rare;

fn options() -> Options {
    Options { seed: 20_261_126, ..Options::default() }
}

fn meets(id: &str, found: &Estimate, wanted: f64) {
    let error = found.relative_error.unwrap();
    let off = (found.estimate - wanted) / (found.estimate * error);
    println!("{id}: {:e} wanted {wanted:e} error {error:.4} off {off:.2}", found.estimate);
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
        println!("{id}: off {off:.2} error {:.4}", found.relative_error.unwrap());
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
