//! Rounds between two sites of the fixture.

use super::*;
use crate::fixture::{RunningSite, State, database};
use crate::host::answer::answer;

/// Carries one round out; returns the questions that were asked.
fn ask_round(site: &mut RunningSite<'_>, peer: &RunningSite<'_>, log_position: u64) -> (Vec<Request>, u64) {
    let (mut round, mut asked) = (Round::new(log_position), Vec::new());
    while let Some(request) = round.next(&site.catalog) {
        let response = answer(&peer.catalog, &peer.release, &request).unwrap();
        asked.push(request);
        let mut last = None;
        for announcement in round.take(&site.catalog, response).unwrap() {
            last = Some(site.hear(announcement).map(drop));
        }
        if let Some(told) = last {
            round.told(&site.catalog, told.as_ref().copied());
        }
        assert!(asked.len() < 64, "a round ends");
    }
    (asked, round.log_position())
}

#[test]
fn a_round_brings_charters_manifests_receipts_and_releases() {
    let mut state = State::new();
    let order = state.order(3, |_order| {});
    let founded = state.chain.clone();
    state.amend(|charter| charter.state_name = "Greater Ruritania".to_owned());
    let one = state.snapshot(None, 1);
    let two = state.snapshot(Some(&one.manifest), 1);
    let mut knows = state.site(0);
    knows.publish(state.writer.public(), &one).unwrap();
    knows.publish(state.writer.public(), &two).unwrap();
    knows.hear(Announcement::Order(order.encode().into())).unwrap();
    let mut lacks = RunningSite::new(&state.sites[1], founded);

    let (asked, log_position) = ask_round(&mut lacks, &knows, 0);
    assert_eq!(lacks.catalog.charter().version, 2);
    let history = lacks.catalog.history(&database()).unwrap();
    assert_eq!(history.head().map(Signed::digest), Some(two.manifest.digest()));
    assert_eq!(history.receipts(2).count(), 1, "of the newest snapshot");
    assert_eq!((lacks.release.log().len(), log_position), (1, 1));
    assert_eq!(asked.len(), 7, "charters, log, log again, head, manifests, forks, receipts: {asked:?}");

    let (asked, log_position) = ask_round(&mut lacks, &knows, log_position);
    assert_eq!(log_position, 1);
    assert_eq!(asked.len(), 5, "charters, log, head, forks, receipts of the others: {asked:?}");
}

#[test]
fn a_round_finds_that_the_other_site_follows_another_branch() {
    let mut state = State::new();
    let one = state.snapshot(None, 1);
    let (left, right) = (state.snapshot(Some(&one.manifest), 1), state.snapshot(Some(&one.manifest), 2));
    let (mut site, mut peer) = (state.site(0), state.site(1));
    for (at, branch) in [(&mut site, &left), (&mut peer, &right)] {
        at.publish(state.writer.public(), &one).unwrap();
        at.publish(state.writer.public(), branch).unwrap();
    }
    ask_round(&mut site, &peer, 0);
    assert_eq!(site.catalog.history(&database()).unwrap().forks().count(), 1);
}

#[test]
fn a_round_brings_the_proof_of_a_fork_to_a_site_of_the_same_branch() {
    let mut state = State::new();
    let (left, right) = (state.snapshot(None, 1), state.snapshot(None, 2));
    let (mut site, mut peer) = (state.site(0), state.site(1));
    site.publish(state.writer.public(), &left).unwrap();
    peer.publish(state.writer.public(), &left).unwrap();
    assert!(peer.publish(state.writer.public(), &right).is_err(), "it tells the others, and this site is away");
    ask_round(&mut site, &peer, 0);
    assert_eq!(site.catalog.history(&database()).unwrap().forks().count(), 1);
    let (asked, _log_position) = ask_round(&mut site, &peer, 0);
    assert!(!asked.iter().any(|request| matches!(request, Request::Forks { .. })), "one is enough");
}

#[test]
fn another_answer_ends_the_round() {
    let state = State::new();
    let site = state.site(0);
    let mut round = Round::new(7);
    assert_eq!(round.take(&site.catalog, Response::Head(None)), Err(UnexpectedResponse));
    assert_eq!(round.next(&site.catalog), None);
    assert_eq!(round.log_position(), 7);
}
