//! Passphrases: from a private file or from the terminal, never from the command line or the environment.

use std::fmt;
use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use super::file::{self, FileError};

/// A new passphrase in characters at the least. A key file can be copied and guessed at for ever, so this is
/// a floor against accidents, not a recommendation: six random words are one.
pub const PASSPHRASE_CHARACTERS_MIN: usize = 8;
const FILE_BYTES_MAX: u64 = 4096;

/// What closes a key file. Wiped when dropped, redacted in `Debug`, without `Clone`.
pub struct Passphrase(Zeroizing<String>);

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Passphrase(redacted)")
    }
}

/// There is no passphrase.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// The file cannot be read, or others may read it.
    #[error(transparent)]
    File(#[from] FileError),
    /// The terminal cannot be read.
    #[error("cannot ask for the passphrase: {0}; give it in a file instead")]
    Terminal(#[source] io::Error),
    /// Nothing was given.
    #[error("the passphrase is empty")]
    Empty,
    /// The two entries of a new passphrase differ.
    #[error("the two passphrases differ")]
    Mismatch,
    /// A new passphrase is too short.
    #[error("the passphrase has {actual} characters; a new one needs at least {PASSPHRASE_CHARACTERS_MIN}")]
    TooShort {
        /// Its length in characters.
        actual: usize,
    },
}

impl Passphrase {
    /// Takes over `text`.
    ///
    /// # Errors
    /// Empty.
    pub fn new(text: Zeroizing<String>) -> Result<Self, PassphraseError> {
        if text.is_empty() { Err(PassphraseError::Empty) } else { Ok(Self(text)) }
    }

    /// The first line of the private file at `path`, without its line end; spaces count.
    ///
    /// # Errors
    /// Unreadable, readable by group or others, longer than 4096 bytes, or the line is empty.
    pub fn from_file(path: &Path) -> Result<Self, PassphraseError> {
        let text = file::read(path, FILE_BYTES_MAX)?;
        let line = text.split('\n').next().unwrap_or_default();
        Self::new(Zeroizing::new(line.strip_suffix('\r').unwrap_or(line).to_owned()))
    }

    /// Asks on the terminal, without echo: `Passphrase of {label}: `.
    ///
    /// # Errors
    /// No terminal, or nothing entered.
    pub fn prompt(label: &str) -> Result<Self, PassphraseError> {
        let text = rpassword::prompt_password(format!("Passphrase of {label}: ")).map_err(PassphraseError::Terminal)?;
        Self::new(Zeroizing::new(text))
    }

    /// Asks twice for a new passphrase.
    ///
    /// # Errors
    /// As [`Passphrase::prompt`]; too short; or the two differ.
    pub fn prompt_new(label: &str) -> Result<Self, PassphraseError> {
        let first = Self::prompt(&format!("the new {label}"))?;
        first.check_new()?;
        let second = Self::prompt(&format!("the new {label}, again"))?;
        if *first.0 == *second.0 { Ok(first) } else { Err(PassphraseError::Mismatch) }
    }

    /// Whether it may close a new key file.
    ///
    /// # Errors
    /// Shorter than [`PASSPHRASE_CHARACTERS_MIN`].
    pub fn check_new(&self) -> Result<(), PassphraseError> {
        match self.0.chars().count() {
            actual if actual < PASSPHRASE_CHARACTERS_MIN => Err(PassphraseError::TooShort { actual }),
            _ => Ok(()),
        }
    }

    /// The bytes to derive a key from.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
