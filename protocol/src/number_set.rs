//! Sets of stripe numbers or sequences as a few runs, so that a site can say what it lacks in one small document.

use serde::{Deserialize, Serialize};

/// `count` numbers from `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
pub struct Run {
    /// The first of them.
    pub first: u64,
    /// How many; at least 1.
    pub count: u64,
}

impl From<(u64, u64)> for Run {
    fn from((first, count): (u64, u64)) -> Self {
        Self { first, count }
    }
}

impl From<Run> for (u64, u64) {
    fn from(run: Run) -> Self {
        (run.first, run.count)
    }
}

impl Run {
    /// The first number that is no longer in it.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.first.saturating_add(self.count)
    }
}

/// A set of numbers as runs, each beginning after the end of the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NumberSet(#[serde(deserialize_with = "crate::wire::page::deserialize")] Vec<Run>);

impl NumberSet {
    /// The numbers of `sorted`, in at most `runs_max` runs. Where they need more, the narrowest gaps are filled: the set
    /// then names numbers that were not given, and still all that were.
    #[must_use]
    pub fn covering(sorted: impl IntoIterator<Item = u64>, runs_max: usize) -> Self {
        let Self(mut runs) = Self::joining(sorted.into_iter().map(|first| Run { first, count: 1 }));
        if runs.len() > runs_max {
            let mut gaps: Vec<u64> =
                runs.windows(2).filter_map(|pair| Some(pair.get(1)?.first - pair.first()?.end())).collect();
            gaps.sort_unstable();
            let widest_filled = gaps.get(runs.len() - runs_max - 1).copied().unwrap_or(u64::MAX);
            runs = Self::filling_gaps(&runs, widest_filled);
        }
        Self(runs)
    }

    fn filling_gaps(runs: &[Run], widest: u64) -> Vec<Run> {
        let mut filled: Vec<Run> = Vec::new();
        for run in runs {
            match filled.last_mut() {
                Some(last) if run.first - last.end() <= widest => last.count = run.end() - last.first,
                _ => filled.push(*run),
            }
        }
        filled
    }

    /// Whether `number` is in it.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        let after = self.0.partition_point(|run| run.first <= number);
        after.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|run| number < run.end())
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, run| sum.saturating_add(run.count))
    }

    /// Whether every number from `first` to the one before `end` is in it.
    #[must_use]
    pub fn covers(&self, first: u64, end: u64) -> bool {
        let after = self.0.partition_point(|run| run.first <= first);
        let run = after.checked_sub(1).and_then(|at| self.0.get(at));
        first >= end || run.is_some_and(|run| run.end() >= end)
    }

    /// The numbers of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut sorted: Vec<Run> = self.0.iter().chain(&other.0).copied().collect();
        sorted.sort_unstable_by_key(|run| run.first);
        Self::joining(sorted)
    }

    /// The numbers of runs that come in the order of their first ones, and may overlap or touch.
    #[must_use]
    pub fn joining(sorted: impl IntoIterator<Item = Run>) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for run in sorted {
            match runs.last_mut() {
                Some(last) if run.first <= last.end() => last.count = last.end().max(run.end()) - last.first,
                _ => runs.push(run),
            }
        }
        Self(runs)
    }

    /// The numbers that are not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut runs = Vec::new();
        for run in &self.0 {
            let mut first = run.first;
            let from = other.0.partition_point(|taken| taken.end() <= first);
            for taken in other.0.iter().skip(from).take_while(|taken| taken.first < run.end()) {
                if first < taken.first {
                    runs.push(Run { first, count: taken.first - first });
                }
                first = taken.end();
            }
            if first < run.end() {
                runs.push(Run { first, count: run.end() - first });
            }
        }
        Self(runs)
    }

    /// The numbers that are also in `other`.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.without(&self.without(other))
    }

    /// Its last runs, `runs_max` at the most.
    #[must_use]
    pub fn last_runs(&self, runs_max: usize) -> Self {
        Self(self.0.get(self.0.len().saturating_sub(runs_max)..).unwrap_or_default().to_vec())
    }

    /// First and count of every run, 8 bytes each, big-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|run| [run.first.to_be_bytes(), run.count.to_be_bytes()]).flatten().collect()
    }

    /// The set of [`NumberSet::to_bytes`].
    ///
    /// # Errors
    /// Not the bytes of a set.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let (runs, rest) = bytes.as_chunks::<16>();
        let number = |eight: &[u8]| eight.try_into().map_or(0, u64::from_be_bytes);
        let run = |run: &[u8; 16]| Run { first: number(&run[..8]), count: number(&run[8..]) };
        let set = Self(runs.iter().map(run).collect());
        if !rest.is_empty() {
            return Err("not whole runs of numbers".to_owned());
        }
        set.check(usize::MAX).map(|()| set)
    }

    /// One run; nothing if `count` is 0.
    #[must_use]
    pub fn of_run(first: u64, count: u64) -> Self {
        Self(if count == 0 { Vec::new() } else { vec![Run { first, count }] })
    }

    /// The runs, in order.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.0
    }

    /// Whether its form is the only one for its numbers, in at most `runs_max` runs.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, runs_max: usize) -> Result<(), String> {
        if self.0.len() > runs_max {
            return Err(format!("more than {runs_max} runs of numbers"));
        }
        let apart = self.0.windows(2).all(|pair| matches!(pair, [a, b] if a.end() < b.first));
        let whole = self.0.iter().all(|run| run.count > 0 && run.first.checked_add(run.count).is_some());
        if apart && whole { Ok(()) } else { Err("runs of numbers are empty, overlap or touch".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{NumberSet, Run};

    #[test]
    fn runs_are_joined_and_the_narrowest_gaps_filled() {
        let set = NumberSet::covering([1, 2, 3, 5, 9, 10, 20], 10);
        let run = |first, count| Run { first, count };
        assert_eq!(set.runs(), [run(1, 3), run(5, 1), run(9, 2), run(20, 1)]);
        assert_eq!(set.count(), 7);
        let coarse = NumberSet::covering([1, 2, 3, 5, 9, 10, 20], 3);
        assert_eq!(coarse.runs(), [run(1, 5), run(9, 2), run(20, 1)]);
        assert!(coarse.contains(4) && !coarse.contains(8) && !coarse.contains(21));
    }

    #[test]
    fn forms_that_are_not_the_only_one_are_refused() {
        for runs in
            [vec![(1, 0)], vec![(1, 2), (2, 1)], vec![(1, 1), (2, 1)], vec![(5, 1), (1, 1)], vec![(2, u64::MAX)]]
        {
            let set = NumberSet(runs.iter().copied().map(Run::from).collect());
            assert!(set.check(10).is_err(), "{runs:?}");
        }
        assert!(NumberSet::covering([1, 3, 5], 3).check(2).is_err());
    }

    proptest! {
        #[test]
        fn sets_of_runs_are_sets(a: std::collections::BTreeSet<u8>, b: std::collections::BTreeSet<u8>, from: u8, end: u8) {
            let runs = |numbers: Vec<u8>| NumberSet::covering(numbers.into_iter().map(u64::from), usize::MAX);
            let (of_a, of_b) = (runs(a.iter().copied().collect()), runs(b.iter().copied().collect()));
            prop_assert_eq!(of_a.union(&of_b), runs(a.union(&b).copied().collect()));
            prop_assert_eq!(of_a.without(&of_b), runs(a.difference(&b).copied().collect()));
            prop_assert_eq!(of_a.intersection(&of_b), runs(a.intersection(&b).copied().collect()));
            prop_assert_eq!(NumberSet::from_bytes(&of_a.to_bytes()), Ok(of_a.clone()));
            prop_assert_eq!(of_a.covers(from.into(), end.into()), (from..end).all(|number| a.contains(&number)));
        }

        #[test]
        fn nothing_given_is_left_out(numbers: std::collections::BTreeSet<u8>, runs_max in 1_usize..6) {
            let set = NumberSet::covering(numbers.iter().copied().map(u64::from), runs_max);
            prop_assert!(set.check(runs_max).is_ok());
            prop_assert!(numbers.iter().all(|number| set.contains(u64::from(*number))));
            let exact = NumberSet::covering(numbers.iter().copied().map(u64::from), usize::MAX);
            for number in 0..=u64::from(u8::MAX) + 1 {
                prop_assert_eq!(exact.contains(number), u8::try_from(number).is_ok_and(|n| numbers.contains(&n)));
            }
        }
    }
}
