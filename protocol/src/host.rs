//! What every host of the machines does alike, without IO: it holds them together, answers what can be read from them,
//! and asks other sites for what was missed.
//!
//! The daemon of `node` and the simulator both live on this; what they do apart is clocks, disks and links.

pub mod answer;
mod dialogue;
mod knowledge;
mod machines;
mod round;

pub use dialogue::{Dialogue, PAUSE_MAX_MS, PAUSE_MIN_MS};
pub use machines::{Brought, Input, Machines, Pace};
pub use round::{Round, UnexpectedResponse};
