//! Messages made to hurt, and crowds of strangers: an error, bounded memory, and the site serves on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::AsyncWriteExt as _;
use node::network::frame::{FrameError, write_frame};
use node::network::{Mesh, MeshOptions};
use protocol::cbor;
use protocol::document::Site;
use protocol::limits::FRAME_BYTES_MAX;
use protocol::signature::Keypair;
use protocol::wire::{RefusalCode, Request, Response};
use shard_codec::Digest;

use super::harness::{Plan, State, write_files};
use super::peer::{Peer, framed};

/// What a site may grow by under attack.
const GROWTH_MIB_MAX: u64 = 64;

/// Messages that are answered with `Malformed`.
fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let charters = cbor::encode(&Request::Charters { from_version: 1 });
    let mut nested = vec![0x81; 60_000];
    nested.push(0);
    vec![
        ("nothing", framed(&[])),
        ("deep nesting", framed(&nested)),
        ("deep nesting of maps", framed(&[0xa1, 0x00].repeat(30_000))),
        ("deep nesting of tags", framed(&[0xc1; 60_000])),
        ("trailing bytes", framed(&[&charters[..], &[0]].concat())),
        ("two requests in one frame", framed(&[&charters[..], &charters[..]].concat())),
        ("an unknown request", framed(&[&[0x6f][..], b"launch-missiles"].concat())),
        ("an unknown field", framed(&[&[0xa1, 0x68][..], b"charters", &[0xa1, 0x63], b"sudo", &[0x01]].concat())),
        ("an array of 2^63", framed(&[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        ("bytes of 2^62", framed(&[0x5b, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        ("a map of 2^63", framed(&[0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        ("random bytes", framed(&[0x5a; 4_096])),
    ]
}

#[track_caller]
fn closed(what: &str, answer: &Result<Response, FrameError>) {
    assert!(matches!(answer, Err(FrameError::Closed | FrameError::Io(_))), "{what}: {answer:?}");
}

#[test]
fn hostile_messages_cost_an_error_and_no_memory() {
    let state = State::running(Plan { site_count: 4, ..Plan::default() });
    write_files(&state.path("source"), 3, 300_000, 1);
    state.backup("land-register", "dir:source").succeeded();
    let site = &state.charter_sites()[0];
    let database = "land-register".parse().unwrap();
    let head = Request::Head { database };
    let before = state.resident_mib(0);

    let writer = Peer::new(&state.keypair("home", "home/home.key"));
    let stranger = Peer::stranger();
    let mut held = Vec::new();
    for (who, peer) in [("writer", &writer), ("stranger", &stranger)] {
        for (what, bytes) in malformed() {
            let answer = peer.send(site, &bytes);
            let Ok(Response::Refused(refusal)) = answer else { panic!("{who}, {what}: {answer:?}") };
            assert_eq!(refusal.code, RefusalCode::Malformed, "{who}, {what}: {refusal}");
        }
        for length in [1_u32 << 30, u32::MAX, u32::try_from(FRAME_BYTES_MAX).unwrap() + 1] {
            let bytes = [&length.to_be_bytes()[..], &[0x81; 100_000]].concat();
            closed(&format!("{who}: a header of {length} bytes"), &peer.send(site, &bytes));
        }
        // Headers within bounds, and then nothing: memory is taken as bytes arrive, not as they are promised. Nobody
        // may hold many streams: those above the bound are reset.
        for _ in 0..12 {
            let length = if who == "writer" { FRAME_BYTES_MAX } else { 60_000 };
            let mut stream = peer.stream(site);
            let half = [&u32::try_from(length).unwrap().to_be_bytes()[..], &[0x81; 1_000]].concat();
            let written = peer.runtime.block_on(async {
                stream.write_all(&half).await?;
                stream.flush().await
            });
            if written.is_ok() {
                held.push(stream);
            }
        }
    }
    assert!(held.len() > 4, "nothing was held");
    let stranger = Peer::stranger();
    // A member may not take all streams either.
    let greedy = Peer::new(&state.keypair("site", "fi-centre/site.key"));
    let hoard: Vec<libp2p::Stream> = (0..40).filter_map(|_| greedy.hoard(site)).collect();
    assert!((1..30).contains(&hoard.len()), "one site holds as many streams as it likes");
    // A stranger's frames are smaller.
    closed("70 KB of a stranger", &stranger.send(site, &framed(&[0x5a; 70_000])));

    let root = Digest::of(b"x");
    let range = |offset, bytes| Request::ShardRange { root, offset, bytes };
    for request in
        [range(u64::MAX, u64::MAX), range(0, u64::MAX), Request::MissingShards { roots: vec![root; 100_000] }]
    {
        writer.ask(site, &request).unwrap_err();
    }
    let real = real_root(&state);
    for (offset, bytes) in [(u64::MAX, u64::MAX), (0, u64::MAX), (u64::MAX, 0), (1, 0), (1 << 40, 1)] {
        writer.ask(site, &Request::ShardRange { root: real, offset, bytes }).unwrap_err();
    }
    let put = |bytes| Request::PutShard {
        database: "land-register".parse().unwrap(),
        stripe_number: 9,
        shard_index: 0,
        root,
        bytes,
    };
    closed("a shard of 4 GiB", &writer.send(site, &framed(&cbor::encode(&put(u32::MAX)))));
    let lie = [framed(&cbor::encode(&put(8))), b"not root".to_vec()].concat();
    let Ok(Response::Refused(refusal)) = writer.send(site, &lie) else { panic!("a shard under another's name") };
    assert_eq!(refusal.code, RefusalCode::Corrupt, "{refusal}");

    let after = state.resident_mib(0);
    assert!(after < before + GROWTH_MIB_MAX, "grew from {before} to {after} MiB");
    assert!(matches!(writer.ask(site, &head), Ok(Response::Head(Some((1, _))))), "it does not serve any more");
    assert_eq!(stranger.ask(site, &head).unwrap_err().code, RefusalCode::NotAllowed);
    drop((held, hoard));
}

fn real_root(state: &State) -> Digest {
    let mut files = walkdir::WalkDir::new(state.sites[0].dir.join("store/shards")).into_iter().map(Result::unwrap);
    let file = files.find(|entry| entry.file_type().is_file()).unwrap();
    file.file_name().to_str().unwrap().parse().unwrap()
}

/// Streams that one stranger opens and keeps: those who get in could take all that a site has.
const STREAMS_HOARDED: usize = 20;

/// A stranger who connects again and again, and keeps what he gets.
async fn pester(sites: Arc<Vec<Site>>, number: usize, stop: Arc<AtomicBool>, heard: Arc<AtomicUsize>) {
    let keypair = Keypair::generate(&mut node::entropy::rng());
    let (mesh, _events) = Mesh::start(&keypair, &MeshOptions::default()).await.unwrap();
    let site = &sites[number % sites.len()];
    while !stop.load(Ordering::Relaxed) {
        let mut hoard = Vec::new();
        for _ in 0..STREAMS_HOARDED {
            if let Ok(peer) = mesh.connect(site.identity, &site.addresses).await
                && let Ok(mut stream) = mesh.open_stream(peer).await
                && write_frame(&mut stream, &Request::Charters { from_version: 1 }).await.is_ok()
            {
                heard.fetch_add(1, Ordering::Relaxed);
                hoard.push(stream);
            }
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// Begins a handshake from an address of its own, says nothing, and begins again as soon as it is put out.
async fn hold_half_open(port: u16, number: u8, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((std::net::Ipv4Addr::new(127, 0, 1, number), 0).into()).unwrap();
        if let Ok(mut stream) = socket.connect((std::net::Ipv4Addr::LOCALHOST, port).into()).await {
            let put_out = tokio::io::AsyncReadExt::read_u8(&mut stream);
            let _held = tokio::time::timeout(Duration::from_secs(20), put_out).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[test]
fn a_flood_of_strangers_does_not_stop_an_honest_backup() {
    let state = State::running(Plan { site_count: 4, ..Plan::default() });
    write_files(&state.path("source"), 6, 500_000, 1);
    let sites = Arc::new(state.charter_sites());
    let before: Vec<u64> = (0..4).map(|index| state.resident_mib(index)).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (stop, heard) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    for number in 0..200 {
        runtime.spawn(pester(sites.clone(), number, stop.clone(), heard.clone()));
    }
    // And from elsewhere connections that say nothing at all, more than a site shakes hands with at once.
    for (site, number) in state.sites.iter().flat_map(|site| (1..=100).map(move |number| (site, number))) {
        runtime.spawn(hold_half_open(site.port, number, stop.clone()));
    }
    std::thread::sleep(Duration::from_secs(2));
    assert!(heard.load(Ordering::Relaxed) > 0, "nobody attacks");

    let report = state.backup("land-register", "dir:source").succeeded().json;
    assert_eq!(report["shard_sites"].as_array().unwrap().len(), 4, "{report}");
    for (index, before) in before.iter().enumerate() {
        let after = state.resident_mib(index);
        assert!(after < before + GROWTH_MIB_MAX, "site {index} grew from {before} to {after} MiB");
    }
    stop.store(true, Ordering::Relaxed);
    runtime.shutdown_timeout(Duration::from_secs(1));
}
