//! One official's no to what a charter lets go.

use serde::{Deserialize, Serialize};
use shard_codec::Digest;

use super::{Document, check_text};
use crate::limits::DOCUMENT_BYTES_MAX;

/// By the rules of this charter version no snapshot goes, whatever they say; a later version may say the same again and
/// must be vetoed again. One official is enough, of this version's roll or of the one before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Veto {
    /// The state.
    pub state: Digest,
    /// Digest of the charter version.
    pub charter: Digest,
    /// Why, in words.
    pub reason: String,
}

impl Document for Veto {
    const KIND: &'static str = "veto";
    const BYTES_MAX: usize = DOCUMENT_BYTES_MAX;

    fn validate(&self) -> Result<(), String> {
        check_text("the reason", &self.reason)
    }
}
