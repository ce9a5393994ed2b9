//! Remaking one shard: fetch from any `data_shards` helpers, check, remake, check again, store. If the file is there and
//! only ranges of it are bad, only these are fetched.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use protocol::identifier::SiteName;
use protocol::machine::{Announcement, SiteKeys};
use protocol::repair::{Helper, Job, Outcome};
use protocol::signature::Signed;
use protocol::wire::{RefusalCode, Request};
use shard_codec::ShardIndex;
use shard_codec::reed_solomon::Reference;
use shard_codec::shard_tree::range_proof_bytes;
use shard_codec::stripe::{UncheckedShard, VerifiedColumns, VerifiedShard, decode_columns, remake_shard};

use super::driver::Driver;
use super::work::Peers;
use crate::network::CallError;
use crate::shard_store::{Damage, Put, PutError, PutRequest, ShardStore};

/// What went wrong with one helper.
enum HelperFault {
    /// It sent other bytes.
    Lied(Helper),
    /// It gave none.
    Failed(String),
}

/// What came from others.
#[derive(Default)]
struct Fetched {
    bytes: u64,
    liars: Vec<SiteName>,
}

/// Remakes shards of this site.
pub(super) struct Mender {
    driver: Driver,
    peers: Arc<Peers>,
    store: ShardStore,
    keys: Arc<SiteKeys>,
}

impl Mender {
    pub(super) fn new(driver: Driver, peers: Arc<Peers>, store: ShardStore, keys: Arc<SiteKeys>) -> Self {
        Self { driver, peers, store, keys }
    }

    pub(super) async fn mend(&self, job: &Job) -> Outcome {
        let mut fetched = Fetched::default();
        let written = match self.damage(job).await {
            Ok(Some(ranges)) => self.mend_ranges(job, ranges, &mut fetched).await,
            Ok(None) => self.mend_whole(job, &mut fetched).await,
            Err(why) => Err(why),
        };
        let Fetched { bytes, liars } = fetched;
        match written {
            Ok(written_bytes) => Outcome::Mended { fetched_bytes: bytes, written_bytes, liars },
            Err(why) => Outcome::Failed { liars, why },
        }
    }

    /// The bad ranges of the shard's file; `None` if nothing of it can be used.
    async fn damage(&self, job: &Job) -> Result<Option<Vec<Range<u64>>>, String> {
        let (store, root) = (self.store.clone(), job.shard.root);
        let damage = blocking(move || store.damage(&root).map_err(|error| error.to_string())).await?;
        Ok(match damage {
            Some(Damage::Ranges(ranges)) => Some(ranges),
            Some(Damage::Whole) | None => None,
        })
    }

    async fn mend_whole(&self, job: &Job, fetched: &mut Fetched) -> Result<u64, String> {
        let shards = self.fetch(job, fetched, |helper| self.shard_from(job, helper)).await?;
        self.store(job, shards).await
    }

    /// Only the columns that are bad come from the others.
    async fn mend_ranges(&self, job: &Job, ranges: Vec<Range<u64>>, fetched: &mut Fetched) -> Result<u64, String> {
        let (parameters, index) = (job.layout.parameters(), ShardIndex::new(job.shard.shard_index));
        let mut remade = Vec::new();
        for range in ranges {
            let columns = self.fetch(job, fetched, |helper| self.columns_from(job, helper, range.clone())).await?;
            let bytes = blocking(move || {
                let code = Reference::new(parameters).map_err(|error| error.to_string())?;
                decode_columns(&code, index, &columns).map_err(|error| error.to_string())
            });
            remade.push((range.start, bytes.await?));
        }
        let (store, root) = (self.store.clone(), job.shard.root);
        // The file is written whole beside the old one, so that no crash leaves half of it.
        blocking(move || store.mend(&root, &remade).map_err(|error| error.to_string())).await?;
        Ok(job.layout.shard_bytes() as u64)
    }

    /// One part from each of `data_shards` helpers; whoever fails is replaced by the next.
    async fn fetch<'a, T, F>(
        &self,
        job: &'a Job,
        fetched: &mut Fetched,
        part_from: impl Fn(&'a Helper) -> F,
    ) -> Result<Vec<T>, String>
    where
        F: Future<Output = Result<(T, u64), HelperFault>>,
    {
        let needed = job.layout.parameters().data_shards();
        let trusted = job.helpers.iter().filter(|helper| !fetched.liars.contains(&helper.site));
        let mut waiting: VecDeque<&Helper> = trusted.collect();
        let first = waiting.len().min(needed);
        let mut running: FuturesUnordered<_> = waiting.drain(..first).map(&part_from).collect();
        let (mut good, mut missing) = (Vec::new(), Vec::new());
        while good.len() < needed {
            match running.next().await {
                Some(Ok((part, bytes))) => {
                    fetched.bytes += bytes;
                    good.push(part);
                    continue;
                }
                Some(Err(HelperFault::Lied(helper))) => {
                    missing.push(format!("{} sent wrong bytes", helper.site));
                    fetched.liars.push(helper.site);
                }
                Some(Err(HelperFault::Failed(why))) => missing.push(why),
                None => {
                    let good = good.len();
                    return Err(format!("{good} of {needed} parts that are needed; missing: {}", missing.join("; ")));
                }
            }
            running.extend(waiting.pop_front().map(&part_from));
        }
        Ok(good)
    }

    async fn shard_from(&self, job: &Job, helper: &Helper) -> Result<(VerifiedShard, u64), HelperFault> {
        let bytes = self.ask(job, helper, None, job.layout.shard_bytes()).await.map_err(HelperFault::Failed)?;
        let (index, root, count) = (helper.shard_index, helper.root, bytes.len() as u64);
        let verified = tokio::task::spawn_blocking(move || UncheckedShard::new(index, bytes).verify(&root)).await;
        let verified = verified.map_err(|error| HelperFault::Failed(error.to_string()))?;
        verified.map(|shard| (shard, count)).map_err(|_mismatch| HelperFault::Lied(helper.clone()))
    }

    async fn columns_from(
        &self,
        job: &Job,
        helper: &Helper,
        range: Range<u64>,
    ) -> Result<(VerifiedColumns, u64), HelperFault> {
        let shard_bytes = job.layout.shard_bytes() as u64;
        let proof_bytes = range_proof_bytes(shard_bytes, range.clone());
        let proof_bytes = proof_bytes.map_err(|error| HelperFault::Failed(error.to_string()))?;
        let columns = Some((range.start, range.end - range.start));
        let bytes_max = usize::try_from(proof_bytes).unwrap_or(usize::MAX);
        let proof = self.ask(job, helper, columns, bytes_max).await.map_err(HelperFault::Failed)?;
        let verified = VerifiedColumns::verify(helper.shard_index, &helper.root, shard_bytes, range, &proof);
        let count = proof.len() as u64;
        verified.map(|columns| (columns, count)).map_err(|_mismatch| HelperFault::Lied(helper.clone()))
    }

    /// Asks a helper; one that has not heard yet what this site lacks is told first.
    async fn ask(
        &self,
        job: &Job,
        helper: &Helper,
        columns: Option<(u64, u64)>,
        bytes_max: usize,
    ) -> Result<Vec<u8>, String> {
        let request = Request::Columns {
            database: job.shard.database.clone(),
            stripe_number: job.shard.stripe_number,
            shard_index: helper.shard_index.get(),
            root: helper.root,
            columns,
        };
        let site = &helper.site;
        let mut link = self.peers.take(site).await.ok_or_else(|| format!("{site} is no member any more"))?;
        let mut answer = link.fetch(&request, bytes_max).await;
        let is_untold =
            |error: &CallError| error.refusal().is_some_and(|refusal| refusal.code == RefusalCode::NotAllowed);
        if answer.as_ref().is_err_and(is_untold) {
            let database = &job.shard.database;
            let inventory =
                self.driver.read(|machines| machines.evidence.inventory(database, &self.keys.name).map(Signed::encode));
            if let Some(inventory) = inventory {
                let told = link.call(&Request::Announce(Announcement::Inventory(inventory.into()))).await;
                told.map_err(|error| error.to_string())?;
                answer = link.fetch(&request, bytes_max).await;
            }
        }
        let bytes = answer.map_err(|error| error.to_string())?;
        self.peers.give_back(link).await;
        Ok(bytes)
    }

    async fn store(&self, job: &Job, shards: Vec<VerifiedShard>) -> Result<u64, String> {
        let (layout, shard, store) = (job.layout, job.shard.clone(), self.store.clone());
        let quota_bytes = self.driver.read(|machines| {
            machines.catalog.charter().database(&shard.database).map_or(u64::MAX, |database| database.quota_bytes)
        });
        blocking(move || {
            let code = Reference::new(layout.parameters()).map_err(|error| error.to_string())?;
            let index = ShardIndex::new(shard.shard_index);
            let remade = remake_shard(&code, &layout, &shards, index).map_err(|error| error.to_string())?;
            let put = PutRequest {
                root: shard.root,
                bytes: remade.len() as u64,
                database: shard.database.to_string(),
                quota_bytes,
                stripe_number: shard.stripe_number,
                shard_index: index,
            };
            put_shard(&store, put, &remade).map_err(|error| error.to_string())
        })
        .await
    }
}

/// Runs what computes or waits for the disk beside the tasks that wait for the network.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()))
}

/// Bytes written: none if the shard came back by itself.
fn put_shard(store: &ShardStore, put: PutRequest, bytes: &[u8]) -> Result<u64, PutError> {
    match store.begin(put)? {
        Put::AlreadyStored => Ok(0),
        Put::Writer(mut incoming) => {
            incoming.write(bytes)?;
            incoming.commit().map(|_stored| bytes.len() as u64)
        }
    }
}
