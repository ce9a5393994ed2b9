//! What one site found when it audited the others.

use serde::{Deserialize, Serialize};
use shard_codec::Digest;

use super::Document;
use crate::identifier::SiteName;
use crate::limits::{DOCUMENT_BYTES_MAX, SITES_MAX};
use crate::timestamp::Timestamp;

/// The audits of one site since it began to count; the newest replaces those before. Its word alone proves nothing: what
/// is proven travels as [`super::AuditAnswer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditReport {
    /// The state.
    pub state: Digest,
    /// Who audited.
    pub auditor: SiteName,
    /// Since when it counts.
    pub since: Timestamp,
    /// When this was written, by the auditor's clock.
    pub at: Timestamp,
    /// One tally for each audited site, by name.
    #[serde(deserialize_with = "crate::wire::page::deserialize")]
    pub tallies: Vec<Tally>,
}

/// Audits of one site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// The audited site.
    pub site: SiteName,
    /// Answers that proved what was asked for.
    pub valid_count: u64,
    /// Challenges without an answer that proves anything.
    pub skip_count: u64,
    /// Answers that prove a loss.
    pub fault_count: u64,
    /// Bytes proven, each leaf as often as it was.
    pub proven_bytes: u64,
    /// The last valid answer.
    pub last_valid: Option<Timestamp>,
}

impl Document for AuditReport {
    const KIND: &'static str = "audit-report";
    const BYTES_MAX: usize = DOCUMENT_BYTES_MAX;

    fn validate(&self) -> Result<(), String> {
        let in_order = self.tallies.is_sorted_by(|a, b| a.site < b.site);
        if in_order && self.tallies.len() <= SITES_MAX {
            Ok(())
        } else {
            Err("tallies: one a site, by name".to_owned())
        }
    }
}
