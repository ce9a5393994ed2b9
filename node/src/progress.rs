//! Progress with ETA on standard error, and nothing at all when nobody looks.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// One long job. Cheap to clone; safe from any thread.
#[derive(Clone, Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar over `bytes` (unknown if `None`), drawn on a terminal only.
    #[must_use]
    pub fn bytes(what: &'static str, bytes: Option<u64>) -> Self {
        let template = if bytes.is_some() {
            "{prefix} {bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec} ETA {eta} {msg}"
        } else {
            "{prefix} {spinner} {bytes} {binary_bytes_per_sec} {elapsed} {msg}"
        };
        let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::stderr_with_hz(5));
        // The templates above are fixed: should one not parse, the default style serves.
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_style| ProgressStyle::default_bar()));
        bar.set_prefix(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// A job that nobody watches.
    #[must_use]
    pub fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Learns the size.
    pub fn expect(&self, bytes: u64) {
        self.0.set_length(bytes);
    }

    /// So many more bytes are done.
    pub fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// Says something beside the bar.
    pub fn say(&self, message: impl Into<String>) {
        self.0.set_message(message.into());
    }

    /// Done: the bar goes away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
