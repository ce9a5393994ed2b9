//! Unit tests of `share_sealing`.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::*;

/// Every X25519 public key of low order, with both forms of 0 and 1 (RFC 7748; <https://cr.yp.to/ecdh.html>).
const LOW_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

#[test]
fn keys_of_low_order_are_refused() {
    let good = SealingSecretKey::generate(&mut ChaCha20Rng::seed_from_u64(1)).public();
    for point in LOW_ORDER {
        for high_bit in [0, 0x80] {
            let mut bytes = *good.as_bytes();
            bytes[MLKEM_KEY_BYTES..].copy_from_slice(&hex::decode(point).unwrap());
            bytes[PUBLIC_KEY_BYTES - 1] |= high_bit;
            assert_eq!(SealingPublicKey::from_bytes(&bytes), Err(SealingKeyError::LowOrder), "{point}");
        }
    }
    assert_eq!(SealingPublicKey::from_bytes(good.as_bytes()), Ok(good));
}

#[test]
fn an_unreduced_lattice_half_is_refused() {
    let mut bytes = *SealingSecretKey::generate(&mut ChaCha20Rng::seed_from_u64(1)).public().as_bytes();
    bytes[..3].fill(0xff);
    assert_eq!(SealingPublicKey::from_bytes(&bytes), Err(SealingKeyError::MlKem));
    assert_eq!(SealingPublicKey::from_bytes(&bytes[1..]), Err(SealingKeyError::Length { actual: 1215 }));
}

#[test]
fn only_the_custodian_opens_and_only_in_context() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let (secret, other) = (SealingSecretKey::generate(&mut rng), SealingSecretKey::generate(&mut rng));
    let sealed = seal_to(&secret.public(), b"context", b"share", &mut rng).unwrap();
    assert_eq!(sealed.len(), 5 + SEALED_OVERHEAD_BYTES);
    assert_eq!(**open_sealed(&secret, b"context", &sealed).unwrap(), *b"share");
    let refused = |secret, info: &[u8], sealed: &[u8]| open_sealed(secret, info, sealed).unwrap_err();
    assert_eq!(refused(&other, b"context", &sealed), OpenSealedError::Authentication);
    assert_eq!(refused(&secret, b"Context", &sealed), OpenSealedError::Authentication);
    assert_eq!(refused(&secret, b"context", &sealed[..1135]), OpenSealedError::Length { actual: 1135 });
    for position in [0, 1087, 1088, 1119, 1120, 1125, 1140] {
        let mut bad = sealed.clone();
        bad[position] ^= 1;
        assert_eq!(refused(&secret, b"context", &bad), OpenSealedError::Authentication, "{position}");
    }
}

#[test]
fn the_context_is_unambiguous() {
    let state = Digest::of(b"state");
    let context = |database, custodian| sealing_context(&state, database, 1, 2, custodian);
    assert_ne!(context("land", "register"), context("landregister", ""));
    assert_ne!(context("land", "register"), context("landr", "egister"));
    assert_ne!(sealing_context(&state, "land", 1, 2, "x"), sealing_context(&state, "land", 2, 1, "x"));
}
