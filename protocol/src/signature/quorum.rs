//! The one quorum verifier.
//!
//! Every decision that needs signatures comes through here, from a single writer to the quorum of a charter. It
//! refuses one key counted twice, and any signature that does not verify, before it counts.

use std::collections::BTreeSet;

use crate::document::Document;
use crate::signature::{PublicKey, Signed};

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
        /// Valid signatures by keys outside the roll.
        strangers: usize,
    },
}

/// The members of `roll` who signed `signed`, if they are at least `quorum`.
///
/// # Errors
/// A duplicate or forged signature anywhere, or too few distinct members.
pub fn verify<T: Document>(
    signed: &Signed<T>,
    roll: &BTreeSet<PublicKey>,
    quorum: usize,
) -> Result<BTreeSet<PublicKey>, QuorumError> {
    let message = signed.message();
    let mut signers = BTreeSet::new();
    for signature in signed.signatures() {
        if !signers.insert(signature.key) {
            return Err(QuorumError::Duplicate { key: signature.key });
        }
        if !signature.key.verifies(&message, &signature.signature) {
            return Err(QuorumError::Forged { key: signature.key });
        }
    }
    let members: BTreeSet<PublicKey> = signers.intersection(roll).copied().collect();
    if members.len() < quorum.max(1) {
        let strangers = signers.len() - members.len();
        return Err(QuorumError::TooFew { valid: members.len(), quorum: quorum.max(1), strangers });
    }
    Ok(members)
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
