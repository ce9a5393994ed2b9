//! The card by which an official or a writer makes a public key known, signed by that key.

use serde::{Deserialize, Serialize};

use super::{Document, check_text};
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::signature::quorum::{QuorumError, verify_single};
use crate::signature::{PublicKey, Signed};

/// What the key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bearer {
    /// Signs charters and release orders.
    Official,
    /// Signs manifests at home.
    Writer,
}

/// A public key and its bearer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// What the key is for.
    pub bearer: Bearer,
    /// Who holds it, in words.
    pub name: String,
    /// The key.
    pub key: PublicKey,
}

impl Document for Card {
    const KIND: &'static str = "card";
    const BYTES_MAX: usize = DOCUMENT_BYTES_MAX;

    fn validate(&self) -> Result<(), String> {
        check_text("name", &self.name)?;
        if self.key.is_usable() { Ok(()) } else { Err("the public key is not a usable point".to_owned()) }
    }
}

impl Signed<Card> {
    /// Proves that whoever made the card holds the key.
    ///
    /// # Errors
    /// Not signed by the key on the card.
    pub fn verify(&self) -> Result<&Card, QuorumError> {
        verify_single(self, self.document().key)?;
        Ok(self.document())
    }
}
