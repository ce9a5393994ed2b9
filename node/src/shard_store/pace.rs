//! How fast background work may read, without a clock of its own.

/// Lets so many bytes pass in a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// When the next bytes may pass.
    due_ms: u64,
    /// What the last bytes cost.
    cost_ms: u64,
    /// Bytes that passed without costing a whole millisecond yet.
    rest: u64,
}

impl Pace {
    /// A pace that lets the first bytes pass at once.
    pub(super) const fn new() -> Self {
        Self { due_ms: 0, cost_ms: 0, rest: 0 }
    }

    /// How long the next bytes have to wait; 0 if they may pass. Never longer than the last ones cost, even if the clock
    /// was set back.
    pub(super) fn wait_ms(&self, now_ms: u64) -> u64 {
        self.due_ms.saturating_sub(now_ms).min(self.cost_ms)
    }

    /// `bytes` bytes began to pass at `now_ms`, where `bytes_per_second` may.
    pub(super) fn pass(&mut self, now_ms: u64, bytes: u64, bytes_per_second: u64) {
        let thousandths = bytes.saturating_mul(1_000).saturating_add(self.rest);
        let bytes_per_second = bytes_per_second.max(1);
        self.cost_ms = thousandths / bytes_per_second;
        self.rest = thousandths % bytes_per_second;
        self.due_ms = now_ms.saturating_add(self.cost_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;

    /// Reads `part_bytes` whenever it may, on a clock that stands still otherwise; ms for `parts` parts.
    fn time_for(parts: u64, part_bytes: u64, bytes_per_second: u64) -> u64 {
        let (mut pace, mut now_ms) = (Pace::new(), 1_000);
        for _part in 0..parts {
            now_ms += pace.wait_ms(now_ms);
            assert_eq!(pace.wait_ms(now_ms), 0);
            pace.pass(now_ms, part_bytes, bytes_per_second);
        }
        now_ms + pace.wait_ms(now_ms) - 1_000
    }

    #[test]
    fn bytes_pass_at_the_rate_and_odd_parts_lose_nothing() {
        assert_eq!(time_for(60, 1 << 20, 1 << 20), 60_000);
        assert_eq!(time_for(1, 5 << 20, 1 << 20), 5_000);
        // A third of a millisecond each.
        assert_eq!(time_for(3_000, 1_000, 3_000_000), 1_000);
        assert_eq!(time_for(1_000, 1 << 20, u64::MAX), 0);
        assert_eq!(time_for(1, 1, 0), 1_000);
    }

    #[test]
    fn time_that_passed_otherwise_counts_and_is_not_saved_up() {
        let mut pace = Pace::new();
        pace.pass(0, 1 << 20, 1 << 20);
        assert_eq!(pace.wait_ms(400), 600);
        assert_eq!(pace.wait_ms(5_000), 0);
        pace.pass(5_000, 1 << 20, 1 << 20);
        assert_eq!(pace.wait_ms(5_000), 1_000);
    }

    #[test]
    fn a_clock_set_back_delays_by_one_part_at_the_most() {
        let mut pace = Pace::new();
        pace.pass(1_000_000_000, 1 << 20, 1 << 20);
        assert_eq!(pace.wait_ms(0), 1_000);
    }
}
