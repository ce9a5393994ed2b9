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
        let mut runs: Vec<Run> = Vec::new();
        for number in sorted {
            match runs.last_mut() {
                Some(last) if number < last.end() => {}
                Some(last) if number == last.end() => last.count += 1,
                _ => runs.push(Run { first: number, count: 1 }),
            }
        }
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
