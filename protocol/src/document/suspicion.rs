//! What home itself finds suspicious in a snapshot that it signs.

use serde::{Deserialize, Serialize};

/// Measured at home, which sees the plaintext, against the last accepted snapshot. Public: it tells a site one word about
/// the contents, for the sake of the staff abroad who have to judge when home is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suspicion {
    /// What took the place of older data looks like random bytes, as nothing did before.
    Entropy,
    /// What took the place of older data can hardly be compressed, unlike what was there before.
    Compressibility,
    /// Much less is there than before.
    Size,
    /// Nearly everything was rewritten, as it never was before, and cannot be compressed.
    ChangeRate,
    /// Fewer pages of database files can be read as such.
    PageStructure,
}

impl Suspicion {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Entropy, Self::Compressibility, Self::Size, Self::ChangeRate, Self::PageStructure];
}

impl std::fmt::Display for Suspicion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Entropy => "what was rewritten looks like random bytes",
            Self::Compressibility => "what was rewritten can hardly be compressed any more",
            Self::Size => "much less is there than before",
            Self::ChangeRate => "nearly everything was rewritten",
            Self::PageStructure => "pages are gone or cannot be read as a database's",
        })
    }
}
