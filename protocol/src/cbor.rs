//! The one encoding: deterministic CBOR, decoded strictly.
//!
//! `serde_cbor` alone is not a canonical decoder (it takes overlong integers, indefinite lengths, unknown tags, arrays
//! for structs, and the last of two equal map keys). So whatever is decoded is encoded again, and other bytes than
//! came in are an error: one value has one encoding, and no two readers can disagree about a document.
//!
//! This is the only file that names `serde_cbor`; the crate is unmaintained and can be exchanged here.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes are not an acceptable encoding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than this type may have; nothing was decoded.
    #[error("{actual} bytes where at most {max} are allowed")]
    TooLong {
        /// Bytes received.
        actual: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Not CBOR, or not of this type.
    #[error("not a well-formed message: {0}")]
    Malformed(String),
    /// Decodes, but is not the one encoding of its value.
    #[error("not the deterministic encoding of its value")]
    NotCanonical,
}

/// Encodes `value`. The types of this crate hold no floats and no unordered maps, so the bytes are deterministic.
///
/// # Panics
/// Never for the types of this crate: encoding into memory fails only for a type that refuses to serialise.
#[must_use]
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    serde_cbor::to_vec(value).expect("encoding a document into memory cannot fail")
}

/// Decodes `bytes`, at most `bytes_max` of them.
///
/// # Errors
/// Too long, malformed, trailing bytes, or not the deterministic encoding.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8], bytes_max: usize) -> Result<T, DecodeError> {
    if bytes.len() > bytes_max {
        return Err(DecodeError::TooLong { actual: bytes.len(), max: bytes_max });
    }
    let value: T = serde_cbor::from_slice(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    if encode(&value) != bytes {
        return Err(DecodeError::NotCanonical);
    }
    Ok(value)
}

#[cfg(test)]
mod tests;
