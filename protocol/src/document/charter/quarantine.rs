//! What makes a snapshot suspicious at the sites, and which suspicious ones the officials accepted.

use serde::{Deserialize, Serialize};

use super::retention::{Span, check_spans};

/// Percent of growth at the most: a hundred thousand times.
const GROWN_PERCENT_MAX: u32 = 10_000_000;

/// Sites see nothing but sizes, so this is about the bytes that a snapshot refers to, against those of the last accepted
/// one before it. What home says of its own snapshots counts besides ([`super::super::Suspicion`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantine {
    /// Suspicious if fewer than so many percent are left. Not written if no loss is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shrunk_percent: Option<u32>,
    /// Suspicious if there are more than so many percent. Not written if no growth is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grown_percent: Option<u32>,
    /// Snapshots that the officials looked at and accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<Span>,
}

impl Quarantine {
    /// Checks the bounds by themselves.
    ///
    /// # Errors
    /// What is wrong.
    pub fn validate(&self) -> Result<(), String> {
        if self.shrunk_percent.is_some_and(|percent| !(1..=100).contains(&percent)) {
            return Err("quarantine: shrunk_percent is 1 to 100".to_owned());
        }
        if self.grown_percent.is_some_and(|percent| !(100..=GROWN_PERCENT_MAX).contains(&percent)) {
            return Err(format!("quarantine: grown_percent is 100 to {GROWN_PERCENT_MAX}"));
        }
        check_spans("quarantine: accepted snapshots", &self.accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_bound_nothing_are_refused() {
        let good = Quarantine { shrunk_percent: Some(50), grown_percent: Some(300), accepted: Vec::new() };
        assert_eq!(good.validate(), Ok(()));
        assert_eq!(Quarantine::default().validate(), Ok(()));
        let span = |first, last| vec![Span { first, last, reason: "seen".to_owned() }];
        for (bad, why) in [
            (Quarantine { shrunk_percent: Some(0), ..good.clone() }, "shrunk_percent is 1 to 100"),
            (Quarantine { shrunk_percent: Some(101), ..good.clone() }, "shrunk_percent is 1 to 100"),
            (Quarantine { grown_percent: Some(99), ..good.clone() }, "grown_percent is 100"),
            (Quarantine { grown_percent: Some(u32::MAX), ..good.clone() }, "grown_percent is 100"),
            (Quarantine { accepted: span(0, 1), ..good.clone() }, "are none"),
            (Quarantine { accepted: span(3, 2), ..good.clone() }, "are none"),
            (Quarantine { accepted: vec![span(1, 1).remove(0); 257], ..good }, "at most 256"),
        ] {
            assert!(bad.validate().unwrap_err().contains(why), "{why}");
        }
    }
}
