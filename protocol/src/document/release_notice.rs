//! A site's signed word that it released its share, spread to every other site.

use serde::{Deserialize, Serialize};
use shard_codec::Digest;

use super::Document;
use crate::identifier::{DatabaseName, SiteName};
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::signature::PublicKey;
use crate::timestamp::Timestamp;

/// One share released to one recipient under one order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseNotice {
    /// The state.
    pub state: Digest,
    /// Digest of the release order.
    pub order: Digest,
    /// The database.
    pub database: DatabaseName,
    /// The snapshot.
    pub sequence: u64,
    /// Who released.
    pub site: SiteName,
    /// To whom.
    pub recipient: PublicKey,
    /// By the site's own clock.
    pub at: Timestamp,
}

impl Document for ReleaseNotice {
    const KIND: &'static str = "release-notice";
    const BYTES_MAX: usize = DOCUMENT_BYTES_MAX;

    fn validate(&self) -> Result<(), String> {
        if self.sequence == 0 { Err("sequences count from 1".to_owned()) } else { Ok(()) }
    }
}
