//! From a plaintext to the name and the key of its chunk.
//!
//! `h = BLAKE3 keyed_hash(dedup_secret, plaintext)`, `chunk_key = derive_key("legation v1 chunk key", h)`,
//! `chunk_id = derive_key("legation v1 chunk id", h)`.
//!
//! # Source
//! BLAKE3 specification, section 2.3 (modes): <https://github.com/BLAKE3-team/BLAKE3-specs>.

use std::fmt;

use crate::secret_bytes::SecretBytes;

const KEY_CONTEXT: &str = "legation v1 chunk key";
const ID_CONTEXT: &str = "legation v1 chunk id";

/// The secret of one database that chunk names depend on, so that a stranger cannot test guesses of its content.
#[derive(Debug)]
pub struct DedupSecret(SecretBytes<32>);

impl DedupSecret {
    /// A fresh secret.
    pub fn random(rng: &mut impl rand::CryptoRng) -> Self {
        Self(SecretBytes::random(rng))
    }

    /// A copy of 32 bytes, or `None` for any other number of them.
    #[must_use]
    pub fn copy_from(bytes: &[u8]) -> Option<Self> {
        SecretBytes::copy_from(bytes).map(Self)
    }

    /// Shows the bytes to `use_bytes` and to nobody else.
    pub fn expose<R>(&self, use_bytes: impl FnOnce(&[u8; 32]) -> R) -> R {
        self.0.expose(use_bytes)
    }
}

/// The keyed hash of a chunk's plaintext. Whoever holds it can open the chunk.
#[derive(Debug)]
pub struct ChunkHash(SecretBytes<32>);

impl ChunkHash {
    /// The hash of `plaintext` under the database's secret.
    #[must_use]
    pub fn of(secret: &DedupSecret, plaintext: &[u8]) -> Self {
        let hash = secret.expose(|key| blake3::keyed_hash(key, plaintext));
        Self(SecretBytes::build(|bytes| *bytes = *hash.as_bytes()))
    }

    /// A copy of 32 bytes, or `None` for any other number of them.
    #[must_use]
    pub fn copy_from(bytes: &[u8]) -> Option<Self> {
        SecretBytes::copy_from(bytes).map(Self)
    }

    /// Shows the bytes to `use_bytes` and to nobody else.
    pub fn expose<R>(&self, use_bytes: impl FnOnce(&[u8; 32]) -> R) -> R {
        self.0.expose(use_bytes)
    }

    /// The public name of the chunk.
    #[must_use]
    pub fn id(&self) -> ChunkId {
        ChunkId(self.0.expose(|hash| blake3::derive_key(ID_CONTEXT, hash)))
    }

    /// The key that seals the chunk.
    pub(super) fn key(&self) -> SecretBytes<32> {
        SecretBytes::build(|key| *key = self.0.expose(|hash| blake3::derive_key(KEY_CONTEXT, hash)))
    }
}

/// The public name of a chunk; says nothing about its plaintext without the dedup secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId([u8; 32]);

impl ChunkId {
    /// Wraps the bytes of an id made elsewhere.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkId({self})")
    }
}
