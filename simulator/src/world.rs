//! Protocol mode: the real machines of [`protocol`] on virtual time, with modelled links, disks, clocks and enemies.
//!
//! A [`Config`] says what there is and what happens; the same config gives the same trace, byte for byte.

pub mod config;

pub use config::Config;
