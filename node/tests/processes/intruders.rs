//! Keys that have no business here: a stranger's, an expelled site's, another database's writer's.

use std::process::Stdio;

use protocol::document::{Manifest, Site};
use protocol::identifier::DatabaseName;
use protocol::machine::Announcement;
use protocol::signature::{Keypair, Signed};
use protocol::wire::{RefusalCode, Request, Response};
use shard_codec::Digest;

use super::harness::{Plan, Said, State, wait_until, write_files};
use super::peer::Peer;

const LAND: &str = "land-register";

fn land() -> DatabaseName {
    LAND.parse().unwrap()
}

fn head() -> Request {
    Request::Head { database: land() }
}

fn put() -> Request {
    Request::PutShard { database: land(), stripe_number: 1, shard_index: 0, root: Digest::of(b"poison"), bytes: 6 }
}

/// Everything that reads, writes, opens or spreads.
fn all_but_the_door(manifest: &[u8]) -> Vec<Request> {
    let (root, database) = (Digest::of(b"x"), land());
    vec![
        head(),
        Request::Manifests { database: database.clone(), from_sequence: 1 },
        Request::Receipts { database: database.clone(), sequence: 1 },
        Request::Forks { database: database.clone() },
        Request::Shard { root },
        Request::ShardRange { root, offset: 0, bytes: 1 },
        Request::MissingShards { roots: vec![root] },
        Request::ReleaseLog { from: 0 },
        Request::Summary { database: None, digest: root },
        Request::ReceiptSpans { database: database.clone(), from_span: 0 },
        Request::ReceiptSpan { database: database.clone(), span: 0 },
        Request::ReceiptsOf { database: database.clone(), sequences: vec![1] },
        Request::Share { order: root, database, sequence: 1 },
        Request::Publish { manifest: manifest.to_vec().into(), sealed_share: None },
        Request::Announce(Announcement::Manifests(vec![manifest.to_vec().into()])),
        put(),
    ]
}

#[track_caller]
fn not_allowed(peer: &Peer, site: &Site, requests: &[Request]) {
    for request in requests {
        let refusal = peer.ask(site, request).expect_err(&format!("{request:?}"));
        assert_eq!(refusal.code, RefusalCode::NotAllowed, "{request:?}: {refusal}");
    }
}

#[test]
fn strangers_expelled_sites_and_other_writers_are_refused() {
    let plan =
        Plan { site_count: 5, databases: vec![LAND, "court-files"], homes: vec!["home", "court"], ..Plan::default() };
    let mut state = State::running(plan);
    write_files(&state.path("source"), 3, 100_000, 1);
    state.backup(LAND, "dir:source").succeeded();
    state.backup_at("court", "court-files", "dir:source").succeeded();
    let sites = state.charter_sites();
    let writer = Peer::new(&state.keypair("home", "home/home.key"));
    let request = Request::Manifests { database: land(), from_sequence: 1 };
    let Ok(Response::Documents(manifests)) = writer.ask(&sites[0], &request) else { panic!("no manifest") };
    let manifest = manifests[0].to_vec();

    let stranger = Peer::stranger();
    for site in &sites {
        not_allowed(&stranger, site, &all_but_the_door(&manifest));
        assert!(stranger.ask(site, &head()).unwrap_err().message.contains("neither a site nor a writer"));
        assert!(stranger.ask(site, &Request::Charters { from_version: 1 }).is_ok(), "the charter is public");
    }
    another_databases_writer(&state, &sites, &manifest);

    // A site reads and spreads; it neither writes data nor opens it.
    let site_key = state.keypair("site", "lu-vault/site.key");
    let as_site = Peer::new(&site_key);
    let share = Request::Share { order: Digest::of(b"x"), database: land(), sequence: 1 };
    let publish = Request::Publish { manifest: manifest.clone().into(), sealed_share: None };
    not_allowed(&as_site, &sites[0], &[put(), publish, share]);
    assert!(as_site.ask(&sites[0], &head()).is_ok());

    expelled(&mut state, &sites, &manifest);
}

fn another_databases_writer(state: &State, sites: &[Site], manifest: &[u8]) {
    let error = state.backup_at("court", LAND, "dir:source").refused_with(3);
    assert!(error.contains("not a writer of land-register") || error.contains("writer"), "{error}");
    let keypair: Keypair = state.keypair("home", "court/home.key");
    let court = Peer::new(&keypair);
    let genuine = Signed::<Manifest>::decode(manifest).unwrap();
    let mut next = genuine.document().clone();
    (next.sequence, next.previous, next.stripes_added) = (2, Some(genuine.digest()), Vec::new());
    let forged = Signed::sign_new(next, &keypair).unwrap().encode();
    for site in sites {
        not_allowed(&court, site, &[head(), put(), Request::Receipts { database: land(), sequence: 1 }]);
        for sealed_share in [None, Some(vec![1; 1_200].into())] {
            let request = Request::Publish { manifest: forged.clone().into(), sealed_share };
            let refusal = court.ask(site, &request).unwrap_err();
            assert!(refusal.message.contains("not signed by a writer of land-register"), "{refusal}");
        }
        let announced = Request::Announce(Announcement::Manifests(vec![forged.clone().into()]));
        assert_eq!(court.ask(site, &announced).unwrap_err().code, RefusalCode::Manifest);
        // The right manifest does not help who did not write it.
        let request = Request::Publish { manifest: manifest.to_vec().into(), sealed_share: None };
        assert_eq!(court.ask(site, &request).unwrap_err().code, RefusalCode::NotAllowed);
    }
    let listed = state.run(&["snapshots", LAND, "--dir", "home"]).succeeded().json;
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 1, "{listed}");
}

fn expelled(state: &mut State, sites: &[Site], manifest: &[u8]) {
    let out = state.sites.len() - 1;
    let name = state.sites[out].name.clone();
    let key = state.keypair("site", &format!("{name}/site.key"));
    std::fs::write(state.path("second.toml"), state.charter_plan(&[&name])).unwrap();
    let draft = ["charter", "draft", "--plan", "second.toml", "--previous", "charter.txt", "--out", "second.txt"];
    state.run(&draft).succeeded();

    // Not without the quorum.
    state.sign("charter", "second.txt", &[1, 2]);
    let publish = ["charter", "publish", "--dir", "home", "--charter", "second.txt"];
    let error = state.run(&publish).refused_with(3);
    assert!(error.contains("2 of 3 needed signatures"), "{error}");
    let peer = Peer::new(&key);
    assert!(peer.ask(&sites[0], &head()).is_ok(), "still a member");

    state.sign("charter", "second.txt", &[5]);
    state.run(&publish).succeeded();
    for index in 0..sites.len() {
        wait_until("the new charter holds", 15, || state.log_of(index).contains("charter version 2 holds"));
    }
    for site in &sites[..out] {
        not_allowed(&peer, site, &all_but_the_door(manifest));
        let refusal = peer.ask(site, &head()).unwrap_err();
        assert!(refusal.message.contains("of charter version 2"), "{refusal}");
    }
    // It says so itself: while it runs, and when it is started again.
    wait_until("the site says that it is out", 15, || state.log_of(out).contains("expelled"));
    state.kill(out);
    let run = state.command(&["site", "run", "--dir", &name]).stdin(Stdio::null()).output().unwrap();
    let error = Said::of(run).refused_with(3);
    assert!(error.contains(&format!("site {name} is not an active site of charter version 2")), "{error}");
    assert!(error.contains("expelled"), "{error}");

    // The others go on without it.
    let report = state.backup(LAND, "dir:source").succeeded().json;
    assert_eq!(report["shard_sites"].as_array().unwrap().len(), out);
    assert!(!report.to_string().contains(&name), "{report}");
}
