//! A digest as words that two people compare over the phone.

use bip39::{Language, Mnemonic};
use shard_codec::Digest;

/// Of the digest, so much is said: nobody finds a second document with the same 128 bits.
const SAID_BYTES: usize = 16;
/// Words in a group, so that a listener keeps up.
const GROUP: usize = 4;

/// Twelve words of the English list of BIP-39, the last one with four bits of check sum, in groups of four.
#[must_use]
pub(super) fn words(digest: &Digest) -> String {
    let said = digest.as_bytes().get(..SAID_BYTES).unwrap_or_default();
    // 16 bytes are one of the lengths that the list is made for.
    let words: Vec<&str> =
        Mnemonic::from_entropy_in(Language::English, said).map(|words| words.words().collect()).unwrap_or_default();
    words.chunks(GROUP).map(|group| group.join(" ")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_list_and_tell_digests_apart() {
        // The first vector of BIP-39.
        assert_eq!(
            words(&Digest::from_bytes([0; 32])),
            "abandon abandon abandon abandon, abandon abandon abandon abandon, abandon abandon abandon about"
        );
        let [one, other] = [b"one".as_slice(), b"other"].map(|text| words(&Digest::of(text)));
        assert_eq!(one.split_whitespace().count(), 12);
        assert!(
            one.split_whitespace().zip(other.split_whitespace()).all(|(one, other)| one != other),
            "{one} / {other}"
        );
    }
}
