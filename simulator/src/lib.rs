//! The second host of the machines in [`protocol`]: virtual time, a modelled network, modelled disks.
//!
//! Nothing is simulated yet; [`fate::exact`] answers what needs no chance. The crate will do no IO but read a scenario
//! and write a report, and it will never see `node`: what both need belongs in `protocol`.
//!
//! Two fidelities over one scenario file:
//!
//! - *protocol* mode hosts the real machines. The same seed gives the same trace, and the invariants are checked at every
//!   step.
//! - *fate* mode is a fast Monte Carlo of failures, seizures and repair for planners, held against closed forms and
//!   against protocol mode.
//!
//! | module | will hold |
//! | --- | --- |
//! | `world` | sites, home and officials; the loop that hands each machine its inputs and drains its outputs |
//! | `event_queue`, `virtual_clock`, `random` | what happens next, when it is, and one seed for all chance |
//! | `sim_site`, `sim_network`, `sim_disk` | a site that can crash, links with delay and bandwidth, disks that fill and rot |
//! | `fault`, `adversary` | what breaks by itself, and who breaks it: liars, colluding hosts, a stolen writer key |
//! | `workload` | databases that grow and change |
//! | `scenario` | the TOML file: jurisdictions, sites, events with dates and sources |
//! | `invariant` | durability, secrecy, agreement, custody, bounded work; outside the machines they judge |
//! | `trace`, `debugger` | the record of a run, and stepping through it |
//! | [`fate`] | closed forms and exact chains, here today; the failure model, importance sampling |
//! | `report` | HTML with plots, and JSON |
//!
//! Read next: the crate `protocol`, whose machines this crate will host.

pub mod analysis;
pub mod fate;
pub mod report;
pub mod scenario;
