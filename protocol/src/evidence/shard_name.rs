//! The name of one shard.

use std::fmt;

use shard_codec::Digest;

use crate::document::Challenge;
use crate::identifier::DatabaseName;

/// Which shard of which stripe: number and position in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShardName {
    /// The database.
    pub database: DatabaseName,
    /// The stripe.
    pub stripe_number: u64,
    /// The shard of it.
    pub shard_index: u8,
    /// The shard's root.
    pub root: Digest,
}

impl ShardName {
    /// Where the shards of a database begin in a sorted set.
    pub(crate) fn first(database: &DatabaseName) -> Self {
        let (database, root) = (database.clone(), Digest::from_bytes([0; 32]));
        Self { database, stripe_number: 0, shard_index: 0, root }
    }
}

impl From<&Challenge> for ShardName {
    /// The shard that is asked for.
    fn from(challenge: &Challenge) -> Self {
        let (database, stripe_number) = (challenge.database.clone(), challenge.stripe_number);
        Self { database, stripe_number, shard_index: challenge.shard_index, root: challenge.root }
    }
}

impl fmt::Display for ShardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} of {} stripe {}", self.shard_index, self.database, self.stripe_number)
    }
}
