//! Samples of one quantity in bins of 1 % width: quantiles at any time, merged by adding, small whatever their number.

use super::super::outcome::Distribution;

/// Below this a sample is this; no quantity here is that small (hours).
const SMALLEST: f64 = 1e-6;
/// Logarithm of 1.01.
const BIN: f64 = 0.009_950_330_853_168_082;
const BINS: usize = 4096;

#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    ended: u64,
    never: u64,
    sum: f64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: Vec::new(), ended: 0, never: 0, sum: 0.0 }
    }

    pub(crate) fn add(&mut self, value: f64) {
        self.counts.resize(BINS, 0);
        if let Some(count) = self.counts.get_mut(bin(value)) {
            *count += 1;
        }
        self.ended += 1;
        self.sum += value;
    }

    pub(crate) fn add_never(&mut self) {
        self.never += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if !other.counts.is_empty() {
            self.counts.resize(BINS, 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.ended += other.ended;
        self.never += other.never;
        self.sum += other.sum;
    }

    pub(crate) fn distribution(&self) -> Distribution {
        let samples = self.ended + self.never;
        let share = |count: u64| if samples == 0 { 0.0 } else { count as f64 / samples as f64 };
        Distribution {
            samples,
            never: share(self.never),
            mean: (self.ended > 0).then(|| self.sum / self.ended as f64),
            p5: self.quantile(0.05),
            p50: self.quantile(0.5),
            p75: self.quantile(0.75),
            p90: self.quantile(0.9),
            p95: self.quantile(0.95),
            p99: self.quantile(0.99),
            ecdf: self.ecdf(share),
        }
    }

    fn quantile(&self, chance: f64) -> Option<f64> {
        let wanted = chance * (self.ended + self.never) as f64;
        let mut sum = 0;
        let bin = self.counts.iter().position(|count| {
            sum += count;
            *count > 0 && sum as f64 >= wanted
        });
        bin.map(middle)
    }

    /// At most 100 points: the filled bins, thinned evenly; the last is always among them.
    fn ecdf(&self, share: impl Fn(u64) -> f64) -> Vec<(f64, f64)> {
        let filled: Vec<(usize, u64)> =
            self.counts.iter().copied().enumerate().filter(|(_, count)| *count > 0).collect();
        let step = filled.len().div_ceil(100).max(1);
        let mut sum = 0;
        let mut points = Vec::new();
        for (place, (bin, count)) in filled.iter().enumerate() {
            sum += count;
            if (filled.len() - 1 - place).is_multiple_of(step) {
                points.push((middle(*bin), share(sum)));
            }
        }
        points
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 ..= 4095 before")]
fn bin(value: f64) -> usize {
    let place = libm::log(value.max(SMALLEST) / SMALLEST) / BIN;
    place.min((BINS - 1) as f64) as usize
}

fn middle(bin: usize) -> f64 {
    if bin == 0 { 0.0 } else { SMALLEST * libm::exp((bin as f64 + 0.5) * BIN) }
}
