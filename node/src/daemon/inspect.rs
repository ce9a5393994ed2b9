//! Looking into a site's directory while the site is not running.

use std::path::Path;

use protocol::document::{ReleaseNotice, ReleaseOrder};
use protocol::signature::Signed;
use serde::Serialize;

use super::StartError;
use super::driver::DriverError;
use crate::machine_state::{MachineState, RecordKind};
use crate::shard_store::ShardStore;

/// What a site holds.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// Shards in the store.
    pub shard_count: u64,
    /// Their bytes.
    pub shard_bytes: u64,
    /// Manifests known.
    pub manifest_count: usize,
    /// Shares held, sealed to this site.
    pub share_count: usize,
    /// Orders and releases, one line each.
    pub release_log: Vec<String>,
}

/// Reads the state and the store in `dir`.
///
/// # Errors
/// The site is running, or its files cannot be read.
pub fn inspect(dir: &Path) -> Result<Inspection, StartError> {
    let state = MachineState::open(&dir.join("state.redb")).map_err(DriverError::from)?;
    let load = |kind| state.load(kind).map_err(DriverError::from);
    let (store, _report) = ShardStore::open(&dir.join("store"))?;
    let mut release_log = Vec::new();
    for (_key, bytes) in load(RecordKind::Order)? {
        if let Ok(signed) = Signed::<ReleaseOrder>::decode(&bytes) {
            let order = signed.document();
            release_log.push(format!("order {}: {} ({:?})", signed.digest(), order.reason, order.purpose));
        }
    }
    for (_key, bytes) in load(RecordKind::Notice)? {
        if let Ok(signed) = Signed::<ReleaseNotice>::decode(&bytes) {
            let notice = signed.document();
            release_log.push(format!(
                "{} {} released its share of {} snapshot {} under order {}",
                notice.at, notice.site, notice.database, notice.sequence, notice.order
            ));
        }
    }
    Ok(Inspection {
        shard_count: store.count(),
        shard_bytes: store.stored_bytes_by_database().values().sum(),
        manifest_count: load(RecordKind::Manifest)?.len(),
        share_count: load(RecordKind::Share)?.iter().filter(|(_key, share)| !share.is_empty()).count(),
        release_log,
    })
}
