//! Shares that have not reached their custodians yet. The key they open is wiped when they are dealt, so they cannot be
//! dealt again: they lie in home's outbox, each sealed to its site, until the site has promised to keep it.

use std::collections::BTreeMap;

use futures::future::join_all;
use protocol::document::{Manifest, Receipt};
use protocol::identifier::{DatabaseName, SiteName};
use protocol::machine::RecordKind;
use protocol::signature::Signed;
use protocol::wire::RefusalCode;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use shard_codec::Digest;

use super::publish::hand_over;
use super::seal::SealedSnapshot;
use super::{BackupContext, BackupError};
use crate::machine_state;
use crate::network::{CallError, Link};
use crate::pipeline::survey::Survey;

/// Snapshots of one database whose shares may wait; beyond them the oldest are given up.
const SNAPSHOTS_MAX: usize = 64;
/// One record in bytes at the most.
const RECORD_BYTES_MAX: usize = 1 << 20;
const OUTBOX: machine_state::RecordKind = machine_state::RecordKind::Outbox;

/// The shares of one snapshot that are still here.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Waiting {
    manifest: Digest,
    shares: BTreeMap<SiteName, ByteBuf>,
}

fn prefix(database: &DatabaseName) -> Vec<u8> {
    [b"shares\0", database.as_str().as_bytes(), b"\0"].concat()
}

fn key(database: &DatabaseName, sequence: u64) -> Vec<u8> {
    [prefix(database), sequence.to_be_bytes().to_vec()].concat()
}

/// Key and value of the record that keeps these shares.
pub(super) fn record(manifest: &Signed<Manifest>, shares: &BTreeMap<SiteName, ByteBuf>) -> (Vec<u8>, Vec<u8>) {
    let document = manifest.document();
    let waiting = Waiting { manifest: manifest.digest(), shares: shares.clone() };
    (key(&document.database, document.sequence), protocol::cbor::encode(&waiting))
}

fn load(context: &BackupContext, database: &DatabaseName) -> Result<BTreeMap<u64, Waiting>, BackupError> {
    let prefix = prefix(database);
    let mut records = Vec::new();
    context.state.for_each(OUTBOX, |key, value| {
        let sequence = key.strip_prefix(prefix.as_slice()).and_then(|rest| <[u8; 8]>::try_from(rest).ok());
        records.extend(sequence.map(|sequence| (u64::from_be_bytes(sequence), value.to_vec())));
    })?;
    let decode = |(sequence, bytes): (u64, Vec<u8>)| {
        let waiting = protocol::cbor::decode(&bytes, RECORD_BYTES_MAX);
        Ok((sequence, waiting.map_err(|error| BackupError::Seal(error.to_string()))?))
    };
    records.into_iter().map(decode).collect()
}

fn save(context: &BackupContext, key: &[u8], waiting: &Waiting) -> Result<(), BackupError> {
    if waiting.shares.is_empty() {
        return Ok(context.state.append_and_deliver(&[], &[key])?);
    }
    let value = protocol::cbor::encode(waiting);
    Ok(context.state.append(&[machine_state::Record { kind: OUTBOX, key, value: &value }])?)
}

/// Makes room for one more snapshot: returns the keys of those that must go.
pub(super) fn make_room(context: &BackupContext, database: &DatabaseName) -> Result<Vec<Vec<u8>>, BackupError> {
    let waiting = load(context, database)?;
    let too_many = (waiting.len() + 1).saturating_sub(SNAPSHOTS_MAX);
    let given_up = waiting.iter().take(too_many).map(|(sequence, waiting)| {
        let sites: Vec<&str> = waiting.shares.keys().map(SiteName::as_str).collect();
        let sites = sites.join(", ");
        tracing::warn!(
            %database, sequence, sites,
            "these sites never got their shares of this snapshot, and will not: {SNAPSHOTS_MAX} newer ones wait"
        );
        key(database, *sequence)
    });
    Ok(given_up.collect())
}

/// Forgets the shares of one snapshot that are promised by receipts.
pub(super) fn strike_off(
    context: &BackupContext,
    survey: &Survey,
    database: &DatabaseName,
    sequence: u64,
) -> Result<(), BackupError> {
    let Some(mut waiting) = load(context, database)?.remove(&sequence) else { return Ok(()) };
    let history = survey.catalog.history(database);
    for receipt in history.into_iter().flat_map(|history| history.receipts(sequence)).map(Signed::document) {
        if receipt.holds_share {
            waiting.shares.remove(&receipt.site);
        }
    }
    save(context, &key(database, sequence), &waiting)
}

/// Offers every share that waits to its site once more, but for those of the snapshot `published` just now.
pub(super) async fn deliver(
    context: &BackupContext,
    survey: &mut Survey,
    database: &DatabaseName,
    published: Option<u64>,
) -> Result<(), BackupError> {
    let mut all_waiting = load(context, database)?;
    all_waiting.retain(|sequence, _waiting| Some(*sequence) != published);
    // A site that the charter has removed takes no share any more, under whatever name it comes back.
    let charter = survey.catalog.charter();
    for waiting in all_waiting.values_mut() {
        waiting.shares.retain(|name, _share| charter.active_sites().any(|site| site.name == *name));
    }
    let mut offers = BTreeMap::new();
    for (sequence, waiting) in &all_waiting {
        let manifest = survey.catalog.history(database).and_then(|history| history.manifest(*sequence));
        // What the sites do not show (yet) waits on.
        if let Some(manifest) = manifest.filter(|manifest| manifest.digest() == waiting.manifest) {
            offers.insert(*sequence, SealedSnapshot::of(manifest, waiting.shares.clone()));
        }
    }
    let calls = survey.links.values_mut().map(|link| offer(link, database, &offers));
    for (site, sequence, answer) in join_all(calls).await.into_iter().flatten() {
        let is_done = match answer {
            Ok(receipt) => {
                let promised = receipt.is_some_and(|bytes| promises_share(survey, &bytes));
                tracing::info!(%site, sequence, promised, "a share that waited was offered");
                promised
            }
            // Not the site it was sealed to any more: its keys are others now.
            Err(error) if error.refusal().is_some_and(|refusal| refusal.code == RefusalCode::Share) => {
                tracing::warn!(%site, sequence, %error, "the share is of no use to it: given up");
                true
            }
            Err(error) => {
                tracing::info!(%site, sequence, %error, "its share waits on");
                false
            }
        };
        if is_done && let Some(waiting) = all_waiting.get_mut(&sequence) {
            waiting.shares.remove(&site);
        }
    }
    for (sequence, waiting) in &all_waiting {
        save(context, &key(database, *sequence), waiting)?;
    }
    Ok(())
}

type Offered = (SiteName, u64, Result<Option<Vec<u8>>, CallError>);

/// All shares of one site, one after the other; a site that is not there is not called again and again.
async fn offer(link: &mut Link, database: &DatabaseName, offers: &BTreeMap<u64, SealedSnapshot>) -> Vec<Offered> {
    let name = link.name().clone();
    let mut offered = Vec::new();
    for (sequence, snapshot) in offers.iter().filter(|(_sequence, snapshot)| snapshot.share(&name).is_some()) {
        let answer = hand_over(link, database, snapshot, &[]).await.1.map(|(receipt, _lacks)| receipt);
        let is_gone = answer.as_ref().is_err_and(|error| error.refusal().is_none());
        offered.push((name.clone(), *sequence, answer));
        if is_gone {
            break;
        }
    }
    offered
}

fn promises_share(survey: &mut Survey, receipt: &[u8]) -> bool {
    if let Err(refusal) = survey.catalog.learn(RecordKind::Receipt, receipt) {
        tracing::warn!(%refusal, "a receipt that does not hold");
        return false;
    }
    Signed::<Receipt>::decode(receipt).is_ok_and(|signed| signed.document().holds_share)
}
