//! Our Ed25519 keys as libp2p identities: the PeerId is made of the same 32 bytes that the charter names.

use libp2p::PeerId;
use libp2p::identity::{self, ed25519};
use protocol::signature::{Keypair, PublicKey};

/// The libp2p identity of `keypair`.
///
/// # Errors
/// Never for a key made by this program; the libp2p type checks the seed's length.
pub fn libp2p_keypair(keypair: &Keypair) -> Result<identity::Keypair, identity::DecodingError> {
    keypair.secret().expose(|seed| {
        let mut copy = zeroize::Zeroizing::new(*seed);
        ed25519::SecretKey::try_from_bytes(copy.as_mut_slice()).map(|secret| ed25519::Keypair::from(secret).into())
    })
}

/// The PeerId of `key`; `None` if the bytes are no point of the curve.
#[must_use]
pub fn peer_id(key: PublicKey) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(key.as_bytes()).ok()?;
    Some(PeerId::from_public_key(&identity::PublicKey::from(key)))
}

/// The Ed25519 key inside a PeerId; `None` for any other kind of key.
#[must_use]
pub fn public_key(peer: &PeerId) -> Option<PublicKey> {
    // An identity multihash holds the protobuf of a public key up to 42 bytes long, as an Ed25519 key is.
    let key = identity::PublicKey::try_decode_protobuf(peer.as_ref().digest()).ok()?;
    let key = key.try_into_ed25519().ok()?;
    Some(PublicKey::from_bytes(key.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{libp2p_keypair, peer_id, public_key};
    use protocol::signature::Keypair;

    #[test]
    fn the_peer_id_is_the_key() {
        let keypair = Keypair::generate(&mut crate::entropy::rng());
        let peer = libp2p_keypair(&keypair).unwrap().public().to_peer_id();
        assert_eq!(peer_id(keypair.public()), Some(peer));
        assert_eq!(public_key(&peer), Some(keypair.public()));
    }
}
