//! A site that forgot everything but its keys and the charter learns it again from the other sites: home is gone.

use std::fs;

use protocol::document::{Manifest, Receipt};
use protocol::signature::Signed;
use protocol::wire::{Request, Response};

use super::harness::{Plan, State, wait_until, write_files};
use super::peer::Peer;

const LAND: &str = "land-register";
const SNAPSHOTS: u64 = 3;
/// The site that loses its state.
const FORGETFUL: usize = 4;

/// Who holds what of one snapshot, by the receipts that a site shows.
fn receipts(peer: &Peer, site: &protocol::document::Site, sequence: u64) -> Vec<(String, bool, bool)> {
    let request = Request::Receipts { database: LAND.parse().unwrap(), sequence };
    let Ok(Response::Documents(envelopes)) = peer.ask(site, &request) else { return Vec::new() };
    let receipts = envelopes.iter().map(|envelope| Signed::<Receipt>::decode(envelope).unwrap());
    receipts
        .map(|signed| signed.document().clone())
        .map(|receipt| (receipt.site.to_string(), receipt.holds_shards, receipt.holds_share))
        .collect()
}

fn sequences(peer: &Peer, site: &protocol::document::Site) -> Vec<u64> {
    let request = Request::Manifests { database: LAND.parse().unwrap(), from_sequence: 1 };
    let Ok(Response::Documents(envelopes)) = peer.ask(site, &request) else { return Vec::new() };
    envelopes.iter().map(|envelope| Signed::<Manifest>::decode(envelope).unwrap().document().sequence).collect()
}

#[test]
fn a_site_without_its_state_file_learns_every_manifest_and_receipt_from_sites_alone() {
    let mut state = State::running(Plan { site_count: 5, ..Plan::default() });
    for number in 1..=SNAPSHOTS {
        write_files(&state.path("source"), 2, 100_000, number);
        state.backup(LAND, "dir:source").succeeded();
    }
    let sites = state.charter_sites();
    let reader = Peer::new(&state.keypair("home", "home/home.key"));
    let all = |index: usize| (1..=SNAPSHOTS).map(|number| receipts(&reader, &sites[index], number)).collect::<Vec<_>>();
    wait_until("every site knows the receipts of every site", 30, || {
        (0..5).all(|index| all(index).iter().all(|of_one| of_one.len() == 5))
    });
    let before = all(FORGETFUL);

    // Home is occupied, its site and its folder with it.
    state.kill(0);
    fs::remove_dir_all(state.path("home")).unwrap();
    state.kill(FORGETFUL);
    fs::remove_file(state.sites[FORGETFUL].dir.join("state.redb")).unwrap();
    state.start(FORGETFUL);
    wait_until("the history is here again", 60, || sequences(&reader, &sites[FORGETFUL]) == [1, 2, 3]);
    wait_until("and all receipts, the oldest too", 60, || all(FORGETFUL) == before);

    // All of it is on its disk: it needs nobody to know it once more.
    (1..5).for_each(|index| state.kill(index));
    state.start(FORGETFUL);
    assert_eq!(all(FORGETFUL), before);
}
