//! The erasure code of a stripe: systematic Reed-Solomon over GF(2^8).
//!
//! [`ErasureCode`] is the seam: every implementation gives the same bytes, those of the crate
//! `reed-solomon-erasure`, whose matrix (an inverted Vandermonde matrix over the polynomial 29) is the format.
//! This module knows no digests: it computes with whatever it is given, so verify first ([`crate::stripe`]).
//! Read next: [`reference`](mod@reference).

pub mod reference;

pub use reference::Reference;

use crate::index::{CodingParameters, ShardIndex};

/// Why bytes could not be coded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Not as many data shards as the code has.
    #[error("{actual} data shards, expected {expected}")]
    DataShards {
        /// Data shards of the code.
        expected: usize,
        /// Data shards given.
        actual: usize,
    },
    /// Not as many parity shards as the code has.
    #[error("{actual} parity shards, expected {expected}")]
    ParityShards {
        /// Parity shards of the code.
        expected: usize,
        /// Parity shards given.
        actual: usize,
    },
    /// Shards of one stripe must have one length.
    #[error("a shard of {actual} bytes, expected {expected}")]
    ShardBytes {
        /// Length of the first shard.
        expected: usize,
        /// The other length.
        actual: usize,
    },
    /// Fewer distinct shards than rebuild a stripe.
    #[error("{actual} distinct shards, need {expected}")]
    TooFew {
        /// Data shards of the code.
        expected: usize,
        /// Distinct shards given.
        actual: usize,
    },
    /// A stripe has no such shard.
    #[error("shard {index} of {total_shards}")]
    Index {
        /// The position asked for.
        index: ShardIndex,
        /// Shards of the code.
        total_shards: usize,
    },
    /// Two shards claim one position.
    #[error("shard {index} twice")]
    Duplicate {
        /// The position claimed twice.
        index: ShardIndex,
    },
    /// The matrix has no inverse: the code is not the one the parameters name.
    #[error("the coding matrix is singular")]
    Singular,
}

/// An implementation of the code for one set of parameters.
pub trait ErasureCode: Send + Sync {
    /// The parameters it was made for.
    fn parameters(&self) -> CodingParameters;

    /// Computes every parity shard from all data shards, each `[shard_bytes]`. Zero parity shards are allowed.
    ///
    /// # Errors
    /// Wrong counts or unequal lengths; `parity` is then undefined.
    fn encode(&self, data: &[&[u8]], parity: &mut [&mut [u8]]) -> Result<(), CodeError>;

    /// Remakes each shard of `wanted`, data or parity, from `data_shards` others, each `[shard_bytes]`.
    ///
    /// More than enough may be given: the first `data_shards` are used. A column of a stripe depends on the same
    /// column of its shards only, so the same range of each shard works as well as the whole.
    ///
    /// # Errors
    /// Too few or duplicate shards, positions out of range, or unequal lengths; `wanted` is then undefined.
    fn remake(&self, given: &[(ShardIndex, &[u8])], wanted: &mut [(ShardIndex, &mut [u8])]) -> Result<(), CodeError>;
}
