//! Positions and coding parameters that cannot be out of range.
//!
//! A [`ShardIndex`] counts from 0, a [`ShareIndex`] from 1: share 0 of a Shamir sharing *is* the secret.

use std::fmt;
use std::num::NonZeroU8;

use crate::limits::SHARDS_MAX;

/// Position of a shard in its stripe, from 0; data shards come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardIndex(u8);

impl ShardIndex {
    /// The shard at `index`.
    #[must_use]
    pub const fn new(index: u8) -> Self {
        Self(index)
    }

    /// The position as a number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The position as an offset into a slice of shards.
    #[must_use]
    pub const fn as_usize(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ShardIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The point at which a share was evaluated, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShareIndex(NonZeroU8);

impl ShareIndex {
    /// The share at `index`, or `None` for 0, which would be the secret itself.
    #[must_use]
    pub const fn new(index: u8) -> Option<Self> {
        match NonZeroU8::new(index) {
            Some(index) => Some(Self(index)),
            None => None,
        }
    }

    /// The index as a number, never 0.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for ShareIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a stripe is coded: `data_shards` of `data_shards + parity_shards` rebuild it.
///
/// # Invariants
/// At least one data shard; at most [`SHARDS_MAX`] shards in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CodingParameters {
    data_shards: u8,
    parity_shards: u8,
}

/// The parameters cannot code anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{data_shards} data and {parity_shards} parity shards: need at least 1 data shard and at most {SHARDS_MAX} in all"
)]
pub struct CodingParametersError {
    /// Data shards asked for.
    pub data_shards: usize,
    /// Parity shards asked for.
    pub parity_shards: usize,
}

impl CodingParameters {
    /// Checks and keeps the two counts.
    ///
    /// # Errors
    /// No data shard, or more than [`SHARDS_MAX`] shards in all.
    pub fn new(data_shards: usize, parity_shards: usize) -> Result<Self, CodingParametersError> {
        let error = CodingParametersError { data_shards, parity_shards };
        let (Ok(data), Ok(parity)) = (u8::try_from(data_shards), u8::try_from(parity_shards)) else {
            return Err(error);
        };
        if data == 0 || data_shards + parity_shards > SHARDS_MAX {
            return Err(error);
        }
        Ok(Self { data_shards: data, parity_shards: parity })
    }

    /// Shards that rebuild a stripe.
    #[must_use]
    pub const fn data_shards(self) -> usize {
        self.data_shards as usize
    }

    /// Shards that may be lost.
    #[must_use]
    pub const fn parity_shards(self) -> usize {
        self.parity_shards as usize
    }

    /// All shards of a stripe.
    #[must_use]
    pub const fn total_shards(self) -> usize {
        self.data_shards() + self.parity_shards()
    }
}
