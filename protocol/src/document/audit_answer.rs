//! A site's signed answer to a challenge; a wrong one is evidence that anybody can judge.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use shard_codec::Digest;
use shard_codec::shard_tree::LEAF_BYTES;

use super::Document;
use crate::identifier::{DatabaseName, SiteName};
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::timestamp::Timestamp;

/// One leaf of one shard, asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    /// The database.
    pub database: DatabaseName,
    /// The stripe.
    pub stripe_number: u64,
    /// The shard of it that the challenged site holds.
    pub shard_index: u8,
    /// The shard's root, as the manifest names it.
    pub root: Digest,
    /// Which leaf of [`LEAF_BYTES`], from 0.
    pub leaf: u64,
    /// Never used twice, so that an old answer is no answer.
    #[serde(with = "serde_bytes")]
    pub nonce: [u8; 32],
}

impl Challenge {
    /// The bytes asked for in a shard of `shard_bytes`; empty if the leaf lies behind its end.
    #[must_use]
    pub fn range(&self, shard_bytes: u64) -> std::ops::Range<u64> {
        let start = self.leaf.saturating_mul(LEAF_BYTES).min(shard_bytes);
        start..start.saturating_add(LEAF_BYTES).min(shard_bytes)
    }
}

/// What a site answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditAnswer {
    /// The state.
    pub state: Digest,
    /// Who answers.
    pub site: SiteName,
    /// What was asked.
    pub challenge: Challenge,
    /// The leaf with its proof against the root. There is no way to sign that the shard is gone: it would be evidence for
    /// ever, of a loss that is mended in a minute.
    pub proof: ByteBuf,
    /// By the site's own clock.
    pub at: Timestamp,
}

impl Document for AuditAnswer {
    const KIND: &'static str = "audit-answer";
    const BYTES_MAX: usize = DOCUMENT_BYTES_MAX;

    fn validate(&self) -> Result<(), String> {
        Ok(())
    }
}
