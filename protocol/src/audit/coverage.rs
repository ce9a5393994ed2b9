//! What the schedule of audits promises: the share of a site's bytes that is proven in a time, and how many challenges
//! find a loss. Whole numbers only: parts per million, fixed-point powers rounded so that nothing is promised too early.

/// A million parts.
pub const PPM: u64 = 1_000_000;
const ONE: u128 = 1 << 64;

/// `base^exponent` in 64 binary places, rounded up.
fn power_up(base: u128, mut exponent: u64) -> u128 {
    let multiply = |a: u128, b: u128| {
        if a >= ONE {
            b
        } else if b >= ONE {
            a
        } else {
            (a * b).div_ceil(ONE)
        }
    };
    let (mut square, mut result) = (base, ONE);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = multiply(result, square);
        }
        square = multiply(square, square);
        exponent >>= 1;
    }
    result
}

fn fraction(ppm: u64) -> u128 {
    u128::from(ppm.min(PPM)) * ONE / u128::from(PPM)
}

/// Challenges, each to a leaf drawn anew, after which a loss of `lost_ppm` of the leaves has been hit at least once with
/// a probability of `probability_ppm`: the smallest c with `1 - (1 - lost)^c >= probability`. `None` if nothing is lost
/// or certainty is asked for.
#[must_use]
pub fn challenges_to_find(lost_ppm: u64, probability_ppm: u64) -> Option<u64> {
    if lost_ppm == 0 || (probability_ppm >= PPM && lost_ppm < PPM) {
        return None;
    }
    let (sound, allowed) = (ONE - fraction(lost_ppm), ONE - fraction(probability_ppm));
    let suffices = |challenges: u64| power_up(sound, challenges) <= allowed;
    let mut high = 1_u64;
    while !suffices(high) {
        high = high.checked_mul(2)?;
    }
    let mut low = high / 2;
    while low + 1 < high {
        let middle = low.midpoint(high);
        if suffices(middle) { high = middle } else { low = middle }
    }
    Some(if low > 0 && suffices(low) { low } else { high })
}

/// The share of `leaves` that `challenges` are expected to have proven at least once, in parts per million, rounded down:
/// `1 - (1 - 1/leaves)^challenges`.
#[must_use]
pub fn expected_share_ppm(leaves: u64, challenges: u64) -> u64 {
    if leaves == 0 {
        return PPM;
    }
    let unproven = power_up((ONE - ONE / u128::from(leaves)).min(ONE), challenges);
    u64::try_from((ONE - unproven) * u128::from(PPM) / ONE).unwrap_or(0)
}

/// Challenges to one site in `period_ms`, when each of `auditors` sends one every `interval_ms`.
#[must_use]
pub fn challenges_in(period_ms: u64, interval_ms: u64, auditors: u64) -> u64 {
    auditors.saturating_mul(period_ms / interval_ms.max(1))
}

/// The time until `challenges` of all auditors have been made.
#[must_use]
pub fn time_for_ms(challenges: u64, interval_ms: u64, auditors: u64) -> u64 {
    challenges.div_ceil(auditors.max(1)).saturating_mul(interval_ms)
}

#[cfg(test)]
mod tests;
