//! The second host of the machines in [`protocol`], and what planners ask of it.
//!
//! The crate does no IO but in [`cli`], which reads a scenario and writes a report, and it will never see `node`: what
//! both hosts need belongs in `protocol`.
//!
//! Two fidelities over one scenario file:
//!
//! - *protocol* mode ([`world`]) hosts the real machines on virtual time, with modelled links, disks, clocks and enemies.
//!   The same seed gives the same trace, and invariants outside the machines judge every step.
//! - *fate* mode ([`mod@fate`]) is a fast Monte Carlo of failures, seizures and repair for planners, held against closed
//!   forms and against protocol mode.
//!
//! | module | holds |
//! | --- | --- |
//! | [`scenario`] | the TOML file: sites, hazards, events with dates and sources; the ready-made ones |
//! | [`mod@fate`] | exact chains and closed forms, the Monte Carlo, importance sampling |
//! | [`world`] | protocol mode: sites, links, disks, enemies, invariants, the trace |
//! | [`analysis`] | what matters, what else could be chosen, who could act together, whether targets are met |
//! | [`plan`] | the search for sites, data shards and threshold |
//! | [`report`] | for people: HTML with plots, and text |
//! | [`cli`] | the commands of `legation-sim` |
//!
//! Read next: `docs/simulator/scenarios.md`, then [`scenario`], then the mode you came for.

pub mod analysis;
pub mod cli;
pub mod fate;
pub mod plan;
pub mod report;
pub mod scenario;
pub mod world;
