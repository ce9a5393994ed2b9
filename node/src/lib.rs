//! The node of Legation: what runs at the home, at every site, and where a government in exile restores.
//!
//! Reading order: [`connector`] and [`pipeline`] (a database becomes shards, and comes back), [`network`] (the mesh),
//! [`daemon`] (a site), [`shard_store`] and [`machine_state`] (what it keeps), [`keystore`], [`cli`].

pub mod buffers;
pub mod chunk_index;
pub mod cli;
pub mod clock;
pub mod connector;
pub mod daemon;
pub mod entropy;
pub mod exit_code;
#[cfg(feature = "test-hooks")]
pub mod fault_point;
pub mod heard;
pub mod keystore;
pub mod machine_state;
pub mod network;
pub mod pipeline;
pub mod progress;
pub mod redb_file;
pub mod screening;
pub mod shard_store;
pub mod status;
pub mod trial;
