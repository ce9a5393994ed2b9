//! Enemies that are no sites: a thief with a writer's key, and the captors of officials. They know the protocol as well
//! as anybody and send what they like.

use std::collections::BTreeMap;

use protocol::document::{CharterChain, Custody, Document, Manifest};
use protocol::identifier::{DatabaseName, SiteName};
use protocol::machine::Announcement;
use protocol::signature::{Keypair, PublicKey, Signature, Signed};
use protocol::wire::{RefusalCode, Request, Response};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use shard_codec::Digest;

use super::cast::sign;
use super::client::survey::{Nodes, Survey};
use super::client::{CallError, Port, join_all};
use super::config::Theft;
use super::home::{Note, deal_and_seal};
use super::random::Stream;
use super::trace::NodeId;
use super::virtual_clock::{Clock, Time};

/// A thief with the key of a writer.
#[derive(Debug)]
pub struct Thief {
    /// The stolen key.
    pub writer: Keypair,
    /// Of which database.
    pub database: DatabaseName,
    /// What for.
    pub theft: Theft,
    /// The charters are public.
    pub chain: CharterChain,
    /// Node of every site by name.
    pub nodes: Nodes,
    /// Its end of the world.
    pub port: Port<Note>,
    /// Its chance.
    pub stream: Stream,
}

/// Uses a stolen writer key.
pub async fn steal(mut thief: Thief) {
    let caller = thief.writer.public();
    let mut survey = Survey::take(&thief.port, caller, thief.chain.clone(), &thief.nodes, None).await;
    // Whatever the history is: a thief goes on from it.
    let _forked = survey.read_history(&thief.database).await;
    let branches = if thief.theft == Theft::Fork { 2 } else { 1 };
    let mut manifests = Vec::new();
    for branch in 0..branches {
        match thief.next(&survey, branch) {
            Ok(manifest) => manifests.push(manifest),
            Err(why) => return thief.port.note(Note::Said(format!("the thief gives up: {why}"))),
        }
    }
    let targets: Vec<(SiteName, NodeId)> = survey.links.iter().map(|(name, node)| (name.clone(), *node)).collect();
    let sends = targets.iter().enumerate().filter_map(|(position, (name, node))| {
        let (manifest, shares) = manifests.get(position % manifests.len())?;
        Some(publish(&thief.port, caller, *node, manifest, shares.get(name).cloned()))
    });
    let taken = join_all(sends).await.iter().filter(|answer| answer.is_ok()).count();
    thief.port.note(Note::Said(format!("the thief's manifest was taken by {taken} sites")));
}

/// With the share first, and then without: it fits no commitment.
async fn publish(
    port: &Port<Note>,
    caller: PublicKey,
    node: NodeId,
    manifest: &[u8],
    share: Option<ByteBuf>,
) -> Result<Response, CallError> {
    let request = |sealed_share| Request::Publish { manifest: manifest.to_vec().into(), sealed_share };
    match port.call(node, caller, request(share)).await {
        Err(CallError::Refused(refusal)) if refusal.code == RefusalCode::Share => {
            port.call(node, caller, request(None)).await
        }
        answer => answer,
    }
}

type Loot = (Vec<u8>, BTreeMap<SiteName, ByteBuf>);

impl Thief {
    /// The next manifest, of nothing, with shares of another key than the one it commits to.
    fn next(&mut self, survey: &Survey, branch: u8) -> Result<Loot, String> {
        let entry = survey.catalog.charter().database(&self.database).cloned().ok_or("no such database")?;
        let head = survey.catalog.history(&self.database).and_then(|history| history.head());
        let live = survey.catalog.history(&self.database).map(|history| history.live_stripes().clone());
        let (sequence, previous) = head.map_or((1, None), |head| (head.document().sequence + 1, Some(head.digest())));
        let founding = survey.catalog.charters().version(1).map(Signed::digest);
        let newest = survey.catalog.charters().newest().digest();
        let is_back_dated = self.theft == Theft::BackDate;
        let mut manifest = Manifest {
            state: survey.catalog.state(),
            database: self.database.clone(),
            sequence,
            previous,
            charter: if is_back_dated { founding.unwrap_or(newest) } else { newest },
            created: Clock::default().read(if is_back_dated { Time::default() } else { self.port.now() }),
            data_shards: entry.data_shards,
            placement: entry.placement.clone(),
            stripes_added: Vec::new(),
            stripes_dropped: live.iter().flat_map(|live| live.iter()).map(|live| live.stripe.number).collect(),
            custody: Custody {
                epoch: 1,
                threshold: entry.threshold,
                custodians: entry.custodians,
                commitments: Vec::new(),
                share_digests: Vec::new(),
            },
            sealed_root: Vec::new(),
            suspicions: Vec::new(),
        };
        let shares = deal_and_seal(survey, &mut manifest, &[branch], &mut self.stream)?;
        let mut other = manifest.clone();
        deal_and_seal(survey, &mut other, &[branch], &mut self.stream)?;
        manifest.custody.commitments = other.custody.commitments;
        let signed = Signed::sign_new(manifest, &self.writer).map_err(|error| error.to_string())?;
        Ok((signed.encode(), shares))
    }
}

/// Those who hold officials captive, with an order that too few of them signed.
#[derive(Debug)]
pub struct Captors {
    /// The key of their connections.
    pub identity: Keypair,
    /// The order as they show it.
    pub order: Vec<u8>,
    /// Its digest.
    pub digest: Digest,
    /// What it is to open.
    pub database: DatabaseName,
    /// Node of every site by name.
    pub nodes: Nodes,
    /// Their end of the world.
    pub port: Port<Note>,
}

/// Shows the order to every site and asks for its share all the same.
pub async fn demand(captors: Captors) {
    let Captors { identity, order, digest, database, nodes, port } = &captors;
    let caller = identity.public();
    join_all(nodes.values().map(|node| async {
        let shown = Request::PresentOrder { order: order.clone().into() };
        let announced = Request::Announce(Announcement::Order(order.clone().into()));
        for request in [shown, announced] {
            let _refused = port.call(*node, caller, request).await;
        }
        for sequence in 1..=2 {
            let request = Request::Share { order: *digest, database: database.clone(), sequence };
            let _refused = port.call(*node, caller, request).await;
        }
    }))
    .await;
}

/// The envelope as the wire has it: an enemy writes it himself.
#[derive(Serialize, Deserialize)]
struct Envelope {
    kind: String,
    version: u16,
    payload: ByteBuf,
    signatures: Vec<Signature>,
}

/// An envelope in which too few keys signed, some of them again and again until there are enough signatures.
///
/// # Errors
/// The document contradicts itself.
pub fn padded<'a, T: Document>(
    document: T,
    keys: impl IntoIterator<Item = &'a Keypair>,
    quorum: usize,
) -> Result<Vec<u8>, String> {
    let signed = sign(document, keys)?;
    let bytes_max = T::BYTES_MAX + 1_024 + T::SIGNATURES_MAX * 160;
    let decoded = protocol::cbor::decode(&signed.encode(), bytes_max);
    let mut envelope: Envelope = decoded.map_err(|error| error.to_string())?;
    if let Some(first) = envelope.signatures.first().cloned() {
        let lacking = quorum.saturating_sub(envelope.signatures.len());
        envelope.signatures.extend(std::iter::repeat_n(first, lacking));
    }
    Ok(protocol::cbor::encode(&envelope))
}
