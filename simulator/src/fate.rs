//! Fate mode: what becomes of a database when sites fail, are seized and are repaired, asked millions of times.
//!
//! | module | holds |
//! | --- | --- |
//! | [`model`] | the plan: sites, groups, timeline, code, policy, databases |
//! | [`engine`] | the Monte Carlo |
//! | [`outcome`] | what is answered, with intervals |
//! | [`exact`] | closed forms and Markov chains that no simulation may contradict |
//!
//! Times are years and rates are per year unless a name says otherwise.

pub mod engine;
pub mod exact;
pub mod model;
pub mod outcome;
