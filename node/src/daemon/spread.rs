//! Bringing documents to the other sites, and asking them for what was missed.
//!
//! Pushing makes news quick, asking makes it sure: every site asks every other one in turn for newer charters,
//! manifests, receipts and releases. So a site that was off learns what happened from whoever is there.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::catalog::History;
use protocol::document::Site;
use protocol::identifier::{DatabaseName, SiteName};
use protocol::machine::Announcement;
use protocol::wire::{Request, Response};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;

use super::driver::{Driver, Input};
use super::server::announced;
use crate::network::{CallError, Link, Mesh};
use crate::pipeline::survey::documents;

/// Announcements that wait for one slow site; beyond them it asks.
const BACKLOG: usize = 1_024;
/// Pause between two rounds of questions to one site.
const ROUND: Duration = Duration::from_secs(5);
/// How long news waits for company before a site is called.
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
    loop {
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
        tell(driver, Announcement::Charter(bytes)).await;
    }
    loop {
        let request = Request::ReleaseLog { from: *log_position };
        let Response::Announcements(entries) = link.call(&request).await? else { return Err(link.unexpected()) };
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            tell(driver, entry).await;
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
    let Some((their_head, _digest)) = theirs else { return Ok(()) };
    let mut from_sequence = head + 1;
    while from_sequence <= their_head {
        let request = Request::Manifests { database: database.clone(), from_sequence };
        let manifests = documents(link, &request).await?;
        if manifests.is_empty() {
            break;
        }
        from_sequence += manifests.len() as u64;
        for bytes in manifests {
            tell(driver, Announcement::Manifest(bytes)).await;
        }
    }
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
            tell(driver, Announcement::Receipt(bytes)).await;
        }
    }
    Ok(())
}

async fn tell(driver: &Driver, announcement: Announcement) {
    let make = move |ticket| -> Input { announced(Some(ticket), announcement) };
    if let Err(refusal) = driver.ask(make).await {
        tracing::debug!(%refusal, "not taken");
    }
}
