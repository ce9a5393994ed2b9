//! The node of Legation: what runs at the home and at every site.

pub mod chunk_index;
pub mod clock;
pub mod connector;
pub mod entropy;
pub mod exit_code;
pub mod keystore;
pub mod machine_state;
pub mod redb_file;
pub mod shard_store;
