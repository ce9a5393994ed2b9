//! Importance sampling of plans that are no Markov chain, against counting and formulas. What is known exactly, down to
//! 1e-30, is in `fate_reference.rs`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed, which is its job")]

mod plans;

use plans::{DAY, exponential, model, reference, sites};
use simulator::fate::engine::{Options, run};
use simulator::fate::model::{Blow, Effect, Group, GroupKind, Hits, Law, Model, Outage, Site, Timed};
use simulator::fate::outcome::Estimate;
use simulator::fate::rare;

fn options() -> Options {
    Options { seed: 20_261_126, relative_error: 0.01, rare_replications_max: 4_000_000, ..Options::default() }
}

/// Repair in exactly a week: no Markov chain.
#[test]
fn repair_of_any_law() {
    let repair = Some(Law::Constant { years: 7.0 * DAY });
    let plan = model(1.0, 1, 1, sites(2, &Site { loss: Some(exponential(10.0)), repair, ..Site::new("") }));
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
