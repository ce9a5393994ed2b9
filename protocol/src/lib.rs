//! The sans-IO half of Legation: signed documents, wire messages and state machines.
//!
//! Nothing here reads a clock, draws entropy, opens a file or touches a socket. A host (the `node` daemon, or the
//! simulator on virtual time) feeds inputs to a machine and carries out the outputs in order; see [`machine`].
//!
//! Reading order: [`cbor`] (the one encoding), [`signature`] (domains and the one quorum verifier),
//! [`document`] (what people and sites sign), [`placement`] (which coalitions could read or destroy),
//! [`catalog`] (what is stored), [`release`] (who may open it), [`wire`] (what travels), [`host`] (what both hosts
//! do alike).

// So that the fixture reads the same here and in the integration tests, which include it by path.
#[cfg(test)]
extern crate self as protocol;

pub mod armor;
pub mod audit;
pub mod catalog;
pub mod cbor;
pub mod contents;
pub mod document;
pub mod evidence;
#[cfg(test)]
mod fixture;
pub mod host;
pub mod identifier;
pub mod ledger;
pub mod limits;
pub mod machine;
pub mod number_set;
pub mod placement;
#[cfg(feature = "planted-bugs")]
pub mod planted;
pub mod release;
pub mod repair;
pub mod resharing;
pub mod retention;
pub mod share_recovery;
pub mod signature;
pub mod timestamp;
pub mod wire;
