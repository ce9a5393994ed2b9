//! The shapes of the vector files.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes, as hex in a file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// The first `length` bytes that BLAKE3 gives for `label`.
pub(crate) fn stream(label: &str, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(label.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// BLAKE3 of all chunk lengths as eight little-endian bytes each.
pub(crate) fn cuts_digest(cuts: &[u64]) -> Vec<u8> {
    let bytes: Vec<u8> = cuts.iter().flat_map(|bytes| bytes.to_le_bytes()).collect();
    blake3::hash(&bytes).as_bytes().to_vec()
}

/// The stream of a case: BLAKE3 output, or the label repeated.
pub(crate) fn cut_stream(case: &CutPoints) -> Vec<u8> {
    if case.repeated {
        return case.stream_label.bytes().cycle().take(case.stream_bytes).collect();
    }
    stream(&case.stream_label, case.stream_bytes)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VectorFile<C> {
    pub(crate) format: String,
    pub(crate) about: String,
    pub(crate) cases: Vec<C>,
}

macro_rules! case {
    ($(#[$about:meta])* $name:ident { $($field:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Clone, Serialize, Deserialize, Debug)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            pub(crate) name: String,
            $(pub(crate) $field: $type,)*
        }
    };
}

case! {
    /// Hash and id of a chunk.
    ChunkName { dedup_secret: Hex, plaintext_label: String, plaintext_bytes: usize, hash: Hex, id: Hex, }
}
case! {
    /// A sealed chunk, and the seed of the generator if it is stored.
    SealedChunk {
        hash: Hex, sealed: Hex, plaintext_bytes: usize, plaintext: Hex, stored_from_seed: Option<u64>,
        error: Option<String>,
    }
}
case! {
    /// A sealed root or key file.
    SealedFrame { key: Hex, aad: Hex, sealed: Hex, plaintext: Hex, error: Option<String>, }
}
case! {
    /// A coded stripe, and shards as they come back from sites.
    Stripe {
        data_shards: usize, parity_shards: usize, payload_label: String, payload_bytes: usize, shard_bytes: usize,
        roots: Vec<Hex>, fetched: Vec<Fetched>, error: Option<String>,
    }
}
case! {
    /// A range proof, and how it is checked.
    RangeProof {
        shard_label: String, shard_bytes: usize, root: Hex, proven: (u64, u64), proof_bytes: usize, proof_digest: Hex,
        flipped_bit: Option<usize>, truncated_to: Option<usize>, checked_root: Hex, checked_shard_bytes: u64,
        asked: (u64, u64), error: Option<String>,
    }
}
case! {
    /// A dealing from a seeded generator.
    Dealing {
        seed: u64, threshold: usize, count: usize, commitments: Vec<Hex>, commitments_digest: Hex, shares: Vec<Hex>,
        key_context: Hex, snapshot_key: Hex,
    }
}
case! {
    /// Commitments and shares as received, by one custodian or by the recipient of a release.
    ReceivedShares {
        threshold: usize, custodian: Option<u8>, commitments: Vec<Hex>, shares: Vec<Hex>, key_context: Hex,
        snapshot_key: Hex, error: Option<String>,
    }
}
case! {
    /// A share sealed to its custodian.
    SealedShare {
        secret_key: Hex, public_key_digest: Hex, context: Context, info: Hex, sealed: Hex, plaintext: Hex,
        error: Option<String>,
    }
}
case! {
    /// A public sealing key as received.
    SealingKey { public_key: Hex, error: Option<String>, }
}
case! {
    /// Where a stream is cut.
    CutPoints {
        content_defined: bool, min_bytes: usize, max_bytes: usize, stream_label: String, repeated: bool,
        stream_bytes: usize, first_cuts: Vec<u64>, cuts_digest: Hex,
    }
}

/// One shard as a site sent it.
#[derive(Clone, Serialize, Deserialize, Debug, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fetched {
    pub(crate) claims: u8,
    pub(crate) holds: u8,
    pub(crate) flipped_bit: Option<usize>,
    pub(crate) truncated_to: Option<usize>,
}

/// What a sealed share is bound to.
#[derive(Clone, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    pub(crate) state: Hex,
    pub(crate) database: String,
    pub(crate) sequence: u64,
    pub(crate) epoch: u64,
    pub(crate) custodian: String,
}
