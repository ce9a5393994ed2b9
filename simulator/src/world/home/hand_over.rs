//! Handing manifest and shares to every site, and counting the receipts.

use std::collections::{BTreeMap, VecDeque};

use protocol::document::{Database, Manifest};
use protocol::identifier::{DatabaseName, SiteName};
use protocol::machine::{Announcement, RecordKind};
use protocol::signature::{PublicKey, Signed};
use protocol::wire::{RefusalCode, Request, Response};
use serde_bytes::ByteBuf;
use shard_codec::Digest;

use super::seal::{SealedSnapshot, Waiting};
use super::{Home, Note, Outcome, Place, not_yet, put};
use crate::world::client::survey::Survey;
use crate::world::client::{CallError, Port, join_all};
use crate::world::fetch::{Wrong, remake};
use crate::world::trace::NodeId;

/// Manifests given to a site that is behind, in one message.
const RUN_MAX: usize = 64;

/// Manifests before a snapshot that are kept with it.
const BEFORE_MAX: usize = 64;

/// The manifests of the newest snapshots that are not durable, oldest first. Whoever shows them today may be gone for
/// good tomorrow, and home goes on from them: so it keeps them itself.
pub(super) async fn not_durable(survey: &mut Survey, database: &DatabaseName) -> Vec<Vec<u8>> {
    let mut before = VecDeque::new();
    for sequence in (1..=survey.head_sequence(database)).rev().take(BEFORE_MAX) {
        survey.read_receipts(database, sequence).await;
        let manifest = survey.catalog.history(database).and_then(|history| history.manifest(sequence));
        let Some(manifest) = manifest.filter(|signed| !survey.durability(signed.document()).is_durable()) else {
            break;
        };
        before.push_front(manifest.encode());
    }
    before.into()
}

/// Publishes a snapshot to every site that answers, heals what they lack, and counts receipts.
pub(super) async fn publish_kept(
    home: &Home,
    survey: &mut Survey,
    entry: &Database,
    snapshot: &SealedSnapshot,
) -> Outcome {
    let manifest = &snapshot.manifest;
    let sequence = snapshot.sequence();
    if survey.head_sequence(&entry.name) < sequence
        && let Err(refusal) = survey.catalog.learn(RecordKind::Manifest, &manifest.encode())
    {
        return not_yet(refusal);
    }
    let history = manifests_until(survey, &entry.name, sequence);
    let Some(writer) = home.writer(&entry.name) else { return not_yet("no writer key") };
    let caller = writer.public();
    let links = survey.links.clone();
    let handed = join_all(links.iter().map(|(name, node)| {
        hand_over(&home.port, caller, *node, snapshot, snapshot.shares.get(name).cloned(), &history)
    }));
    let mut lacking = BTreeMap::new();
    for ((name, node), answer) in links.iter().zip(handed.await) {
        match answer {
            Ok((receipt, lacks)) => {
                learn_receipt(survey, receipt.as_deref());
                if !lacks.is_empty() {
                    lacking.insert(name.clone(), lacks);
                }
            }
            Err(error) if error.refusal().is_some_and(|refusal| refusal.code == RefusalCode::Fork) => {
                if check_fork(survey, &entry.name, *node).await {
                    return Outcome::Never;
                }
            }
            Err(_gone) => {}
        }
    }
    heal(home, survey, caller, snapshot, lacking).await;
    spread_receipts(survey, &entry.name, sequence).await;
    strike_off(home, survey, &entry.name, sequence).await;
    verdict(home, survey, manifest).await
}

async fn verdict(home: &Home, survey: &Survey, manifest: &Signed<Manifest>) -> Outcome {
    let document = manifest.document();
    let durability = survey.durability(document);
    if durability.missing.is_empty() {
        home.keep(&document.database, |home| home.outbox = None).await;
    }
    let durable = durability.is_durable();
    let (database, sequence) = (document.database.clone(), document.sequence);
    home.port.note(Note::Published { database, sequence, manifest: manifest.digest(), durable });
    if durable {
        return Outcome::Durable;
    }
    let missing: Vec<&str> = durability.missing.iter().map(SiteName::as_str).collect();
    not_yet(format!("no full receipt of {}", missing.join(", ")))
}

/// A site that says "fork" is believed only if it can prove it.
async fn check_fork(survey: &mut Survey, database: &DatabaseName, node: NodeId) -> bool {
    let request = Request::Forks { database: database.clone() };
    if let Ok(Response::Documents(proofs)) = survey.call(node, request).await {
        for proof in proofs {
            // What proves nothing changes nothing.
            let _unproven = survey.catalog.learn(RecordKind::Fork, &proof);
        }
    }
    survey.catalog.history(database).is_some_and(|history| history.forks().next().is_some())
}

fn manifests_until(survey: &Survey, database: &DatabaseName, sequence: u64) -> Vec<(Digest, Vec<u8>)> {
    let history = survey.catalog.history(database).into_iter();
    let manifests = history.flat_map(|history| history.manifests_from(1));
    let until = manifests.take_while(|manifest| manifest.document().sequence <= sequence);
    until.map(|manifest| (manifest.digest(), manifest.encode())).collect()
}

type Handed = (Option<Vec<u8>>, Vec<Digest>);

/// Publishes at one site; a site that lacks older manifests is given them first, in one run with the new one.
async fn hand_over(
    port: &Port<Note>,
    caller: PublicKey,
    node: NodeId,
    snapshot: &SealedSnapshot,
    share: Option<ByteBuf>,
    history: &[(Digest, Vec<u8>)],
) -> Result<Handed, CallError> {
    let database = &snapshot.manifest.document().database;
    let request = Request::Publish { manifest: snapshot.manifest.encode().into(), sealed_share: share };
    let mut response = port.call(node, caller, request.clone()).await;
    if let Err(CallError::Refused(refusal)) = &response
        && refusal.code == RefusalCode::Behind
    {
        bring_up(port, caller, node, database, history).await?;
        response = port.call(node, caller, request).await;
    }
    let Response::Published { receipt, missing } = response? else { return Err(CallError::Unexpected) };
    Ok((receipt.map(ByteBuf::into_vec), missing))
}

/// Gives a site the manifests that it lacks.
async fn bring_up(
    port: &Port<Note>,
    caller: PublicKey,
    node: NodeId,
    database: &DatabaseName,
    history: &[(Digest, Vec<u8>)],
) -> Result<(), CallError> {
    let mut lacking = first_lacking(port, caller, node, database, history).await?;
    while lacking < history.len() {
        let fitting = history.iter().skip(lacking).take(RUN_MAX);
        let run = fitting.map(|(_digest, manifest)| ByteBuf::from(manifest.clone())).collect();
        let told = port.call(node, caller, Request::Announce(Announcement::Manifests(run))).await;
        let reached = first_lacking(port, caller, node, database, history).await?;
        if reached <= lacking {
            return told.map(drop);
        }
        lacking = reached;
    }
    Ok(())
}

/// Position of the first manifest that a site lacks. Whose head is none of ours is told everything: it finds the fork.
async fn first_lacking(
    port: &Port<Note>,
    caller: PublicKey,
    node: NodeId,
    database: &DatabaseName,
    history: &[(Digest, Vec<u8>)],
) -> Result<usize, CallError> {
    let Response::Head(head) = port.call(node, caller, Request::Head { database: database.clone() }).await? else {
        return Err(CallError::Unexpected);
    };
    let position = |(_sequence, digest)| history.iter().position(|(ours, _manifest)| *ours == digest);
    Ok(head.and_then(position).map_or(0, |position| position + 1))
}

/// A receipt that does not hold does not count.
fn learn_receipt(survey: &mut Survey, receipt: Option<&[u8]>) {
    let _refused = receipt.map(|bytes| survey.catalog.learn(RecordKind::Receipt, bytes));
}

/// Sites that were off for a while lack shards of stripes stored before: remake them, and ask for the receipt again.
async fn heal(
    home: &Home,
    survey: &mut Survey,
    caller: PublicKey,
    snapshot: &SealedSnapshot,
    lacking: BTreeMap<SiteName, Vec<Digest>>,
) {
    let database = snapshot.manifest.document().database.clone();
    let wrong = Wrong::default();
    for (site, roots) in lacking {
        let Some(node) = survey.links.get(&site).copied() else { continue };
        let history = survey.catalog.history(&database).into_iter();
        let stripes: Vec<_> = history.flat_map(|history| history.live_stripes().iter()).cloned().collect();
        let mut healed = true;
        for live in &stripes {
            let Some((index, root)) = live.shard_due_at(&site).filter(|(_index, root)| roots.contains(root)) else {
                continue;
            };
            let Some(bytes) = remake(&home.port, caller, &survey.links, live, &site, index, &wrong).await else {
                healed = false;
                continue;
            };
            let place = Place { database: &database, stripe_number: live.stripe.number, index };
            healed &= put(home, caller, node, place, root, bytes).await.is_ok();
        }
        if !healed {
            continue;
        }
        let share = snapshot.shares.get(&site).cloned();
        if let Ok((receipt, _lacks)) = hand_over(&home.port, caller, node, snapshot, share, &[]).await {
            learn_receipt(survey, receipt.as_deref());
        }
    }
    let wrong = wrong.into_inner();
    if !wrong.is_empty() {
        home.keep(&database, |home| home.served_wrongly.extend(wrong)).await;
    }
}

/// Every site learns who else holds the snapshot.
async fn spread_receipts(survey: &Survey, database: &DatabaseName, sequence: u64) {
    let history = survey.catalog.history(database).into_iter();
    let receipts: Vec<Vec<u8>> = history.flat_map(|history| history.receipts(sequence)).map(Signed::encode).collect();
    let receipts = &receipts;
    join_all(survey.links.values().map(|node| async move {
        for receipt in receipts {
            // What is not spread is asked for.
            let _untold = survey.call(*node, Request::Announce(Announcement::Receipt(receipt.clone().into()))).await;
        }
    }))
    .await;
}

/// Forgets the shares that are promised by receipts.
async fn strike_off(home: &Home, survey: &Survey, database: &DatabaseName, sequence: u64) {
    let history = survey.catalog.history(database).into_iter();
    let receipts = history.flat_map(|history| history.receipts(sequence)).map(Signed::document);
    let promised: Vec<SiteName> =
        receipts.filter(|receipt| receipt.holds_share).map(|receipt| receipt.site.clone()).collect();
    home.keep(database, |home| {
        if let Some(waiting) = home.waiting.get_mut(&sequence) {
            waiting.shares.retain(|site, _share| !promised.contains(site));
        }
        home.waiting.retain(|_sequence, waiting| !waiting.shares.is_empty());
    })
    .await;
}

/// Offers every share that waits to its site once more.
pub(super) async fn deliver_waiting(home: &Home, survey: &mut Survey, database: &DatabaseName) {
    let waiting: BTreeMap<u64, Waiting> = home.with(database, |home| home.waiting.clone()).unwrap_or_default();
    let Some(writer) = home.writer(database) else { return };
    for (sequence, waiting) in waiting {
        let manifest = survey.catalog.history(database).and_then(|history| history.manifest(sequence)).cloned();
        // What the sites do not show (yet) waits on.
        let Some(manifest) = manifest.filter(|manifest| manifest.digest() == waiting.manifest) else { continue };
        let snapshot = SealedSnapshot { manifest, shares: waiting.shares, before: Vec::new() };
        let links: Vec<(SiteName, NodeId)> = survey.links.iter().map(|(name, node)| (name.clone(), *node)).collect();
        let offers = links.iter().filter_map(|(name, node)| {
            let share = snapshot.shares.get(name).cloned()?;
            Some(hand_over(&home.port, writer.public(), *node, &snapshot, Some(share), &[]))
        });
        for (receipt, _lacks) in join_all(offers).await.into_iter().flatten() {
            home.port.note(Note::Reached("a share that waited was delivered"));
            learn_receipt(survey, receipt.as_deref());
        }
        strike_off(home, survey, database, sequence).await;
    }
}
