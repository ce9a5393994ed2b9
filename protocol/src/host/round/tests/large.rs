//! Long histories: what a site that was away is brought, at what cost, and that it may be cut off at any question.

use proptest::prelude::*;

use super::*;
use crate::document::{Manifest, Receipt};
use crate::fixture::{NOW, SITES, name};
use crate::host::{Input, Machines, PAUSE_MIN_MS, Pace};
use serde_bytes::ByteBuf;

const DATABASES: [&str; 3] = ["land-register", "court-files", "population-register"];

fn state() -> State {
    State::founded(|charter| {
        let first = charter.databases[0].clone();
        let entry = |database: &&str| crate::document::Database { name: name(database), ..first.clone() };
        charter.databases = DATABASES.iter().map(entry).collect();
    })
}

/// So many manifests of one database, with nothing in them.
fn manifests(state: &mut State, database: &str, count: u64) -> Vec<Signed<Manifest>> {
    let mut document = state.snapshot(None, 0).manifest.document().clone();
    document.database = name(database);
    let mut made: Vec<Signed<Manifest>> = Vec::new();
    for sequence in 1..=count {
        (document.sequence, document.previous) = (sequence, made.last().map(Signed::digest));
        made.push(Signed::sign_new(document.clone(), &state.writer).unwrap());
    }
    made
}

fn receipt(state: &State, of: &Signed<Manifest>, site: usize, holds: (bool, bool), at_ms: u64) -> ByteBuf {
    let manifest = of.document();
    let receipt = Receipt {
        state: manifest.state,
        database: manifest.database.clone(),
        sequence: manifest.sequence,
        manifest: of.digest(),
        site: state.sites[site].name.clone(),
        holds_shards: holds.0,
        holds_share: holds.1,
        at: NOW.plus_ms(at_ms),
    };
    Signed::sign_new(receipt, &state.sites[site].identity).unwrap().encode().into()
}

/// Everything that happened.
struct Past {
    manifests: Vec<Vec<Signed<Manifest>>>,
    receipts: Vec<ByteBuf>,
}

fn past(state: &mut State, databases: usize, count: u64) -> Past {
    let manifests: Vec<_> =
        DATABASES.iter().take(databases).map(|database| manifests(state, database, count)).collect();
    let of_all = manifests.iter().flatten().flat_map(|of| (0..SITES.len()).map(move |site| (of, site)));
    let receipts = of_all.map(|(of, site)| receipt(state, of, site, (true, true), 0)).collect();
    Past { manifests, receipts }
}

fn learn(site: &mut RunningSite<'_>, past: &Past) {
    for of_database in &past.manifests {
        let run = of_database.iter().map(|manifest| manifest.encode().into()).collect();
        site.hear(Announcement::Manifests(run)).unwrap();
    }
    for batch in past.receipts.chunks(256) {
        site.take_up(Brought::Receipts(batch.to_vec())).unwrap();
    }
}

#[test]
fn a_site_that_was_away_is_brought_every_receipt_in_one_round() {
    let mut state = state();
    let past = past(&mut state, 3, 1_000);
    let (mut knows, mut lacks) = (state.site(0), state.site(1));
    learn(&mut knows, &past);
    let said = ask_once(&mut lacks, &knows);
    assert_eq!(lacks.digest(None), knows.digest(None));
    let count = |database: &str| {
        let history = lacks.catalog.history(&name(database)).unwrap();
        (1..=1_000).map(|sequence| history.receipts(sequence).count()).sum::<usize>()
    };
    assert_eq!(DATABASES.map(count), [7_000; 3]);
    let documents: usize = past.receipts.iter().map(|receipt| receipt.len()).sum::<usize>()
        + past.manifests.iter().flatten().map(|manifest| manifest.encode().len()).sum::<usize>();
    let bytes = said.asked_bytes + said.answered_bytes;
    println!(
        "3 x 1,000 snapshots, 7 receipts each: {} questions, {bytes} bytes, {} a snapshot, of which the documents are {}",
        said.asked.len(),
        bytes / 3_000,
        documents / 3_000
    );
    assert!(said.asked.len() <= 40, "{:?}", said.words());
    assert!(bytes < documents + documents / 20, "{bytes} bytes for {documents} bytes of documents");
}

#[test]
fn one_receipt_of_an_old_snapshot_costs_a_few_small_questions() {
    let mut state = state();
    let past = past(&mut state, 1, 1_000);
    let (mut knows, mut lacks) = (state.site(0), state.site(1));
    learn(&mut knows, &past);
    let mut receipts = past.receipts.clone();
    drop(receipts.remove(1_234)); // of snapshot 177
    learn(&mut lacks, &Past { receipts, ..past });
    let said = ask_once(&mut lacks, &knows);
    assert_eq!(lacks.digest(None), knows.digest(None));
    assert_eq!(said.words(), ["Summary", "Summary", "ReceiptSpans", "ReceiptSpan", "ReceiptsOf"]);
    println!("one receipt of 7,000: {} bytes asked, {} answered", said.asked_bytes, said.answered_bytes);
    assert!(said.asked_bytes + said.answered_bytes < 16_000, "{said:?}");
}

/// Resident memory of this process in bytes, as Linux tells.
fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

#[test]
fn a_snapshot_of_the_past_costs_kilobytes_of_memory() {
    const SNAPSHOTS: u64 = 2_000;
    let mut state = state();
    let mut document = state.snapshot(None, 1).manifest.document().clone();
    let (mut manifests, stripe): (Vec<Signed<Manifest>>, _) = (Vec::new(), document.stripes_added[0].clone());
    for sequence in 1..=SNAPSHOTS {
        (document.sequence, document.previous) = (sequence, manifests.last().map(Signed::digest));
        document.stripes_added = vec![crate::document::Stripe { number: sequence, ..stripe.clone() }];
        document.stripes_dropped = if sequence == 1 { Vec::new() } else { vec![sequence - 1] };
        manifests.push(Signed::sign_new(document.clone(), &state.writer).unwrap());
    }
    let of_all = manifests.iter().flat_map(|of| (0..SITES.len()).map(move |site| (of, site)));
    let receipts: Vec<ByteBuf> = of_all.map(|(of, site)| receipt(&state, of, site, (true, true), 0)).collect();
    let (mut machines, mut rng) = (Machines::new(state.chain.clone(), Pace::default()), crate::fixture::rng(3));
    let before = resident_bytes();
    for run in manifests.chunks(100) {
        let run = Announcement::Manifests(run.iter().map(|manifest| manifest.encode().into()).collect());
        drop(machines.handle(NOW, Input::announced(None, run), &state.sites[0], &mut rng));
    }
    for batch in receipts.chunks(256) {
        drop(machines.handle(NOW, Input::brought(None, Brought::Receipts(batch.to_vec())), &state.sites[0], &mut rng));
    }
    let held = resident_bytes().saturating_sub(before) / 2_000;
    let history = machines.catalog.history(&database()).unwrap();
    assert_eq!((history.head_sequence(), history.receipts(1_000).count()), (SNAPSHOTS, SITES.len()));
    let bytes = manifests[9].encode().len() + SITES.len() * receipts[9].len();
    println!("a snapshot with one stripe at 7 sites: {bytes} bytes of documents, {held} bytes of memory");
    assert!((1_000..20_000).contains(&held), "{held} bytes");
}

/// Two receipts of one site for one snapshot, of which one says shards and one a share, or both; in either order.
#[test]
fn receipts_that_say_different_things_converge_to_the_same_one() {
    let mut state = state();
    let past = past(&mut state, 1, 1);
    let of = &past.manifests[0][0];
    for (left, right) in [((true, false), (false, true)), ((false, true), (true, true)), ((true, true), (true, false))]
    {
        let (mut site, mut peer) = (state.site(0), state.site(1));
        for (at, holds) in [(&mut site, left), (&mut peer, right)] {
            learn(at, &Past { manifests: past.manifests.clone(), receipts: vec![receipt(&state, of, 4, holds, 0)] });
        }
        ask_once(&mut site, &peer);
        ask_once(&mut peer, &site);
        let holds = |at: &RunningSite<'_>| {
            let receipts = at.catalog.history(&database()).unwrap().receipts(1);
            receipts.map(|one| (one.document().holds_shards, one.document().holds_share)).collect::<Vec<_>>()
        };
        assert_eq!(holds(&site), holds(&peer), "{left:?} {right:?}");
        assert_eq!(site.digest(None), peer.digest(None));
        let before = holds(&site);
        site.restart().unwrap();
        assert_eq!(holds(&site), before);
    }
}

/// A site may sign the same words again and again: others neither keep them all nor differ by them.
#[test]
fn receipts_that_say_the_same_make_no_difference() {
    let mut state = state();
    let past = past(&mut state, 1, 1);
    let of = &past.manifests[0][0];
    let (mut site, mut peer) = (state.site(0), state.site(1));
    for (at, at_ms) in [(&mut site, 1), (&mut peer, 2)] {
        let receipts = vec![receipt(&state, of, 4, (true, true), at_ms)];
        learn(at, &Past { manifests: past.manifests.clone(), receipts });
    }
    assert_eq!(ask_once(&mut site, &peer).words(), ["Summary"]);
    let kept = site.records.len();
    (3..20).for_each(|at_ms| drop(site.hear(Announcement::Receipt(receipt(&state, of, 4, (true, true), at_ms)))));
    assert_eq!(site.records.len(), kept);
}

/// A log of five pages: a round reads four of them, the next one goes on.
#[test]
fn a_long_release_log_is_read_in_two_rounds() {
    let state = State::new();
    let (mut knows, mut lacks) = (state.site(0), state.site(1));
    for number in 0..900_u16 {
        let order = state.order(3, |order| {
            order.nonce[..2].copy_from_slice(&number.to_be_bytes());
            order.databases = (0..900).map(|entry| name(&format!("{}{entry:04}", "d".repeat(40)))).collect();
        });
        knows.hear(Announcement::Order(order.encode().into())).unwrap();
    }
    let mut dialogue = Dialogue::default();
    ask(&mut lacks, &knows, &mut dialogue);
    assert!((1..900).contains(&lacks.release.log().len()), "{}", lacks.release.log().len());
    ask(&mut lacks, &knows, &mut dialogue);
    assert_eq!(lacks.digest(None), knows.digest(None));
}

/// The same with branches that part late, shown by a site that gives one manifest at a time.
#[test]
fn where_branches_part_is_looked_for_over_several_rounds() {
    let mut state = state();
    let common = manifests(&mut state, DATABASES[0], 40);
    let (mut site, mut peer) = (state.site(0), state.site(1));
    for (at, created_ms) in [(&mut site, 1), (&mut peer, 2)] {
        let run = common.iter().map(|manifest| manifest.encode().into()).collect();
        at.hear(Announcement::Manifests(run)).unwrap();
        let mut next = common[39].document().clone();
        (next.sequence, next.previous, next.created) = (41, Some(common[39].digest()), NOW.plus_ms(created_ms));
        let next = Signed::sign_new(next, &state.writer).unwrap();
        at.hear(Announcement::Manifests(vec![next.encode().into()])).unwrap();
    }
    let mut dialogue = Dialogue::default();
    for round in 1..=3 {
        let said = ask_whom(&mut site, &mut dialogue, 100, |request| {
            let mut response = answer(&peer, request).unwrap();
            if let Response::Documents(documents) = &mut response {
                documents.truncate(1);
            }
            response
        });
        assert!(said.asked.len() < 25, "{said:?}");
        let is_found = site.catalog.history(&database()).unwrap().forks().next().is_some();
        assert_eq!(is_found, round == 3, "round {round}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Links break; each time a new round goes on from what came so far.
    #[test]
    fn rounds_that_are_cut_off_go_on(
        cuts in proptest::collection::vec(1_usize..12, 0..12),
        held in proptest::collection::vec(any::<prop::sample::Index>(), 0..60),
        remembers in any::<bool>(),
    ) {
        let mut state = state();
        let past = past(&mut state, 2, 270);
        let (mut knows, mut lacks) = (state.site(0), state.site(1));
        learn(&mut knows, &past);
        let receipts = held.iter().map(|index| index.get(&past.receipts).clone()).collect();
        if !held.is_empty() {
            learn(&mut lacks, &Past { manifests: past.manifests.clone(), receipts });
        }
        let mut dialogue = Dialogue::default();
        for cut in cuts {
            ask_whom(&mut lacks, &mut dialogue, cut, |request| answer(&knows, request).unwrap());
            if !remembers {
                dialogue = Dialogue::default();
            }
        }
        ask(&mut lacks, &knows, &mut dialogue);
        prop_assert_eq!(lacks.digest(None), knows.digest(None));
        prop_assert!(PAUSE_MIN_MS <= dialogue.failed(None));
    }
}
