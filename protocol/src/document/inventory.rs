//! What a site says that it lacks: the other half of its receipts.

use serde::{Deserialize, Serialize};
use shard_codec::Digest;

use super::{DEALT_EPOCH, Document};
use crate::identifier::{DatabaseName, SiteName};
use crate::limits::{INVENTORY_BYTES_MAX, INVENTORY_RUNS_MAX, LET_GO_RUNS_MAX};
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
    /// Of the blocks of snapshots the newest epoch that the site knows, which its shares are of: an epoch, and for how many
    /// blocks from the last one on it holds. Blocks behind them have the shares that home dealt; not written if all have.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "crate::wire::page::deserialize")]
    pub epochs: Vec<(u64, u64)>,
    /// Snapshots that nothing keeps any more by this site's own clock, and that are not let go yet. Not written if there are
    /// none.
    #[serde(default, skip_serializing_if = "NumberSet::is_empty")]
    pub expired: NumberSet,
    /// Snapshots that this site knows the sites have let go. Not written if there are none.
    #[serde(default, skip_serializing_if = "NumberSet::is_empty")]
    pub let_go: NumberSet,
    /// By the site's own clock; later than the one before, whatever the clock says.
    pub at: Timestamp,
}

impl Inventory {
    /// The epoch of the shares that the site speaks of.
    #[must_use]
    pub fn epoch_of(&self, block: u64) -> u64 {
        let mut end = 0_u64;
        let named = self.epochs.iter().find(|(_epoch, count)| {
            end = end.saturating_add(*count);
            block < end
        });
        named.map_or(DEALT_EPOCH, |(epoch, _count)| *epoch)
    }
}

impl Document for Inventory {
    const KIND: &'static str = "inventory";
    const BYTES_MAX: usize = INVENTORY_BYTES_MAX;

    fn validate(&self) -> Result<(), String> {
        self.missing_stripes.check(INVENTORY_RUNS_MAX)?;
        self.missing_shares.check(INVENTORY_RUNS_MAX)?;
        self.expired.check(INVENTORY_RUNS_MAX)?;
        self.let_go.check(LET_GO_RUNS_MAX)
    }
}
