//! What must hold for every plan: the same on any number of threads, one meaning on every path, refusals by name, and
//! the way an answer was found said beside it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed, which is its job")]

mod plans;

use plans::{DAY, exponential, model, reference, sites};
use simulator::fate::engine::{Options, run};
use simulator::fate::estimate;
use simulator::fate::exact::disclosure;
use simulator::fate::model::{
    Agreement, Blow, Database, Departure, Effect, Group, GroupKind, Hits, Law, Model, ModelError, Outage, Policy, Site,
    Timed, Writer,
};
use simulator::fate::outcome::{Estimate, Method, Outcome};
use simulator::fate::rare::{self, RareError};

fn options(replications: u64) -> Options {
    Options { seed: 7, replications, relative_error: 0.01, rare_replications_max: 4_000_000, ..Options::default() }
}

fn simulate(plan: &Model, replications: u64) -> Outcome {
    run(plan, &options(replications), &|_| ()).unwrap()
}

fn json(outcome: &Outcome) -> String {
    serde_json::to_string(outcome).unwrap()
}

fn group(name: &str, members: Vec<usize>, per_year: f64, blow: Blow) -> Group {
    Group { name: name.into(), kind: GroupKind::Jurisdiction, members, per_year, blow }
}

/// Something of everything.
fn rich() -> Model {
    let like = Site {
        loss: Some(exponential(10.0)),
        rot_per_year: 0.2,
        outage: Some(Outage { every: exponential(0.5), lasts: Law::LogNormal { mean_years: DAY, cv: 1.0 } }),
        seized_per_year: 0.05,
        copied_per_year: 0.05,
        repair: Some(Law::LogNormal { mean_years: 30.0 * DAY, cv: 0.5 }),
        remake: Law::Uniform { low_years: 0.0, high_years: DAY },
        ..Site::new("")
    };
    let mut plan = model(5.0, 5, 5, sites(9, &like));
    plan.sites[0].is_home = true;
    plan.sites[8].is_cold = true;
    plan.sites[7].agreement = Some(Agreement { ends_years: 2.0, departure: Departure { moved: 0.5, raided: 0.1 } });
    let down = Effect::Down(exponential(3.0 * DAY));
    let all = || (0..9).collect::<Vec<_>>();
    plan.groups = vec![
        group("east", vec![1, 2, 3], 0.05, Blow::on_all(Effect::Seized)),
        group("west", vec![3, 4], 0.05, Blow { hits: Hits::Each { chance: 0.5 }, ..Blow::on_all(Effect::Copied) }),
        group(
            "worm",
            all(),
            0.05,
            Blow { spares_cold: true, hits: Hits::Each { chance: 0.3 }, ..Blow::on_all(Effect::Lost) },
        ),
        group("flood", all(), 4.0, Blow { hits: Hits::AtRandom { count: 5 }, ..Blow::on_all(down) }),
    ];
    plan.timeline = vec![
        Timed {
            name: "home occupied".into(),
            at_years: 30.0 * DAY,
            targets: vec![0],
            blow: Blow { for_good: true, ..Blow::on_all(Effect::Seized) },
        },
        Timed {
            name: "hosts turn".into(),
            at_years: 33.0 * DAY,
            targets: vec![1, 2],
            blow: Blow::on_all(Effect::Copied),
        },
    ];
    plan.code.refresh_years = Some(90.0 * DAY);
    plan.policy = Policy {
        audit_years: Some(7.0 * DAY),
        detect_years: DAY,
        crews: Some(2),
        repair_at: Some(7),
        write_off_years: Some(10.0 * DAY),
        uplink_share: Some(0.5),
    };
    let database = |name: &str, priority| Database {
        name: name.into(),
        bytes: 1e12,
        priority,
        snapshot_years: DAY,
        lag_years: DAY / 24.0,
    };
    plan.databases = vec![database("land", 2), database("people", 1)];
    plan.writer = Some(Writer { stolen_per_year: 0.1, noticed_after: exponential(60.0 * DAY) });
    plan
}

#[test]
fn the_outcome_is_the_same_on_any_number_of_threads() {
    let plan = rich();
    // Four rounds of blocks for each rare event: its weights are too uneven to end before.
    let options = |seed, threads| Options {
        seed,
        threads: Some(threads),
        relative_error: 1.0,
        rare_replications_max: 131_072,
        ..options(2_000)
    };
    let on = |threads| {
        let options = options(7, threads);
        json(&estimate(&plan, &options, &|_| ()).unwrap())
    };
    let one = on(1);
    assert_eq!(one, on(2));
    assert_eq!(one, on(7));
    assert_ne!(one, json(&estimate(&plan, &options(8, 2), &|_| ()).unwrap()));
}

/// The last figures of a plan with something of everything: a change of meaning shows itself here.
#[test]
fn every_part_of_a_rich_plan_is_seen() {
    let found = simulate(&rich(), 8_000);
    assert!(found.loss.by_horizon.estimate > 0.0 && found.disclosure.by_horizon.estimate > 0.0);
    assert!(found.unavailability.falls_per_year.estimate > 0.0);
    assert!(found.repair.repairs_per_year.estimate > 1.0 && found.repair.bytes_per_year.estimate > 1e12);
    let [land, people] = &found.databases[..] else { panic!("two databases") };
    // Priority: people first, land after both.
    assert!(people.rto_hours.p50.unwrap() < land.rto_hours.p50.unwrap());
    // Home is taken in every replication; a theft of the writer's key adds samples.
    assert!(land.rpo_hours.samples > 8_000 && land.rpo_hours.p99.unwrap() > 24.0 * 2.0);
    let named = |causes: &[simulator::fate::outcome::Cause], name: &str| {
        causes.iter().any(|cause| cause.together.iter().any(|cause| cause == name))
    };
    assert!(named(&found.loss.causes, "worm") && named(&found.disclosure.causes, "hosts turn"));
    assert!(named(&found.unavailability.causes, "flood"));
    let curves = &found.curves;
    assert!((curves.lost[100] - found.loss.by_horizon.estimate).abs() < 1e-12);
    assert!(curves.lost.is_sorted() && curves.disclosed.is_sorted());
    assert!(curves.unavailable.iter().all(|share| (0.0..=1.0).contains(share)));
}

/// The short way of plain outages takes the same steps as the long way, which a distant event enforces.
#[test]
fn the_short_way_is_the_long_way() {
    for n in [9, 100] {
        let outage = Outage { every: exponential(1.0), lasts: Law::LogNormal { mean_years: 0.1, cv: 0.4 } };
        let short = model(40.0, n / 3 * 2 + 3, 1, sites(n as usize, &Site { outage: Some(outage), ..Site::new("") }));
        let mut long = short.clone();
        long.timeline =
            vec![Timed { name: "never".into(), at_years: 50.0, targets: vec![0], blow: Blow::on_all(Effect::Lost) }];
        assert_eq!(json(&simulate(&short, 500)), json(&simulate(&long, 500)));
    }
}

#[test]
fn a_weibull_law_of_shape_one_is_exponential() {
    let with = |law| {
        let site = Site { loss: Some(law), repair: Some(exponential(0.1)), ..Site::new("") };
        simulate(&model(3.0, 5, 5, sites(9, &site)), 20_000)
    };
    let mut aging = with(Law::Weibull { shape: 1.0, scale_years: 1.0 });
    let constant = with(exponential(1.0));
    // Only what is said about aging differs.
    assert_ne!(aging.assumptions, constant.assumptions);
    aging.assumptions.clone_from(&constant.assumptions);
    assert_eq!(json(&aging), json(&constant));
}

/// Under the same fates a code with more parity is never lost earlier.
#[test]
fn more_parity_never_loses_more() {
    let mut plan = rich();
    plan.policy.repair_at = None;
    plan.policy.uplink_share = None;
    let mut before: Option<Vec<f64>> = None;
    for data_shards in (2..=8).rev() {
        plan.code.data_shards = data_shards;
        plan.code.threshold = 1;
        let lost = simulate(&plan, 4000).curves.lost;
        if let Some(before) = before {
            assert!(lost.iter().zip(&before).all(|(more_parity, less)| more_parity <= less), "{data_shards}");
        }
        before = Some(lost);
    }
    assert!(before.unwrap()[100] < 0.01);
}

#[test]
fn ten_thousand_sites() {
    let like = Site { loss: Some(exponential(20.0)), repair: Some(exponential(30.0 * DAY)), ..Site::new("") };
    let mut plan = model(2.0, 9000, 9000, sites(10_000, &like));
    plan.groups = vec![group("one country", (0..200).collect(), 0.5, Blow::on_all(Effect::Lost))];
    let found = simulate(&plan, 200);
    // Some 500 losses a year and 200 at once every other year, less what is under repair at the end.
    assert!((found.repair.repairs_per_year.estimate / 575.0 - 1.0).abs() < 0.03, "{:?}", found.repair);
    plan.code.data_shards = 9850;
    let found = simulate(&plan, 200);
    assert!(found.loss.by_horizon.estimate > 0.5 && found.loss.by_horizon.estimate < 0.75);
    assert_eq!(found.loss.causes[0].together, ["one country"]);
}

/// Failures of very different rates make weights far above one. Cutting them off, as another tool does, would lose most
/// of the probability.
#[test]
fn weights_are_never_cut_off() {
    let fast = Site { loss: Some(exponential(1.0)), repair: Some(exponential(0.05)), ..Site::new("fast") };
    let slow = Site { loss: Some(exponential(200.0)), repair: Some(exponential(0.05)), ..Site::new("slow") };
    let mut all = sites(3, &fast);
    all.extend(sites(7, &slow));
    let plan = model(4.0, 8, 8, all);
    let exact = estimate(&plan, &options(1), &|_| ()).unwrap().loss.by_horizon;
    assert_eq!(exact.method, Method::Exact);
    let weighted = rare::loss(&plan, &options(1)).unwrap();
    let off = weighted.estimate / exact.estimate - 1.0;
    assert!(off.abs() < 3.0 * weighted.relative_error.unwrap(), "{weighted:?} {exact:?}");
}

/// The share of time down does not depend on the laws, only on their means: rows A9 hold for any.
#[test]
fn outages_of_any_law() {
    let shape = 1.12;
    let scale_years = 1.0 / libm::tgamma(1.0 + 1.0 / shape);
    for (every, lasts) in [
        (Law::Weibull { shape, scale_years }, Law::LogNormal { mean_years: 1.0 / 12.0, cv: 0.5 }),
        (Law::LogNormal { mean_years: 1.0, cv: 0.7 }, Law::Constant { years: 1.0 / 12.0 }),
    ] {
        // A long time, so that the start, with every site new, does not matter.
        let outage = Some(Outage { every, lasts });
        let found = simulate(&model(3000.0, 6, 6, sites(9, &Site { outage, ..Site::new("") })), 512).unavailability;
        near(&found.share_of_time, reference("A9a"));
        near(&found.falls_per_year, reference("A9b"));
    }
}

/// So often that counting sees it: rot between audits, and copies between refreshes.
#[test]
fn audits_and_refreshes_are_counted() {
    let mut rotting = model(10.0, 5, 5, sites(9, &Site { rot_per_year: 1.0, ..Site::new("") }));
    rotting.policy.audit_years = Some(0.25);
    near(&simulate(&rotting, 100_000).loss.by_horizon, disclosure::lost_between_audits(9, 5, 1.0, 10.0, 0.25).unwrap());
    let mut copied = model(5.0, 5, 5, sites(9, &Site { copied_per_year: 1.0, ..Site::new("") }));
    copied.code.refresh_years = Some(0.25);
    copied.code.ciphertext_is_public = true;
    near(&simulate(&copied, 200_000).disclosure.by_horizon, disclosure::disclosed(9, 5, 1.0, 5.0, Some(0.25)).unwrap());
}

/// With too few custodians left for ever, a refresh every hour is not tried every hour.
#[test]
fn a_refresh_that_cannot_succeed_waits() {
    let mut plan = model(10.0, 3, 3, sites(5, &Site { copied_per_year: 1.0, ..Site::new("") }));
    plan.code.refresh_years = Some(1.0 / 8766.0);
    let blow = Blow { for_good: true, ..Blow::on_all(Effect::Lost) };
    plan.timeline = vec![Timed { name: "war".into(), at_years: 0.01, targets: vec![0, 1, 2], blow }];
    let found = simulate(&plan, 100);
    assert!(found.effort.events < 100 * 100, "{} events", found.effort.events);
}

/// Within three standard errors, and these are small.
fn near(found: &Estimate, wanted: f64) {
    let error = found.relative_error.unwrap();
    assert!(error < 0.01 && (found.estimate / wanted - 1.0).abs() < 3.0 * error, "{found:?}, wanted {wanted:e}");
}

/// Overlapping groups that hit each member with a chance, and sites that are not alike: three ways to one figure.
#[test]
fn exact_weighted_and_counted_agree() {
    let like = Site { loss: Some(exponential(4.0)), repair: Some(exponential(0.2)), ..Site::new("") };
    let mut plan = model(2.0, 4, 3, sites(8, &like));
    plan.sites[2].loss = Some(exponential(2.0));
    plan.sites[3].repair = None;
    plan.sites[4].holds_share = false;
    plan.sites[5].holds_shard = false;
    let half = Blow { hits: Hits::Each { chance: 0.5 }, ..Blow::on_all(Effect::Lost) };
    plan.groups =
        vec![group("a", vec![0, 1, 2, 3], 0.3, half), group("b", vec![3, 4, 5], 0.2, Blow::on_all(Effect::Seized))];
    let exact = estimate(&plan, &options(1), &|_| ()).unwrap().loss.by_horizon;
    let counted = simulate(&plan, 200_000).loss.by_horizon;
    let weighted = rare::loss(&plan, &options(1)).unwrap();
    assert_eq!([exact.method, counted.method, weighted.method], [Method::Exact, Method::Counted, Method::Weighted]);
    for found in [counted, weighted] {
        let off = found.estimate / exact.estimate - 1.0;
        assert!(off.abs() < 3.0 * found.relative_error.unwrap(), "{found:?} {exact:?}");
    }
}

#[test]
fn each_answer_says_how_it_was_found() {
    let alike = |repair| {
        let site = Site { loss: Some(exponential(20.0)), repair: Some(repair), ..Site::new("") };
        model(1.0, 8, 8, sites(15, &site))
    };
    let markov = estimate(&alike(exponential(30.0 / 365.25)), &options(100), &|_| ()).unwrap();
    assert_eq!(markov.loss.by_horizon.method, Method::Exact);
    assert!((markov.loss.by_horizon.estimate / reference("A7b") - 1.0).abs() < 1e-9);
    assert!(markov.disclosure.by_horizon.estimate <= 0.0 && markov.disclosure.by_horizon.high95 <= 0.0);

    // Repair that takes a lognormal time, and groups: found by weighting; alone, the sites are rarer still.
    let mut plan = alike(Law::LogNormal { mean_years: 30.0 * DAY, cv: 0.5 });
    plan.groups = vec![group("bloc", vec![0, 1, 2], 1e-3, Blow::on_all(Effect::Lost))];
    let found =
        estimate(&plan, &Options { relative_error: 0.1, rare_replications_max: 160_000, ..options(1000) }, &|_| ())
            .unwrap()
            .loss;
    // A lognormal repair lets a few walks carry all: the error that they state is not believed, and counting bounds the figure.
    assert_eq!(found.by_horizon.method, Method::WeightedUnevenly);
    assert!(found.by_horizon.low95 <= 0.0 && (found.by_horizon.high95 - 0.003).abs() < 1e-5, "{found:?}");
    assert_eq!(serde_json::to_value(found.by_horizon).unwrap()["method"], "weighted-unevenly");
    let alone = found.independent.unwrap();
    assert!(alone.nines().unwrap() > found.by_horizon.nines().unwrap() + 1.0, "{found:?}");
    assert!(found.causes[0].together.contains(&"bloc".to_owned()));

    // Sites that age can only be counted.
    for site in &mut plan.sites {
        site.loss = Some(Law::Weibull { shape: 2.0, scale_years: 20.0 });
    }
    let found = estimate(&plan, &options(1000), &|_| ()).unwrap().loss;
    assert_eq!(found.by_horizon.method, Method::Counted);
    assert_eq!(rare::loss(&plan, &options(1)), Err(RareError::Aging { site: "site-0".into() }));
}

/// Repairs of one site at a time, or late, or never begun: each loses more than the one before.
#[test]
fn worse_repair_loses_more() {
    let site = Site { loss: Some(exponential(2.0)), repair: Some(exponential(0.1)), ..Site::new("") };
    let mut plan = model(5.0, 5, 5, sites(9, &site));
    let mut lost = |policy| {
        plan.policy = policy;
        simulate(&plan, 40_000).loss.by_horizon.estimate
    };
    let eager = lost(Policy::default());
    let detected = lost(Policy { detect_years: 0.05, ..Policy::default() });
    let one_crew = lost(Policy { crews: Some(1), ..Policy::default() });
    let lazy = lost(Policy { repair_at: Some(6), ..Policy::default() });
    assert!(eager * 1.2 < detected && detected < lazy && lazy < one_crew, "{eager} {detected} {lazy} {one_crew}");
}

#[test]
fn bytes_take_time() {
    let mut plan = model(1.0, 5, 5, sites(9, &Site { repair: Some(Law::Constant { years: 0.0 }), ..Site::new("") }));
    let blow = Blow::on_all(Effect::Lost);
    plan.timeline = vec![Timed { name: "fire".into(), at_years: 0.1, targets: vec![0], blow }];
    plan.databases =
        vec![Database { name: "land".into(), bytes: 1e14, priority: 0, snapshot_years: 0.0, lag_years: 0.0 }];
    // A fifth of 1e14 bytes from each of five sites at half of 1e8 bytes per second: 4e5 s; all received at 1e8: 1e6 s.
    for site in &mut plan.sites {
        site.up_bytes_per_s = 1e8;
        site.down_bytes_per_s = 1e8;
    }
    plan.policy.uplink_share = Some(0.5);
    let after = |plan: &mut Model, seconds: f64| {
        plan.horizon_years = 0.1 + seconds / 31_557_600.0;
        simulate(plan, 1).repair.bytes_per_year.estimate * plan.horizon_years
    };
    assert!(after(&mut plan, 0.99e6) <= 0.0 && (after(&mut plan, 1.01e6) / 1e14 - 1.0).abs() < 1e-9);
    // Lines out that are five times slower are what takes longest: 2e6 s.
    for site in &mut plan.sites {
        site.up_bytes_per_s = 2e7;
    }
    assert!(after(&mut plan, 1.99e6) <= 0.0 && (after(&mut plan, 2.01e6) / 1e14 - 1.0).abs() < 1e-9);
}

#[test]
fn what_describes_nothing_is_refused_by_name() {
    let good = rich();
    assert_eq!(good.check(), Ok(()));
    let refused = |change: &dyn Fn(&mut Model)| {
        let mut plan = rich();
        change(&mut plan);
        run(&plan, &options(1), &|_| ()).unwrap_err()
    };
    assert_eq!(refused(&|plan| plan.sites.clear()), ModelError::NoSites);
    let code = refused(&|plan| plan.code.data_shards = 10);
    assert_eq!(code, ModelError::Code { what: "data_shards", needed: 10, holders: 9 });
    assert!(matches!(refused(&|plan| plan.code.threshold = 0), ModelError::Code { what: "threshold", .. }));
    let member = refused(&|plan| plan.groups[0].members.push(9));
    assert_eq!(member, ModelError::NoSuchSite { of: "east".into(), site: 9, sites: 9 });
    let twice = refused(&|plan| plan.timeline[1].targets.push(1));
    assert_eq!(twice, ModelError::Twice { of: "hosts turn".into(), site: "site-1".into() });
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        let named = |change: &dyn Fn(&mut Model), name: &str| {
            assert!(matches!(refused(change), ModelError::OutOfRange { of, .. } if of == name), "{name} {bad}");
        };
        named(&|plan| plan.horizon_years = bad, "plan");
        named(&|plan| plan.sites[3].seized_per_year = bad, "site-3");
        named(&|plan| plan.sites[3].loss = Some(exponential(bad)), "site-3");
        named(&|plan| plan.sites[3].repair = Some(Law::LogNormal { mean_years: 1.0, cv: bad }), "site-3");
        named(&|plan| plan.groups[1].per_year = bad, "west");
        named(&|plan| plan.groups[1].blow.hits = Hits::Each { chance: bad }, "west");
        named(&|plan| plan.timeline[0].at_years = bad, "home occupied");
        named(&|plan| plan.databases[0].bytes = bad, "land");
        named(&|plan| plan.policy.audit_years = Some(bad), "policy");
        named(&|plan| plan.writer.as_mut().unwrap().stolen_per_year = bad, "writer");
    }
    assert!(matches!(refused(&|plan| plan.policy.crews = Some(0)), ModelError::OutOfRange { what: "crews", .. }));
    let many = refused(&|plan| plan.sites = sites(100_001, &Site::new("")));
    assert!(matches!(many, ModelError::TooMany { what: "sites", .. }));
}

/// Sites without any hazard: nothing happens, and nothing is made up.
#[test]
fn nothing_happens_to_a_plan_without_hazards() {
    let found = estimate(&model(30.0, 3, 3, sites(5, &Site::new(""))), &options(1000), &|_| ()).unwrap();
    assert!(found.loss.by_horizon.high95 <= 0.0 && found.disclosure.by_horizon.high95 <= 0.0);
    assert_eq!(found.effort.events, 0);
    assert!(found.unavailability.any.high95 < 0.01 && found.unavailability.share_of_time.estimate <= 0.0);
}
