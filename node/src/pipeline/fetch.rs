//! Reading stripes from the fastest sites: any `data_shards` of n, every shard checked against its root.
//!
//! Requests go to the sites that were fastest so far. One that takes much longer than usual is hedged: the next site
//! is asked too, and whoever comes first counts. A site that serves wrong bytes is named and asked last from then on;
//! it can slow a restore, never spoil it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use protocol::document::LiveStripe;
use protocol::identifier::SiteName;
use protocol::wire::Request;
use shard_codec::reed_solomon::Reference;
use shard_codec::stripe::{UncheckedShard, VerifiedShard, decode_stripe, remake_shard};
use shard_codec::{Digest, ShardIndex, shard_tree};
use tokio::sync::Semaphore;

use crate::clock::Monotonic;
use crate::network::frame::FrameError;
use crate::network::{CallError, Dialer, Link};

/// Streams to one site.
const STREAMS_PER_SITE: usize = 3;
/// A shard that takes this many times the usual is hedged,
const HEDGE_FACTOR: u64 = 4;
/// but never before this,
const HEDGE_MIN: Duration = Duration::from_millis(1_500);
/// nor after this.
const HEDGE_MAX: Duration = Duration::from_secs(8);
/// What a site that is given up for now did.
const TOO_SLOW: &str = "did not answer in time";
/// Proof bytes beside a range: parents of the BLAKE3 tree.
const RANGE_PROOF_BYTES_MAX: usize = 1 << 20;

/// Why a stripe is not to be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Fewer than `data_shards` good shards.
    #[error("stripe {stripe}: {found} good shards of {needed} needed; missing: {}", .missing.join("; "))]
    TooFew {
        /// The stripe.
        stripe: u64,
        /// Good shards found.
        found: usize,
        /// Shards needed.
        needed: usize,
        /// Each site that gave none, and why.
        missing: Vec<String>,
    },
    /// Good shards that do not decode: a defect of this program.
    #[error("stripe {stripe} does not decode: {reason}")]
    Decode {
        /// The stripe.
        stripe: u64,
        /// Why.
        reason: String,
    },
}

struct Source {
    dialer: Dialer,
    free: tokio::sync::Mutex<Vec<Link>>,
    streams: Semaphore,
    standing: Mutex<Standing>,
}

/// What is known of a site in this run.
#[derive(Clone, Debug, Default)]
struct Standing {
    /// Microseconds per MiB, smoothed; 0 until the first answer.
    usual_us_per_mib: u64,
    faults: Vec<String>,
    /// It took a request and moved no byte until it was given up.
    is_silent: bool,
    bytes: u64,
}

/// Reads from a set of sites.
pub struct Fetcher {
    sources: BTreeMap<SiteName, Source>,
    wrong: Mutex<BTreeSet<(SiteName, Digest)>>,
}

impl Fetcher {
    /// A fetcher over these links.
    #[must_use]
    pub fn new(links: &BTreeMap<SiteName, Link>) -> Self {
        let source = |link: &Link| Source {
            dialer: link.dialer().clone(),
            free: tokio::sync::Mutex::new(Vec::new()),
            streams: Semaphore::new(STREAMS_PER_SITE),
            standing: Mutex::new(Standing::default()),
        };
        let sources = links.iter().map(|(name, link)| (name.clone(), source(link))).collect();
        Self { sources, wrong: Mutex::default() }
    }

    /// What each site did wrong in this run.
    #[must_use]
    pub fn faults(&self) -> BTreeMap<SiteName, Vec<String>> {
        let faults = self.sources.iter().map(|(name, source)| (name.clone(), source.standing().faults));
        faults.filter(|(_name, faults)| !faults.is_empty()).collect()
    }

    /// Shards that a site served wrongly in this run, by their roots.
    #[must_use]
    pub fn wrong(&self) -> BTreeSet<(SiteName, Digest)> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Bytes that each site served in this run.
    #[must_use]
    pub fn served_bytes(&self) -> BTreeMap<SiteName, u64> {
        self.sources.iter().map(|(name, source)| (name.clone(), source.standing().bytes)).collect()
    }

    /// Whether `site` took a request in this run and never answered.
    #[must_use]
    pub fn is_silent(&self, site: &SiteName) -> bool {
        self.sources.get(site).is_some_and(|source| source.standing().is_silent)
    }

    /// Sites that hold a shard of `live`, best first.
    fn candidates(&self, live: &LiveStripe, without: Option<&SiteName>) -> Vec<(SiteName, ShardIndex, Digest)> {
        let data_shards = live.layout.parameters().data_shards();
        let mut ranked: Vec<_> = (live.placement.iter())
            .filter(|name| Some(*name) != without)
            .filter_map(|name| {
                let (index, root) = live.shard_at(name)?;
                let standing = self.sources.get(name)?.standing();
                // Equal sites: data shards first, they need no decoding.
                let is_parity = index.as_usize() >= data_shards;
                let cost = standing.usual_us_per_mib + if is_parity { standing.usual_us_per_mib / 4 } else { 0 };
                Some(((standing.faults.len(), cost, is_parity), (name.clone(), index, root)))
            })
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_rank, candidate)| candidate).collect()
    }

    /// Any `data_shards` good shards of a stripe.
    ///
    /// # Errors
    /// Too few, with every site that failed.
    pub async fn shards(
        &self,
        live: &LiveStripe,
        without: Option<&SiteName>,
    ) -> Result<Vec<VerifiedShard>, FetchError> {
        let needed = live.layout.parameters().data_shards();
        let candidates = self.candidates(live, without);
        let hedge_after = self.hedge_after(&candidates, live.layout.shard_bytes());
        let mut waiting = candidates.into_iter();
        let mut running = FuturesUnordered::new();
        let mut unanswered = BTreeSet::new();
        let (mut good, mut missing) = (Vec::new(), self.absent(live));
        let mut to_ask = needed;
        while good.len() < needed {
            for candidate in waiting.by_ref().take(to_ask) {
                unanswered.insert(candidate.0.clone());
                running.push(async { (candidate.0.clone(), self.shard(live, candidate).await) });
            }
            to_ask = 0;
            if running.is_empty() {
                let stripe = live.stripe.number;
                return Err(FetchError::TooFew { stripe, found: good.len(), needed, missing });
            }
            match tokio::time::timeout(hedge_after, running.next()).await {
                Ok(Some((site, result))) => {
                    unanswered.remove(&site);
                    match result {
                        Ok(shard) => good.push(shard),
                        Err(why) => {
                            missing.push(why);
                            to_ask = 1;
                        }
                    }
                }
                Ok(None) => {}
                Err(_slow) => {
                    for source in unanswered.iter().filter_map(|site| self.sources.get(site)) {
                        source.blame(TOO_SLOW);
                    }
                    to_ask = 1;
                }
            }
        }
        Ok(good)
    }

    /// Sites of the placement that are not reached at all.
    fn absent(&self, live: &LiveStripe) -> Vec<String> {
        let absent = live.placement.iter().filter(|name| !self.sources.contains_key(*name));
        absent.map(|name| format!("{name}: not reached")).collect()
    }

    fn hedge_after(&self, candidates: &[(SiteName, ShardIndex, Digest)], shard_bytes: usize) -> Duration {
        let usual = |name: &SiteName| self.sources.get(name).map_or(0, |source| source.standing().usual_us_per_mib);
        let slowest = candidates.iter().map(|(name, _, _)| usual(name)).max().unwrap_or(0);
        let mib = (shard_bytes >> 20) as u64 + 1;
        Duration::from_micros(slowest * mib * HEDGE_FACTOR).clamp(HEDGE_MIN, HEDGE_MAX)
    }

    async fn shard(
        &self,
        live: &LiveStripe,
        (site, index, root): (SiteName, ShardIndex, Digest),
    ) -> Result<VerifiedShard, String> {
        let source = self.sources.get(&site).ok_or_else(|| format!("{site}: not reached"))?;
        let bytes = source.fetch(&Request::Shard { root }, live.layout.shard_bytes()).await;
        let bytes = bytes.map_err(|error| source.blame(&error.to_string()))?;
        UncheckedShard::new(index, bytes).verify(&root).map_err(|error| {
            let stripe = live.stripe.number;
            self.wrong.lock().unwrap_or_else(PoisonError::into_inner).insert((site.clone(), root));
            source.blame(&format!("site {site} served wrong bytes for shard {index} of stripe {stripe}: {error}"))
        })
    }

    /// The payload of a stripe.
    ///
    /// # Errors
    /// As [`Fetcher::shards`].
    pub async fn stripe(&self, live: &LiveStripe) -> Result<Vec<u8>, FetchError> {
        let shards = self.shards(live, None).await?;
        let (layout, stripe) = (live.layout, live.stripe.number);
        let decoded = tokio::task::spawn_blocking(move || {
            let code = Reference::new(layout.parameters()).map_err(|error| error.to_string())?;
            decode_stripe(&code, &layout, &shards).map_err(|error| error.to_string())
        });
        let decoded = decoded.await.unwrap_or_else(|error| Err(error.to_string()));
        decoded.map_err(|reason| FetchError::Decode { stripe, reason })
    }

    /// One shard made anew from others, without asking `site`, which lacks it.
    ///
    /// # Errors
    /// As [`Fetcher::shards`].
    pub async fn remake(&self, live: &LiveStripe, site: &SiteName, index: ShardIndex) -> Result<Vec<u8>, FetchError> {
        let shards = self.shards(live, Some(site)).await?;
        let (layout, stripe) = (live.layout, live.stripe.number);
        let remade = tokio::task::spawn_blocking(move || {
            let code = Reference::new(layout.parameters()).map_err(|error| error.to_string())?;
            remake_shard(&code, &layout, &shards, index).map_err(|error| error.to_string())
        });
        let remade = remade.await.unwrap_or_else(|error| Err(error.to_string()));
        remade.map_err(|reason| FetchError::Decode { stripe, reason })
    }

    /// A range of one data shard, proved against its root, from the one site that holds it. A site that did wrong
    /// before is not asked, and none is waited for long: any other `data_shards` sites do as well.
    ///
    /// # Errors
    /// What the site did; the caller reads the whole stripe instead.
    pub async fn range(&self, live: &LiveStripe, index: ShardIndex, range: Range<u64>) -> Result<Vec<u8>, String> {
        let site = live.placement.get(index.as_usize()).ok_or("no such shard")?;
        let source = self.sources.get(site).ok_or_else(|| format!("{site}: not reached"))?;
        if !source.standing().faults.is_empty() {
            return Err(format!("{site}: did wrong before"));
        }
        let root = live.stripe.root(index).ok_or("no such shard")?;
        let bytes = range.end.saturating_sub(range.start);
        let request = Request::ShardRange { root, offset: range.start, bytes };
        let bytes_max = usize::try_from(bytes).unwrap_or(usize::MAX).saturating_add(RANGE_PROOF_BYTES_MAX);
        let answer = tokio::time::timeout(HEDGE_MIN, source.fetch(&request, bytes_max)).await;
        let proof =
            answer.map_err(|_slow| source.blame(TOO_SLOW))?.map_err(|error| source.blame(&error.to_string()))?;
        let shard_bytes = live.layout.shard_bytes() as u64;
        shard_tree::verify_range(&root, shard_bytes, range, &proof)
            .map_err(|error| source.blame(&format!("site {site} served a range that does not prove: {error}")))
    }

    /// A whole shard from one site, for `verify`.
    ///
    /// # Errors
    /// What the site did.
    pub async fn shard_of(&self, live: &LiveStripe, site: &SiteName) -> Result<VerifiedShard, String> {
        let (index, root) = live.shard_at(site).ok_or("holds no shard of this stripe")?;
        self.shard(live, (site.clone(), index, root)).await
    }
}

impl Source {
    fn standing(&self) -> Standing {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn blame(&self, why: &str) -> String {
        tracing::debug!(why, "fault");
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if !standing.faults.iter().any(|known| known == why) {
            standing.faults.push(why.to_owned());
        }
        why.to_owned()
    }

    /// A link that is dropped half-way (hedged, and another came first) is not used again.
    async fn fetch(&self, request: &Request, bytes_max: usize) -> Result<Vec<u8>, CallError> {
        let _permit = self.streams.acquire().await;
        let free = self.free.lock().await.pop();
        let mut link = free.unwrap_or_else(|| self.dialer.link());
        let clock = Monotonic::start();
        let result = link.fetch(request, bytes_max).await;
        self.free.lock().await.push(link);
        if let Err(CallError::Stream { error: FrameError::Stalled, .. }) = &result {
            self.standing.lock().unwrap_or_else(PoisonError::into_inner).is_silent = true;
        }
        if let Ok(bytes) = &result {
            let kib = (bytes.len() as u64 >> 10).max(1);
            let us_per_mib = clock.elapsed_ms().max(1) * 1_000 * 1_024 / kib;
            let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
            standing.bytes += bytes.len() as u64;
            let usual = standing.usual_us_per_mib;
            standing.usual_us_per_mib = if usual == 0 { us_per_mib } else { (usual * 7 + us_per_mib) / 8 };
        }
        result
    }
}
