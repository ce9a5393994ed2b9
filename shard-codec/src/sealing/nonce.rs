//! The nonce rule as a type: drawn once from the generator, used once, consumed.

use rand::CryptoRng;

/// Length of an AES-GCM nonce in bytes (RFC 5116, section 5.3).
pub(super) const NONCE_BYTES: usize = 12;

/// A nonce that nobody can choose, copy or use twice.
///
/// # Security
/// Random, never derived from the plaintext: the same chunk compressed by another library version is another message
/// under the same key. A chunk key seals so few messages that 96 random bits never meet.
pub(super) struct Nonce([u8; NONCE_BYTES]);

impl Nonce {
    /// A fresh nonce.
    pub(super) fn draw(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; NONCE_BYTES];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The bytes that go in front of the ciphertext.
    pub(super) const fn as_bytes(&self) -> &[u8; NONCE_BYTES] {
        &self.0
    }

    /// The cipher's form. The nonce is gone afterwards.
    pub(super) fn consume(self) -> aes_gcm::Nonce<aes_gcm::aead::consts::U12> {
        self.0.into()
    }
}
