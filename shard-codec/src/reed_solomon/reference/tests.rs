//! Unit tests of `reed_solomon::reference`: both kernels against the crate.

use super::*;

fn shards(parameters: CodingParameters, shard_bytes: usize) -> Vec<Vec<u8>> {
    let mut stream = blake3::Hasher::new().finalize_xof();
    let mut shards = vec![vec![0; shard_bytes]; parameters.total_shards()];
    for shard in shards.iter_mut().take(parameters.data_shards()) {
        stream.fill(shard);
    }
    if parameters.parity_shards() > 0 {
        let crate_code =
            galois_8::ReedSolomon::new(parameters.data_shards(), parameters.parity_shards()).expect("valid");
        crate_code.encode(&mut shards).expect("equal lengths");
    }
    shards
}

#[test]
fn both_kernels_give_the_bytes_of_the_crate() {
    if Kernel::detect() == Kernel::Portable {
        return; // the crate itself could not run here; the vectors hold the table loop to its bytes
    }
    for (data, parity) in [(1, 0), (1, 4), (3, 2), (7, 3), (20, 10), (200, 55)] {
        let parameters = CodingParameters::new(data, parity).unwrap();
        // An odd length leaves a tail for the scalar end of the vector kernel.
        let expected = shards(parameters, 8193 + 17);
        for kernel in [Kernel::Vector, Kernel::Portable] {
            let code = Reference { kernel, ..Reference::new(parameters).unwrap() };
            let mut made = expected.clone();
            let (data_part, parity_part) = made.split_at_mut(data);
            parity_part.iter_mut().for_each(|shard| shard.fill(0xaa));
            let inputs: Vec<&[u8]> = data_part.iter().map(Vec::as_slice).collect();
            let mut outputs: Vec<&mut [u8]> = parity_part.iter_mut().map(Vec::as_mut_slice).collect();
            code.encode(&inputs, &mut outputs).unwrap();
            assert_eq!(made, expected, "{data}+{parity} {kernel:?}");
        }
    }
}

#[test]
fn a_code_without_parity_copies() {
    let parameters = CodingParameters::new(3, 0).unwrap();
    let code = Reference::new(parameters).unwrap();
    let shards = shards(parameters, 64);
    let given: Vec<_> = (0..3).map(|i| (ShardIndex::new(i), shards[usize::from(i)].as_slice())).collect();
    let mut out = [0; 64];
    code.remake(&given, &mut [(ShardIndex::new(1), &mut out)]).unwrap();
    assert_eq!(out.as_slice(), shards[1]);
    assert_eq!(code.encode(&[&[], &[], &[]], &mut []), Ok(()));
}

#[test]
fn wrong_shapes_are_named() {
    let code = Reference::new(CodingParameters::new(2, 1).unwrap()).unwrap();
    let index = ShardIndex::new;
    let mut out = [0; 4];
    assert_eq!(code.encode(&[&[0; 4]], &mut []), Err(CodeError::DataShards { expected: 2, actual: 1 }));
    assert_eq!(code.encode(&[&[0; 4], &[0; 4]], &mut []), Err(CodeError::ParityShards { expected: 1, actual: 0 }));
    assert_eq!(
        code.encode(&[&[0; 4], &[0; 5]], &mut [&mut out]),
        Err(CodeError::ShardBytes { expected: 4, actual: 5 })
    );
    let given = [(index(0), &[0_u8; 4][..]), (index(0), &[0; 4])];
    assert_eq!(
        code.remake(&given[..1], &mut [(index(1), &mut out)]),
        Err(CodeError::TooFew { expected: 2, actual: 1 })
    );
    assert_eq!(code.remake(&given, &mut [(index(1), &mut out)]), Err(CodeError::Duplicate { index: index(0) }));
    let given = [(index(0), &[0_u8; 4][..]), (index(3), &[0; 4])];
    assert_eq!(
        code.remake(&given, &mut [(index(1), &mut out)]),
        Err(CodeError::Index { index: index(3), total_shards: 3 })
    );
}
