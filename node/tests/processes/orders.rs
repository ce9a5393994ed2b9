//! Release orders against real sites: what does not hold is refused by every one of them, what was opened is known
//! to all.

use std::time::Duration;

use protocol::document::ReleaseOrder;
use protocol::signature::{Keypair, Signature, Signed};
use protocol::timestamp::Timestamp;
use protocol::wire::{RefusalCode, Request};
use protocol::{cbor, wire};
use serde::{Deserialize, Serialize};
use shard_codec::Digest;

use super::harness::{Plan, State, assert_same, wait_until, write_files};
use super::peer::Peer;

/// The envelope of `docs/format.md`, to be tampered with.
#[derive(Serialize, Deserialize)]
struct Envelope {
    kind: String,
    version: u16,
    #[serde(with = "serde_bytes")]
    payload: Vec<u8>,
    signatures: Vec<Signature>,
}

fn tampered(order: &Signed<ReleaseOrder>, tamper: impl FnOnce(&mut Envelope)) -> Vec<u8> {
    let mut envelope: Envelope = cbor::decode(&order.encode(), 1 << 20).unwrap();
    tamper(&mut envelope);
    cbor::encode(&envelope)
}

fn signed(order: ReleaseOrder, officials: &[Keypair]) -> Signed<ReleaseOrder> {
    let mut order = Signed::draft(order).unwrap();
    officials.iter().for_each(|official| order.sign(official));
    order
}

/// Every bad order, and the words that every site says to it.
fn bad_orders(base: &ReleaseOrder, officials: &[Keypair]) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let order = |change: fn(&mut ReleaseOrder)| {
        let mut changed = base.clone();
        change(&mut changed);
        changed
    };
    let stranger = Keypair::generate(&mut node::entropy::rng());
    let mut with_stranger = signed(base.clone(), &officials[..2]);
    with_stranger.sign(&stranger);
    let good = signed(base.clone(), &officials[..3]);
    let two = signed(base.clone(), &officials[..2]);
    vec![
        ("too few", two.encode(), "2 of 3 needed signatures"),
        ("a stranger signs", with_stranger.encode(), "2 of 3 needed signatures; strangers to the roll who signed: 1"),
        (
            "one official twice",
            tampered(&two, |envelope| envelope.signatures.push(envelope.signatures[0].clone())),
            "signed twice: one key counts once",
        ),
        (
            "expired",
            signed(order(|order| order.expires = order.not_before.plus_ms(1)), &officials[..3]).encode(),
            "the order expired at",
        ),
        (
            "too early",
            signed(
                order(|order| {
                    order.not_before = order.expires;
                    order.expires = order.expires.plus_ms(1_000);
                }),
                &officials[..3],
            )
            .encode(),
            "not valid before",
        ),
        (
            "another state",
            signed(order(|order| order.state = Digest::of(b"another state")), &officials[..3]).encode(),
            "the order is for state",
        ),
        (
            "altered after signing",
            tampered(&good, |envelope| {
                let mut order: ReleaseOrder = cbor::decode(&envelope.payload, 1 << 20).unwrap();
                order.reason = "another reason".to_owned();
                envelope.payload = cbor::encode(&order);
            }),
            "does not fit the document: it was altered after signing, or forged",
        ),
        (
            "another kind of document",
            tampered(&good, |envelope| "charter".clone_into(&mut envelope.kind)),
            "expected a release-order, found a \"charter\"",
        ),
        (
            "a version of the future",
            tampered(&good, |envelope| envelope.version = 99),
            "format version 99 is not known here",
        ),
    ]
}

#[test]
fn bad_orders_are_refused_by_every_site_and_releases_are_in_every_log() {
    let mut state = State::running(Plan::default());
    write_files(&state.path("source"), 3, 100_000, 1);
    state.backup("land-register", "dir:source").succeeded();
    state.order("land-register", "unsigned.txt", &[]);
    let base = state.read_document::<ReleaseOrder>("unsigned.txt").document().clone();
    let officials: Vec<Keypair> =
        (1..=3).map(|number| state.keypair("official", &format!("official-{number}.key"))).collect();
    let exile = Peer::new(&state.keypair("recipient", "exile.key"));
    let sites = state.charter_sites();

    for (what, envelope, words) in bad_orders(&base, &officials) {
        for site in &sites {
            let order = envelope.clone().into();
            let refusal = exile.ask(site, &Request::PresentOrder { order }).expect_err(what);
            assert_eq!(refusal.code, RefusalCode::Order, "{what} at {}: {refusal}", site.name);
            assert!(refusal.message.contains(words), "{what} at {}: {refusal}", site.name);
        }
        if what.contains("document") || what.contains("version") {
            continue; // the file does not parse: the sites are not asked
        }
        state.write_document::<ReleaseOrder>("bad.txt", &envelope);
        let error = state.restore("bad.txt", "never").refused_with(3);
        assert!(!state.path("never").exists());
        if what == "another state" {
            continue; // the charter at hand says so already
        }
        for site in &sites {
            let name = site.name.as_str();
            assert!(error.contains(name) && error.matches(words).count() == 7, "{what}: {error} lacks {name}");
        }
    }
    another_recipient(&state, &base, &officials, &exile);
    replayed(&state, &base, &officials, &exile);
    logs(&mut state, &base, &officials);
}

fn another_recipient(state: &State, base: &ReleaseOrder, officials: &[Keypair], exile: &Peer) {
    let good = signed(base.clone(), officials);
    let thief = Peer::stranger();
    let digest = good.digest();
    let share = Request::Share { order: digest, database: base.databases[0].clone(), sequence: 1 };
    for site in &state.charter_sites() {
        let order = Request::PresentOrder { order: good.encode().into() };
        let refusal = thief.ask(site, &order).unwrap_err();
        assert!(refusal.message.contains("names recipient"), "{refusal}");
        // Not even when the site has accepted it from the right one.
        assert_eq!(exile.ask(site, &order), Ok(wire::Response::Done));
        assert_eq!(thief.ask(site, &share).unwrap_err().code, RefusalCode::NotAllowed);
    }
    state.write_document::<ReleaseOrder>("good.txt", &good.encode());
    state
        .run(&[
            "order",
            "draft",
            "--charter",
            "charter.txt",
            "--database",
            "land-register",
            "--recipient",
            "thief.key",
            "--reason",
            "theft",
            "--out",
            "theft.txt",
        ])
        .succeeded();
    let restore = ["restore", "--order", "good.txt", "--key", "thief.key", "--charter", "charter.txt", "--to", "never"];
    assert!(state.run(&restore).refused_with(3).contains("is not the key of the order's recipient"));
}

fn replayed(state: &State, base: &ReleaseOrder, officials: &[Keypair], exile: &Peer) {
    let lives_ms = 4_000;
    let now = Timestamp::from_unix_ms(node::clock::now_ms());
    let order = ReleaseOrder { nonce: [9; 16], expires: now.plus_ms(lives_ms), ..base.clone() };
    let good = signed(order, officials);
    let request = Request::PresentOrder { order: good.encode().into() };
    let share = Request::Share { order: good.digest(), database: base.databases[0].clone(), sequence: 1 };
    for site in &state.charter_sites() {
        assert_eq!(exile.ask(site, &request), Ok(wire::Response::Done));
    }
    state.write_document::<ReleaseOrder>("short.txt", &good.encode());
    std::thread::sleep(Duration::from_millis(lives_ms));
    for site in &state.charter_sites() {
        for late in [&request, &share] {
            let refusal = exile.ask(site, late).unwrap_err();
            assert!(refusal.message.contains("expired at"), "{refusal}");
        }
    }
    let error = state.restore("short.txt", "never").refused_with(3);
    assert_eq!(error.matches("expired at").count(), 7, "{error}");
}

fn logs(state: &mut State, base: &ReleaseOrder, officials: &[Keypair]) {
    let good = signed(ReleaseOrder { nonce: [7; 16], reason: "the last ship".to_owned(), ..base.clone() }, officials);
    let digest = good.digest().to_string();
    state.write_document::<ReleaseOrder>("last.txt", &good.encode());
    state.kill(6);
    let report = state.restore("last.txt", "restored").succeeded().json;
    assert_same(&state.path("source"), &state.path("restored"));
    let released = report["share_sites"].as_array().unwrap().len();
    assert_eq!(released, 6);
    state.start(6);
    let under = format!("under order {digest}");
    for index in 0..7 {
        wait_until("every release is in the site's log", 15, || {
            state.log_of(index).matches(&under).count() >= released
        });
    }
    for index in 0..7 {
        state.kill(index);
        let log =
            state.run(&["site", "show", "--dir", &state.sites[index].name]).succeeded().json["release_log"].clone();
        let lines: Vec<&str> = log.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        assert_eq!(
            lines.iter().filter(|line| line.starts_with(&format!("order {digest}: the last ship"))).count(),
            1,
            "{log}"
        );
        for name in report["share_sites"].as_array().unwrap() {
            let words = format!("{} released its share of land-register snapshot 1 {under}", name.as_str().unwrap());
            assert!(lines.iter().any(|line| line.ends_with(&words)), "{log} lacks {words}");
        }
        // Good ones only: this one, the one the thief wanted and the short one.
        assert_eq!(lines.iter().filter(|line| line.starts_with("order ")).count(), 3, "{log}");
    }
}
