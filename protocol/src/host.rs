//! What every host of the machines does alike, without IO: it holds them together, answers what can be read from them,
//! and asks other sites for what was missed.
//!
//! The daemon of `node` and the simulator both live on this; what they do apart is clocks, disks and links.

pub mod answer;
mod machines;
mod round;

pub use machines::{Input, Machines, Pace};
pub use round::{LOG_PAGES_PER_ROUND, Round, UnexpectedResponse};
