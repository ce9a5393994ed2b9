//! Whoever takes home after a backup finds no snapshot key there: not on its disk, not in the memory of the finished
//! process, and nothing that opens a page which is gone from the live database.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;

use node::entropy::SNAPSHOT_SEED_VARIABLE;
use node::keystore::{Passphrase, open_key_file};
use node::machine_state::{MachineState, RecordKind};
use protocol::catalog::publish::share_context;
use protocol::contents::root_context;
use protocol::document::Manifest;
use protocol::identifier::SiteName;
use protocol::signature::Signed;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use shard_codec::Digest;
use shard_codec::sealing::{ChunkHash, DedupSecret, open_root};
use shard_codec::secret_bytes::SecretBytes;
use shard_codec::secret_sharing::SnapshotSecret;
use shard_codec::share_sealing::{SealingSecretKey, open_sealed};

use super::evidence::{MemoryImage, search_files};
use super::harness::{Plan, Site, State, write_files};

const DATABASE: &str = "land-register";
const SITES: usize = 5;

type Needle = (String, Vec<u8>);

fn needle(name: &str, bytes: &[u8]) -> Needle {
    (name.to_owned(), bytes.to_vec())
}

/// Home's key file, opened: the seed of the writer key, and the root of the dedup secrets.
fn home_secrets(state: &State) -> ([u8; 32], [u8; 32]) {
    let passphrase = Passphrase::from_file(&state.path("passphrase")).unwrap();
    let opened = open_key_file(&state.path("home/home.key"), "home", &passphrase).unwrap();
    let (seed, root) = opened.secret.split_at(32);
    (seed.try_into().unwrap(), root.try_into().unwrap())
}

fn dedup_secret(state: &State) -> DedupSecret {
    let name = blake3::derive_key("legation v1 dedup secret name", DATABASE.as_bytes());
    DedupSecret::copy_from(blake3::keyed_hash(&home_secrets(state).1, &name).as_bytes()).unwrap()
}

/// The 52-bit limbs in which the curve library computes with a scalar.
fn limbs(scalar: &[u8; 32]) -> Vec<u8> {
    let bit = |at: usize| u64::from(scalar.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1));
    let limb = |limb: usize| (0..52).map(|at| bit(limb * 52 + at) << at).sum::<u64>();
    (0..5).flat_map(|index| limb(index).to_le_bytes()).collect()
}

/// Snapshot 1's scalar and key, made as the program makes them.
fn snapshot_key(state: &State, seed: [u8; 32]) -> Vec<Needle> {
    let checked = state.run(&["charter", "verify", "charter.txt"]).succeeded().json;
    let digest: Digest = checked["state"].as_str().unwrap().parse().unwrap();
    let context = root_context(&digest, &DATABASE.parse().unwrap(), 1);
    let secret = SnapshotSecret::random(&mut ChaCha20Rng::from_seed(seed));
    let mut wide = [0; 64];
    ChaCha20Rng::from_seed(seed).fill_bytes(&mut wide);
    // The secret shows itself to nobody; with a threshold of one, a share is the secret.
    let (shares, _) = shard_codec::secret_sharing::deal(&secret, 1, 1, &mut node::entropy::rng()).unwrap();
    let scalar: [u8; 32] = shares[0].to_bytes().expose(|share| share[1..33].try_into().unwrap());
    // It is the key indeed: it opens the snapshot's root.
    let (manifest, _share) = kept_by(&state.sites[0]);
    open_root(&secret.snapshot_key(&context), &context, &manifest.document().sealed_root).unwrap();
    vec![
        needle("scalar", &scalar),
        needle("scalar limbs", &limbs(&scalar)),
        needle("key", &secret.snapshot_key(&context).as_secret().expose(|key| *key)),
        needle("drawn bytes", &wide[..32]),
        needle("drawn bytes, second half", &wide[32..]),
    ]
}

/// Snapshot 1 as a site that does not run keeps it: its manifest, and the share sealed to that site.
fn kept_by(site: &Site) -> (Signed<Manifest>, Vec<u8>) {
    let machine_state = MachineState::open(&site.dir.join("state.redb")).unwrap();
    let manifest = machine_state.load(RecordKind::Manifest).unwrap().remove(0).1;
    (Signed::decode(&manifest).unwrap(), machine_state.load(RecordKind::Share).unwrap().remove(0).1)
}

/// Every share of snapshot 1, opened with the sites' own keys. No site may be running.
fn shares(state: &State) -> Vec<Needle> {
    let passphrase = Passphrase::from_file(&state.path("passphrase")).unwrap();
    let mut needles = Vec::new();
    for site in &state.sites {
        let (manifest, sealed) = kept_by(site);
        let keys = open_key_file(&site.dir.join("site.key"), "site", &passphrase).unwrap();
        let sealing = SealingSecretKey::from_bytes(SecretBytes::copy_from(&keys.secret[32..]).unwrap());
        let name: SiteName = site.name.parse().unwrap();
        let share = open_sealed(&sealing, &share_context(manifest.document(), 1, &name), &sealed).unwrap();
        for (part, scalar) in [("value", &share[1..33]), ("blinding", &share[33..65])] {
            needles.push(needle(&format!("{part} of the share of {name}"), scalar));
            let limbs = limbs(scalar.try_into().unwrap());
            needles.push(needle(&format!("limbs of the {part} of the share of {name}"), &limbs));
        }
    }
    needles
}

/// A backup that stops at each of `points` until its memory is copied.
fn backup_with_images(state: &State, seed: [u8; 32], points: &[&str]) -> Vec<MemoryImage> {
    let mut command =
        state.command(&["backup", DATABASE, "--from", "dir:source", "--dir", "home", "--charter", "charter.txt"]);
    command.env(SNAPSHOT_SEED_VARIABLE, hex::encode(seed)).env("LEGATION_TEST_WAIT", points.join(","));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut input = child.stdin.take().unwrap();
    let image = |point: &&str| {
        assert!(said.any(|line| line == format!("ready for the search: {point}")), "it did not stop at {point}");
        let image = MemoryImage::of(child.id());
        input.write_all(b"\n").unwrap();
        image
    };
    let images = points.iter().map(image).collect();
    assert!(child.wait().unwrap().success());
    images
}

#[test]
fn no_snapshot_key_is_left_in_memory_or_on_disk() {
    let mut state = State::running(Plan { site_count: SITES, ..Plan::default() });
    write_files(&state.path("source"), 6, 900_000, 61);
    let seed = [0x5a; 32];
    let images = backup_with_images(&state, seed, &["sealed", "finished"]);

    // The sites have what they need; their keys show what the shares were.
    (0..SITES).for_each(|index| state.kill(index));
    let mut hidden = snapshot_key(&state, seed);
    hidden.extend(shares(&state));
    assert_eq!(hidden.len(), 5 + SITES * 4);
    // What a home at work legitimately holds shows that the search finds what there is.
    let legitimate =
        [needle("writer seed", &home_secrets(&state).0), dedup_secret(&state).expose(|s| needle("dedup secret", s))];
    for (point, image) in ["sealed", "finished"].iter().zip(&images) {
        assert!(image.bytes() > 10 << 20, "{point}: {} bytes", image.bytes());
        for secret in &legitimate {
            assert!(!image.search(std::slice::from_ref(secret)).is_empty(), "{point}: the search finds nothing at all");
        }
        let hits = image.search(&hidden);
        assert!(hits.is_empty(), "left in memory when {point}: {hits:#?}");
    }

    let hits = search_files(&state.path("home"), &hidden);
    assert!(hits.is_empty(), "left on disk: {hits:?}");
    let in_hex: Vec<Needle> = hidden.iter().map(|(name, bytes)| needle(name, hex::encode(bytes).as_bytes())).collect();
    assert!(search_files(&state.path("home"), &in_hex).is_empty());
    std::fs::write(state.path("home/planted"), &hidden[0].1).unwrap();
    assert_eq!(search_files(&state.path("home"), &hidden).len(), 1, "the search finds nothing at all");
}

/// The page cut of an SQLite database, as hash, key and id of each page.
fn page_secrets(secret: &DedupSecret, database: &Path) -> Vec<[[u8; 32]; 3]> {
    let page = |page: &[u8]| {
        let hash = ChunkHash::of(secret, page);
        let id = *hash.id().as_bytes();
        hash.expose(|hash| [*hash, blake3::derive_key("legation v1 chunk key", hash), id])
    };
    std::fs::read(database).unwrap().chunks(4096).map(page).collect()
}

#[test]
fn home_keeps_nothing_that_opens_an_overwritten_page() {
    let state = State::running(Plan { site_count: SITES, ..Plan::default() });
    let register = rusqlite::Connection::open(state.path("land.db")).unwrap();
    register.execute_batch("PRAGMA page_size=4096; CREATE TABLE parcels (owner TEXT, note TEXT)").unwrap();
    let add = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000) \
               INSERT INTO parcels SELECT 'owner ' || i, hex(randomblob(150)) FROM n";
    register.execute_batch(add).unwrap();
    state.backup(DATABASE, "sqlite:land.db").succeeded();
    let secret = dedup_secret(&state);
    let old = page_secrets(&secret, &state.path("land.db"));
    register.execute_batch("UPDATE parcels SET note = hex(randomblob(150)) WHERE rowid % 40 = 0").unwrap();
    state.backup(DATABASE, "sqlite:land.db").succeeded();
    let new = page_secrets(&secret, &state.path("land.db"));
    let overwritten: Vec<&[[u8; 32]; 3]> = old.iter().filter(|page| !new.contains(page)).collect();
    assert!(overwritten.len() > 20, "{}", overwritten.len());

    let mut needles: Vec<Needle> = Vec::new();
    for [hash, key, _id] in &overwritten {
        needles.extend([needle("chunk hash", hash), needle("chunk key", key)]);
    }
    let hits = search_files(&state.path("home"), &needles);
    assert!(hits.is_empty(), "left at home: {hits:?}");
    let passphrase = Passphrase::from_file(&state.path("passphrase")).unwrap();
    let opened = open_key_file(&state.path("home/home.key"), "home", &passphrase).unwrap();
    assert!(needles.iter().all(|(_name, bytes)| !opened.secret.windows(32).any(|window| window == bytes)));
    // Control: the one-way image of the same hash, by which the page is found again, is in the index.
    let ids: Vec<Needle> = overwritten.iter().map(|[_hash, _key, id]| needle("chunk id", id)).collect();
    assert!(!search_files(&state.path("home"), &ids).is_empty(), "the search finds nothing at all");
}
