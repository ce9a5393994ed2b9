//! Fate mode: what becomes of a database when sites fail, are seized and are repaired, asked millions of times.
//!
//! | module | holds |
//! | --- | --- |
//! | [`model`] | the plan: sites, groups, timeline, code, policy, databases |
//! | [`estimate`](fn@estimate) | the answer: exact where that is possible, weighted where events are rare, counted otherwise |
//! | [`engine`] | the Monte Carlo |
//! | [`rare`] | importance sampling, for what no count of replications would see |
//! | [`outcome`] | what is answered, with intervals |
//! | [`exact`] | closed forms and Markov chains that no simulation may contradict |
//!
//! Times are years and rates are per year unless a name says otherwise.

pub mod engine;
mod estimate;
pub mod exact;
pub mod model;
pub mod outcome;
pub mod rare;

pub use estimate::estimate;
