//! Attacks on the count of signers. Each would pass if one line of the verifier were missing.

use std::collections::BTreeSet;

use super::{QuorumError, count as count_members, verify, verify_single};
use crate::cbor;
use crate::document::{Bearer, Card, ReleaseOrder};
use crate::fixture::{State, sign};
use crate::signature::{Envelope, EnvelopeError, PublicKey, Signature, Signed};

fn opened(bytes: &[u8]) -> Envelope {
    cbor::decode(bytes, 1 << 20).unwrap()
}

fn closed(envelope: &Envelope) -> Signed<ReleaseOrder> {
    Signed::decode(&cbor::encode(envelope)).unwrap()
}

fn count(state: &State, order: &Signed<ReleaseOrder>) -> Result<usize, QuorumError> {
    verify(order, &state.charter().roll(), 3).map(|signers| signers.len())
}

#[test]
fn a_quorum_decides_and_one_less_does_not() {
    let state = State::new();
    for signers in 0..=5 {
        let expected =
            if signers >= 3 { Ok(3) } else { Err(QuorumError::TooFew { valid: signers, quorum: 3, strangers: 0 }) };
        assert_eq!(count(&state, &state.order(signers, |_| {})), expected);
    }
}

#[test]
fn a_quorum_of_nobody_still_needs_somebody() {
    let state = State::new();
    let nobody = state.order(0, |_| {});
    let expected = Err(QuorumError::TooFew { valid: 0, quorum: 1, strangers: 0 });
    assert_eq!(verify(&nobody, &state.charter().roll(), 0), expected);
    assert_eq!(verify(&nobody, &BTreeSet::new(), 0), expected);
}

#[test]
fn one_official_twice_counts_for_nothing() {
    let state = State::new();
    let mut envelope = opened(&state.order(2, |_| {}).encode());
    let key = envelope.signatures[0].key;
    envelope.signatures.push(envelope.signatures[0].clone());
    assert_eq!(count(&state, &closed(&envelope)), Err(QuorumError::Duplicate { key }));
    // Beyond the quorum too: a file with it was tampered with.
    let mut envelope = opened(&state.order(4, |_| {}).encode());
    let key = envelope.signatures[3].key;
    envelope.signatures.push(envelope.signatures[3].clone());
    assert_eq!(count(&state, &closed(&envelope)), Err(QuorumError::Duplicate { key }));
}

#[test]
fn a_forged_signature_never_counts() {
    let state = State::new();
    let mut envelope = opened(&state.order(2, |_| {}).encode());
    let key = state.officials[4].public();
    envelope.signatures.push(Signature { key, signature: [7; 64] });
    assert_eq!(count(&state, &closed(&envelope)), Err(QuorumError::Forged { key }));
    // In front of a quorum it is found; behind one nobody looks at it, and it decides nothing.
    let mut envelope = opened(&state.order(3, |_| {}).encode());
    envelope.signatures.insert(0, Signature { key, signature: [7; 64] });
    assert_eq!(count(&state, &closed(&envelope)), Err(QuorumError::Forged { key }));
    envelope.signatures.rotate_left(1);
    let signers = verify(&closed(&envelope), &state.charter().roll(), 3).unwrap();
    assert_eq!(signers, state.officials[..3].iter().map(super::super::Keypair::public).collect());
    // One official's signature under another official's name.
    let mut envelope = opened(&state.order(2, |_| {}).encode());
    envelope.signatures.push(Signature { key, signature: envelope.signatures[0].signature });
    assert_eq!(count(&state, &closed(&envelope)), Err(QuorumError::Forged { key }));
}

#[test]
fn altered_after_signing() {
    let state = State::new();
    let signed = opened(&state.order(3, |_| {}).encode());
    let key = signed.signatures[0].key;
    let mut order = state.order(3, |_| {}).document().clone();
    order.recipient = state.officials[4].public();
    let altered = Envelope { payload: cbor::encode(&order), ..signed };
    assert_eq!(count(&state, &closed(&altered)), Err(QuorumError::Forged { key }));
}

#[test]
fn strangers_do_not_count() {
    let state = State::new();
    let mut order = state.order(2, |_| {});
    order.sign(&state.writer);
    order.sign(&state.sites[0].identity);
    assert_eq!(count(&state, &order), Err(QuorumError::TooFew { valid: 2, quorum: 3, strangers: 2 }));
    order.sign(&state.officials[4]);
    assert_eq!(count(&state, &order), Ok(3));
}

/// The sender chooses how many signatures there are; the charter, how many are verified.
#[test]
fn no_more_is_verified_than_is_needed() {
    let state = State::new();
    let roll = state.charter().roll();
    let official = |index: usize| Signature { key: state.officials[index].public(), signature: [0; 64] };
    let stranger = |number: u8| Signature { key: PublicKey::from_bytes([number; 32]), signature: [0; 64] };
    let strangers: Vec<Signature> = (0..200).map(stranger).collect();
    let verified = |signatures: &[Signature], fits: bool| {
        let mut keys = Vec::new();
        let result = count_members(signatures, &roll, 3, |signature| {
            keys.push(signature.key);
            fits
        });
        (result.is_ok(), keys.len(), keys.iter().all(|key| roll.contains(key)))
    };
    let all: Vec<Signature> = strangers.iter().cloned().chain((0..5).map(official)).collect();
    assert_eq!(verified(&all, true), (true, 3, true), "a quorum is enough");
    assert_eq!(verified(&all, false), (false, 1, true), "one that does not fit is enough to refuse");
    assert_eq!(verified(&strangers, true), (false, 0, true), "strangers cost nothing");
    let two: Vec<Signature> = strangers.into_iter().chain((0..2).map(official)).collect();
    assert_eq!(verified(&two, true), (false, 2, true));
    let twice: Vec<Signature> = [official(0), official(1), official(2), stranger(9), stranger(9)].into();
    assert_eq!(verified(&twice, true), (false, 0, true), "what was tampered with costs nothing");
}

#[test]
fn a_signature_holds_for_one_kind_of_document() {
    let state = State::new();
    let official = &state.officials[0];
    let card = Card { bearer: Bearer::Official, name: "official 0".to_owned(), key: official.public() };
    let card = Signed::sign_new(card, official).unwrap();
    assert!(card.verify().is_ok());
    // The very bytes that were signed as an order, called a card: the payload is no card, so its form is refused ...
    let mut envelope = opened(&state.order(3, |_| {}).encode());
    envelope.kind = "card".to_owned();
    envelope.signatures.truncate(1);
    assert!(matches!(Signed::<Card>::decode(&cbor::encode(&envelope)), Err(EnvelopeError::Decode { .. })));
    // ... and a kind whose payload is the same is told apart by the domain alone.
    let message = card.message();
    let other_domain = [b"legation\0writer\0\0\x01".as_slice(), &cbor::encode(card.document())].concat();
    assert_ne!(message, other_domain);
    let signature = opened(&card.encode()).signatures[0].signature;
    assert!(official.public().verifies(&message, &signature));
    assert!(!official.public().verifies(&other_domain, &signature));
    // The card's signature pasted on an order.
    let mut envelope = opened(&state.order(2, |_| {}).encode());
    let pasted = Signature { key: state.officials[4].public(), signature };
    envelope.signatures.push(pasted);
    assert!(matches!(count(&state, &closed(&envelope)), Err(QuorumError::Forged { .. })));
}

#[test]
fn the_version_of_the_format_is_signed() {
    let state = State::new();
    let order = state.order(3, |_| {});
    let message = order.message();
    assert!(message.starts_with(b"legation\0release-order\0\x00\x01"));
    assert!(message.ends_with(&cbor::encode(order.document())));
    assert_eq!(message.len(), 9 + 14 + 2 + cbor::encode(order.document()).len());
}

/// For a key of small order there are signatures that hold for (nearly) every message without any secret.
#[test]
fn weak_keys_sign_nothing() {
    let state = State::new();
    let mut weak: Vec<[u8; 32]> = Vec::new();
    for text in [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    ] {
        weak.push(hex::decode(text).unwrap().try_into().unwrap());
    }
    for bytes in weak {
        let key = PublicKey::from_bytes(bytes);
        assert!(!key.is_usable(), "{key}");
        // R = identity, S = 0: verifies under the identity key in a verifier that is not strict.
        let mut signature = [0; 64];
        signature[0] = 1;
        let mut envelope = opened(&state.order(0, |_| {}).encode());
        envelope.signatures.push(Signature { key, signature });
        assert_eq!(verify_single(&closed(&envelope), key), Err(QuorumError::Forged { key }));
    }
}

#[test]
fn merging_takes_signatures_of_the_same_document_only() {
    let state = State::new();
    let mut ours = state.order(2, |_| {});
    let theirs = sign(ours.document().clone(), &state.officials[1..4]);
    assert!(ours.merge(&theirs));
    assert_eq!(ours.signatures().len(), 4);
    assert_eq!(verify(&ours, &state.charter().roll(), 4).map(|signers| signers.len()), Ok(4));
    let other = state.order(3, |order| order.nonce = [1; 16]);
    assert!(!ours.merge(&other));
    assert_eq!(ours.signatures().len(), 4);
}
