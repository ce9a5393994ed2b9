//! A peer that takes all it can get: it gets its part, and everybody else is served.

use std::time::Duration;

use futures::AsyncWriteExt as _;
use protocol::cbor;
use protocol::wire::{RefusalCode, Request, Response};
use shard_codec::Digest;

use super::harness::{Plan, State, write_files};
use super::peer::{Peer, framed};

const LAND: &str = "land-register";
/// Streams of one member, and of one stranger, at one site.
const STREAMS: usize = 24;
const STREAMS_OF_A_STRANGER: usize = 2;

#[test]
fn a_peer_has_its_part_of_the_streams_and_no_more() {
    let state = State::running(Plan { site_count: 4, ..Plan::default() });
    write_files(&state.path("source"), 2, 100_000, 1);
    let site = &state.charter_sites()[0];
    let greedy = Peer::new(&state.keypair("home", "home/home.key"));
    let stranger = Peer::stranger();
    // More than the site serves in all: without bounds nobody else would get one.
    let held: Vec<libp2p::Stream> = (0..600).filter_map(|_| greedy.hoard(site)).collect();
    assert_eq!(held.len(), STREAMS);
    let held_too: Vec<libp2p::Stream> = (0..20).filter_map(|_| stranger.hoard(site)).collect();
    assert_eq!(held_too.len(), STREAMS_OF_A_STRANGER);

    let other = Peer::new(&state.keypair("site", "fi-centre/site.key"));
    assert_eq!(other.ask(site, &Request::Head { database: LAND.parse().unwrap() }), Ok(Response::Head(None)));
    assert!(Peer::stranger().ask(site, &Request::Charters { from_version: 1 }).is_ok());
    // Who lets go of a stream may open another.
    drop((held, held_too));
    super::harness::wait_until("a stream is free again", 20, || greedy.hoard(site).is_some());
    assert_eq!(state.backup(LAND, "dir:source").succeeded().json["shard_sites"].as_array().unwrap().len(), 4);
}

#[test]
fn shards_that_never_come_do_not_keep_others_from_theirs() {
    let homes = vec!["home", "court"];
    let state = State::running(Plan { site_count: 4, databases: vec![LAND, "court-files"], homes, ..Plan::default() });
    write_files(&state.path("source"), 2, 100_000, 1);
    let site = &state.charter_sites()[0];
    let greedy = Peer::new(&state.keypair("home", "court/home.key"));
    let put = Request::PutShard {
        database: "court-files".parse().unwrap(),
        stripe_number: 1,
        shard_index: 0,
        root: Digest::of(b"never sent"),
        bytes: 1 << 20,
    };
    // More than the site holds in memory at once, announced and not sent.
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut stream = greedy.stream(site);
        let announced = greedy.runtime.block_on(async {
            stream.write_all(&framed(&cbor::encode(&put))).await?;
            stream.flush().await
        });
        // A site takes streams one by one, and drops those that come too fast.
        held.extend(announced.is_ok().then_some(stream));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(held.len() > 12, "only {} are held", held.len());
    let honest = Peer::new(&state.keypair("home", "home/home.key"));
    let answer = honest.send(site, &framed(&cbor::encode(&Request::Shard { root: Digest::of(b"x") })));
    let Ok(Response::Refused(refusal)) = answer else { panic!("not served: {answer:?}") };
    assert_eq!(refusal.code, RefusalCode::NotFound, "{refusal}");
    assert_eq!(state.backup(LAND, "dir:source").succeeded().json["shard_sites"].as_array().unwrap().len(), 4);
    drop(held);
}
