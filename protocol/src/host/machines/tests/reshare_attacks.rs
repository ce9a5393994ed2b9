//! A custodian that leads by hand, and does what an honest one never would.

use serde_bytes::ByteBuf;
use shard_codec::Digest;
use shard_codec::secret_sharing::combine_commitments;

use super::mesh::{Lie, Mesh};
use super::reshares::{MINUTE, amend, ask, assert_settled, epoch_at, instance, other_custodians, publish, share_at};
use crate::document::{Ballot, DEALT_EPOCH, Epoch, Instance, Proposal, ReshareScope, Said, ShareDealing, Vote};
use crate::fixture::{SITES, database, name};
use crate::host::Input;
use crate::machine::{Announcement, Event, RecordKind};
use crate::signature::Signed;
use crate::timestamp::Timestamp;
use crate::wire::RefusalCode;
use crate::wire::resharing::{Answer, Lock, Question};

/// The site that leads.
const LEADER: usize = 6;
/// Sites that deal, in the order of their names.
const DEALERS: [usize; 3] = [2, 1, 3];

/// One ballot, step by step.
struct Hand {
    instance: Instance,
    ballot: Ballot,
    dealings: Vec<ByteBuf>,
    proposal: Vec<u8>,
    promises: Vec<ByteBuf>,
}

impl Hand {
    /// Has three holders deal their shares of the first snapshot, and makes a proposal of it.
    fn deal(mesh: &mut Mesh, round: u64, at: Timestamp) -> Self {
        Self::deal_of(mesh, round, at, 1, 2)
    }

    fn deal_of(mesh: &mut Mesh, round: u64, at: Timestamp, sequence: u64, epoch: u64) -> Self {
        let instance = Instance { epoch, ..instance(mesh) };
        let entry = mesh.state.charter().databases[0].clone();
        let history = mesh.nodes[1].machines.catalog.history(&database()).unwrap();
        let scope = ReshareScope {
            state: instance.state,
            database: database(),
            charter: instance.charter,
            block: 0,
            epoch,
            threshold: entry.threshold,
            custodians: entry.custodians,
            dealers: DEALERS.iter().map(|index| name(SITES[*index].0)).collect(),
            snapshots: vec![(sequence, history.sharing(sequence).unwrap())],
        };
        let custody = history.manifest(sequence).unwrap().document().custody.clone();
        let mut dealings: Vec<ByteBuf> = Vec::new();
        for dealer in DEALERS {
            let Ok(Answer::Dealt(bytes)) = ask(mesh, LEADER, dealer, Question::Deal { scope: scope.clone() }) else {
                panic!("no dealing")
            };
            dealings.push(bytes);
        }
        let points = DEALERS.iter().zip(&dealings).map(|(dealer, bytes)| {
            let dealing = Signed::<ShareDealing>::decode(bytes).unwrap();
            let points = scope.read_commitments(&dealing.document().commitments).unwrap().remove(0);
            (custody.index_of(&name(SITES[*dealer].0)).unwrap(), points)
        });
        let new = combine_commitments(
            &custody.commitments().unwrap(),
            usize::from(scope.threshold),
            &points.collect::<Vec<_>>(),
        );
        let commitments = new.unwrap().to_bytes().concat().into();
        let digests = dealings.iter().map(|bytes| Digest::of(bytes)).collect();
        let proposal = Proposal { scope, dealings: digests, commitments, at }.encode();
        let ballot = Ballot { round, leader: name(SITES[LEADER].0) };
        Self { instance, ballot, dealings, proposal, promises: Vec::new() }
    }

    fn promise(&mut self, mesh: &mut Mesh, targets: &[usize]) {
        for target in targets {
            let (instance, ballot) = (self.instance.clone(), self.ballot.clone());
            match ask(mesh, LEADER, *target, Question::Promise { instance, ballot }) {
                Ok(Answer::Promised { vote, .. }) => self.promises.push(vote),
                other => panic!("{other:?} at {target}"),
            }
        }
    }

    fn accept(&self, mesh: &mut Mesh, target: usize, accepts: &[ByteBuf]) -> Result<Answer, RefusalCode> {
        let question = Question::Accept {
            instance: self.instance.clone(),
            ballot: self.ballot.clone(),
            proposal: self.proposal.clone().into(),
            promises: self.promises.clone(),
            accepts: accepts.to_vec(),
            dealings: if accepts.is_empty() { self.dealings.clone() } else { Vec::new() },
        };
        // The first answer is that the parts are on their way, and they come at once.
        match ask(mesh, LEADER, target, question.clone()) {
            Ok(Answer::Fetching) => ask(mesh, LEADER, target, question),
            other => other,
        }
    }

    fn accept_all(&self, mesh: &mut Mesh, targets: &[usize], accepts: &[ByteBuf]) -> Vec<ByteBuf> {
        let mut taken = Vec::new();
        for target in targets {
            match self.accept(mesh, *target, accepts) {
                Ok(Answer::Voted(vote)) => taken.push(vote),
                other => panic!("{other:?} at {target}"),
            }
        }
        taken
    }

    fn confirm(&self, mesh: &mut Mesh, target: usize, accepts: &[ByteBuf]) -> Result<Answer, RefusalCode> {
        let lock = Lock { proposal: self.proposal.clone().into(), accepts: accepts.to_vec() };
        let (instance, ballot) = (self.instance.clone(), self.ballot.clone());
        ask(mesh, LEADER, target, Question::Confirm { instance, ballot, lock })
    }

    /// All of it; the certificate, which nobody has seen.
    fn certify(&mut self, mesh: &mut Mesh, targets: &[usize]) -> (Vec<ByteBuf>, Vec<u8>) {
        self.promise(mesh, targets);
        let accepts = self.accept_all(mesh, targets, &[]);
        let votes = targets.iter().map(|target| match self.confirm(mesh, *target, &accepts) {
            Ok(Answer::Voted(vote)) => vote,
            other => panic!("{other:?} at {target}"),
        });
        let votes = votes.collect();
        let certificate = Epoch { proposal: self.proposal.clone().into(), votes }.encode();
        (accepts, certificate)
    }
}

fn started() -> Mesh {
    let mut mesh = Mesh::new();
    publish(&mut mesh, 1);
    amend(&mut mesh, other_custodians);
    mesh
}

fn round(mesh: &Mesh) -> u64 {
    mesh.now.unix_ms()
}

const ALL: [usize; 6] = [1, 2, 3, 4, 5, 6];

fn spread(mesh: &mut Mesh, certificate: &[u8]) {
    mesh.give(1, Input::announced(None, Announcement::Epoch(certificate.to_vec().into())));
}

/// It keeps the certificate to itself, has everybody replace what they hold ready, and publishes it then.
#[test]
fn a_second_proposal_in_one_ballot_takes_nothing_from_the_first() {
    let mut mesh = started();
    let (now, at) = (mesh.now, round(&mesh));
    let mut first = Hand::deal(&mut mesh, at, now);
    let (_accepts, certificate) = first.certify(&mut mesh, &ALL);
    let second = Hand { promises: first.promises.clone(), ..Hand::deal(&mut mesh, at, now.plus_ms(1)) };
    for target in ALL {
        let answer = second.accept(&mut mesh, target, &[]);
        assert!(matches!(answer, Ok(Answer::Outvoted(_))), "{answer:?} at {target}");
    }
    spread(&mut mesh, &certificate);
    assert_settled(&mesh, 1..=1);
}

/// Promises say nothing of what was confirmed in their own ballot or a later one.
#[test]
fn old_promises_release_nobody() {
    let mut mesh = started();
    let (now, at) = (mesh.now, round(&mesh));
    let mut before = Hand::deal(&mut mesh, at, now);
    before.promise(&mut mesh, &ALL);
    mesh.now = mesh.now.plus_ms(30_000);
    let mut hand = Hand::deal(&mut mesh, at + 1, now);
    let (_accepts, certificate) = hand.certify(&mut mesh, &ALL);
    for target in ALL {
        assert!(matches!(before.accept(&mut mesh, target, &[]), Ok(Answer::Outvoted(_))), "at {target}");
        let again = hand.accept(&mut mesh, target, &[]);
        assert!(matches!(again, Ok(Answer::Voted(_))), "{again:?} at {target}");
    }
    mesh.now = mesh.now.plus_ms(30_000);
    let mut third = Hand::deal(&mut mesh, at + 2, now.plus_ms(2));
    third.promise(&mut mesh, &ALL);
    let answer = third.accept(&mut mesh, 1, &[]).unwrap_err();
    assert_eq!(answer, RefusalCode::Malformed, "the promises still bind to the first");
    spread(&mut mesh, &certificate);
    assert_settled(&mesh, 1..=1);
}

/// Five of seven confirmed, two of whom lie; then one confirms the same again, in a later ballot, and names only that. Counted
/// ballot by ballot, too few would seem to have confirmed anything.
#[test]
fn who_confirms_again_does_not_hide_that_it_did_before() {
    let mut mesh = Mesh::new();
    publish(&mut mesh, 1);
    amend(&mut mesh, |charter| charter.databases[0].custodians.reverse());
    let (now, at) = (mesh.now, round(&mesh));
    let all = [0, 1, 2, 3, 4, 5, 6];
    let mut hand = Hand::deal(&mut mesh, at, now);
    hand.promise(&mut mesh, &all);
    let accepts = hand.accept_all(&mut mesh, &all, &[]);
    let confirmed = [1, 2, 3, 5, 6].map(|target| hand.confirm(&mut mesh, target, &accepts));
    let votes = confirmed.map(|answer| if let Ok(Answer::Voted(vote)) = answer { vote } else { panic!("{answer:?}") });
    let certificate = Epoch { proposal: hand.proposal.clone().into(), votes: votes.to_vec() }.encode();
    mesh.now = mesh.now.plus_ms(30_000);
    let mut again = Hand { promises: Vec::new(), ballot: Ballot { round: at + 1, ..hand.ballot.clone() }, ..hand };
    again.promise(&mut mesh, &all);
    let taken = again.accept_all(&mut mesh, &all, &accepts);
    assert!(matches!(again.confirm(&mut mesh, 1, &taken), Ok(Answer::Voted(_))));
    mesh.now = mesh.now.plus_ms(30_000);
    let mut free = Hand::deal(&mut mesh, at + 2, now.plus_ms(5));
    free.promise(&mut mesh, &[0, 1, 2, 3, 4]);
    for liar in [5, 6] {
        let (instance, ballot) = (free.instance.clone(), free.ballot.clone());
        let vote = Vote { instance, site: name(SITES[liar].0), ballot, said: Said::Promised { locked: None } };
        free.promises.push(Signed::sign_new(vote, &mesh.state.sites[liar].identity).unwrap().encode().into());
    }
    assert_eq!(free.accept(&mut mesh, 2, &[]).unwrap_err(), RefusalCode::Malformed, "bound to the first");
    spread(&mut mesh, &certificate);
    for index in all {
        assert_eq!((epoch_at(&mesh, index, 1), share_at(&mesh, index, 1).is_some()), (2, true), "at {index}");
    }
}

/// What too few hold cannot be certified: it must not be confirmed, or it would bind all that come after.
#[test]
fn what_too_few_hold_is_not_confirmed() {
    let mut mesh = started();
    let (now, at) = (mesh.now, round(&mesh));
    let mut hand = Hand::deal(&mut mesh, at, now);
    hand.promise(&mut mesh, &ALL);
    let proposal = Digest::of(&hand.proposal);
    let accepts: Vec<ByteBuf> = (ALL.iter())
        .map(|site| {
            let said = Said::Accepted { proposal, holds: *site < 4 };
            let (instance, ballot) = (hand.instance.clone(), hand.ballot.clone());
            let vote = Vote { instance, site: name(SITES[*site].0), ballot, said };
            Signed::sign_new(vote, &mesh.state.sites[*site].identity).unwrap().encode().into()
        })
        .collect();
    assert_eq!(hand.confirm(&mut mesh, 1, &accepts).unwrap_err(), RefusalCode::Share);
}

/// Who was a custodian once has keys still, and a copy of every manifest.
#[test]
fn custodians_of_the_past_certify_nothing() {
    let mut mesh = started();
    let (now, at) = (mesh.now, round(&mesh));
    let mut hand = Hand::deal(&mut mesh, at, now);
    let (_accepts, certificate) = hand.certify(&mut mesh, &ALL);
    spread(&mut mesh, &certificate);
    amend(&mut mesh, |charter| charter.databases[0].custodians.rotate_left(1));
    mesh.run(3 * MINUTE);
    assert_eq!(epoch_at(&mesh, 2, 1), 3);
    let before = share_at(&mesh, 2, 1).unwrap().to_bytes().expose(|bytes| bytes.to_vec());
    let mut forged = Proposal::decode(&hand.proposal).unwrap();
    forged.scope.epoch = 4;
    let proposal = forged.encode();
    let votes = ALL.iter().map(|site| {
        let said = Said::Confirmed { proposal: Digest::of(&proposal), holds: true };
        let instance = Instance { epoch: 4, ..hand.instance.clone() };
        let vote = Vote { instance, site: name(SITES[*site].0), ballot: hand.ballot.clone(), said };
        Signed::sign_new(vote, &mesh.state.sites[*site].identity).unwrap().encode().into()
    });
    let epoch = Epoch { votes: votes.collect(), proposal: proposal.into() };
    spread(&mut mesh, &epoch.encode());
    assert_eq!(epoch_at(&mesh, 1, 1), 3);
    let after = share_at(&mesh, 2, 1).unwrap().to_bytes().expose(|bytes| bytes.to_vec());
    assert_eq!(before, after);
}

/// The alarm that two epochs are certified is raised by votes, and not by whoever writes bytes.
#[test]
fn what_nobody_voted_for_raises_no_alarm() {
    let mut mesh = started();
    let (now, at) = (mesh.now, round(&mesh));
    let mut hand = Hand::deal(&mut mesh, at, now);
    let (_accepts, certificate) = hand.certify(&mut mesh, &ALL);
    spread(&mut mesh, &certificate);
    let genuine = Epoch::decode(&certificate).unwrap();
    let other = Proposal { at: now.plus_ms(1), ..genuine.proposal().unwrap() };
    spread(&mut mesh, &Epoch { proposal: other.encode().into(), votes: genuine.votes }.encode());
    let is_alarm = |event: &Event| matches!(event, Event::EpochForked { .. });
    assert!(!mesh.nodes.iter().any(|node| node.events.iter().any(is_alarm)));
    assert_settled(&mesh, 1..=1);
}

/// Two certificates of one block, under two charters, each of another snapshot: who was away hears of the later one first.
#[test]
fn certificates_come_in_any_order() {
    let mut mesh = Mesh::new();
    let first = publish(&mut mesh, 1).remove(0);
    mesh.publish(Some(&first), 1);
    mesh.nodes[0].is_up = false;
    let mut certificates = Vec::new();
    for (sequence, epoch) in [(1, 2), (2, 3)] {
        amend(&mut mesh, |charter| charter.databases[0].custodians.rotate_left(1));
        let charter = mesh.state.chain.newest().encode();
        (1..SITES.len()).for_each(|index| {
            mesh.give(index, Input::announced(None, Announcement::Charter(charter.clone().into())));
        });
        mesh.now = mesh.now.plus_ms(30_000);
        let (now, at) = (mesh.now, round(&mesh));
        let mut hand = Hand::deal_of(&mut mesh, at, now, sequence, epoch);
        let (_accepts, certificate) = hand.certify(&mut mesh, &ALL);
        spread(&mut mesh, &certificate);
        certificates.push(certificate);
    }
    mesh.nodes[0].is_up = true;
    for charter in mesh.state.chain.iter().map(Signed::encode).collect::<Vec<_>>() {
        mesh.give(0, Input::announced(None, Announcement::Charter(charter.into())));
    }
    for certificate in certificates.into_iter().rev() {
        mesh.give(0, Input::announced(None, Announcement::Epoch(certificate.into())));
    }
    assert_eq!((epoch_at(&mesh, 0, 1), epoch_at(&mesh, 0, 2)), (2, 3));
}

#[test]
fn one_site_that_outvotes_everybody_stops_nobody() {
    let mut mesh = started();
    // Under this charter all six must hold theirs; of seven, one may be missing.
    amend(&mut mesh, |charter| {
        let entry = &mut charter.databases[0];
        (entry.threshold, entry.custodians) = (3, SITES.iter().rev().map(|(site, _)| name(site)).collect());
    });
    // It would be the last to lead, in two minutes: the first one brings it to its end in spite of it.
    mesh.nodes[0].lie = Some(Lie::Outvotes);
    mesh.run(MINUTE);
    for index in 1..SITES.len() {
        assert_eq!(epoch_at(&mesh, index, 1), 2, "at {index}");
    }
}

#[test]
fn what_is_not_there_and_what_is_of_another_day_is_refused() {
    let mut mesh = started();
    let (now, at) = (mesh.now, round(&mesh));
    for block in [1, 700, u64::MAX] {
        let instance = Instance { block, ..instance(&mesh) };
        let ballot = Ballot { round: at, leader: name(SITES[LEADER].0) };
        let question = Question::Promise { instance, ballot };
        assert_eq!(ask(&mut mesh, LEADER, 1, question).unwrap_err(), RefusalCode::Behind, "block {block}");
    }
    assert!(!mesh.records(1).any(|record| record.kind == RecordKind::Agreement), "nothing is kept for it");
    // Never old again, or at once.
    for wrong in [Timestamp::from_unix_ms(0), now.plus_ms(3 * 86_400_000)] {
        mesh.now = mesh.now.plus_ms(30_000);
        let later = round(&mesh);
        let mut hand = Hand::deal(&mut mesh, later, wrong);
        hand.promise(&mut mesh, &ALL);
        assert_eq!(hand.accept(&mut mesh, 1, &[]).unwrap_err(), RefusalCode::NotAllowed, "{wrong}");
    }
    // A site that is no custodian has nobody deal.
    let scope = Proposal::decode(&Hand::deal(&mut mesh, at, now).proposal).unwrap().scope;
    assert_eq!(ask(&mut mesh, 0, 1, Question::Deal { scope }).unwrap_err(), RefusalCode::NotAllowed);
    assert_eq!(epoch_at(&mesh, 1, 1), DEALT_EPOCH);
}
