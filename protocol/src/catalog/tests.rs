//! Attacks on the catalog by writers, sites and a state file.

mod laws;
mod writers;

use serde_bytes::ByteBuf;
use shard_codec::Digest;

use super::fork::{FORKS_MAX, ForkProof};
use crate::document::{Manifest, Receipt, SiteState};
use crate::fixture::{RunningSite, Snapshot, State, answer, database, kinds, name, refusal, rng};
use crate::machine::{Announcement, Output};
use crate::signature::{Keypair, Signed};
use crate::wire::{RefusalCode, Response};

fn receipt_of(response: Response) -> Option<Receipt> {
    let Response::Published { receipt, .. } = response else { panic!("not published: {response:?}") };
    receipt.map(|bytes| Signed::<Receipt>::decode(&bytes).unwrap().document().clone())
}

fn published(site: &mut RunningSite<'_>, state: &State, snapshot: &Snapshot) -> Receipt {
    receipt_of(site.publish(state.writer.public(), snapshot).unwrap()).unwrap()
}

fn announced(manifest: &Signed<Manifest>) -> Announcement {
    Announcement::Manifests(vec![ByteBuf::from(manifest.encode())])
}

fn refused(site: &mut RunningSite<'_>, state: &State, snapshot: &Snapshot) -> (RefusalCode, String) {
    let refusal = site.publish(state.writer.public(), snapshot).unwrap_err();
    (refusal.code, refusal.message)
}

#[test]
fn a_receipt_is_given_after_everything_it_says_is_kept() {
    let mut state = State::new();
    let snapshot = state.snapshot(None, 2);
    let mut site = state.site(0);
    let share = Some(snapshot.sealed_shares[0].clone());
    let outputs = site.publish_bytes(state.writer.public(), snapshot.manifest.encode(), share);
    let expected = [
        "persist manifest",
        "announce manifests",
        "persist share",
        "check",
        "persist receipt",
        "announce receipt",
        "report",
        "reply",
    ];
    assert_eq!(kinds(&outputs), expected);
    let Some(Output::CheckShards { roots, .. }) = outputs.get(3) else { panic!("no check") };
    let added = &snapshot.manifest.document().stripes_added;
    let own: Vec<Digest> = added.iter().filter_map(|stripe| stripe.root(shard_codec::ShardIndex::new(0))).collect();
    assert_eq!(*roots, own);
    let receipt = receipt_of(answer(&outputs).unwrap()).unwrap();
    assert_eq!((receipt.holds_shards, receipt.holds_share), (true, true));
    assert_eq!((receipt.manifest, receipt.site.as_str()), (snapshot.manifest.digest(), "tallinn"));
}

#[test]
fn a_receipt_never_claims_what_is_missing() {
    let mut state = State::new();
    let snapshot = state.snapshot(None, 2);
    let missing = snapshot.manifest.document().stripes_added[1].root(shard_codec::ShardIndex::new(0)).unwrap();
    let mut site = state.site(0);
    site.absent.insert(missing);
    // No share and not all shards: nothing to say.
    let outputs = site.publish_bytes(state.writer.public(), snapshot.manifest.encode(), None);
    assert_eq!(answer(&outputs), Ok(Response::Published { receipt: None, missing: vec![missing] }));
    // The share, but not all shards.
    let receipt = published(&mut site, &state, &snapshot);
    assert_eq!((receipt.holds_shards, receipt.holds_share), (false, true));
    // The late shard has come.
    site.absent.clear();
    let receipt = published(&mut site, &state, &snapshot);
    assert_eq!((receipt.holds_shards, receipt.holds_share), (true, true));
    assert_eq!(site.catalog.history(&database()).unwrap().receipts(1).count(), 1);
    // An earlier and weaker receipt, replayed by somebody, does not displace it.
    let weaker = site.records.iter().find(|record| record.kind == crate::machine::RecordKind::Receipt).unwrap();
    site.hear(Announcement::Receipt(weaker.value.clone().into())).unwrap();
    assert!(site.catalog.history(&database()).unwrap().receipts(1).next().unwrap().document().holds_shards);
}

#[test]
fn a_site_that_joined_the_placement_later_does_not_claim_older_stripes() {
    let mut state = State::founded(|charter| {
        charter.databases[0].placement.truncate(6);
        charter.databases[0].data_shards = 3;
    });
    let first = state.snapshot(None, 2);
    let adopted = state.amend(|charter| charter.databases[0].placement.push(name("ottawa")));
    let second = state.snapshot(Some(&first.manifest), 1);
    let mut site = state.site(6);
    assert_eq!(adopted.document().version, 2);
    site.hear(announced(&first.manifest)).unwrap();
    assert!(!published(&mut site, &state, &second).holds_shards);
    // Once every stripe it lives on has a shard here, it may.
    let third =
        state.snapshot_with(Some(&second.manifest), 1, |manifest| manifest.stripes_dropped = vec![1_000, 1_001]);
    let mut site = state.site(6);
    site.hear(announced(&first.manifest)).unwrap();
    site.hear(announced(&second.manifest)).unwrap();
    assert!(published(&mut site, &state, &third).holds_shards);
}

#[test]
fn publishing_again_is_harmless() {
    let mut state = State::new();
    let snapshot = state.snapshot(None, 1);
    let mut site = state.site(0);
    let first = published(&mut site, &state, &snapshot);
    let records = site.records.len();
    assert_eq!(published(&mut site, &state, &snapshot), first);
    assert_eq!(site.records.len(), records);
}

#[test]
fn a_gap_is_named_and_filled() {
    let mut state = State::new();
    let first = state.snapshot(None, 1);
    let second = state.snapshot(Some(&first.manifest), 1);
    let third = state.snapshot(Some(&second.manifest), 1);
    let mut site = state.site(0);
    let behind = (RefusalCode::Behind, "manifests of land-register from sequence 1 on are missing here".to_owned());
    assert_eq!(refused(&mut site, &state, &third), behind);
    assert!(site.catalog.history(&database()).is_none(), "a refused manifest leaves nothing behind");
    site.hear(announced(&first.manifest)).unwrap();
    assert_eq!(site.hear(announced(&third.manifest)).unwrap_err().code, RefusalCode::Behind);
    site.hear(announced(&second.manifest)).unwrap();
    assert_eq!(published(&mut site, &state, &third).sequence, 3);
}

/// A custodian that was away gets the share of a snapshot that is no longer the newest.
#[test]
fn a_late_share_of_an_older_snapshot_is_kept_and_nothing_else_is_promised() {
    let mut state = State::new();
    let first = state.snapshot(None, 1);
    let second = state.snapshot(Some(&first.manifest), 1);
    // By then the site is no custodian any more: the manifest says whose shares there are.
    state.amend(|charter| drop(charter.databases[0].custodians.remove(0)));
    let mut site = state.site(0);
    site.hear(announced(&first.manifest)).unwrap();
    site.hear(announced(&second.manifest)).unwrap();
    let writer = state.writer.public();
    // Another share than the one the manifest names is still refused, and without a share there is nothing to say.
    let other = Some(second.sealed_shares[0].clone());
    assert_eq!(refusal(&site.publish_bytes(writer, first.manifest.encode(), other)).0, RefusalCode::Share);
    let nothing = Response::Published { receipt: None, missing: Vec::new() };
    assert_eq!(answer(&site.publish_bytes(writer, first.manifest.encode(), None)), Ok(nothing));

    let receipt = published(&mut site, &state, &first);
    assert_eq!((receipt.sequence, receipt.holds_shards, receipt.holds_share), (1, false, true));
    assert_eq!(published(&mut site, &state, &first), receipt, "once more is harmless");
    assert_eq!(site.catalog.history(&database()).unwrap().head_sequence(), 2);
    site.restart().unwrap();
    let history = site.catalog.history(&database()).unwrap();
    assert_eq!(history.share(1), Some(first.sealed_shares[0].as_slice()));
    assert_eq!(*history.receipts(1).next().unwrap().document(), receipt);

    // Whoever was never a custodian of it takes none.
    let mut without = State::founded(|charter| drop(charter.databases[0].custodians.remove(0)));
    let snapshot = without.snapshot(None, 1);
    let share = Some(snapshot.sealed_shares[0].clone());
    let outputs = without.site(0).publish_bytes(without.writer.public(), snapshot.manifest.encode(), share);
    let text = "this site is not a custodian of the snapshot".to_owned();
    assert_eq!(refusal(&outputs), (RefusalCode::Share, text));
}

#[test]
fn two_histories_are_proven_kept_and_spread() {
    let mut state = State::new();
    let ours = state.snapshot(None, 1);
    let theirs = state.snapshot(None, 2);
    let mut site = state.site(0);
    published(&mut site, &state, &ours);
    let outputs = site.publish_bytes(state.writer.public(), theirs.manifest.encode(), None);
    assert_eq!(kinds(&outputs), ["persist fork", "announce fork", "report", "report", "refuse"]);
    let text = "another manifest of land-register with sequence 1 is held here: FORK".to_owned();
    assert_eq!(refusal(&outputs), (RefusalCode::Fork, text));
    let Some(Output::Announce(Announcement::Fork(bytes))) = outputs.get(1) else { panic!("not announced") };
    // A third party that has the charter and neither manifest.
    let mut third = state.site(5);
    assert_eq!(third.hear(Announcement::Fork(bytes.clone())), Ok(Response::Done));
    let proof = third.catalog.history(&database()).unwrap().forks().next().unwrap().clone();
    let fork = proof.verify(&state.chain).unwrap();
    assert_eq!((fork.database, fork.sequence), (database(), 1));
    assert!(fork.digests.contains(&ours.manifest.digest()) && fork.digests.contains(&theirs.manifest.digest()));
    // The history held first stays.
    assert_eq!(site.catalog.history(&database()).unwrap().head().unwrap().digest(), ours.manifest.digest());
    third.restart().unwrap();
    assert_eq!(third.catalog.history(&database()).unwrap().forks().count(), 1);
}

#[test]
fn a_manifest_that_follows_another_history_is_refused() {
    let mut state = State::new();
    let ours = state.snapshot(None, 1);
    let theirs = state.snapshot(None, 2);
    let after_theirs = state.snapshot(Some(&theirs.manifest), 1);
    let mut site = state.site(0);
    published(&mut site, &state, &ours);
    let text = "does not follow snapshot 1 of land-register that is held here: FORK".to_owned();
    assert_eq!(refused(&mut site, &state, &after_theirs), (RefusalCode::Fork, text));
}

#[test]
fn what_proves_no_fork_is_no_proof() {
    let mut state = State::new();
    let first = state.snapshot(None, 1);
    let second = state.snapshot(Some(&first.manifest), 1);
    let other_first = state.snapshot(None, 2);
    let chain = state.chain.clone();
    let text = |proof: &ForkProof| proof.verify(&chain).unwrap_err().message;
    let nothing = "the two manifests do not prove a fork";
    assert_eq!(text(&ForkProof::of(&first.manifest, &first.manifest)), nothing);
    assert_eq!(text(&ForkProof::of(&first.manifest, &second.manifest)), nothing);
    let good = ForkProof::of(&first.manifest, &other_first.manifest);
    assert!(good.verify(&chain).is_ok());
    let swapped = ForkProof { first: good.second.clone(), second: good.first.clone() };
    assert_eq!(text(&swapped), nothing);
    // Anybody could make a second manifest; only a writer can sign it.
    let stranger = Keypair::generate(&mut rng(3));
    let framed = Signed::sign_new(other_first.manifest.document().clone(), &stranger).unwrap();
    assert!(text(&ForkProof::of(&first.manifest, &framed)).starts_with("not signed by a writer of land-register"));
}

#[test]
fn proofs_of_forks_do_not_fill_the_disk() {
    let mut state = State::new();
    let founding = state.snapshot(None, 0);
    let mut site = state.site(0);
    for sequence in 1..=40 {
        let mut one = founding.manifest.document().clone();
        (one.sequence, one.previous) = (sequence, (sequence > 1).then(|| Digest::of(b"before")));
        let other = Manifest { sealed_root: vec![1], ..one.clone() };
        let [one, other] = [one, other].map(|manifest| Signed::sign_new(manifest, &state.writer).unwrap());
        site.hear(Announcement::Fork(ForkProof::of(&one, &other).encode().into())).unwrap();
    }
    assert_eq!(site.catalog.history(&database()).unwrap().forks().count(), FORKS_MAX);
    assert_eq!(site.records.len(), FORKS_MAX);
}

#[test]
fn strangers_and_writers_of_other_databases_publish_nothing() {
    let other = Keypair::generate(&mut rng(11));
    let mut state = State::founded(|charter| {
        let mut second = charter.databases[0].clone();
        second.name = name("court-files");
        second.writers = vec![other.public()];
        charter.databases.push(second);
    });
    let good = state.snapshot(None, 1);
    let mut site = state.site(0);
    // Signed by a writer of another database.
    let forged = Signed::sign_new(good.manifest.document().clone(), &other).unwrap();
    let (code, text) = refusal(&site.publish_bytes(other.public(), forged.encode(), None));
    assert_eq!(code, RefusalCode::Manifest);
    assert!(text.starts_with("not signed by a writer of land-register: 0 of 1 needed signatures"), "{text}");
    assert_eq!(site.hear(announced(&forged)).unwrap_err().code, RefusalCode::Manifest);
    // Signed by the right writer, brought by another.
    let (code, _) = refusal(&site.publish_bytes(other.public(), good.manifest.encode(), None));
    assert_eq!(code, RefusalCode::NotAllowed);
    assert!(site.catalog.history(&database()).is_none());
    assert!(site.records.is_empty());
}

#[test]
fn a_manifest_of_another_state_is_refused() {
    let state = State::new();
    let mut other = State::founded(|charter| charter.state_name = "Ruritania restored".to_owned());
    let foreign = other.snapshot(None, 1);
    let expected = format!("the manifest is of state {}", other.chain.state());
    assert_eq!(refused(&mut state.site(0), &state, &foreign), (RefusalCode::Manifest, expected));
}

#[test]
fn a_placement_of_the_writers_own_choice_is_refused_however_it_comes() {
    let mut state = State::new();
    let threshold = state.snapshot_with(None, 1, |manifest| {
        manifest.custody.threshold = 2;
        manifest.custody.commitments.truncate(64);
    });
    let placement = state.snapshot_with(None, 1, |manifest| manifest.placement.swap(0, 1));
    let custodians = state.snapshot_with(None, 1, |manifest| manifest.custody.custodians.swap(0, 1));
    let data_shards = state.snapshot_with(None, 1, |manifest| manifest.data_shards = 3);
    let cases =
        [("threshold", threshold), ("placement", placement), ("custodians", custodians), ("data_shards", data_shards)];
    for (what, snapshot) in cases {
        let expected = format!("{what} of the manifest is not what the charter says: fetch the newest charter");
        let mut site = state.site(0);
        assert_eq!(refused(&mut site, &state, &snapshot).1, expected);
        // Announced first, so that it would be known when it is published.
        assert_eq!(site.hear(announced(&snapshot.manifest)).unwrap_err().message, expected);
        assert!(site.publish(state.writer.public(), &snapshot).is_err());
    }
    let unknown = state.snapshot_with(None, 1, |manifest| manifest.charter = Digest::of(b"my own charter"));
    assert_eq!(state.site(0).hear(announced(&unknown.manifest)).unwrap_err().code, RefusalCode::Charter);
}

#[test]
fn shares_that_are_not_the_ones_the_manifest_names() {
    let mut state = State::new();
    let good = state.snapshot(None, 1);
    let other = state.snapshot(None, 1);
    let offer = |manifest: &Signed<Manifest>, sealed: &[u8]| {
        let mut site = state.site(0);
        let outputs = site.publish_bytes(state.writer.public(), manifest.encode(), Some(sealed.to_vec()));
        assert!(site.records.is_empty(), "nothing of a refused publication is kept");
        refusal(&outputs)
    };
    let not_named = (RefusalCode::Share, "the sealed share is not the one the manifest names for this site".to_owned());
    assert_eq!(offer(&good.manifest, &good.sealed_shares[1]), not_named, "another site's");
    assert_eq!(offer(&good.manifest, &other.sealed_shares[0]), not_named, "another snapshot's");
    assert_eq!(offer(&good.manifest, &[]), not_named);
    assert_eq!(offer(&good.manifest, &vec![0; 1 << 20]), not_named);
}

/// The manifest names what was sent, so only opening and verifying finds these.
#[test]
fn shares_that_do_not_open_or_do_not_verify() {
    let mut state = State::new();
    let other = state.snapshot(None, 1);
    let named = |state: &mut State, place: usize, sealed: Vec<u8>| {
        let mut snapshot =
            state.snapshot_with(None, 1, |manifest| manifest.custody.share_digests[place] = Digest::of(&sealed));
        snapshot.sealed_shares[place] = sealed;
        snapshot
    };
    // Sealed to another site.
    let swapped = named(&mut state, 0, other.sealed_shares[1].clone());
    let closed = (RefusalCode::Share, "not sealed to this key and context".to_owned());
    assert_eq!(refused(&mut state.site(0), &state, &swapped), closed);
    // Opens (the context is the same) and belongs to other commitments.
    let stale = named(&mut state, 0, other.sealed_shares[0].clone());
    let mismatch = (RefusalCode::Share, "share 1 does not match the commitments".to_owned());
    assert_eq!(refused(&mut state.site(0), &state, &stale), mismatch);
    // Commitments of another dealing.
    let commitments = other.manifest.document().custody.commitments.clone();
    let forged = state.snapshot_with(None, 1, |manifest| manifest.custody.commitments = commitments);
    assert_eq!(refused(&mut state.site(0), &state, &forged), mismatch);
    // Another site's share, sealed to this one.
    let snapshot = state.snapshot(None, 1);
    let keys = &state.sites;
    let second = super::publish::open_share(
        snapshot.manifest.document(),
        1,
        &keys[1].name,
        &snapshot.sealed_shares[1],
        &keys[1],
    );
    let context = super::publish::share_context(snapshot.manifest.document(), 1, &keys[0].name);
    let resealed = second.unwrap().to_bytes().expose(|bytes| {
        shard_codec::share_sealing::seal_to(&keys[0].sealing.public(), &context, bytes, &mut rng(1)).unwrap()
    });
    let mut manifest = snapshot.manifest.document().clone();
    manifest.custody.share_digests[0] = Digest::of(&resealed);
    let manifest = Signed::sign_new(manifest, &state.writer).unwrap();
    let outputs = state.site(0).publish_bytes(state.writer.public(), manifest.encode(), Some(resealed));
    assert_eq!(refusal(&outputs), (RefusalCode::Share, "share 2, expected 1".to_owned()));
}

#[test]
fn receipts_of_impostors_and_for_unknown_manifests_are_refused() {
    let mut state = State::new();
    let snapshot = state.snapshot(None, 1);
    let mut site = state.site(0);
    published(&mut site, &state, &snapshot);
    let receipt = |of: &Snapshot, site: &str| Receipt {
        state: state.chain.state(),
        database: database(),
        sequence: 1,
        manifest: of.manifest.digest(),
        site: name(site),
        holds_shards: true,
        holds_share: true,
        at: crate::fixture::NOW,
    };
    let mut hear = |receipt: Receipt, keys: &Keypair| {
        let bytes = Signed::sign_new(receipt, keys).unwrap().encode();
        site.hear(Announcement::Receipt(bytes.into())).map_err(|refusal| refusal.message)
    };
    let bern = &state.sites[4].identity;
    let error = hear(receipt(&snapshot, "tokyo"), bern).unwrap_err();
    assert!(error.starts_with("0 of 1 needed signatures"), "{error}");
    assert_eq!(hear(receipt(&snapshot, "atlantis"), bern).unwrap_err(), "no site atlantis");
    let unknown = "a receipt for a manifest that is not known here";
    let other = Receipt { manifest: state.chain.state(), ..receipt(&snapshot, "bern") };
    assert_eq!(hear(other, bern).unwrap_err(), unknown);
    assert_eq!(hear(Receipt { sequence: 2, ..receipt(&snapshot, "bern") }, bern).unwrap_err(), unknown);
    assert_eq!(hear(receipt(&snapshot, "bern"), bern), Ok(Response::Done));
    assert_eq!(site.catalog.history(&database()).unwrap().receipts(1).count(), 2);
}

/// A stolen writer key is replaced by charter: the thief publishes nothing more, and no site forgets what it knew.
#[test]
fn a_replaced_writer_publishes_no_more_and_its_history_replays() {
    let mut state = State::new();
    let first = state.snapshot(None, 1);
    let forked = state.snapshot(None, 2);
    let by_thief = state.snapshot(Some(&first.manifest), 1);
    let mut keeper = state.site(0);
    published(&mut keeper, &state, &first);
    assert!(keeper.publish(state.writer.public(), &forked).is_err());
    let (records, founding) = (keeper.records.clone(), state.chain.clone());
    let successor = Keypair::generate(&mut rng(21));
    let next = state.amend(|charter| {
        charter.databases[0].writers = vec![successor.public()];
        charter.sites[6].state = SiteState::Lost;
    });
    let old = std::mem::replace(&mut state.writer, successor);
    let mut keeper = RunningSite::new(&state.sites[0], founding);
    keeper.records = records;
    keeper.restart().unwrap();
    keeper.hear(Announcement::Charter(next.encode().into())).unwrap();
    assert!(keeper.publish(old.public(), &by_thief).is_err());
    assert!(keeper.hear(announced(&by_thief.manifest)).is_err());
    keeper.restart().unwrap();
    let history = keeper.catalog.history(&database()).unwrap();
    assert_eq!((history.head_sequence(), history.forks().count()), (1, 1));
    let records = keeper.records.clone();
    let second = state.snapshot(Some(&first.manifest), 1);
    let mut keeper = RunningSite::new(&state.sites[0], state.chain.clone());
    keeper.records = records;
    keeper.restart().unwrap();
    assert_eq!(published(&mut keeper, &state, &second).sequence, 2);
}

#[test]
fn a_damaged_state_file_is_refused() {
    let mut state = State::new();
    let snapshot = state.snapshot(None, 1);
    let mut site = state.site(0);
    published(&mut site, &state, &snapshot);
    let records = site.records.clone();
    for position in 0..records.len() {
        let mut damaged = state.site(0);
        damaged.records = records.clone();
        let record = &mut damaged.records[position];
        if record.kind == crate::machine::RecordKind::Share {
            record.key.truncate(3); // its bytes are checked when they are opened
        } else {
            let middle = record.value.len() / 2;
            record.value[middle] ^= 1;
        }
        assert!(damaged.restart().is_err(), "record {position}");
    }
}
