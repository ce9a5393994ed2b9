//! Stripes: sealed chunks packed one after the other, and the shape in which they are coded.
//!
//! Data shard `i` holds `payload[i * shard_bytes ..]`, the last one zero-padded, so a small chunk lies in one or two
//! shards and reading it costs one or two sites. A chunk never spans stripes.
//! Shards that were checked against their root are another type ([`VerifiedShard`]) than those that were not; only
//! the former decode. Read next: [`encode`], then [`decode`].

pub mod decode;
pub mod encode;
#[cfg(test)]
mod tests;
mod verified;

use std::ops::Range;

use rand::CryptoRng;

pub use decode::{DecodeError, decode_columns, decode_stripe, decode_stripe_into, remake_shard};
pub use encode::{EncodeError, EncodedStripe, encode_shard, encode_stripe};
pub use verified::{ShardMismatch, UncheckedShard, VerifiedColumns, VerifiedShard};

use crate::compression::{Compression, Compressor};
use crate::index::{CodingParameters, ShardIndex};
use crate::limits::{SHARD_ALIGN_BYTES, STRIPE_BYTES_MAX};
use crate::sealing::{ChunkHash, OVERHEAD_BYTES, SealError, seal_chunk};

/// A stripe cannot have this shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stripe of {actual} bytes: at least 1 and at most {limit}")]
pub struct LayoutError {
    /// The limit in bytes.
    pub limit: usize,
    /// The length asked for.
    pub actual: usize,
}

/// The range is not in the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes from {offset} in a payload of {payload_bytes}")]
pub struct LocateError {
    /// First byte asked for.
    pub offset: usize,
    /// Bytes asked for.
    pub length: usize,
    /// Length of the payload.
    pub payload_bytes: usize,
}

/// The shape of one stripe: everything about it that follows from its coding parameters and payload length.
///
/// # Invariants
/// 1 <= `payload_bytes` <= [`STRIPE_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StripeLayout {
    parameters: CodingParameters,
    payload_bytes: usize,
}

impl StripeLayout {
    /// The layout of a payload.
    ///
    /// # Errors
    /// An empty payload, or more than [`STRIPE_BYTES_MAX`] bytes.
    pub const fn new(parameters: CodingParameters, payload_bytes: usize) -> Result<Self, LayoutError> {
        if payload_bytes == 0 || payload_bytes > STRIPE_BYTES_MAX {
            return Err(LayoutError { limit: STRIPE_BYTES_MAX, actual: payload_bytes });
        }
        Ok(Self { parameters, payload_bytes })
    }

    /// How the stripe is coded.
    #[must_use]
    pub const fn parameters(&self) -> CodingParameters {
        self.parameters
    }

    /// Length of the packed chunks in bytes, without padding.
    #[must_use]
    pub const fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// Length of each shard in bytes: `ceil(payload / data_shards)`, rounded up to [`SHARD_ALIGN_BYTES`].
    #[must_use]
    pub const fn shard_bytes(&self) -> usize {
        self.payload_bytes.div_ceil(self.parameters.data_shards()).next_multiple_of(SHARD_ALIGN_BYTES)
    }

    /// Length of all data shards in bytes: the payload and its padding.
    #[must_use]
    pub const fn data_bytes(&self) -> usize {
        self.shard_bytes() * self.parameters.data_shards()
    }

    /// Length of all shards in bytes.
    #[must_use]
    pub const fn total_bytes(&self) -> usize {
        self.shard_bytes() * self.parameters.total_shards()
    }

    /// Whether the stripe has a shard at `index`.
    #[must_use]
    pub const fn has(&self, index: ShardIndex) -> bool {
        index.as_usize() < self.parameters.total_shards()
    }

    /// Where `length` bytes of the payload lie: data shards in order, each with the byte range within it.
    ///
    /// # Errors
    /// The range passes the end of the payload.
    pub fn locate(&self, offset: usize, length: usize) -> Result<Vec<(ShardIndex, Range<u64>)>, LocateError> {
        let payload_bytes = self.payload_bytes;
        let end = offset.checked_add(length).filter(|end| *end <= payload_bytes).ok_or(LocateError {
            offset,
            length,
            payload_bytes,
        })?;
        let shard_bytes = self.shard_bytes();
        let mut located = Vec::new();
        let mut start = offset;
        while start < end {
            let (shard, within) = (start / shard_bytes, start % shard_bytes);
            let stop = shard_bytes.min(within + end - start);
            // There are at most 255 shards.
            let index = u8::try_from(shard).map_or(ShardIndex::new(u8::MAX), ShardIndex::new);
            located.push((index, within as u64..stop as u64));
            start += stop - within;
        }
        Ok(located)
    }
}

/// The payload of one stripe while chunks are packed into it.
///
/// Its buffer has room for the parity shards from the start, so that coding copies nothing. Hand the buffer of a
/// finished stripe ([`EncodedStripe::into_buffer`]) to [`StripeBuilder::reusing`] to spare the page faults.
#[derive(Debug)]
pub struct StripeBuilder {
    stripe_bytes: usize,
    payload: Vec<u8>,
}

impl StripeBuilder {
    /// An empty stripe for up to `stripe_bytes` of sealed chunks.
    ///
    /// # Errors
    /// No room at all, or more than [`STRIPE_BYTES_MAX`].
    pub fn new(parameters: CodingParameters, stripe_bytes: usize) -> Result<Self, LayoutError> {
        Self::reusing(parameters, stripe_bytes, Vec::new())
    }

    /// The same, in a buffer that is no longer needed.
    ///
    /// # Errors
    /// No room at all, or more than [`STRIPE_BYTES_MAX`].
    pub fn reusing(
        parameters: CodingParameters,
        stripe_bytes: usize,
        mut buffer: Vec<u8>,
    ) -> Result<Self, LayoutError> {
        let fullest = StripeLayout::new(parameters, stripe_bytes)?;
        buffer.clear();
        buffer.reserve_exact(fullest.total_bytes());
        Ok(Self { stripe_bytes, payload: buffer })
    }

    /// Bytes that still fit.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.stripe_bytes - self.payload.len()
    }

    /// Bytes packed so far.
    #[must_use]
    pub const fn payload_bytes(&self) -> usize {
        self.payload.len()
    }

    /// Whether nothing is packed yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.payload.is_empty()
    }

    /// Seals a chunk in place and returns where it lies in the payload, or `None` if it might not fit.
    ///
    /// On `None` finish this stripe and seal into the next one. An empty stripe takes every chunk if `stripe_bytes`
    /// is at least [`OVERHEAD_BYTES`] more than the longest chunk.
    ///
    /// # Errors
    /// As [`seal_chunk`]; the stripe is then as it was.
    pub fn seal(
        &mut self,
        hash: &ChunkHash,
        plaintext: &[u8],
        compression: Compression,
        compressor: &mut Compressor,
        rng: &mut impl CryptoRng,
    ) -> Result<Option<Range<usize>>, SealError> {
        if plaintext.len().saturating_add(OVERHEAD_BYTES) > self.room() {
            return Ok(None);
        }
        let offset = self.payload.len();
        let sealed_bytes = seal_chunk(hash, plaintext, compression, compressor, rng, &mut self.payload)?;
        Ok(Some(offset..offset + sealed_bytes))
    }

    /// Packs a chunk that is sealed already and returns its offset, or `None` if it does not fit.
    pub fn push_sealed(&mut self, sealed: &[u8]) -> Option<usize> {
        if sealed.len() > self.room() {
            return None;
        }
        let offset = self.payload.len();
        self.payload.extend_from_slice(sealed);
        Some(offset)
    }

    /// The payload, for [`encode_stripe`].
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.payload
    }
}
