//! The secret of a snapshot, dealt to custodians as Pedersen-verifiable shares.
//!
//! A random scalar is shared, never a raw key: the snapshot key is HKDF of the scalar. Commitments are public and
//! hide the secret from everybody, a quantum computer included. Shares are opened to nobody but their custodian
//! ([`crate::share_sealing`]). This module refuses index 0, duplicates, non-canonical encodings and commitments of
//! another length than the threshold. Read next: [`pedersen`], then [`recovery`] of a
//! lost share and [`resharing`] to other custodians.

pub mod pedersen;
pub mod recovery;
pub mod resharing;
#[cfg(test)]
mod tests;

use std::fmt;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use hkdf::Hkdf;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub use pedersen::{DealError, ReconstructError, ShareError, deal, reconstruct, verify_share};
pub use recovery::{BlindError, RecoverError, blind_share, deal_mask, recover_share};
pub use resharing::{ReshareError, check_dealing, combine_commitments, combine_parts, redeal};

use crate::digest::Digest;
use crate::index::ShareIndex;
use crate::limits::SHARES_MAX;
use crate::secret_bytes::SecretBytes;

const KEY_LABEL: &[u8] = b"legation v1 snapshot key";
/// Length of an encoded share: `index (1) || value (32) || blinding (32)`.
pub const SHARE_BYTES: usize = 65;

/// The random scalar that a snapshot's key is derived from.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SnapshotSecret(pub(in crate::secret_sharing) Box<Scalar>);

impl SnapshotSecret {
    /// A fresh secret, uniform.
    pub fn random(rng: &mut impl rand::CryptoRng) -> Self {
        Self(Box::new(Scalar::random(rng)))
    }

    /// HKDF-SHA256 of the secret, bound to `context` (the snapshot's identity).
    ///
    /// # Source
    /// RFC 5869; the info is `"legation v1 snapshot key" || context`.
    #[must_use]
    pub fn snapshot_key(&self, context: &[u8]) -> SnapshotKey {
        let extracted = Hkdf::<Sha256>::new(None, self.0.as_bytes());
        SnapshotKey(SecretBytes::build(|key| {
            extracted.expand_multi_info(&[KEY_LABEL, context], key).expect("32 bytes are within 255 hash lengths");
        }))
    }

    /// Constant-time comparison.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for SnapshotSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SnapshotSecret(redacted)")
    }
}

/// The key that seals the root of a snapshot's contents.
#[derive(Debug)]
pub struct SnapshotKey(SecretBytes<32>);

impl SnapshotKey {
    /// A key that was derived elsewhere.
    #[must_use]
    pub const fn from_secret(key: SecretBytes<32>) -> Self {
        Self(key)
    }

    /// The key as secret bytes.
    #[must_use]
    pub const fn as_secret(&self) -> &SecretBytes<32> {
        &self.0
    }
}

/// Why bytes are not a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseShareError {
    /// A share has one length.
    #[error("a share of {actual} bytes, expected {SHARE_BYTES}")]
    Length {
        /// The length found.
        actual: usize,
    },
    /// Share 0 is the secret.
    #[error("share index 0")]
    IndexZero,
    /// A scalar is not below the group order.
    #[error("share {index}: a scalar is not canonical")]
    NotCanonical {
        /// The share's index.
        index: ShareIndex,
    },
}

/// One share of a snapshot's secret: the two polynomials at `index`.
#[derive(ZeroizeOnDrop)]
pub struct Share {
    #[zeroize(skip)]
    index: ShareIndex,
    value: Box<Scalar>,
    blinding: Box<Scalar>,
}

impl Share {
    /// The point at which it was evaluated.
    #[must_use]
    pub const fn index(&self) -> ShareIndex {
        self.index
    }

    /// `index (1) || value (32) || blinding (32)`, scalars little-endian and canonical.
    #[must_use]
    pub fn to_bytes(&self) -> SecretBytes<SHARE_BYTES> {
        SecretBytes::build(|bytes| {
            let source = [self.index.get()];
            let source = source.iter().chain(self.value.as_bytes()).chain(self.blinding.as_bytes());
            bytes.iter_mut().zip(source).for_each(|(target, byte)| *target = *byte);
        })
    }

    /// Reads what [`Share::to_bytes`] wrote.
    ///
    /// # Errors
    /// Another length, index 0, or a scalar that is not canonical.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParseShareError> {
        let length = ParseShareError::Length { actual: bytes.len() };
        let bytes: &[u8; SHARE_BYTES] = bytes.try_into().map_err(|_slice: std::array::TryFromSliceError| length)?;
        let (index, scalars) = bytes.split_first().ok_or(length)?;
        let (value, blinding) = scalars.split_first_chunk::<32>().ok_or(length)?;
        let blinding = blinding.first_chunk::<32>().ok_or(length)?;
        let index = ShareIndex::new(*index).ok_or(ParseShareError::IndexZero)?;
        let scalar = |bytes: &[u8; 32]| {
            Scalar::from_canonical_bytes(*bytes)
                .into_option()
                .map(Box::new)
                .ok_or(ParseShareError::NotCanonical { index })
        };
        Ok(Self { index, value: scalar(value)?, blinding: scalar(blinding)? })
    }

    /// Shares of several secrets, one after the other.
    #[must_use]
    pub fn join(shares: &[Self]) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(shares.len() * SHARE_BYTES));
        for share in shares {
            share.to_bytes().expose(|share| bytes.extend_from_slice(share));
        }
        bytes
    }

    /// Reads what [`Share::join`] wrote; `None` if it is not `count` shares.
    #[must_use]
    pub fn split(bytes: &[u8], count: usize) -> Option<Vec<Self>> {
        let shares: Vec<Self> = bytes.chunks(SHARE_BYTES).map(Self::from_bytes).collect::<Result<_, _>>().ok()?;
        (shares.len() == count).then_some(shares)
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({}, redacted)", self.index)
    }
}

/// Why bytes are not commitments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseCommitmentsError {
    /// No threshold is 0 or above the limit.
    #[error("{actual} commitments: at least 1 and at most {SHARES_MAX}")]
    Count {
        /// The number found.
        actual: usize,
    },
    /// Not the canonical encoding of a group element, or the identity.
    #[error("commitment {position} is not a point that a dealer publishes")]
    Point {
        /// Its position, from 0.
        position: usize,
    },
}

/// The dealer's public commitments `C_0 .. C_{threshold-1}` to both polynomials.
///
/// # Invariants
/// At least one point; none is the identity, which no honest dealer meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commitments(Vec<RistrettoPoint>);

impl Commitments {
    /// The points in canonical encoding, in order.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<[u8; 32]> {
        self.0.iter().map(|point| point.compress().to_bytes()).collect()
    }

    /// Reads what [`Commitments::to_bytes`] wrote.
    ///
    /// # Errors
    /// None or too many, a non-canonical encoding, or the identity.
    pub fn from_bytes(points: &[[u8; 32]]) -> Result<Self, ParseCommitmentsError> {
        let actual = points.len();
        if actual == 0 || actual > SHARES_MAX {
            return Err(ParseCommitmentsError::Count { actual });
        }
        let parse = |(position, bytes): (usize, &[u8; 32])| {
            CompressedRistretto(*bytes)
                .decompress()
                .filter(|point| !point.is_identity())
                .ok_or(ParseCommitmentsError::Point { position })
        };
        points.iter().enumerate().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Shares that reconstruct the secret: the number of points.
    #[must_use]
    pub const fn threshold(&self) -> usize {
        self.0.len()
    }

    /// The digest of all points in canonical encoding.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_bytes().as_flattened())
    }
}
