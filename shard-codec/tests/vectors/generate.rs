//! Writes the vector files.
//!
//! The expected errors are written down here by hand; only bytes are recorded from the code.

use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT as G;
use curve25519_dalek::scalar::Scalar;
use rand::{CryptoRng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use shard_codec::sealing::{seal_chunk, seal_with};
use shard_codec::secret_sharing::deal;
use shard_codec::shard_tree::{prove_range, root};
use shard_codec::share_sealing::{seal_to, sealing_context};
use shard_codec::*;

use super::cases::*;

#[expect(clippy::disallowed_methods, reason = "the one place that writes vectors, run by hand")]
fn write<C: Serialize>(format: &str, file: &str, about: &str, cases: Vec<C>) {
    let folder = super::folder(format);
    std::fs::create_dir_all(&folder).unwrap();
    let contents = VectorFile { format: format.into(), about: about.into(), cases };
    let text = serde_json::to_string_pretty(&contents).unwrap() + "\n";
    std::fs::write(folder.join(file), text).unwrap();
}

/// Regenerating is an explicit approval: every byte that changes here is a break of the format, which data already
/// kept at the sites does not survive. Add files for new cases; do not run this to make a failing test pass.
/// `cargo test -p shard-codec --test vectors -- --ignored regenerate`
#[test]
#[ignore = "regenerating is an explicit approval of a format break"]
fn regenerate() {
    chunk_names();
    sealed_chunks();
    sealed_frames();
    stripes();
    range_proofs();
    dealings();
    received_shares();
    sealed_shares();
    sealing_keys();
    cut_points();
}

fn bytes(bytes: impl AsRef<[u8]>) -> Hex {
    Hex(bytes.as_ref().to_vec())
}

fn flipped(source: &Hex, position: usize) -> Hex {
    let mut changed = source.clone();
    changed.0[position] ^= 1;
    changed
}

fn chunk_names() {
    let secret = stream("dedup secret", 32);
    let cases = [0, 1, 1023, 1024, 1025, 100_000].map(|plaintext_bytes| {
        let label = "plaintext";
        let hash = ChunkHash::of(&DedupSecret::copy_from(&secret).unwrap(), &stream(label, plaintext_bytes));
        ChunkName {
            name: format!("{plaintext_bytes} bytes"),
            dedup_secret: bytes(&secret),
            plaintext_label: label.into(),
            plaintext_bytes,
            hash: hash.expose(|secret| bytes(secret)),
            id: bytes(hash.id().as_bytes()),
        }
    });
    write("chunk_name", "v1.json", "h = keyed_hash(dedup secret, plaintext); id = derive_key(h)", cases.into());
}

fn sealed_chunk(seed: u64, plaintext: &[u8], compression: Compression) -> SealedChunk {
    let hash = ChunkHash::of(&DedupSecret::copy_from(&[1; 32]).unwrap(), plaintext);
    let mut sealed = Vec::new();
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    seal_chunk(&hash, plaintext, compression, &mut Compressor::new(), &mut rng, &mut sealed).unwrap();
    SealedChunk {
        name: format!("{} bytes {compression:?}", plaintext.len()),
        hash: hash.expose(|secret| bytes(secret)),
        sealed: bytes(sealed),
        plaintext_bytes: plaintext.len(),
        plaintext: bytes(plaintext),
        stored_from_seed: (compression == Compression::Stored).then_some(seed),
        error: None,
    }
}

/// An authentic frame around any body: what somebody who knows the plaintext could make.
fn authentic(hash: &Hex, mode: u8, body: &[u8], rng: &mut impl CryptoRng) -> Hex {
    let key = blake3::derive_key("legation v1 chunk key", &hash.0);
    let mut aad = blake3::derive_key("legation v1 chunk id", &hash.0).to_vec();
    aad.push(mode);
    let frame = seal_with(&SecretBytes::copy_from(&key).unwrap(), &aad, body, rng).unwrap();
    Hex([vec![mode], frame].concat())
}

fn sealed_chunks() {
    let text = b"a line of a register\n".repeat(40);
    let stored = sealed_chunk(1, b"a chunk", Compression::Stored);
    let zstd = sealed_chunk(2, &text, Compression::default());
    let good = vec![sealed_chunk(3, b"", Compression::Stored), stored.clone(), zstd.clone()];
    write("sealed_chunk", "good.json", "mode || nonce || AES-256-GCM; aad = chunk id || mode", good);
    let bad = |from: &SealedChunk, name: &str, error: &str, change: &dyn Fn(&mut SealedChunk)| {
        let mut case = from.clone();
        change(&mut case);
        let (plaintext, stored_from_seed) = (Hex::default(), None);
        SealedChunk { name: name.into(), plaintext, stored_from_seed, error: Some(error.into()), ..case }
    };
    let mut cases = vec![
        bad(&stored, "wrong hash: another key and id", "Authentication", &|case| case.hash = flipped(&case.hash, 0)),
        bad(&stored, "mode changed to zstd", "Authentication", &|case| case.sealed.0[0] = 1),
        bad(&stored, "unknown mode", "Mode { actual: 2 }", &|case| case.sealed.0[0] = 2),
        bad(&stored, "empty", "Length", &|case| case.sealed.0.clear()),
        bad(&stored, "truncated", "Length", &|case| case.sealed.0.truncate(35)),
        bad(&stored, "one byte more", "Length", &|case| case.sealed.0.push(0)),
        bad(&zstd, "zstd too short for a frame", "Length", &|case| case.sealed.0.truncate(28)),
        bad(&zstd, "zstd truncated", "Authentication", &|case| case.sealed.0.truncate(40)),
        bad(&stored, "longer than any chunk", "TooLong", &|case| case.plaintext_bytes = (4 << 20) + 1),
        bad(&zstd, "stated too short", "Decompress(Library", &|case| case.plaintext_bytes -= 1),
        bad(&zstd, "stated too long", "Decompress(Length", &|case| case.plaintext_bytes += 1),
    ];
    for (name, position) in [("nonce", 1), ("ciphertext", 13), ("tag", stored.sealed.0.len() - 1)] {
        let name = format!("flipped bit in the {name}");
        cases.push(bad(&stored, &name, "Authentication", &|case| case.sealed = flipped(&case.sealed, position)));
    }
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
    cases.push(bad(&zstd, "decompression bomb: 64 MiB of zeroes", "Length", &|case| {
        case.sealed = authentic(&case.hash, 1, &bomb, &mut ChaCha20Rng::seed_from_u64(4));
    }));
    cases.push(bad(&zstd, "decompression bomb within the sealed length", "Decompress(Library", &|case| {
        let bomb = zstd::bulk::compress(&vec![0; 1 << 20], 19).unwrap();
        case.sealed = authentic(&case.hash, 1, &bomb, &mut ChaCha20Rng::seed_from_u64(4));
    }));
    cases.push(bad(&zstd, "authentic bytes that are no frame", "Decompress(Library", &|case| {
        case.sealed = authentic(&case.hash, 1, b"not zstd", &mut ChaCha20Rng::seed_from_u64(4));
    }));
    write("sealed_chunk", "hostile.json", "each must be refused and leave the output empty", cases);
}

fn sealed_frames() {
    let (key, aad) = (stream("key", 32), b"manifest".to_vec());
    let frame = |plaintext: &[u8]| {
        let key_bytes = SecretBytes::copy_from(&key).unwrap();
        let sealed = seal_with(&key_bytes, &aad, plaintext, &mut ChaCha20Rng::seed_from_u64(5)).unwrap();
        SealedFrame {
            name: format!("{} bytes", plaintext.len()),
            key: bytes(&key),
            aad: bytes(&aad),
            sealed: bytes(sealed),
            plaintext: bytes(plaintext),
            error: None,
        }
    };
    let good = frame(b"contents root");
    let refused = |name: &str, error: &str, change: &dyn Fn(&mut SealedFrame)| {
        let mut case = good.clone();
        change(&mut case);
        SealedFrame { name: name.into(), plaintext: Hex::default(), error: Some(error.into()), ..case }
    };
    let hostile = vec![
        refused("wrong key", "Authentication", &|case| case.key = flipped(&case.key, 31)),
        refused("wrong context", "Authentication", &|case| case.aad = flipped(&case.aad, 0)),
        refused("flipped bit", "Authentication", &|case| case.sealed = flipped(&case.sealed, 12)),
        refused("truncated", "Authentication", &|case| case.sealed.0.truncate(40)),
        refused("shorter than nonce and tag", "Length", &|case| case.sealed.0.truncate(27)),
    ];
    write("sealed_frame", "good.json", "nonce || AES-256-GCM", vec![frame(b""), good.clone()]);
    write("sealed_frame", "hostile.json", "each must be refused", hostile);
}

fn stripe(data_shards: usize, parity_shards: usize, payload_bytes: usize) -> Stripe {
    let code = Reference::new(CodingParameters::new(data_shards, parity_shards).unwrap()).unwrap();
    let encoded = encode_stripe(&code, stream("payload", payload_bytes)).unwrap();
    let last = (parity_shards..data_shards + parity_shards).map(|position| u8::try_from(position).unwrap());
    Stripe {
        name: format!("{data_shards}+{parity_shards}, {payload_bytes} bytes, the last shards"),
        data_shards,
        parity_shards,
        payload_label: "payload".into(),
        payload_bytes,
        shard_bytes: encoded.layout().shard_bytes(),
        roots: encoded.roots().iter().map(|root| bytes(root.as_bytes())).collect(),
        fetched: last.map(|position| Fetched { claims: position, holds: position, ..Fetched::default() }).collect(),
        error: None,
    }
}

fn stripes() {
    let good = [(1, 0, 1), (1, 2, 64), (3, 2, 65), (3, 2, 100_000), (7, 3, 70_001), (20, 10, 50_000), (200, 55, 9999)];
    let good = good.map(|(data, parity, length)| stripe(data, parity, length)).into();
    write("stripe", "good.json", "shard length, roots, and the payload from the last shards", good);
    let refused = |name: &str, error: &str, change: &dyn Fn(&mut Vec<Fetched>)| {
        let mut case = stripe(3, 2, 1000);
        change(&mut case.fetched);
        Stripe { name: name.into(), error: Some(error.into()), ..case }
    };
    let hostile = vec![
        refused("flipped bit", "shard 3: mismatch", &|fetched| fetched[1].flipped_bit = Some(1234)),
        refused("truncated", "shard 4: mismatch", &|fetched| fetched[2].truncated_to = Some(383)),
        refused("another shard under this index", "shard 2: mismatch", &|fetched| fetched[0].holds = 1),
        refused("one shard short", "2 distinct shards, need 3", &|fetched| fetched.truncate(2)),
        refused("one shard twice", "shard 2 twice", &|fetched| fetched[1] = fetched[0].clone()),
    ];
    write("stripe", "hostile.json", "each must be refused and the wrong shard named", hostile);
}

fn range_proof(shard_bytes: usize, proven: (u64, u64)) -> RangeProof {
    let shard = stream("shard", shard_bytes);
    let proof = prove_range(&shard, proven.0..proven.1).unwrap();
    RangeProof {
        name: format!("{proven:?} of {shard_bytes}"),
        shard_label: "shard".into(),
        shard_bytes,
        root: bytes(root(&shard).as_bytes()),
        proven,
        proof_bytes: proof.len(),
        proof_digest: bytes(blake3::hash(&proof).as_bytes()),
        flipped_bit: None,
        truncated_to: None,
        checked_root: bytes(root(&shard).as_bytes()),
        checked_shard_bytes: shard_bytes as u64,
        asked: proven,
        error: None,
    }
}

fn range_proofs() {
    let good = [(64, (0, 64)), (16_385, (16_384, 16_385)), (100_032, (20_000, 40_000)), (100_032, (0, 100_032))];
    let good = good.map(|(length, range)| range_proof(length, range)).into();
    write("range_proof", "good.json", "bao order, leaves of 16 KiB, pinned by BLAKE3", good);
    let refused = |name: &str, error: &str, change: &dyn Fn(&mut RangeProof)| {
        let mut case = range_proof(100_032, (20_000, 30_000));
        change(&mut case);
        RangeProof { name: name.into(), error: Some(error.into()), ..case }
    };
    let hostile = vec![
        refused("proof of another range", "Mismatch", &|case| case.asked = (50_000, 60_000)),
        refused("root of another shard", "Mismatch", &|case| case.checked_root = flipped(&case.root, 0)),
        refused("flipped bit in a parent", "Mismatch", &|case| case.flipped_bit = Some(5)),
        refused("flipped bit in a leaf", "Mismatch", &|case| case.flipped_bit = Some(8 * (case.proof_bytes - 1))),
        refused("truncated", "ProofBytes", &|case| case.truncated_to = Some(case.proof_bytes - 1)),
        refused("empty", "ProofBytes", &|case| case.truncated_to = Some(0)),
        refused("empty range", "OutOfBounds", &|case| case.asked = (5, 5)),
        refused("past the end", "OutOfBounds", &|case| case.asked = (100_000, 100_033)),
        refused("length that cannot be", "TooLong", &|case| case.checked_shard_bytes = u64::MAX),
    ];
    write("range_proof", "hostile.json", "each must be refused", hostile);
}

fn dealing(seed: u64, threshold: usize, count: usize) -> Dealing {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let secret = SnapshotSecret::random(&mut rng);
    let (shares, commitments) = deal(&secret, threshold, count, &mut rng).unwrap();
    Dealing {
        name: format!("{threshold} of {count}"),
        seed,
        threshold,
        count,
        commitments: commitments.to_bytes().iter().map(bytes).collect(),
        commitments_digest: bytes(commitments.digest().as_bytes()),
        shares: shares.iter().map(|share| share.to_bytes().expose(|secret| bytes(secret))).collect(),
        key_context: bytes(b"snapshot 7"),
        snapshot_key: secret.snapshot_key(b"snapshot 7").as_secret().expose(|key| bytes(key)),
    }
}

fn dealings() {
    let cases = vec![dealing(10, 1, 2), dealing(11, 2, 3), dealing(12, 3, 5), dealing(13, 5, 9)];
    write("dealing", "v1.json", "ChaCha20 seeded by seed_from_u64: the secret, then the dealing", cases);
}

fn received_shares() {
    let dealt = dealing(12, 3, 5);
    let good = ReceivedShares {
        name: "3 of 5".into(),
        threshold: 3,
        custodian: None,
        commitments: dealt.commitments.clone(),
        shares: dealt.shares[2..].to_vec(),
        key_context: dealt.key_context.clone(),
        snapshot_key: dealt.snapshot_key.clone(),
        error: None,
    };
    let refused = |name: &str, error: &str, change: &dyn Fn(&mut ReceivedShares)| {
        let mut case = good.clone();
        change(&mut case);
        ReceivedShares { name: name.into(), snapshot_key: Hex::default(), error: Some(error.into()), ..case }
    };
    let only = |case: &mut ReceivedShares, custodian: u8| {
        case.shares.truncate(1);
        case.custodian = Some(custodian);
    };
    // l = 2^252 + 27742317777372353535851937790883648493, the smallest scalar that is not canonical.
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut hostile = vec![
        refused("identifier 0", "IndexZero", &|case| case.shares[0].0[0] = 0),
        refused("duplicate share", "TooFew { expected: 3, actual: 2 }", &|case| {
            case.shares[1] = case.shares[0].clone();
        }),
        refused("one share short", "TooFew { expected: 3, actual: 2 }", &|case| case.shares.truncate(2)),
        refused("one commitment short", "Threshold", &|case| case.commitments.truncate(2)),
        refused("one commitment more", "Threshold", &|case| case.commitments.push(case.commitments[0].clone())),
        refused("no commitments", "Count", &|case| case.commitments.clear()),
        refused("commitment is the identity", "Point { position: 2 }", &|case| case.commitments[2] = bytes([0; 32])),
        refused("commitment is not canonical", "Point", &|case| case.commitments[0] = bytes([0xff; 32])),
        refused("flipped bit in a value", "Wrong { indices: [ShareIndex(4)] }", &|case| {
            case.shares[1] = flipped(&case.shares[1], 1);
        }),
        refused("flipped bit in a blinding", "Wrong { indices: [ShareIndex(3)] }", &|case| {
            case.shares[0] = flipped(&case.shares[0], 33);
        }),
        refused("share renumbered", "Wrong { indices: [ShareIndex(1)] }", &|case| case.shares[0].0[0] = 1),
        refused("truncated", "Length { actual: 64 }", &|case| case.shares[0].0.truncate(64)),
        refused("somebody else's share", "Index", &|case| only(case, 4)),
        refused("custodian's share changed", "Mismatch", &|case| {
            only(case, 3);
            case.shares[0] = flipped(&case.shares[0], 1);
        }),
    ];
    for (name, start) in [("value", 1), ("blinding", 33)] {
        let name = format!("{name} is the group order");
        hostile.push(refused(&name, "NotCanonical", &|case| {
            case.shares[0].0[start..start + 32].copy_from_slice(&order);
        }));
    }
    hostile.push(forged(refused("dealer knows log_G(H) of its own H", "Mismatch", &|case| only(case, 1))));
    write("received_shares", "good.json", "any threshold shares give the key", vec![good.clone()]);
    write("received_shares", "hostile.json", "each must be refused, wrong shares named", hostile);
}

/// A dealing under `H = a * G`: the share (s + a, t - 1) commits to the same point there as (s, t).
fn forged(case: ReceivedShares) -> ReceivedShares {
    let mut rng = ChaCha20Rng::seed_from_u64(14);
    let logarithm = Scalar::random(&mut rng);
    let pairs: Vec<(Scalar, Scalar)> = (0..3).map(|_| (Scalar::random(&mut rng), Scalar::random(&mut rng))).collect();
    let commitments = pairs.iter().map(|(f, g)| bytes((G * (f + logarithm * g)).compress().as_bytes())).collect();
    let (value, blinding) = pairs.iter().fold((Scalar::ZERO, Scalar::ZERO), |(s, t), (f, g)| (s + f, t + g));
    let share = [&[1][..], (value + logarithm).as_bytes(), (blinding - Scalar::ONE).as_bytes()].concat();
    ReceivedShares { commitments, shares: vec![Hex(share)], ..case }
}

fn sealed_shares() {
    let seed = stream("sealing key", 32);
    let secret = SealingSecretKey::from_bytes(SecretBytes::copy_from(&seed).unwrap());
    let context = Context {
        state: bytes(stream("state", 32)),
        database: "land-register".into(),
        sequence: 7,
        epoch: 2,
        custodian: "site-3".into(),
    };
    let state = Digest::from_bytes(context.state.0.clone().try_into().unwrap());
    let info = |context: &Context| {
        sealing_context(&state, &context.database, context.sequence, context.epoch, &context.custodian)
    };
    let share = dealing(12, 3, 5).shares[2].clone();
    let sealed = seal_to(&secret.public(), &info(&context), &share.0, &mut ChaCha20Rng::seed_from_u64(15)).unwrap();
    let good = SealedShare {
        name: "share 3 of 5".into(),
        secret_key: bytes(&seed),
        public_key_digest: bytes(Digest::of(secret.public().as_bytes()).as_bytes()),
        info: bytes(info(&context)),
        context,
        sealed: bytes(sealed),
        plaintext: share,
        error: None,
    };
    let refused = |name: &str, error: &str, change: &dyn Fn(&mut SealedShare)| {
        let mut case = good.clone();
        change(&mut case);
        case.info = bytes(info(&case.context));
        let key = SealingSecretKey::from_bytes(SecretBytes::copy_from(&case.secret_key.0).unwrap());
        case.public_key_digest = bytes(Digest::of(key.public().as_bytes()).as_bytes());
        SealedShare { name: name.into(), plaintext: Hex::default(), error: Some(error.into()), ..case }
    };
    let hostile = vec![
        refused("another key", "Authentication", &|case| case.secret_key = flipped(&case.secret_key, 0)),
        refused("another epoch", "Authentication", &|case| case.context.epoch += 1),
        refused("another sequence", "Authentication", &|case| case.context.sequence += 1),
        refused("another custodian", "Authentication", &|case| case.context.custodian = "site-4".into()),
        refused("database and custodian run together", "Authentication", &|case| {
            case.context.database = "land-registers".into();
            case.context.custodian = "ite-3".into();
        }),
        refused("flipped bit, ML-KEM half", "Authentication", &|case| case.sealed = flipped(&case.sealed, 0)),
        refused("flipped bit, X25519 half", "Authentication", &|case| case.sealed = flipped(&case.sealed, 1088)),
        refused("flipped bit, ciphertext", "Authentication", &|case| case.sealed = flipped(&case.sealed, 1120)),
        refused("truncated", "Authentication", &|case| case.sealed.0.truncate(1200)),
        refused("shorter than an empty message", "Length", &|case| case.sealed.0.truncate(1135)),
    ];
    write(
        "sealed_share",
        "good.json",
        "HPKE base mode, X-Wing, HKDF-SHA256, AES-256-GCM: enc || ct",
        vec![good.clone()],
    );
    write("sealed_share", "hostile.json", "each must be refused", hostile);
}

fn sealing_keys() {
    let secret = SealingSecretKey::from_bytes(SecretBytes::copy_from(&stream("sealing key", 32)).unwrap());
    let key = |name: &str, error: Option<&str>, change: &dyn Fn(&mut Vec<u8>)| {
        let mut public = secret.public().as_bytes().to_vec();
        change(&mut public);
        SealingKey { name: name.into(), public_key: Hex(public), error: error.map(Into::into) }
    };
    let mut one = [0; 32];
    one[0] = 1;
    let order_eight = hex::decode("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157").unwrap();
    let cases = vec![
        key("X25519 half all zero", Some("LowOrder"), &|public| public[1184..].fill(0)),
        key("X25519 half is 1", Some("LowOrder"), &|public| public[1184..].copy_from_slice(&one)),
        key("X25519 half of order 8", Some("LowOrder"), &|public| public[1184..].copy_from_slice(&order_eight)),
        key("ML-KEM half not reduced", Some("MlKem"), &|public| public[..3].fill(0xff)),
        key("truncated", Some("Length"), &|public| public.truncate(1215)),
        key("one byte more", Some("Length"), &|public| public.push(0)),
        key("as generated", None, &|_| {}),
    ];
    write("sealing_key", "v1.json", "ML-KEM-768 (1184) || X25519 (32)", cases);
}

fn cut_points() {
    let case = |content_defined, min_bytes, max_bytes, label: &str, repeated, stream_bytes| {
        let chunker = if content_defined {
            Chunker::ContentDefined(ContentDefined::new(min_bytes, max_bytes).unwrap())
        } else {
            Chunker::FixedSize(FixedSize::new(max_bytes).unwrap())
        };
        let mut case = CutPoints {
            name: format!("{min_bytes} to {max_bytes}, {label:?}, repeated {repeated}"),
            content_defined,
            min_bytes,
            max_bytes,
            stream_label: label.into(),
            repeated,
            stream_bytes,
            first_cuts: Vec::new(),
            cuts_digest: Hex::default(),
        };
        let data = cut_stream(&case);
        let (mut rest, mut cuts) = (data.as_slice(), Vec::new());
        while let Some(length) = chunker.next_chunk_bytes(rest, true) {
            cuts.push(length as u64);
            rest = &rest[length..];
        }
        case.first_cuts = cuts.iter().take(8).copied().collect();
        case.cuts_digest = Hex(cuts_digest(&cuts));
        case
    };
    let cases = vec![
        case(true, 512 << 10, 1536 << 10, "cuts", false, 16 << 20),
        case(true, 512 << 10, 1536 << 10, "a line of a register\n", true, 8 << 20),
        case(true, 2048, 8192, "cuts", false, 1 << 20),
        case(true, 2048, 8192, "\0", true, 1 << 16),
        case(false, 8192, 8192, "pages", false, 100_000),
    ];
    write("cut_points", "v1.json", "lengths of the chunks of a stream; the digest pins all of them", cases);
}
