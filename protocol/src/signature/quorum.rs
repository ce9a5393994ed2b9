//! The one quorum verifier.
//!
//! Every decision that needs signatures comes through here, from a single writer to the quorum of a charter. It
//! refuses one key that signed twice, and a signature of a member that does not verify. What it verifies is bounded
//! by what it needs: whoever sends an envelope chooses how many signatures are in it.

use std::collections::BTreeSet;

use crate::document::Document;
use crate::signature::{PublicKey, Signature, Signed};

/// Why the signatures do not decide.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// One key signed twice; a second signature of the same official never counts.
    #[error("key {key} signed twice: one key counts once")]
    Duplicate {
        /// The key.
        key: PublicKey,
    },
    /// A signature does not fit the document: it was altered after signing, or the signature forged.
    #[error("the signature of {key} does not fit the document: it was altered after signing, or forged")]
    Forged {
        /// Whose signature it claims to be.
        key: PublicKey,
    },
    /// Too few members of the roll signed.
    #[error("{valid} of {quorum} needed signatures; strangers to the roll who signed: {strangers}")]
    TooFew {
        /// Distinct members who signed.
        valid: usize,
        /// Members needed.
        quorum: usize,
        /// Signatures by keys outside the roll; nobody looks whether they fit.
        strangers: usize,
    },
}

/// The first `quorum` members of `roll` who signed `signed`, in the order of the envelope.
///
/// # Errors
/// A key that signed twice, a forged signature among those looked at, or too few distinct members.
pub fn verify<T: Document>(
    signed: &Signed<T>,
    roll: &BTreeSet<PublicKey>,
    quorum: usize,
) -> Result<BTreeSet<PublicKey>, QuorumError> {
    let message = signed.message();
    count(signed.signatures(), roll, quorum, |signature| signature.key.verifies(&message, &signature.signature))
}

/// Each verification hashes the whole document, so there are none for strangers and none beyond the quorum.
fn count(
    signatures: &[Signature],
    roll: &BTreeSet<PublicKey>,
    quorum: usize,
    mut verifies: impl FnMut(&Signature) -> bool,
) -> Result<BTreeSet<PublicKey>, QuorumError> {
    let quorum = quorum.max(1);
    #[cfg(feature = "planted-bugs")]
    if crate::planted::is_planted(crate::planted::Bug::OfficialCountedTwice) {
        let valid = signatures.iter().filter(|signature| roll.contains(&signature.key) && verifies(signature));
        let keys: Vec<PublicKey> = valid.map(|signature| signature.key).collect();
        if keys.len() >= quorum {
            return Ok(keys.into_iter().collect());
        }
    }
    let mut signers = BTreeSet::new();
    for signature in signatures {
        if !signers.insert(signature.key) {
            return Err(QuorumError::Duplicate { key: signature.key });
        }
    }
    let mut members = BTreeSet::new();
    for signature in signatures.iter().filter(|signature| roll.contains(&signature.key)) {
        if !verifies(signature) {
            return Err(QuorumError::Forged { key: signature.key });
        }
        members.insert(signature.key);
        if members.len() == quorum {
            return Ok(members);
        }
    }
    let strangers = signers.len() - members.len();
    Err(QuorumError::TooFew { valid: members.len(), quorum, strangers })
}

/// The one key that must have signed, as for a receipt.
///
/// # Errors
/// As [`verify`], with a roll of one.
pub fn verify_single<T: Document>(signed: &Signed<T>, key: PublicKey) -> Result<(), QuorumError> {
    verify(signed, &BTreeSet::from([key]), 1).map(|_signers| ())
}

#[cfg(test)]
mod tests;
