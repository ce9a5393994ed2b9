//! Unit tests of `recovery`, the hostile ones first.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::super::{deal, verify_share};
use super::*;

fn index(index: u8) -> ShareIndex {
    ShareIndex::new(index).unwrap()
}

fn copy(share: &Share) -> Share {
    Share { index: share.index, value: share.value.clone(), blinding: share.blinding.clone() }
}

/// A dealt secret, a lost index, its helpers, and what each of them dealt to each of them.
struct Recovery {
    threshold: usize,
    shares: Vec<Share>,
    commitments: Commitments,
    lost: ShareIndex,
    helpers: Vec<ShareIndex>,
    dealt: Vec<(Vec<Share>, Commitments)>,
}

impl Recovery {
    fn of(threshold: usize, count: usize, lost: u8, helpers: &[u8]) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(11);
        let secret = SnapshotSecret::random(&mut rng);
        let (shares, commitments) = deal(&secret, threshold, count, &mut rng).unwrap();
        let helpers: Vec<ShareIndex> = helpers.iter().copied().map(index).collect();
        let dealt = helpers.iter().map(|_helper| deal_mask(threshold, &helpers, &mut rng).unwrap()).collect();
        Self { threshold, shares, commitments, lost: index(lost), helpers, dealt }
    }

    fn masks_for(&self, helper: usize) -> Vec<(Share, Commitments)> {
        self.dealt.iter().map(|(parts, commitments)| (copy(&parts[helper]), commitments.clone())).collect()
    }

    fn answer(&self, helper: usize) -> Result<Share, BlindError> {
        let share = &self.shares[usize::from(self.helpers[helper].get()) - 1];
        blind_share(share, self.threshold, self.lost, &self.masks_for(helper))
    }

    fn answers(&self) -> Vec<Share> {
        (0..self.helpers.len()).map(|helper| self.answer(helper).unwrap()).collect()
    }

    fn recover(&self, answers: &[Share]) -> Result<Share, RecoverError> {
        let masks: Vec<Commitments> = self.dealt.iter().map(|(_parts, commitments)| commitments.clone()).collect();
        recover_share(self.lost, self.threshold, &self.commitments, &masks, answers)
    }
}

#[test]
fn a_helper_that_answers_wrongly_is_named() {
    let recovery = Recovery::of(3, 5, 2, &[1, 3, 5]);
    let mut answers = recovery.answers();
    *answers[1].value += Scalar::ONE;
    assert_eq!(recovery.recover(&answers).unwrap_err(), RecoverError::Wrong { indices: vec![index(3)] });
    // Its share as it is, under no mask, is a wrong answer too.
    let mut answers = recovery.answers();
    answers[2] = copy(&recovery.shares[4]);
    assert_eq!(recovery.recover(&answers).unwrap_err(), RecoverError::Wrong { indices: vec![index(5)] });
}

#[test]
fn a_dealer_of_a_wrong_mask_is_named_by_whoever_got_it() {
    let mut recovery = Recovery::of(3, 5, 2, &[1, 3, 5]);
    *recovery.dealt[1].0[2].blinding += Scalar::ONE;
    let mismatch = ShareError::Mismatch { index: index(5) };
    assert_eq!(recovery.answer(2).unwrap_err(), BlindError::Mask { position: 1, source: mismatch });
    assert!(recovery.answer(0).is_ok());
    // A mask of a higher degree would not cancel; one for another helper is not this one's.
    let mut recovery = Recovery::of(3, 5, 2, &[1, 3, 5]);
    let mut rng = ChaCha20Rng::seed_from_u64(12);
    recovery.dealt[0] = deal_mask(4, &recovery.helpers, &mut rng).unwrap();
    assert!(matches!(recovery.answer(0), Err(BlindError::Mask { position: 0, .. })));
    let mut recovery = Recovery::of(3, 5, 2, &[1, 3, 5]);
    recovery.dealt[0].0.swap(0, 1);
    assert!(matches!(recovery.answer(0), Err(BlindError::Mask { position: 0, .. })));
}

#[test]
fn too_few_helpers_one_twice_or_the_loser_itself_are_not_enough() {
    let recovery = Recovery::of(3, 5, 2, &[1, 3, 5]);
    let mut answers = recovery.answers();
    answers.push(copy(&answers[0]));
    answers.push(copy(&recovery.shares[1]));
    answers.remove(1);
    assert_eq!(recovery.recover(&answers).unwrap_err(), RecoverError::TooFew { expected: 3, actual: 2 });
    let own = blind_share(&recovery.shares[1], 3, index(2), &[]).unwrap_err();
    assert_eq!(own, BlindError::OwnShare);
}

#[test]
fn masks_that_cannot_hide_anything_are_not_dealt() {
    let mut rng = ChaCha20Rng::seed_from_u64(13);
    for (threshold, helpers) in [(0, vec![1, 2]), (1, vec![1]), (2, vec![]), (3, vec![1]), (3, vec![1, 1, 1])] {
        let helpers: Vec<ShareIndex> = helpers.into_iter().map(index).collect();
        assert!(matches!(deal_mask(threshold, &helpers, &mut rng), Err(DealError::Parameters { .. })), "{threshold}");
    }
}

#[test]
fn an_answer_is_neither_the_share_nor_the_same_twice() {
    let (first, second) = (Recovery::of(3, 5, 2, &[1, 3, 5]), Recovery::of(3, 5, 2, &[1, 3, 5]));
    let mut other = second;
    let mut rng = ChaCha20Rng::seed_from_u64(14);
    other.dealt[0] = deal_mask(3, &other.helpers, &mut rng).unwrap();
    for (helper, (one, another)) in first.answers().iter().zip(other.answers()).enumerate() {
        let share = &first.shares[usize::from(first.helpers[helper].get()) - 1];
        assert!(*one.value != *share.value && *one.blinding != *share.blinding);
        assert!(*one.value != *another.value && *one.blinding != *another.blinding);
    }
}

#[test]
fn every_share_comes_back_from_every_set_of_helpers() {
    for (threshold, count) in [(2u8, 2u8), (2, 3), (3, 5), (4, 4), (5, 7)] {
        for lost in 1..=count {
            let others: Vec<u8> = (1..=count).filter(|other| *other != lost).collect();
            for chosen in 0u32..1 << others.len() {
                if chosen.count_ones() != u32::from(threshold) {
                    continue;
                }
                let helpers: Vec<u8> =
                    (0..others.len()).filter(|at| chosen >> at & 1 == 1).map(|at| others[at]).collect();
                let recovery = Recovery::of(threshold.into(), count.into(), lost, &helpers);
                let share = recovery.recover(&recovery.answers()).unwrap();
                let dealt = &recovery.shares[usize::from(lost) - 1];
                assert!(*share.value == *dealt.value && *share.blinding == *dealt.blinding);
                verify_share(&share, index(lost), threshold.into(), &recovery.commitments).unwrap();
            }
        }
    }
}
