//! How far a snapshot reaches, as reports show it.

use protocol::placement::durability::Durability;
use serde::Serialize;

/// Who holds a snapshot, and what is left of it without the coalition whose loss hurts most.
#[derive(Clone, Debug, Serialize)]
pub struct Reach {
    /// Whether enough remains whichever coalition is lost.
    pub durable: bool,
    /// Sites that hold all their shards.
    pub shard_sites: Vec<String>,
    /// Sites that hold their share.
    pub share_sites: Vec<String>,
    /// Jurisdictions of those sites.
    pub jurisdictions: Vec<String>,
    /// The coalition whose loss hurts most.
    pub weakest: Option<String>,
    /// Shards that remain without it.
    pub shards_remaining: usize,
    /// Shards needed.
    pub data_shards: usize,
    /// Shares that remain without it.
    pub shares_remaining: usize,
    /// Shares needed.
    pub threshold: usize,
}

impl From<&Durability> for Reach {
    fn from(durability: &Durability) -> Self {
        Self {
            durable: durability.is_durable(),
            shard_sites: durability.shard_sites.iter().map(ToString::to_string).collect(),
            share_sites: durability.share_sites.iter().map(ToString::to_string).collect(),
            jurisdictions: durability.jurisdictions.iter().cloned().collect(),
            weakest: durability.weakest.as_ref().map(ToString::to_string),
            shards_remaining: durability.shards_remaining,
            data_shards: durability.data_shards,
            shares_remaining: durability.shares_remaining,
            threshold: durability.threshold,
        }
    }
}

impl std::fmt::Display for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "without {}: {} shards of {} needed and {} shares of {} needed remain",
            self.weakest.as_deref().unwrap_or("anyone"),
            self.shards_remaining,
            self.data_shards,
            self.shares_remaining,
            self.threshold
        )
    }
}
