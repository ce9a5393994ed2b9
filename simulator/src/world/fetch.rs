//! Fetching shards from sites, until enough good ones are there; wrong ones are passed over.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use protocol::document::LiveStripe;
use protocol::identifier::SiteName;
use protocol::signature::PublicKey;
use protocol::wire::{Request, Response};
use shard_codec::stripe::{decode_stripe, encode_shard};
use shard_codec::{Digest, Reference, ShardIndex, UncheckedShard, VerifiedShard};

use super::client::{Port, join_all};
use super::home::Note;
use super::sim_disk::Bytes;
use super::trace::NodeId;

/// Roots of shards that a site served wrongly.
pub type Wrong = RefCell<BTreeSet<Digest>>;

/// The payload of a stripe from verified shards.
#[must_use]
pub fn decode(live: &LiveStripe, shards: &[VerifiedShard]) -> Option<Vec<u8>> {
    let reference = Reference::new(live.layout.parameters()).ok()?;
    decode_stripe(&reference, &live.layout, shards).ok()
}

/// Fetches and decodes one stripe; `None` if too few sites give a good shard.
pub async fn payload(
    port: &Port<Note>,
    caller: PublicKey,
    links: &BTreeMap<SiteName, NodeId>,
    live: &LiveStripe,
    but: Option<&SiteName>,
    wrong: &Wrong,
) -> Option<Vec<u8>> {
    let needed = live.layout.parameters().data_shards();
    let mut sources: Vec<(NodeId, ShardIndex)> = (0..=u8::MAX)
        .zip(live.placement.iter())
        .filter(|(_position, site)| but != Some(*site))
        .filter_map(|(position, site)| Some((*links.get(site)?, ShardIndex::new(position))))
        .collect();
    let mut shards: Vec<VerifiedShard> = Vec::new();
    while shards.len() < needed && !sources.is_empty() {
        let batch = sources.split_off(sources.len().saturating_sub(needed - shards.len()));
        let asks = batch.iter().map(|(node, index)| shard(port, caller, *node, live, *index, wrong));
        shards.extend(join_all(asks).await.into_iter().flatten());
    }
    decode(live, &shards)
}

async fn shard(
    port: &Port<Note>,
    caller: PublicKey,
    node: NodeId,
    live: &LiveStripe,
    index: ShardIndex,
    wrong: &Wrong,
) -> Option<VerifiedShard> {
    let root = live.stripe.root(index)?;
    let (response, body) = port.call_with(node, caller, Request::Shard { root }, None).await.ok()?;
    let (Response::Body { .. }, Some(body)) = (response, body) else { return None };
    let verified = UncheckedShard::new(index, body.to_vec()).verify(&root).ok();
    if verified.is_none() {
        wrong.borrow_mut().insert(root);
        port.note(Note::Reached("a wrong shard was thrown away"));
    }
    verified
}

/// Remakes the shard of one site from those of the others.
pub async fn remake(
    port: &Port<Note>,
    caller: PublicKey,
    links: &BTreeMap<SiteName, NodeId>,
    live: &LiveStripe,
    site: &SiteName,
    index: ShardIndex,
    wrong: &Wrong,
) -> Option<Bytes> {
    let payload = payload(port, caller, links, live, Some(site), wrong).await?;
    port.note(Note::Reached("a shard was remade"));
    let reference = Reference::new(live.layout.parameters()).ok()?;
    encode_shard(&reference, &live.layout, &payload, index).ok().map(Into::into)
}
