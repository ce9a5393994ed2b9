//! Coding stripes and bringing every shard to its site; a few stripes at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;
use protocol::document::{Database, Stripe};
use protocol::identifier::{DatabaseName, SiteName};
use protocol::wire::Request;
use shard_codec::reed_solomon::{ErasureCode, Reference};
use shard_codec::stripe::{EncodedStripe, encode_stripe};
use shard_codec::{CodingParameters, ShardIndex};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::pack::{FullStripe, InFlight};
use crate::buffers::BufferPool;
use crate::chunk_index::{ChunkIndex, ChunkIndexError, StripeRecord, StripeShard, StripeState};
use crate::network::Link;

/// Stripes coded or under way at once: enough to keep the wire and the disks busy while the next one is packed.
const STRIPES_IN_FLIGHT: usize = 4;
/// Streams to one site.
const STREAMS_PER_SITE: usize = 4;

/// Why an upload stopped.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// Too few sites take shards.
    #[error("only {remaining} sites still take shards, {needed} are needed: {failures}")]
    TooFewSites {
        /// Sites that still take shards.
        remaining: usize,
        /// Data shards of a stripe.
        needed: usize,
        /// The others, with what happened.
        failures: String,
    },
    /// Coding failed; a defect of this program.
    #[error("cannot code a stripe: {0}")]
    Code(String),
    /// The home's chunk index.
    #[error(transparent)]
    Index(#[from] ChunkIndexError),
}

/// The sites' ends of an upload.
pub(super) struct Sites {
    ends: BTreeMap<SiteName, SiteEnd>,
    stored_bytes: AtomicU64,
}

struct SiteEnd {
    links: tokio::sync::Mutex<Vec<Link>>,
    streams: Semaphore,
    failure: Mutex<Option<String>>,
}

impl Sites {
    pub(super) fn new(links: &BTreeMap<SiteName, Link>) -> Self {
        let end = |link: &Link| SiteEnd {
            links: tokio::sync::Mutex::new((0..STREAMS_PER_SITE).map(|_stream| link.dialer().link()).collect()),
            streams: Semaphore::new(STREAMS_PER_SITE),
            failure: Mutex::new(None),
        };
        let ends = links.iter().map(|(name, link)| (name.clone(), end(link))).collect();
        Self { ends, stored_bytes: AtomicU64::new(0) }
    }

    /// Sites that failed, with the reason.
    pub(super) fn failures(&self) -> BTreeMap<SiteName, String> {
        let failure = |end: &SiteEnd| end.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.ends.iter().filter_map(|(name, end)| Some((name.clone(), failure(end)?))).collect()
    }

    /// Bytes of the shards that their sites said they have.
    pub(super) fn stored_bytes(&self) -> u64 {
        self.stored_bytes.load(Ordering::Relaxed)
    }

    /// Brings one shard; false if the site is not there or has failed, now or before.
    async fn put(&self, site: &SiteName, request: &Request, shard: &[u8]) -> bool {
        let Some(end) = self.ends.get(site) else { return false };
        let Ok(_permit) = end.streams.acquire().await else { return false };
        if end.failure.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return false;
        }
        let Some(mut link) = end.links.lock().await.pop() else { return false };
        let result = link.put(request, shard).await;
        end.links.lock().await.push(link);
        match result {
            Ok(()) => {
                self.stored_bytes.fetch_add(shard.len() as u64, Ordering::Relaxed);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "this site takes no more shards in this run");
                *end.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
                false
            }
        }
    }
}

/// Codes and brings every stripe that comes, and returns the manifest's entries of them.
pub(super) async fn run(
    mut stripes: mpsc::Receiver<FullStripe>,
    sites: Arc<Sites>,
    database: &Database,
    index: Arc<ChunkIndex>,
    in_flight: InFlight,
    buffers: BufferPool,
) -> Result<Vec<Stripe>, UploadError> {
    let coding = database.coding().map_err(UploadError::Code)?;
    let code: Arc<dyn ErasureCode> =
        Arc::new(Reference::new(coding).map_err(|error| UploadError::Code(error.to_string()))?);
    let context = Arc::new(Context {
        sites,
        code,
        index,
        in_flight,
        buffers,
        database: database.name.clone(),
        placement: database.placement.clone(),
        coding,
    });
    let mut under_way = JoinSet::new();
    let mut done = BTreeMap::new();
    loop {
        while under_way.len() >= STRIPES_IN_FLIGHT {
            collect(&mut under_way, &mut done).await?;
        }
        match stripes.recv().await {
            Some(stripe) => drop(under_way.spawn(context.clone().store(stripe))),
            None if under_way.is_empty() => return Ok(done.into_values().collect()),
            None => collect(&mut under_way, &mut done).await?,
        }
    }
}

async fn collect(
    under_way: &mut JoinSet<Result<Stripe, UploadError>>,
    done: &mut BTreeMap<u64, Stripe>,
) -> Result<(), UploadError> {
    if let Some(finished) = under_way.join_next().await {
        let stripe = finished.map_err(|error| UploadError::Code(error.to_string()))??;
        done.insert(stripe.number, stripe);
    }
    Ok(())
}

struct Context {
    sites: Arc<Sites>,
    code: Arc<dyn ErasureCode>,
    index: Arc<ChunkIndex>,
    in_flight: InFlight,
    buffers: BufferPool,
    database: DatabaseName,
    placement: Vec<SiteName>,
    coding: CodingParameters,
}

impl Context {
    async fn store(self: Arc<Self>, full: FullStripe) -> Result<Stripe, UploadError> {
        let FullStripe { number, payload, chunks } = full;
        let payload_bytes = u32::try_from(payload.len()).map_err(|error| UploadError::Code(error.to_string()))?;
        let code = self.code.clone();
        let encoded = tokio::task::spawn_blocking(move || encode_stripe(code.as_ref(), payload)).await;
        let encoded = encoded.map_err(|error| UploadError::Code(error.to_string()))?;
        let encoded = encoded.map_err(|error| UploadError::Code(error.to_string()))?;
        let stored = self.bring(number, &encoded).await;
        let needed = self.coding.data_shards();
        let remaining = stored.iter().filter(|stored| **stored).count();
        if remaining < needed {
            let failures = self.sites.failures().into_values().collect::<Vec<_>>().join("; ");
            return Err(UploadError::TooFewSites { remaining, needed, failures });
        }
        let roots: Vec<u8> = encoded.roots().iter().flat_map(|root| *root.as_bytes()).collect();
        let shards =
            encoded.roots().iter().zip(stored).map(|(root, stored)| StripeShard { root: *root.as_bytes(), stored });
        let record = StripeRecord { payload_bytes, shards: shards.collect(), state: StripeState::Pending };
        drop(self.buffers.adopt(encoded.into_buffer()));
        let this = self.clone();
        let recorded = tokio::task::spawn_blocking(move || this.record(number, &record, &chunks)).await;
        recorded.map_err(|error| UploadError::Code(error.to_string()))??;
        Ok(Stripe { number, payload_bytes, roots })
    }

    /// From now on an interrupted backup finds these chunks again.
    fn record(
        &self,
        number: u64,
        record: &StripeRecord,
        chunks: &[([u8; 32], crate::chunk_index::Location)],
    ) -> Result<(), UploadError> {
        self.index.record_stripe(number, record, chunks)?;
        let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, _location) in chunks {
            in_flight.remove(id);
        }
        Ok(())
    }

    async fn bring(&self, number: u64, encoded: &EncodedStripe) -> Vec<bool> {
        let puts = self.placement.iter().enumerate().map(|(position, site)| async move {
            let Ok(shard_index) = u8::try_from(position) else { return false };
            let index = ShardIndex::new(shard_index);
            let (Some(shard), Some(root)) = (encoded.shard(index), encoded.roots().get(position)) else { return false };
            let Ok(bytes) = u32::try_from(shard.len()) else { return false };
            let database = self.database.clone();
            let request = Request::PutShard { database, stripe_number: number, shard_index, root: *root, bytes };
            self.sites.put(site, &request, shard).await
        });
        join_all(puts).await
    }
}
