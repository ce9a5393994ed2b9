//! The frontier on figures that are worked by hand.

use super::*;
use crate::fate::model::Site;
use crate::fate::outcome::Estimate;
use crate::report::example;

fn model(shards: usize, shares: usize) -> Model {
    let mut model = example::model();
    model.sites = (0..shards.max(shares))
        .map(|at| Site { holds_shard: at < shards, holds_share: at < shares, ..Site::new(format!("s{at}")) })
        .collect();
    model
}

/// Loss rises with both numbers, disclosure falls with the threshold: loss 2^k 2^t / 1e6, disclosure 2^-t.
fn by_hand(model: &Model) -> Result<Outcome, String> {
    let power = |count: u32, base: f64| libm::pow(base, f64::from(count));
    let mut outcome = example::outcome();
    let (k, t) = (model.code.data_shards, model.code.threshold);
    outcome.horizon_years = 1.0;
    outcome.loss.by_horizon = Estimate::exact(power(k, 2.0) * power(t, 2.0) / 1e6);
    outcome.disclosure.by_horizon = Estimate::exact(power(t, 0.5));
    outcome.unavailability.share_of_time = Estimate::exact(0.0);
    Ok(outcome)
}

#[test]
fn only_codes_that_no_other_beats_are_best_and_targets_are_judged() {
    let grid = Grid { data_shards: vec![0, 2, 3, 9], threshold: vec![1, 2, 3, 4], refresh_years: vec![None] };
    let target = Target { loss_per_year: Some(70e-6), disclosure_per_year: Some(0.14), ..Target::default() };
    let mut steps = Vec::new();
    let frontier = sweep(&model(4, 4), &grid, &target, by_hand, |done, of| steps.push((done, of))).unwrap();
    assert_eq!(frontier.impossible, 10);
    let best: Vec<(u32, u32)> =
        frontier.points.iter().filter(|point| point.is_best).map(|p| (p.data_shards, p.threshold)).collect();
    assert_eq!(best, [(2, 2), (2, 3), (2, 4)]);
    // 2^2 2^4 is 64e-6; disclosure 1/16 a year is 0.0645 as a rate, 1/8 is 0.1335.
    let met: Vec<(u32, u32)> = frontier
        .points
        .iter()
        .filter(|point| point.standing == Standing::Met)
        .map(|point| (point.data_shards, point.threshold))
        .collect();
    assert_eq!(met, [(2, 3), (2, 4), (3, 3)]);
    assert_eq!((steps.first(), steps.last(), frontier.points[0].overhead), (Some(&(1, 6)), Some(&(6, 6)), 2.0));
    let refused = sweep(&model(4, 4), &grid, &target, |_| Err("no"), |_, _| {});
    assert_eq!(refused, Err("no"));
}

#[test]
fn a_figure_of_which_nothing_was_seen_beats_nothing() {
    let mut points = sweep(
        &model(4, 4),
        &Grid { data_shards: vec![2, 3], threshold: vec![2], refresh_years: vec![None] },
        &Target::default(),
        by_hand,
        |_, _| {},
    )
    .unwrap()
    .points;
    points[1].figures.loss = crate::fate::outcome::counted(0, 100);
    mark_best(&mut points);
    assert!(points[0].is_best && !points[1].is_best);
    let twice = [points[0], points[0]];
    points = twice.to_vec();
    mark_best(&mut points);
    assert!(points.iter().all(|point| point.is_best));
    points[1].overhead /= 2.0;
    mark_best(&mut points);
    assert!(!points[0].is_best && points[1].is_best, "of two that are alike the one that stores less");
    points[1].figures.loss = crate::fate::outcome::counted(100, 100).per_year(1.0);
    points[0].figures.loss = points[1].figures.loss;
    mark_best(&mut points);
    assert!(points.iter().all(|point| !point.is_best), "what is lost for certain is not best");
}

#[test]
fn ranges_are_read_and_nonsense_is_named() {
    assert_eq!(counts("4"), Ok(vec![4]));
    assert_eq!(counts("3..=5"), Ok(vec![3, 4, 5]));
    assert_eq!(counts("3..5"), Ok(vec![3, 4]));
    assert_eq!(counts(" 3, 9"), Ok(vec![3, 9]));
    for (text, said) in [
        ("5..=3", "is empty"),
        ("", "is not a number"),
        ("-1", "is not a number"),
        ("1..=4000000000", "more than 255"),
        ("1..=4294967295", "more than 255"),
        ("3..", "is not a number"),
    ] {
        assert!(counts(text).unwrap_err().contains(said), "{text}: {:?}", counts(text));
    }
    assert_eq!(refreshes("never").unwrap(), [None]);
    let years = refreshes("365.25d, never").map_or_else(|_| refreshes("1y,never"), Ok).unwrap();
    assert!((years[0].unwrap() - 1.0).abs() < 1e-3 && years[1].is_none());
    assert!(refreshes("0s").unwrap_err().contains("above zero") && refreshes("soon").is_err());
}

#[test]
fn the_grid_around_a_model_fits_its_sites() {
    let grid = Grid::around(&model(5, 4));
    assert_eq!((grid.data_shards, grid.threshold), (vec![1, 2, 3, 4, 5], vec![2, 3, 4]));
    let large = Grid::around(&model(10_000, 10_000));
    assert!(large.data_shards.len() <= 14 && large.data_shards.iter().all(|count| *count <= 255));
}
