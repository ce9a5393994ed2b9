//! The bytes of the chunk index's values, as the table in [`super`] gives them.

use super::{Location, StripeRecord, StripeShard, StripeState};

const PENDING: u8 = 0;
const PUBLISHED: u8 = 1;

pub(super) fn encode_location(location: &Location) -> [u8; 16] {
    let value =
        (u128::from(location.bytes) << 96) | (u128::from(location.offset) << 64) | u128::from(location.stripe_number);
    value.to_le_bytes()
}

pub(super) fn decode_location(bytes: &[u8; 16]) -> Location {
    let [s0, s1, s2, s3, s4, s5, s6, s7, o0, o1, o2, o3, b0, b1, b2, b3] = *bytes;
    Location {
        stripe_number: u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
        offset: u32::from_le_bytes([o0, o1, o2, o3]),
        bytes: u32::from_le_bytes([b0, b1, b2, b3]),
    }
}

/// `None` if the stripe has more than 255 shards.
pub(super) fn encode_stripe(record: &StripeRecord) -> Option<Vec<u8>> {
    let shard_count = u8::try_from(record.shards.len()).ok()?;
    let (state, sequence) = match record.state {
        StripeState::Pending => (PENDING, 0),
        StripeState::Published { sequence } => (PUBLISHED, sequence),
    };
    let mut bytes = Vec::with_capacity(14 + 33 * record.shards.len());
    bytes.push(state);
    bytes.extend_from_slice(&sequence.to_le_bytes());
    bytes.extend_from_slice(&record.payload_bytes.to_le_bytes());
    bytes.push(shard_count);
    for shard in &record.shards {
        bytes.extend_from_slice(&shard.root);
        bytes.push(u8::from(shard.stored));
    }
    Some(bytes)
}

/// `None` unless `bytes` are exactly one record.
pub(super) fn decode_stripe(bytes: &[u8]) -> Option<StripeRecord> {
    let (state, rest) = bytes.split_first()?;
    let (sequence, rest) = rest.split_first_chunk::<8>()?;
    let (payload_bytes, rest) = rest.split_first_chunk::<4>()?;
    let (shard_count, rest) = rest.split_first()?;
    let state = match (*state, u64::from_le_bytes(*sequence)) {
        (PENDING, 0) => StripeState::Pending,
        (PUBLISHED, sequence) => StripeState::Published { sequence },
        _ => return None,
    };
    if rest.len() != 33 * usize::from(*shard_count) {
        return None;
    }
    let shards = rest.chunks_exact(33).map(|shard| match shard.split_first_chunk::<32>() {
        Some((root, [0])) => Some(StripeShard { root: *root, stored: false }),
        Some((root, [1])) => Some(StripeShard { root: *root, stored: true }),
        _ => None,
    });
    let shards = shards.collect::<Option<Vec<_>>>()?;
    Some(StripeRecord { payload_bytes: u32::from_le_bytes(*payload_bytes), shards, state })
}
