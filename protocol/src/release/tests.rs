//! Attacks on the release of shares, and the whole way from a dealing to the key again.

use shard_codec::secret_sharing::{ReconstructError, Share, reconstruct};
use shard_codec::share_sealing::open_sealed;
use shard_codec::{Digest, SealingSecretKey};

use super::{Input, LogEntry, release_context};
use crate::contents::root_context;
use crate::document::{Purpose, Quarantine, ReleaseNotice, ReleaseOrder, Selector, Span, Suspicion};
use crate::fixture::{NOW, RunningSite, Snapshot, State, answer, database, kinds, name, refusal, rng, sign};
use crate::machine::{Announcement, Output, RecordKind};
use crate::signature::{Keypair, PublicKey, Signed};
use crate::timestamp::Timestamp;
use crate::wire::{Refusal, RefusalCode, Response};

const HOUR_MS: u64 = 3_600_000;

/// A state in which every site holds `count` snapshots.
fn with_snapshots(count: usize) -> (State, Vec<Snapshot>) {
    let mut state = State::new();
    let mut snapshots: Vec<Snapshot> = Vec::new();
    for _ in 0..count {
        let previous = snapshots.last().map(|snapshot| snapshot.manifest.clone());
        snapshots.push(state.snapshot(previous.as_ref(), 1));
    }
    (state, snapshots)
}

fn holder<'a>(state: &'a State, index: usize, snapshots: &[Snapshot]) -> RunningSite<'a> {
    let mut site = state.site(index);
    for snapshot in snapshots {
        site.publish(state.writer.public(), snapshot).unwrap();
    }
    site
}

fn present(site: &mut RunningSite<'_>, now: Timestamp, caller: PublicKey, order: &Signed<ReleaseOrder>) -> Vec<Output> {
    let ticket = site.ticket();
    site.ask(now, Input::PresentOrder { ticket, caller, order: order.encode() })
}

fn ask_share(
    site: &mut RunningSite<'_>,
    now: Timestamp,
    caller: PublicKey,
    order: Digest,
    sequence: u64,
) -> Vec<Output> {
    let ticket = site.ticket();
    site.ask(now, Input::Share { ticket, caller, order, database: database(), sequence })
}

fn recipient(state: &State) -> PublicKey {
    state.recipient.identity.public()
}

/// Presents and asks, and gives the text of the refusal or the sealed share.
fn release(
    state: &State,
    site: &mut RunningSite<'_>,
    order: &Signed<ReleaseOrder>,
    sequence: u64,
) -> Result<Vec<u8>, String> {
    let text = |refusal: Refusal| refusal.message;
    answer(&present(site, NOW, recipient(state), order)).map_err(text)?;
    let answered = answer(&ask_share(site, NOW, recipient(state), order.digest(), sequence)).map_err(text)?;
    let Response::Share { sealed, .. } = answered else { panic!("no share: {answered:?}") };
    Ok(sealed.into_vec())
}

#[test]
fn an_order_and_a_release_are_kept_and_spread_before_the_answer() {
    let (state, snapshots) = with_snapshots(1);
    let mut site = holder(&state, 0, &snapshots);
    let order = state.order(3, |_| {});
    let outputs = present(&mut site, NOW, recipient(&state), &order);
    assert_eq!(kinds(&outputs), ["persist order", "announce order", "report", "reply"]);
    let outputs = ask_share(&mut site, NOW, recipient(&state), order.digest(), 1);
    assert_eq!(kinds(&outputs), ["persist notice", "announce notice", "report", "reply"]);
    let [LogEntry::Order(logged), LogEntry::Notice(notice)] = site.release.log() else { panic!("another log") };
    assert_eq!(logged.digest(), order.digest());
    let expected = ReleaseNotice {
        state: state.chain.state(),
        order: order.digest(),
        database: database(),
        sequence: 1,
        site: name("tallinn"),
        recipient: recipient(&state),
        at: NOW,
    };
    assert_eq!(*notice.document(), expected);
    // Asking again releases again, and says nothing new to the log of every site.
    let outputs = ask_share(&mut site, NOW.plus_ms(5), recipient(&state), order.digest(), 1);
    assert_eq!(kinds(&outputs), ["reply"]);
}

#[test]
fn signatures_that_do_not_decide() {
    let (state, snapshots) = with_snapshots(1);
    let mut site = holder(&state, 0, &snapshots);
    let refused = |site: &mut RunningSite<'_>, order: &Signed<ReleaseOrder>| {
        let outputs = present(site, NOW, recipient(&state), order);
        assert_eq!(kinds(&outputs), ["report", "refuse"]);
        assert!(site.release.log().is_empty());
        // Nor does it come in by the way of gossip.
        assert!(site.hear(Announcement::Order(order.encode().into())).is_err());
        refusal(&outputs)
    };
    let not = "the order is not signed by a quorum of the officials:";
    let two = format!("{not} 2 of 3 needed signatures; strangers to the roll who signed: 0");
    assert_eq!(refused(&mut site, &state.order(2, |_| {})), (RefusalCode::Order, two));
    let mut with_writer = state.order(2, |_| {});
    with_writer.sign(&state.writer);
    let stranger = format!("{not} 2 of 3 needed signatures; strangers to the roll who signed: 1");
    assert_eq!(refused(&mut site, &with_writer).1, stranger);
}

#[test]
fn the_window_is_kept_by_the_sites_clock_each_time() {
    let (state, snapshots) = with_snapshots(1);
    let mut site = holder(&state, 0, &snapshots);
    let caller = recipient(&state);
    let later = state.order(3, |order| (order.not_before, order.expires) = (NOW.plus_ms(1), NOW.plus_ms(2)));
    let text = "the order is not valid before 2026-11-22T17:30:00Z; it is 2026-11-22T17:30:00Z here";
    assert_eq!(refusal(&present(&mut site, NOW, caller, &later)), (RefusalCode::Order, text.to_owned()));
    let order = state.order(3, |_| {});
    answer(&present(&mut site, NOW, caller, &order)).unwrap();
    let last = Timestamp::from_unix_ms(NOW.unix_ms() + HOUR_MS - 1);
    answer(&ask_share(&mut site, last, caller, order.digest(), 1)).unwrap();
    // Replayed after it expired: presented again, or used without presenting.
    let expired = last.plus_ms(1);
    let text =
        "the order expired at 2026-11-22T18:30:00Z; it is 2026-11-22T18:30:00Z here: the officials must sign a new one";
    assert_eq!(refusal(&present(&mut site, expired, caller, &order)).1, text);
    assert_eq!(refusal(&ask_share(&mut site, expired, caller, order.digest(), 1)).1, text);
    // Before its time, too, if a clock was set back.
    let before = Timestamp::from_unix_ms(NOW.unix_ms() - 1);
    assert!(answer(&ask_share(&mut site, before, caller, order.digest(), 1)).is_err());
    assert!(site.release.ordered_for(caller, before).is_empty());
    assert_eq!(site.release.ordered_for(caller, NOW), [database()]);
    assert!(site.release.ordered_for(caller, expired).is_empty());
}

#[test]
fn orders_of_another_state_or_for_somebody_else() {
    let (state, snapshots) = with_snapshots(1);
    let mut site = holder(&state, 0, &snapshots);
    let foreign = state.order(3, |order| order.state = Digest::of(b"another state"));
    let expected = format!("the order is for state {}, this is {}", Digest::of(b"another state"), state.chain.state());
    assert_eq!(refusal(&present(&mut site, NOW, recipient(&state), &foreign)).1, expected);
    assert!(site.hear(Announcement::Order(foreign.encode().into())).is_err());
    let order = state.order(3, |_| {});
    let thief = Keypair::generate(&mut rng(31)).public();
    let expected = format!("the order names recipient {}, but {thief} presents it", recipient(&state));
    assert_eq!(refusal(&present(&mut site, NOW, thief, &order)).1, expected);
    // The thief waits until the recipient has presented it.
    answer(&present(&mut site, NOW, recipient(&state), &order)).unwrap();
    assert_eq!(refusal(&ask_share(&mut site, NOW, thief, order.digest(), 1)).1, expected);
    assert!(site.release.ordered_for(thief, NOW).is_empty());
}

#[test]
fn an_order_that_was_never_presented_opens_nothing() {
    let (state, snapshots) = with_snapshots(1);
    let mut site = holder(&state, 0, &snapshots);
    let outputs = ask_share(&mut site, NOW, recipient(&state), state.order(3, |_| {}).digest(), 1);
    assert_eq!(refusal(&outputs), (RefusalCode::Order, "present the order first".to_owned()));
}

#[test]
fn only_the_databases_of_the_order() {
    let (state, snapshots) = with_snapshots(1);
    let mut site = holder(&state, 0, &snapshots);
    let order = state.order(3, |order| order.databases = vec![name("court-files")]);
    let text = release(&state, &mut site, &order, 1).unwrap_err();
    assert_eq!(text, "the order does not open database land-register");
}

#[test]
fn one_sequence_means_that_one() {
    let (state, snapshots) = with_snapshots(3);
    let mut site = holder(&state, 0, &snapshots);
    let order = state.order(3, |order| order.selector = Selector::Sequence(2));
    for sequence in [1, 3, 4] {
        let text = release(&state, &mut site, &order, sequence).unwrap_err();
        assert_eq!(text, "the order opens snapshot 2 only");
    }
    assert!(release(&state, &mut site, &order, 2).is_ok());
}

#[test]
fn latest_means_the_newest_durable_snapshot_and_what_came_after_it() {
    let (state, snapshots) = with_snapshots(3);
    let mut site = holder(&state, 0, &snapshots);
    let latest = state.order(3, |order| order.selector = Selector::Latest);
    // Receipts of four sites are not durable (the Nordic two may go), of five with one of them they are.
    let spread = |site: &mut RunningSite<'_>, sequence: u64, from: &[usize]| {
        for index in from {
            let other = holder(&state, *index, &snapshots);
            let receipt = other.catalog.history(&database()).unwrap().receipts(sequence).next().unwrap().encode();
            site.hear(Announcement::Receipt(receipt.into())).unwrap();
        }
    };
    spread(&mut site, 2, &[1, 2, 4]);
    assert!(release(&state, &mut site, &latest, 1).is_ok(), "nothing durable is known here: nothing to hold back");
    spread(&mut site, 2, &[5]);
    let text = release(&state, &mut site, &latest, 1).unwrap_err();
    assert_eq!(text, "the order opens the latest snapshot, which is 2");
    assert!(release(&state, &mut site, &latest, 2).is_ok());
    // Three is not durable: it neither hides two nor is it hidden.
    assert!(release(&state, &mut site, &latest, 3).is_ok());
    spread(&mut site, 3, &[1, 2, 4, 5]);
    assert_eq!(release(&state, &mut site, &latest, 2).unwrap_err(), "the order opens the latest snapshot, which is 3");
}

/// Attack: what ransomware made of the register is published; a government in exile asks for the latest.
#[test]
fn latest_passes_over_what_is_in_quarantine() {
    let mut state = State::new();
    let first = state.snapshot(None, 1);
    let second =
        state.snapshot_with(Some(&first.manifest), 1, |manifest| manifest.suspicions = vec![Suspicion::Entropy]);
    let snapshots = [first, second];
    let mut site = holder(&state, 0, &snapshots);
    for (sequence, index) in [1_u64, 2].into_iter().flat_map(|sequence| [1, 2, 4, 5].map(|index| (sequence, index))) {
        let other = holder(&state, index, &snapshots);
        let receipt = other.catalog.history(&database()).unwrap().receipts(sequence).next().unwrap().encode();
        site.hear(Announcement::Receipt(receipt.into())).unwrap();
    }
    let latest = state.order(3, |order| order.selector = Selector::Latest);
    assert!(release(&state, &mut site, &latest, 1).is_ok());
    // Who wants to look at it may.
    assert!(release(&state, &mut site, &latest, 2).is_ok());
    let accepted = vec![Span { first: 2, last: 2, reason: "seen".to_owned() }];
    let quarantine = Some(Quarantine { accepted, ..Quarantine::default() });
    let next = state.next_charter(|charter| charter.databases[0].quarantine = quarantine);
    let next = sign(next, &state.officials[..4]);
    site.hear(Announcement::Charter(next.encode().into())).unwrap();
    let text = release(&state, &mut site, &latest, 1).unwrap_err();
    assert_eq!(text, "the order opens the latest snapshot, which is 2");
}

/// A charter that needs fewer shards makes nothing durable that was made before it, and hides nothing.
#[test]
fn a_later_charter_does_not_change_what_latest_opens() {
    let (mut state, snapshots) = with_snapshots(2);
    let (records, founding) = {
        let mut site = holder(&state, 0, &snapshots);
        for index in [1, 2, 3] {
            let other = holder(&state, index, &snapshots);
            let receipt = other.catalog.history(&database()).unwrap().receipts(2).next().unwrap().encode();
            site.hear(Announcement::Receipt(receipt.into())).unwrap();
        }
        (site.records.clone(), state.chain.clone())
    };
    let next = state.amend(|charter| {
        charter.alliances.clear();
        (charter.databases[0].data_shards, charter.databases[0].threshold) = (2, 2);
    });
    let mut site = RunningSite::new(&state.sites[0], founding);
    site.records = records;
    site.restart().unwrap();
    site.hear(Announcement::Charter(next.encode().into())).unwrap();
    // Four receipts: without the worst jurisdiction three shards remain, and four are needed.
    let latest = state.order(3, |order| order.selector = Selector::Latest);
    assert!(release(&state, &mut site, &latest, 1).is_ok());
}

#[test]
fn what_is_not_here_is_not_released() {
    let (state, snapshots) = with_snapshots(1);
    let order = state.order(3, |_| {});
    assert_eq!(release(&state, &mut state.site(0), &order, 1).unwrap_err(), "no snapshot of land-register here");
    let mut without_share = state.site(0);
    without_share.hear(Announcement::Manifests(vec![snapshots[0].manifest.encode().into()])).unwrap();
    assert_eq!(release(&state, &mut without_share, &order, 1).unwrap_err(), "no share of snapshot 1 here");
    assert!(without_share.records.iter().all(|record| record.kind != RecordKind::Notice));
}

/// Officials are exchanged while an order is under way.
#[test]
fn the_officials_of_the_newest_charter_decide() {
    let (mut state, snapshots) = with_snapshots(1);
    let old = state.order(3, |_| {});
    let (by_old_roll, founding) = (state.order(3, |order| order.nonce = [1; 16]), state.chain.clone());
    let admitted = Keypair::generate(&mut rng(41));
    let next = state.amend(|charter| charter.officials[0].key = admitted.public());
    let mut site = RunningSite::new(&state.sites[0], founding);
    site.publish(state.writer.public(), &snapshots[0]).unwrap();
    answer(&present(&mut site, NOW, recipient(&state), &old)).unwrap();
    site.hear(Announcement::Charter(next.encode().into())).unwrap();
    let not = "the order is not signed by a quorum of the officials: 2 of 3 needed signatures; strangers to the roll who \
               signed: 1";
    assert_eq!(refusal(&ask_share(&mut site, NOW, recipient(&state), old.digest(), 1)).1, not);
    assert_eq!(refusal(&present(&mut site, NOW, recipient(&state), &by_old_roll)).1, not);
    // Told of by another site: it stands in the log for ever, and lets nobody in.
    let fresh_key = Keypair::generate(&mut rng(42)).public();
    let for_other = sign(ReleaseOrder { recipient: fresh_key, ..old.document().clone() }, &state.officials[..3]);
    site.hear(Announcement::Order(for_other.encode().into())).unwrap();
    assert!(site.release.ordered_for(fresh_key, NOW).is_empty());
    // The new official signs the same words: now it holds, though the site knew the order with fewer signatures.
    let mut signed_anew = old.clone();
    signed_anew.sign(&admitted);
    assert!(release(&state, &mut site, &signed_anew, 1).is_ok());
    // And nobody can take that signature away again.
    site.hear(Announcement::Order(old.encode().into())).unwrap();
    assert!(answer(&ask_share(&mut site, NOW, recipient(&state), old.digest(), 1)).is_ok());
    site.restart().unwrap();
    assert!(answer(&ask_share(&mut site, NOW, recipient(&state), old.digest(), 1)).is_ok());
    assert!(site.release.ordered_for(fresh_key, NOW).is_empty());
}

#[test]
fn orders_and_notices_come_from_other_sites_and_survive_a_restart_in_their_order() {
    let (state, snapshots) = with_snapshots(1);
    let (mut bern, mut tokyo) = (holder(&state, 4, &snapshots), holder(&state, 5, &snapshots));
    for nonce in 0..6 {
        let order = state.order(3, |order| order.nonce = [nonce; 16]);
        for outputs in [
            present(&mut bern, NOW, recipient(&state), &order),
            ask_share(&mut bern, NOW, recipient(&state), order.digest(), 1),
        ] {
            for output in outputs {
                if let Output::Announce(announcement) = output {
                    assert_eq!(tokyo.hear(announcement.clone()), Ok(Response::Done));
                    assert_eq!(tokyo.hear(announcement), Ok(Response::Done), "a duplicate is harmless");
                }
            }
        }
    }
    let lines = |site: &RunningSite<'_>| -> Vec<Digest> {
        let digest = |entry: &LogEntry| match entry {
            LogEntry::Order(order) => order.digest(),
            LogEntry::Notice(notice) => notice.digest(),
            LogEntry::Veto(veto) => veto.digest(),
        };
        site.release.log().iter().map(digest).collect()
    };
    assert_eq!(lines(&bern).len(), 12);
    assert_eq!(lines(&tokyo), lines(&bern));
    for site in [&mut bern, &mut tokyo] {
        let before = lines(site);
        site.restart().unwrap();
        assert_eq!(lines(site), before);
    }
    // An order learned from another site is as good as one presented here.
    let order = state.order(3, |order| order.nonce = [0; 16]);
    assert!(answer(&ask_share(&mut tokyo, NOW, recipient(&state), order.digest(), 1)).is_ok());
}

#[test]
fn notices_of_impostors_and_of_other_states_are_refused() {
    let (state, snapshots) = with_snapshots(1);
    let mut site = holder(&state, 0, &snapshots);
    let order = state.order(3, |_| {});
    let notice = ReleaseNotice {
        state: state.chain.state(),
        order: order.digest(),
        database: database(),
        sequence: 1,
        site: name("bern"),
        recipient: recipient(&state),
        at: NOW,
    };
    let bern = &state.sites[4].identity;
    // One site could fill the disks of all others with releases that nobody ordered.
    let unordered = Signed::sign_new(notice.clone(), bern).unwrap().encode();
    assert!(site.hear(Announcement::Notice(unordered.into())).is_err());
    site.hear(Announcement::Order(order.encode().into())).unwrap();
    let mut hear = |notice: ReleaseNotice, keys: &Keypair| {
        site.hear(Announcement::Notice(Signed::sign_new(notice, keys).unwrap().encode().into()))
    };
    assert!(hear(ReleaseNotice { database: name("another"), ..notice.clone() }, bern).is_err());
    assert!(hear(ReleaseNotice { sequence: 2, ..notice.clone() }, bern).is_err());
    assert!(hear(notice.clone(), &state.sites[5].identity).is_err());
    assert!(hear(ReleaseNotice { site: name("atlantis"), ..notice.clone() }, bern).is_err());
    assert!(hear(ReleaseNotice { state: Digest::of(b"another"), ..notice.clone() }, bern).is_err());
    assert!(hear(notice.clone(), bern).is_ok());
    // The same release, told again with another time, fills no log.
    assert!(hear(ReleaseNotice { at: NOW.plus_ms(1), ..notice }, bern).is_ok());
    assert_eq!(site.release.log().len(), 2);
}

#[test]
fn orders_that_contradict_themselves() {
    let state = State::new();
    let draft = |change: &dyn Fn(&mut ReleaseOrder)| {
        let mut order = state.order(0, |_| {}).document().clone();
        change(&mut order);
        Signed::draft(order).unwrap_err().to_string()
    };
    let databases = "release-order: an order names one or more databases, each once";
    assert_eq!(draft(&|order| order.databases.clear()), databases);
    assert_eq!(draft(&|order| order.databases.push(database())), databases);
    assert_eq!(draft(&|order| order.selector = Selector::Sequence(0)), "release-order: sequences count from 1");
    assert_eq!(draft(&|order| order.expires = order.not_before), "release-order: the order expires before it begins");
    let weak = PublicKey::from_bytes([0; 32]);
    let text = "release-order: the recipient's identity is not a usable key";
    assert_eq!(draft(&|order| order.recipient = weak), text);
    let text = "release-order: the X25519 half has low order";
    assert_eq!(draft(&|order| order.recipient_sealing_key[1184..].fill(0)), text);
    let text = "release-order: reason must be 1 to 512 bytes without control characters";
    assert_eq!(draft(&|order| order.reason.clear()), text);
    assert_eq!(state.order(0, |order| order.purpose = Purpose::Drill).document().purpose, Purpose::Drill);
}

/// Opens a released share as the recipient does.
fn open(
    state: &State,
    key: &SealingSecretKey,
    order: Digest,
    snapshot: &Snapshot,
    site: usize,
    sealed: &[u8],
) -> Option<Share> {
    let context = release_context(order, snapshot.manifest.document(), &state.sites[site].name);
    let opened = open_sealed(key, &context, sealed).ok()?;
    Share::from_bytes(&opened).ok()
}

#[test]
fn a_released_share_opens_for_its_recipient_in_its_place_only() {
    let (mut state, snapshots) = with_snapshots(1);
    let other = state.snapshot(Some(&snapshots[0].manifest), 1);
    let order = state.order(3, |_| {});
    let mut site = holder(&state, 0, &snapshots);
    let sealed = release(&state, &mut site, &order, 1).unwrap();
    let ours = &state.recipient.sealing;
    assert!(open(&state, ours, order.digest(), &snapshots[0], 0, &sealed).is_some());
    assert!(open(&state, &state.sites[0].sealing, order.digest(), &snapshots[0], 0, &sealed).is_none(), "another key");
    assert!(open(&state, ours, Digest::of(b"another order"), &snapshots[0], 0, &sealed).is_none());
    assert!(open(&state, ours, order.digest(), &other, 0, &sealed).is_none(), "another snapshot");
    assert!(open(&state, ours, order.digest(), &snapshots[0], 1, &sealed).is_none(), "another site");
    // Nor does what a site keeps on its disk open for the recipient, or what is released for the site.
    assert!(open(&state, ours, order.digest(), &snapshots[0], 0, &snapshots[0].sealed_shares[0]).is_none());
    // Two releases of one share are two messages.
    assert_ne!(release(&state, &mut site, &order, 1).unwrap(), sealed);
}

/// The promise of the whole: below the threshold nothing, at the threshold the key that sealed the root.
#[test]
fn exactly_the_threshold_of_sites_gives_the_key() {
    let (state, snapshots) = with_snapshots(1);
    let snapshot = &snapshots[0];
    let manifest = snapshot.manifest.document();
    let order = state.order(3, |_| {});
    let released = |index: usize| {
        let mut site = holder(&state, index, &snapshots);
        let sealed = release(&state, &mut site, &order, 1).unwrap();
        open(&state, &state.recipient.sealing, order.digest(), snapshot, index, &sealed).unwrap()
    };
    let commitments = manifest.custody.commitments().unwrap();
    let place = root_context(&manifest.state, &manifest.database, manifest.sequence);
    let expected = snapshot.secret.snapshot_key(&place);
    for sites in [[0, 1, 2], [6, 3, 0], [4, 5, 6]] {
        let shares: Vec<Share> = sites.into_iter().map(released).collect();
        for fewer in [&shares[..0], &shares[..1], &shares[..2], &shares[1..]] {
            let error = reconstruct(3, fewer, &commitments).unwrap_err();
            assert_eq!(error, ReconstructError::TooFew { expected: 3, actual: fewer.len() });
        }
        let secret = reconstruct(3, &shares, &commitments).unwrap();
        let key = secret.snapshot_key(&place);
        assert!(bool::from(key.as_secret().ct_eq(expected.as_secret())));
        let other_place = root_context(&manifest.state, &manifest.database, 2);
        assert!(!bool::from(secret.snapshot_key(&other_place).as_secret().ct_eq(expected.as_secret())));
    }
    // One site three times is one share; a site that lies is named.
    let thrice: Vec<Share> = [0, 0, 0].into_iter().map(released).collect();
    let error = reconstruct(3, &thrice, &commitments).unwrap_err();
    assert_eq!(error, ReconstructError::TooFew { expected: 3, actual: 1 });
    let mut lie = *released(1).to_bytes().expose(|bytes| Box::new(*bytes));
    lie[1] ^= 1;
    let lying = vec![released(0), Share::from_bytes(&lie).unwrap(), released(2)];
    let error = reconstruct(3, &lying, &commitments).unwrap_err();
    assert_eq!(error, ReconstructError::Wrong { indices: vec![shard_codec::ShareIndex::new(2).unwrap()] });
}
