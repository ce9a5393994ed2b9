//! Attacks with runs of manifests, by who holds a writer's key, or held one.

use protocol::cbor;
use protocol::document::Manifest;
use protocol::limits::PAGE_ENTRIES_MAX;
use protocol::machine::Announcement;
use protocol::signature::{Keypair, Signed};
use protocol::wire::{Request, Response};
use serde_bytes::ByteBuf;

use super::Attack;
use crate::fixture::{State, rng};

fn successor() -> Keypair {
    Keypair::generate(&mut rng(69))
}

/// The state after a charter replaced the writer; its key is now a thief's.
pub(crate) fn with_new_writer() -> State {
    let mut state = State::new();
    state.amend(|charter| charter.databases[0].writers = vec![successor().public()]);
    state
}

pub(super) fn announcement(run: &[&Signed<Manifest>]) -> Vec<u8> {
    let run = run.iter().map(|manifest| ByteBuf::from(manifest.encode())).collect();
    cbor::encode(&Request::Announce(Announcement::Manifests(run)))
}

/// Two by the old writer, then one by the new one.
fn succession() -> Vec<Signed<Manifest>> {
    let mut state = State::new();
    let one = state.snapshot(None, 1).manifest;
    let two = state.snapshot(Some(&one), 1).manifest;
    let mut state = with_new_writer();
    state.writer = successor();
    let three = state.snapshot(Some(&two), 1).manifest;
    vec![one, two, three]
}

pub(super) fn vouched() -> Vec<u8> {
    announcement(&succession().iter().collect::<Vec<_>>())
}

pub(super) fn runs() -> Vec<Attack> {
    let run = succession();
    let (one, two, three) = (&run[0], &run[1], &run[2]);
    let mut state = with_new_writer();
    let by_thief = state.snapshot(Some(three), 1).manifest;
    state.writer = successor();
    let mut aside = three.document().clone();
    aside.previous = Some(one.digest());
    let aside = Signed::sign_new(aside, &state.writer).unwrap();
    let second_branch = state.snapshot(Some(one), 1).manifest;
    let mut damaged = three.encode();
    *damaged.last_mut().unwrap() ^= 1;
    let damaged = vec![one.encode().into(), two.encode().into(), damaged.into()];
    let damaged = cbor::encode(&Request::Announce(Announcement::Manifests(damaged)));
    let entries = |count| {
        let many = vec![ByteBuf::new(); count];
        cbor::encode(&Request::Announce(Announcement::Manifests(many)))
    };
    let documents = cbor::encode(&Response::Documents(vec![ByteBuf::new(); PAGE_ENTRIES_MAX + 1]));
    let database = crate::fixture::database();
    let sequences = cbor::encode(&Request::ReceiptsOf { database, sequences: vec![1; PAGE_ENTRIES_MAX + 1] });
    let later = "announcement-after-a-new-writer";
    vec![
        ("run-too-many-entries", "announcement", "announcement", entries(PAGE_ENTRIES_MAX + 1)),
        ("run-too-many-entries", "documents", "response", documents),
        ("run-too-many-entries", "sequences", "request", sequences),
        ("run-too-many-entries", "none", "announcement", entries(0)),
        ("run-gap", "one-left-out", later, announcement(&[one, three])),
        ("run-gap", "one-twice", later, announcement(&[one, one])),
        ("run-gap", "backwards", later, announcement(&[two, one])),
        ("run-gap", "begins-late", later, announcement(&[two, three])),
        ("run-by-thief", "nobody-vouches", later, announcement(&[one, two])),
        ("run-by-thief", "after-the-one-who-vouches", later, announcement(&[one, two, three, &by_thief])),
        ("run-by-thief", "forged-voucher", later, damaged),
        ("run-voucher-aside", "other-predecessor", later, announcement(&[one, two, &aside])),
        ("run-voucher-aside", "other-branch", later, announcement(&[one, two, &second_branch])),
    ]
}
