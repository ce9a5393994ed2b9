//! Whatever is sent, in whatever order, and whenever the process dies: the laws of a catalog.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::announced;
use crate::catalog::Catalog;
use crate::document::Manifest;
use crate::fixture::{RunningSite, Snapshot, State, database};
use crate::machine::Announcement;
use crate::signature::Signed;

/// What people and peers can see of one database.
fn observed(catalog: &Catalog) -> Vec<String> {
    let mut seen = vec![format!("charter {}", catalog.charter().version)];
    for (name, history) in catalog.histories() {
        for manifest in history.manifests_from(1) {
            let (sequence, digest) = (manifest.document().sequence, manifest.digest());
            let share = history.share(sequence).map(<[u8]>::len);
            seen.push(format!("{name} {sequence} {digest} share {share:?}"));
            seen.extend(history.receipts(sequence).map(|receipt| format!("{:?}", receipt.document())));
        }
        seen.extend(history.live_stripes().iter().map(|live| format!("{live:?}")));
        seen.extend(history.forks().map(|proof| format!("{proof:?}")));
    }
    seen
}

/// A law that was broken, by name.
fn laws(site: &RunningSite<'_>, first_seen: &mut BTreeMap<u64, shard_codec::Digest>) -> Result<(), String> {
    let Some(history) = site.catalog.history(&database()) else { return Ok(()) };
    let manifests: Vec<&Signed<Manifest>> = history.manifests_from(1).collect();
    let mut previous = None;
    for (expected, manifest) in (1..).zip(&manifests) {
        let sequence = manifest.document().sequence;
        if sequence != expected {
            return Err(format!("no gap: {sequence} at place {expected}"));
        }
        if manifest.document().previous != previous {
            return Err(format!("one chain: {sequence} names another predecessor"));
        }
        if *first_seen.entry(sequence).or_insert_with(|| manifest.digest()) != manifest.digest() {
            return Err(format!("one digest for ever: {sequence} changed"));
        }
        previous = Some(manifest.digest());
        for receipt in history.receipts(sequence).map(Signed::document) {
            if receipt.manifest != manifest.digest() {
                return Err(format!("receipts for known manifests only: {sequence}"));
            }
            if receipt.site == site.keys.name && receipt.holds_share && history.share(sequence).is_none() {
                return Err(format!("a receipt for a share that is not here: {sequence}"));
            }
        }
    }
    if manifests.len() < first_seen.len() {
        return Err("nothing is forgotten".to_owned());
    }
    Ok(())
}

#[derive(Clone, Debug)]
enum Action {
    /// Snapshot `.0` of branch `.1`, with the share or without.
    Publish(usize, bool, bool),
    Follow(usize, bool),
    /// So many snapshots from `.0` on, in one run.
    Run(usize, usize, bool),
    /// The shards of one snapshot get lost or come back.
    Lose(usize),
    Regain,
    /// A receipt of another site.
    Receipt(usize),
    Fork(usize),
    Restart,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        5 => (0_usize..4, any::<bool>(), any::<bool>()).prop_map(|(s, b, share)| Action::Publish(s, b, share)),
        4 => (0_usize..4, any::<bool>()).prop_map(|(s, b)| Action::Follow(s, b)),
        2 => (0_usize..4, 1_usize..4, any::<bool>()).prop_map(|(s, count, b)| Action::Run(s, count, b)),
        1 => (0_usize..4).prop_map(Action::Lose),
        1 => Just(Action::Regain),
        2 => (0_usize..4).prop_map(Action::Receipt),
        1 => (0_usize..4).prop_map(Action::Fork),
        2 => Just(Action::Restart),
    ]
}

fn branch(state: &mut State, stripe_count: u64) -> Vec<Snapshot> {
    let mut snapshots: Vec<Snapshot> = Vec::new();
    for _ in 0..4 {
        let previous = snapshots.last().map(|snapshot| snapshot.manifest.clone());
        snapshots.push(state.snapshot(previous.as_ref(), stripe_count));
    }
    snapshots
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn hold_after_every_action(actions in proptest::collection::vec(action(), 1..40)) {
        let mut state = State::new();
        let branches = [branch(&mut state, 1), branch(&mut state, 2)];
        // Receipts that another site gave for the first branch.
        let mut bern = state.site(4);
        let mut receipts: Vec<Vec<u8>> = Vec::new();
        for snapshot in &branches[0] {
            bern.publish(state.writer.public(), snapshot).unwrap();
            let given = bern.catalog.history(&database()).unwrap().receipts(snapshot.manifest.document().sequence);
            receipts.extend(given.map(Signed::encode));
        }
        let mut site = state.site(0);
        let mut first_seen = BTreeMap::new();
        for action in actions {
            // Refusals are part of the play; only the laws matter.
            match action.clone() {
                Action::Publish(index, second, with_share) => {
                    let snapshot = &branches[usize::from(second)][index];
                    let share = with_share.then(|| snapshot.sealed_shares[0].clone());
                    site.publish_bytes(state.writer.public(), snapshot.manifest.encode(), share);
                }
                Action::Follow(index, second) => {
                    drop(site.hear(announced(&branches[usize::from(second)][index].manifest)));
                }
                Action::Run(from, count, second) => {
                    let run = branches[usize::from(second)].iter().skip(from).take(count);
                    let run = run.map(|snapshot| snapshot.manifest.encode().into()).collect();
                    drop(site.hear(Announcement::Manifests(run)));
                }
                Action::Lose(index) => {
                    let added = &branches[0][index].manifest.document().stripes_added;
                    site.absent.extend(added.iter().filter_map(|s| s.root(shard_codec::ShardIndex::new(0))));
                }
                Action::Regain => site.absent.clear(),
                Action::Receipt(index) => drop(site.hear(Announcement::Receipt(receipts[index].clone().into()))),
                Action::Fork(index) => {
                    let [one, other] = [0, 1].map(|side: usize| &branches[side][index].manifest);
                    let proof = super::ForkProof::of(one, other);
                    prop_assert!(site.hear(Announcement::Fork(proof.encode().into())).is_ok());
                }
                Action::Restart => {
                    let before = observed(&site.catalog);
                    prop_assert_eq!(site.restart(), Ok(()));
                    prop_assert_eq!(observed(&site.catalog), before, "replay rebuilds the same state");
                }
            }
            if let Err(broken) = laws(&site, &mut first_seen) {
                return Err(TestCaseError::fail(format!("{broken} after {action:?}")));
            }
        }
        let before = observed(&site.catalog);
        prop_assert_eq!(site.restart(), Ok(()));
        prop_assert_eq!(observed(&site.catalog), before);
    }
}
