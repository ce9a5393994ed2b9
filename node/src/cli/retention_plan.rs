//! How long a database's snapshots are kept, as a person writes it into a charter plan and reads it back.

use std::time::Duration;

use protocol::document::{Keep, Period, Retention, Span};
use serde::Deserialize;

use super::Failure;

/// What stands under `retention` of a database.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetentionPlan {
    keep: Vec<KeepPlan>,
    /// As in `14days`.
    #[serde(default = "default_delay")]
    delay: String,
    #[serde(default)]
    holds: Vec<SpanPlan>,
    #[serde(default)]
    deletions: Vec<SpanPlan>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeepPlan {
    one_per: Period,
    /// As in `90days`; for ever if absent.
    r#for: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpanPlan {
    first: u64,
    last: u64,
    reason: String,
}

const EXAMPLES: &str = "90days or 10years";

fn default_delay() -> String {
    "14days".to_owned()
}

/// A span of time as a person writes it, in seconds; `examples` are what the error shows.
pub(super) fn seconds(what: &str, text: &str, examples: &str) -> Result<u64, Failure> {
    let parsed = humantime::parse_duration(text).map(|duration| duration.as_secs());
    parsed.map_err(|error| Failure::usage(format!("{what} '{text}': {error}; write {examples}")))
}

impl RetentionPlan {
    pub(super) fn retention(&self) -> Result<Retention, Failure> {
        let keep = self.keep.iter().map(|rule| {
            let for_seconds =
                rule.r#for.as_deref().map(|text| seconds("retention: for", text, EXAMPLES)).transpose()?;
            Ok(Keep { one_per: rule.one_per, for_seconds })
        });
        Ok(Retention {
            keep: keep.collect::<Result<_, Failure>>()?,
            delay_seconds: seconds("retention: delay", &self.delay, EXAMPLES)?,
            holds: spans(&self.holds),
            deletions: spans(&self.deletions),
        })
    }
}

/// Snapshots as a plan names them.
pub(super) fn spans(plans: &[SpanPlan]) -> Vec<Span> {
    let span = |plan: &SpanPlan| Span { first: plan.first, last: plan.last, reason: plan.reason.clone() };
    plans.iter().map(span).collect()
}

/// The rules in words, one line each.
pub(super) fn words(retention: Option<&Retention>) -> Vec<String> {
    let Some(retention) = retention else { return vec!["every snapshot is kept for ever".to_owned()] };
    let span = |seconds: u64| humantime::format_duration(Duration::from_secs(seconds)).to_string();
    let rule = |keep: &Keep| {
        let what = match keep.one_per {
            Period::Snapshot => "every snapshot is kept".to_owned(),
            period @ (Period::Minute | Period::Hour | Period::Day | Period::Week | Period::Month | Period::Year) => {
                format!("the last snapshot of each {} is kept", format!("{period:?}").to_lowercase())
            }
        };
        keep.for_seconds.map_or_else(|| format!("{what} for ever"), |seconds| format!("{what} for {}", span(seconds)))
    };
    let mut lines: Vec<String> = retention.keep.iter().map(rule).collect();
    for held in &retention.holds {
        lines.push(format!("snapshots {} to {} are held: {}", held.first, held.last, held.reason));
    }
    for deleted in &retention.deletions {
        let Span { first, last, reason } = deleted;
        lines.push(format!("SNAPSHOTS {first} TO {last} ARE TO BE DELETED BEFORE THEIR TIME: {reason}"));
    }
    lines.push(format!(
        "what a later charter lets go is kept for {} more, and any one official can veto it",
        span(retention.delay_seconds)
    ));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_and_told_in_words() {
        let plan = "keep = [{ one_per = 'snapshot', for = '7days' }, { one_per = 'year' }]\ndelay = '3days'\n\
                    holds = [{ first = 1, last = 9, reason = 'court order 7/2026' }]";
        let retention = toml::from_str::<RetentionPlan>(plan).unwrap().retention().unwrap();
        assert_eq!(retention.validate(), Ok(()));
        assert_eq!(
            words(Some(&retention)),
            [
                "every snapshot is kept for 7days",
                "the last snapshot of each year is kept for ever",
                "snapshots 1 to 9 are held: court order 7/2026",
                "what a later charter lets go is kept for 3days more, and any one official can veto it",
            ]
        );
        assert_eq!(words(None), ["every snapshot is kept for ever"]);
    }

    #[test]
    fn what_is_not_a_rule_is_refused() {
        for (plan, why) in [
            ("keep = [{ one_per = 'fortnight' }]", "unknown variant `fortnight`"),
            ("keep = [{ per = 'day' }]", "unknown field `per`"),
            ("delay = '1day'", "missing field `keep`"),
        ] {
            let error = toml::from_str::<RetentionPlan>(plan).unwrap_err();
            assert!(error.message().contains(why), "{plan}: {error}");
        }
        let plan = "keep = [{ one_per = 'day', for = 'a while' }]";
        let error = toml::from_str::<RetentionPlan>(plan).unwrap().retention().unwrap_err();
        assert!(error.message.contains("write 90days"), "{}", error.message);
    }
}
