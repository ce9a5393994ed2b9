//! What a block of replications has counted; blocks are merged in their order, so that sums do not depend on threads.

use std::collections::BTreeMap;

use super::histogram::Histogram;
use super::plan::{CauseId, Plan};

/// Points of a curve, beside the one at zero.
pub(crate) const STEPS: usize = 100;

/// How often each set of causes made an event.
pub(crate) type Causes = BTreeMap<Vec<CauseId>, f64>;

/// A quantity of each replication: its sum and the sum of its squares.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moments {
    pub(crate) sum: f64,
    pub(crate) squares: f64,
    /// The largest value, and the sum of the fourth powers of all values divided by it: 1e-82 to the fourth is no number.
    largest: f64,
    fourths: f64,
}

impl Moments {
    pub(crate) fn add(&mut self, value: f64) {
        self.sum += value;
        self.squares += value * value;
        if value > 0.0 {
            self.rescale(value);
            self.fourths += fourth_power(value / self.largest);
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.sum += other.sum;
        self.squares += other.squares;
        if other.largest > 0.0 {
            self.rescale(other.largest);
            self.fourths += other.fourths * fourth_power(other.largest / self.largest);
        }
    }

    fn rescale(&mut self, value: f64) {
        if value > self.largest {
            self.fourths *= fourth_power(self.largest / value);
            self.largest = value;
        }
    }

    /// How many values carry the sum of the squares, `(sum w^2)^2 / sum w^4`: what an error is made of that is estimated
    /// from them. One over the variance of the variance of MCNP (LA-UR-03-1987, chapter 2), but for what the mean takes off.
    pub(crate) fn carriers(&self) -> f64 {
        let squares = self.squares / self.largest / self.largest;
        if self.fourths > 0.0 { squares * squares / self.fourths } else { 0.0 }
    }
}

fn fourth_power(value: f64) -> f64 {
    let square = value * value;
    square * square
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) replications: u64,
    pub(crate) events: u64,
    pub(crate) lost: u64,
    pub(crate) disclosed: u64,
    pub(crate) unavailable: u64,
    pub(crate) lost_in_step: Vec<u64>,
    pub(crate) disclosed_in_step: Vec<u64>,
    /// Replications that went out of service in the step, less those that came back.
    pub(crate) falls_in_step: Vec<i64>,
    pub(crate) loss_causes: Causes,
    pub(crate) disclosure_causes: Causes,
    pub(crate) outage_causes: Causes,
    pub(crate) unavailable_share: Moments,
    pub(crate) falls: Moments,
    pub(crate) repairs: Moments,
    pub(crate) bytes: Moments,
    pub(crate) rpo: Vec<Histogram>,
    pub(crate) rto: Vec<Histogram>,
}

impl Tally {
    pub(crate) fn new(plan: &Plan<'_>) -> Self {
        let databases = plan.model.databases.len();
        Self {
            replications: 0,
            events: 0,
            lost: 0,
            disclosed: 0,
            unavailable: 0,
            lost_in_step: vec![0; STEPS + 2],
            disclosed_in_step: vec![0; STEPS + 2],
            falls_in_step: vec![0; STEPS + 2],
            loss_causes: Causes::new(),
            disclosure_causes: Causes::new(),
            outage_causes: Causes::new(),
            unavailable_share: Moments::default(),
            falls: Moments::default(),
            repairs: Moments::default(),
            bytes: Moments::default(),
            rpo: vec![Histogram::new(); databases],
            rto: vec![Histogram::new(); databases],
        }
    }

    /// One that counts events and no more.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// Out of service from `from` up to `to`, as parts of the horizon.
    pub(crate) fn out_of_service(&mut self, from: f64, to: f64) {
        if let Some(falls) = self.falls_in_step.get_mut(step_after(from)) {
            *falls += 1;
        }
        if let Some(falls) = self.falls_in_step.get_mut(step_after(to)) {
            *falls -= 1;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.replications += other.replications;
        self.events += other.events;
        self.lost += other.lost;
        self.disclosed += other.disclosed;
        self.unavailable += other.unavailable;
        add(&mut self.lost_in_step, &other.lost_in_step);
        add(&mut self.disclosed_in_step, &other.disclosed_in_step);
        for (sum, more) in self.falls_in_step.iter_mut().zip(&other.falls_in_step) {
            *sum += more;
        }
        merge_causes(&mut self.loss_causes, &other.loss_causes);
        merge_causes(&mut self.disclosure_causes, &other.disclosure_causes);
        merge_causes(&mut self.outage_causes, &other.outage_causes);
        self.unavailable_share.merge(other.unavailable_share);
        self.falls.merge(other.falls);
        self.repairs.merge(other.repairs);
        self.bytes.merge(other.bytes);
        for (sum, more) in self.rpo.iter_mut().zip(&other.rpo).chain(self.rto.iter_mut().zip(&other.rto)) {
            sum.merge(more);
        }
    }
}

/// The first point of a curve at or after this part of the horizon.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 ..= STEPS + 1")]
pub(crate) fn step_after(part: f64) -> usize {
    libm::ceil((part * STEPS as f64).clamp(0.0, (STEPS + 1) as f64)) as usize
}

pub(crate) fn merge_causes(sum: &mut Causes, more: &Causes) {
    for (together, weight) in more {
        *sum.entry(together.clone()).or_insert(0.0) += weight;
    }
}

fn add(sum: &mut [u64], more: &[u64]) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carriers_are_counted_however_small_they_are() {
        let of = |values: &[f64]| {
            let mut moments = Moments::default();
            values.iter().for_each(|value| moments.add(*value));
            moments
        };
        let (alike, none) = (of(&[1e-82; 100]), of(&[0.0; 100]));
        assert!((alike.carriers() - 100.0).abs() < 1e-6 && none.carriers() <= 0.0);
        let mut merged = alike;
        merged.merge(none);
        merged.merge(of(&[1e-80]));
        // 100 of weight 1 and one of weight 100: squares 1e2 and 1e4, fourth powers 1e2 and 1e8.
        assert!((merged.carriers() - 10_100.0 * 10_100.0 / 100_000_100.0).abs() < 1e-6, "{merged:?}");
    }
}
