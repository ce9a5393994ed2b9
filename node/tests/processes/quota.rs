//! A database takes what the charter gives it at each site, and no more.

use protocol::document::Charter;
use protocol::signature::{Keypair, Signed};
use protocol::wire::{Request, Response};
use shard_codec::Digest;

use super::harness::{Plan, State, write_files};
use super::peer::{Peer, framed};

const LAND: &str = "land-register";
const QUOTA_BYTES: u64 = 12 << 20;
/// The site where a part of the quota is used up.
const CROWDED: usize = 2;

/// As if the plan had said so; the plan knows only whole gibibytes.
fn set_quota(state: &State, bytes: u64) {
    let mut charter = state.charters("charter.txt").charter().clone();
    let entry = charter.databases.iter_mut().find(|entry| entry.name.as_str() == LAND).unwrap();
    entry.quota_bytes = bytes;
    let official = |number: usize| -> Keypair { state.keypair("official", &format!("official-{number}.key")) };
    let mut signed = Signed::draft(charter).unwrap();
    (1..=3).for_each(|number| signed.sign(&official(number)));
    state.write_document::<Charter>("charter.txt", &signed.encode());
}

#[test]
fn a_site_whose_quota_is_used_up_says_so_and_hurts_no_other_and_no_other_database() {
    let mut state = State::found(Plan { site_count: 5, databases: vec![LAND, "court-files"], ..Plan::default() });
    set_quota(&state, QUOTA_BYTES);
    (0..5).for_each(|index| state.start(index));

    // Eight of twelve mebibytes are taken at one site.
    let writer = Peer::new(&state.keypair("home", "home/home.key"));
    let ballast = vec![7; 8 << 20];
    let put = |shard: &[u8]| Request::PutShard {
        database: LAND.parse().unwrap(),
        stripe_number: 1_000_000,
        shard_index: u8::try_from(CROWDED).unwrap(),
        root: Digest::of(shard),
        bytes: u32::try_from(shard.len()).unwrap(),
    };
    let message = [framed(&protocol::cbor::encode(&put(&ballast))), ballast.clone()].concat();
    let answer = writer.send(&state.charter_sites()[CROWDED], &message);
    assert!(matches!(answer, Ok(Response::Done)), "{answer:?}");

    // Nine for every site: four have room.
    write_files(&state.path("source"), 9, 3_000_000, 1);
    let report = state.backup(LAND, "dir:source").succeeded().json;
    let name = &state.sites[CROWDED].name;
    let missing = report["missing"].as_object().unwrap();
    assert_eq!(missing.keys().collect::<Vec<_>>(), [name], "{report}");
    let why = missing[name].as_str().unwrap();
    assert!(why.contains(&format!("may hold {QUOTA_BYTES} bytes here")) && why.contains("raise quota_gib"), "{why}");
    assert_eq!(report["shard_sites"].as_array().unwrap().len(), 4, "{report}");

    // More than anyone may take: refused everywhere, with the same words; the other database has its own quota.
    write_files(&state.path("source"), 18, 3_000_000, 2);
    let error = state.backup(LAND, "dir:source").refused_with(5);
    assert!(error.contains("raise quota_gib in the charter"), "{error}");
    let report = state.backup("court-files", "dir:source").succeeded().json;
    assert_eq!(report["shard_sites"].as_array().unwrap().len(), 5, "{report}");
    let listed = state.run(&["snapshots", LAND, "--dir", "home"]).succeeded().json;
    let durable: Vec<bool> = listed["snapshots"].as_array().unwrap().iter().map(|s| s["durable"] == true).collect();
    assert_eq!(durable, [true], "nothing was published, and nothing was lost: {listed}");
}
