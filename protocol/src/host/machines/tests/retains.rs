//! Snapshots that go in their time, and nothing that goes before it; the attacks first.

use std::collections::BTreeSet;

use super::mesh::Mesh;
use super::reshares::amend;
use crate::document::{Charter, Inventory, Keep, Period, Retention, Span, Veto};
use crate::fixture::{NOW, Snapshot, database, sign};
use crate::host::{Input, Pace};
use crate::machine::{Announcement, Event, RecordKind, Ticket};
use crate::number_set::NumberSet;
use crate::release;
use crate::retention::{Pending, RetentionOptions};

const DAY_MS: i64 = 86_400_000;

fn rules(keep: &[(Period, u64)]) -> Retention {
    let keep = keep.iter().map(|(one_per, seconds)| Keep { one_per: *one_per, for_seconds: Some(*seconds) }).collect();
    Retention { keep, delay_seconds: 60, holds: Vec::new(), deletions: Vec::new() }
}

/// Every snapshot for a minute, one a minute for four.
pub(super) fn short() -> Retention {
    rules(&[(Period::Snapshot, 60), (Period::Minute, 240)])
}

pub(super) fn mesh(retention: Option<Retention>) -> Mesh {
    let retention_pace = RetentionOptions { interval_ms: 5_000, grace_ms: 30_000, ..RetentionOptions::default() };
    Mesh::paced(Pace { retention: retention_pace, ..Pace::default() }, |charter| {
        charter.databases[0].retention = retention;
    })
}

/// A snapshot each 20 seconds; each drops the stripe of the one before.
pub(super) fn publish(mesh: &mut Mesh, count: u64, last: Option<Snapshot>) -> Snapshot {
    let mut last = last;
    for _ in 0..count {
        let dropped = last.iter().flat_map(|last| &last.manifest.document().stripes_added).map(|stripe| stripe.number);
        let dropped = dropped.collect();
        last = Some(mesh.publish_dropping(last.as_ref(), 1, dropped));
        mesh.run(20);
    }
    last.unwrap()
}

pub(super) fn gone(mesh: &Mesh, index: usize) -> Vec<u64> {
    let history = mesh.nodes[index].machines.catalog.history(&database()).unwrap();
    (1..=history.head_sequence()).filter(|sequence| history.is_discarded(*sequence)).collect()
}

pub(super) fn agreed(mesh: &Mesh, index: usize) -> u64 {
    mesh.nodes[index].machines.catalog.history(&database()).unwrap().agreed_gone().count()
}

fn has_share(mesh: &Mesh, index: usize, sequence: u64) -> bool {
    let (kind, key) = (RecordKind::Share, crate::catalog::key(&database(), sequence));
    let mut records = mesh.records(index).filter(|record| record.kind == kind && record.key == key);
    records.any(|record| !record.value.is_empty())
}

fn has_shard(mesh: &Mesh, index: usize, stripe: u64) -> bool {
    mesh.nodes[index].store.contains_key(&shard_codec::Digest::of(&mesh.stripes[&stripe][index]))
}

fn said(mesh: &Mesh, index: usize, text: &str) -> bool {
    mesh.nodes[index].events.iter().any(|event| event.to_string().contains(text))
}

#[test]
fn what_no_rule_keeps_goes_everywhere_and_what_one_keeps_stays_whole() {
    let mut mesh = mesh(Some(short()));
    publish(&mut mesh, 30, None);
    mesh.run(60);
    // Published at :00, :20 and :40 of ten minutes; the newest is at 9:40, when time stands still. All of the last minute
    // (28 to 30), and the last of each minute after 5:40.
    let kept: BTreeSet<u64> = [30, 29, 28, 27, 24, 21].into();
    let expected: Vec<u64> = (1..=30).filter(|sequence| !kept.contains(sequence)).collect();
    for index in 0..7 {
        assert_eq!(gone(&mesh, index), expected, "site {index}");
        for number in 1..=30 {
            assert_eq!(has_share(&mesh, index, number), kept.contains(&number), "share {number} at {index}");
            assert_eq!(has_shard(&mesh, index, number), kept.contains(&number), "shard {number} at {index}");
        }
        let ledger = mesh.ledger_at(index);
        assert_eq!((ledger.snapshot_count, ledger.durable_count), (6, 6));
        assert_eq!((ledger.stripes.kept, ledger.stripes.short), (6, 0));
        assert!(!said(&mesh, index, "missing here") && !said(&mesh, index, "ALARM"));
        // It comes back the same from its records.
        mesh.restart(index);
        assert_eq!((gone(&mesh, index), agreed(&mesh, index)), (expected.clone(), 24));
    }
    mesh.run(60);
    assert_eq!(gone(&mesh, 3), expected);
    // Of what is gone no share is taken any more, whoever brings it.
    let again = mesh.state.snapshot(None, 0);
    let (manifest, sealed_share) = (again.manifest.encode(), Some(again.sealed_shares[0].clone()));
    let caller = mesh.state.writer.public();
    let publish = crate::catalog::Input::Publish { ticket: Ticket(0), caller, manifest, sealed_share };
    mesh.give(0, Input::Catalog(publish));
    assert!(!has_share(&mesh, 0, 1));
}

/// Attack: the clocks of one jurisdiction, or of a whole alliance, are set ten years ahead, so that all goes.
#[test]
fn a_coalition_whose_clocks_run_ahead_lets_nothing_go() {
    let mut mesh = mesh(Some(rules(&[(Period::Snapshot, 3_000)])));
    // The alliance of Helsinki and Reykjavik, from the first start on.
    for index in [2, 3] {
        mesh.nodes[index].ahead_ms = 3_650 * DAY_MS;
    }
    publish(&mut mesh, 10, None);
    mesh.run(300);
    for index in 0..7 {
        assert_eq!((gone(&mesh, index), agreed(&mesh, index)), (Vec::new(), 0), "site {index}");
    }
}

/// Attack: a site's clock is set ten years ahead while it runs, and it is started again and again.
#[test]
fn a_clock_set_ahead_is_not_followed_and_starts_do_not_help() {
    let mut mesh = mesh(Some(short()));
    mesh.run(5);
    mesh.nodes[4].ahead_ms = 3_650 * DAY_MS;
    for _ in 0..20 {
        mesh.restart(4);
        mesh.run(3);
    }
    let reading = mesh.nodes[4].machines.retention.reading();
    assert!(reading < mesh.now.plus_ms(130_000), "{reading}");
}

#[test]
fn a_site_whose_clock_is_behind_keeps_its_own_until_it_is_right() {
    let mut mesh = mesh(Some(short()));
    mesh.nodes[5].ahead_ms = -DAY_MS;
    publish(&mut mesh, 30, None);
    mesh.run(120);
    assert_eq!(gone(&mesh, 0).len(), 24);
    assert_eq!((gone(&mesh, 5), agreed(&mesh, 5)), (Vec::new(), 24));
    assert!((1..=30).all(|number| has_share(&mesh, 5, number) && has_shard(&mesh, 5, number)));
    // It counts like the others, and raises no alarm over what they have let go.
    let ledger = mesh.ledger_at(5);
    assert_eq!((ledger.snapshot_count, ledger.durable_count, ledger.stripes.short), (6, 6, 0));
    assert!(!said(&mesh, 5, "ALARM") && !said(&mesh, 0, "ALARM"));
    mesh.nodes[5].ahead_ms = 0;
    mesh.run(900);
    assert_eq!(gone(&mesh, 5).len(), 24);
    assert!(!has_share(&mesh, 5, 1) && !has_shard(&mesh, 5, 1));
}

/// The first site is told what another one signs of the first thousand snapshots.
fn say(mesh: &mut Mesh, index: usize, is_due: bool, is_let_go: bool) {
    let set = |says: bool| NumberSet::of_run(1, if says { 1_000 } else { 0 });
    let inventory = Inventory {
        state: mesh.state.chain.state(),
        site: mesh.keys(index).name.clone(),
        database: database(),
        sequence: 5,
        missing_stripes: NumberSet::default(),
        missing_shares: NumberSet::default(),
        epochs: Vec::new(),
        expired: set(is_due),
        let_go: set(is_let_go),
        at: mesh.now.plus_ms(1),
    };
    let signed = sign(inventory, std::slice::from_ref(&mesh.keys(index).identity));
    mesh.give(0, Input::announced(None, Announcement::Inventory(signed.encode().into())));
    mesh.run(10);
}

/// Attack: fewer sites than decide say in their inventories that all is due.
#[test]
fn the_word_of_few_sites_lets_nothing_go() {
    let mut mesh = mesh(None);
    publish(&mut mesh, 5, None);
    // Three of seven are not more than half; then four are, but two of them are allies and only two are left without.
    for index in [1, 2, 3, 4] {
        say(&mut mesh, index, true, false);
        assert_eq!(agreed(&mesh, 0), 0, "three must be left whichever coalition is taken away");
    }
    // Five decide. The head stays whatever is said, and this site keeps its own: nothing is due by its own clock.
    say(&mut mesh, 5, true, false);
    mesh.run(30);
    assert_eq!((agreed(&mesh, 0), gone(&mesh, 0)), (4, Vec::new()));
    assert!((1..=5).all(|number| has_share(&mesh, 0, number) && has_shard(&mesh, 0, number)));
}

/// Two shares are few: three sites that no coalition binds are left without any one of them, and are not half of seven.
#[test]
fn a_minority_lets_nothing_go() {
    let mut mesh = Mesh::founded(|charter| {
        charter.alliances.clear();
        charter.databases[0].threshold = 2;
    });
    publish(&mut mesh, 5, None);
    for index in [1, 2, 3] {
        say(&mut mesh, index, true, false);
        assert_eq!(agreed(&mesh, 0), 0);
    }
    say(&mut mesh, 4, true, false);
    assert_eq!(agreed(&mesh, 0), 4);
}

/// Attack: a coalition, and fewer sites than the threshold, say that all was let go long ago.
#[test]
fn what_was_decided_is_believed_of_threshold_sites_that_are_no_coalition() {
    let mut mesh = mesh(None);
    publish(&mut mesh, 5, None);
    for index in [2, 3] {
        say(&mut mesh, index, true, true);
        assert_eq!(agreed(&mesh, 0), 0);
    }
    say(&mut mesh, 6, false, true);
    assert_eq!((agreed(&mesh, 0), gone(&mesh, 0)), (4, Vec::new()));
}

#[test]
fn nothing_goes_while_no_snapshots_come() {
    let mut mesh = mesh(Some(rules(&[(Period::Snapshot, 600)])));
    publish(&mut mesh, 20, None);
    // Home is taken; hours pass.
    mesh.run(4_000);
    assert_eq!((0..7).map(|index| agreed(&mesh, index)).sum::<u64>(), 0);
}

/// Attack: the writer is stolen, and publishes with times of its own; or hides what was there behind what nobody holds.
#[test]
fn a_snapshot_that_few_hold_supersedes_nothing() {
    let mut mesh = mesh(Some(short()));
    let last = publish(&mut mesh, 3, None);
    // From now on only two sites take what is published; many minutes pass.
    for index in 2..7 {
        mesh.nodes[index].is_up = false;
    }
    let stolen = publish(&mut mesh, 30, Some(last));
    for index in 2..7 {
        mesh.nodes[index].is_up = true;
        mesh.bring(0, index);
    }
    mesh.run(60);
    assert_eq!(stolen.manifest.document().sequence, 33);
    assert_eq!((0..7).map(|index| agreed(&mesh, index)).sum::<u64>(), 0);
}

fn charter_that_keeps_less(charter: &mut Charter) {
    charter.databases[0].retention = Some(rules(&[(Period::Snapshot, 30)]));
}

#[test]
fn a_charter_that_keeps_less_waits_for_the_delay_of_the_one_before() {
    let long = Retention { delay_seconds: 300, ..rules(&[(Period::Snapshot, 3_600)]) };
    let mut mesh = mesh(Some(long));
    publish(&mut mesh, 10, None);
    amend(&mut mesh, charter_that_keeps_less);
    mesh.run(290);
    let pending = {
        let machines = &mesh.nodes[0].machines;
        machines.retention.pending_charters(&machines.catalog, &database())
    };
    let [Pending { version: 2, settles, is_vetoed: false }] = pending[..] else { panic!("{pending:?}") };
    assert_eq!(agreed(&mesh, 0), 0);
    assert!(settles > mesh.now && settles < mesh.now.plus_ms(30_000), "{settles}");
    // A start does not shorten it: that site waits longer than the others.
    mesh.restart(0);
    mesh.run(30);
    let expected: Vec<u64> = (1..=8).collect();
    assert!((1..7).all(|index| gone(&mesh, index) == expected));
    assert_eq!((agreed(&mesh, 0), gone(&mesh, 0)), (8, Vec::new()));
    mesh.run(600);
    assert_eq!(gone(&mesh, 0), expected);
}

#[test]
fn one_official_vetoes_and_a_stranger_does_not() {
    let mut mesh = mesh(Some(Retention { delay_seconds: 300, ..rules(&[(Period::Snapshot, 3_600)]) }));
    publish(&mut mesh, 10, None);
    amend(&mut mesh, |charter| {
        charter_that_keeps_less(charter);
        charter.officials.remove(4); // he may still veto this one
    });
    let veto = Veto {
        state: mesh.state.chain.state(),
        charter: mesh.state.chain.newest().digest(),
        reason: "signed under duress".to_owned(),
    };
    let site = std::slice::from_ref(&mesh.state.sites[1].identity);
    let (by_site, by_official) = (sign(veto.clone(), site), sign(veto.clone(), &mesh.state.officials[4..]));
    let elsewhere = sign(Veto { state: veto.charter, ..veto.clone() }, &mesh.state.officials[4..]);
    let unknown = sign(Veto { charter: veto.state, ..veto }, &mesh.state.officials[4..]);
    for wrong in [by_site, elsewhere] {
        mesh.give(0, Input::announced(None, Announcement::Veto(wrong.encode().into())));
        assert!(mesh.nodes[0].machines.release.vetoed().is_empty());
    }
    // Of another charter it counts for nothing here.
    mesh.give(0, Input::announced(None, Announcement::Veto(unknown.encode().into())));
    mesh.give(0, Input::announced(None, Announcement::Veto(by_official.encode().into())));
    for index in 0..7 {
        assert!(mesh.nodes[index].machines.release.vetoed().contains(&mesh.state.chain.newest().digest()));
        mesh.restart(index);
    }
    mesh.run(700);
    assert_eq!((0..7).map(|index| agreed(&mesh, index)).sum::<u64>(), 0);
    // The quorum may say it again, and then it must be vetoed again.
    amend(&mut mesh, |charter| charter.databases[0].rpo_seconds = Some(3_600));
    mesh.run(290);
    assert_eq!(agreed(&mesh, 0), 0);
    mesh.run(30);
    assert_eq!(gone(&mesh, 0), (1..=8).collect::<Vec<u64>>());
}

/// Attack: one official, long retired, vetoes the charter that keeps more, so that an older one lets go.
#[test]
fn a_veto_brings_no_older_rules_back() {
    let mut mesh = mesh(Some(Retention { delay_seconds: 1, ..rules(&[(Period::Snapshot, 30)]) }));
    amend(&mut mesh, |charter| {
        charter.databases[0].retention = Some(Retention { delay_seconds: 1, ..rules(&[(Period::Snapshot, 3_600)]) });
    });
    let last = publish(&mut mesh, 6, None);
    assert_eq!(agreed(&mesh, 0), 0);
    let (state, charter) = (mesh.state.chain.state(), mesh.state.chain.newest().digest());
    let veto = sign(Veto { state, charter, reason: "mine".to_owned() }, &mesh.state.officials[4..]);
    mesh.give(0, Input::announced(None, Announcement::Veto(veto.encode().into())));
    publish(&mut mesh, 6, Some(last));
    mesh.run(60);
    assert_eq!((0..7).map(|index| agreed(&mesh, index)).sum::<u64>(), 0);
}

/// Attack: more than half of the sites are led ten years ahead, and an hour later back again; snapshots come all the while.
#[test]
fn wrong_time_at_most_sites_lets_little_go() {
    let mut mesh = mesh(Some(rules(&[(Period::Snapshot, 3_600)])));
    let last = publish(&mut mesh, 5, None);
    for index in [0, 1, 2, 3, 4] {
        mesh.nodes[index].ahead_ms = 3_650 * DAY_MS;
    }
    publish(&mut mesh, 20, Some(last));
    mesh.run(300);
    for index in 0..7 {
        assert_eq!(agreed(&mesh, index), 0, "site {index}: {}", mesh.nodes[index].machines.retention.reading());
        mesh.nodes[index].ahead_ms = 0;
    }
    mesh.run(300);
    assert_eq!(agreed(&mesh, 0), 0);
}

/// A number is two snapshots on the two branches: what goes on one would go on the other.
#[test]
fn nothing_goes_of_a_history_that_was_forked() {
    let mut mesh = mesh(Some(short()));
    let first = publish(&mut mesh, 1, None);
    let last = publish(&mut mesh, 1, Some(first));
    let rival = mesh.state.snapshot(None, 1);
    let run = vec![rival.manifest.encode().into()];
    mesh.give(0, Input::announced(None, Announcement::Manifests(run)));
    publish(&mut mesh, 28, Some(last));
    mesh.run(60);
    assert!(said(&mesh, 0, "carry sequence 1") && said(&mesh, 5, "carry sequence 1"));
    assert_eq!((0..7).map(|index| agreed(&mesh, index)).sum::<u64>(), 0);
}

/// A site was away at Monday's backup, so that it was not durable at once; Tuesday's was. Monday's is kept for its day.
#[test]
fn what_became_durable_late_keeps_its_place_in_the_calendar() {
    let one = |sequence: u64, second: u64, is_good: bool| {
        let (at, witnessed) = (NOW.plus_ms(second * 1_000), NOW.plus_ms(second * 1_000));
        crate::retention::rules::Candidate { sequence, at, witnessed: Some(witnessed), is_good }
    };
    let all = [one(1, 0, true), one(2, 60, false), one(3, 120, true), one(4, 180, true)];
    let gone = crate::retention::rules::let_go(&rules(&[(Period::Minute, 3_600)]), &all, NOW.plus_ms(200_000));
    assert_eq!(gone, BTreeSet::new());
}

/// Attack: the sites' clocks are led back for one backup, so that all before it seems to be as old.
#[test]
fn one_snapshot_of_another_year_does_not_age_the_others() {
    let one = |sequence: u64, second: u64| {
        let at = NOW.plus_ms(second * 1_000);
        crate::retention::rules::Candidate { sequence, at, witnessed: Some(at), is_good: true }
    };
    let all = [one(1, 100_000), one(2, 100_100), one(3, 0), one(4, 100_300)];
    let gone = crate::retention::rules::let_go(&rules(&[(Period::Snapshot, 600)]), &all, NOW.plus_ms(100_400_000));
    assert_eq!(gone, BTreeSet::from([3]));
}

/// What one charter condemns stands for no other: a thief's snapshot, the last of its period, takes no good one with it.
#[test]
fn what_is_to_be_deleted_supersedes_nothing() {
    let one = |sequence: u64, second: u64| {
        let at = NOW.plus_ms(second * 1_000);
        crate::retention::rules::Candidate { sequence, at, witnessed: Some(at), is_good: true }
    };
    let all = [one(1, 0), one(2, 10), one(3, 100), one(4, 1_000)];
    let minutes = rules(&[(Period::Minute, 86_400)]);
    let now = NOW.plus_ms(2_000_000);
    let gone = |rules: &Retention| crate::retention::rules::let_go(rules, &all, now).into_iter().collect::<Vec<u64>>();
    assert_eq!(gone(&minutes), [1]);
    let deletions = vec![Span { first: 2, last: 2, reason: "a thief's".to_owned() }];
    assert_eq!(gone(&Retention { deletions, ..minutes }), [2]);
}

#[test]
fn holds_keep_and_deletions_wait() {
    let span = |first, last| vec![Span { first, last, reason: "court order 7/2026".to_owned() }];
    let mut mesh = mesh(Some(Retention { holds: span(2, 3), ..short() }));
    let last = publish(&mut mesh, 30, None);
    mesh.run(60);
    assert!(!gone(&mesh, 0).contains(&2) && !gone(&mesh, 0).contains(&3) && gone(&mesh, 0).contains(&4));
    // Deletions wait for the delay, and the newest good one stays whatever they say.
    amend(&mut mesh, |charter| {
        charter.databases[0].retention = Some(Retention { deletions: span(1, 1_000), ..short() });
    });
    mesh.run(50);
    assert!(!gone(&mesh, 0).contains(&29));
    mesh.run(60);
    assert_eq!(gone(&mesh, 0), (1..=29).collect::<Vec<u64>>());
    assert!(has_share(&mesh, 0, 30) && last.manifest.document().sequence == 30);
}

#[test]
fn shards_of_a_backup_that_was_never_published_go_after_the_grace() {
    let mut mesh = mesh(None);
    publish(&mut mesh, 2, None);
    let orphan = vec![7; 1_000];
    let root = shard_codec::Digest::of(&orphan);
    mesh.nodes[0].store.insert(root, orphan.clone());
    mesh.run(25);
    assert!(mesh.nodes[0].store.contains_key(&root) && !mesh.nodes[0].noted.is_empty());
    mesh.run(20);
    assert!(!mesh.nodes[0].store.contains_key(&root));
    assert!((1..=2).all(|number| has_shard(&mesh, 0, number)));
}

/// A site that lost everything does not take what it finds in its store for free.
#[test]
fn a_site_that_knows_of_no_snapshot_collects_nothing() {
    let mut mesh = mesh(None);
    mesh.nodes[0].store.insert(shard_codec::Digest::of(b"x"), b"x".to_vec());
    mesh.run(100);
    assert_eq!(mesh.nodes[0].store.len(), 1);
}

/// Its place was given to another, perhaps in error: what it holds may be the last of it.
#[test]
fn a_site_that_is_put_out_keeps_its_shards() {
    let mut mesh = mesh(Some(short()));
    publish(&mut mesh, 3, None);
    amend(&mut mesh, |charter| {
        charter.sites[6].state = crate::document::SiteState::Lost;
        let is_other = |site: &crate::identifier::SiteName| site.as_str() != "ottawa";
        charter.databases[0].placement.retain(is_other);
        charter.databases[0].custodians.retain(is_other);
    });
    mesh.run(200);
    assert!((1..=3).all(|number| has_shard(&mesh, 6, number)));
}

#[test]
fn a_newcomer_lets_go_what_the_others_have() {
    let mut mesh = mesh(Some(short()));
    mesh.nodes[6].is_up = false;
    publish(&mut mesh, 30, None);
    mesh.run(60);
    assert_eq!(gone(&mesh, 0).len(), 24);
    mesh.nodes[6].is_up = true;
    mesh.bring(0, 6);
    mesh.run(900);
    assert_eq!(gone(&mesh, 6).len(), 24);
    let ledger = mesh.ledger_at(6);
    assert_eq!((ledger.snapshot_count, ledger.stripes.kept, ledger.stripes.short), (6, 6, 0));
    assert!(!(1..=17).any(|number| has_shard(&mesh, 6, number)), "nothing of what is gone was remade");
    let refused = |event: &&Event| matches!(event, Event::RepairFailed { .. });
    assert_eq!(mesh.nodes[6].events.iter().filter(refused).count(), 0);
}

#[test]
fn an_order_for_what_is_gone_is_told_so() {
    let mut mesh = mesh(Some(short()));
    publish(&mut mesh, 30, None);
    mesh.run(60);
    let order = mesh.state.order(3, |order| order.expires = NOW.plus_ms(10 * 3_600_000));
    let caller = mesh.state.recipient.identity.public();
    let present = release::Input::PresentOrder { ticket: Ticket(0), caller, order: order.encode() };
    mesh.give(0, Input::Release(present));
    let share =
        release::Input::Share { ticket: Ticket(0), caller, order: order.digest(), database: database(), sequence: 1 };
    mesh.give(0, Input::Release(share));
    assert!(said(&mesh, 0, "has reached the end of its retention: its shares are erased"));
}
