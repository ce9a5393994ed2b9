//! From a connector to the sites and back: streaming, bounded, every stage at once.
//!
//! ```text
//! backup:   capture thread -> batches -> pack (hash, find again, seal, stripe) -> code -> n sites -> receipts
//! restore:  survey -> shares -> contents -> windows -> stripes from the fastest sites -> open -> write
//! ```
//!
//! [`survey`] sees what the sites know; [`backup`] and [`restore`] are the two ways; [`verify`] reads shards without
//! any key; [`repair`] remakes shards a site lacks.

pub mod backup;
pub mod fetch;
pub mod pack;
pub mod reach;
pub mod repair;
pub mod restore;
pub mod survey;
mod upload;
pub mod verify;
