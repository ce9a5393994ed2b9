//! Intervals of 95 % for what was counted and for what was weighted.

use super::{Estimate, Method};

/// 97.5 % quantile of the normal law.
const Z: f64 = 1.959_963_984_540_054;

/// A probability from `hits` of `tries`, with the exact interval of Clopper and Pearson (Biometrika 26, 1934). For no hit
/// the upper end is one-sided, `1 - 0.05^(1/tries)`: the rule of three.
pub fn counted(hits: u64, tries: u64) -> Estimate {
    let (x, n) = (hits as f64, tries as f64);
    if tries == 0 {
        return Estimate { estimate: 0.0, low95: 0.0, high95: 1.0, relative_error: None, method: Method::Counted };
    }
    let share = x / n;
    let low95 = match hits {
        0 => 0.0,
        _ if hits == tries => one_sided(n),
        _ => beta_quantile(x, n - x + 1.0, 0.025),
    };
    let high95 = match hits {
        0 => -libm::expm1(libm::log(0.05) / n),
        _ if hits >= tries => 1.0,
        _ => beta_quantile(x + 1.0, n - x, 0.975),
    };
    let relative_error = (hits > 0).then(|| libm::sqrt((1.0 - share) / x));
    Estimate { estimate: share, low95, high95, relative_error, method: Method::Counted }
}

fn one_sided(n: f64) -> f64 {
    libm::exp(libm::log(0.05) / n)
}

/// A mean of independent samples from their number, sum and sum of squares. The lower end is never below zero, which no
/// quantity here is; where no sample was above zero, the upper end is not known (infinite, `null` in JSON).
pub fn weighted(samples: u64, sum: f64, sum_of_squares: f64, method: Method) -> Estimate {
    let n = samples as f64;
    if samples == 0 || sum <= 0.0 {
        return Estimate { estimate: 0.0, low95: 0.0, high95: f64::INFINITY, relative_error: None, method };
    }
    let mean = sum / n;
    let variance = (sum_of_squares / n - mean * mean).max(0.0) / (n - 1.0).max(1.0);
    let error = libm::sqrt(variance);
    Estimate {
        estimate: mean,
        low95: (mean - Z * error).max(0.0),
        high95: mean + Z * error,
        relative_error: Some(error / mean),
        method,
    }
}

/// The `chance` quantile of the beta law, by bisection on the incomplete beta function.
fn beta_quantile(a: f64, b: f64, chance: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    // Geometric steps first, so that a tiny quantile keeps its digits.
    for _ in 0..200 {
        let middle = if low > 0.0 && high / low < 4.0 {
            low + (high - low) / 2.0
        } else if low > 0.0 {
            libm::sqrt(low * high)
        } else {
            high * 1e-3
        };
        if middle <= low || middle >= high || high < 1e-300 {
            break;
        }
        if incomplete_beta(a, b, middle) < chance {
            low = middle;
        } else {
            high = middle;
        }
    }
    low + (high - low) / 2.0
}

/// Regularised incomplete beta function by the continued fraction of Lentz (DLMF 8.17.22).
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let log_beta = libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
    let front = libm::exp(a * libm::log(x) + b * libm::log1p(-x) - log_beta);
    if x < (a + 1.0) / (a + b + 2.0) {
        front * continued_fraction(a, b, x) / a
    } else {
        1.0 - front * continued_fraction(b, a, 1.0 - x) / b
    }
}

fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    let tiny = 1e-300;
    let guard = |value: f64| if value.abs() < tiny { tiny } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for step in 1..10_000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        let change = d * c;
        fraction *= change;
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_meet_known_values() {
        // Clopper-Pearson of 5 in 100: 0.016432 to 0.112835; 1 in 1e6: 2.5318e-8 to 5.5716e-6.
        let five = counted(5, 100);
        assert!((five.low95 - 0.016_431_9).abs() < 1e-6 && (five.high95 - 0.112_834_9).abs() < 1e-6, "{five:?}");
        let one = counted(1, 1_000_000);
        assert!((one.low95 / 2.5318e-8 - 1.0).abs() < 1e-4 && (one.high95 / 5.5716e-6 - 1.0).abs() < 1e-4, "{one:?}");
        // Rule of three, the row Q6 of the reference figures.
        let none = counted(0, 3_000_000_000);
        assert!((none.high95 / 9.985_774_245e-10 - 1.0).abs() < 1e-8, "{none:?}");
        let half = counted(500_000_000, 1_000_000_000);
        assert!((half.high95 - half.low95) < 7e-5 && half.low95 < 0.5 && half.high95 > 0.5, "{half:?}");
        assert!(counted(7, 7).low95 < 1.0 && counted(7, 7).high95 >= 1.0);
    }
}
