//! Ed25519 signatures (RFC 8032) over the received bytes of a document, under a domain label.
//!
//! What is signed is `"legation" 0x00 kind 0x00 version(u16 big-endian) payload`, so a signature for one kind of
//! document never holds for another. [`quorum`] is the only place that counts signers; [`Signed`] the only envelope.

pub mod quorum;

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use shard_codec::{Digest, SecretBytes};

use crate::cbor::{self, DecodeError};
use crate::document::Document;

/// The public half of an Ed25519 key: an official, a site (its libp2p PeerId is made of the same bytes) or a writer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Wraps 32 bytes; whether they are a usable point shows [`PublicKey::is_usable`] and every verification.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether the bytes are a point of the curve outside the small subgroup (a weak key signs anything).
    #[must_use]
    pub fn is_usable(&self) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| !key.is_weak())
    }

    fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// The text is not 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a public key is 64 hex digits")]
pub struct ParseKeyError;

impl FromStr for PublicKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_hex| ParseKeyError)?;
        Ok(Self(bytes))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_bytes::ByteArray::<32>::deserialize(deserializer).map(|bytes| Self(bytes.into_array()))
    }
}

/// A signing key; zeroised on drop, never shown.
pub struct Keypair(SigningKey);

impl Keypair {
    /// A fresh key.
    pub fn generate(rng: &mut impl rand::CryptoRng) -> Self {
        Self::from_secret(&SecretBytes::random(rng))
    }

    /// The key of a 32-byte seed (RFC 8032, section 5.1.5).
    #[must_use]
    pub fn from_secret(seed: &SecretBytes<32>) -> Self {
        Self(seed.expose(SigningKey::from_bytes))
    }

    /// The seed, for a key file.
    #[must_use]
    pub fn secret(&self) -> SecretBytes<32> {
        SecretBytes::build(|bytes| bytes.copy_from_slice(self.0.as_bytes()))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }
}

impl fmt::Debug for Keypair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keypair({}, secret redacted)", self.public())
    }
}

/// One signature of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Who signed.
    pub key: PublicKey,
    /// Ed25519, 64 bytes.
    #[serde(with = "serde_bytes")]
    pub signature: [u8; 64],
}

/// Why an envelope is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Envelope or payload does not decode.
    #[error("{kind}: {error}")]
    Decode {
        /// The kind expected.
        kind: &'static str,
        /// What is wrong.
        error: DecodeError,
    },
    /// A document of another kind.
    #[error("expected a {expected}, found a {actual:?}")]
    Kind {
        /// The kind expected.
        expected: &'static str,
        /// The kind found, cut to 64 characters.
        actual: String,
    },
    /// Written by a newer (or never released) version of Legation.
    #[error(
        "{kind} format version {actual} is not known here (this release reads version {expected}): upgrade legation"
    )]
    Version {
        /// The kind of document.
        kind: &'static str,
        /// The version this release reads.
        expected: u16,
        /// The version found.
        actual: u16,
    },
    /// More signatures than any document needs.
    #[error("{actual} signatures where at most {max} are allowed")]
    TooManySignatures {
        /// Signatures allowed.
        max: usize,
        /// Signatures found.
        actual: usize,
    },
    /// The document contradicts itself or a bound.
    #[error("{kind}: {reason}")]
    Invalid {
        /// The kind of document.
        kind: &'static str,
        /// What is wrong.
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    kind: String,
    version: u16,
    #[serde(with = "serde_bytes")]
    payload: Vec<u8>,
    signatures: Vec<Signature>,
}

/// A document, the exact bytes it came in, and the signatures on those bytes.
///
/// # Security
/// Holding a `Signed` says nothing about who signed: ask [`quorum`].
#[derive(Clone, Debug)]
pub struct Signed<T> {
    payload: Vec<u8>,
    document: T,
    signatures: Vec<Signature>,
    /// Computed once: a head is compared again and again, and hashing a large manifest takes its time.
    digest: OnceLock<Digest>,
}

impl<T: Document> Signed<T> {
    /// Wraps a new document without signatures.
    ///
    /// # Errors
    /// The document contradicts itself or exceeds its bound.
    pub fn draft(document: T) -> Result<Self, EnvelopeError> {
        let signed =
            Self { payload: cbor::encode(&document), document, signatures: Vec::new(), digest: OnceLock::new() };
        signed.check()?;
        signed.check_costly()?;
        Ok(signed)
    }

    /// Wraps and signs in one step.
    ///
    /// # Errors
    /// As [`Signed::draft`].
    pub fn sign_new(document: T, keypair: &Keypair) -> Result<Self, EnvelopeError> {
        let mut signed = Self::draft(document)?;
        signed.sign(keypair);
        Ok(signed)
    }

    fn check(&self) -> Result<(), EnvelopeError> {
        if self.payload.len() > T::BYTES_MAX {
            let error = DecodeError::TooLong { actual: self.payload.len(), max: T::BYTES_MAX };
            return Err(EnvelopeError::Decode { kind: T::KIND, error });
        }
        self.document.validate().map_err(|reason| EnvelopeError::Invalid { kind: T::KIND, reason })
    }

    /// Makes the checks that [`Signed::decode_form`] left out.
    ///
    /// # Errors
    /// The document contradicts itself.
    pub fn check_costly(&self) -> Result<(), EnvelopeError> {
        self.document.validate_costly().map_err(|reason| EnvelopeError::Invalid { kind: T::KIND, reason })
    }

    /// Adds (or makes anew) the signature of `keypair`.
    pub fn sign(&mut self, keypair: &Keypair) {
        let key = keypair.public();
        let signature = keypair.0.sign(&self.message()).to_bytes();
        self.signatures.retain(|present| present.key != key);
        self.signatures.push(Signature { key, signature });
        self.signatures.sort_by_key(|signature| signature.key);
    }

    /// Adds the signatures of another copy of the same document; false if it is another document.
    pub fn merge(&mut self, other: &Self) -> bool {
        if self.payload != other.payload {
            return false;
        }
        for signature in &other.signatures {
            if !self.signatures.iter().any(|present| present.key == signature.key) {
                self.signatures.push(signature.clone());
            }
        }
        self.signatures.sort_by_key(|signature| signature.key);
        true
    }

    /// The bytes of the envelope, with all signatures.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(&Envelope {
            kind: T::KIND.to_owned(),
            version: T::VERSION,
            payload: self.payload.clone(),
            signatures: self.signatures.clone(),
        })
    }

    /// Decodes an envelope and its document; checks form, bounds and content, not who signed.
    ///
    /// # Errors
    /// Another kind or version, not canonical, too long, or contradicting itself.
    pub fn decode(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let signed = Self::decode_form(bytes)?;
        signed.check_costly()?;
        Ok(signed)
    }

    /// As [`Signed::decode`] without the checks that cost much: for what anybody may have sent. Whoever acts on the
    /// document verifies its signatures and then asks [`Signed::check_costly`].
    ///
    /// # Errors
    /// Another kind or version, not canonical, too long, or contradicting itself.
    pub fn decode_form(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let decode_error = |error| EnvelopeError::Decode { kind: T::KIND, error };
        let envelope_bytes_max = T::BYTES_MAX + 1024 + T::SIGNATURES_MAX * 160;
        let envelope: Envelope = cbor::decode(bytes, envelope_bytes_max).map_err(decode_error)?;
        if envelope.kind != T::KIND {
            let actual = envelope.kind.chars().take(64).collect();
            return Err(EnvelopeError::Kind { expected: T::KIND, actual });
        }
        if envelope.version != T::VERSION {
            let (expected, actual) = (T::VERSION, envelope.version);
            return Err(EnvelopeError::Version { kind: T::KIND, expected, actual });
        }
        if envelope.signatures.len() > T::SIGNATURES_MAX {
            let (max, actual) = (T::SIGNATURES_MAX, envelope.signatures.len());
            return Err(EnvelopeError::TooManySignatures { max, actual });
        }
        let document = cbor::decode(&envelope.payload, T::BYTES_MAX).map_err(decode_error)?;
        let signed =
            Self { payload: envelope.payload, document, signatures: envelope.signatures, digest: OnceLock::new() };
        signed.check()?;
        Ok(signed)
    }

    /// What an attacker could send.
    #[cfg(test)]
    pub(crate) fn unchecked(document: T) -> Self {
        Self { payload: cbor::encode(&document), document, signatures: Vec::new(), digest: OnceLock::new() }
    }

    /// The bytes under the signatures.
    fn message(&self) -> Vec<u8> {
        let mut message = Vec::with_capacity(self.payload.len() + 64);
        message.extend_from_slice(b"legation\0");
        message.extend_from_slice(T::KIND.as_bytes());
        message.push(0);
        message.extend_from_slice(&T::VERSION.to_be_bytes());
        message.extend_from_slice(&self.payload);
        message
    }

    /// The name of the document: BLAKE3 over what is signed, whoever has signed so far.
    #[must_use]
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| Digest::of(&self.message()))
    }

    /// The document.
    #[must_use]
    pub fn document(&self) -> &T {
        &self.document
    }

    /// The signatures, unverified.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }
}
