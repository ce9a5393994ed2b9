//! Virtual time, and the clocks of sites, which are never quite right.

use protocol::timestamp::Timestamp;

/// The founding in Unix milliseconds: 2026-11-22T17:30:00Z.
pub const FOUNDING_UNIX_MS: u64 = 1_795_368_600_000;

/// Microseconds since the founding, by nobody's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    /// So many milliseconds after the founding.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000))
    }

    /// Milliseconds since the founding.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.0 / 1_000
    }

    /// So many milliseconds later.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1_000)))
    }

    /// So many microseconds later.
    #[must_use]
    pub const fn plus_us(self, us: u64) -> Self {
        Self(self.0.saturating_add(us))
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>7}.{:06} s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// One site's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// Ahead of true time, in milliseconds.
    pub offset_ms: i64,
    /// Fast by so many millionths.
    pub drift_ppm: i64,
}

impl Clock {
    /// What the clock shows.
    #[must_use]
    pub fn read(&self, now: Time) -> Timestamp {
        let elapsed_ms = i64::try_from(now.as_ms()).unwrap_or(i64::MAX);
        let drifted_ms = elapsed_ms.saturating_mul(self.drift_ppm) / 1_000_000;
        let off_ms = self.offset_ms.saturating_add(drifted_ms);
        let true_ms = FOUNDING_UNIX_MS.saturating_add(now.as_ms());
        Timestamp::from_unix_ms(true_ms.saturating_add_signed(off_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, FOUNDING_UNIX_MS, Time};

    #[test]
    fn a_clock_is_off_and_drifts() {
        let clock = Clock { offset_ms: -1_500, drift_ppm: 100 };
        assert_eq!(clock.read(Time(0)).unix_ms(), FOUNDING_UNIX_MS - 1_500);
        assert_eq!(clock.read(Time::from_ms(1_000_000)).unix_ms(), FOUNDING_UNIX_MS + 1_000_000 - 1_400);
        assert_eq!(Time(61_000_005).to_string(), "     61.000005 s");
    }
}
