//! Remaking one shard: fetch from any `data_shards` helpers, check, remake, check again, store.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use protocol::machine::{Announcement, SiteKeys};
use protocol::repair::{Helper, Job, Outcome};
use protocol::signature::Signed;
use protocol::wire::{RefusalCode, Request};
use shard_codec::ShardIndex;
use shard_codec::reed_solomon::Reference;
use shard_codec::stripe::{UncheckedShard, VerifiedShard, remake_shard};

use super::driver::Driver;
use super::work::Peers;
use crate::network::CallError;
use crate::shard_store::{Put, PutError, PutRequest, ShardStore};

/// What went wrong with one helper.
enum HelperFault {
    /// It sent other bytes.
    Lied(Helper),
    /// It gave none.
    Failed(String),
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
        let (mut liars, mut fetched_bytes) = (Vec::new(), 0);
        let shards = self.fetch(job, &mut liars, &mut fetched_bytes).await;
        let stored = match shards {
            Ok(shards) => self.store(job, shards).await,
            Err(why) => Err(why),
        };
        match stored {
            Ok(written_bytes) => Outcome::Mended { fetched_bytes, written_bytes, liars },
            Err(why) => Outcome::Failed { liars, why },
        }
    }

    async fn fetch(
        &self,
        job: &Job,
        liars: &mut Vec<protocol::identifier::SiteName>,
        fetched_bytes: &mut u64,
    ) -> Result<Vec<VerifiedShard>, String> {
        let needed = job.layout.parameters().data_shards();
        let mut waiting = job.helpers.iter();
        let mut running: FuturesUnordered<_> =
            waiting.by_ref().take(needed).map(|helper| self.fetch_from(job, helper)).collect();
        let (mut good, mut missing) = (Vec::new(), Vec::new());
        while good.len() < needed {
            match running.next().await {
                Some(Ok(shard)) => {
                    *fetched_bytes += job.layout.shard_bytes() as u64;
                    good.push(shard);
                    continue;
                }
                Some(Err(HelperFault::Lied(helper))) => {
                    *fetched_bytes += job.layout.shard_bytes() as u64;
                    missing.push(format!("{} sent wrong bytes", helper.site));
                    liars.push(helper.site);
                }
                Some(Err(HelperFault::Failed(why))) => missing.push(why),
                None => {
                    let good = good.len();
                    return Err(format!("{good} good shards of {needed} needed; missing: {}", missing.join("; ")));
                }
            }
            running.extend(waiting.next().map(|helper| self.fetch_from(job, helper)));
        }
        Ok(good)
    }

    async fn fetch_from(&self, job: &Job, helper: &Helper) -> Result<VerifiedShard, HelperFault> {
        let request = Request::Columns {
            database: job.shard.database.clone(),
            stripe_number: job.shard.stripe_number,
            shard_index: helper.shard_index.get(),
            root: helper.root,
            columns: None,
        };
        let bytes = self.ask(job, helper, &request).await.map_err(HelperFault::Failed)?;
        let (index, root) = (helper.shard_index, helper.root);
        let verified = tokio::task::spawn_blocking(move || UncheckedShard::new(index, bytes).verify(&root)).await;
        let verified = verified.map_err(|error| HelperFault::Failed(error.to_string()))?;
        verified.map_err(|_mismatch| HelperFault::Lied(helper.clone()))
    }

    /// Asks a helper; one that has not heard yet what this site lacks is told first.
    async fn ask(&self, job: &Job, helper: &Helper, request: &Request) -> Result<Vec<u8>, String> {
        let site = &helper.site;
        let mut link = self.peers.take(site).await.ok_or_else(|| format!("{site} is no member any more"))?;
        let bytes_max = job.layout.shard_bytes();
        let mut answer = link.fetch(request, bytes_max).await;
        let is_untold =
            |error: &CallError| error.refusal().is_some_and(|refusal| refusal.code == RefusalCode::NotAllowed);
        if answer.as_ref().is_err_and(is_untold) {
            let database = &job.shard.database;
            let inventory =
                self.driver.read(|machines| machines.evidence.inventory(database, &self.keys.name).map(Signed::encode));
            if let Some(inventory) = inventory {
                let told = link.call(&Request::Announce(Announcement::Inventory(inventory.into()))).await;
                told.map_err(|error| error.to_string())?;
                answer = link.fetch(request, bytes_max).await;
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
        let stored = tokio::task::spawn_blocking(move || -> Result<u64, String> {
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
        });
        stored.await.unwrap_or_else(|error| Err(error.to_string()))
    }
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
