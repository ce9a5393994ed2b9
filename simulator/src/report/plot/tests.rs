//! Ticks are round, few and in the plot.

use plotters::coord::ranged1d::{Ranged, ValueFormatter};

use super::axis::Axis;
use super::*;

fn labels(axis: &Axis) -> Vec<String> {
    axis.key_points(10_usize).iter().map(|tick| axis.format_ext(tick)).collect()
}

#[test]
fn ticks_are_round_and_few() {
    let plain = |tick: f64| format!("{tick:.4}").trim_end_matches('0').trim_end_matches('.').to_owned();
    assert_eq!(labels(&Axis::linear(0.0, 0.023, 3.0, plain)), ["0", "0.01", "0.02"]);
    assert_eq!(labels(&Axis::linear(0.0, 1.0, 4.0, plain)), ["0", "0.5", "1"]);
    assert_eq!(
        labels(&Axis::decades(3e-5, 0.2)),
        ["10\u{207b}\u{2075}", "10\u{207b}\u{2074}", "10\u{207b}\u{b3}", "0.01", "0.1", "1"]
    );
    assert_eq!(labels(&Axis::decades(0.1, 0.1)), ["0.1", "1"]);
    assert!(labels(&Axis::decades(1e-300, 1.0)).len() <= 8);
    assert_eq!(labels(&Axis::time(2.0, 0.02)), ["0", "year 0.5", "year 1", "year 1.5", "year 2"]);
    assert_eq!(
        labels(&Axis::time(30.0 / 365.25, 0.0)),
        ["0", "day 5", "day 10", "day 15", "day 20", "day 25", "day 30"]
    );
    let hours = labels(&Axis::hours(0.02, 5000.0));
    assert!(hours.len() >= 4 && hours.len() <= 10 && hours.contains(&"1 h".to_owned()), "{hours:?}");
}

#[test]
fn a_value_outside_is_drawn_at_the_edge() {
    let axis = Axis::decades(0.01, 1.0);
    let places = [1e-9, 0.01, 0.1, 1.0, 5.0].map(|value| axis.map(&value, (100, 300)));
    assert_eq!(places, [100, 100, 200, 300, 300]);
    let flat = Axis::linear(3.0, 3.0, 4.0, |tick| tick.to_string());
    assert_eq!((flat.map(&3.0, (0, 10)), flat.map(&9.0, (0, 10))), (0, 10));
}

#[test]
fn what_is_too_long_is_shortened() {
    assert_eq!((shortened("short", 5), shortened("too long", 5)), ("short".to_owned(), "too\u{2026}".to_owned()));
}
