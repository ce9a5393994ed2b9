//! Protocol mode: the real machines of [`protocol`] on virtual time, with modelled links, disks, clocks and enemies.
//!
//! A [`Config`] says what there is and what happens; the same config gives the same trace, byte for byte. Invariants judge
//! every step from outside.
//!
//! | module | holds |
//! | --- | --- |
//! | [`config`] | sites, links, disks, clocks, and the timeline of everything that happens |
//! | [`engine`] | the loop: next event, whom it is for, what comes back; carrying out the timeline |
//! | [`event_queue`], [`virtual_clock`], [`random`] | what is next, when it is, and one stream of chance for each purpose |
//! | [`cast`] | officials, sites and writers with their real keys, and the charters they really signed |
//! | [`sim_site`], [`sim_disk`], [`sim_network`] | a site as its host runs it, what it keeps, what travels |
//! | [`client`], [`home`], [`recipient`], [`fetch`] | programs that ask sites: publish, restore |
//! | [`workload`] | databases that change |
//! | [`adversary`], [`enemy`] | sites that lie; thieves and captors |
//! | [`chronicle`], [`invariant`] | what really happened, and what must hold |
//! | [`trace`], [`debugger`] | the record of a run, and stepping through it |
//! | [`report`] | what a run came to |
//!
//! Read next: `docs/simulator/protocol-mode.md`, then [`config`], then [`engine`].

pub mod adversary;
pub mod cast;
pub mod chronicle;
pub mod client;
pub mod config;
pub mod debugger;
mod draw;
pub mod enemy;
pub mod engine;
pub mod event_queue;
pub mod fetch;
pub mod home;
pub mod invariant;
pub mod random;
pub mod recipient;
pub mod report;
pub mod shrink;
pub mod sim_disk;
pub mod sim_network;
pub mod sim_site;
pub mod swarm;
pub mod trace;
pub mod virtual_clock;
pub mod workload;

pub use config::Config;
pub use debugger::replay;
pub use engine::{Observer, run};
pub use report::Report;
pub use shrink::{Shrunk, shrink};
pub use swarm::{SwarmReport, swarm};
