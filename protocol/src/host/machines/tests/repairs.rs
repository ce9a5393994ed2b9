//! Losses that a site finds at home.

use std::collections::BTreeSet;

use super::mesh::{Lie, Mesh};
use crate::fixture::{SITES, database};
use crate::machine::{Event, RecordKind};
use crate::wire::{RefusalCode, Request, Response};

fn everybody() -> BTreeSet<String> {
    SITES.iter().map(|(name, _)| (*name).to_owned()).collect()
}

#[test]
fn a_site_that_lost_its_disk_is_rebuilt_and_believed_again() {
    let mut mesh = Mesh::new();
    mesh.publish(None, 3);
    mesh.run(5);
    assert_eq!(mesh.holders_at(0), everybody());
    let before = std::mem::take(&mut mesh.nodes[4].store);
    mesh.nodes[4].machines.repair = crate::repair::Repair::new(mesh.pace.repair);
    mesh.run(1);
    let others: BTreeSet<String> = everybody().into_iter().filter(|name| name != "bern").collect();
    assert_eq!(mesh.holders_at(0), others, "what bern said it lacks does not count any more, at once");
    assert_eq!(mesh.ledger_at(0).stripes.short, 3);
    mesh.run(120);
    assert_eq!(mesh.nodes[4].store, before, "bit for bit");
    assert_eq!((mesh.holders_at(0), mesh.holders_at(4)), (everybody(), everybody()));
    let totals = mesh.nodes[4].machines.repair.totals();
    let lost: usize = before.values().map(Vec::len).sum();
    assert_eq!((totals.mended_count, totals.failed_count), (3, 0));
    assert_eq!(totals.written_bytes, lost as u64, "exactly what was lost");
    assert_eq!(mesh.nodes[4].fetched_bytes, 4 * lost, "data_shards bytes for each byte lost");
}

#[test]
fn one_job_follows_the_other_without_waiting_for_the_next_second() {
    let mut mesh = Mesh::new();
    mesh.publish(None, 40);
    mesh.run(5);
    let before = std::mem::take(&mut mesh.nodes[4].store);
    mesh.pace.repair.patience_ms = 0;
    mesh.nodes[4].machines.repair = crate::repair::Repair::new(mesh.pace.repair);
    // 40 stripes of 170 kB are a tenth of what the budget allows in a second.
    mesh.run(5);
    assert_eq!(mesh.nodes[4].store, before);
}

#[test]
fn a_disk_that_comes_back_in_time_costs_nothing() {
    let mut mesh = Mesh::new();
    mesh.publish(None, 2);
    mesh.run(5);
    let store = std::mem::take(&mut mesh.nodes[2].store);
    mesh.nodes[2].machines.repair = crate::repair::Repair::new(mesh.pace.repair);
    mesh.run(30);
    assert!(!mesh.holders_at(0).contains("helsinki"), "nobody counts on it meanwhile");
    assert_eq!(mesh.nodes[2].fetched_bytes, 0, "six others are left: no hurry");
    mesh.nodes[2].store = store;
    mesh.nodes[2].machines.repair = crate::repair::Repair::new(mesh.pace.repair);
    mesh.run(10);
    assert_eq!((mesh.nodes[2].fetched_bytes, mesh.holders_at(0)), (0, everybody()));
}

#[test]
fn a_site_that_no_writer_asked_says_by_itself_what_it_holds() {
    let mut mesh = Mesh::new();
    // It looks through its store again and again meanwhile.
    let often = crate::repair::RepairOptions { sweep_interval_ms: 7_000, ..mesh.pace.repair };
    mesh.nodes[4].machines.repair = crate::repair::Repair::new(often);
    mesh.nodes[4].is_up = false;
    mesh.publish(None, 2);
    mesh.nodes[4].is_up = true;
    for shards in mesh.stripes.values() {
        mesh.nodes[4].store.insert(shard_codec::Digest::of(&shards[4]), shards[4].clone());
    }
    mesh.bring(0, 4);
    mesh.run(20);
    assert!(!mesh.holders_at(0).contains("bern"), "a writer may still come for the receipt");
    mesh.run(20);
    assert!(mesh.holders_at(0).contains("bern"));
    assert_eq!(mesh.nodes[4].fetched_bytes, 0, "nothing was lacking");
    let said = mesh.nodes[0].machines.evidence.inventory(&database(), &mesh.keys(4).name).unwrap().document();
    assert!(said.missing_shares.contains(1), "of the key it never got a share");
}

#[test]
fn a_stripe_in_danger_is_not_waited_for() {
    let mut mesh = Mesh::new();
    mesh.publish(None, 1);
    mesh.run(5);
    let lose = |mesh: &mut Mesh, index: usize| {
        mesh.nodes[index].store.clear();
        mesh.nodes[index].machines.repair = crate::repair::Repair::new(mesh.pace.repair);
    };
    lose(&mut mesh, 1);
    mesh.run(10);
    assert!(mesh.nodes[1].store.is_empty(), "six others hold theirs: the disk may come back");
    // Of six only five are left: one more may be lost, and then none.
    lose(&mut mesh, 2);
    mesh.run(4);
    assert_eq!((mesh.nodes[1].store.len(), mesh.nodes[2].store.len()), (1, 1));
}

#[test]
fn nobody_is_helped_without_having_said_what_it_lacks() {
    let mut mesh = Mesh::new();
    let snapshot = mesh.publish(None, 1);
    let stripe = &snapshot.manifest.document().stripes_added[0];
    let read = |index: u8| Request::Columns {
        database: database(),
        stripe_number: stripe.number,
        shard_index: index,
        root: stripe.root(shard_codec::ShardIndex::new(index)).unwrap(),
        columns: None,
    };
    let refused = |response: Option<Response>| match response {
        Some(Response::Refused(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(mesh.ask(1, 3, &read(3))), RefusalCode::NotAllowed);
    assert_eq!(refused(mesh.ask(1, 3, &read(2))), RefusalCode::NotAllowed, "another site's shard");
    mesh.nodes[1].store.clear();
    mesh.run(2);
    assert!(matches!(mesh.ask(1, 3, &read(3)), Some(Response::Body { .. })));
    let unknown = Request::Columns {
        database: database(),
        stripe_number: 9,
        shard_index: 3,
        root: shard_codec::Digest::of(b"x"),
        columns: None,
    };
    assert_eq!(refused(mesh.ask(1, 3, &unknown)), RefusalCode::NotFound);
}

#[test]
fn a_helper_that_lies_is_named_and_left_out() {
    let mut mesh = Mesh::new();
    mesh.publish(None, 3);
    mesh.run(5);
    // At once, before an audit finds the liar.
    let eager = crate::repair::RepairOptions { patience_ms: 0, ..mesh.pace.repair };
    mesh.nodes[0].lie = Some(Lie::WrongBytes);
    mesh.nodes[6].store.clear();
    mesh.nodes[6].machines.repair = crate::repair::Repair::new(eager);
    mesh.run(5);
    let lied = |event: &&Event| matches!(event, Event::HelperLied { site, .. } if site.as_str() == "tallinn");
    assert_eq!(mesh.nodes[6].store.len(), 3);
    let named = mesh.nodes[6].events.iter().filter(lied).count();
    assert!((1..=3).contains(&named), "named when it was met: {named}");
    mesh.nodes[6].store.clear();
    mesh.nodes[6].machines.repair.look_again();
    mesh.run(5);
    assert_eq!((mesh.nodes[6].store.len(), mesh.nodes[6].events.iter().filter(lied).count()), (3, named), "left out");
}

#[test]
fn a_late_site_catches_up_and_counts() {
    let mut mesh = Mesh::new();
    mesh.nodes[3].is_up = false;
    let first = mesh.publish(None, 2);
    let second = mesh.publish(Some(&first), 2);
    let _third = mesh.publish(Some(&second), 1);
    mesh.nodes[3].is_up = true;
    mesh.bring(0, 3);
    mesh.run(150);
    assert_eq!(mesh.nodes[3].store.len(), 5);
    let ledger = mesh.ledger_at(0);
    assert_eq!((ledger.stripes.kept, ledger.stripes.short), (5, 0));
    let head = ledger.head.unwrap();
    assert_eq!((head.shard_sites.len(), head.share_sites.len()), (7, 7), "its shares, too");
    let said = mesh.nodes[0].machines.evidence.inventory(&database(), &mesh.keys(3).name).unwrap().document();
    assert_eq!((said.sequence, said.missing_stripes.count(), said.missing_shares.count()), (3, 0, 0));
}

#[test]
fn a_clock_that_is_set_holds_nothing_up() {
    let mut mesh = Mesh::new();
    mesh.publish(None, 2);
    mesh.run(5);
    let true_now = mesh.now;
    mesh.now = mesh.now.plus_ms(3_600_000); // wrong by an hour for a moment, when the loss is found
    mesh.nodes[4].store.clear();
    mesh.nodes[4].machines.repair.look_again();
    mesh.run(2);
    mesh.now = true_now;
    mesh.run(90);
    assert_eq!((mesh.nodes[4].store.len(), mesh.holders_at(0)), (2, everybody()));
}

#[test]
fn a_restart_changes_nothing() {
    let mut mesh = Mesh::new();
    mesh.publish(None, 2);
    mesh.run(2);
    mesh.nodes[4].store.clear();
    mesh.nodes[4].machines.repair = crate::repair::Repair::new(mesh.pace.repair);
    mesh.run(2);
    let before = mesh.ledger_at(0);
    mesh.restart(0);
    mesh.restart(4);
    assert_eq!(mesh.ledger_at(0), before);
    mesh.run(150);
    assert_eq!((mesh.nodes[4].store.len(), mesh.holders_at(0)), (2, everybody()));
    // Nothing is said again and again when nothing changes.
    let said =
        |mesh: &Mesh| mesh.nodes[4].events.iter().filter(|event| matches!(event, Event::Declared { .. })).count();
    let count = said(&mesh);
    mesh.run(1_300);
    assert_eq!(said(&mesh), count);
    assert!(RecordKind::REPLAY_ORDER.contains(&RecordKind::Inventory));
}
