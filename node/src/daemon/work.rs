//! What the machines want done beside their loop: questions to other sites, and shards remade from theirs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::host::Input;
use protocol::identifier::SiteName;
use protocol::machine::{SiteKeys, Ticket};
use protocol::repair::{self, Job, Outcome};
use protocol::wire::Request;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::driver::Driver;
use super::mend::Mender;
use crate::network::{CallError, Link, Mesh};
use crate::shard_store::ShardStore;

/// A site that has not answered a challenge by then does not count as having answered.
const ANSWER_LIMIT: Duration = Duration::from_secs(45);
/// Idle streams kept to one site.
const LINKS_PER_SITE_MAX: usize = 8;

/// Something to do.
#[derive(Debug)]
pub enum Work {
    /// Ask a site, and tell the machines what came back.
    Ask {
        /// For the machines.
        ticket: Ticket,
        /// Whom.
        site: SiteName,
        /// What.
        request: Box<Request>,
    },
    /// Remake a shard, and tell the machines how it ended.
    Repair(Box<Job>),
}

/// Links to the other sites, kept open for the next use.
pub(super) struct Peers {
    driver: Driver,
    mesh: Mesh,
    idle: Mutex<BTreeMap<SiteName, Vec<Link>>>,
}

impl Peers {
    pub(super) fn new(driver: Driver, mesh: Mesh) -> Self {
        Self { driver, mesh, idle: Mutex::new(BTreeMap::new()) }
    }

    /// A link to a site of the charter; `None` if it is no member any more.
    pub(super) async fn take(&self, site: &SiteName) -> Option<Link> {
        let idle = self.idle.lock().await.get_mut(site).and_then(Vec::pop);
        idle.or_else(|| {
            let entry = self.driver.read(|machines| machines.catalog.charter().active_site(site).cloned())?;
            Some(Link::new(self.mesh.clone(), &entry))
        })
    }

    /// For the next use; not after a call that was given up half-way.
    pub(super) async fn give_back(&self, link: Link) {
        let mut idle = self.idle.lock().await;
        let of_site = idle.entry(link.name().clone()).or_default();
        if of_site.len() < LINKS_PER_SITE_MAX {
            of_site.push(link);
        }
    }
}

/// Does what comes until the site stops. The machines bound how much is under way at once.
pub(super) async fn run(
    driver: Driver,
    mesh: Mesh,
    store: ShardStore,
    keys: Arc<SiteKeys>,
    mut work: mpsc::UnboundedReceiver<Work>,
) {
    let peers = Arc::new(Peers::new(driver.clone(), mesh));
    let mender = Arc::new(Mender::new(driver.clone(), peers.clone(), store, keys));
    let mut tasks = JoinSet::new();
    while let Some(next) = work.recv().await {
        while tasks.try_join_next().is_some() {}
        let (driver, peers, mender) = (driver.clone(), peers.clone(), mender.clone());
        match next {
            Work::Ask { ticket, site, request } => {
                tasks.spawn(async move {
                    let response = ask(&peers, &site, &request).await;
                    driver.tell(Input::Answered { ticket, response }).await;
                });
            }
            Work::Repair(job) => {
                tasks.spawn(async move {
                    let shard = job.shard.clone();
                    // A defect in one repair must not stop the others, nor leave the machine waiting for its end.
                    let ended = tokio::spawn(async move { mender.mend(&job).await }).await;
                    let outcome = ended.unwrap_or_else(|error| {
                        tracing::error!(%error, "a repair failed by a defect");
                        Outcome::Failed { liars: Vec::new(), why: "a defect of this program".to_owned() }
                    });
                    driver.tell(Input::Repair(repair::Input::Ended { shard, outcome })).await;
                });
            }
        }
    }
}

/// What the site answers; `None` if nothing in time, or a refusal, which proves nothing.
async fn ask(peers: &Peers, site: &SiteName, request: &Request) -> Option<protocol::wire::Response> {
    let mut link = peers.take(site).await?;
    let answer = tokio::time::timeout(ANSWER_LIMIT, link.call(request)).await.ok()?;
    match answer {
        Ok(response) => {
            peers.give_back(link).await;
            Some(response)
        }
        Err(error @ CallError::Refused { .. }) => {
            tracing::debug!(%error, "not answered");
            peers.give_back(link).await;
            None
        }
        Err(error) => {
            tracing::debug!(%error, "not answered");
            None
        }
    }
}
