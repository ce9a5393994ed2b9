//! Shares that go to other custodians, or to the same ones anew; the attacks first.

use std::collections::BTreeSet;

use shard_codec::secret_sharing::{Share, reconstruct, verify_share};

use super::mesh::{Lie, Mesh};
use crate::catalog::publish::open_share;
use crate::document::{Ballot, Charter, DEALT_EPOCH, Epoch, Instance, Proposal, ReshareScope, Said, Vote, block_of};
use crate::fixture::{SITES, Snapshot, database, name};
use crate::host::Input;
use crate::machine::{Announcement, RecordKind};
use crate::signature::Signed;
use crate::wire::resharing::{Answer, Question};
use crate::wire::{RefusalCode, Response};

pub(super) const MINUTE: u64 = 60;

pub(super) fn publish(mesh: &mut Mesh, count: u64) -> Vec<Snapshot> {
    let mut snapshots: Vec<Snapshot> = Vec::new();
    for _ in 0..count {
        let next = mesh.publish(snapshots.last(), 1);
        snapshots.push(next);
    }
    snapshots
}

/// Four of six instead of three of seven, in another order: tallinn leaves.
pub(super) fn other_custodians(charter: &mut Charter) {
    let entry = &mut charter.databases[0];
    (entry.threshold, entry.custodians) = (4, SITES[1..].iter().rev().map(|(site, _)| name(site)).collect());
}

pub(super) fn amend(mesh: &mut Mesh, change: impl FnOnce(&mut Charter)) {
    let charter = mesh.state.amend(change);
    mesh.give(0, Input::announced(None, Announcement::Charter(charter.encode().into())));
}

/// The share of a snapshot as it lies at a site.
pub(super) fn share_at(mesh: &Mesh, index: usize, sequence: u64) -> Option<Share> {
    let history = mesh.nodes[index].machines.catalog.history(&database())?;
    let manifest = history.manifest(sequence)?.document();
    let (sealed, keys) = (history.share(sequence)?, mesh.keys(index));
    let custody = history.custody_of(manifest);
    let share = open_share(manifest, custody.epoch, &keys.name, sealed, keys).unwrap();
    let expected = custody.index_at(&keys.name, history.succession()).unwrap();
    let commitments = custody.commitments().unwrap();
    verify_share(&share, expected, usize::from(custody.threshold), &commitments).unwrap();
    Some(share)
}

pub(super) fn epoch_at(mesh: &Mesh, index: usize, sequence: u64) -> u64 {
    let history = mesh.nodes[index].machines.catalog.history(&database()).unwrap();
    history.custody_of(history.manifest(sequence).unwrap().document()).epoch
}

/// Whether the secret that these sites' shares give is the one that home dealt.
pub(super) fn reconstructs(mesh: &Mesh, indices: impl IntoIterator<Item = usize>, sequence: u64) -> bool {
    let indices: Vec<usize> = indices.into_iter().collect();
    let history = mesh.nodes[indices[0]].machines.catalog.history(&database()).unwrap();
    let custody = history.custody_of(history.manifest(sequence).unwrap().document());
    let shares: Vec<Share> = indices.iter().filter_map(|index| share_at(mesh, *index, sequence)).collect();
    let commitments = custody.commitments().unwrap();
    assert_eq!(commitments.to_bytes()[0], history.manifest(sequence).unwrap().document().custody.commitments[..32]);
    reconstruct(usize::from(custody.threshold), &shares, &commitments).is_ok()
}

fn certificates_at(mesh: &Mesh, index: usize) -> Vec<Vec<u8>> {
    let history = mesh.nodes[index].machines.catalog.history(&database()).unwrap();
    history.epochs().certificates_from(0, 0).map(<[u8]>::to_vec).collect()
}

/// Every site has the same epochs, and every custodian its shares.
pub(super) fn assert_settled(mesh: &Mesh, sequences: std::ops::RangeInclusive<u64>) {
    for sequence in sequences {
        for index in (1..SITES.len()).filter(|index| mesh.nodes[*index].is_up) {
            assert!(epoch_at(mesh, index, sequence) > DEALT_EPOCH, "snapshot {sequence} at {index}");
            assert!(share_at(mesh, index, sequence).is_some(), "snapshot {sequence} at {index}");
        }
        assert!(share_at(mesh, 0, sequence).is_none(), "it is no custodian any more");
        assert!(reconstructs(mesh, 1..=4, sequence) && reconstructs(mesh, 3..=6, sequence));
    }
}

#[test]
fn other_custodians_get_shares_of_the_same_secrets_and_the_old_ones_are_gone() {
    let mut mesh = Mesh::new();
    let snapshots = publish(&mut mesh, 3);
    mesh.run(5);
    let old: Vec<Share> = (0..SITES.len()).filter_map(|index| share_at(&mesh, index, 2)).collect();
    amend(&mut mesh, other_custodians);
    mesh.run(2 * MINUTE);
    assert_settled(&mesh, 1..=3);
    // No disk holds a share that home dealt, and nothing of the agreement is left.
    let sealed: BTreeSet<&Vec<u8>> = snapshots.iter().flat_map(|snapshot| &snapshot.sealed_shares).collect();
    for index in 0..SITES.len() {
        assert!(!mesh.records(index).any(|record| sealed.contains(&record.value)), "at {index}");
        let agreements = mesh.records(index).filter(|record| record.kind == RecordKind::Agreement);
        assert!(agreements.into_iter().all(|record| record.value.is_empty()), "at {index}");
    }
    // Three old shares were enough for the key; beside three new ones, two old ones are worth nothing.
    let history = mesh.nodes[1].machines.catalog.history(&database()).unwrap();
    let commitments = history.custody_of(history.manifest(2).unwrap().document()).commitments().unwrap();
    let mut mixed: Vec<Share> = (1..=3).filter_map(|index| share_at(&mesh, index, 2)).collect();
    mixed.extend(old.into_iter().take(2));
    assert!(reconstruct(4, &mixed, &commitments).is_err());
    // All is counted on again, by everybody, and a restart finds it so.
    for index in 1..SITES.len() {
        let ledger = mesh.ledger_at(index);
        assert_eq!((ledger.durable_count, ledger.snapshot_count), (3, 3), "at {index}");
        assert_eq!(ledger.head.unwrap().share_sites.len(), 6);
        mesh.restart(index);
    }
    assert_settled(&mesh, 1..=3);
}

#[test]
fn the_same_custodians_get_other_shares_when_theirs_are_old() {
    let mut mesh = Mesh::new();
    publish(&mut mesh, 2);
    amend(&mut mesh, |charter| charter.databases[0].refresh_days = Some(1));
    mesh.run(10 * MINUTE);
    assert_eq!(epoch_at(&mesh, 3, 1), DEALT_EPOCH, "not before the day is over");
    let before = share_at(&mesh, 3, 1).unwrap().to_bytes().expose(|bytes| bytes.to_vec());
    mesh.now = mesh.now.plus_ms(86_400_000);
    mesh.run(2 * MINUTE);
    assert_eq!(epoch_at(&mesh, 3, 1), 2);
    let after = share_at(&mesh, 3, 1).unwrap().to_bytes().expose(|bytes| bytes.to_vec());
    assert_ne!(before[1..33], after[1..33]);
    assert!(reconstructs(&mesh, [0, 2, 6], 1));
    assert_eq!(certificates_at(&mesh, 0).len(), 1, "once");
    mesh.now = mesh.now.plus_ms(86_400_000);
    mesh.run(2 * MINUTE);
    assert_eq!((epoch_at(&mesh, 3, 1), certificates_at(&mesh, 0).len()), (3, 1), "the one before is left");
}

/// Whoever leads may die after each of its words; another one, or itself, brings it to its end, and never two of them.
#[test]
fn a_leader_that_dies_at_every_word() {
    for words in 0..40 {
        let mut mesh = Mesh::new();
        publish(&mut mesh, 1);
        amend(&mut mesh, other_custodians);
        mesh.crash_in = Some(words);
        mesh.run(2 * MINUTE);
        for index in 0..SITES.len() {
            if !mesh.nodes[index].is_up {
                mesh.nodes[index].is_up = true;
                mesh.restart(index);
                mesh.bring(1 + usize::from(index == 1), index);
            }
        }
        mesh.run(5 * MINUTE);
        assert_settled(&mesh, 1..=1);
        let all: BTreeSet<Vec<u8>> = (0..SITES.len()).flat_map(|index| proposals_at(&mesh, index)).collect();
        assert_eq!(all.len(), 1, "after {words} words");
    }
}

fn proposals_at(mesh: &Mesh, index: usize) -> Vec<Vec<u8>> {
    let certificates = certificates_at(mesh, index).into_iter();
    certificates.map(|bytes| Epoch::decode(&bytes).unwrap().proposal.into_vec()).collect()
}

/// Every record of every site at every moment: a restart of all of them finds shares of one epoch that are enough.
#[test]
fn a_crash_of_everybody_at_any_moment_leaves_one_epoch_whole() {
    for words in (0..60).step_by(3) {
        let mut mesh = Mesh::new();
        publish(&mut mesh, 1);
        amend(&mut mesh, other_custodians);
        mesh.crash_in = Some(words);
        for _second in 0..30 {
            mesh.run(1);
            if mesh.nodes.iter().any(|node| !node.is_up) {
                break;
            }
        }
        (0..SITES.len()).for_each(|index| mesh.restart(index));
        let of_epoch = |epoch| (0..SITES.len()).filter(|index| share_at_epoch(&mesh, *index, epoch)).count();
        assert!(of_epoch(1) >= 3 || of_epoch(2) >= 4, "after {words} words: {} {}", of_epoch(1), of_epoch(2));
    }
}

fn share_at_epoch(mesh: &Mesh, index: usize, epoch: u64) -> bool {
    epoch_at(mesh, index, 1) == epoch && share_at(mesh, index, 1).is_some()
}

#[test]
fn a_minority_does_not_go_on_alone() {
    let mut mesh = Mesh::new();
    publish(&mut mesh, 2);
    (4..SITES.len()).for_each(|index| mesh.nodes[index].is_up = false);
    amend(&mut mesh, |charter| charter.databases[0].custodians.reverse());
    mesh.run(10 * MINUTE);
    for index in 0..4 {
        assert_eq!(epoch_at(&mesh, index, 1), DEALT_EPOCH);
        assert!(share_at(&mesh, index, 1).is_some(), "nothing is erased");
    }
    (4..SITES.len()).for_each(|index| mesh.nodes[index].is_up = true);
    let charter = mesh.state.chain.newest().encode();
    (4..SITES.len()).for_each(|index| {
        mesh.give(index, Input::announced(None, Announcement::Charter(charter.clone().into())));
    });
    mesh.run(5 * MINUTE);
    assert_eq!(epoch_at(&mesh, 6, 2), 2);
    assert!(reconstructs(&mesh, [0, 5, 6], 2));
}

#[test]
fn a_dealer_that_hands_over_something_else_is_found_and_done_without() {
    let mut mesh = Mesh::new();
    publish(&mut mesh, 2);
    mesh.nodes[2].lie = Some(Lie::WrongParts);
    amend(&mut mesh, |charter| charter.databases[0].custodians.reverse());
    mesh.run(30 * MINUTE);
    for index in 0..SITES.len() {
        assert_eq!(epoch_at(&mesh, index, 1), 2, "at {index}");
        assert!(share_at(&mesh, index, 1).is_some(), "at {index}");
    }
    let certified = Epoch::decode(&certificates_at(&mesh, 0)[0]).unwrap();
    let dealers = certified.verify(&mesh.state.chain).unwrap().proposal.scope.dealers;
    assert!(!dealers.contains(&name(SITES[2].0)));
}

/// Who was away when the others agreed gets its shares of the new epoch from them, and not from who dealt.
#[test]
fn a_custodian_that_was_away_gets_its_new_shares_later() {
    let mut mesh = Mesh::new();
    publish(&mut mesh, 2);
    mesh.nodes[5].is_up = false;
    amend(&mut mesh, |charter| charter.databases[0].custodians.reverse());
    mesh.run(5 * MINUTE);
    assert_eq!(epoch_at(&mesh, 1, 2), 2);
    mesh.nodes[5].is_up = true;
    let charter = mesh.state.chain.newest().encode();
    mesh.give(5, Input::announced(None, Announcement::Charter(charter.into())));
    assert_eq!(epoch_at(&mesh, 5, 2), DEALT_EPOCH);
    mesh.bring(1, 5);
    assert!(share_at(&mesh, 5, 2).is_none(), "the old one is erased with the certificate");
    mesh.run(10 * MINUTE);
    assert!(reconstructs(&mesh, [5, 0, 6], 1) && reconstructs(&mesh, [5, 1, 2], 2));
    for sequence in 1..=2 {
        let holds = |index: &usize| share_at(&mesh, *index, sequence).is_some();
        assert_eq!((0..SITES.len()).filter(holds).count(), 7, "snapshot {sequence}");
    }
    assert_eq!(mesh.ledger_at(2).head.unwrap().share_sites.len(), 7);
}

/// The same certificate with every vote changed, and signed anew by its site.
fn resigned(mesh: &Mesh, good: &Epoch, change: &dyn Fn(&mut Vote)) -> Epoch {
    let again = good.votes.iter().map(|vote| {
        let mut vote = Signed::<Vote>::decode(vote).unwrap().document().clone();
        change(&mut vote);
        let keys = mesh.state.sites.iter().find(|keys| keys.name == vote.site).unwrap();
        Signed::sign_new(vote, &keys.identity).unwrap().encode().into()
    });
    Epoch { proposal: good.proposal.clone(), votes: again.collect() }
}

/// A certificate, and what an enemy could make of it.
#[test]
fn what_certifies_nothing_is_refused() {
    let mut mesh = Mesh::new();
    publish(&mut mesh, 2);
    let mut behind = Mesh::new();
    publish(&mut behind, 2);
    for mesh in [&mut mesh, &mut behind] {
        amend(mesh, other_custodians);
    }
    mesh.run(2 * MINUTE);
    let good = Epoch::decode(&certificates_at(&mesh, 1)[0]).unwrap();
    let votes: Vec<Signed<Vote>> = good.votes.iter().map(|vote| Signed::decode(vote).unwrap()).collect();
    let resigned = |change: &dyn Fn(&mut Vote)| resigned(&mesh, &good, change);
    let without = |count: usize| Epoch { proposal: good.proposal.clone(), votes: good.votes[count..].to_vec() };
    let twice = || {
        let mut votes = good.votes.clone();
        votes[0] = votes[1].clone();
        Epoch { proposal: good.proposal.clone(), votes }
    };
    let other_secret = || {
        let mut proposal = Proposal::decode(&good.proposal).unwrap();
        let bytes_each = 4 * 32;
        let (first, second) = proposal.commitments.split_at_mut(bytes_each);
        first.swap_with_slice(second);
        // Threshold sites and more would have to sign that: then it would still be refused.
        let digest = shard_codec::Digest::of(&proposal.encode());
        let signed = resigned(&|vote| {
            if let Said::Confirmed { proposal, .. } = &mut vote.said {
                *proposal = digest;
            }
        });
        Epoch { proposal: proposal.encode().into(), ..signed }
    };
    let signed_by_others = || {
        let again = votes.iter().map(|vote| {
            Signed::sign_new(vote.document().clone(), &mesh.state.sites[0].identity).unwrap().encode().into()
        });
        Epoch { proposal: good.proposal.clone(), votes: again.collect() }
    };
    let attacks = [
        ("a vote short", without(good.votes.len() - 4)),
        ("no votes", without(good.votes.len())),
        ("one site twice", twice()),
        ("signed by another", signed_by_others()),
        ("another secret", other_secret()),
        (
            "acceptances",
            resigned(&|vote| {
                if let Said::Confirmed { proposal, holds } = vote.said {
                    vote.said = Said::Accepted { proposal, holds };
                }
            }),
        ),
        (
            "held by nobody",
            resigned(&|vote| {
                if let Said::Confirmed { holds, .. } = &mut vote.said {
                    *holds = false;
                }
            }),
        ),
        ("another epoch", resigned(&|vote| vote.instance.epoch += 1)),
    ];
    let genuine = behind.state.chain.state() == mesh.state.chain.state();
    assert!(genuine, "the two meshes are of one state");
    for (attack, epoch) in attacks {
        behind.give(3, Input::announced(None, Announcement::Epoch(epoch.encode().into())));
        assert_eq!(epoch_at(&behind, 3, 1), DEALT_EPOCH, "{attack}");
        assert!(share_at(&behind, 3, 1).is_some(), "{attack}: nothing is erased");
    }
}

/// Asks a site for a step as another one.
pub(super) fn ask(mesh: &mut Mesh, asker: usize, target: usize, question: Question) -> Result<Answer, RefusalCode> {
    match mesh.reshare(asker, target, question) {
        Some(Response::Reshared(answer)) => Ok(answer),
        Some(Response::Refused(refusal)) => Err(refusal.code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dealer_deals_to_nobody_but_the_custodians_of_its_newest_charter() {
    let mut mesh = Mesh::new();
    publish(&mut mesh, 2);
    let scope = |mesh: &Mesh| {
        let history = mesh.nodes[1].machines.catalog.history(&database()).unwrap();
        let entry = mesh.state.charter().databases[0].clone();
        ReshareScope {
            state: mesh.state.chain.state(),
            database: database(),
            charter: mesh.state.chain.newest().digest(),
            block: block_of(1),
            epoch: 2,
            threshold: entry.threshold,
            custodians: entry.custodians,
            dealers: vec![name("helsinki"), name("luxembourg"), name("tallinn")],
            snapshots: (1..=2).map(|sequence| (sequence, history.sharing(sequence).unwrap())).collect(),
        }
    };
    let too_early = Question::Deal { scope: scope(&mesh) };
    assert_eq!(ask(&mut mesh, 2, 1, too_early).unwrap_err(), RefusalCode::Behind, "nothing is due");
    amend(&mut mesh, |charter| charter.databases[0].custodians.reverse());
    let good = scope(&mesh);
    type Change = fn(&mut ReshareScope);
    let attacks: [(&str, RefusalCode, Change); 9] = [
        ("to one site", RefusalCode::Charter, |scope| scope.custodians.truncate(3)),
        ("under a lower threshold", RefusalCode::Charter, |scope| scope.threshold = 1),
        ("another charter", RefusalCode::Charter, |scope| scope.charter = shard_codec::Digest::of(b"x")),
        ("another state", RefusalCode::Charter, |scope| scope.state = shard_codec::Digest::of(b"x")),
        ("an epoch too far", RefusalCode::Behind, |scope| scope.epoch = 3),
        ("another sharing", RefusalCode::Behind, |scope| scope.snapshots[0].1 = shard_codec::Digest::of(b"x")),
        ("fewer dealers", RefusalCode::NotAllowed, |scope| drop(scope.dealers.remove(0))),
        ("without this site", RefusalCode::NotAllowed, |scope| scope.dealers[1] = name("ottawa")),
        ("out of order", RefusalCode::Malformed, |scope| scope.dealers.reverse()),
    ];
    for (attack, code, change) in attacks {
        let mut scope = good.clone();
        change(&mut scope);
        assert_eq!(ask(&mut mesh, 2, 1, Question::Deal { scope }).unwrap_err(), code, "{attack}");
    }
    let Ok(Answer::Dealt(dealing)) = ask(&mut mesh, 2, 1, Question::Deal { scope: good }) else { panic!("no dealing") };
    let dealing = shard_codec::Digest::of(&dealing);
    let part = |mesh: &mut Mesh, asker| ask(mesh, asker, 1, Question::Part { dealing });
    let (one, other) = (part(&mut mesh, 3).unwrap(), part(&mut mesh, 4).unwrap());
    assert_ne!(one, other, "each gets its own");
    let unknown = Question::Part { dealing: shard_codec::Digest::of(b"x") };
    assert_eq!(ask(&mut mesh, 3, 1, unknown).unwrap_err(), RefusalCode::NotFound);
}

/// A custodian that begins a ballot every second, and brings none to its end.
#[test]
fn who_outbids_all_others_does_not_hold_them_up() {
    let mut mesh = Mesh::new();
    publish(&mut mesh, 1);
    amend(&mut mesh, other_custodians);
    for round in 1..=5 * MINUTE {
        mesh.run(1);
        for target in 1..SITES.len() - 1 {
            let instance = instance(&mesh);
            let ballot = Ballot { round: 10 * round, leader: name(SITES[6].0) };
            let _answer = mesh.reshare(6, target, Question::Promise { instance, ballot });
        }
        if epoch_at(&mesh, 1, 1) == 2 {
            break;
        }
    }
    mesh.run(MINUTE);
    assert_settled(&mesh, 1..=1);
}

pub(super) fn instance(mesh: &Mesh) -> Instance {
    let (state, charter) = (mesh.state.chain.state(), mesh.state.chain.newest().digest());
    Instance { state, database: database(), charter, block: 0, epoch: 2 }
}

#[test]
fn a_ballot_that_leaps_to_the_end_of_the_numbers_shuts_nobody_out() {
    let mut mesh = Mesh::new();
    publish(&mut mesh, 1);
    amend(&mut mesh, other_custodians);
    let instance = instance(&mesh);
    let ballot = |round, index: usize| Ballot { round, leader: name(SITES[index].0) };
    for target in 1..SITES.len() {
        let question = Question::Promise { instance: instance.clone(), ballot: ballot(u64::MAX, 6) };
        assert_eq!(ask(&mut mesh, 6, target, question).unwrap_err(), RefusalCode::NotAllowed, "at {target}");
        let question = Question::Promise { instance: instance.clone(), ballot: ballot(1, 5) };
        assert_eq!(ask(&mut mesh, 6, target, question).unwrap_err(), RefusalCode::NotAllowed, "not its ballot");
    }
    mesh.run(2 * MINUTE);
    assert_settled(&mesh, 1..=1);
}
