//! Every format pinned by recorded bytes, hostile ones included.
//!
//! `tests/vectors/<format>/*.json` are self-describing: bytes are hex, `error` names the refusal that is expected,
//! a stream is the BLAKE3 output of its label. Vectors once published are kept for ever.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed, which is its job"
)]

#[path = "vectors/cases.rs"]
mod cases;
#[path = "vectors/generate.rs"]
mod generate;

use std::fmt::Debug;
use std::path::PathBuf;

use cases::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde::de::DeserializeOwned;
use shard_codec::sealing::{open_chunk, open_with, seal_chunk};
use shard_codec::secret_sharing::{deal, reconstruct, verify_share};
use shard_codec::shard_tree::{prove_range, root, verify_range};
use shard_codec::share_sealing::{open_sealed, sealing_context};
use shard_codec::{
    ChunkHash, Chunker, CodingParameters, Commitments, Compression, Compressor, ContentDefined, Decompressor,
    DedupSecret, Digest, FixedSize, Reference, SealingPublicKey, SealingSecretKey, SecretBytes, Share, ShareIndex,
    SnapshotSecret, UncheckedShard, decode_stripe, encode_stripe,
};

fn folder(format: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(format)
}

/// All cases of a format, from every file in its folder.
fn load<C: DeserializeOwned>(format: &str) -> Vec<C> {
    let mut files: Vec<_> = folder(format).read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let cases: Vec<C> = files
        .iter()
        .flat_map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            let parsed: VectorFile<C> = serde_json::from_str(&text).expect("a vector file");
            assert_eq!(parsed.format, format, "{}", file.display());
            parsed.cases
        })
        .collect();
    assert!(!cases.is_empty(), "{format} has no vectors");
    cases
}

/// The result is a success, or exactly the refusal that the case names.
fn settle<T, E: Debug>(name: &str, error: Option<&str>, result: Result<T, E>) -> Option<T> {
    match (result, error) {
        (Ok(value), None) => Some(value),
        (Err(actual), Some(expected)) => {
            let actual = format!("{actual:?}");
            assert!(actual.starts_with(expected), "{name}: {actual}, expected {expected}");
            None
        }
        (Ok(_), Some(expected)) => panic!("{name}: accepted, expected {expected}"),
        (Err(actual), None) => panic!("{name}: {actual:?}"),
    }
}

#[test]
fn chunk_names() {
    for case in load::<ChunkName>("chunk_name") {
        let secret = DedupSecret::copy_from(&case.dedup_secret.0).unwrap();
        let hash = ChunkHash::of(&secret, &stream(&case.plaintext_label, case.plaintext_bytes));
        assert_eq!(hash.expose(|bytes| Hex(bytes.to_vec())), case.hash, "{}", case.name);
        assert_eq!(Hex(hash.id().as_bytes().to_vec()), case.id, "{}", case.name);
    }
}

#[test]
fn sealed_chunks() {
    for case in load::<SealedChunk>("sealed_chunk") {
        let hash = ChunkHash::copy_from(&case.hash.0).unwrap();
        let mut out = Vec::new();
        let opened = open_chunk(&hash, &case.sealed.0, case.plaintext_bytes, &mut Decompressor::new(), &mut out);
        settle(&case.name, case.error.as_deref(), opened);
        assert_eq!(Hex(out.clone()), case.plaintext, "{}", case.name);
        // What the zstd library makes of a plaintext may change with its version; stored chunks may not.
        if let Some(seed) = case.stored_from_seed {
            let mut sealed = Vec::new();
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            seal_chunk(&hash, &out, Compression::Stored, &mut Compressor::new(), &mut rng, &mut sealed).unwrap();
            assert_eq!(Hex(sealed), case.sealed, "{}", case.name);
        }
    }
}

#[test]
fn sealed_frames() {
    for case in load::<SealedFrame>("sealed_frame") {
        let key = SecretBytes::copy_from(&case.key.0).unwrap();
        let opened = open_with(&key, &case.aad.0, &case.sealed.0);
        if let Some(opened) = settle(&case.name, case.error.as_deref(), opened) {
            assert_eq!(*opened, case.plaintext.0, "{}", case.name);
        }
    }
}

#[test]
fn stripes() {
    for case in load::<Stripe>("stripe") {
        let parameters = CodingParameters::new(case.data_shards, case.parity_shards).unwrap();
        let code = Reference::new(parameters).unwrap();
        let payload = stream(&case.payload_label, case.payload_bytes);
        let stripe = encode_stripe(&code, payload.clone()).unwrap();
        assert_eq!(stripe.layout().shard_bytes(), case.shard_bytes, "{}", case.name);
        let roots: Vec<Hex> = stripe.roots().iter().map(|root| Hex(root.as_bytes().to_vec())).collect();
        assert_eq!(roots, case.roots, "{}", case.name);
        let verified: Result<Vec<_>, _> = case
            .fetched
            .iter()
            .map(|fetched| {
                let mut bytes = stripe.shard(shard_codec::ShardIndex::new(fetched.holds)).unwrap().to_vec();
                if let Some(bit) = fetched.flipped_bit {
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
                bytes.truncate(fetched.truncated_to.unwrap_or(bytes.len()));
                let index = shard_codec::ShardIndex::new(fetched.claims);
                UncheckedShard::new(index, bytes).verify(&stripe.roots()[index.as_usize()])
            })
            .collect();
        let decoded = match verified {
            Ok(shards) => decode_stripe(&code, stripe.layout(), &shards).map_err(|error| format!("{error}")),
            Err(mismatch) => Err(format!("shard {}: mismatch", mismatch.index)),
        };
        match (decoded, case.error) {
            (Ok(decoded), None) => assert!(decoded == payload, "{}", case.name),
            (Err(actual), Some(expected)) => assert_eq!(actual, expected, "{}", case.name),
            (decoded, error) => panic!("{}: {:?}, expected {error:?}", case.name, decoded.map(|bytes| bytes.len())),
        }
    }
}

#[test]
fn range_proofs() {
    for case in load::<RangeProof>("range_proof") {
        let shard = stream(&case.shard_label, case.shard_bytes);
        assert_eq!(Hex(root(&shard).as_bytes().to_vec()), case.root, "{}", case.name);
        let mut proof = prove_range(&shard, case.proven.0..case.proven.1).unwrap();
        assert_eq!(proof.len(), case.proof_bytes, "{}", case.name);
        assert_eq!(Hex(Digest::of(&proof).as_bytes().to_vec()), case.proof_digest, "{}", case.name);
        if let Some(bit) = case.flipped_bit {
            proof[bit / 8] ^= 1 << (bit % 8);
        }
        proof.truncate(case.truncated_to.unwrap_or(proof.len()));
        let name = Digest::from_bytes(case.checked_root.0.try_into().unwrap());
        let asked = case.asked.0..case.asked.1;
        let verified = verify_range(&name, case.checked_shard_bytes, asked.clone(), &proof);
        if let Some(bytes) = settle(&case.name, case.error.as_deref(), verified) {
            assert_eq!(bytes, shard[usize::try_from(asked.start).unwrap()..usize::try_from(asked.end).unwrap()]);
        }
    }
}

#[test]
fn dealings() {
    for case in load::<Dealing>("dealing") {
        let mut rng = ChaCha20Rng::seed_from_u64(case.seed);
        let secret = SnapshotSecret::random(&mut rng);
        let (shares, commitments) = deal(&secret, case.threshold, case.count, &mut rng).unwrap();
        let points: Vec<Hex> = commitments.to_bytes().iter().map(|point| Hex(point.to_vec())).collect();
        assert_eq!(points, case.commitments, "{}", case.name);
        assert_eq!(Hex(commitments.digest().as_bytes().to_vec()), case.commitments_digest, "{}", case.name);
        let encoded: Vec<Hex> =
            shares.iter().map(|share| share.to_bytes().expose(|bytes| Hex(bytes.to_vec()))).collect();
        assert_eq!(encoded, case.shares, "{}", case.name);
        let key = secret.snapshot_key(&case.key_context.0);
        assert_eq!(key.as_secret().expose(|key| Hex(key.to_vec())), case.snapshot_key, "{}", case.name);
    }
}

/// What a custodian and a recipient do with received bytes; the first refusal ends it.
fn receive(case: &ReceivedShares) -> Result<SnapshotSecret, String> {
    let points: Vec<[u8; 32]> = case.commitments.iter().map(|point| point.0.clone().try_into().unwrap()).collect();
    let commitments = Commitments::from_bytes(&points).map_err(|error| format!("{error:?}"))?;
    let shares = case.shares.iter().map(|bytes| Share::from_bytes(&bytes.0)).collect::<Result<Vec<_>, _>>();
    let shares = shares.map_err(|error| format!("{error:?}"))?;
    if let (Some(index), [share]) = (case.custodian, shares.as_slice()) {
        let index = ShareIndex::new(index).unwrap();
        verify_share(share, index, case.threshold, &commitments).map_err(|error| format!("{error:?}"))?;
    }
    reconstruct(case.threshold, &shares, &commitments).map_err(|error| format!("{error:?}"))
}

#[test]
fn received_shares() {
    for case in load::<ReceivedShares>("received_shares") {
        match (receive(&case), &case.error) {
            (Ok(secret), None) => {
                let key = secret.snapshot_key(&case.key_context.0);
                assert_eq!(key.as_secret().expose(|key| Hex(key.to_vec())), case.snapshot_key, "{}", case.name);
            }
            (Err(actual), Some(expected)) => {
                assert!(actual.starts_with(expected.as_str()), "{}: {actual}, expected {expected}", case.name);
            }
            (result, error) => panic!("{}: {result:?}, expected {error:?}", case.name),
        }
    }
}

#[test]
fn sealed_shares() {
    for case in load::<SealedShare>("sealed_share") {
        let secret = SealingSecretKey::from_bytes(SecretBytes::copy_from(&case.secret_key.0).unwrap());
        let public = Digest::of(secret.public().as_bytes());
        assert_eq!(Hex(public.as_bytes().to_vec()), case.public_key_digest, "{}", case.name);
        let context = &case.context;
        let state = Digest::from_bytes(context.state.0.clone().try_into().unwrap());
        let info = sealing_context(&state, &context.database, context.sequence, context.epoch, &context.custodian);
        assert_eq!(Hex(info.clone()), case.info, "{}", case.name);
        let opened = open_sealed(&secret, &info, &case.sealed.0);
        if let Some(opened) = settle(&case.name, case.error.as_deref(), opened) {
            assert_eq!(*opened, case.plaintext.0, "{}", case.name);
        }
    }
}

#[test]
fn sealing_keys() {
    for case in load::<SealingKey>("sealing_key") {
        settle(&case.name, case.error.as_deref(), SealingPublicKey::from_bytes(&case.public_key.0));
    }
}

#[test]
fn cut_points() {
    for case in load::<CutPoints>("cut_points") {
        let chunker = if case.content_defined {
            Chunker::ContentDefined(ContentDefined::new(case.min_bytes, case.max_bytes).unwrap())
        } else {
            Chunker::FixedSize(FixedSize::new(case.max_bytes).unwrap())
        };
        let data = cut_stream(&case);
        let mut rest = data.as_slice();
        let mut cuts = Vec::new();
        while let Some(bytes) = chunker.next_chunk_bytes(rest, true) {
            cuts.push(bytes as u64);
            rest = &rest[bytes..];
        }
        assert_eq!(cuts.iter().take(8).copied().collect::<Vec<_>>(), case.first_cuts, "{}", case.name);
        assert_eq!(Hex(cuts_digest(&cuts)), case.cuts_digest, "{}", case.name);
    }
    assert_eq!(Chunker::default().max_bytes(), 1536 << 10);
}
