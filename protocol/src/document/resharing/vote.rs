//! A site's word in the agreement on one epoch of one block.

use serde::{Deserialize, Serialize};
use shard_codec::Digest;

use super::ReshareScope;
use crate::document::Document;
use crate::identifier::{DatabaseName, SiteName};
use crate::limits::DOCUMENT_BYTES_MAX;

/// Which agreement: at most one proposal is ever certified for a block and an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// The state.
    pub state: Digest,
    /// The database.
    pub database: DatabaseName,
    /// The charter version whose custodians agree.
    pub charter: Digest,
    /// The block.
    pub block: u64,
    /// The epoch.
    pub epoch: u64,
}

impl Instance {
    /// Whether a proposal of this scope may be decided on in it. The charter may be a newer one: what was all but agreed
    /// under the one before is brought to its end.
    #[must_use]
    pub fn is_of(&self, scope: &ReshareScope) -> bool {
        (&self.state, &self.database, self.block, self.epoch)
            == (&scope.state, &scope.database, scope.block, scope.epoch)
    }
}

/// One attempt: a higher one goes before a lower one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ballot {
    /// Its number.
    pub round: u64,
    /// The site that leads it.
    pub leader: SiteName,
}

/// Which proposal a site confirmed, and in which ballot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedAt {
    /// The ballot.
    pub ballot: Ballot,
    /// The charter version whose custodians agreed then.
    pub charter: Digest,
    /// The proposal's digest.
    pub proposal: Digest,
    /// The charter version that the proposal names: it may have been confirmed under any from that one on.
    pub since: Digest,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Said {
    /// Takes no part in lower ballots any more.
    Promised {
        /// The highest ballot in which the site confirmed a proposal that may have been certified, if it did.
        locked: Option<LockedAt>,
    },
    /// Takes this proposal in this ballot.
    Accepted {
        /// Its digest.
        proposal: Digest,
        /// Whether the site has its new shares on disk and verified them.
        holds: bool,
    },
    /// Has seen that a quorum accepts it, and will name it in every promise from now on.
    Confirmed {
        /// Its digest.
        proposal: Digest,
        /// Whether the site has its new shares on disk and verified them.
        holds: bool,
    },
}

/// A site's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// In which agreement.
    pub instance: Instance,
    /// Who.
    pub site: SiteName,
    /// In which ballot.
    pub ballot: Ballot,
    /// What.
    pub said: Said,
}

impl Document for Vote {
    const KIND: &'static str = "epoch-vote";
    const BYTES_MAX: usize = DOCUMENT_BYTES_MAX;

    fn validate(&self) -> Result<(), String> {
        Ok(())
    }
}
