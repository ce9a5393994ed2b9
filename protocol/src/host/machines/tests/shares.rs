//! Shares that a site lost, made anew by the others.

use shard_codec::secret_sharing::verify_share;
use shard_codec::{Digest, ShareIndex};

use super::mesh::{Lie, Mesh};
use crate::catalog::publish::open_share;
use crate::document::charter::succession::tests::admit;
use crate::document::{MaskDealing, RecoveryScope, SiteState};
use crate::fixture::{SITES, Snapshot, database, name};
use crate::host::Input;
use crate::ledger::claims_share;
use crate::machine::{Announcement, Event};
use crate::share_recovery::help;
use crate::signature::Signed;
use crate::wire::{HandedMask, Refusal, RefusalCode, Request, Response};

/// Bern, which loses its shares.
const BERN: usize = 4;

/// The share of one snapshot as it lies at a site; nothing if none is there.
fn share_at(mesh: &Mesh, index: usize, sequence: u64) -> Option<Vec<u8>> {
    let history = mesh.nodes[index].machines.catalog.history(&database()).unwrap();
    let manifest = history.manifest(sequence).unwrap().document();
    let (sealed, keys) = (history.share(sequence)?, mesh.keys(index));
    let share = open_share(manifest, 1, &keys.name, sealed, keys).unwrap();
    Some(share.to_bytes().expose(|bytes| bytes.to_vec()))
}

/// Whether `index` believes that bern holds its share.
fn is_believed(mesh: &Mesh, index: usize, sequence: u64) -> bool {
    let machines = &mesh.nodes[index].machines;
    let history = machines.catalog.history(&database()).unwrap();
    claims_share(&name("bern"), &database(), history, sequence, &machines.evidence)
}

fn publish(mesh: &mut Mesh, count: u64) -> Vec<Snapshot> {
    let mut snapshots: Vec<Snapshot> = Vec::new();
    for _ in 0..count {
        let next = mesh.publish(snapshots.last(), 1);
        snapshots.push(next);
    }
    snapshots
}

fn liars(mesh: &Mesh) -> Vec<String> {
    let events = mesh.nodes[BERN].events.iter();
    let lied =
        |event: &Event| if let Event::CustodianLied { site, .. } = event { Some(site.to_string()) } else { None };
    events.filter_map(lied).collect()
}

#[test]
fn the_very_same_shares_come_back_without_home() {
    let mut mesh = Mesh::new();
    publish(&mut mesh, 5);
    mesh.run(5);
    let before: Vec<_> = (1..=5).map(|sequence| share_at(&mesh, BERN, sequence).unwrap()).collect();
    mesh.lose_shares(BERN);
    assert_eq!(share_at(&mesh, BERN, 3), None);
    mesh.run(10);
    assert!(!is_believed(&mesh, 0, 3), "bern has said that it lacks it");
    assert_eq!(share_at(&mesh, BERN, 3), None, "home has the time to bring it first");
    mesh.run(80);
    let after: Vec<_> = (1..=5).map(|sequence| share_at(&mesh, BERN, sequence).unwrap()).collect();
    assert!(after == before);
    assert!((1..=5).all(|sequence| is_believed(&mesh, 0, sequence)), "and says so");
    assert_eq!(mesh.nodes[BERN].machines.share_recovery.recovered_count(), 5);
    assert_eq!(liars(&mesh), [""; 0]);
    // They are on the disk.
    mesh.restart(BERN);
    assert!(share_at(&mesh, BERN, 5).unwrap() == before[4]);
}

#[test]
fn a_site_that_was_away_gets_the_share_that_home_never_brought() {
    let mut mesh = Mesh::new();
    mesh.nodes[BERN].is_up = false;
    let snapshot = publish(&mut mesh, 1).remove(0);
    mesh.nodes[BERN].is_up = true;
    mesh.bring(0, BERN);
    mesh.run(120);
    let manifest = snapshot.manifest.document();
    let history = mesh.nodes[BERN].machines.catalog.history(&database()).unwrap();
    let share = open_share(manifest, 1, &name("bern"), history.share(1).unwrap(), mesh.keys(BERN)).unwrap();
    let (index, threshold) = (ShareIndex::new(5).unwrap(), usize::from(manifest.custody.threshold));
    verify_share(&share, index, threshold, &manifest.custody.commitments().unwrap()).unwrap();
    assert!(is_believed(&mesh, 0, 1));
}

#[test]
fn helpers_that_lie_are_left_out_and_the_rest_is_enough() {
    for lie in [Lie::WrongBytes, Lie::WrongMasks] {
        let mut mesh = Mesh::new();
        publish(&mut mesh, 2);
        mesh.run(5);
        let before = share_at(&mesh, BERN, 2).unwrap();
        mesh.lose_shares(BERN);
        mesh.nodes[1].lie = Some(lie);
        mesh.run(300);
        assert!(share_at(&mesh, BERN, 2).unwrap() == before, "{lie:?}");
        // Whose word about a wrong mask is true nobody can tell: nobody is called a liar for it.
        let named = liars(&mesh);
        assert!(named.iter().all(|site| lie == Lie::WrongBytes && site == SITES[1].0), "{lie:?} {named:?}");
    }
}

#[test]
fn too_few_helpers_are_waited_for() {
    let mut mesh = Mesh::new();
    let threshold = usize::from(publish(&mut mesh, 1)[0].manifest.document().custody.threshold);
    mesh.run(5);
    mesh.lose_shares(BERN);
    for index in (0..SITES.len()).filter(|index| *index != BERN).skip(threshold - 1) {
        mesh.nodes[index].is_up = false;
    }
    mesh.run(200);
    assert_eq!(share_at(&mesh, BERN, 1), None);
    let failed = |event: &Event| matches!(event, Event::ShareRecoveryFailed { .. });
    let told = mesh.nodes[BERN].events.iter().filter(|event| failed(event)).count();
    assert!((1..20).contains(&told), "{told}");
    mesh.nodes.iter_mut().for_each(|node| node.is_up = true);
    mesh.run(700);
    assert!(share_at(&mesh, BERN, 1).is_some());
}

#[test]
fn helpers_that_are_down_cost_only_themselves() {
    let mut mesh = Mesh::new();
    publish(&mut mesh, 1);
    mesh.run(5);
    mesh.lose_shares(BERN);
    // Three others are up, as many as are needed: none of them may be left out for what the rest did not do.
    for index in [0, 2, 3] {
        mesh.nodes[index].is_up = false;
    }
    mesh.run(200);
    assert!(share_at(&mesh, BERN, 1).is_some());
}

/// A mesh whose bern has lost its share of snapshot 1, what it would ask for, and the helpers.
fn recovery() -> (Mesh, RecoveryScope, Vec<usize>) {
    let mut mesh = Mesh::new();
    let snapshot = publish(&mut mesh, 2).remove(0);
    mesh.run(5);
    mesh.lose_shares(BERN);
    let threshold = usize::from(snapshot.manifest.document().custody.threshold);
    let mut helpers: Vec<usize> = (0..SITES.len()).filter(|index| *index != BERN).take(threshold).collect();
    helpers.sort_by_key(|index| SITES[*index].0);
    let (state, snapshots) = (mesh.state.chain.state(), vec![(1, snapshot.manifest.digest())]);
    let names = helpers.iter().map(|index| name(SITES[*index].0)).collect();
    let scope = RecoveryScope { state, database: database(), site: name("bern"), helpers: names, snapshots };
    (mesh, scope, helpers)
}

fn deal(mesh: &mut Mesh, helper: usize, scope: &RecoveryScope) -> Result<Response, Refusal> {
    mesh.help_with_shares(BERN, helper, &Request::DealMasks { scope: scope.clone() })
}

/// What all helpers dealt to the first of them.
fn handed(mesh: &mut Mesh, helpers: &[usize], scope: &RecoveryScope) -> Vec<HandedMask> {
    let mut masks = Vec::new();
    for helper in helpers {
        let Ok(Response::Masks { dealing, parts }) = deal(mesh, *helper, scope) else { panic!("no masks") };
        masks.push(HandedMask { dealing, part: parts[0].clone() });
    }
    masks
}

fn refused(result: Result<Response, Refusal>) -> RefusalCode {
    result.expect_err("it helped").code
}

#[test]
fn nobody_gets_help_for_anything_but_its_own_lost_shares() {
    let (mut mesh, scope, helpers) = recovery();
    let first = helpers[0];
    assert!(deal(&mut mesh, first, &scope).is_ok());
    let mut ask = |asker: usize, change: &dyn Fn(&mut RecoveryScope)| {
        let mut scope = scope.clone();
        change(&mut scope);
        refused(mesh.help_with_shares(asker, first, &Request::DealMasks { scope }))
    };
    let other = (0..SITES.len()).find(|index| *index != BERN && !helpers.contains(index)).unwrap();
    // For another site.
    assert_eq!(ask(other, &|_| {}), RefusalCode::NotAllowed);
    // By fewer sites than the threshold, one twice, itself, one more, or none of the custody.
    assert_eq!(ask(BERN, &|scope| drop(scope.helpers.pop())), RefusalCode::NotAllowed);
    assert_eq!(ask(BERN, &|scope| scope.helpers[1] = scope.helpers[0].clone()), RefusalCode::Malformed);
    assert_eq!(ask(BERN, &|scope| scope.helpers.insert(0, name("bern"))), RefusalCode::Malformed);
    assert_eq!(ask(BERN, &|scope| scope.helpers.push(name("zz-nobody"))), RefusalCode::NotAllowed);
    let last = scope.helpers.len() - 1;
    assert_eq!(ask(BERN, &|scope| scope.helpers[last] = name("zz-nobody")), RefusalCode::NotAllowed);
    assert_eq!(ask(BERN, &|scope| scope.helpers.truncate(1)), RefusalCode::Malformed);
    // Of another snapshot than the one known here, of none, of one twice, of too many.
    assert_eq!(ask(BERN, &|scope| scope.snapshots[0].1 = Digest::of(b"another")), RefusalCode::NotFound);
    assert_eq!(ask(BERN, &|scope| scope.snapshots[0].0 = 9), RefusalCode::NotFound);
    assert_eq!(ask(BERN, &|scope| scope.snapshots.clear()), RefusalCode::Malformed);
    assert_eq!(ask(BERN, &|scope| scope.snapshots.push(scope.snapshots[0])), RefusalCode::Malformed);
    let many = |scope: &mut RecoveryScope| {
        let digest = scope.snapshots[0].1;
        scope.snapshots = (1..=513).map(|sequence| (sequence, digest)).collect();
    };
    assert_eq!(ask(BERN, &many), RefusalCode::Malformed);
    // Of another state.
    assert_eq!(ask(BERN, &|scope| scope.state = Digest::of(b"another")), RefusalCode::NotAllowed);
}

/// The attack: while one site hands its places over to another, both are named as helpers. They have one share between them,
/// so the answers would be those of one site less than the threshold.
#[test]
fn a_site_that_leaves_and_its_heir_do_not_help_as_two() {
    let (mut mesh, scope, helpers) = recovery();
    let (first, leaving) = (helpers[0], *helpers.last().unwrap());
    let leaving_name = SITES[leaving].0;
    let charter = mesh.state.amend(|charter| {
        admit(charter, leaving_name, "lisbon", 1);
        charter.sites[leaving].state = SiteState::Draining;
    });
    mesh.give(first, Input::announced(None, Announcement::Charter(charter.encode().into())));
    assert!(deal(&mut mesh, first, &scope).is_ok(), "who is leaving still helps");
    let with_both = |position: usize| {
        let mut scope = scope.clone();
        scope.helpers[position] = name("lisbon");
        scope.helpers.sort();
        scope
    };
    let others = (1..helpers.len() - 1).chain([helpers.len() - 1]);
    for position in others {
        let request = Request::DealMasks { scope: with_both(position) };
        assert_eq!(refused(mesh.help_with_shares(BERN, first, &request)), RefusalCode::NotAllowed);
    }
}

/// The attack: an heir asks for the share of the site that leaves, and names that site as a helper. At the lost index a helper
/// is dealt the sum of the masks of all the others: the two would learn more than the one share they have.
#[test]
fn a_site_that_leaves_does_not_help_its_heir() {
    let (mut mesh, scope, helpers) = recovery();
    let first = helpers[0];
    // Bern leaves, and lisbon takes over: the scope of what bern lost, in lisbon's name.
    let charter = mesh.state.amend(|charter| {
        admit(charter, "bern", "lisbon", 1);
        charter.sites[BERN].state = SiteState::Draining;
    });
    mesh.give(first, Input::announced(None, Announcement::Charter(charter.encode().into())));
    let mut ask = |helpers: Vec<crate::identifier::SiteName>| {
        let scope = RecoveryScope { site: name("lisbon"), helpers, ..scope.clone() };
        let machines = &mesh.nodes[first].machines;
        let (keys, rng) = (&mesh.state.sites[first], &mut mesh.rng);
        help::deal_masks(&name("lisbon"), scope, &machines.catalog, keys, rng)
    };
    assert!(ask(scope.helpers.clone()).is_ok(), "the others help it");
    let mut with_bern = scope.helpers.clone();
    *with_bern.last_mut().unwrap() = name("bern");
    with_bern.sort();
    assert_eq!(refused(ask(with_bern)), RefusalCode::NotAllowed);
}

#[test]
fn a_helper_answers_to_nothing_but_one_mask_of_every_helper() {
    let (mut mesh, scope, helpers) = recovery();
    let masks = handed(&mut mesh, &helpers, &scope);
    let first = helpers[0];
    let mut blind = |masks: Vec<HandedMask>| mesh.help_with_shares(BERN, first, &Request::BlindShares { masks });
    // Without the masks of others, or its own; one twice; in another order.
    assert_eq!(refused(blind(vec![])), RefusalCode::Malformed);
    assert_eq!(refused(blind(masks[..1].to_vec())), RefusalCode::Malformed);
    assert_eq!(refused(blind(masks[1..].to_vec())), RefusalCode::Malformed);
    assert_eq!(refused(blind([&masks[..], &masks[..1]].concat())), RefusalCode::Malformed);
    assert_eq!(refused(blind(masks.iter().rev().cloned().collect())), RefusalCode::Malformed);
    // With a part that was sealed for another dealing.
    let mut swapped = masks.clone();
    swapped[0].part = masks[1].part.clone();
    assert_eq!(refused(blind(swapped)), RefusalCode::Malformed);
    // What the one that lost its share makes up in the name of a helper: it knows that mask, and would learn the share.
    let mut forged = masks.clone();
    let dealing = Signed::<MaskDealing>::decode(&masks[0].dealing).unwrap().document().clone();
    let own = Signed::sign_new(dealing, &mesh.keys(BERN).identity).unwrap();
    forged[0].dealing = own.encode().into();
    let mut blind = |masks: Vec<HandedMask>| mesh.help_with_shares(BERN, first, &Request::BlindShares { masks });
    assert_eq!(refused(blind(forged)), RefusalCode::Malformed);
    let Ok(Response::BlindedShares { sealed }) = blind(masks) else { panic!("no help") };
    // And what it gives is not its share.
    let answers = help::open_answer(&scope, &scope.helpers[0], mesh.keys(BERN), &sealed).unwrap();
    let history = mesh.nodes[first].machines.catalog.history(&database()).unwrap();
    let custody = &history.manifest(1).unwrap().document().custody;
    let commitments = custody.commitments().unwrap();
    assert!(verify_share(&answers[0], answers[0].index(), custody.threshold.into(), &commitments).is_err());
    assert!(share_at(&mesh, first, 1).unwrap()[..] != answers[0].to_bytes().expose(|bytes| bytes.to_vec())[..]);
    assert!(
        help::open_answer(&scope, &scope.helpers[0], mesh.keys(helpers[1]), &sealed).is_none(),
        "bern alone opens it"
    );
}

#[test]
fn masks_for_other_shares_or_of_another_recovery_are_not_mixed_in() {
    let (mut mesh, scope, helpers) = recovery();
    let masks = handed(&mut mesh, &helpers, &scope);
    let mut other = scope.clone();
    let history = mesh.nodes[0].machines.catalog.history(&database()).unwrap();
    other.snapshots = vec![(2, history.manifest(2).unwrap().digest())];
    let others = handed(&mut mesh, &helpers, &other);
    let mixed = vec![masks[0].clone(), others[1].clone()].into_iter().chain(masks[2..].iter().cloned()).collect();
    let request = Request::BlindShares { masks: mixed };
    assert_eq!(refused(mesh.help_with_shares(BERN, helpers[0], &request)), RefusalCode::Malformed);
}
