//! Unit tests of `sealing`.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::*;

fn sealed(plaintext: &[u8], compression: Compression) -> (ChunkHash, Vec<u8>) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let hash = ChunkHash::of(&DedupSecret::random(&mut rng), plaintext);
    let mut out = Vec::new();
    seal_chunk(&hash, plaintext, compression, &mut Compressor::new(), &mut rng, &mut out).unwrap();
    (hash, out)
}

#[test]
fn a_failed_open_leaves_the_output_as_it_was() {
    for compression in [Compression::Stored, Compression::default()] {
        let plaintext = b"line of a register\n".repeat(500);
        let (hash, good) = sealed(&plaintext, compression);
        for position in [0, 1, 12, 13, good.len() - 17, good.len() - 1] {
            let mut bad = good.clone();
            bad[position] ^= 1;
            let mut out = b"before".to_vec();
            assert!(open_chunk(&hash, &bad, plaintext.len(), &mut Decompressor::new(), &mut out).is_err());
            assert_eq!(out, b"before", "{position}");
        }
        let mut out = b"before".to_vec();
        open_chunk(&hash, &good, plaintext.len(), &mut Decompressor::new(), &mut out).unwrap();
        assert_eq!(&out[6..], plaintext);
    }
}

#[test]
fn an_authentic_bomb_is_refused_at_the_stated_length() {
    // The attacker knows the key: the frame is authentic and claims 64 MiB where 1,000 bytes are stated.
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let hash = ChunkHash::of(&DedupSecret::random(&mut rng), b"x");
    let bomb = zstd::bulk::compress(&vec![0; 1 << 20], 19).unwrap();
    let mut out = vec![MODE_ZSTD];
    hash.key().expose(|key| seal_frame(key, &chunk_context(&hash, MODE_ZSTD), &bomb, &mut rng, &mut out)).unwrap();
    let mut plaintext = Vec::new();
    let error = open_chunk(&hash, &out, 1000, &mut Decompressor::new(), &mut plaintext).unwrap_err();
    assert!(matches!(error, OpenError::Decompress(DecompressError::Library { .. })), "{error:?}");
    assert!(plaintext.is_empty() && plaintext.capacity() <= 2000);
}

#[test]
fn the_mode_is_authenticated() {
    let (hash, mut bytes) = sealed(&[3; 100], Compression::Stored);
    bytes[0] = MODE_ZSTD;
    let opened = open_chunk(&hash, &bytes, 100, &mut Decompressor::new(), &mut Vec::new());
    assert_eq!(opened, Err(OpenError::Authentication));
    bytes[0] = 2;
    let opened = open_chunk(&hash, &bytes, 100, &mut Decompressor::new(), &mut Vec::new());
    assert_eq!(opened, Err(OpenError::Mode { actual: 2 }));
}

#[test]
fn the_same_chunk_sealed_twice_differs() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let hash = ChunkHash::of(&DedupSecret::random(&mut rng), b"same");
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for out in [&mut first, &mut second] {
        seal_chunk(&hash, b"same", Compression::Stored, &mut Compressor::new(), &mut rng, out).unwrap();
    }
    assert_ne!(first[1..13], second[1..13]);
}

#[test]
fn a_root_opens_only_under_its_key_and_context() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let (key, other) = (SecretBytes::random(&mut rng), SecretBytes::random(&mut rng));
    let bytes = seal_with(&key, b"context", b"root", &mut rng).unwrap();
    assert_eq!(**open_with(&key, b"context", &bytes).unwrap(), *b"root");
    assert_eq!(open_with(&other, b"context", &bytes).unwrap_err(), OpenError::Authentication);
    assert_eq!(open_with(&key, b"other", &bytes).unwrap_err(), OpenError::Authentication);
    assert_eq!(open_with(&key, b"context", &bytes[..27]).unwrap_err(), OpenError::Length { expected: 28, actual: 27 });
}
