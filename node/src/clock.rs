//! The one file of the node that reads time.
//!
//! Everything else is handed a number of milliseconds, so that a test or the simulator can hand it another.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Wall time in milliseconds since 1970-01-01 UTC; 0 if the clock stands before that.
#[must_use]
pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

/// Time since a starting point that never runs backwards, whatever is done to the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Monotonic {
    started: Instant,
}

impl Monotonic {
    /// Starts counting.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Milliseconds since [`Monotonic::start`].
    #[must_use]
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Milliseconds as seconds, for reports: divided once, so that 1,610 reads 1.61.
#[must_use]
pub fn seconds(elapsed_ms: u64) -> f64 {
    let elapsed_ms = u32::try_from(elapsed_ms).unwrap_or(u32::MAX); // a report of more than 49 days says 49 days
    f64::from(elapsed_ms) / 1_000.0
}
