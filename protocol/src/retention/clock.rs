//! The clock that lets snapshots go: it never goes back, it never leaps, and it stands still while the wall clock is behind.

use crate::timestamp::Timestamp;

/// It is written down this often: what a restart takes from it.
const KEPT_EVERY_MS: u64 = 600_000;

/// One site's clock of retention.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    reading: Option<Timestamp>,
    kept: Option<Timestamp>,
}

impl Clock {
    /// What it was when it was last written down.
    pub(super) fn restore(&mut self, kept: Timestamp) {
        (self.reading, self.kept) = (Some(kept), Some(kept));
    }

    pub(super) fn reading(&self) -> Timestamp {
        self.reading.unwrap_or_default()
    }

    /// A tick, in which it gains `stride_ms` at the most. `wall` is this site's clock on the wall: never ahead of it. `signed`
    /// is a moment that a quorum of officials has signed as past: it begins there, and goes there at once.
    /// The reading to write down, if it is time to.
    pub(super) fn tick(&mut self, wall: Timestamp, signed: Timestamp, stride_ms: u64) -> Option<Timestamp> {
        let before = self.reading.unwrap_or_default();
        let reading = before.plus_ms(stride_ms).max(signed).min(wall).max(before);
        self.reading = Some(reading);
        let is_due = self.kept.is_none_or(|kept| kept.plus_ms(KEPT_EVERY_MS) <= reading);
        is_due.then(|| *self.kept.insert(reading))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRIDE_MS: u64 = 2_000;
    const DAY_MS: u64 = 86_400_000;
    const BEGIN: Timestamp = Timestamp::from_unix_ms(1_000 * DAY_MS);
    const ZERO: Timestamp = Timestamp::from_unix_ms(0);

    fn run(clock: &mut Clock, from: Timestamp, seconds: u64) -> Timestamp {
        for second in 0..seconds {
            clock.tick(from.plus_ms(second * 1_000), BEGIN, STRIDE_MS);
        }
        clock.reading()
    }

    #[test]
    fn a_wall_clock_that_is_set_forward_gains_little() {
        let mut clock = Clock::default();
        run(&mut clock, BEGIN, 10);
        let leapt = run(&mut clock, BEGIN.plus_ms(3_650 * DAY_MS), 3_600);
        assert!(leapt <= BEGIN.plus_ms(10_000 + 7_200_000), "ten years in an hour: {leapt}");
        // Set right again, it waits for the time it has gained.
        let right = BEGIN.plus_ms(3_610_000);
        assert_eq!(run(&mut clock, right, 1_000), leapt);
        assert_eq!(run(&mut clock, leapt, 11), leapt.plus_ms(10_000));
    }

    #[test]
    fn a_wall_clock_that_is_set_back_holds_it_still() {
        let mut clock = Clock::default();
        let before = run(&mut clock, BEGIN, 100);
        assert_eq!(run(&mut clock, ZERO, 1_000), before);
        assert_eq!(clock.tick(ZERO, BEGIN.plus_ms(DAY_MS), STRIDE_MS), None);
        assert_eq!(clock.reading(), before, "never ahead of the wall");
    }

    #[test]
    fn restarts_gain_nothing() {
        let mut kept = None;
        let mut clock = Clock::default();
        for start in 0..1_000 {
            // Each time the wall clock says another year.
            let wall = BEGIN.plus_ms(start * 365 * DAY_MS);
            kept = clock.tick(wall, BEGIN, STRIDE_MS).or(kept);
            clock = Clock::default();
            clock.restore(kept.unwrap());
        }
        assert!(clock.reading() < BEGIN.plus_ms(1_000 * STRIDE_MS));
    }

    /// The battery of its clock was dead, or the clock was set wrong, when it was started for the first time.
    #[test]
    fn a_first_start_at_a_wrong_time_does_no_harm() {
        for first in [ZERO, BEGIN.plus_ms(3_650 * DAY_MS)] {
            let mut clock = Clock::default();
            clock.tick(first, BEGIN, STRIDE_MS);
            assert!(clock.reading() <= BEGIN.plus_ms(STRIDE_MS), "{first}");
            let reading = run(&mut clock, BEGIN.plus_ms(60_000), 60);
            assert!((BEGIN.plus_ms(118_000)..=BEGIN.plus_ms(119_000)).contains(&reading), "{first}: {reading}");
        }
    }
}
