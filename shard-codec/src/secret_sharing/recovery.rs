//! Recovery: `threshold` custodians make a lost share anew for whoever lost it, and nobody else learns anything.
//!
//! `f` is the polynomial that was dealt, `i` the lost index. Each helper `j` deals a random `q_j` of degree
//! `threshold - 2` to all helpers ([`deal_mask`]). Helper `m` checks what it was dealt and answers
//! `F(m) = f(m) + (m - i) * sum of q_j(m)` ([`blind_share`]). `F` is a random polynomial of degree `threshold - 1` with
//! `F(i) = f(i)`, so `threshold` answers give the lost share and tell nothing else ([`recover_share`]). The blinding
//! polynomial goes the same way, so that every part is checked against Pedersen commitments and a wrong one is named.
//!
//! # Security
//! Fewer than `threshold` sites, the one that lost its share among them, learn only that share: one helper is honest,
//! its mask is uniform where they do not know it, and every answer contains exactly one mask of every helper. That is
//! why a helper never answers to a set of masks in which its own, or one of another helper named, is missing. A mask
//! cannot shift the result, whoever deals it: the factor `m - i` is put in by whoever uses it.
//!
//! # Source
//! A. Herzberg, S. Jarecki, H. Krawczyk, M. Yung, *Proactive secret sharing*, CRYPTO '95, section 4 (share recovery),
//! with Pedersen's commitments in place of Feldman's.

use std::collections::BTreeMap;

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use zeroize::Zeroize;

use super::pedersen::{commit, commitment_at, deal_at, interpolate};
use super::{Commitments, DealError, Share, ShareError, SnapshotSecret, verify_share};
use crate::index::ShareIndex;

/// Why a share is not blinded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlindError {
    /// The lost share is the helper's own.
    #[error("a site does not help itself")]
    OwnShare,
    /// A helper dealt a part that does not match what it published.
    #[error("mask {position} is wrong: {source}")]
    Mask {
        /// Its position among the masks.
        position: usize,
        /// How.
        source: ShareError,
    },
}

/// Why a lost share does not come back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// The commitments are of other thresholds than the secret's, or the masks' one less.
    #[error("commitments of another threshold")]
    Threshold,
    /// Not enough helpers answered.
    #[error("{actual} distinct answers, need {expected}")]
    TooFew {
        /// The threshold.
        expected: usize,
        /// Distinct indices given.
        actual: usize,
    },
    /// Helpers whose answer is not their share under these masks.
    #[error("wrong answers: {indices:?}")]
    Wrong {
        /// All of them.
        indices: Vec<ShareIndex>,
    },
    /// All answers are good and yet the result is not what was dealt.
    #[error("the share does not match the commitments")]
    Commitment,
}

/// Deals a mask to `helpers`: one part for each, in their order, and the commitments to it.
///
/// # Errors
/// A threshold below 2 (every share is the secret then, nothing can be hidden from anybody), no helpers, or one twice.
pub fn deal_mask(
    threshold: usize,
    helpers: &[ShareIndex],
    rng: &mut impl rand::CryptoRng,
) -> Result<(Vec<Share>, Commitments), DealError> {
    if threshold < 2 {
        return Err(DealError::Parameters { threshold, count: helpers.len() });
    }
    deal_at(&SnapshotSecret::random(rng), threshold - 1, helpers, rng)
}

/// What a helper gives: its share, hidden under one mask of every helper. `masks` are the parts dealt to this helper,
/// with the commitments that their dealers published.
///
/// # Errors
/// The share that was lost, or a part that does not match its commitments.
pub fn blind_share(
    share: &Share,
    threshold: usize,
    lost: ShareIndex,
    masks: &[(Share, Commitments)],
) -> Result<Share, BlindError> {
    if share.index == lost {
        return Err(BlindError::OwnShare);
    }
    let factor = distance(share.index, lost);
    let (mut value, mut blinding) = (share.value.clone(), share.blinding.clone());
    for (position, (part, commitments)) in masks.iter().enumerate() {
        verify_share(part, share.index, threshold.saturating_sub(1), commitments)
            .map_err(|source| BlindError::Mask { position, source })?;
        *value += factor * *part.value;
        *blinding += factor * *part.blinding;
    }
    Ok(Share { index: share.index, value, blinding })
}

/// The lost share, from what at least `threshold` helpers answered under the same masks.
///
/// # Errors
/// Commitments of other thresholds, too few answers, or wrong ones, all of which are named.
pub fn recover_share(
    lost: ShareIndex,
    threshold: usize,
    commitments: &Commitments,
    masks: &[Commitments],
    answers: &[Share],
) -> Result<Share, RecoverError> {
    if commitments.threshold() != threshold || masks.iter().any(|mask| mask.threshold() + 1 != threshold) {
        return Err(RecoverError::Threshold);
    }
    let distinct: BTreeMap<ShareIndex, &Share> =
        answers.iter().filter(|answer| answer.index != lost).map(|answer| (answer.index, answer)).collect();
    if distinct.len() < threshold {
        return Err(RecoverError::TooFew { expected: threshold, actual: distinct.len() });
    }
    let is_wrong = |answer: &&Share| {
        let masked: RistrettoPoint = masks.iter().map(|mask| commitment_at(mask, answer.index)).sum();
        let expected = commitment_at(commitments, answer.index) + masked * distance(answer.index, lost);
        commit(&answer.value, &answer.blinding) != expected
    };
    let wrong: Vec<ShareIndex> = distinct.values().copied().filter(is_wrong).map(Share::index).collect();
    if !wrong.is_empty() {
        return Err(RecoverError::Wrong { indices: wrong });
    }
    let chosen: Vec<&Share> = distinct.into_values().take(threshold).collect();
    // The polynomial at `lost` is, with all points moved by as much, the polynomial at 0.
    let value = interpolate(chosen.iter().map(|answer| (distance(answer.index, lost), &answer.value)));
    let blinding = interpolate(chosen.iter().map(|answer| (distance(answer.index, lost), &answer.blinding)));
    let (Ok(value), Ok(mut blinding)) = (value, blinding) else { return Err(RecoverError::Commitment) };
    if commit(&value, &blinding) != commitment_at(commitments, lost) {
        blinding.zeroize();
        drop(SnapshotSecret(value));
        return Err(RecoverError::Commitment);
    }
    Ok(Share { index: lost, value, blinding })
}

/// `from - lost`; not zero unless they are the same.
fn distance(from: ShareIndex, lost: ShareIndex) -> Scalar {
    Scalar::from(from.get()) - Scalar::from(lost.get())
}

#[cfg(test)]
mod tests;
