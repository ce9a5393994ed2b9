//! Sites with the right key and wrong answers: nobody waits for them for ever, and nobody believes them without proof.

use std::time::Duration;

use protocol::wire::{Refusal, RefusalCode, Request, Response};
use shard_codec::Digest;

use super::evidence::Running;
use super::harness::{Plan, State, wait_until, write_files};
use super::peer::Peer;

const LAND: &str = "land-register";
/// The site that is not what it seems.
const LIAR: usize = 4;

fn five_sites() -> Plan {
    Plan { site_count: 5, ..Plan::default() }
}

#[test]
fn a_site_that_shows_old_manifests_for_ever_keeps_neither_clients_nor_sites() {
    let mut state = State::running(five_sites());
    write_files(&state.path("source"), 2, 100_000, 1);
    state.backup(LAND, "dir:source").succeeded();
    let writer = Peer::new(&state.keypair("home", "home/home.key"));
    let first = Request::Manifests { database: LAND.parse().unwrap(), from_sequence: 1 };
    let Ok(Response::Documents(manifests)) = writer.ask(&state.charter_sites()[0], &first) else { panic!() };

    // It claims that there are a thousand, and shows the first one whatever it is asked for.
    state.kill(LIAR);
    let liar = state.pretend(LIAR, move |request| match request {
        Request::Head { .. } => Some(Response::Head(Some((1_000, Digest::of(b"the thousandth"))))),
        Request::Manifests { .. } => Some(Response::Documents(manifests.clone())),
        _ => None,
    });
    let listed = Running::start(state.command(&["snapshots", LAND, "--dir", "home"])).wait().succeeded().json;
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 1, "{listed}");
    let words = "claims snapshot 1000 as its newest, but shows others when asked for 2";
    assert!(listed["troubles"].to_string().contains(words), "{listed}");

    // The other four ask it in turn, a few questions a round, and go on to the next thing.
    let questions = || liar.count(|request| matches!(request, Request::Manifests { .. }));
    let before = questions();
    wait_until("the other sites ask it", 30, || questions() > before);
    std::thread::sleep(Duration::from_secs(8));
    let asked = questions() - before;
    assert!(asked <= 60, "{asked} questions for manifests in two or three rounds");
    let first = |request: &Request| matches!(request, Request::Summary { database: None, .. });
    let rounds = liar.count(first);
    wait_until("a further round begins", 70, || liar.count(first) > rounds);

    let report = state.backing_up(LAND, "dir:source", &[]).wait().succeeded().json;
    assert_eq!(report["sequence"], 2, "{report}");
}

#[test]
fn a_cry_of_fork_without_a_proof_is_one_site_without_a_receipt() {
    let mut state = State::found(five_sites());
    (0..LIAR).for_each(|index| state.start(index));
    write_files(&state.path("source"), 4, 300_000, 1);
    let words = "two histories, believe me";
    let crier = state.pretend(LIAR, move |request| match request {
        Request::Publish { .. } => Some(Response::Refused(Refusal::new(RefusalCode::Fork, words))),
        Request::Forks { .. } => Some(Response::Documents(vec![b"no proof of anything".to_vec().into()])),
        _ => None,
    });
    let name = state.sites[LIAR].name.clone();
    for sequence in 1..=2 {
        let report = state.backup(LAND, "dir:source").succeeded().json;
        assert_eq!((&report["sequence"], &report["durable"]), (&sequence.into(), &true.into()), "{report}");
        assert!(report["missing"][&name].as_str().unwrap().contains(words), "{report}");
        assert_eq!(report["missing"].as_object().unwrap().len(), 1, "{report}");
    }
    assert_eq!(
        crier.count(|request| matches!(request, Request::Publish { .. })),
        3,
        "once more for what was undelivered"
    );

    // Its shards are there and right, but nobody promised to keep them: what counts is both.
    let report = state.run(&["verify", LAND, "--dir", "home"]).succeeded().json;
    let shown = &report["sites"][&name];
    assert!(shown["shards"].as_u64().unwrap() > 0 && shown["shards"] == shown["good"], "{shown}");
    assert_eq!(report["shards_remaining"], 3, "four of five promised, one of them may be lost: {report}");
}
