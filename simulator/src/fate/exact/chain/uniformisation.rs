//! Where a chain is after a time, by uniformisation (Jensen 1953): it jumps at one rate `q` in every state, sometimes to
//! where it is, and the number of jumps in a time is Poisson. Every term is a product of numbers that are not negative.
//!
//! How exact: `q` is twice the fastest rate, so that the chance to stay loses no digit. The Poisson weights are taken
//! relative to the largest and divided by their sum, so no exponential underflows. Jumps beyond the last one counted
//! change no probability by more than 2^-53 of itself: whatever the states, their chances after n jumps are at most 1,
//! so the rest is at most the tail of the weights, and the sum goes on until that is below 2^-53 of the smallest
//! probability found, or until a weight is below 1e-290 of the largest. Few jumps are left out only where they weigh less
//! than 1e-280 of the likeliest. So a probability above 1e-260 errs by rounding alone: per jump eight roundings and one for
//! each state that leads to another, of 1.1e-16 each. For a stripe that is at most 1.1e-15 of itself per jump, 1.1e-8 at
//! the limit of jumps; a year of 5 of 9 sites with repair in 30 days takes 100 jumps.

use std::collections::BTreeMap;

use super::super::refusal::Impossible;

/// The most jumps on average; a horizon that is longer must be cut.
const JUMPS_MAX: f64 = 1e7;

pub(super) fn after(leads: &[BTreeMap<usize, f64>], initial: &[f64], years: f64) -> Result<Vec<f64>, Impossible> {
    let exits: Vec<f64> = leads.iter().map(|leads| leads.values().sum()).collect();
    let rate = 2.0 * exits.iter().copied().fold(0.0, f64::max);
    let jumps = rate * years;
    if jumps <= 0.0 {
        return Ok(initial.to_vec());
    }
    if jumps > JUMPS_MAX || !jumps.is_finite() {
        return Err(Impossible::TooMany { what: "jumps of the chain", given: jumps, limit: JUMPS_MAX });
    }
    let (first, mut weight) = first_weight(jumps);
    let mut here = initial.to_vec();
    let mut sum = vec![0.0; here.len()];
    let mut total = 0.0;
    let mut done = 0_u32;
    loop {
        if done >= first {
            for (sum, here) in sum.iter_mut().zip(&here) {
                *sum += weight * here;
            }
            total += weight;
            let next = f64::from(done) + 1.0;
            if next > jumps && done as usize >= here.len() {
                // A geometric series bounds the weights that follow.
                let rest = weight * jumps / (next - jumps);
                let smallest = sum.iter().copied().filter(|sum| *sum > 0.0).fold(f64::MAX, f64::min);
                if rest <= f64::EPSILON / 2.0 * smallest || weight < 1e-290 {
                    break;
                }
            }
            weight *= jumps / next;
        }
        here = jump(leads, &exits, rate, &here);
        done += 1;
    }
    for sum in &mut sum {
        *sum /= total;
    }
    Ok(sum)
}

/// The fewest jumps that count and their weight, where the likeliest number of jumps weighs 1.
fn first_weight(jumps: f64) -> (u32, f64) {
    let mut number = 0_u32;
    while f64::from(number) + 1.0 <= jumps {
        number += 1;
    }
    let mut weight = 1.0;
    while number > 0 && weight > 1e-280 {
        weight *= f64::from(number) / jumps;
        number -= 1;
    }
    (number, weight)
}

fn jump(leads: &[BTreeMap<usize, f64>], exits: &[f64], rate: f64, here: &[f64]) -> Vec<f64> {
    let mut next: Vec<f64> = here.iter().zip(exits).map(|(here, exit)| here * ((rate - exit) / rate)).collect();
    for (leads, here) in leads.iter().zip(here) {
        for (&to, per_year) in leads {
            if let Some(next) = next.get_mut(to) {
                *next += here * (per_year / rate);
            }
        }
    }
    next
}
