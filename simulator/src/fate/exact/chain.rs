//! A Markov chain in continuous time. A state that nothing leaves is an end.

use std::collections::BTreeMap;

use super::refusal::{Impossible, not_negative, probability};

mod elimination;
mod uniformisation;

/// The most states: elimination takes the cube of it in steps.
pub const STATES_MAX: usize = 2048;

/// States and the rates (per year) between them.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    // Per state: where it leads, and how fast. No state leads to itself; every rate is above zero.
    leads: Vec<BTreeMap<usize, f64>>,
}

impl Chain {
    /// A chain of this many states that lead nowhere yet.
    pub fn new(states: usize) -> Result<Self, Impossible> {
        if states > STATES_MAX {
            let (given, limit) = (states as f64, STATES_MAX as f64);
            return Err(Impossible::TooMany { what: "states", given, limit });
        }
        Ok(Self { leads: vec![BTreeMap::new(); states] })
    }

    /// One more state, by its number.
    pub fn add_state(&mut self) -> Result<usize, Impossible> {
        let state = self.leads.len();
        if state >= STATES_MAX {
            let limit = STATES_MAX as f64;
            return Err(Impossible::TooMany { what: "states", given: limit + 1.0, limit });
        }
        self.leads.push(BTreeMap::new());
        Ok(state)
    }

    /// `from` leads to `to` at this rate (per year), on top of what was said before. A rate of zero, or from a state to
    /// itself, changes nothing.
    pub fn lead(&mut self, from: usize, to: usize, per_year: f64) -> Result<(), Impossible> {
        let per_year = not_negative("rate", per_year)?;
        if to >= self.leads.len() {
            return Err(Impossible::NoSuchState(to));
        }
        let leads = self.leads.get_mut(from).ok_or(Impossible::NoSuchState(from))?;
        if from != to && per_year > 0.0 {
            *leads.entry(to).or_insert(0.0) += per_year;
        }
        Ok(())
    }

    /// How many states it has.
    pub fn states(&self) -> usize {
        self.leads.len()
    }

    /// Years until an end, on average, from `start`. See `elimination` for how.
    pub fn mean_time_to_end(&self, start: usize) -> Result<f64, Impossible> {
        elimination::mean_time_to_end(&self.leads, start)
    }

    /// Probability of each state after `years`, begun in `start`. See `uniformisation` for how, and how exact.
    pub fn after_from(&self, start: usize, years: f64) -> Result<Vec<f64>, Impossible> {
        let mut initial = vec![0.0; self.leads.len()];
        *initial.get_mut(start).ok_or(Impossible::NoSuchState(start))? = 1.0;
        self.after(&initial, years)
    }

    /// Probability of each state after `years`, begun with the probabilities `initial`, one per state; they sum to 1.
    pub fn after(&self, initial: &[f64], years: f64) -> Result<Vec<f64>, Impossible> {
        if initial.len() != self.leads.len() {
            return Err(Impossible::NoSuchState(initial.len()));
        }
        for &chance in initial {
            probability("initial probability", chance)?;
        }
        let total: f64 = initial.iter().sum();
        if (total - 1.0).abs() > 1e-9 {
            return Err(Impossible::OutOfRange { what: "sum of the initial probabilities", value: total });
        }
        uniformisation::after(&self.leads, initial, not_negative("years", years)?)
    }
}
