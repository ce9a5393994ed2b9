//! From verified shards back to a payload, a range, or another shard.

use std::ops::Range;

use super::{StripeLayout, VerifiedColumns, VerifiedShard};
use crate::index::ShardIndex;
use crate::reed_solomon::{CodeError, ErasureCode};

/// Why shards do not decode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The code was made for other parameters than the layout states.
    #[error("a code of {actual_data}+{actual_parity}, expected {expected_data}+{expected_parity}")]
    Parameters {
        /// Data shards of the layout.
        expected_data: usize,
        /// Parity shards of the layout.
        expected_parity: usize,
        /// Data shards of the code.
        actual_data: usize,
        /// Parity shards of the code.
        actual_parity: usize,
    },
    /// The shard cannot belong to this stripe.
    #[error("shard {index} of {actual} bytes, expected {expected}")]
    ShardBytes {
        /// Its position.
        index: ShardIndex,
        /// Length of each shard in the layout.
        expected: usize,
        /// Its length.
        actual: usize,
    },
    /// The ranges are not of the same columns.
    #[error("columns {actual:?} of shard {index}, expected {expected:?}")]
    Columns {
        /// The shard whose range differs.
        index: ShardIndex,
        /// Range of the first shard.
        expected: Range<u64>,
        /// Its range.
        actual: Range<u64>,
    },
    /// Too few, duplicate or impossible shards.
    #[error(transparent)]
    Code(#[from] CodeError),
}

/// Decodes the payload from any `data_shards` shards of a stripe.
///
/// # Errors
/// Too few, duplicate, foreign or wrongly sized shards.
pub fn decode_stripe(
    code: &dyn ErasureCode,
    layout: &StripeLayout,
    shards: &[VerifiedShard],
) -> Result<Vec<u8>, DecodeError> {
    let mut payload = Vec::new();
    decode_stripe_into(code, layout, shards, &mut payload)?;
    Ok(payload)
}

/// The same into a buffer that is used again; what it held is replaced.
///
/// # Errors
/// Too few, duplicate, foreign or wrongly sized shards; `payload` is then empty.
pub fn decode_stripe_into(
    code: &dyn ErasureCode,
    layout: &StripeLayout,
    shards: &[VerifiedShard],
    payload: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    payload.clear();
    let by_position = arrange(code, layout, shards)?;
    let shard_bytes = layout.shard_bytes();
    payload.reserve(layout.data_bytes());
    for position in by_position.iter().take(layout.parameters().data_shards()) {
        match position {
            Some(shard) => payload.extend_from_slice(shard),
            None => payload.resize(payload.len() + shard_bytes, 0),
        }
    }
    let mut missing: Vec<(ShardIndex, &mut [u8])> = (0..=u8::MAX)
        .map(ShardIndex::new)
        .zip(payload.chunks_mut(shard_bytes))
        .zip(&by_position)
        .filter_map(|(wanted, found)| found.is_none().then_some(wanted))
        .collect();
    if !missing.is_empty() {
        let remade = code.remake(&given(&by_position), &mut missing);
        if let Err(error) = remade {
            payload.clear();
            return Err(error.into());
        }
    }
    payload.truncate(layout.payload_bytes());
    Ok(())
}

/// Remakes one shard from any `data_shards` others.
///
/// # Errors
/// Too few, duplicate, foreign or wrongly sized shards, or no such shard.
pub fn remake_shard(
    code: &dyn ErasureCode,
    layout: &StripeLayout,
    shards: &[VerifiedShard],
    wanted: ShardIndex,
) -> Result<Vec<u8>, DecodeError> {
    let by_position = arrange(code, layout, shards)?;
    let mut shard = vec![0; layout.shard_bytes()];
    code.remake(&given(&by_position), &mut [(wanted, &mut shard)])?;
    Ok(shard)
}

/// Decodes the same range of shard `wanted` from the same range of any `data_shards` shards.
///
/// # Errors
/// Too few or duplicate shards, ranges that differ, or no such shard.
pub fn decode_columns(
    code: &dyn ErasureCode,
    wanted: ShardIndex,
    ranges: &[VerifiedColumns],
) -> Result<Vec<u8>, DecodeError> {
    let Some(first) = ranges.first() else {
        return Err(CodeError::TooFew { expected: code.parameters().data_shards(), actual: 0 }.into());
    };
    if let Some(other) = ranges.iter().find(|range| range.columns != first.columns) {
        return Err(DecodeError::Columns {
            index: other.index,
            expected: first.columns.clone(),
            actual: other.columns.clone(),
        });
    }
    let mut bytes = vec![0; first.bytes.len()];
    let given: Vec<(ShardIndex, &[u8])> = ranges.iter().map(|range| (range.index, range.bytes.as_slice())).collect();
    code.remake(&given, &mut [(wanted, &mut bytes)])?;
    Ok(bytes)
}

/// The shards by position, each at most once and of the right length; at least `data_shards` of them.
fn arrange<'a>(
    code: &dyn ErasureCode,
    layout: &StripeLayout,
    shards: &'a [VerifiedShard],
) -> Result<Vec<Option<&'a [u8]>>, DecodeError> {
    let (expected, actual) = (layout.parameters(), code.parameters());
    if expected != actual {
        return Err(DecodeError::Parameters {
            expected_data: expected.data_shards(),
            expected_parity: expected.parity_shards(),
            actual_data: actual.data_shards(),
            actual_parity: actual.parity_shards(),
        });
    }
    let total_shards = expected.total_shards();
    let mut by_position = vec![None; total_shards];
    for shard in shards {
        let index = shard.index();
        if shard.bytes().len() != layout.shard_bytes() {
            return Err(DecodeError::ShardBytes { index, expected: layout.shard_bytes(), actual: shard.bytes().len() });
        }
        let place = by_position.get_mut(index.as_usize()).ok_or(CodeError::Index { index, total_shards })?;
        if place.replace(shard.bytes()).is_some() {
            return Err(CodeError::Duplicate { index }.into());
        }
    }
    let (expected, actual) = (expected.data_shards(), shards.len());
    if actual < expected { Err(CodeError::TooFew { expected, actual }.into()) } else { Ok(by_position) }
}

/// The shards to decode from, data shards first: they need the least arithmetic.
fn given<'a>(by_position: &[Option<&'a [u8]>]) -> Vec<(ShardIndex, &'a [u8])> {
    (0..=u8::MAX)
        .map(ShardIndex::new)
        .zip(by_position)
        .filter_map(|(index, shard)| shard.map(|bytes| (index, bytes)))
        .collect()
}
