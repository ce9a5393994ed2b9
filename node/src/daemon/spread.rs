//! Bringing documents to the other sites, and asking them for what was missed.
//!
//! Pushing makes news quick, asking makes it sure: every site asks every other one in turn for newer charters,
//! manifests, receipts and releases. So a site that was off learns what happened from whoever is there.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::catalog::History;
use protocol::document::Site;
use protocol::identifier::{DatabaseName, SiteName};
use protocol::limits::RUN_PAGES_MAX;
use protocol::machine::Announcement;
use protocol::signature::Signed;
use protocol::wire::{Refusal, RefusalCode, Request, Response};
use shard_codec::Digest;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;

use super::driver::{Driver, Input, announced};
use crate::network::{CallError, Link, Mesh};
use crate::pipeline::survey::documents;

/// Announcements that wait for one slow site; beyond them it asks.
const BACKLOG: usize = 1_024;
/// Pause between two rounds of questions to one site.
const ROUND: Duration = Duration::from_secs(5);
/// A site that was started again has its log in another order, so every so many rounds it is read from the beginning.
const ROUNDS_OF_ONE_LOG: u64 = 12;
/// Pages of the release log read from one site in one round; the next round goes on.
const LOG_PAGES_PER_ROUND: usize = 16;
/// Pause before a site that did not answer is called again.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(2);

/// Runs one task a site, and begins anew when the charter changes the sites.
pub(super) async fn run(driver: Driver, mesh: Mesh, me: SiteName, mut announcements: mpsc::Receiver<Announcement>) {
    let (news, _) = broadcast::channel(BACKLOG);
    let mut version = 0;
    let mut tasks = JoinSet::new();
    loop {
        let charter_version = driver.read(|machines| machines.catalog.charter().version);
        if charter_version != version {
            version = charter_version;
            tasks.abort_all();
            if !driver.read(|machines| machines.catalog.charter().active_sites().any(|site| site.name == me)) {
                tracing::error!("ALARM: charter version {version} has expelled this site: the others refuse it now");
            }
            let sites: Vec<Site> = driver.read(|machines| machines.catalog.charter().active_sites().cloned().collect());
            for site in sites.into_iter().filter(|site| site.name != me) {
                let link = Link::new(mesh.clone(), &site);
                tasks.spawn(serve_site(driver.clone(), link, news.subscribe()));
            }
        }
        while tasks.try_join_next().is_some() {}
        match tokio::time::timeout(ROUND, announcements.recv()).await {
            // Nobody listens when this site is the only one.
            Ok(Some(announcement)) => drop(news.send(announcement)),
            Ok(None) => return,
            Err(_quiet) => {}
        }
    }
}

async fn serve_site(driver: Driver, mut link: Link, mut news: broadcast::Receiver<Announcement>) {
    let mut log_position = 0;
    for round in 0_u64.. {
        if round % ROUNDS_OF_ONE_LOG == 0 {
            log_position = 0;
        }
        if let Err(error) = ask(&driver, &mut link, &mut log_position).await {
            tracing::debug!(%error, "will ask again");
            tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
        }
        let round_ends = tokio::time::Instant::now() + ROUND;
        loop {
            match tokio::time::timeout_at(round_ends, news.recv()).await {
                Ok(Ok(announcement)) => {
                    let failed = match link.call(&Request::Announce(announcement)).await {
                        Ok(_done) => false,
                        // It knows better, or cannot follow yet: its own questions bring it what it lacks.
                        Err(error) => error.refusal().is_none(),
                    };
                    if failed {
                        tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                        break;
                    }
                }
                Ok(Err(broadcast::error::RecvError::Lagged(_missed))) => {}
                Ok(Err(broadcast::error::RecvError::Closed)) => return,
                Err(_elapsed) => break,
            }
        }
    }
}

/// One round of questions to one site.
async fn ask(driver: &Driver, link: &mut Link, log_position: &mut u64) -> Result<(), CallError> {
    let next_version = driver.read(|machines| machines.catalog.charter().version + 1);
    for bytes in documents(link, &Request::Charters { from_version: next_version }).await? {
        let _refused = tell(driver, Announcement::Charter(bytes)).await;
    }
    for _page in 0..LOG_PAGES_PER_ROUND {
        let request = Request::ReleaseLog { from: *log_position };
        let Response::Announcements(entries) = link.call(&request).await? else { return Err(link.unexpected()) };
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            let _refused = tell(driver, entry).await;
            *log_position += 1;
        }
    }
    let heads: BTreeMap<DatabaseName, u64> = driver.read(|machines| {
        let catalog = &machines.catalog;
        let head = |name: &DatabaseName| catalog.history(name).map_or(0, History::head_sequence);
        catalog.charter().databases.iter().map(|entry| (entry.name.clone(), head(&entry.name))).collect()
    });
    for (database, head) in heads {
        catch_up(driver, link, &database, head).await?;
    }
    Ok(())
}

async fn catch_up(driver: &Driver, link: &mut Link, database: &DatabaseName, head: u64) -> Result<(), CallError> {
    let request = Request::Head { database: database.clone() };
    let Response::Head(theirs) = link.call(&request).await? else { return Err(link.unexpected()) };
    let Some((their_head, their_digest)) = theirs else { return Ok(()) };
    follow(driver, link, database, head, their_head).await?;
    look_for_fork(driver, link, database, their_head, their_digest).await?;
    // Receipts of the newest snapshot are what decides whether it is durable; older ones came with their news.
    let (sequence, ours) = driver.read(|machines| {
        let history = machines.catalog.history(database);
        let sequence = history.map_or(0, History::head_sequence);
        (sequence, history.map_or(0, |history| history.receipts(sequence).count()))
    });
    let sites = driver.read(|machines| machines.catalog.charter().active_sites().count());
    if sequence > 0 && ours < sites {
        let request = Request::Receipts { database: database.clone(), sequence };
        for bytes in documents(link, &request).await? {
            let _refused = tell(driver, Announcement::Receipt(bytes)).await;
        }
    }
    Ok(())
}

/// Takes the manifests that are missing here, page by page. When nothing of a page is taken, the one that vouches for it
/// may stand in a later page: the run is given to the machine again as it grows, for a few pages.
async fn follow(
    driver: &Driver,
    link: &mut Link,
    database: &DatabaseName,
    head: u64,
    their_head: u64,
) -> Result<(), CallError> {
    let (mut reached, mut run, mut pages) = (head, Vec::new(), 0);
    while reached + (run.len() as u64) < their_head && pages < RUN_PAGES_MAX {
        let from_sequence = reached + run.len() as u64 + 1;
        let request = Request::Manifests { database: database.clone(), from_sequence };
        let page = documents(link, &request).await?;
        if page.is_empty() {
            break;
        }
        run.extend(page);
        pages += 1;
        let told = tell(driver, Announcement::Manifests(run.clone())).await;
        let here = driver.read(|machines| machines.catalog.history(database).map_or(0, History::head_sequence));
        if here > reached {
            let taken = usize::try_from(here - reached).unwrap_or(usize::MAX);
            run.drain(..taken.min(run.len()));
            (reached, pages) = (here, 0);
        } else if !told.is_err_and(|refusal| refusal.code == RefusalCode::Manifest) {
            break; // it shows nothing that is of use here
        }
    }
    Ok(())
}

/// A site whose head is not in the history held here follows another branch: its first other manifest is the proof.
async fn look_for_fork(
    driver: &Driver,
    link: &mut Link,
    database: &DatabaseName,
    their_head: u64,
    their_digest: Digest,
) -> Result<(), CallError> {
    let (agrees, is_known, head) = driver.read(|machines| {
        let Some(history) = machines.catalog.history(database) else { return (true, false, 0) };
        let ours = history.manifest(their_head).map(Signed::digest);
        (ours == Some(their_digest), history.forks().next().is_some(), history.head_sequence())
    });
    let mut from_sequence = 1;
    while !agrees && !is_known && from_sequence <= head {
        let request = Request::Manifests { database: database.clone(), from_sequence };
        let manifests = documents(link, &request).await?;
        if manifests.is_empty() {
            break;
        }
        from_sequence += manifests.len() as u64;
        if tell(driver, Announcement::Manifests(manifests)).await.is_err() {
            return Ok(()); // the proof is made and spread, or the site shows rubbish
        }
    }
    Ok(())
}

async fn tell(driver: &Driver, announcement: Announcement) -> Result<(), Refusal> {
    let make = move |ticket| -> Input { announced(Some(ticket), announcement) };
    let told = driver.ask(make).await.map(|_done| ());
    told.inspect_err(|refusal| tracing::debug!(%refusal, "not taken"))
}
