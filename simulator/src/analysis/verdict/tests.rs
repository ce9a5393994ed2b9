//! Targets met, missed and open, and which of them binds.

use super::*;
use crate::analysis::coalition::{Set, Weight};
use crate::fate::outcome::{Method, counted};
use crate::report::example;
use crate::scenario::file::Target;

fn judged(change: impl FnOnce(&mut Scenario, &mut Outcome)) -> Verdict {
    let (mut scenario, mut outcome) = (example::scenario(), example::outcome());
    change(&mut scenario, &mut outcome);
    verdict(&scenario, &outcome, None)
}

fn of(verdict: &Verdict, goal: Goal) -> &Finding {
    verdict.findings.iter().find(|finding| finding.goal == goal).unwrap()
}

#[test]
fn an_interval_on_one_side_decides_and_one_astride_does_not() {
    let estimate = |low95, high95| Estimate { low95, high95, ..counted(5, 100) };
    assert_eq!(stands(&estimate(0.1, 0.2), 0.2), Standing::Met);
    assert_eq!(stands(&estimate(0.1, 0.2), 0.15), Standing::Undecided);
    assert_eq!(stands(&estimate(0.1, 0.2), 0.1), Standing::Undecided);
    assert_eq!(stands(&estimate(0.1, 0.2), 0.09), Standing::Missed);
    // Nothing seen in a hundred is no proof of one in a thousand.
    assert_eq!(stands(&counted(0, 100), 1e-3), Standing::Undecided);
}

#[test]
fn what_is_missed_by_most_binds_with_its_cause() {
    let verdict = judged(|scenario, _| {
        scenario.target.loss_per_year = Some(1e-9);
        scenario.target.disclosure_per_year = Some(1e-3);
        scenario.target.cost_per_year = Some(1.0);
    });
    assert_eq!(of(&verdict, Goal::Loss).standing, Standing::Missed);
    assert_eq!(of(&verdict, Goal::Disclosure).standing, Standing::Missed);
    assert_eq!(of(&verdict, Goal::Cost).standing, Standing::Met);
    assert_eq!(verdict.binding().unwrap().goal, Goal::Loss);
    assert_eq!(verdict.binding().unwrap().cause, example::outcome().loss.causes.first().cloned());
    assert_eq!(verdict.standing(), Some(Standing::Missed));
    // None missed: the least slack binds.
    let verdict = judged(|scenario, _| {
        scenario.target = Target { loss_per_year: Some(0.5), disclosure_per_year: Some(0.02), ..Target::default() };
    });
    assert_eq!((verdict.standing(), verdict.binding().unwrap().goal), (Some(Standing::Met), Goal::Disclosure));
    let verdict = judged(|scenario, _| scenario.target = Target::default());
    assert_eq!((verdict.findings.len(), verdict.standing(), verdict.binding()), (0, None, None));
}

#[test]
fn restores_are_judged_by_the_slowest_database_and_its_samples() {
    let within = |hours: f64, samples: u64| {
        judged(|scenario, outcome| {
            let wanted: Span = format!("{}ms", libm::round(hours * 3.6e6)).parse().unwrap();
            scenario.target = Target { rto_p95: Some(wanted), ..Target::default() };
            outcome.databases.iter_mut().for_each(|database| database.rto_hours.samples = samples);
        })
    };
    let slowest = example::outcome().databases.into_iter().last().unwrap();
    let p95 = slowest.rto_hours.p95.unwrap();
    let met = within(2.0 * p95, 100_000);
    assert_eq!(of(&met, Goal::RestoreTime).standing, Standing::Met);
    assert_eq!(of(&met, Goal::RestoreTime).about.as_deref(), Some(slowest.name.as_str()));
    assert_eq!(of(&within(0.5 * p95, 100_000), Goal::RestoreTime).standing, Standing::Missed);
    assert_eq!(of(&within(1.1 * p95, 20), Goal::RestoreTime).standing, Standing::Undecided);
    // Home never fell: nothing is known.
    let unknown = within(1.0, 0);
    assert_eq!(of(&unknown, Goal::RestoreTime).standing, Standing::Undecided);
    assert_eq!((of(&unknown, Goal::RestoreTime).found, unknown.binding()), (None, None));
    // Of a hundred restores ten never end.
    let verdict = judged(|scenario, outcome| {
        scenario.target = Target { rto_p95: Some(Span::from_days(3650)), ..Target::default() };
        let never = Distribution {
            samples: 10_000,
            never: 0.1,
            ecdf: vec![(1.0, 0.5), (2.0, 0.9)],
            p95: None,
            ..outcome.databases[0].rto_hours.clone()
        };
        outcome.databases[0].rto_hours = never;
    });
    assert_eq!(of(&verdict, Goal::RestoreTime).standing, Standing::Missed);
    assert!(of(&verdict, Goal::RestoreTime).found.unwrap().estimate >= f64::MAX);
}

#[test]
fn one_bond_that_reads_alone_outweighs_every_figure() {
    let smallest = |size, certain_below| Smallest {
        needed: 5,
        size,
        certain_below,
        sets: vec![Set { reached: 5, bonds: vec!["alliance:x".to_owned()], sites: vec![] }],
        more: false,
    };
    let of = |read: Smallest| {
        let coalitions = Coalitions {
            read,
            destroy_shards: smallest(None, usize::MAX),
            destroy_shares: smallest(Some(3), 3),
            largest: Vec::<Weight>::new(),
        };
        verdict(&example::scenario(), &example::outcome(), Some(&coalitions))
    };
    let alone = of(smallest(Some(1), 1));
    assert_eq!((alone.binding().unwrap().goal, alone.standing()), (Goal::ReadTogether, Some(Standing::Missed)));
    assert_eq!(alone.binding().unwrap().about.as_deref(), Some("alliance:x"));
    let standing = |verdict: &Verdict, goal| verdict.findings.iter().find(|f| f.goal == goal).unwrap().standing;
    assert_eq!(standing(&of(smallest(Some(2), 2)), Goal::ReadTogether), Standing::Met);
    assert_eq!(standing(&of(smallest(Some(4), 1)), Goal::ReadTogether), Standing::Undecided);
    assert_eq!(standing(&alone, Goal::DestroyTogether), Standing::Met);
}

#[test]
fn a_quantile_has_the_values_its_samples_allow() {
    let ecdf = (1..=100).map(|at| (f64::from(at), f64::from(at) / 100.0)).collect();
    let distribution = Distribution {
        samples: 100,
        p95: Some(95.0),
        never: 0.0,
        ecdf,
        ..example::outcome().databases[0].rto_hours.clone()
    };
    let p95 = quantile(&distribution, 0.95).unwrap();
    // Clopper-Pearson of 95 in 100: 0.8872 to 0.9836.
    assert_eq!((p95.estimate, p95.low95, p95.high95, p95.method), (95.0, 88.0, 99.0, Method::Counted));
    let within = share_within(&distribution, 95.0);
    assert!((within.low95 - 0.8872).abs() < 1e-4 && (within.high95 - 0.9836).abs() < 1e-4);
    assert_eq!(quantile(&Distribution { ecdf: vec![(1.0, 0.9)], never: 0.1, p95: None, ..distribution }, 0.95), None);
}
