//! Sealing a share to its custodian, so that recorded traffic stays closed to a quantum computer.
//!
//! RFC 9180 HPKE in base mode: X-Wing (X25519 and ML-KEM-768), HKDF-SHA256, AES-256-GCM. A sealed message is
//! `enc (1120) || ciphertext || tag (16)`. The sender is not authenticated here: the manifest names the digest of
//! every sealed share and is signed. The context binds state, database, sequence, epoch and custodian.
//!
//! # Source
//! RFC 9180; draft-connolly-cfrg-xwing-kem; draft-ietf-hpke-pq-03 (KEM 0x647a).

#[cfg(test)]
mod tests;

use std::fmt;

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, HpkeError, Kem, OpModeR, OpModeS, Serializable};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::digest::Digest;
use crate::secret_bytes::SecretBytes;

type PublicKey = <XWing as Kem>::PublicKey;
type PrivateKey = <XWing as Kem>::PrivateKey;
type EncappedKey = <XWing as Kem>::EncappedKey;

/// Length of an encoded public key: ML-KEM-768 (1184), then X25519 (32).
pub const PUBLIC_KEY_BYTES: usize = 1216;
const MLKEM_KEY_BYTES: usize = 1184;
const ENCAPPED_KEY_BYTES: usize = 1120;
const TAG_BYTES: usize = 16;
/// What sealing adds to a plaintext, in bytes.
pub const SEALED_OVERHEAD_BYTES: usize = ENCAPPED_KEY_BYTES + TAG_BYTES;
const CONTEXT_LABEL: &[u8] = b"legation v1 share";

/// Why bytes are not a sealing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealingKeyError {
    /// A key has one length.
    #[error("a sealing key of {actual} bytes, expected {PUBLIC_KEY_BYTES}")]
    Length {
        /// The length found.
        actual: usize,
    },
    /// The X25519 half is a point of low order: its shared secret would be known to all.
    #[error("the X25519 half has low order")]
    LowOrder,
    /// The ML-KEM half is not a reduced encapsulation key.
    #[error("the ML-KEM half is not valid")]
    MlKem,
}

/// Why a message could not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealing library refused the message")]
pub struct SealToError;

/// Why a message does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenSealedError {
    /// Shorter than an empty message.
    #[error("{actual} sealed bytes, at least {SEALED_OVERHEAD_BYTES}")]
    Length {
        /// The length found.
        actual: usize,
    },
    /// Sealed to another key or context, or changed.
    #[error("not sealed to this key and context")]
    Authentication,
}

/// The secret half of a custodian's sealing key: a 32-byte X-Wing seed.
#[derive(Debug)]
pub struct SealingSecretKey(SecretBytes<32>);

impl SealingSecretKey {
    /// A fresh key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(SecretBytes::random(rng))
    }

    /// A key kept elsewhere; every 32 bytes are a key.
    #[must_use]
    pub const fn from_bytes(seed: SecretBytes<32>) -> Self {
        Self(seed)
    }

    /// Shows the bytes to `use_bytes` and to nobody else.
    pub fn expose<R>(&self, use_bytes: impl FnOnce(&[u8; 32]) -> R) -> R {
        self.0.expose(use_bytes)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> SealingPublicKey {
        let public = XWing::sk_to_pk(&self.private()).to_bytes();
        let mut bytes = Box::new([0; PUBLIC_KEY_BYTES]);
        bytes.copy_from_slice(&public);
        SealingPublicKey(bytes)
    }

    fn private(&self) -> PrivateKey {
        self.0.expose(|seed| PrivateKey::from_bytes(seed)).expect("a seed is 32 bytes, and every 32 bytes are one")
    }
}

/// The public half of a custodian's sealing key, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingPublicKey(Box<[u8; PUBLIC_KEY_BYTES]>);

impl SealingPublicKey {
    /// Reads and checks a key.
    ///
    /// # Errors
    /// Another length, an X25519 half of low order (which X-Wing itself accepts), or an invalid ML-KEM half.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealingKeyError> {
        let length = SealingKeyError::Length { actual: bytes.len() };
        let bytes: &[u8; PUBLIC_KEY_BYTES] =
            bytes.try_into().map_err(|_slice: std::array::TryFromSliceError| length)?;
        let (_, x25519) = bytes.split_last_chunk::<{ PUBLIC_KEY_BYTES - MLKEM_KEY_BYTES }>().ok_or(length)?;
        // Any clamped scalar is a multiple of the cofactor, so a point of low order gives zero with each of them.
        let probe = x25519_dalek::StaticSecret::from([1; 32]);
        if !probe.diffie_hellman(&x25519_dalek::PublicKey::from(*x25519)).was_contributory() {
            return Err(SealingKeyError::LowOrder);
        }
        PublicKey::from_bytes(bytes).map_err(|_refused: HpkeError| SealingKeyError::MlKem)?;
        Ok(Self(Box::new(*bytes)))
    }

    /// The encoded key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; PUBLIC_KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for SealingPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingPublicKey({})", Digest::of(self.0.as_slice()).short())
    }
}

/// Seals `plaintext` to the holder of `public`, bound to `info` (see [`sealing_context`]).
///
/// # Errors
/// The library refuses, which it does for no checked key and no message of sane length.
pub fn seal_to(
    public: &SealingPublicKey,
    info: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SealToError> {
    let refused = |_library: HpkeError| SealToError;
    let public = PublicKey::from_bytes(public.as_bytes()).map_err(refused)?;
    let (encapped_key, ciphertext) = hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, XWing>(
        &OpModeS::Base,
        &public,
        info,
        plaintext,
        &[],
        rng,
    )
    .map_err(refused)?;
    let mut sealed = encapped_key.to_bytes().to_vec();
    sealed.extend_from_slice(&ciphertext);
    Ok(sealed)
}

/// Opens what [`seal_to`] sealed to this key under the same `info`.
///
/// # Errors
/// Too short, sealed to another key or context, or changed.
pub fn open_sealed(
    secret: &SealingSecretKey,
    info: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenSealedError> {
    if sealed.len() < SEALED_OVERHEAD_BYTES {
        return Err(OpenSealedError::Length { actual: sealed.len() });
    }
    let (encapped_key, ciphertext) = sealed.split_at(ENCAPPED_KEY_BYTES);
    let opened = EncappedKey::from_bytes(encapped_key).and_then(|encapped_key| {
        hpke::single_shot_open::<AesGcm256, HkdfSha256, XWing>(
            &OpModeR::Base,
            &secret.private(),
            &encapped_key,
            info,
            ciphertext,
            &[],
        )
    });
    opened.map(Zeroizing::new).map_err(|_library: HpkeError| OpenSealedError::Authentication)
}

/// The `info` of a sealed share: no two different tuples give the same bytes.
///
/// Label, then state (32 bytes), database, sequence, epoch and custodian; every text and the label with its length in
/// front as eight little-endian bytes, every number as eight little-endian bytes.
#[must_use]
pub fn sealing_context(state: &Digest, database: &str, sequence: u64, epoch: u64, custodian: &str) -> Vec<u8> {
    let mut context = Vec::new();
    let text = |context: &mut Vec<u8>, bytes: &[u8]| {
        context.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        context.extend_from_slice(bytes);
    };
    text(&mut context, CONTEXT_LABEL);
    context.extend_from_slice(state.as_bytes());
    text(&mut context, database.as_bytes());
    context.extend_from_slice(&sequence.to_le_bytes());
    context.extend_from_slice(&epoch.to_le_bytes());
    text(&mut context, custodian.as_bytes());
    context
}
