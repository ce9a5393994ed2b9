//! Mean time to an end by the elimination of Grassmann, Taksar and Heyman (Operations Research 33, 1985): states are
//! taken out one by one, and the paths through them become rates between the others. The diagonal is never stored but
//! summed anew from the rates that leave, so nothing is ever subtracted and each result keeps its relative precision.
//!
//! LU factorisation of the same matrix in doubles gives -1.6e16 years for 10 of 20 sites where the truth is 8.6e18.

use std::collections::BTreeMap;

use super::super::refusal::{Impossible, positive};

/// A state that is not an end, as what is left of it after the elimination of others.
struct Row {
    /// Rates to the states that are left, numbered in the order of discovery; the entry of the state itself is unused.
    to: Vec<f64>,
    /// Rate to the ends.
    end: f64,
    /// Time spent per visit, times the rate at which it is left.
    time: f64,
}

pub(super) fn mean_time_to_end(leads: &[BTreeMap<usize, f64>], start: usize) -> Result<f64, Impossible> {
    if leads.get(start).ok_or(Impossible::NoSuchState(start))?.is_empty() {
        return Ok(0.0);
    }
    let mut rows = rows_from(leads, start);
    while rows.len() > 1 {
        let Some(mut gone) = rows.pop() else { break };
        gone.to.pop();
        let exit = gone.end + gone.to.iter().sum::<f64>();
        for row in &mut rows {
            let into = row.to.pop().unwrap_or(0.0);
            if into <= 0.0 {
                continue;
            }
            if exit <= 0.0 {
                return Err(Impossible::NeverEnds);
            }
            let share = into / exit;
            for (rate, onward) in row.to.iter_mut().zip(&gone.to) {
                *rate += share * onward;
            }
            row.end += share * gone.end;
            row.time += share * gone.time;
        }
    }
    match rows.pop() {
        Some(last) if last.end > 0.0 => positive("mean time to the end", last.time / last.end),
        _ => Err(Impossible::NeverEnds),
    }
}

/// The states that `start` leads to and that are no ends, nearest first; `start` is row 0.
fn rows_from(leads: &[BTreeMap<usize, f64>], start: usize) -> Vec<Row> {
    let ends = |state: usize| leads.get(state).is_none_or(BTreeMap::is_empty);
    let mut order = vec![start];
    let mut place = BTreeMap::from([(start, 0)]);
    let mut next = 0;
    while let Some(&state) = order.get(next) {
        for &to in leads.get(state).into_iter().flat_map(BTreeMap::keys) {
            if !ends(to) && !place.contains_key(&to) {
                place.insert(to, order.len());
                order.push(to);
            }
        }
        next += 1;
    }
    let row = |state: &usize| {
        let mut row = Row { to: vec![0.0; order.len()], end: 0.0, time: 1.0 };
        for (to, rate) in leads.get(*state).into_iter().flatten() {
            match place.get(to).and_then(|&column| row.to.get_mut(column)) {
                Some(entry) => *entry = *rate,
                None => row.end += rate,
            }
        }
        row
    };
    order.iter().map(row).collect()
}
