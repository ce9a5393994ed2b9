//! What a site says that it lacks: the other half of its receipts.

use serde::{Deserialize, Serialize};
use shard_codec::Digest;

use super::Document;
use crate::identifier::{DatabaseName, SiteName};
use crate::limits::{DOCUMENT_BYTES_MAX, INVENTORY_RUNS_MAX};
use crate::number_set::NumberSet;
use crate::timestamp::Timestamp;

/// One site's word about one database, as of a snapshot: it holds every shard and share that placement and custody give
/// it, but for those named. The newest replaces those before; a site that found a loss gives one before it asks others
/// for help, and one when it is whole again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// The state.
    pub state: Digest,
    /// Who says so.
    pub site: SiteName,
    /// The database.
    pub database: DatabaseName,
    /// The newest snapshot that the site has looked through; 0 while it is still looking, when only the losses count.
    pub sequence: u64,
    /// Numbers of stripes whose shard it lacks.
    pub missing_stripes: NumberSet,
    /// Snapshots whose share it lacks.
    pub missing_shares: NumberSet,
    /// By the site's own clock; later than the one before, whatever the clock says.
    pub at: Timestamp,
}

impl Document for Inventory {
    const KIND: &'static str = "inventory";
    const BYTES_MAX: usize = DOCUMENT_BYTES_MAX;

    fn validate(&self) -> Result<(), String> {
        self.missing_stripes.check(INVENTORY_RUNS_MAX)?;
        self.missing_shares.check(INVENTORY_RUNS_MAX)
    }
}
