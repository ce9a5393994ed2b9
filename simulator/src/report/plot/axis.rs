//! Axes with few, round ticks: linear, by powers of ten, and of durations.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::super::number::{number, raised};

/// One axis of a plot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    is_log: bool,
    ticks: Vec<(f64, String)>,
}

/// Durations at which an axis of durations may have a tick, in hours.
const HOURS: [(f64, &str); 20] = [
    (1.0 / 3600.0, "1 s"),
    (1.0 / 360.0, "10 s"),
    (1.0 / 60.0, "1 min"),
    (1.0 / 30.0, "2 min"),
    (1.0 / 12.0, "5 min"),
    (0.25, "15 min"),
    (0.5, "30 min"),
    (1.0, "1 h"),
    (2.0, "2 h"),
    (4.0, "4 h"),
    (8.0, "8 h"),
    (12.0, "12 h"),
    (24.0, "1 d"),
    (48.0, "2 d"),
    (96.0, "4 d"),
    (168.0, "1 week"),
    (720.0, "30 d"),
    (2160.0, "90 d"),
    (8766.0, "1 year"),
    (87_660.0, "10 years"),
];

impl Axis {
    /// From `low` to `high`, with about `count` ticks that `label` names.
    pub(crate) fn linear(low: f64, high: f64, count: f64, label: impl Fn(f64) -> String) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        let step = round_step((high - low) / count);
        let first = libm::ceil(low / step - 1e-9);
        let ticks = (0..50_u32).map(|at| (first + f64::from(at)) * step).take_while(|tick| *tick <= high + step * 1e-6);
        Self { low, high, is_log: false, ticks: ticks.map(|tick| (tick, label(tick))).collect() }
    }

    /// From 0 to 1, without ticks.
    pub(crate) fn blank() -> Self {
        Self { low: 0.0, high: 1.0, is_log: false, ticks: Vec::new() }
    }

    /// Powers of ten that hold both values, which must be above zero.
    pub(crate) fn decades(low: f64, high: f64) -> Self {
        let low_power = libm::floor(libm::log10(low) + 1e-9);
        let high_power = libm::ceil(libm::log10(high) - 1e-9).max(low_power + 1.0);
        let step = libm::ceil((high_power - low_power) / 6.0);
        let powers = (0..20_u32).map(|at| low_power + f64::from(at) * step).take_while(|power| *power <= high_power);
        let ticks = powers.map(|power| (libm::exp10(power), power_of_ten(power))).collect();
        Self { low: libm::exp10(low_power), high: libm::exp10(high_power), is_log: true, ticks }
    }

    /// Durations from `low` to `high` hours, by their logarithm.
    pub(crate) fn hours(low: f64, high: f64) -> Self {
        let low = low.max(1e-6);
        let high = high.max(low * 2.0);
        let mut ticks: Vec<(f64, &str)> =
            HOURS.into_iter().filter(|(hours, _)| (low * 0.999..=high * 1.001).contains(hours)).collect();
        // No two labels closer than a tenth of the axis.
        let apart = libm::pow(high / low, 0.1);
        let mut last = 0.0;
        ticks.retain(|(hours, _)| {
            let keeps = *hours >= last * apart;
            last = if keeps { *hours } else { last };
            keeps
        });
        let ticks = ticks.into_iter().map(|(hours, label)| (hours, label.to_owned())).collect();
        Self { low, high, is_log: true, ticks }
    }

    /// Years from the start, in days where they are few. `beyond` is a margin at the end, as a share of the whole.
    pub(crate) fn time(horizon_years: f64, beyond: f64) -> Self {
        let (unit, name) = if horizon_years < 0.3 { (365.25, "day") } else { (1.0, "year") };
        let mut axis = Self::linear(0.0, horizon_years * unit, 6.0, |tick| {
            if tick == 0.0 { "0".to_owned() } else { format!("{name} {}", number(tick, 4).trim_end_matches(".0")) }
        });
        for (tick, label) in &mut axis.ticks {
            *tick /= unit;
            if label.contains('.') {
                *label = label.trim_end_matches('0').trim_end_matches('.').to_owned();
            }
        }
        Self { high: horizon_years * (1.0 + beyond), ..axis }
    }

    /// The lower end.
    pub(crate) fn low(&self) -> f64 {
        self.low
    }

    /// The upper end.
    pub(crate) fn high(&self) -> f64 {
        self.high
    }

    /// How far along the axis a value is, from 0 to 1.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        if self.is_log {
            libm::log(value / self.low) / libm::log(self.high / self.low)
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    #[allow(clippy::cast_possible_truncation, reason = "a place between two pixels")]
    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + libm::round(f64::from(to - from) * self.place(*value)) as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(tick, _)| *tick).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        let nearest = self.ticks.iter().min_by(|(a, _), (b, _)| (a - value).abs().total_cmp(&(b - value).abs()));
        nearest.map_or_else(String::new, |(_, label)| label.clone())
    }
}

/// 1, 2 or 5 times a power of ten, not below `least`.
fn round_step(least: f64) -> f64 {
    let power = libm::exp10(libm::floor(libm::log10(least)));
    let step = [1.0, 2.0, 5.0].into_iter().find(|step| step * power >= least * 0.999);
    power * step.unwrap_or(10.0)
}

/// `1`, `0.1`, `0.01`, and smaller ones with a raised exponent.
fn power_of_ten(power: f64) -> String {
    if (-2.0..=3.0).contains(&power) {
        return number(libm::exp10(power), 1);
    }
    let exponent = format!("{power:.0}");
    format!("10{}", exponent.chars().filter_map(raised).collect::<String>())
}
