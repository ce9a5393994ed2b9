//! Rounds between two sites of the fixture.

mod idle;
mod large;
mod liar;

use super::*;
use crate::cbor;
use crate::fixture::{RunningSite, State, database};
use crate::host::Dialogue;
use crate::host::answer::answer;
use crate::signature::Signed;

/// What was said in a round.
#[derive(Debug, Default)]
struct Said {
    asked: Vec<Request>,
    asked_bytes: usize,
    answered_bytes: usize,
}

impl Said {
    fn words(&self) -> Vec<String> {
        let word = |request: &Request| format!("{request:?}").split([' ', '(']).next().unwrap().to_owned();
        self.asked.iter().map(word).collect()
    }
}

/// A frame has its length before it.
fn frame_bytes(message: &impl serde::Serialize) -> usize {
    4 + cbor::encode(message).len()
}

/// Carries one round out against whatever answers, cut off after so many questions.
fn ask_whom(
    site: &mut RunningSite<'_>,
    dialogue: &mut Dialogue,
    questions_max: usize,
    mut whom: impl FnMut(&Request) -> Response,
) -> Said {
    let (mut round, mut said) = (dialogue.begin(site), Said::default());
    while let Some(request) = round.next(site) {
        if said.asked.len() == questions_max {
            dialogue.failed(Some(round));
            return said;
        }
        let response = whom(&request);
        said.asked_bytes += frame_bytes(&request);
        said.answered_bytes += frame_bytes(&response);
        said.asked.push(request);
        let mut last = None;
        for brought in round.take(site, response).unwrap_or_default() {
            last = Some(site.take_up(brought).map(drop));
        }
        if let Some(told) = last {
            round.told(site, told.as_ref().copied());
        }
    }
    dialogue.ended(site, round);
    said
}

fn ask(site: &mut RunningSite<'_>, peer: &RunningSite<'_>, dialogue: &mut Dialogue) -> Said {
    ask_whom(site, dialogue, usize::MAX, |request| answer(peer, request).unwrap())
}

/// One round of sites that never spoke before.
fn ask_once(site: &mut RunningSite<'_>, peer: &RunningSite<'_>) -> Said {
    ask(site, peer, &mut Dialogue::default())
}

#[test]
fn who_knows_the_same_asks_one_small_question() {
    let mut state = State::new();
    let snapshot = state.snapshot(None, 1);
    let (mut site, mut peer) = (state.site(0), state.site(1));
    for at in [&mut site, &mut peer] {
        at.publish(state.writer.public(), &snapshot).unwrap();
    }
    ask_once(&mut site, &peer);
    ask_once(&mut peer, &site);
    let said = ask_once(&mut site, &peer);
    assert_eq!(said.words(), ["Summary"]);
    assert!(said.asked_bytes < 100 && said.answered_bytes < 20, "{said:?}");
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

    let said = ask_once(&mut lacks, &knows);
    assert_eq!(lacks.catalog.charter().version, 2);
    let history = lacks.catalog.history(&database()).unwrap();
    assert_eq!(history.head().map(Signed::digest), Some(two.manifest.digest()));
    assert_eq!((history.receipts(1).count(), history.receipts(2).count()), (1, 1), "of the older snapshot too");
    assert_eq!(lacks.release.log().len(), 1);
    let expected =
        "Summary Charters Charters Summary Head Manifests ReceiptSpans ReceiptSpan ReceiptsOf ReleaseLog ReleaseLog";
    assert_eq!(said.words().join(" "), expected);
    assert_eq!(lacks.digest(None), knows.digest(None));
    assert_eq!(ask_once(&mut lacks, &knows).words(), ["Summary"]);
}

#[test]
fn pauses_grow_while_nothing_comes_and_shrink_with_news_and_failures() {
    let mut state = State::new();
    let snapshot = state.snapshot(None, 1);
    let (mut site, mut peer, mut dialogue) = (state.site(0), state.site(1), Dialogue::default());
    let pause = |site: &mut RunningSite<'_>, peer: &RunningSite<'_>, dialogue: &mut Dialogue| {
        let mut round = dialogue.begin(site);
        while let Some(request) = round.next(site) {
            for brought in round.take(site, answer(peer, &request).unwrap()).unwrap() {
                let told = site.take_up(brought).map(drop);
                round.told(site, told.as_ref().copied());
            }
        }
        dialogue.ended(site, round)
    };
    let quiet: Vec<u64> = (0..5).map(|_| pause(&mut site, &peer, &mut dialogue)).collect();
    assert_eq!(quiet, [10_000, 20_000, 40_000, 60_000, 60_000]);
    peer.publish(state.writer.public(), &snapshot).unwrap();
    assert_eq!(pause(&mut site, &peer, &mut dialogue), 5_000);
    assert_eq!(pause(&mut site, &peer, &mut dialogue), 10_000);
    assert_eq!(dialogue.failed(None), 5_000);
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
    let mut dialogue = Dialogue::default();
    ask(&mut site, &peer, &mut dialogue);
    assert_eq!(site.catalog.history(&database()).unwrap().forks().count(), 1);
    // The branches stay two. Once it is clear that nothing comes of it, nobody asks again.
    ask(&mut site, &peer, &mut dialogue);
    assert_eq!(ask(&mut site, &peer, &mut dialogue).words(), ["Summary"]);
}

#[test]
fn a_round_brings_the_proof_of_a_fork_to_a_site_of_the_same_branch() {
    let mut state = State::new();
    let (left, right) = (state.snapshot(None, 1), state.snapshot(None, 2));
    let (mut site, mut peer) = (state.site(0), state.site(1));
    site.publish(state.writer.public(), &left).unwrap();
    peer.publish(state.writer.public(), &left).unwrap();
    assert!(peer.publish(state.writer.public(), &right).is_err(), "it tells the others, and this site is away");
    ask_once(&mut site, &peer);
    assert_eq!(site.catalog.history(&database()).unwrap().forks().count(), 1);
    ask_once(&mut peer, &site);
    assert_eq!(ask_once(&mut site, &peer).words(), ["Summary"], "one is enough");
}

/// The order of the log differs from site to site; what it says does not.
#[test]
fn release_logs_are_compared_as_sets() {
    let state = State::new();
    let orders = [1, 2, 3].map(|nonce| state.order(3, |order| order.nonce = [nonce; 16]).encode());
    let (mut site, mut peer) = (state.site(0), state.site(1));
    for order in &orders {
        site.hear(Announcement::Order(order.clone().into())).unwrap();
    }
    for order in orders.iter().rev() {
        peer.hear(Announcement::Order(order.clone().into())).unwrap();
    }
    assert_eq!(ask_once(&mut site, &peer).words(), ["Summary"]);
    peer.hear(Announcement::Order(state.order(3, |order| order.nonce = [4; 16]).encode().into())).unwrap();
    ask_once(&mut site, &peer);
    assert_eq!(site.release.log().len(), 4);
    assert_eq!(ask_once(&mut peer, &site).words(), ["Summary"]);
}

/// The same words, signed by officials of the next charter: both envelopes are worth keeping, on every site.
#[test]
fn an_order_that_new_officials_signed_comes_to_a_site_that_has_the_old_one() {
    let mut state = State::new();
    let old = state.order(3, |_order| {});
    state.amend(|charter| drop(charter.officials.remove(0)));
    let mut new = crate::fixture::sign(old.document().clone(), &state.officials[2..5]);
    let (mut site, mut peer) = (state.site(0), state.site(1));
    for at in [&mut site, &mut peer] {
        at.hear(Announcement::Order(old.encode().into())).unwrap();
    }
    assert_eq!(ask_once(&mut site, &peer).words(), ["Summary"]);
    peer.hear(Announcement::Order(new.encode().into())).unwrap();
    ask_once(&mut site, &peer);
    let caller = state.recipient.identity.public();
    assert_eq!(site.release.ordered_for(caller, crate::fixture::NOW), [database()]);
    assert_eq!(ask_once(&mut site, &peer).words(), ["Summary"]);
    // Another quorum of the same officials says no more.
    new.merge(&old);
    site.hear(Announcement::Order(new.encode().into())).unwrap();
    assert_eq!(ask_once(&mut site, &peer).words(), ["Summary"]);
}

/// A digest is kept until something changes; a kept one must never outlive a change.
#[test]
fn digests_follow_every_change_and_a_restart() {
    let mut state = State::new();
    let founded = state.chain.clone();
    let one = state.snapshot(None, 1);
    let other = state.snapshot(None, 2);
    let order = state.order(3, |_order| {});
    let next = state.amend(|charter| charter.state_name = "Greater Ruritania".to_owned());
    let mut site = RunningSite::new(&state.sites[0], founded);
    let mut seen = vec![site.digest(None)];
    let mut changed = |site: &RunningSite<'_>| {
        let digest = site.digest(None);
        assert!(!seen.contains(&digest), "change {}", seen.len());
        seen.push(digest);
    };
    site.hear(Announcement::Charter(next.encode().into())).unwrap();
    changed(&site);
    site.hear(Announcement::Manifests(vec![one.manifest.encode().into()])).unwrap();
    changed(&site);
    site.publish(state.writer.public(), &one).unwrap();
    changed(&site);
    site.hear(Announcement::Order(order.encode().into())).unwrap();
    changed(&site);
    site.hear(Announcement::Manifests(vec![other.manifest.encode().into()])).unwrap_err();
    changed(&site);
    let before = site.digest(None);
    site.restart().unwrap();
    assert_eq!(site.digest(None), before);
}

/// An expelled site is refused everything but charters: that is how it learns that it is out.
#[test]
fn a_site_that_is_shut_out_learns_why() {
    let mut state = State::new();
    let founded = state.chain.clone();
    state.amend(|charter| charter.sites[1].state = crate::document::SiteState::Expelled);
    let (peer, mut site) = (state.site(0), RunningSite::new(&state.sites[1], founded));
    let mut dialogue = Dialogue::default();
    let said = ask_whom(&mut site, &mut dialogue, 10, |request| {
        let caller = crate::wire::access::identify(peer.catalog.charter(), site_key(&state), Vec::new());
        let refused = || Response::Refused(Refusal::new(RefusalCode::NotAllowed, "not a member"));
        if crate::wire::access::allows(&caller, request) { answer(&peer, request).unwrap() } else { refused() }
    });
    assert_eq!(said.words(), ["Summary", "Charters", "Charters"]);
    assert_eq!(site.catalog.charter().version, 2);
    assert_eq!(dialogue.failed(None), 5_000);
}

fn site_key(state: &State) -> crate::signature::PublicKey {
    state.sites[1].identity.public()
}

#[test]
fn another_answer_ends_the_round() {
    let state = State::new();
    let (mut site, mut dialogue) = (state.site(0), Dialogue::default());
    let mut round = dialogue.begin(&site);
    assert_eq!(round.take(&site, Response::Head(None)), Err(UnexpectedResponse));
    assert_eq!(round.next(&site), None);
    assert_eq!(dialogue.ended(&site, round), 10_000, "it is no failure: a site gains nothing by it");
    assert!(ask(&mut site, &state.site(1), &mut dialogue).asked.len() == 1);
}
