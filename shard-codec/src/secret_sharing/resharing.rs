//! Resharing: those who hold the shares of a secret give it to another set of custodians, under another threshold if
//! they want, and nobody ever holds the secret. Shares from before and after do not mix.
//!
//! `threshold` holders each deal their own share, value and blinding, as a secret is dealt ([`redeal`]). The first
//! commitment of such a dealing is the commitment to that share, which everybody knows: a holder can deal nothing else
//! ([`check_dealing`]). New share `i` is the interpolation at 0 of what the dealers dealt to `i` ([`combine_parts`]), and
//! the new commitments are the same interpolation of theirs ([`combine_commitments`]). `C_0` never changes: it is what
//! tells, in every epoch, that the shares are of the same secret.
//!
//! # Security
//! One honest dealer's polynomial is random but for its constant term, so the new polynomial is too: fewer than the old
//! threshold of old shares and fewer than the new threshold of new ones tell nothing together. Old shares must be
//! erased, or a later thief finds them. Whoever combines must use exactly `threshold` dealers, and all the same ones:
//! agreeing on them is not done here.
//!
//! # Source
//! Y. Desmedt, S. Jajodia, *Redistributing secret shares to new access structures and its applications*, 1997; T. M.
//! Wong, C. Wang, J. M. Wing, *Verifiable secret redistribution for archive systems*, SISW '02; with Pedersen's
//! commitments, whose blinding is dealt on with the value.

use std::collections::BTreeSet;

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul;

use super::pedersen::{commitment_at, deal_blinded, interpolate};
use super::{Commitments, DealError, Share, ShareError, SnapshotSecret, verify_share};
use crate::index::ShareIndex;

/// Why dealings do not make new commitments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReshareError {
    /// Not as many dealers as reconstruct the secret, or one twice.
    #[error("{actual} distinct dealers, need exactly {expected}")]
    Dealers {
        /// The old threshold.
        expected: usize,
        /// Distinct dealers given.
        actual: usize,
    },
    /// What this dealer published is not a dealing of its own share, under the new threshold.
    #[error("the dealing of share {dealer} is not one of that share")]
    Dealing {
        /// Its index.
        dealer: ShareIndex,
    },
    /// What this dealer handed over does not match what it published.
    #[error("the part from share {dealer} is wrong: {source}")]
    Part {
        /// Its index.
        dealer: ShareIndex,
        /// How.
        source: ShareError,
    },
    /// The result is not a sharing of the same secret.
    #[error("the new sharing is not of the same secret")]
    Secret,
}

/// Deals the holder's own share to the custodians at `indices`, any `threshold` of whom stand for it.
///
/// # Errors
/// Parameters that cannot be dealt, or an index twice.
pub fn redeal(
    share: &Share,
    threshold: usize,
    indices: &[ShareIndex],
    rng: &mut impl rand::CryptoRng,
) -> Result<(Vec<Share>, Commitments), DealError> {
    deal_blinded(&SnapshotSecret(share.value.clone()), Some(&share.blinding), threshold, indices, rng)
}

/// Whether `dealing` deals share `dealer` of those that `old` commits to, under `threshold`. Everything here is public.
///
/// # Errors
/// [`ReshareError::Dealing`].
pub fn check_dealing(
    old: &Commitments,
    dealer: ShareIndex,
    threshold: usize,
    dealing: &Commitments,
) -> Result<(), ReshareError> {
    let is_of_share = dealing.0.first() == Some(&commitment_at(old, dealer));
    if is_of_share && dealing.threshold() == threshold { Ok(()) } else { Err(ReshareError::Dealing { dealer }) }
}

/// The commitments to the new shares, from the dealings of exactly as many holders as reconstruct the secret.
/// Everything here is public.
///
/// # Errors
/// Too few, too many or repeated dealers; a dealing that is not of its dealer's share; another secret.
pub fn combine_commitments(
    old: &Commitments,
    threshold: usize,
    dealings: &[(ShareIndex, Commitments)],
) -> Result<Commitments, ReshareError> {
    let weights = weights(old.threshold(), dealings.iter().map(|(dealer, _dealing)| *dealer))?;
    for (dealer, dealing) in dealings {
        check_dealing(old, *dealer, threshold, dealing)?;
    }
    let coefficient = |position: usize| {
        let points = dealings.iter().filter_map(|(_dealer, dealing)| dealing.0.get(position));
        let points: Vec<RistrettoPoint> = points.copied().collect();
        RistrettoPoint::vartime_multiscalar_mul(&weights, &points)
    };
    let combined = Commitments((0..threshold).map(coefficient).collect());
    if combined.0.first() == old.0.first() { Ok(combined) } else { Err(ReshareError::Secret) }
}

/// The new share of the custodian at `own`, from what every dealer dealt to it. `parts` holds, for each dealer, the part
/// and the dealing that it belongs to; `old` and `new` are the commitments before and after.
///
/// # Errors
/// The dealer whose part does not match its dealing; another number of dealers; a result that `new` does not commit to.
pub fn combine_parts(
    own: ShareIndex,
    old: &Commitments,
    new: &Commitments,
    parts: &[(ShareIndex, Share, Commitments)],
) -> Result<Share, ReshareError> {
    // Checks their number; the sharing library interpolates the secrets.
    let _weights = weights(old.threshold(), parts.iter().map(|(dealer, _part, _dealing)| *dealer))?;
    for (dealer, part, dealing) in parts {
        verify_share(part, own, new.threshold(), dealing)
            .map_err(|source| ReshareError::Part { dealer: *dealer, source })?;
    }
    let at = |dealer: &ShareIndex| Scalar::from(dealer.get());
    let value = interpolate(parts.iter().map(|(dealer, part, _dealing)| (at(dealer), &part.value)));
    let blinding = interpolate(parts.iter().map(|(dealer, part, _dealing)| (at(dealer), &part.blinding)));
    let (Ok(value), Ok(blinding)) = (value, blinding) else { return Err(ReshareError::Secret) };
    let share = Share { index: own, value, blinding };
    verify_share(&share, own, new.threshold(), new).map_err(|_mismatch: ShareError| ReshareError::Secret)?;
    Ok(share)
}

/// Lagrange's coefficients at 0 for exactly `threshold` distinct dealers, in their order.
fn weights(threshold: usize, dealers: impl Iterator<Item = ShareIndex>) -> Result<Vec<Scalar>, ReshareError> {
    let dealers: Vec<ShareIndex> = dealers.collect();
    let distinct: BTreeSet<&ShareIndex> = dealers.iter().collect();
    if distinct.len() != dealers.len() || dealers.len() != threshold {
        return Err(ReshareError::Dealers { expected: threshold, actual: distinct.len() });
    }
    let points: Vec<Scalar> = dealers.iter().map(|dealer| Scalar::from(dealer.get())).collect();
    let weight = |own: &Scalar| {
        let others = points.iter().filter(|other| *other != own);
        let (above, below) =
            others.fold((Scalar::ONE, Scalar::ONE), |(above, below), other| (above * other, below * (other - own)));
        above * below.invert()
    };
    Ok(points.iter().map(weight).collect())
}

#[cfg(test)]
mod tests;
