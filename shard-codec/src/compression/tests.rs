//! Unit tests of `compression`.

use super::*;

#[test]
fn text_shrinks_and_comes_back() {
    let plaintext = b"a register of many similar lines\n".repeat(10_000);
    let mut compressor = Compressor::new();
    let compressed = compressor.compress(&plaintext, Compression::default()).unwrap().expect("pays").to_vec();
    assert!(compressed.len() < plaintext.len() / 10);
    let mut decompressor = Decompressor::new();
    decompressor.input.extend_from_slice(&compressed);
    let mut back = vec![0; plaintext.len()];
    decompressor.decompress(&mut back).unwrap();
    assert_eq!(back, plaintext);
}

#[test]
fn a_longer_or_shorter_target_is_refused() {
    let plaintext = vec![7; 100_000];
    let mut compressor = Compressor::new();
    let compressed = compressor.compress(&plaintext, Compression::default()).unwrap().expect("pays").to_vec();
    let mut decompressor = Decompressor::new();
    decompressor.input.extend_from_slice(&compressed);
    assert!(matches!(decompressor.decompress(&mut [0; 99_999]), Err(DecompressError::Library { .. })));
    assert_eq!(
        decompressor.decompress(&mut vec![0; 100_001]),
        Err(DecompressError::Length { expected: 100_001, actual: 100_000 })
    );
}

#[test]
fn incompressible_data_is_stored_whatever_its_length() {
    let mut noise = vec![0; 1 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    let mut compressor = Compressor::new();
    for length in [0, 1, 100, PROBE_FROM_BYTES - 1, PROBE_FROM_BYTES, 1 << 20] {
        assert!(compressor.compress(&noise[..length], Compression::default()).unwrap().is_none(), "{length}");
    }
}

#[test]
fn the_context_forgets_the_chunk_before() {
    let first = b"first ".repeat(1000);
    let second = b"second ".repeat(1000);
    let mut used = Compressor::new();
    used.compress(&first, Compression::Zstd { level: 9 }).unwrap();
    let after = used.compress(&second, Compression::default()).unwrap().expect("pays").to_vec();
    assert_eq!(Compressor::new().compress(&second, Compression::default()).unwrap(), Some(after.as_slice()));
}
