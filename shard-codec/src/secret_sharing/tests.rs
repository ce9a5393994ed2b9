//! Unit tests of `secret_sharing`, the hostile ones first.

use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use vsss_rs::{
    IdentifierPrimeField, PedersenResult, PedersenVerifierSet, PrimeFieldShare, ValueGroup, pedersen as library,
};

use super::*;

type LibraryShare = PrimeFieldShare<Scalar>;
type LibraryPoint = ValueGroup<RistrettoPoint>;

fn dealt(threshold: usize, count: usize) -> (SnapshotSecret, Vec<Share>, Commitments) {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let secret = SnapshotSecret::random(&mut rng);
    let (shares, commitments) = deal(&secret, threshold, count, &mut rng).unwrap();
    (secret, shares, commitments)
}

fn index(index: u8) -> ShareIndex {
    ShareIndex::new(index).unwrap()
}

fn share(index_of: u8, value: Scalar, blinding: Scalar) -> Share {
    Share { index: index(index_of), value: Box::new(value), blinding: Box::new(blinding) }
}

#[test]
fn a_dealer_who_knows_the_logarithm_of_its_own_generator_forges_nothing() {
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let logarithm = Scalar::random(&mut rng);
    let own_generator = ValueGroup(RISTRETTO_BASEPOINT_POINT * logarithm);
    let result = library::split_secret::<LibraryShare, LibraryPoint>(
        2,
        3,
        &IdentifierPrimeField(Scalar::random(&mut rng)),
        None,
        Some(ValueGroup(RISTRETTO_BASEPOINT_POINT)),
        Some(own_generator),
        &mut rng,
    )
    .unwrap();
    // (s + a, t - 1) commits to the same point as (s, t) under H = a * G.
    let mut forged = result.secret_shares()[0];
    let mut blinder = result.blinder_shares()[0];
    forged.value.0 += logarithm;
    blinder.value.0 -= Scalar::ONE;
    let set = result.pedersen_verifier_set();
    assert!(PedersenVerifierSet::<LibraryShare, LibraryPoint>::verify_blinded_share(set, &forged, &blinder).is_ok());
    let points = <Vec<LibraryPoint> as PedersenVerifierSet<LibraryShare, LibraryPoint>>::blind_verifiers(set);
    let commitments = Commitments(points.iter().map(|point| point.0).collect());
    let forged = share(1, forged.value.0, blinder.value.0);
    assert_eq!(verify_share(&forged, index(1), 2, &commitments), Err(ShareError::Mismatch { index: index(1) }));
}

#[test]
fn commitments_of_another_threshold_are_refused_before_anything_else() {
    let (_, shares, commitments) = dealt(3, 5);
    for threshold in [0, 1, 2, 4] {
        assert_eq!(
            verify_share(&shares[0], index(1), threshold, &commitments),
            Err(ShareError::Threshold { expected: threshold, actual: 3 })
        );
        assert_eq!(
            reconstruct(threshold, &shares, &commitments).unwrap_err(),
            ReconstructError::Threshold { expected: threshold, actual: 3 }
        );
    }
}

#[test]
fn somebody_elses_share_is_refused() {
    let (_, shares, commitments) = dealt(2, 3);
    assert_eq!(
        verify_share(&shares[1], index(1), 2, &commitments),
        Err(ShareError::Index { expected: index(1), actual: index(2) })
    );
    let renumbered = share(1, *shares[1].value, *shares[1].blinding);
    assert_eq!(verify_share(&renumbered, index(1), 2, &commitments), Err(ShareError::Mismatch { index: index(1) }));
}

#[test]
fn duplicates_do_not_count() {
    let (_, mut shares, commitments) = dealt(2, 3);
    shares.truncate(1);
    shares.push(share(1, *shares[0].value, *shares[0].blinding));
    assert_eq!(reconstruct(2, &shares, &commitments).unwrap_err(), ReconstructError::TooFew { expected: 2, actual: 1 });
}

#[test]
fn every_wrong_share_is_named() {
    let (secret, mut shares, commitments) = dealt(3, 5);
    *shares[1].value += Scalar::ONE;
    *shares[4].blinding += Scalar::ONE;
    assert_eq!(
        reconstruct(3, &shares, &commitments).unwrap_err(),
        ReconstructError::Wrong { indices: vec![index(2), index(5)] }
    );
    shares.retain(|share| ![2, 5].contains(&share.index.get()));
    assert!(bool::from(reconstruct(3, &shares, &commitments).unwrap().ct_eq(&secret)));
}

#[test]
fn shares_of_another_dealing_are_named() {
    let (_, shares, _) = dealt(2, 2);
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let (_, others) = deal(&SnapshotSecret::random(&mut rng), 2, 2, &mut rng).unwrap();
    assert_eq!(
        reconstruct(2, &shares, &others).unwrap_err(),
        ReconstructError::Wrong { indices: vec![index(1), index(2)] }
    );
}

#[test]
fn impossible_dealings_are_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let secret = SnapshotSecret::random(&mut rng);
    for (threshold, count) in [(0, 0), (0, 3), (4, 3), (1, 256), (256, 256), (usize::MAX, usize::MAX)] {
        let refused = deal(&secret, threshold, count, &mut rng).unwrap_err();
        assert_eq!(refused, DealError::Parameters { threshold, count });
    }
}

#[test]
fn bytes_that_are_no_share_are_refused() {
    let (_, shares, _) = dealt(2, 2);
    let good = shares[0].to_bytes().expose(|bytes| bytes.to_vec());
    assert_eq!(Share::from_bytes(&good[..64]).unwrap_err(), ParseShareError::Length { actual: 64 });
    let mut zero = good.clone();
    zero[0] = 0;
    assert_eq!(Share::from_bytes(&zero).unwrap_err(), ParseShareError::IndexZero);
    // The group order l is the smallest scalar that is not canonical: l - 1 plus one.
    let mut order = (-Scalar::ONE).to_bytes();
    order[0] += 1;
    for start in [1, 33] {
        let mut bad = good.clone();
        bad[start..start + 32].copy_from_slice(&order);
        assert_eq!(Share::from_bytes(&bad).unwrap_err(), ParseShareError::NotCanonical { index: index(1) });
    }
}

#[test]
fn bytes_that_are_no_commitments_are_refused() {
    let (_, _, commitments) = dealt(2, 2);
    let good = commitments.to_bytes();
    assert_eq!(Commitments::from_bytes(&[]), Err(ParseCommitmentsError::Count { actual: 0 }));
    assert_eq!(Commitments::from_bytes(&vec![good[0]; 256]), Err(ParseCommitmentsError::Count { actual: 256 }));
    for bad in [[0; 32], [0xff; 32], [1; 32]] {
        let refused = Commitments::from_bytes(&[good[0], bad]);
        assert_eq!(refused, Err(ParseCommitmentsError::Point { position: 1 }));
    }
    assert_eq!(Commitments::from_bytes(&good), Ok(commitments));
}

#[test]
fn every_threshold_reconstructs() {
    for (threshold, count) in [(1, 1), (1, 3), (2, 2), (2, 3), (5, 9)] {
        let (secret, shares, commitments) = dealt(threshold, count);
        assert_eq!(commitments.threshold(), threshold);
        for start in 0..=count - threshold {
            let chosen = &shares[start..start + threshold];
            assert!(bool::from(reconstruct(threshold, chosen, &commitments).unwrap().ct_eq(&secret)));
            let refused = reconstruct(threshold, &chosen[1..], &commitments).unwrap_err();
            assert_eq!(refused, ReconstructError::TooFew { expected: threshold, actual: threshold - 1 });
        }
    }
}

#[test]
fn nothing_secret_is_printed() {
    let (secret, shares, _) = dealt(2, 2);
    assert_eq!(format!("{secret:?} {:?}", shares[0]), "SnapshotSecret(redacted) Share(1, redacted)");
    let key = format!("{:?}", secret.snapshot_key(b"context"));
    assert_eq!(key, "SnapshotKey(SecretBytes<32>(redacted))");
}
