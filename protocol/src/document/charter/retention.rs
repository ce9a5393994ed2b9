//! How long snapshots of a database are kept.

use serde::{Deserialize, Serialize};

use crate::document::check_text;
use crate::timestamp::Timestamp;

/// Rules of one database at the most.
const RULES_MAX: usize = 16;
/// Spans of one kind of one database at the most.
const SPANS_MAX: usize = 256;
/// Seconds of a rule at the most: a thousand years; longer is for ever.
const KEEP_SECONDS_MAX: u64 = 1_000 * 366 * 86_400;
/// Seconds between a charter that keeps less and the first deletion by it, at the most: a year.
const DELAY_SECONDS_MAX: u64 = 366 * 86_400;

/// What is kept: all that any rule or hold keeps. A database without it keeps everything for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// At least one.
    pub keep: Vec<Keep>,
    /// So many seconds after a site has taken up a later charter, nothing goes by it yet that this one keeps. In this time
    /// it can be vetoed.
    pub delay_seconds: u64,
    /// Snapshots that are kept whatever the rules say: pins and legal holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Span>,
    /// Snapshots that officials want gone before the rules let them go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deletions: Vec<Span>,
}

/// The last accepted snapshot of every period, for some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// Of each.
    pub one_per: Period,
    /// Counted from when the snapshot was accepted; for ever if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_seconds: Option<u64>,
}

/// A stretch of the calendar, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Period {
    /// Every snapshot is its own.
    Snapshot,
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// From midnight on.
    Day,
    /// From Monday on.
    Week,
    /// From its first day on.
    Month,
    /// From the first of January on.
    Year,
}

impl Period {
    /// A number that two moments share if they lie in the same period. `sequence` is of the snapshot.
    #[must_use]
    pub const fn number(self, at: Timestamp, sequence: u64) -> u64 {
        let minutes = at.unix_ms() / 60_000;
        let (year, month, _day) = at.date();
        match self {
            Self::Snapshot => sequence,
            Self::Minute => minutes,
            Self::Hour => minutes / 60,
            Self::Day => minutes / (24 * 60),
            // 1970-01-01 was a Thursday.
            Self::Week => (minutes / (24 * 60) + 3) / 7,
            Self::Month => year * 12 + month,
            Self::Year => year,
        }
    }
}

/// Snapshots from `first` to `last`, both included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Sequence of the first.
    pub first: u64,
    /// Sequence of the last.
    pub last: u64,
    /// Why, in words.
    pub reason: String,
}

impl Retention {
    /// Checks the rules by themselves.
    ///
    /// # Errors
    /// What is wrong.
    pub fn validate(&self) -> Result<(), String> {
        if self.keep.is_empty() || self.keep.len() > RULES_MAX {
            return Err(format!("retention needs 1 to {RULES_MAX} rules; leave it out to keep everything"));
        }
        let ends = self.keep.iter().filter_map(|keep| keep.for_seconds);
        if !ends.into_iter().all(|seconds| (1..=KEEP_SECONDS_MAX).contains(&seconds)) {
            return Err(
                "a rule of retention is for a second to a thousand years; without an end it is for ever".to_owned()
            );
        }
        if self.delay_seconds > DELAY_SECONDS_MAX {
            return Err(format!("retention: the delay has {DELAY_SECONDS_MAX} seconds at the most, a year"));
        }
        check_spans("retention: holds", &self.holds)?;
        check_spans("retention: deletions", &self.deletions)
    }
}

/// Checks spans by themselves.
pub(super) fn check_spans(what: &str, spans: &[Span]) -> Result<(), String> {
    if spans.len() > SPANS_MAX {
        return Err(format!("{what}: at most {SPANS_MAX}"));
    }
    for span in spans {
        if span.first == 0 || span.last < span.first {
            return Err(format!("{what} from {} to {} are none", span.first, span.last));
        }
        check_text(&format!("{what}: the reason"), &span.reason)?;
    }
    Ok(())
}

impl Span {
    /// Whether a snapshot is one of them.
    #[must_use]
    pub const fn contains(&self, sequence: u64) -> bool {
        self.first <= sequence && sequence <= self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_begin_where_the_calendar_says() {
        let at = |text: &str| {
            let time = text.parse::<u64>().unwrap_or_default();
            Timestamp::from_unix_ms(time)
        };
        // 2026-12-31 23:59:59.999 is a Thursday, the next moment a Friday.
        let (before, after) = (at("1798761599999"), at("1798761600000"));
        assert_eq!(
            (before.to_string(), after.to_string()),
            ("2026-12-31T23:59:59Z".into(), "2027-01-01T00:00:00Z".into())
        );
        let differ = |period: Period| period.number(before, 1) != period.number(after, 1);
        for period in [Period::Minute, Period::Hour, Period::Day, Period::Month, Period::Year] {
            assert!(differ(period), "{period:?}");
        }
        assert!(!differ(Period::Week) && !differ(Period::Snapshot));
        // 2027-01-04 is a Monday.
        let (sunday, monday) = (at("1799020799999"), at("1799020800000"));
        assert_eq!(monday.to_string(), "2027-01-04T00:00:00Z");
        assert_ne!(Period::Week.number(sunday, 1), Period::Week.number(monday, 1));
        assert_eq!(Period::Month.number(sunday, 1), Period::Month.number(monday, 1));
    }

    #[test]
    fn rules_that_keep_nothing_or_hold_nothing_are_refused() {
        let keep = Keep { one_per: Period::Day, for_seconds: Some(86_400) };
        let good = Retention { keep: vec![keep], delay_seconds: 1, holds: Vec::new(), deletions: Vec::new() };
        assert_eq!(good.validate(), Ok(()));
        let span = |first, last, reason: &str| vec![Span { first, last, reason: reason.to_owned() }];
        for (bad, why) in [
            (Retention { keep: Vec::new(), ..good.clone() }, "1 to 16 rules"),
            (Retention { keep: vec![keep; 17], ..good.clone() }, "1 to 16 rules"),
            (Retention { keep: vec![Keep { for_seconds: Some(0), ..keep }], ..good.clone() }, "a second to a thousand"),
            (Retention { delay_seconds: u64::MAX, ..good.clone() }, "a year"),
            (Retention { holds: span(0, 1, "x"), ..good.clone() }, "are none"),
            (Retention { deletions: span(2, 1, "x"), ..good.clone() }, "are none"),
            (Retention { holds: span(1, 1, "\u{202e}"), ..good.clone() }, "reason"),
            (Retention { holds: vec![span(1, 1, "x").remove(0); 257], ..good }, "at most 256"),
        ] {
            assert!(bad.validate().unwrap_err().contains(why), "{why}");
        }
    }
}
