//! The status over HTTP: on a socket in the site's folder for the commands of this machine, and on an address for
//! monitoring if asked for. Read only; nobody can change anything here.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use protocol::identifier::SiteName;

use super::driver::Driver;
use crate::clock;
use crate::heard::Heard;
use crate::shard_store::ShardStore;
use crate::status::text::screen;
use crate::status::{Expectations, Severity, SiteStatus, Sources, look, metrics};

/// Name of the socket in the site's folder.
pub const SOCKET: &str = "status.sock";

/// What a status is made of.
#[derive(Clone)]
pub(super) struct Watcher {
    pub(super) driver: Driver,
    pub(super) store: ShardStore,
    pub(super) me: SiteName,
    pub(super) heard: Heard,
    pub(super) expectations: Arc<Expectations>,
    pub(super) started_ms: u64,
}

impl Watcher {
    /// Looks now.
    pub(super) fn look(&self) -> SiteStatus {
        let (heard, scrub, free_bytes) = (self.heard.table(), self.store.scrub_progress(), self.store.free_bytes());
        self.driver.read(|machines| {
            look(&Sources {
                machines,
                me: &self.me,
                heard: &heard,
                expectations: &self.expectations,
                scrub,
                free_bytes,
                started_ms: self.started_ms,
                now_ms: clock::now_ms(),
            })
        })
    }

    /// Looks beside the tasks that wait for the network: a ledger of many snapshots takes its time.
    async fn looked(&self) -> Result<SiteStatus, StatusCode> {
        let watcher = self.clone();
        tokio::task::spawn_blocking(move || watcher.look()).await.map_err(|_defect| StatusCode::INTERNAL_SERVER_ERROR)
    }
}

fn router(watcher: Watcher) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/status.txt", get(status_text))
        .route("/metrics", get(metrics_text))
        .route("/healthz", get(health))
        .with_state(watcher)
}

async fn status(State(watcher): State<Watcher>) -> Result<Response, StatusCode> {
    let status = watcher.looked().await?;
    let json = serde_json::to_string(&status).map_err(|_defect| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

async fn status_text(State(watcher): State<Watcher>) -> Result<Response, StatusCode> {
    Ok(screen(&watcher.looked().await?).into_response())
}

async fn metrics_text(State(watcher): State<Watcher>) -> Result<Response, StatusCode> {
    let text = metrics::text(&watcher.looked().await?).map_err(|_defect| StatusCode::INTERNAL_SERVER_ERROR)?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// 200 while there is no alarm; 503 with the alarms otherwise. Warnings do not count.
async fn health(State(watcher): State<Watcher>) -> Result<Response, StatusCode> {
    let alarms = watcher.looked().await?.alarms.into_iter().filter(|alarm| alarm.severity == Severity::Alarm);
    let lines: Vec<String> = alarms.map(|alarm| format!("{}: {}", alarm.code, alarm.text)).collect();
    let code = if lines.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((code, lines.join("\n")).into_response())
}

/// Serves the socket in `dir`, and `address` if there is one, for ever.
///
/// # Errors
/// The socket or the address cannot be had.
pub(super) async fn serve(
    watcher: Watcher,
    dir: &Path,
    address: Option<std::net::SocketAddr>,
) -> Result<impl Future<Output = ()> + Send + use<>, std::io::Error> {
    let path = dir.join(SOCKET);
    // Left behind by a process that was killed; the lock of the store says that no other one runs.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let local = tokio::net::UnixListener::bind(&path)?;
    let outside = match address {
        Some(address) => Some(tokio::net::TcpListener::bind(address).await?),
        None => None,
    };
    let router = router(watcher);
    Ok(async move {
        let served = match outside {
            Some(outside) => {
                let (one, other) = (router.clone(), router);
                tokio::try_join!(axum::serve(local, one).into_future(), axum::serve(outside, other).into_future())
                    .map(|_never| ())
            }
            None => axum::serve(local, router).await,
        };
        if let Err(error) = served {
            tracing::error!(%error, "the status is not served any more");
        }
    })
}
