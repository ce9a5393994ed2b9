//! Progress with the time that is left, on standard error and only where a person looks.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar for so far unknown work.
pub(super) fn bar(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(1).with_message(what);
    let style = ProgressStyle::with_template("{msg} {wide_bar} {percent}% {eta} left");
    bar.with_style(style.unwrap_or_else(|_invalid| ProgressStyle::default_bar()))
}

/// So much is done of so much.
pub(super) fn at(bar: &ProgressBar, done: u64, of: u64) {
    bar.set_length(of);
    bar.set_position(done);
}
