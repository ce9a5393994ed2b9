//! Losses that a site hides.

use super::mesh::{Lie, Mesh};
use crate::document::{AuditAnswer, Challenge};
use crate::fixture::{SITES, database, name};
use crate::host::Input;
use crate::machine::{Announcement, Event, Output};
use crate::signature::{Keypair, Signed};

const HOUR: u64 = 3_600;

fn tally(mesh: &Mesh, auditor: usize, site: &str) -> (u64, u64, u64) {
    let found = mesh.nodes[auditor].machines.audit.tallies().find(|tally| tally.site == name(site)).unwrap();
    (found.valid_count, found.skip_count, found.fault_count)
}

#[test]
fn honest_sites_are_proven_again_and_again() {
    let mut mesh = Mesh::new();
    mesh.publish(None, 2);
    mesh.run(HOUR);
    for (site, _) in &SITES[1..] {
        let (valid, skip, fault) = tally(&mesh, 0, site);
        assert!((40..=80).contains(&valid), "about one a minute: {valid}");
        assert_eq!((skip, fault), (0, 0));
    }
    mesh.run(6 * HOUR);
    let reports = mesh.nodes[2].machines.evidence.reports().count();
    assert_eq!(reports, SITES.len(), "every auditor has spread a report");
}

#[test]
fn a_liar_is_found_by_its_own_signature_and_everybody_agrees() {
    let mut mesh = Mesh::new();
    mesh.publish(None, 1);
    mesh.run(2);
    (mesh.nodes[3].lie, mesh.nodes[3].store) = (Some(Lie::WrongBytes), std::collections::BTreeMap::new());
    mesh.run(HOUR / 4);
    for index in [0, 1, 2, 4, 5, 6] {
        assert!(!mesh.holders_at(index).contains("reykjavik"), "at {index}");
        assert!(mesh.nodes[index].events.iter().any(|event| matches!(event, Event::LossProven { .. })));
    }
    assert!(mesh.nodes[0].machines.evidence.open_faults(&database()).count() >= 1);
    // It mends itself, tells the truth, and is believed again by each site that has seen a proof; it
    // knows of itself what it holds.
    let shard = mesh.stripes[&1][3].clone();
    mesh.nodes[3].store.insert(shard_codec::Digest::of(&shard), shard);
    mesh.nodes[3].lie = None;
    mesh.run(HOUR / 4);
    for index in 0..SITES.len() {
        assert!(mesh.holders_at(index).contains("reykjavik"), "at {index}");
    }
}

/// Whoever audits a site while it mends itself must get nothing in hand that speaks against it later.
#[test]
fn a_site_that_lost_its_disk_is_not_convicted_by_its_honesty() {
    let mut mesh = Mesh::new();
    mesh.publish(None, 1);
    mesh.run(2);
    let lost = std::mem::take(&mut mesh.nodes[3].store);
    for index in [0, 1, 4] {
        mesh.nodes[index].is_up = false; // too few are left to mend it from
    }
    mesh.run(HOUR / 4);
    let (_, skip, fault) = tally(&mesh, 2, "reykjavik");
    assert!(skip >= 1 && fault == 0, "asked and refused, and not asked for it any more: {skip} {fault}");
    for index in [2, 5, 6] {
        assert!(!mesh.holders_at(index).contains("reykjavik"), "its inventory names what it lacks, at {index}");
    }
    mesh.nodes[3].store = lost;
    for index in [0, 1, 4] {
        mesh.nodes[index].is_up = true;
    }
    mesh.run(HOUR / 4);
    for index in 0..SITES.len() {
        assert!(mesh.holders_at(index).contains("reykjavik"), "at {index}");
        assert_eq!(mesh.nodes[index].machines.evidence.faults().count(), 0, "at {index}");
    }
}

#[test]
fn silence_proves_nothing_and_is_counted() {
    let mut mesh = Mesh::new();
    mesh.publish(None, 1);
    mesh.nodes[3].lie = Some(Lie::Silence);
    mesh.run(HOUR / 2);
    let (valid, skip, fault) = tally(&mesh, 0, "reykjavik");
    assert!(skip >= 10, "{skip}");
    assert_eq!((valid, fault), (0, 0));
    assert!(mesh.holders_at(0).contains("reykjavik"), "no one is condemned for it");
}

fn answered(mesh: &Mesh, change: impl FnOnce(&mut AuditAnswer), keys: &Keypair) -> Announcement {
    let shard = &mesh.stripes[&1][3];
    let challenge = Challenge {
        database: database(),
        stripe_number: 1,
        shard_index: 3,
        root: shard_codec::Digest::of(shard),
        leaf: 1,
        nonce: [1; 32],
    };
    let (state, at) = (mesh.state.chain.state(), mesh.now);
    let mut answer = AuditAnswer { state, site: name("reykjavik"), challenge, proof: vec![0].into(), at };
    change(&mut answer);
    Announcement::Fault(Signed::sign_new(answer, keys).unwrap().encode().into())
}

#[test]
fn what_proves_nothing_is_refused() {
    let mut mesh = Mesh::new();
    mesh.publish(None, 1);
    let shard = mesh.stripes[&1][3].clone();
    let sound = shard_codec::shard_tree::prove_range(&shard, 16_384..32_768).unwrap();
    let (guilty, other) = (&mesh.state.sites[3].identity, &mesh.state.sites[2].identity);
    let attacks = [
        ("signed by another site", answered(&mesh, |_| {}, other)),
        ("another state", answered(&mesh, |answer| answer.state = shard_codec::Digest::of(b"x"), guilty)),
        ("a shard that lies elsewhere", answered(&mesh, |answer| answer.challenge.shard_index = 2, guilty)),
        ("a shard that is not known", answered(&mesh, |answer| answer.challenge.stripe_number = 7, guilty)),
        ("a leaf behind the end", answered(&mesh, |answer| answer.challenge.leaf = 1 << 40, guilty)),
        ("a proof that holds", answered(&mesh, |answer| answer.proof = sound.into(), guilty)),
        ("no site", answered(&mesh, |answer| answer.site = name("atlantis"), guilty)),
    ];
    for (attack, announcement) in attacks {
        mesh.give(0, Input::announced(None, announcement));
        assert_eq!(mesh.nodes[0].machines.evidence.faults().count(), 0, "{attack}");
    }
    let evidence = answered(&mesh, |_| {}, &mesh.state.sites[3].identity);
    mesh.give(0, Input::announced(None, evidence));
    assert_eq!(mesh.nodes[0].machines.evidence.faults().count(), 1);
    assert!(!mesh.holders_at(0).contains("reykjavik"));
}

#[test]
fn an_old_answer_is_no_answer() {
    let mut mesh = Mesh::new();
    mesh.publish(None, 1);
    mesh.run(200);
    let (valid, _, _) = tally(&mesh, 0, "reykjavik");
    assert!(valid > 0);
    // The site replays a sound answer of its own to every later challenge.
    let challenge = Challenge {
        database: database(),
        stripe_number: 1,
        shard_index: 3,
        root: shard_codec::Digest::of(&mesh.stripes[&1][3]),
        leaf: 0,
        nonce: [9; 32],
    };
    let proof = shard_codec::shard_tree::prove_range(&mesh.stripes[&1][3], 0..16_384).unwrap();
    let catalog = &mesh.nodes[3].machines.catalog;
    let old = crate::audit::answer::sign(mesh.now, challenge, proof, catalog, mesh.keys(3)).unwrap().encode();
    let ticket = loop {
        mesh.now = mesh.now.plus_ms(1_000);
        let keys = &mesh.state.sites[0];
        let outputs = mesh.nodes[0].machines.handle(mesh.now, Input::Tick, keys, &mut crate::fixture::rng(3));
        let asked = outputs.iter().find_map(|output| {
            if let Output::Ask { ticket, site, .. } = output { Some((*ticket, site.as_str())) } else { None }
        });
        let asked = asked.filter(|(_ticket, site)| *site == "reykjavik").map(|(ticket, _site)| ticket);
        if let Some(ticket) = asked {
            break ticket;
        }
    };
    mesh.give(0, Input::Answered { ticket, response: Some(crate::wire::Response::Audited(old.into())) });
    let (still_valid, skip, _) = tally(&mesh, 0, "reykjavik");
    assert_eq!((still_valid, skip), (valid, 1));
}
