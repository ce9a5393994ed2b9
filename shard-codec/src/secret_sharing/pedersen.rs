//! Dealing, verifying and reconstructing.
//!
//! The dealer draws polynomials `f` and `g` of degree `threshold - 1`, `f(0)` the secret, and publishes
//! `C_j = f_j * G + g_j * H`. Share `i` is `(f(i), g(i))`; it is good if `f(i) * G + g(i) * H = sum of i^j * C_j`.
//!
//! # Security
//! Both generators are pinned here and never received: a dealer who knows `log_G(H)` can make shares that verify
//! and do not combine. `H` is hashed to the group from a fixed label, so nobody knows it. Only `C_0 .. C_{k-1}` are
//! published, never `G^secret`. Verification multiplies secret scalars in constant time.
//!
//! # Source
//! T. P. Pedersen, *Non-interactive and information-theoretic secure verifiable secret sharing*, CRYPTO '91.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT;
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{Identity, VartimeMultiscalarMul};
use sha2::Sha512;
use vsss_rs::pedersen::PedersenOptions;
use vsss_rs::{
    IdentifierPrimeField, ParticipantIdGenerator, PedersenResult, PedersenVerifierSet, PrimeFieldShare,
    ReadableShareSet, ValueGroup, pedersen,
};
use zeroize::Zeroize;

use super::{Commitments, Share, SnapshotSecret};
use crate::index::ShareIndex;
use crate::limits::SHARES_MAX;

type ScalarShare = PrimeFieldShare<Scalar>;
type Point = ValueGroup<RistrettoPoint>;

const GENERATOR_LABEL: &[u8] = b"legation v1 pedersen H";

/// The second generator, of which nobody knows the logarithm.
static BLINDING_GENERATOR: LazyLock<RistrettoPoint> =
    LazyLock::new(|| RistrettoPoint::hash_from_bytes::<Sha512>(GENERATOR_LABEL));

/// Why a secret could not be dealt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DealError {
    /// More shares needed than dealt, none at all, or too many.
    #[error("{threshold} of {count} shares: need 1 <= threshold <= count <= {SHARES_MAX}")]
    Parameters {
        /// Shares needed.
        threshold: usize,
        /// Shares dealt.
        count: usize,
    },
    /// The library refused; with fresh randomness a second attempt succeeds.
    #[error("the sharing library refused the dealing")]
    Library,
}

/// Why a share is not the one the dealer committed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// The commitments are of another threshold: a polynomial of higher degree would not reconstruct.
    #[error("{actual} commitments, expected {expected}")]
    Threshold {
        /// The threshold agreed on.
        expected: usize,
        /// The number of commitments.
        actual: usize,
    },
    /// Somebody else's share.
    #[error("share {actual}, expected {expected}")]
    Index {
        /// The custodian's index.
        expected: ShareIndex,
        /// The share's index.
        actual: ShareIndex,
    },
    /// The dealer or the transport cheated.
    #[error("share {index} does not match the commitments")]
    Mismatch {
        /// The share's index.
        index: ShareIndex,
    },
}

/// Why shares do not reconstruct a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReconstructError {
    /// The commitments are of another threshold.
    #[error("{actual} commitments, expected {expected}")]
    Threshold {
        /// The threshold agreed on.
        expected: usize,
        /// The number of commitments.
        actual: usize,
    },
    /// Not enough distinct shares, before any is looked at.
    #[error("{actual} distinct shares, need {expected}")]
    TooFew {
        /// The threshold.
        expected: usize,
        /// Distinct indices given.
        actual: usize,
    },
    /// Some shares are wrong. Without them the rest may still be enough: ask again.
    #[error("wrong shares: {indices:?}")]
    Wrong {
        /// The indices of all shares that do not match the commitments.
        indices: Vec<ShareIndex>,
    },
    /// All shares are good and yet the result is not what was committed to.
    #[error("the reconstructed secret does not match the commitments")]
    Commitment,
}

/// Deals `secret` to `count` custodians, any `threshold` of whom reconstruct it. Indices are 1 to `count`.
///
/// Threshold 1 gives every custodian the secret itself; the library refuses it, so it is done here.
///
/// # Errors
/// Parameters that cannot be dealt.
///
/// # Security
/// The library keeps shares on the heap without wiping them; the process wipes freed memory in its allocator.
pub fn deal(
    secret: &SnapshotSecret,
    threshold: usize,
    count: usize,
    rng: &mut impl rand::CryptoRng,
) -> Result<(Vec<Share>, Commitments), DealError> {
    let Some(last) = u8::try_from(count).ok().filter(|_| (1..=count).contains(&threshold)) else {
        return Err(DealError::Parameters { threshold, count });
    };
    let indices: Vec<ShareIndex> = (1..=last).filter_map(ShareIndex::new).collect();
    deal_at(secret, threshold, &indices, rng)
}

/// Deals `secret` to the custodians at `indices`, in their order.
///
/// # Errors
/// Parameters that cannot be dealt, or an index twice.
pub(super) fn deal_at(
    secret: &SnapshotSecret,
    threshold: usize,
    indices: &[ShareIndex],
    rng: &mut impl rand::CryptoRng,
) -> Result<(Vec<Share>, Commitments), DealError> {
    deal_blinded(secret, None, threshold, indices, rng)
}

/// As [`deal_at`]; `blinding` is the other polynomial's constant term, a random one if there is none.
pub(super) fn deal_blinded(
    secret: &SnapshotSecret,
    blinding: Option<&Scalar>,
    threshold: usize,
    indices: &[ShareIndex],
    rng: &mut impl rand::CryptoRng,
) -> Result<(Vec<Share>, Commitments), DealError> {
    // The library would take one twice.
    let count = indices.iter().collect::<BTreeSet<_>>().len();
    if threshold == 0 || threshold > count || count != indices.len() {
        return Err(DealError::Parameters { threshold, count });
    }
    if threshold == 1 {
        let blinding = Box::new(blinding.copied().unwrap_or_else(|| Scalar::random(rng)));
        let share = |index: &ShareIndex| Share { index: *index, value: secret.0.clone(), blinding: blinding.clone() };
        let shares = indices.iter().map(share).collect();
        let commitments = Commitments(vec![commit(&secret.0, &blinding)]);
        return Ok((shares, commitments));
    }
    let options = PedersenOptions {
        secret: &IdentifierPrimeField(*secret.0),
        blinder: blinding.copied().map(IdentifierPrimeField),
        secret_generator: Some(ValueGroup(RISTRETTO_BASEPOINT_POINT)),
        blinder_generator: Some(ValueGroup(*BLINDING_GENERATOR)),
    };
    let identifiers: Vec<_> = indices.iter().map(|index| IdentifierPrimeField(Scalar::from(index.get()))).collect();
    let dealt = pedersen::split_secret_with_participant_generators::<ScalarShare, Point>(
        threshold,
        count,
        &options,
        rng,
        &[ParticipantIdGenerator::list(&identifiers)],
    )
    .map_err(|_library: vsss_rs::Error| DealError::Library)?;
    // The set also holds the generators and, elsewhere, the Feldman points; only these are ever published.
    let points =
        <Vec<Point> as PedersenVerifierSet<ScalarShare, Point>>::blind_verifiers(dealt.pedersen_verifier_set());
    let commitments = Commitments(points.iter().map(|point| point.0).collect());
    let pairs = dealt.secret_shares().iter().zip(dealt.blinder_shares());
    let shares: Vec<Share> = (indices.iter().zip(pairs))
        .map(|(index, (value, blinding))| Share {
            index: *index,
            value: Box::new(value.value.0),
            blinding: Box::new(blinding.value.0),
        })
        .collect();
    // A library that numbered its shares otherwise is caught here, not at the release.
    let good = shares.len() == count
        && shares.iter().all(|share| verify_share(share, share.index, threshold, &commitments).is_ok());
    if good { Ok((shares, commitments)) } else { Err(DealError::Library) }
}

/// Checks that `share` is the one that the dealer committed to for `expected_index`.
///
/// # Errors
/// Commitments of another threshold, another index, or a share that does not match.
pub fn verify_share(
    share: &Share,
    expected_index: ShareIndex,
    threshold: usize,
    commitments: &Commitments,
) -> Result<(), ShareError> {
    if commitments.threshold() != threshold {
        return Err(ShareError::Threshold { expected: threshold, actual: commitments.threshold() });
    }
    if share.index != expected_index {
        return Err(ShareError::Index { expected: expected_index, actual: share.index });
    }
    if commit(&share.value, &share.blinding) != commitment_at(commitments, share.index) {
        return Err(ShareError::Mismatch { index: share.index });
    }
    Ok(())
}

/// Reconstructs the secret from at least `threshold` distinct shares.
///
/// # Errors
/// Commitments of another threshold, too few distinct shares, or wrong ones, all of which are named.
pub fn reconstruct(
    threshold: usize,
    shares: &[Share],
    commitments: &Commitments,
) -> Result<SnapshotSecret, ReconstructError> {
    if threshold == 0 || commitments.threshold() != threshold {
        return Err(ReconstructError::Threshold { expected: threshold, actual: commitments.threshold() });
    }
    let distinct: BTreeMap<ShareIndex, &Share> = shares.iter().map(|share| (share.index, share)).collect();
    if distinct.len() < threshold {
        return Err(ReconstructError::TooFew { expected: threshold, actual: distinct.len() });
    }
    let mut indices: Vec<ShareIndex> = shares
        .iter()
        .filter(|share| verify_share(share, share.index, threshold, commitments).is_err())
        .map(Share::index)
        .collect();
    if !indices.is_empty() {
        indices.sort_unstable();
        indices.dedup();
        return Err(ReconstructError::Wrong { indices });
    }
    let chosen: Vec<&Share> = distinct.into_values().take(threshold).collect();
    let at = |share: &Share| Scalar::from(share.index.get());
    let secret = interpolate(chosen.iter().map(|share| (at(share), &share.value)))?;
    let mut blinding = interpolate(chosen.iter().map(|share| (at(share), &share.blinding)))?;
    let committed = commitments.0.first().is_some_and(|point| commit(&secret, &blinding) == *point);
    blinding.zeroize();
    let secret = SnapshotSecret(secret);
    if committed { Ok(secret) } else { Err(ReconstructError::Commitment) }
}

/// The polynomial at 0, from as many points of it as there are coefficients.
pub(super) fn interpolate<'a>(
    points: impl Iterator<Item = (Scalar, &'a Box<Scalar>)>,
) -> Result<Box<Scalar>, ReconstructError> {
    let mut shares: Vec<ScalarShare> = points.map(|(at, value)| (at, **value).into()).collect();
    // The library wants two points; one point is a constant polynomial.
    let combined = match shares.as_slice() {
        [constant] => Ok(constant.value),
        several => ReadableShareSet::combine(&several),
    };
    shares.iter_mut().for_each(|share| share.value.0.zeroize());
    combined.map(|value| Box::new(value.0)).map_err(|_library: vsss_rs::Error| ReconstructError::Commitment)
}

/// `value * G + blinding * H` in constant time.
pub(super) fn commit(value: &Scalar, blinding: &Scalar) -> RistrettoPoint {
    RistrettoPoint::mul_base(value) + *BLINDING_GENERATOR * blinding
}

/// What the dealer committed to for the share at `index`. All inputs are public.
pub(super) fn commitment_at(commitments: &Commitments, index: ShareIndex) -> RistrettoPoint {
    if commitments.0.is_empty() {
        return RistrettoPoint::identity();
    }
    let x = Scalar::from(index.get());
    // Collected: the curve library asserts that both lengths are known.
    let powers: Vec<Scalar> =
        std::iter::successors(Some(Scalar::ONE), |power| Some(power * x)).take(commitments.0.len()).collect();
    RistrettoPoint::vartime_multiscalar_mul(powers, &commitments.0)
}
