//! From a payload to shards and their roots.
//!
//! Coding and hashing go over a stripe together, a few columns at a time, so that bytes are hashed while they are
//! still in the cache.

use std::borrow::Cow;

use super::{LayoutError, StripeLayout};
use crate::digest::Digest;
use crate::index::ShardIndex;
use crate::reed_solomon::{CodeError, ErasureCode};
use crate::shard_tree::RootHasher;

/// Bytes of all shards together that are coded and hashed in one go.
const BLOCK_BYTES: usize = 512 << 10;
/// Columns are taken in multiples of what BLAKE3 hashes at once.
const COLUMN_STEP_BYTES: usize = 16 << 10;

/// Why a payload could not be coded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// An empty or overlong payload.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The payload is not the one that the layout describes.
    #[error("a payload of {actual} bytes, expected {expected}")]
    PayloadBytes {
        /// Length in the layout.
        expected: usize,
        /// Length of the payload.
        actual: usize,
    },
    /// The code refused.
    #[error(transparent)]
    Code(#[from] CodeError),
}

/// All shards of one stripe in one buffer, and their roots. Share it behind an `Arc`.
#[derive(Debug)]
pub struct EncodedStripe {
    layout: StripeLayout,
    roots: Vec<Digest>,
    buffer: Vec<u8>,
}

impl EncodedStripe {
    /// The shape of the stripe.
    #[must_use]
    pub const fn layout(&self) -> &StripeLayout {
        &self.layout
    }

    /// The root of every shard, by position.
    #[must_use]
    pub fn roots(&self) -> &[Digest] {
        &self.roots
    }

    /// The bytes of one shard, or `None` if the stripe has no such shard.
    #[must_use]
    pub fn shard(&self, index: ShardIndex) -> Option<&[u8]> {
        let shard_bytes = self.layout.shard_bytes();
        let start = index.as_usize() * shard_bytes;
        self.buffer.get(start..start + shard_bytes)
    }

    /// The buffer, for [`super::StripeBuilder::reusing`].
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}

/// Codes `payload` and computes the root of every shard.
///
/// A payload from [`super::StripeBuilder`] is not copied: its buffer already has room for padding and parity.
///
/// # Errors
/// An empty or overlong payload.
pub fn encode_stripe(code: &dyn ErasureCode, payload: Vec<u8>) -> Result<EncodedStripe, EncodeError> {
    let parameters = code.parameters();
    let layout = StripeLayout::new(parameters, payload.len())?;
    let shard_bytes = layout.shard_bytes();
    let mut buffer = payload;
    buffer.resize(layout.total_bytes(), 0);
    let mut hashers = vec![RootHasher::new(); parameters.total_shards()];
    let (data, parity) = buffer.split_at_mut(layout.data_bytes());
    let step = (BLOCK_BYTES / parameters.total_shards()).next_multiple_of(COLUMN_STEP_BYTES);
    for start in (0..shard_bytes).step_by(step) {
        let columns = start..shard_bytes.min(start + step);
        let inputs: Vec<&[u8]> =
            data.chunks(shard_bytes).map(|shard| shard.get(columns.clone()).unwrap_or_default()).collect();
        let mut outputs: Vec<&mut [u8]> =
            parity.chunks_mut(shard_bytes).map(|shard| shard.get_mut(columns.clone()).unwrap_or_default()).collect();
        code.encode(&inputs, &mut outputs)?;
        let coded = inputs.iter().copied().chain(outputs.iter().map(|output| &**output));
        hashers.iter_mut().zip(coded).for_each(|(hasher, bytes)| hasher.update(bytes));
    }
    let roots = hashers.iter().map(RootHasher::finish).collect();
    Ok(EncodedStripe { layout, roots, buffer })
}

/// One shard of a stripe whose payload is at hand: how a single lost shard is remade.
///
/// # Errors
/// The payload does not fit the layout, or the stripe has no such shard.
pub fn encode_shard(
    code: &dyn ErasureCode,
    layout: &StripeLayout,
    payload: &[u8],
    index: ShardIndex,
) -> Result<Vec<u8>, EncodeError> {
    let (expected, actual) = (layout.payload_bytes(), payload.len());
    if expected != actual {
        return Err(EncodeError::PayloadBytes { expected, actual });
    }
    let shard_bytes = layout.shard_bytes();
    let data_shards: Vec<Cow<'_, [u8]>> = (0..layout.parameters().data_shards())
        .map(|position| {
            let start = position * shard_bytes;
            if let Some(whole) = payload.get(start..start + shard_bytes) {
                return Cow::Borrowed(whole);
            }
            let mut padded = payload.get(start..).unwrap_or_default().to_vec();
            padded.resize(shard_bytes, 0);
            Cow::Owned(padded)
        })
        .collect();
    let given: Vec<(ShardIndex, &[u8])> =
        (0..=u8::MAX).map(ShardIndex::new).zip(data_shards.iter().map(|shard| &**shard)).collect();
    let mut shard = vec![0; shard_bytes];
    code.remake(&given, &mut [(index, &mut shard)])?;
    Ok(shard)
}
