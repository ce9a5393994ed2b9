//! Attacks with a writer's key, old or new: which charter a manifest names, and who signed it.

use shard_codec::Digest;

use super::{announced, published, refused};
use crate::catalog::fork::ForkProof;
use crate::document::Manifest;
use crate::fixture::{RunningSite, Snapshot, State, database, rng};
use crate::machine::{Record, RecordKind};
use crate::signature::{Keypair, Signed};
use crate::wire::RefusalCode;

const NOT_A_WRITER: &str = "not signed by a writer of land-register";

/// Replaces the writer by charter; gives the digest of the charter before, and the key that is worth nothing now.
fn replace_writer(state: &mut State) -> (Digest, Keypair) {
    let before = state.chain.newest().digest();
    let successor = Keypair::generate(&mut rng(21));
    state.amend(|charter| charter.databases[0].writers = vec![successor.public()]);
    (before, std::mem::replace(&mut state.writer, successor))
}

/// Taken live, it would be refused at the next start, and the site would not come up any more.
#[test]
fn a_new_writer_does_not_sign_under_the_charter_of_the_old_one() {
    let mut state = State::new();
    let (founding, _old) = replace_writer(&mut state);
    let backdated = state.snapshot_with(None, 1, |manifest| manifest.charter = founding);
    let mut site = state.site(0);
    let refusals = [refused(&mut site, &state, &backdated), {
        let refusal = site.hear(announced(&backdated.manifest)).unwrap_err();
        (refusal.code, refusal.message)
    }];
    for (code, text) in refusals {
        assert_eq!(code, RefusalCode::Manifest);
        assert!(text.starts_with(NOT_A_WRITER), "{text}");
    }
    assert!(site.records.is_empty());
    // Nor is it taken from a state file, or by a client that reads it.
    let record = Record { kind: RecordKind::Manifest, key: Vec::new(), value: backdated.manifest.encode() };
    assert!(site.catalog.replay(&record).unwrap_err().starts_with(NOT_A_WRITER));
}

#[test]
fn no_snapshot_goes_back_to_an_older_charter() {
    let mut state = State::new();
    let founding = state.chain.newest().digest();
    state.amend(|_| {});
    let first = state.snapshot(None, 1);
    let backdated = state.snapshot_with(Some(&first.manifest), 1, |manifest| manifest.charter = founding);
    let mut site = state.site(0);
    published(&mut site, &state, &first);
    let older = "the manifest names an older charter than the snapshot before it".to_owned();
    assert_eq!(refused(&mut site, &state, &backdated), (RefusalCode::Manifest, older.clone()));
    assert_eq!(site.hear(announced(&backdated.manifest)).unwrap_err().message, older);
    let learned = site.catalog.learn(RecordKind::Manifest, &backdated.manifest.encode());
    assert_eq!(learned.unwrap_err().message, older);
    assert_eq!(site.catalog.history(&database()).unwrap().head_sequence(), 1);
}

/// The same manifest with another sealed root, whose digest is smaller than that of `than`, or greater.
fn rival(of: &Manifest, than: Digest, smaller: bool, writer: &Keypair) -> Signed<Manifest> {
    let mut rivals = (0_u8..).map(|byte| {
        let rival = Manifest { sealed_root: vec![byte, 1], ..of.clone() };
        Signed::sign_new(rival, writer).unwrap()
    });
    rivals.find(|rival| (rival.digest() < than) == smaller).unwrap()
}

#[test]
fn a_proof_of_a_fork_outlives_the_writer() {
    let mut state = State::new();
    let (ours, theirs) = (state.snapshot(None, 1), state.snapshot(None, 2));
    let proof = ForkProof::of(&ours.manifest, &theirs.manifest);
    replace_writer(&mut state);
    assert_eq!(proof.verify(&state.chain).unwrap().sequence, 1);
    // One of each writer, each under its own charter: the new one did not follow what is there.
    let by_new = state.snapshot(None, 1);
    assert_eq!(ForkProof::of(&ours.manifest, &by_new.manifest).verify(&state.chain).unwrap().sequence, 1);
}

#[test]
fn a_key_proves_nothing_under_a_charter_that_does_not_name_it() {
    let mut state = State::new();
    let ours = state.snapshot(None, 1);
    let (founding, old) = replace_writer(&mut state);
    let by_new = state.snapshot(None, 1);
    let backdated = Manifest { charter: founding, ..by_new.manifest.document().clone() };
    let by_thief = by_new.manifest.document().clone();
    let unknown = Manifest { charter: Digest::of(b"my own charter"), ..by_thief.clone() };
    let chain = &state.chain;
    for (genuine, false_one, key, code) in [
        (&ours, &backdated, &state.writer, RefusalCode::Manifest),
        (&by_new, &backdated, &state.writer, RefusalCode::Manifest),
        (&ours, &by_thief, &old, RefusalCode::Manifest),
        (&by_new, &by_thief, &old, RefusalCode::Manifest),
        (&ours, &unknown, &state.writer, RefusalCode::Charter),
    ] {
        // It must not get in at either place of the proof.
        for smaller in [true, false] {
            let false_one = rival(false_one, genuine.manifest.digest(), smaller, key);
            let refusal = ForkProof::of(&genuine.manifest, &false_one).verify(chain).unwrap_err();
            assert_eq!(refusal.code, code, "{refusal}");
            assert!(code == RefusalCode::Charter || refusal.message.starts_with(NOT_A_WRITER), "{refusal}");
        }
    }
}

/// A custodian that places no shards of a database has none to hold, which is not the same as all of them.
#[test]
fn a_site_without_a_place_does_not_claim_shards() {
    let mut state = State::founded(|charter| {
        charter.databases[0].placement.truncate(6);
        charter.databases[0].data_shards = 3;
    });
    let empty: Snapshot = state.snapshot(None, 0);
    let mut site: RunningSite<'_> = state.site(6);
    let receipt = published(&mut site, &state, &empty);
    assert_eq!((receipt.holds_shards, receipt.holds_share), (false, true));
    assert!(published(&mut state.site(0), &state, &empty).holds_shards);
}
