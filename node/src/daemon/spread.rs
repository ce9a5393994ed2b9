//! Bringing documents to the other sites, and asking them for what was missed.
//!
//! Pushing makes news quick, asking makes it sure: every site asks every other one whether it knows the same, and for what
//! it does not. So a site that was off learns what happened from whoever is there. While nothing happens the questions
//! are few ([`Dialogue`]).

use std::time::Duration;

use protocol::document::Site;
use protocol::host::{Brought, Dialogue, Input, PAUSE_MIN_MS};
use protocol::identifier::SiteName;
use protocol::machine::Announcement;
use protocol::wire::{Refusal, Request, Response};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;

use super::driver::Driver;
use crate::heard::Heard;
use crate::network::{CallError, Link, Mesh};

/// Announcements that wait for one slow site; beyond them it asks.
const BACKLOG: usize = 1_024;
/// How often it is looked whether the charter has changed.
const LOOK: Duration = Duration::from_secs(5);
/// Pause before a site that did not answer is called again.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(2);

/// Runs one task a site, and begins anew when the charter changes the sites.
pub(super) async fn run(
    driver: Driver,
    mesh: Mesh,
    me: SiteName,
    mut announcements: mpsc::Receiver<Announcement>,
    heard: Heard,
) {
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
            mesh.know_all(&addresses(&driver)).await;
            let sites: Vec<Site> = driver.read(|machines| machines.catalog.charter().active_sites().cloned().collect());
            for site in sites.into_iter().filter(|site| site.name != me) {
                let link = Link::new(mesh.clone(), &site);
                tasks.spawn(serve_site(driver.clone(), link, news.subscribe(), heard.clone()));
            }
        }
        while tasks.try_join_next().is_some() {}
        match tokio::time::timeout(LOOK, announcements.recv()).await {
            // Nobody listens when this site is the only one.
            Ok(Some(announcement)) => drop(news.send(announcement)),
            Ok(None) => return,
            Err(_quiet) => {}
        }
    }
}

/// Where the charter says that members are.
fn addresses(driver: &Driver) -> Vec<String> {
    driver.read(|machines| machines.catalog.charter().active_sites().flat_map(|site| site.addresses.clone()).collect())
}

async fn serve_site(driver: Driver, mut link: Link, mut news: broadcast::Receiver<Announcement>, heard: Heard) {
    let mut dialogue = Dialogue::default();
    loop {
        let pause_ms = ask(&driver, &mut link, &mut dialogue).await;
        let pause_ms = match pause_ms {
            Ok(pause_ms) => {
                heard.answered(link.name());
                pause_ms
            }
            Err(error) => {
                heard.failed(link.name(), &error);
                tracing::debug!(%error, "will ask again");
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                PAUSE_MIN_MS
            }
        };
        let round_ends = tokio::time::Instant::now() + Duration::from_millis(pause_ms);
        loop {
            match tokio::time::timeout_at(round_ends, news.recv()).await {
                Ok(Ok(announcement)) => {
                    let failed = match link.call(&Request::Announce(announcement)).await {
                        Ok(_done) => false,
                        // It knows better, or cannot follow yet: its own questions bring it what it lacks.
                        Err(error) => error.refusal().is_none(),
                    };
                    if failed {
                        dialogue.failed(None);
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

/// One round of questions to one site; returns the pause until the next one.
async fn ask(driver: &Driver, link: &mut Link, dialogue: &mut Dialogue) -> Result<u64, CallError> {
    let mut round = driver.read(|machines| dialogue.begin(machines));
    while let Some(request) = driver.read(|machines| round.next(machines)) {
        let response = match link.call(&request).await {
            Ok(response) => response,
            Err(CallError::Refused { refusal, .. }) => Response::Refused(refusal),
            Err(error) => {
                dialogue.failed(Some(round));
                return Err(error);
            }
        };
        // After an answer to another question there is no next one.
        let brought = driver.read(|machines| round.take(machines, response)).unwrap_or_else(|error| {
            tracing::debug!(site = %link.name(), %error, "the round ends");
            Vec::new()
        });
        let mut last = None;
        for one in brought {
            last = Some(tell(driver, one).await);
        }
        if let Some(told) = last {
            driver.read(|machines| round.told(machines, told.as_ref().copied()));
        }
    }
    Ok(driver.read(|machines| dialogue.ended(machines, round)))
}

async fn tell(driver: &Driver, brought: Brought) -> Result<(), Refusal> {
    let told = driver.ask(move |ticket| Input::brought(Some(ticket), brought)).await.map(drop);
    told.inspect_err(|refusal| tracing::debug!(%refusal, "not taken"))
}
