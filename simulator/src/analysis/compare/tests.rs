//! What may be said of two outcomes, and what not.

use super::*;
use crate::fate::outcome::counted;
use crate::report::example;

fn of(change: impl FnOnce(&mut Outcome)) -> Comparison {
    let mut other = example::outcome();
    change(&mut other);
    compare(["a".to_owned(), "b".to_owned()], &example::outcome(), &other)
}

#[test]
fn an_outcome_equals_itself() {
    let same = of(|_| {});
    assert!(same.common_seed);
    assert!(same.rows.iter().all(|row| row.contrast == Contrast::Equal && row.ratio == Some(1.0)), "{same:?}");
    let names: Vec<&str> = same.rows.iter().map(|row| row.figure.as_str()).collect();
    assert_eq!(names[..3], ["loss", "disclosure", "unavailability"]);
    assert!(names.contains(&"RTO of land-register, 95 of 100") && names.contains(&"repair traffic"));
}

#[test]
fn only_intervals_apart_tell_two_apart() {
    let first = example::outcome().loss.by_horizon;
    let with = |value: Estimate| of(|outcome| outcome.loss.by_horizon = value).rows[0].contrast;
    assert_eq!(with(Estimate { estimate: first.estimate * 1.001, ..first }), Contrast::Open);
    assert_eq!(with(counted(9_000, 10_000)), Contrast::SecondHigher);
    assert_eq!(with(Estimate::exact(first.low95 * 0.9)), Contrast::SecondLower);
    // Nothing seen in too few missions is not less.
    assert_eq!(with(counted(0, 3)), Contrast::Open);
    assert_eq!(of(|outcome| outcome.loss.by_horizon = counted(0, 3)).rows[0].ratio, Some(0.0));
    assert!(!of(|outcome| outcome.effort.seed = 99).common_seed);
    // A database that one of them does not have is left out.
    assert!(of(|outcome| outcome.databases.clear()).rows.len() < of(|_| {}).rows.len());
}
