//! Which snapshots the rules let go.

use std::collections::BTreeSet;

use crate::document::{Keep, Retention, Span};
use crate::timestamp::Timestamp;

/// A snapshot that is still here.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Which.
    pub sequence: u64,
    /// When it was accepted, or else witnessed; of one that never was either, when the next one was. Ages count from it.
    pub at: Timestamp,
    /// When enough sites had signed for it that no coalition made it up: its place in the calendar. One without stands for
    /// itself.
    pub witnessed: Option<Timestamp>,
    /// It was durable when it was made, and is now, and is not in quarantine: another may go for its sake.
    pub is_good: bool,
}

/// The candidates, in order, that neither a rule nor a hold keeps at `now`. The newest good one, and all after it, are
/// always kept; and so is a snapshot in whose period there is no later good one. Time stands still after the newest good
/// one: when home is taken and no snapshots come any more, nothing goes.
#[must_use]
pub fn let_go(rules: &Retention, candidates: &[Candidate], now: Timestamp) -> BTreeSet<u64> {
    let Some(newest) = candidates.iter().rposition(|candidate| candidate.is_good) else { return BTreeSet::new() };
    let older = candidates.get(..newest).unwrap_or_default();
    let now = candidates.get(newest).and_then(|newest| newest.witnessed).map_or(now, |at| at.min(now));
    let mut kept: BTreeSet<u64> = BTreeSet::new();
    for rule in &rules.keep {
        keep_by(rules, *rule, candidates, newest, now, &mut kept);
    }
    let goes = |sequence: &u64| {
        !is_in(&rules.holds, *sequence) && (!kept.contains(sequence) || is_condemned(rules, *sequence))
    };
    older.iter().map(|candidate| candidate.sequence).filter(goes).collect()
}

fn is_in(spans: &[Span], sequence: u64) -> bool {
    spans.iter().any(|span| span.contains(sequence))
}

/// Whether it is to be deleted before its time: nothing goes for the sake of such a one.
fn is_condemned(rules: &Retention, sequence: u64) -> bool {
    is_in(&rules.deletions, sequence) && !is_in(&rules.holds, sequence)
}

/// From the newest good one back: the first good one met in a period stands for it. Clocks differ, so periods may come
/// mixed.
fn keep_by(
    rules: &Retention,
    rule: Keep,
    candidates: &[Candidate],
    newest: usize,
    now: Timestamp,
    kept: &mut BTreeSet<u64>,
) {
    let mut stood_for = BTreeSet::new();
    for candidate in candidates.iter().take(newest + 1).rev() {
        let ends = rule.for_seconds.map(|seconds| candidate.at.plus_ms(seconds.saturating_mul(1_000)));
        let is_young = ends.is_none_or(|ends| ends > now);
        let period = candidate.witnessed.map(|at| rule.one_per.number(at, candidate.sequence));
        let is_superseded = period.is_some_and(|period| stood_for.contains(&period));
        if is_young && !is_superseded {
            kept.insert(candidate.sequence);
        }
        if candidate.is_good && !is_condemned(rules, candidate.sequence) {
            stood_for.extend(period);
        }
    }
}
