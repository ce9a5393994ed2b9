//! Peers outside the charter: long enough on the line to show a release order, and only a few of them.

use std::time::Duration;

use protocol::wire::access::Caller;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::driver::Driver;
use crate::network::Mesh;
use crate::network::mesh::PeerEvent;

/// How long a peer outside the charter may stay without showing a release order.
pub(super) const STRANGER_STAY: Duration = Duration::from_secs(15);
/// Peers outside the charter at once.
const STRANGERS_MAX: usize = 32;

/// Keeps places for members that come, and lets strangers stay only a short while, and only a few of them: long enough to show a release order.
pub(super) async fn guard(driver: Driver, mesh: Mesh, mut events: mpsc::Receiver<PeerEvent>) {
    let mut stays = JoinSet::new();
    while let Some(event) = events.recv().await {
        while stays.try_join_next().is_some() {}
        let PeerEvent::Connected(key, from) = event else { continue };
        if driver.identify(key) != Caller::Stranger {
            if let Some(ip) = from {
                mesh.know(ip).await;
            }
            continue;
        }
        if stays.len() >= STRANGERS_MAX {
            mesh.disconnect(key).await;
            continue;
        }
        let (driver, mesh) = (driver.clone(), mesh.clone());
        stays.spawn(async move {
            tokio::time::sleep(STRANGER_STAY).await;
            if driver.identify(key) == Caller::Stranger {
                tracing::info!(peer = %key, "showed no release order in time: disconnected");
                mesh.disconnect(key).await;
            }
        });
    }
}
