//! Random numbers: one stream per (seed, purpose, index), and samples of every [`Law`].
//!
//! Exponential and normal samples come from the ziggurat of Marsaglia and Tsang (Journal of Statistical Software 5(8),
//! 2000) with 256 layers: one draw and one multiplication in 99 of 100 cases. The tables are built with `libm`, as
//! every logarithm and exponential here, so that the digits are the same on every machine.

#![allow(clippy::indexing_slicing, reason = "a layer is one byte and the tables have 257 entries")]

use std::sync::LazyLock;

use rand_chacha::ChaCha8Rng;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::super::model::Law;

/// Name of the generator, for reports.
pub(crate) const GENERATOR: &str = "xoshiro256++ seeded by ChaCha8 of (seed, purpose, index)";

/// What a stream is for: streams of different purposes are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Plain = 1,
    Service = 6,
    RareLoss = 2,
    RareDisclosure = 3,
    Excursions = 4,
    Years = 5,
}

/// A stream of random numbers with the tables it needs at hand.
#[derive(Debug, Clone)]
pub(crate) struct Draw {
    random: Xoshiro256PlusPlus,
    start: [u8; 32],
    exponential: &'static Layers,
    normal: &'static Layers,
}

static EXPONENTIAL: LazyLock<Layers> = LazyLock::new(|| {
    Layers::new(7.697_117_470_131_05, 0.003_949_659_822_581_572, |x| libm::exp(-x), |y| -libm::log(y))
});

static NORMAL: LazyLock<Layers> = LazyLock::new(|| {
    let bell = |x: f64| libm::exp(-x * x / 2.0);
    Layers::new(3.654_152_885_361_009, 0.004_928_673_233_997_08, bell, |y| libm::sqrt(-2.0 * libm::log(y)))
});

const LAYERS: usize = 256;

/// Right edges of the layers, widest first, and the density at each.
#[derive(Debug, Clone)]
struct Layers {
    edge: [f64; LAYERS + 1],
    density: [f64; LAYERS + 1],
}

impl Layers {
    /// `tail` is where the last layer begins and `area` that of each layer; `inverse` undoes `density`.
    fn new(tail: f64, area: f64, density: impl Fn(f64) -> f64, inverse: impl Fn(f64) -> f64) -> Self {
        let mut layers = Self { edge: [0.0; LAYERS + 1], density: [1.0; LAYERS + 1] };
        let mut edge = area / density(tail);
        let mut next = tail;
        for (at, value) in layers.edge.iter_mut().zip(&mut layers.density).take(LAYERS) {
            (*at, *value) = (edge, density(edge));
            edge = next;
            next = inverse((area / edge + density(edge)).min(1.0));
        }
        layers
    }
}

impl Draw {
    /// The stream of this number.
    pub(crate) fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        let mut key = [0; 32];
        let words = [seed, purpose as u64, index];
        for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let mut start = [0; 32];
        ChaCha8Rng::from_seed(key).fill_bytes(&mut start);
        Self { random: Xoshiro256PlusPlus::from_seed(start), start, exponential: &EXPONENTIAL, normal: &NORMAL }
    }

    /// Starts the part of this stream that has this number, wherever it stood: so that one replication does not shift the
    /// draws of the next, and two plans that differ in their code alone meet the same fates.
    pub(crate) fn part(&mut self, number: u64) {
        let mut start = self.start;
        let [a, b, c, d, e, f, g, h, ..] = &mut start;
        for (byte, more) in [a, b, c, d, e, f, g, h].into_iter().zip(number.to_le_bytes()) {
            *byte ^= more;
        }
        self.random = Xoshiro256PlusPlus::from_seed(start);
        // Neighbouring numbers differ in few bits; some steps later in half of them.
        for _ in 0..8 {
            self.random.next_u64();
        }
    }

    /// Uniform in [0, 1), 53 bits.
    #[inline]
    pub(crate) fn unit(&mut self) -> f64 {
        fraction(self.random.next_u64())
    }

    /// Uniform in 0..count, for a count that is not zero.
    #[inline]
    pub(crate) fn below(&mut self, count: usize) -> usize {
        // Multiply-shift; its bias of count / 2^64 is beyond all measure.
        let wide = u128::from(self.random.next_u64()) * count as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// Exponential of mean 1.
    #[inline]
    pub(crate) fn exponential(&mut self) -> f64 {
        loop {
            let bits = self.random.next_u64();
            let layer = usize::from(low_byte(bits));
            let x = fraction(bits) * self.exponential.edge[layer];
            if x < self.exponential.edge[layer + 1] {
                return x;
            }
            if let Some(x) = self.exponential_edge(layer, x) {
                return x;
            }
        }
    }

    #[cold]
    fn exponential_edge(&mut self, layer: usize, x: f64) -> Option<f64> {
        if layer == 0 {
            return Some(self.exponential.edge[1] - libm::log(1.0 - self.unit()));
        }
        let (low, high) = (self.exponential.density[layer], self.exponential.density[layer + 1]);
        (low + (high - low) * self.unit() < libm::exp(-x)).then_some(x)
    }

    /// Normal of mean 0 and deviation 1.
    pub(crate) fn normal(&mut self) -> f64 {
        loop {
            let bits = self.random.next_u64();
            let layer = usize::from(low_byte(bits));
            let sign = if bits & 256 == 0 { 1.0 } else { -1.0 };
            let x = fraction(bits) * self.normal.edge[layer];
            if x < self.normal.edge[layer + 1] {
                return sign * x;
            }
            if layer == 0 {
                return sign * self.normal_tail();
            }
            let (low, high) = (self.normal.density[layer], self.normal.density[layer + 1]);
            if low + (high - low) * self.unit() < libm::exp(-x * x / 2.0) {
                return sign * x;
            }
        }
    }

    /// Marsaglia's tail: beyond the last layer.
    fn normal_tail(&mut self) -> f64 {
        let tail = self.normal.edge[1];
        loop {
            let x = self.exponential() / tail;
            if 2.0 * self.exponential() > x * x {
                return tail + x;
            }
        }
    }

    /// A sample, years.
    #[inline]
    pub(crate) fn years(&mut self, sampler: &Sampler) -> f64 {
        match *sampler {
            Sampler::Exponential { mean } => mean * self.exponential(),
            Sampler::Constant { years } => years,
            Sampler::Uniform { low, width } => low + width * self.unit(),
            Sampler::Weibull { scale, power } => scale * libm::pow(self.exponential(), power),
            Sampler::LogNormal { location, deviation } => libm::exp(location + deviation * self.normal()),
        }
    }
}

/// The upper 53 bits as a fraction of 1. The layer of a ziggurat comes from the lower bits, which are others.
#[inline]
#[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
fn fraction(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the low byte is what is asked for")]
fn low_byte(bits: u64) -> u8 {
    bits as u8
}

/// A [`Law`] with its constants worked out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Sampler {
    Exponential { mean: f64 },
    Constant { years: f64 },
    Uniform { low: f64, width: f64 },
    Weibull { scale: f64, power: f64 },
    LogNormal { location: f64, deviation: f64 },
}

impl Sampler {
    /// Rate per year where it is constant, zero where it is not.
    #[inline]
    pub(crate) fn rate(&self) -> f64 {
        match *self {
            Self::Exponential { mean } => 1.0 / mean,
            Self::Constant { .. } | Self::Uniform { .. } | Self::Weibull { .. } | Self::LogNormal { .. } => 0.0,
        }
    }
}

impl From<&Law> for Sampler {
    fn from(law: &Law) -> Self {
        match *law {
            Law::Exponential { mean_years } => Self::Exponential { mean: mean_years },
            Law::Constant { years } => Self::Constant { years },
            Law::Uniform { low_years, high_years } => Self::Uniform { low: low_years, width: high_years - low_years },
            Law::Weibull { shape, scale_years } => Self::Weibull { scale: scale_years, power: 1.0 / shape },
            Law::LogNormal { mean_years, cv } => {
                let variance = libm::log1p(cv * cv);
                Self::LogNormal { location: libm::log(mean_years) - variance / 2.0, deviation: libm::sqrt(variance) }
            }
        }
    }
}
