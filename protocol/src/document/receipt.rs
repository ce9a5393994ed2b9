//! A site's signed "I hold it".

use serde::{Deserialize, Serialize};
use shard_codec::Digest;

use super::Document;
use crate::identifier::{DatabaseName, SiteName};
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::signature::PublicKey;
use crate::signature::Signed;
use crate::signature::quorum::{QuorumError, verify_single};
use crate::timestamp::Timestamp;

/// Says what one site holds of one snapshot, after fsync. Never says more than is on its disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The state.
    pub state: Digest,
    /// The database.
    pub database: DatabaseName,
    /// The snapshot.
    pub sequence: u64,
    /// Digest of the manifest that was checked.
    pub manifest: Digest,
    /// Who says so.
    pub site: SiteName,
    /// Every shard that the placement gives this site, of every live stripe.
    pub holds_shards: bool,
    /// Its share of the snapshot key, verified against the commitments.
    pub holds_share: bool,
    /// By the site's own clock.
    pub at: Timestamp,
}

impl Document for Receipt {
    const KIND: &'static str = "receipt";
    const BYTES_MAX: usize = DOCUMENT_BYTES_MAX;

    fn validate(&self) -> Result<(), String> {
        if self.holds_shards || self.holds_share { Ok(()) } else { Err("holds neither shards nor share".to_owned()) }
    }
}

impl Signed<Receipt> {
    /// Checks that `identity` signed.
    ///
    /// # Errors
    /// It did not.
    pub fn verify(&self, identity: PublicKey) -> Result<&Receipt, QuorumError> {
        verify_single(self, identity)?;
        Ok(self.document())
    }
}
