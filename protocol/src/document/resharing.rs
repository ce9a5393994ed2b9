//! What sites sign to give the shares of snapshot keys to other custodians: dealings, votes, and the certificate of the
//! epoch that was agreed on.

mod epoch;
mod vote;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use shard_codec::Digest;
use shard_codec::limits::SHARES_MAX;
use shard_codec::secret_sharing::Commitments;

pub use epoch::{Certified, Electorate, Epoch, Proposal, quorum};
pub use vote::{Ballot, Instance, LockedAt, Said, Vote};

use super::Document;
use crate::identifier::{DatabaseName, SiteName};
use crate::limits::{RESHARING_BYTES_MAX, RESHARING_THRESHOLD_MAX};

/// Snapshots of one block: they change their epoch together, and what one dealing costs is bounded. Block `b` holds
/// sequences `32 b + 1` to `32 b + 32`.
pub const BLOCK_SNAPSHOTS: u64 = 32;

/// The epoch of the shares that home deals.
pub const DEALT_EPOCH: u64 = 1;

/// The block of a snapshot, from 0.
#[must_use]
pub const fn block_of(sequence: u64) -> u64 {
    sequence.saturating_sub(1) / BLOCK_SNAPSHOTS
}

/// Whose shares go to whom: every dealing is bound to all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReshareScope {
    /// The state.
    pub state: Digest,
    /// The database.
    pub database: DatabaseName,
    /// The charter version that names the custodians.
    pub charter: Digest,
    /// Which block of snapshots.
    pub block: u64,
    /// Number of the block's next epoch, from 2: what home dealt is epoch 1.
    pub epoch: u64,
    /// New shares that reconstruct a key.
    pub threshold: u8,
    /// New share i + 1 goes to the i-th of these.
    #[serde(deserialize_with = "crate::wire::page::deserialize")]
    pub custodians: Vec<SiteName>,
    /// As many holders of old shares as reconstruct a key, in the order of their names.
    #[serde(deserialize_with = "crate::wire::page::deserialize")]
    pub dealers: Vec<SiteName>,
    /// The snapshots, by growing sequence, each with the digest of the sharing that is given on.
    #[serde(deserialize_with = "crate::wire::page::deserialize")]
    pub snapshots: Vec<(u64, Digest)>,
}

impl ReshareScope {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// What is wrong.
    pub fn validate(&self) -> Result<(), String> {
        let (threshold, count) = (usize::from(self.threshold), self.custodians.len());
        if threshold == 0 || threshold > count || count > SHARES_MAX || threshold > RESHARING_THRESHOLD_MAX {
            return Err(format!("{threshold} of {count} shares: at most {RESHARING_THRESHOLD_MAX} of {SHARES_MAX}"));
        }
        if self.dealers.is_empty() || self.dealers.len() > RESHARING_THRESHOLD_MAX {
            return Err(format!("1 to {RESHARING_THRESHOLD_MAX} sites deal"));
        }
        if !self.dealers.is_sorted_by(|a, b| a < b) {
            return Err("dealers are in the order of their names, each once".to_owned());
        }
        if self.epoch <= DEALT_EPOCH {
            return Err("the first epoch that is agreed on is 2".to_owned());
        }
        let is_of_block = |(sequence, _digest): &(u64, Digest)| *sequence > 0 && block_of(*sequence) == self.block;
        if self.snapshots.is_empty() || !self.snapshots.iter().all(is_of_block) {
            return Err("the snapshots must be of the block".to_owned());
        }
        if !self.snapshots.is_sorted_by(|a, b| a.0 < b.0) {
            return Err("the snapshots must grow".to_owned());
        }
        Ok(())
    }

    /// Reads commitments as they stand in dealings and proposals: `threshold` points of 32 bytes for each snapshot.
    ///
    /// # Errors
    /// Not canonical points, or another number of them.
    pub fn read_commitments(&self, bytes: &[u8]) -> Result<Vec<Commitments>, String> {
        let bytes_each = usize::from(self.threshold).max(1) * 32;
        if bytes.len() != bytes_each * self.snapshots.len() {
            return Err("needs as many commitments for each snapshot as the threshold says".to_owned());
        }
        let of_one = |bytes: &[u8]| {
            let points: Vec<[u8; 32]> = bytes.chunks_exact(32).filter_map(|point| point.try_into().ok()).collect();
            Commitments::from_bytes(&points).map_err(|error| error.to_string())
        };
        bytes.chunks_exact(bytes_each).map(of_one).collect()
    }
}

/// What one holder deals: its old shares, to all new custodians.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareDealing {
    /// Of what, to whom.
    pub scope: ReshareScope,
    /// The holder.
    pub dealer: SiteName,
    /// For each snapshot the commitments to what was dealt: `threshold` points of 32 bytes.
    pub commitments: ByteBuf,
    /// Digest of the part sealed to each custodian, in their order.
    #[serde(deserialize_with = "crate::wire::page::deserialize")]
    pub part_digests: Vec<Digest>,
}

impl Document for ShareDealing {
    const KIND: &'static str = "share-dealing";
    const BYTES_MAX: usize = RESHARING_BYTES_MAX;

    fn validate(&self) -> Result<(), String> {
        self.scope.validate()?;
        if !self.scope.dealers.contains(&self.dealer) {
            return Err("only dealers deal".to_owned());
        }
        if self.part_digests.len() != self.scope.custodians.len() {
            return Err("one part for each custodian".to_owned());
        }
        self.scope.read_commitments(&self.commitments).map(|_points| ())
    }
}
