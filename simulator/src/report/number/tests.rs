//! What people read.

use super::*;
use crate::fate::outcome::{Method, counted};

#[test]
fn digits_are_those_that_the_interval_supports() {
    let estimate = |low95, value, high95| Estimate {
        estimate: value,
        low95,
        high95,
        relative_error: None,
        method: Method::Weighted,
    };
    let shown = |low, value, high| best(&estimate(low, value, high));
    assert_eq!(shown(0.012_30, 0.012_345, 0.012_40), "0.0123");
    assert_eq!(shown(0.011, 0.012_345, 0.013), "0.012");
    assert_eq!(shown(0.002, 0.012_345, 0.05), "0.01");
    assert_eq!(shown(6.7e-14, 6.729e-14, 6.76e-14), "6.73e-14");
    assert_eq!(best(&Estimate::exact(6.729_895e-14)), "6.73e-14");
    assert_eq!(best(&counted(0, 1000)), "below 0.0030");
    assert_eq!(best(&Estimate::exact(0.0)), "0");
    assert_eq!(interval(&counted(5, 100)).unwrap(), "0.016 to 0.11");
    assert_eq!(
        (interval(&estimate(0.0, 0.0, f64::MAX)), best(&estimate(0.0, 0.0, f64::MAX)).as_str()),
        (None, "not seen")
    );
    assert_eq!(interval(&counted(0, 1000)).unwrap(), "0 to 0.0030");
    assert_eq!(interval(&Estimate::exact(0.5)), None);
}

#[test]
fn numbers_read_well_over_the_whole_range() {
    let cases = [
        (0.0, "0"),
        (1.0, "1.00"),
        (9.999, "10.0"),
        (0.001_234_5, "0.00123"),
        (0.000_999_9, "0.00100"),
        (0.000_123_4, "1.23e-4"),
        (123_456.0, "123,000"),
        (999_999.0, "1.00e6"),
        (-1234.0, "-1,230"),
        (5e-324, "4.94e-324"),
        (f64::MAX, "unbounded"),
        (f64::INFINITY, "unbounded"),
        (f64::NAN, "unbounded"),
    ];
    for (value, expected) in cases {
        assert_eq!(number(value, 3), expected);
    }
}

#[test]
fn rates_and_durations_are_words() {
    let rates = [
        (8.3e-9, Some("about once in 120 million years")),
        (1e-12, Some("about once in 1.0 trillion years")),
        (2.5e-5, Some("about once in 40,000 years")),
        (1e-20, Some("about once in 1.0e20 years")),
        (0.9, Some("about once a year")),
        (12.0, Some("about 12 times a year")),
        (0.0, None),
        (f64::MAX, None),
    ];
    for (rate, expected) in rates {
        assert_eq!(recurrence(rate).as_deref(), expected);
    }
    let durations = [
        (0.0, "0 s"),
        (1e-9, "4e-6 s"),
        (0.0125, "45 s"),
        (0.15, "9 min"),
        (0.75, "45 min"),
        (0.9999, "1 h"),
        (3.34, "3 h 20 min"),
        (47.999, "2 days"),
        (52.0, "2 days 4 h"),
        (24.5, "1 day 1 h"),
        (24.0 * 90.0, "90.0 days"),
        (8766.0 * 12.0, "12 years"),
        (f64::MAX, "never"),
    ];
    for (value, expected) in durations {
        assert_eq!(hours(value), expected);
    }
    assert_eq!(
        (years(1.0), years(2.5), years(0.5)),
        ("1 year".to_owned(), "2.5 years".to_owned(), "183 days".to_owned())
    );
    assert_eq!(
        (written(4.0), written(1e-4), trimmed("3.20 TB")),
        ("4".to_owned(), "1e-4".to_owned(), "3.2 TB".to_owned())
    );
    assert_eq!((percent(0.034, 2), percent(3e-6, 2)), ("3.4 %".to_owned(), "3.0e-6".to_owned()));
    assert_eq!((bytes(4.23e12, 2), bytes(12.0, 2)), ("4.2 TB".to_owned(), "12 bytes".to_owned()));
}

#[test]
fn powers_of_ten_are_set_and_words_are_left_alone() {
    assert_eq!(
        typeset("1.2e-7 to 3e10"),
        "1.2\u{2009}\u{d7}\u{2009}10\u{207b}\u{2077} to 3\u{2009}\u{d7}\u{2009}10\u{b9}\u{2070}"
    );
    for plain in ["once in a decade", "e", "e-", "1e", "2 e-embassies", "1.0e", "\u{fc}e5e"] {
        assert_eq!(typeset(plain), plain);
    }
}
