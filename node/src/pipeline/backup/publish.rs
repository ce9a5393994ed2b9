//! Handing manifest and shares to every site, and counting the receipts.
//!
//! Before the first site hears of a manifest it lies in home's outbox, with the sealed shares: the key is gone by
//! then, so shares that were lost could not be dealt again. The outbox holds nothing that opens anything at home.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures::future::join_all;
use protocol::catalog::fork::ForkProof;
use protocol::document::{Database, Manifest};
use protocol::identifier::{DatabaseName, SiteName};
use protocol::limits::{FRAME_BYTES_MAX, PAGE_ENTRIES_MAX};
use protocol::machine::{Announcement, RecordKind};
use protocol::signature::Signed;
use protocol::wire::{RefusalCode, Request, Response};
use serde_bytes::ByteBuf;
use shard_codec::Digest;

use super::seal::SealedSnapshot;
use super::{BackupContext, BackupError, Published, served_wrongly, undelivered};
use crate::machine_state::{self, AppendError};
use crate::network::{CallError, Link};
use crate::pipeline::fetch::Fetcher;
use crate::pipeline::repair;
use crate::pipeline::survey::{SiteCondition, Survey, documents, list};

/// An outbox entry in bytes at the most.
const OUTBOX_BYTES_MAX: usize = 32 << 20;
/// Manifests before a snapshot that are kept with it, and their bytes together.
const BEFORE_MAX: u8 = 64;
const BEFORE_BYTES_MAX: usize = 8 << 20;
/// Manifests in one frame in bytes; the rest of the frame is room for what stands around them.
const RUN_FRAME_BYTES_MAX: usize = FRAME_BYTES_MAX - (64 << 10);

fn outbox_key(database: &DatabaseName) -> Vec<u8> {
    database.as_str().as_bytes().to_vec()
}

/// A snapshot whose publication was interrupted goes out before a new one is begun. Returns its sequence.
pub(super) async fn deliver_outbox(
    context: &BackupContext,
    survey: &mut Survey,
    entry: &Database,
) -> Result<Option<u64>, BackupError> {
    let key = outbox_key(&entry.name);
    let Some(bytes) = context.state.get(machine_state::RecordKind::Outbox, &key)? else { return Ok(None) };
    let decoded = protocol::cbor::decode(&bytes, OUTBOX_BYTES_MAX);
    let snapshot: SealedSnapshot = decoded.map_err(|error| BackupError::Seal(error.to_string()))?;
    let manifest = snapshot.manifest()?;
    let sequence = manifest.document().sequence;
    if sequence > survey.head_sequence(&entry.name) {
        for before in snapshot.before() {
            // What the sites show is known; what does not follow it leaves a gap, and then nothing is published.
            let _known = survey.catalog.learn(RecordKind::Manifest, before);
        }
    }
    let before = snapshot.before().iter().filter_map(|bytes| Signed::<Manifest>::decode(bytes).ok());
    let proofs: Vec<_> =
        before.chain([manifest]).filter_map(|signed| fork_with(survey, &entry.name, &signed)).collect();
    if let Some(proof) = proofs.first() {
        spread_fork(survey, proof).await;
        survey.check_forks(&entry.name, sequence)?;
    }
    let head = survey.head_sequence(&entry.name);
    if sequence == head || sequence == head + 1 {
        let published = publish_kept(context, survey, entry, &snapshot, BTreeMap::new()).await?;
        tracing::info!(sequence, durable = published.durability.is_durable(), "an interrupted publication went on");
        let numbers = snapshot.stripe_numbers();
        for number in numbers {
            // A stripe that the index never learned of is only not found again.
            let _unknown = context.index.publish(&[number], sequence);
        }
        return Ok(Some(sequence));
    }
    if sequence < head {
        context.state.append_and_deliver(&[], &[&key])?;
    }
    Ok(None)
}

/// The proof, if the sites show another manifest of this number than home has signed: somebody else signs with a key of
/// the writer, or did before it was replaced. Nobody but home can show both.
fn fork_with(survey: &mut Survey, database: &DatabaseName, signed: &Signed<Manifest>) -> Option<Vec<u8>> {
    let shown = survey.catalog.history(database)?.manifest(signed.document().sequence)?;
    if shown.digest() == signed.digest() {
        return None;
    }
    let proof = ForkProof::of(shown, signed).encode();
    survey.catalog.learn(RecordKind::Fork, &proof).ok().map(|()| proof)
}

/// Every site learns of a fork.
async fn spread_fork(survey: &mut Survey, proof: &[u8]) {
    let calls = survey.links.values_mut().map(|link| async {
        let announcement = Announcement::Fork(proof.to_vec().into());
        if let Err(error) = link.call(&Request::Announce(announcement)).await {
            tracing::debug!(%error, "the proof of a fork was not spread; the sites ask each other");
        }
    });
    join_all(calls).await;
}

/// The manifests of the newest snapshots that are not durable, oldest first. Whoever shows them today may be gone for
/// good tomorrow, and home goes on from them: so it keeps them itself.
pub(super) async fn not_durable(survey: &mut Survey, database: &DatabaseName) -> Vec<ByteBuf> {
    let (mut before, mut bytes) = (VecDeque::new(), 0);
    let head = survey.head_sequence(database);
    for sequence in (1..=head).rev().take(usize::from(BEFORE_MAX)) {
        survey.read_receipts(database, sequence).await;
        let manifest = survey.catalog.history(database).and_then(|history| history.manifest(sequence));
        let Some(manifest) = manifest.filter(|signed| !survey.durability(signed.document()).is_durable()) else {
            break;
        };
        let encoded = manifest.encode();
        bytes += encoded.len();
        if bytes > BEFORE_BYTES_MAX {
            break;
        }
        before.push_front(ByteBuf::from(encoded));
    }
    before.into()
}

/// Publishes a new snapshot to every site that answers, heals what they lack, and counts receipts.
pub(super) async fn publish(
    context: &BackupContext,
    survey: &mut Survey,
    entry: &Database,
    snapshot: &SealedSnapshot,
    failed_before: BTreeMap<SiteName, String>,
) -> Result<Published, BackupError> {
    keep_in_outbox(context, &entry.name, snapshot)?;
    #[cfg(feature = "test-hooks")]
    crate::fault_point::FaultPoint::Outbox.pass();
    publish_kept(context, survey, entry, snapshot, failed_before).await
}

async fn publish_kept(
    context: &BackupContext,
    survey: &mut Survey,
    entry: &Database,
    snapshot: &SealedSnapshot,
    failed_before: BTreeMap<SiteName, String>,
) -> Result<Published, BackupError> {
    let manifest = snapshot.manifest()?;
    let sequence = manifest.document().sequence;
    if survey.head_sequence(&entry.name) < sequence {
        let learned = survey.catalog.learn(RecordKind::Manifest, snapshot.manifest_bytes());
        learned.map_err(|refusal| BackupError::Seal(refusal.message))?;
    }
    let history = manifests_until(survey, &entry.name, sequence);
    let calls = survey.links.values_mut().map(|link| hand_over(link, &entry.name, snapshot, &history));
    let answers = join_all(calls).await;
    let mut missing = failed_before;
    let mut lacking = BTreeMap::new();
    for (site, answer) in answers {
        match answer {
            Ok((receipt, lacks)) => {
                learn_receipt(survey, receipt.as_deref());
                if !lacks.is_empty() {
                    lacking.insert(site, lacks);
                }
            }
            Err(error) => {
                if error.refusal().is_some_and(|refusal| refusal.code == RefusalCode::Fork) {
                    check_fork(survey, &entry.name, &site, &error).await?;
                }
                missing.insert(site, error.to_string());
            }
        }
    }
    let wrong = heal(survey, entry, snapshot, lacking, &mut missing).await;
    served_wrongly::remember(context, &entry.name, wrong)?;
    spread_receipts(survey, &entry.name, sequence).await;
    undelivered::strike_off(context, survey, &entry.name, sequence)?;
    Ok(count(context, survey, entry, &manifest, missing)?)
}

/// A site that says "fork" is believed only if it can prove it; otherwise it is one site without a receipt.
async fn check_fork(
    survey: &mut Survey,
    database: &DatabaseName,
    site: &SiteName,
    error: &CallError,
) -> Result<(), BackupError> {
    let Some(link) = survey.links.get_mut(site) else { return Ok(()) };
    let proofs = documents(link, &Request::Forks { database: database.clone() }).await.unwrap_or_default();
    for proof in proofs {
        // What proves nothing changes nothing.
        let _unproven = survey.catalog.learn(RecordKind::Fork, &proof);
    }
    let is_proven = survey.catalog.history(database).is_some_and(|history| history.forks().next().is_some());
    if is_proven { Err(BackupError::Fork { site: site.clone(), why: error.to_string() }) } else { Ok(()) }
}

/// Keeps the snapshot, that it was signed, and its shares, before any site hears of it.
fn keep_in_outbox(
    context: &BackupContext,
    database: &DatabaseName,
    snapshot: &SealedSnapshot,
) -> Result<(), BackupError> {
    let manifest = snapshot.manifest()?;
    let last = (manifest.document().sequence, manifest.digest());
    let kind = machine_state::RecordKind::Outbox;
    let (key, value) = (outbox_key(database), protocol::cbor::encode(snapshot));
    let (last_key, last_value) = (last_signed_key(database), protocol::cbor::encode(&last));
    let (shares_key, shares_value) = undelivered::record(&manifest, snapshot.shares());
    let given_up = undelivered::make_room(context, database)?;
    let given_up: Vec<&[u8]> = given_up.iter().map(Vec::as_slice).collect();
    let records = [(&key, &value), (&last_key, &last_value), (&shares_key, &shares_value)];
    let records = records.map(|(key, value)| machine_state::Record { kind, key, value });
    Ok(context.state.append_and_deliver(&records, &given_up)?)
}

fn last_signed_key(database: &DatabaseName) -> Vec<u8> {
    [b"last-signed\0", database.as_str().as_bytes()].concat()
}

/// A home never signs a sequence number twice. If the newest snapshot it signed is neither among what the sites show nor
/// follows it from the outbox, they are not all of the sites: signing on would fork the history.
pub(super) fn check_last_signed(
    context: &BackupContext,
    survey: &Survey,
    database: &DatabaseName,
) -> Result<(), BackupError> {
    let Some(bytes) = context.state.get(machine_state::RecordKind::Outbox, &last_signed_key(database))? else {
        return Ok(());
    };
    let decoded: Result<(u64, Digest), _> = protocol::cbor::decode(&bytes, 128);
    let (sequence, digest) = decoded.map_err(|error| BackupError::Seal(error.to_string()))?;
    let shown = survey.catalog.history(database).and_then(|history| history.manifest(sequence)).map(Signed::digest);
    if shown == Some(digest) {
        return Ok(());
    }
    let (database, troubles) = (database.clone(), list(&survey.troubles()));
    Err(BackupError::NotShown { database, sequence, troubles })
}

/// Digest and envelope of every manifest up to the one of this number.
fn manifests_until(survey: &Survey, database: &DatabaseName, sequence: u64) -> Vec<(Digest, Vec<u8>)> {
    let history = survey.catalog.history(database);
    let manifests = history.into_iter().flat_map(|history| history.manifests_from(1));
    let until = manifests.take_while(|manifest| manifest.document().sequence <= sequence);
    until.map(|manifest| (manifest.digest(), manifest.encode())).collect()
}

pub(super) type Handed = (Option<Vec<u8>>, Vec<Digest>);

/// Publishes at one site; a site that lacks older manifests is given them first, in one run with the new one: only that
/// may vouch for what a writer published who was replaced since.
pub(super) async fn hand_over(
    link: &mut Link,
    database: &DatabaseName,
    snapshot: &SealedSnapshot,
    history: &[(Digest, Vec<u8>)],
) -> (SiteName, Result<Handed, CallError>) {
    let name = link.name().clone();
    let result = async {
        let request = Request::Publish {
            manifest: ByteBuf::from(snapshot.manifest_bytes().to_vec()),
            sealed_share: snapshot.share(&name),
        };
        let mut response = link.call(&request).await;
        if let Err(CallError::Refused { refusal, .. }) = &response
            && refusal.code == RefusalCode::Behind
        {
            bring_up(link, database, history).await?;
            response = link.call(&request).await;
        }
        let Response::Published { receipt, missing } = response? else { return Err(link.unexpected()) };
        #[cfg(feature = "test-hooks")]
        crate::fault_point::FaultPoint::FirstReceipt.pass();
        Ok((receipt.map(ByteBuf::into_vec), missing))
    };
    let result = result.await;
    (name, result)
}

/// Gives a site the manifests that it lacks, as many in one frame as fit.
async fn bring_up(link: &mut Link, database: &DatabaseName, history: &[(Digest, Vec<u8>)]) -> Result<(), CallError> {
    let mut lacking = first_lacking(link, database, history).await?;
    while lacking < history.len() {
        let mut bytes = 0;
        let fitting = history.iter().skip(lacking).take(PAGE_ENTRIES_MAX).take_while(|(_digest, manifest)| {
            let is_first = bytes == 0;
            bytes += manifest.len();
            is_first || bytes <= RUN_FRAME_BYTES_MAX
        });
        let run = fitting.map(|(_digest, manifest)| ByteBuf::from(manifest.clone())).collect();
        let told = link.call(&Request::Announce(Announcement::Manifests(run))).await;
        let reached = first_lacking(link, database, history).await?;
        if reached <= lacking {
            return told.map(drop);
        }
        lacking = reached;
    }
    Ok(())
}

/// Position of the first manifest that a site lacks. Whose head is none of ours is told everything: it finds the fork.
async fn first_lacking(
    link: &mut Link,
    database: &DatabaseName,
    history: &[(Digest, Vec<u8>)],
) -> Result<usize, CallError> {
    let Response::Head(head) = link.call(&Request::Head { database: database.clone() }).await? else {
        return Err(link.unexpected());
    };
    let position = |(_sequence, digest)| history.iter().position(|(ours, _manifest)| *ours == digest);
    Ok(head.and_then(position).map_or(0, |position| position + 1))
}

fn learn_receipt(survey: &mut Survey, receipt: Option<&[u8]>) {
    if let Some(Err(refusal)) = receipt.map(|bytes| survey.catalog.learn(RecordKind::Receipt, bytes)) {
        tracing::warn!(%refusal, "a receipt that does not hold");
    }
}

/// Sites that were off for a while lack shards of stripes stored before: remake them, and ask for the receipt again.
/// Gives the shards that others served wrongly meanwhile.
async fn heal(
    survey: &mut Survey,
    entry: &Database,
    snapshot: &SealedSnapshot,
    lacking: BTreeMap<SiteName, Vec<Digest>>,
    missing: &mut BTreeMap<SiteName, String>,
) -> BTreeSet<(SiteName, Digest)> {
    let fetcher = Fetcher::new(&survey.links);
    for (site, roots) in lacking {
        if missing.contains_key(&site) {
            continue; // it failed in this run: a full disk does not heal
        }
        let lacks = roots.len();
        match repair::remake_at(survey, &fetcher, &entry.name, &site, &roots).await {
            Ok(bytes) => tracing::info!(%site, lacks, bytes, "remade the shards it lacked"),
            Err(error) => {
                missing.insert(site, format!("lacks {lacks} shards of earlier stripes: {error}"));
                continue;
            }
        }
        let Some(link) = survey.links.get_mut(&site) else { continue };
        match hand_over(link, &entry.name, snapshot, &[]).await.1 {
            Ok((receipt, _lacks)) => learn_receipt(survey, receipt.as_deref()),
            Err(error) => drop(missing.insert(site, error.to_string())),
        }
    }
    fetcher.wrong()
}

/// Every site learns who else holds the snapshot: the redundancy ledger, and what `latest` means, hang on it.
async fn spread_receipts(survey: &mut Survey, database: &DatabaseName, sequence: u64) {
    let history = survey.catalog.history(database);
    let receipts: Vec<Vec<u8>> =
        history.into_iter().flat_map(|history| history.receipts(sequence)).map(Signed::encode).collect();
    let calls = survey.links.values_mut().map(|link| async {
        for receipt in &receipts {
            let announcement = Announcement::Receipt(receipt.clone().into());
            if let Err(error) = link.call(&Request::Announce(announcement)).await {
                tracing::debug!(%error, "a receipt was not spread; the sites ask each other");
            }
        }
    });
    join_all(calls).await;
}

fn count(
    context: &BackupContext,
    survey: &Survey,
    entry: &Database,
    manifest: &Signed<Manifest>,
    mut missing: BTreeMap<SiteName, String>,
) -> Result<Published, AppendError> {
    let sequence = manifest.document().sequence;
    let durability = survey.durability(manifest.document());
    for site in &durability.missing {
        // A site that is well and still has not all of it says so by its receipt.
        let trouble = survey.conditions.get(site).filter(|condition| **condition != SiteCondition::Good);
        let why = trouble.map_or_else(|| "no receipt for all its shards and its share".to_owned(), ToString::to_string);
        missing.entry(site.clone()).or_insert(why);
    }
    if durability.missing.is_empty() {
        context.state.append_and_deliver(&[], &[&outbox_key(&entry.name)])?;
    }
    missing.retain(|site, _why| durability.missing.contains(site));
    Ok(Published { sequence, manifest: manifest.digest(), durability, missing })
}
