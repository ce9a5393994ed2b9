//! Manifests that contradict themselves or a bound.

use crate::document::Manifest;
use crate::fixture::{State, stripe};
use crate::limits::STRIPE_NUMBER_MAX;
use crate::signature::{EnvelopeError, Signed};

/// What is wrong with a good manifest after `change`.
fn invalid(change: impl FnOnce(&mut Manifest)) -> Option<String> {
    let mut manifest = State::new().snapshot(None, 2).manifest.document().clone();
    change(&mut manifest);
    match Signed::draft(manifest) {
        Ok(_good) => None,
        Err(EnvelopeError::Invalid { kind: "manifest", reason }) => Some(reason),
        Err(other) => panic!("refused for another reason: {other}"),
    }
}

/// A home goes on after the highest number any manifest used: one that names the last of all would be its last.
#[test]
fn a_writer_cannot_use_the_stripe_numbers_up() {
    let with = |number| invalid(|manifest| manifest.stripes_added.push(stripe(number, 7)));
    let expected = Some("stripe numbers end at 281474976710656".to_owned());
    assert_eq!(with(STRIPE_NUMBER_MAX), None);
    assert_eq!(with(STRIPE_NUMBER_MAX + 1), expected);
    assert_eq!(with(u64::MAX), expected);
    // Nor behind a smaller one: numbers grow.
    let hidden = invalid(|manifest| manifest.stripes_added.insert(0, stripe(u64::MAX, 7)));
    assert_eq!(hidden, Some("stripe numbers must grow".to_owned()));
}

#[test]
fn stripes_and_shares_that_do_not_fit() {
    let grow = Some("stripe numbers must grow".to_owned());
    assert_eq!(invalid(|manifest| manifest.stripes_added.swap(0, 1)), grow);
    assert_eq!(invalid(|manifest| manifest.stripes_added[1] = manifest.stripes_added[0].clone()), grow);
    let wrong = Some("stripe 1000 has a wrong number of roots or bytes".to_owned());
    assert_eq!(invalid(|manifest| manifest.stripes_added[0] = stripe(1_000, 6)), wrong);
    assert_eq!(invalid(|manifest| manifest.stripes_added[0].payload_bytes = 0), wrong);
    assert_eq!(invalid(|manifest| manifest.stripes_added[0].payload_bytes = (64 << 20) + 1), wrong);
    let dropped = Some("dropped stripes must be sorted, each once".to_owned());
    assert_eq!(invalid(|manifest| manifest.stripes_dropped = vec![7, 7]), dropped);
    let digests = Some("needs one share digest for each custodian".to_owned());
    assert_eq!(invalid(|manifest| manifest.custody.share_digests.truncate(6)), digests);
    let root = Some("the sealed root is empty or too long".to_owned());
    assert_eq!(invalid(|manifest| manifest.sealed_root.clear()), root);
    assert_eq!(invalid(|manifest| manifest.sealed_root = vec![0; (256 << 10) + 1]), root);
}
