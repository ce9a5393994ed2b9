//! Naming, keying and sealing of chunks, and the one AEAD framing that key files and sealed roots share.
//!
//! A chunk is named and keyed by its own plaintext under the database's dedup secret, so unchanged data is found
//! again without anybody keeping its key. A sealed chunk is
//! `mode (1) || nonce (12) || AES-256-GCM ciphertext || tag (16)` with `chunk id || mode` as associated data.
//! This module never reuses a nonce: `nonce` makes that a type. Read next: [`key_derivation`].
//!
//! # Security
//! AES-256-GCM does not commit to its key. Here that is harmless: the key of a chunk follows from the hash that its
//! id follows from, the id is associated data, and nobody picks a key by trying which one opens. A party that knows
//! the plaintext of a chunk could seal *another* plaintext under the same id; writers are authenticated by the
//! manifest, and home compares [`ChunkHash::of`] where it matters.

pub mod key_derivation;
mod nonce;
#[cfg(test)]
mod tests;

use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{Aes256Gcm, KeyInit, Tag};
use rand::CryptoRng;
use zeroize::Zeroizing;

pub use key_derivation::{ChunkHash, ChunkId, DedupSecret};
use nonce::{NONCE_BYTES, Nonce};

use crate::compression::{CompressError, Compression, Compressor, DecompressError, Decompressor};
use crate::limits::CHUNK_BYTES_MAX;
use crate::secret_bytes::SecretBytes;
use crate::secret_sharing::SnapshotKey;

const TAG_BYTES: usize = 16;
const MODE_BYTES: usize = 1;
const MODE_STORED: u8 = 0;
const MODE_ZSTD: u8 = 1;

/// What [`seal_with`] and [`seal_root`] add to a plaintext, in bytes.
pub const FRAME_OVERHEAD_BYTES: usize = NONCE_BYTES + TAG_BYTES;
/// What sealing adds to a stored chunk, in bytes; a sealed chunk is never longer than its plaintext plus this.
pub const OVERHEAD_BYTES: usize = MODE_BYTES + FRAME_OVERHEAD_BYTES;

/// Why a plaintext could not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Longer than a chunk may be.
    #[error("a chunk of {actual} bytes, at most {limit}")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
        /// The length in bytes.
        actual: usize,
    },
    /// The chunk could not be compressed.
    #[error(transparent)]
    Compress(#[from] CompressError),
    /// Longer than AES-256-GCM can seal under one nonce.
    #[error("the cipher refused the length")]
    Cipher,
}

/// Why sealed bytes do not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A chunk cannot be this long.
    #[error("a chunk of {actual} bytes, at most {limit}")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
        /// The length in bytes.
        actual: usize,
    },
    /// The sealed bytes cannot have this length.
    #[error("{actual} sealed bytes, expected {expected}")]
    Length {
        /// The length the caller's plaintext length asks for (at least, or at most, where it may vary).
        expected: usize,
        /// The length found.
        actual: usize,
    },
    /// The first byte names no mode.
    #[error("unknown mode {actual}")]
    Mode {
        /// The byte found.
        actual: u8,
    },
    /// Another key, other associated data, or changed bytes.
    #[error("not sealed under this key and context")]
    Authentication,
    /// Authentic, but not the chunk it claims to be.
    #[error(transparent)]
    Decompress(#[from] DecompressError),
}

/// Seals `plaintext` and appends it to `out`; returns the number of bytes appended.
///
/// `hash` must be [`ChunkHash::of`] this plaintext. A stored chunk is copied once, into `out`, and sealed there.
///
/// # Errors
/// The plaintext exceeds [`CHUNK_BYTES_MAX`] or cannot be compressed; `out` is then as it was.
pub fn seal_chunk(
    hash: &ChunkHash,
    plaintext: &[u8],
    compression: Compression,
    compressor: &mut Compressor,
    rng: &mut impl CryptoRng,
    out: &mut Vec<u8>,
) -> Result<usize, SealError> {
    if plaintext.len() > CHUNK_BYTES_MAX {
        return Err(SealError::TooLong { limit: CHUNK_BYTES_MAX, actual: plaintext.len() });
    }
    let (mode, body) = match compressor.compress(plaintext, compression)? {
        Some(compressed) => (MODE_ZSTD, compressed),
        None => (MODE_STORED, plaintext),
    };
    let start = out.len();
    out.reserve(body.len() + OVERHEAD_BYTES);
    out.push(mode);
    let sealed = hash.key().expose(|key| seal_frame(key, &chunk_context(hash, mode), body, rng, out));
    if let Err(error) = sealed {
        out.truncate(start);
        return Err(error);
    }
    Ok(out.len() - start)
}

/// Opens a sealed chunk and appends exactly `plaintext_bytes` to `out`.
///
/// Memory is bounded by `plaintext_bytes` and the length of `sealed`: a frame that would decompress to more is
/// refused without being decompressed further.
///
/// # Errors
/// Anything but the sealed chunk of that hash and length; `out` is then as it was.
pub fn open_chunk(
    hash: &ChunkHash,
    sealed: &[u8],
    plaintext_bytes: usize,
    decompressor: &mut Decompressor,
    out: &mut Vec<u8>,
) -> Result<(), OpenError> {
    if plaintext_bytes > CHUNK_BYTES_MAX {
        return Err(OpenError::TooLong { limit: CHUNK_BYTES_MAX, actual: plaintext_bytes });
    }
    let longest = plaintext_bytes + OVERHEAD_BYTES;
    let Some((&mode, frame)) = sealed.split_first().filter(|_| sealed.len() <= longest) else {
        return Err(OpenError::Length { expected: longest, actual: sealed.len() });
    };
    let context = chunk_context(hash, mode);
    match mode {
        MODE_STORED if sealed.len() == longest => hash.key().expose(|key| open_frame(key, &context, frame, out)),
        MODE_STORED => Err(OpenError::Length { expected: longest, actual: sealed.len() }),
        MODE_ZSTD => {
            decompressor.input.clear();
            hash.key().expose(|key| open_frame(key, &context, frame, &mut decompressor.input))?;
            let start = out.len();
            out.resize(start + plaintext_bytes, 0);
            let target = out.get_mut(start..).unwrap_or_default();
            decompressor.decompress(target).map_err(|error| {
                out.truncate(start);
                error.into()
            })
        }
        actual => Err(OpenError::Mode { actual }),
    }
}

/// Seals the root of a snapshot's contents under its key; `aad` binds it to its manifest.
///
/// # Errors
/// The plaintext is longer than the cipher allows (64 GiB).
pub fn seal_root(
    key: &SnapshotKey,
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SealError> {
    seal_with(key.as_secret(), aad, plaintext, rng)
}

/// Opens what [`seal_root`] sealed.
///
/// # Errors
/// Another key, other associated data, or changed bytes.
pub fn open_root(key: &SnapshotKey, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    open_with(key.as_secret(), aad, sealed)
}

/// Seals `plaintext` as `nonce (12) || ciphertext || tag (16)`.
///
/// # Errors
/// The plaintext is longer than the cipher allows (64 GiB).
pub fn seal_with(
    key: &SecretBytes<32>,
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SealError> {
    let mut out = Vec::with_capacity(plaintext.len() + FRAME_OVERHEAD_BYTES);
    key.expose(|key| seal_frame(key, aad, plaintext, rng, &mut out))?;
    Ok(out)
}

/// Opens what [`seal_with`] sealed.
///
/// # Errors
/// Another key, other associated data, or changed bytes.
pub fn open_with(key: &SecretBytes<32>, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    // Reserved up front: growing would leave copies of the plaintext behind.
    let mut out = Zeroizing::new(Vec::with_capacity(sealed.len()));
    key.expose(|key| open_frame(key, aad, sealed, &mut out))?;
    Ok(out)
}

/// `chunk id || mode`: neither may be swapped under a chunk.
fn chunk_context(hash: &ChunkHash, mode: u8) -> [u8; 33] {
    let mut context = [mode; 33];
    if let Some(id) = context.first_chunk_mut::<32>() {
        *id = *hash.id().as_bytes();
    }
    context
}

/// Appends `nonce || ciphertext || tag` to `out`. On an error `out` may have grown.
fn seal_frame(
    key: &[u8; 32],
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
    out: &mut Vec<u8>,
) -> Result<(), SealError> {
    let cipher = Aes256Gcm::new(key.into());
    let nonce = Nonce::draw(rng);
    out.extend_from_slice(nonce.as_bytes());
    let start = out.len();
    out.extend_from_slice(plaintext);
    let body = InOutBuf::from(out.get_mut(start..).unwrap_or_default());
    let tag = cipher
        .encrypt_inout_detached(&nonce.consume(), aad, body)
        .map_err(|_opaque: aes_gcm::Error| SealError::Cipher)?;
    out.extend_from_slice(&tag);
    Ok(())
}

/// Appends the plaintext of a frame to `out`, or leaves `out` as it was.
fn open_frame(key: &[u8; 32], aad: &[u8], frame: &[u8], out: &mut Vec<u8>) -> Result<(), OpenError> {
    let short = OpenError::Length { expected: FRAME_OVERHEAD_BYTES, actual: frame.len() };
    let (nonce, rest) = frame.split_first_chunk::<NONCE_BYTES>().ok_or(short)?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(short)?;
    let cipher = Aes256Gcm::new(key.into());
    let start = out.len();
    out.extend_from_slice(ciphertext);
    let body = InOutBuf::from(out.get_mut(start..).unwrap_or_default());
    cipher.decrypt_inout_detached(nonce.into(), aad, body, <&Tag>::from(tag)).map_err(|_opaque: aes_gcm::Error| {
        out.truncate(start);
        OpenError::Authentication
    })
}
