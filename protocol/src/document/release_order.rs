//! The officials' signed permission to open snapshots to one recipient.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use shard_codec::Digest;
use shard_codec::share_sealing::SealingPublicKey;

use super::{Charter, Document, check_text};
use crate::identifier::DatabaseName;
use crate::limits::{DATABASES_MAX, DOCUMENT_BYTES_MAX, SIGNATURES_MAX};
use crate::signature::quorum::{self, QuorumError};
use crate::signature::{PublicKey, Signed};
use crate::timestamp::Timestamp;

/// What the opened data is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The state needs its data.
    Restore,
    /// An exercise.
    Drill,
}

/// Which snapshots of the databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selector {
    /// The head, as each site knows it when it is asked.
    Latest,
    /// One sequence number.
    Sequence(u64),
}

/// Permission for one recipient, in one window of time, by a quorum of officials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseOrder {
    /// The state.
    pub state: Digest,
    /// Makes two orders of the same words different.
    #[serde(with = "serde_bytes")]
    pub nonce: [u8; 16],
    /// The databases that may be opened.
    pub databases: Vec<DatabaseName>,
    /// Which of their snapshots.
    pub selector: Selector,
    /// The recipient's identity: its PeerId on the mesh.
    pub recipient: PublicKey,
    /// Shares are sealed to this key (X-Wing, 1216 bytes).
    #[serde(with = "serde_bytes")]
    pub recipient_sealing_key: Vec<u8>,
    /// What for.
    pub purpose: Purpose,
    /// In words, for the log.
    pub reason: String,
    /// Not before this moment, by each site's clock.
    pub not_before: Timestamp,
    /// Refused from this moment on, by each site's clock.
    pub expires: Timestamp,
}

/// Why an order opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// For another state.
    #[error("the order is for state {found}, this is {expected}")]
    WrongState {
        /// This state.
        expected: Digest,
        /// The state in the order.
        found: Digest,
    },
    /// The signatures do not decide.
    #[error("the order is not signed by a quorum of the officials: {0}")]
    Quorum(#[from] QuorumError),
    /// Too early.
    #[error("the order is not valid before {not_before}; it is {now} here")]
    NotYet {
        /// From when on.
        not_before: Timestamp,
        /// The site's clock.
        now: Timestamp,
    },
    /// Too late, or replayed.
    #[error("the order expired at {expired}; it is {now} here: the officials must sign a new one")]
    Expired {
        /// Since when.
        expired: Timestamp,
        /// The site's clock.
        now: Timestamp,
    },
    /// Presented by somebody else.
    #[error("the order names recipient {expected}, but {found} presents it")]
    OtherRecipient {
        /// The recipient in the order.
        expected: PublicKey,
        /// Who came.
        found: PublicKey,
    },
}

impl Document for ReleaseOrder {
    const KIND: &'static str = "release-order";
    const BYTES_MAX: usize = DOCUMENT_BYTES_MAX;
    const SIGNATURES_MAX: usize = SIGNATURES_MAX;

    fn validate(&self) -> Result<(), String> {
        check_text("reason", &self.reason)?;
        let distinct: BTreeSet<_> = self.databases.iter().collect();
        if distinct.len() != self.databases.len() || distinct.is_empty() || distinct.len() > DATABASES_MAX {
            return Err("an order names one or more databases, each once".to_owned());
        }
        if self.selector == Selector::Sequence(0) {
            return Err("sequences count from 1".to_owned());
        }
        if self.expires <= self.not_before {
            return Err("the order expires before it begins".to_owned());
        }
        if !self.recipient.is_usable() {
            return Err("the recipient's identity is not a usable key".to_owned());
        }
        SealingPublicKey::from_bytes(&self.recipient_sealing_key).map(|_key| ()).map_err(|error| error.to_string())
    }
}

impl Signed<ReleaseOrder> {
    /// Whether this order, presented by `presenter` at `now`, is good under `charter`.
    ///
    /// # Errors
    /// Another state, no quorum, outside its window, or presented by somebody else.
    pub fn verify(
        &self,
        state: Digest,
        charter: &Charter,
        presenter: PublicKey,
        now: Timestamp,
    ) -> Result<&ReleaseOrder, OrderError> {
        let order = self.document();
        if order.state != state {
            return Err(OrderError::WrongState { expected: state, found: order.state });
        }
        quorum::verify(self, &charter.roll(), charter.quorum.into())?;
        if now < order.not_before {
            return Err(OrderError::NotYet { not_before: order.not_before, now });
        }
        if now >= order.expires {
            return Err(OrderError::Expired { expired: order.expires, now });
        }
        if presenter != order.recipient {
            return Err(OrderError::OtherRecipient { expected: order.recipient, found: presenter });
        }
        Ok(order)
    }
}
