//! Whether a snapshot looks like the register it is said to be: measured at home, where the plaintext is, against the
//! last accepted snapshot.
//!
//! A [`Profiler`] watches the chunks of a backup go by and makes a [`Profile`] of them: how much there is, how much of it is
//! not in the accepted snapshot, how well both compress, how evenly their bytes are spread, how many pages can be read as
//! a database's. [`judge`] holds two profiles against each other. What it finds goes into the manifest as
//! [`protocol::document::Suspicion`]; the figures stay at home.
//!
//! Only what *replaces* something is suspicious: a register that grows by scanned images looks different afterwards, and
//! nothing is lost.

mod profile;
mod profiles;
mod verdict;

pub use profile::{Portion, Profile, Profiler};
pub use profiles::{Accepted, Profiles};
pub use verdict::{Finding, judge};
