//! Key files: one secret, closed by a passphrase, in a text file a person can recognise and print.
//!
//! # Format
//! ```text
//! -----BEGIN LEGATION KEY-----
//! Format: 1
//! Kind: site identity
//! Kdf: argon2id m=65536 t=3 p=1
//! Salt: 32 hex digits
//! Nonce: 24 hex digits
//! Public-Name: value             (any number of them, in alphabetical order, not secret)
//!
//! hex of AES-256-GCM(ciphertext || tag), 64 digits on a line
//! -----END LEGATION KEY-----
//! ```
//! The key is `argon2id(passphrase, salt)` with the parameters of the `Kdf` line (`m` in KiB); the
//! associated data are the exact bytes from the first line to the empty line, its newline included. So no
//! line can be changed without the passphrase, and a file is never taken for one of another kind.
//!
//! A hostile file cannot exhaust memory: its length and its `Kdf` parameters are bounded before use. A file
//! that group or others may read is refused, on opening, with the command that corrects it.
//!
//! Read next: [`passphrase`], then `file`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

mod armor;
mod file;
pub mod passphrase;

use armor::Armor;
pub use file::FileError;
pub use passphrase::Passphrase;

/// A secret in bytes at the most (64 KiB).
pub const SECRET_BYTES_MAX: usize = 64 << 10;
/// A key file in bytes at the most: the hex of the largest secret and a generous header.
const FILE_BYTES_MAX: u64 = 160 << 10;
const MEMORY_KIB_MAX: u32 = 1 << 20;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 16;

/// How expensive one guess of the passphrase is.
///
/// # Invariants
/// At most 1 GiB, 16 passes and 16 lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KdfParameters {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Default for KdfParameters {
    /// 64 MiB, 3 passes, 1 lane: the second recommendation of RFC 9106, section 4, with a single lane.
    fn default() -> Self {
        Self { memory_kib: 64 << 10, passes: 3, lanes: 1 }
    }
}

impl fmt::Display for KdfParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "argon2id m={} t={} p={}", self.memory_kib, self.passes, self.lanes)
    }
}

impl KdfParameters {
    /// Checks and keeps the three costs: memory in KiB, passes over it, lanes.
    ///
    /// # Errors
    /// Out of bounds; the text says which bound.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, KdfParametersError> {
        let error = |what, actual, max| Err(KdfParametersError { what, actual, max });
        if memory_kib > MEMORY_KIB_MAX {
            return error("memory in KiB", memory_kib, MEMORY_KIB_MAX);
        }
        if passes == 0 || passes > PASSES_MAX {
            return error("passes", passes, PASSES_MAX);
        }
        if lanes == 0 || lanes > LANES_MAX {
            return error("lanes", lanes, LANES_MAX);
        }
        if memory_kib < 8 * lanes {
            return error("memory in KiB", memory_kib, MEMORY_KIB_MAX);
        }
        Ok(Self { memory_kib, passes, lanes })
    }

    fn derive(self, passphrase: &Passphrase, salt: &[u8]) -> Result<Zeroizing<[u8; 32]>, argon2::Error> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32))?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(
            passphrase.as_bytes(),
            salt,
            key.as_mut_slice(),
        )?;
        Ok(key)
    }
}

/// A key derivation that would cost nothing, or more than this machine should be made to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("argon2id {what}: {actual} is outside the bounds (at most {max})")]
pub struct KdfParametersError {
    /// Which cost.
    pub what: &'static str,
    /// What was asked for.
    pub actual: u32,
    /// The most that is accepted.
    pub max: u32,
}

/// The key file is not written.
#[derive(Debug, thiserror::Error)]
pub enum SealKeyError {
    /// The secret is longer than [`SECRET_BYTES_MAX`].
    #[error("a secret of {actual} bytes: at most {SECRET_BYTES_MAX} fit a key file")]
    SecretTooLong {
        /// Its length in bytes.
        actual: usize,
    },
    /// A header line would not read back as it was written.
    #[error(
        "`{text}` cannot stand in the header of a key file: printable ASCII without leading or trailing space only"
    )]
    Header {
        /// The name or value.
        text: String,
    },
    /// Deriving the key or sealing failed.
    #[error("{path}: cannot seal the key: {reason}")]
    Cipher {
        /// The file.
        path: PathBuf,
        /// The library's reason.
        reason: String,
    },
    /// The file cannot be created.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The key file is not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenKeyError {
    /// The file cannot be read, or others may read it.
    #[error(transparent)]
    File(#[from] FileError),
    /// The text is not a key file.
    #[error("{path}: not a key file: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The first thing that is wrong.
        reason: &'static str,
    },
    /// A newer version wrote it.
    #[error("{path}: key file format `{actual}`, this version reads `1`")]
    Format {
        /// The file.
        path: PathBuf,
        /// What the file says.
        actual: String,
    },
    /// The costs in the file are out of bounds: a hostile file, or a damaged one.
    #[error("{path}: {source}")]
    Kdf {
        /// The file.
        path: PathBuf,
        /// Which cost.
        source: KdfParametersError,
    },
    /// The file holds another kind of key.
    #[error("{path}: expected a key of kind `{expected}`, found `{actual}`")]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// What the caller wanted.
        expected: String,
        /// What the file says.
        actual: String,
    },
    /// The passphrase does not open it. Nobody can tell a wrong passphrase from a changed file.
    #[error("{path}: wrong passphrase or damaged file")]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
}

/// What an opened key file held.
pub struct KeyFile {
    /// The `Public-` lines, authenticated by the passphrase.
    pub public: BTreeMap<String, String>,
    /// The secret; wiped when dropped.
    pub secret: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFile").field("public", &self.public).finish_non_exhaustive()
    }
}

/// What anybody can read in a key file without the passphrase. Nothing of it is authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFileHeader {
    /// What the key is for.
    pub kind: String,
    /// The `Public-` lines.
    pub public: BTreeMap<String, String>,
    /// The cost of one guess.
    pub kdf: KdfParameters,
}

/// Writes `secret` to a new file at `path`, mode 0600, closed by `passphrase` at the default cost.
///
/// `kind` and `public` are readable by everybody and cannot be changed without the passphrase. An existing
/// file is never replaced. When this returns `Ok` the file survives a power cut.
///
/// # Errors
/// As [`SealKeyError`]; a file at `path` was not touched.
pub fn seal_key_file(
    path: &Path,
    kind: &str,
    public: &BTreeMap<String, String>,
    secret: &[u8],
    passphrase: &Passphrase,
    rng: &mut impl rand::CryptoRng,
) -> Result<(), SealKeyError> {
    seal_key_file_with(path, kind, public, secret, passphrase, KdfParameters::default(), rng)
}

/// As [`seal_key_file`], at the cost `kdf`.
///
/// # Errors
/// As [`seal_key_file`].
pub fn seal_key_file_with(
    path: &Path,
    kind: &str,
    public: &BTreeMap<String, String>,
    secret: &[u8],
    passphrase: &Passphrase,
    kdf: KdfParameters,
    rng: &mut impl rand::CryptoRng,
) -> Result<(), SealKeyError> {
    if secret.len() > SECRET_BYTES_MAX {
        return Err(SealKeyError::SecretTooLong { actual: secret.len() });
    }
    let mut salt = [0; armor::SALT_BYTES];
    rng.fill_bytes(&mut salt);
    let mut nonce = [0; armor::NONCE_BYTES];
    rng.fill_bytes(&mut nonce);
    let header = armor::write_header(kind, public, kdf, &salt, &nonce)?;
    let cipher_error = |reason: String| SealKeyError::Cipher { path: path.to_owned(), reason };
    let key = kdf.derive(passphrase, &salt).map_err(|error| cipher_error(error.to_string()))?;
    let sealed = Aes256Gcm::new((&*key).into())
        .encrypt((&nonce).into(), Payload { msg: secret, aad: header.as_bytes() })
        .map_err(|error| cipher_error(error.to_string()))?;
    file::create(path, armor::write(&header, &sealed).as_bytes(), rng)?;
    Ok(())
}

/// Opens the key file at `path`, which must hold a key of `kind`.
///
/// # Errors
/// As [`OpenKeyError`].
pub fn open_key_file(path: &Path, kind: &str, passphrase: &Passphrase) -> Result<KeyFile, OpenKeyError> {
    let text = file::read(path, FILE_BYTES_MAX)?;
    let armor = Armor::parse(path, &text)?;
    if armor.kind != kind {
        let (expected, actual) = (kind.to_owned(), armor.kind);
        return Err(OpenKeyError::WrongKind { path: path.to_owned(), expected, actual });
    }
    let key = armor
        .kdf
        .derive(passphrase, &armor.salt)
        .map_err(|_refused| OpenKeyError::Malformed { path: path.to_owned(), reason: "argon2id refuses its costs" })?;
    let secret = Aes256Gcm::new((&*key).into())
        .decrypt((&armor.nonce).into(), Payload { msg: &armor.sealed, aad: armor.header.as_bytes() })
        .map_err(|_aead| OpenKeyError::WrongPassphrase { path: path.to_owned() })?;
    Ok(KeyFile { public: armor.public, secret: Zeroizing::new(secret) })
}

/// Reads what the file at `path` says about itself, without a passphrase: to list keys, never to trust them.
///
/// # Errors
/// As [`OpenKeyError`], but never `WrongPassphrase` or `WrongKind`.
pub fn read_key_header(path: &Path) -> Result<KeyFileHeader, OpenKeyError> {
    let text = file::read(path, FILE_BYTES_MAX)?;
    let armor = Armor::parse(path, &text)?;
    Ok(KeyFileHeader { kind: armor.kind, public: armor.public, kdf: armor.kdf })
}

#[cfg(test)]
mod tests;
