//! A helper's masks for the recovery of lost shares, signed so that whoever lost them cannot make masks up.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use shard_codec::Digest;
use shard_codec::secret_sharing::Commitments;

use super::Document;
use crate::identifier::{DatabaseName, SiteName};
use crate::limits::{DOCUMENT_BYTES_MAX, RECOVERY_SHARES_MAX, SITES_MAX};

/// Which shares are made anew, for whom and by whom: every mask and every answer is bound to all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryScope {
    /// The state.
    pub state: Digest,
    /// The database.
    pub database: DatabaseName,
    /// The site that lost its shares.
    pub site: SiteName,
    /// As many custodians as reconstruct the key, in the order of their names.
    #[serde(deserialize_with = "crate::wire::page::deserialize")]
    pub helpers: Vec<SiteName>,
    /// The snapshots, by growing sequence, each with the digest of its sharing.
    #[serde(deserialize_with = "crate::wire::page::deserialize")]
    pub snapshots: Vec<(u64, Digest)>,
}

impl RecoveryScope {
    /// Shares that reconstruct the key, and so the number of helpers.
    #[must_use]
    pub const fn threshold(&self) -> usize {
        self.helpers.len()
    }

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// What is wrong.
    pub fn validate(&self) -> Result<(), String> {
        if self.helpers.len() < 2 || self.helpers.len() > SITES_MAX {
            return Err("a recovery needs at least two helpers: a single one could hide nothing".to_owned());
        }
        if !self.helpers.is_sorted_by(|a, b| a < b) || self.helpers.contains(&self.site) {
            return Err("helpers are in the order of their names, each once, and nobody helps itself".to_owned());
        }
        if self.snapshots.is_empty() || !self.snapshots.is_sorted_by(|a, b| a.0 < b.0) {
            return Err("the snapshots must grow".to_owned());
        }
        if self.snapshots.len() > snapshots_max(self.helpers.len()) {
            return Err("too many snapshots at once".to_owned());
        }
        Ok(())
    }
}

/// Snapshots of one recovery at the most, so that what a helper computes is bounded.
#[must_use]
pub const fn snapshots_max(threshold: usize) -> usize {
    let most = RECOVERY_SHARES_MAX / if threshold == 0 { 1 } else { threshold };
    if most == 0 { 1 } else { most }
}

/// What one helper deals to all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskDealing {
    /// For what.
    pub scope: RecoveryScope,
    /// The helper.
    pub dealer: SiteName,
    /// For each snapshot the commitments to its mask: `threshold - 1` points of 32 bytes.
    pub commitments: ByteBuf,
    /// Digest of the part sealed to each helper, in their order.
    #[serde(deserialize_with = "crate::wire::page::deserialize")]
    pub part_digests: Vec<Digest>,
}

impl MaskDealing {
    /// The commitments as points, one entry a snapshot.
    ///
    /// # Errors
    /// Not canonical points, or another number of them.
    pub fn commitments(&self) -> Result<Vec<Commitments>, String> {
        let bytes_each = (self.scope.threshold().saturating_sub(1) * 32).max(1);
        if self.commitments.len() != bytes_each * self.scope.snapshots.len() {
            return Err("a mask has one commitment less than there are helpers".to_owned());
        }
        let of_one = |bytes: &[u8]| {
            let points: Vec<[u8; 32]> = bytes.chunks_exact(32).filter_map(|point| point.try_into().ok()).collect();
            Commitments::from_bytes(&points).map_err(|error| error.to_string())
        };
        self.commitments.chunks_exact(bytes_each).map(of_one).collect()
    }
}

impl Document for MaskDealing {
    const KIND: &'static str = "mask-dealing";
    const BYTES_MAX: usize = DOCUMENT_BYTES_MAX;

    fn validate(&self) -> Result<(), String> {
        self.scope.validate()?;
        if !self.scope.helpers.contains(&self.dealer) {
            return Err("only helpers deal masks".to_owned());
        }
        if self.part_digests.len() != self.scope.helpers.len() {
            return Err("one part for each helper".to_owned());
        }
        self.commitments().map(|_points| ())
    }
}
