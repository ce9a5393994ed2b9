//! Unit tests of `resharing`, the hostile ones first.

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::super::{ReconstructError, deal, reconstruct};
use super::*;

fn indices(count: u8) -> Vec<ShareIndex> {
    (1..=count).filter_map(ShareIndex::new).collect()
}

fn copy(share: &Share) -> Share {
    Share { index: share.index, value: share.value.clone(), blinding: share.blinding.clone() }
}

/// A sharing, and the dealings of some of its holders to new custodians.
struct Resharing {
    secret: SnapshotSecret,
    old_shares: Vec<Share>,
    old: Commitments,
    new_threshold: usize,
    new_count: u8,
    dealt: Vec<(ShareIndex, Vec<Share>, Commitments)>,
}

impl Resharing {
    fn of(threshold: usize, count: usize, dealers: &[u8], new_threshold: usize, new_count: u8, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let secret = SnapshotSecret::random(&mut rng);
        let (old_shares, old) = deal(&secret, threshold, count, &mut rng).unwrap();
        let mut resharing = Self { secret, old_shares, old, new_threshold, new_count, dealt: Vec::new() };
        for dealer in dealers {
            let share = &resharing.old_shares[usize::from(*dealer) - 1];
            let (parts, dealing) = redeal(share, new_threshold, &indices(new_count), &mut rng).unwrap();
            resharing.dealt.push((share.index, parts, dealing));
        }
        resharing
    }

    fn dealings(&self) -> Vec<(ShareIndex, Commitments)> {
        self.dealt.iter().map(|(dealer, _parts, dealing)| (*dealer, dealing.clone())).collect()
    }

    fn new_commitments(&self) -> Result<Commitments, ReshareError> {
        combine_commitments(&self.old, self.new_threshold, &self.dealings())
    }

    fn parts_for(&self, own: ShareIndex) -> Vec<(ShareIndex, Share, Commitments)> {
        let part = |parts: &[Share]| copy(&parts[usize::from(own.get()) - 1]);
        self.dealt.iter().map(|(dealer, parts, dealing)| (*dealer, part(parts), dealing.clone())).collect()
    }

    fn new_shares(&self) -> Vec<Share> {
        let new = self.new_commitments().unwrap();
        let combine = |own| combine_parts(own, &self.old, &new, &self.parts_for(own)).unwrap();
        indices(self.new_count).into_iter().map(combine).collect()
    }
}

#[test]
fn a_dealer_that_deals_another_secret_is_named() {
    let mut resharing = Resharing::of(3, 5, &[1, 3, 5], 4, 7, 1);
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let foreign = SnapshotSecret::random(&mut rng);
    let (parts, dealing) = deal(&foreign, 4, 7, &mut rng).unwrap();
    (resharing.dealt[1].1, resharing.dealt[1].2) = (parts, dealing);
    let dealer = resharing.dealt[1].0;
    assert_eq!(resharing.new_commitments(), Err(ReshareError::Dealing { dealer }));
}

#[test]
fn a_dealer_that_deals_under_another_threshold_is_named() {
    let mut resharing = Resharing::of(3, 5, &[1, 3, 5], 4, 7, 1);
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    for wrong in [3, 5] {
        let (parts, dealing) = redeal(&resharing.old_shares[2], wrong, &indices(7), &mut rng).unwrap();
        (resharing.dealt[1].1, resharing.dealt[1].2) = (parts, dealing);
        let dealer = resharing.dealt[1].0;
        assert_eq!(resharing.new_commitments(), Err(ReshareError::Dealing { dealer }));
    }
}

#[test]
fn a_dealer_that_hands_over_a_wrong_part_is_named() {
    let resharing = Resharing::of(3, 5, &[2, 3, 4], 4, 7, 1);
    let new = resharing.new_commitments().unwrap();
    let own = indices(7)[5];
    let mut parts = resharing.parts_for(own);
    *parts[2].1.value += Scalar::ONE;
    let error = combine_parts(own, &resharing.old, &new, &parts).unwrap_err();
    assert!(matches!(error, ReshareError::Part { dealer, .. } if dealer == parts[2].0), "{error}");
    // The part of another custodian.
    let mut parts = resharing.parts_for(own);
    parts[0].1 = copy(&resharing.dealt[0].1[0]);
    let error = combine_parts(own, &resharing.old, &new, &parts).unwrap_err();
    assert!(matches!(error, ReshareError::Part { dealer, .. } if dealer == parts[0].0), "{error}");
}

#[test]
fn parts_of_other_dealers_than_the_agreed_ones_are_refused() {
    let mut agreed = Resharing::of(3, 5, &[1, 2, 3], 3, 5, 1);
    let new = agreed.new_commitments().unwrap();
    let own = indices(5)[0];
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let share = copy(&agreed.old_shares[3]);
    let (parts, dealing) = redeal(&share, 3, &indices(5), &mut rng).unwrap();
    agreed.dealt[2] = (share.index, parts, dealing);
    let error = combine_parts(own, &agreed.old, &new, &agreed.parts_for(own)).unwrap_err();
    assert_eq!(error, ReshareError::Secret);
}

#[test]
fn a_wrong_number_of_dealers_is_refused() {
    for (dealers, distinct) in [(&[1, 2][..], 2), (&[1, 2, 3, 4], 4), (&[1, 2, 2], 2)] {
        let resharing = Resharing::of(3, 5, dealers, 3, 5, 1);
        let expected = ReshareError::Dealers { expected: 3, actual: distinct };
        assert_eq!(resharing.new_commitments(), Err(expected.clone()));
        let own = indices(5)[0];
        let parts = resharing.parts_for(own);
        assert_eq!(combine_parts(own, &resharing.old, &resharing.old, &parts).unwrap_err(), expected);
    }
}

/// What remains of a sharing after it was given on is worth nothing beside shares of the next one.
#[test]
fn old_and_new_shares_do_not_mix() {
    let resharing = Resharing::of(3, 5, &[1, 3, 5], 3, 5, 1);
    let (new_shares, new) = (resharing.new_shares(), resharing.new_commitments().unwrap());
    for old_index in 0..5 {
        let others = new_shares.iter().filter(|share| usize::from(share.index.get()) != old_index + 1).take(2);
        let mut mixed: Vec<Share> = others.map(copy).collect();
        mixed.push(copy(&resharing.old_shares[old_index]));
        for commitments in [&resharing.old, &new] {
            assert!(matches!(reconstruct(3, &mixed, commitments), Err(ReconstructError::Wrong { .. })));
        }
        // Not even for one who does not care for commitments.
        let points = mixed.iter().map(|share| (Scalar::from(share.index.get()), &share.value));
        assert_ne!(*interpolate(points).unwrap(), *resharing.secret.0);
    }
}

/// With one honest dealer, `threshold - 1` old and as many new shares fit every secret: for each there is a polynomial
/// of that dealer that they all lie on.
#[test]
fn one_short_in_both_epochs_tells_nothing() {
    let resharing = Resharing::of(2, 3, &[1, 2], 2, 3, 1);
    let new_shares = resharing.new_shares();
    // The thief holds old share 2, what dealer 2 dealt, and new share 3. Whatever the secret is, old share 1 follows from
    // it and old share 2, and a slope of dealer 1's polynomial explains the new share: lambda_1 = 2, lambda_2 = -1.
    let old_two = *resharing.old_shares[1].value;
    let dealt_by_two = *resharing.dealt[1].1[2].value;
    for guess in [0_u8, 1, 99] {
        let secret = Scalar::from(guess);
        let half = Scalar::from(2_u8).invert();
        let old_one = (secret + old_two) * half; // f(1) of the line through (0, secret) and (2, old_two)
        let part_of_one = (*new_shares[2].value + dealt_by_two) * half;
        let slope = (part_of_one - old_one) * Scalar::from(3_u8).invert();
        let explained = Scalar::from(2_u8) * (old_one + slope * Scalar::from(3_u8)) - dealt_by_two;
        assert_eq!(explained, *new_shares[2].value, "guess {guess} fits what is seen");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_new_threshold_reconstructs_the_same_secret(
        (threshold, count) in (1_usize..=5).prop_flat_map(|threshold| (Just(threshold), threshold..=7)),
        (new_threshold, new_count) in (1_u8..=6).prop_flat_map(|threshold| (Just(threshold), threshold..=9)),
        seed in any::<u64>(),
    ) {
        // The last holders deal, so that the indices are not the first ones.
        let dealers: Vec<u8> = (1..=count).rev().take(threshold).map(|index| u8::try_from(index).unwrap()).collect();
        let resharing = Resharing::of(threshold, count, &dealers, usize::from(new_threshold), new_count, seed);
        let new = resharing.new_commitments().unwrap();
        let shares: Vec<Share> = resharing.new_shares().into_iter().rev().take(usize::from(new_threshold)).collect();
        let secret = reconstruct(usize::from(new_threshold), &shares, &new).unwrap();
        prop_assert!(bool::from(secret.ct_eq(&resharing.secret)));
        if new_threshold > 1 {
            let short = reconstruct(usize::from(new_threshold), &shares[1..], &new);
            prop_assert!(matches!(short, Err(ReconstructError::TooFew { .. })), "one short");
        }
    }
}
