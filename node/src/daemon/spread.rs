//! Bringing documents to the other sites, and asking them for what was missed.
//!
//! Pushing makes news quick, asking makes it sure: every site asks every other one in turn for newer charters,
//! manifests, proofs of forks, receipts and releases. So a site that was off learns what happened from whoever is there.

use std::time::Duration;

use protocol::document::Site;
use protocol::host::{Input, Round};
use protocol::identifier::SiteName;
use protocol::machine::Announcement;
use protocol::wire::{Refusal, Request};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;

use super::driver::Driver;
use crate::network::{CallError, Link, Mesh};

/// Announcements that wait for one slow site; beyond them it asks.
const BACKLOG: usize = 1_024;
/// Pause between two rounds of questions to one site.
const ROUND: Duration = Duration::from_secs(5);
/// A site that was started again has its log in another order, so every so many rounds it is read from the beginning.
const ROUNDS_OF_ONE_LOG: u64 = 12;
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
    let mut round = Round::new(*log_position);
    while let Some(request) = driver.read(|machines| round.next(&machines.catalog)) {
        let response = link.call(&request).await?;
        let taken = driver.read(|machines| round.take(&machines.catalog, response));
        let mut last = None;
        for announcement in taken.map_err(|_unexpected| link.unexpected())? {
            last = Some(tell(driver, announcement).await);
        }
        *log_position = round.log_position();
        if let Some(told) = last {
            driver.read(|machines| round.told(&machines.catalog, told.as_ref().copied()));
        }
    }
    Ok(())
}

async fn tell(driver: &Driver, announcement: Announcement) -> Result<(), Refusal> {
    let told = driver.ask(move |ticket| Input::announced(Some(ticket), announcement)).await.map(drop);
    told.inspect_err(|refusal| tracing::debug!(%refusal, "not taken"))
}
