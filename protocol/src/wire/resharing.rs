//! The steps of giving shares to the next custodians, as one site asks another.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use shard_codec::Digest;

use super::page;
use crate::document::{Ballot, Instance, ReshareScope};
use crate::identifier::SiteName;

/// What the site that leads asks, but for [`Question::Part`], which a custodian asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Question {
    /// Deal your shares to the custodians of the scope.
    Deal {
        /// Of what, to whom.
        scope: ReshareScope,
    },
    /// Hand over what you dealt to me.
    Part {
        /// Digest of the signed dealing.
        dealing: Digest,
    },
    /// Take no part in lower ballots any more.
    Promise {
        /// The agreement.
        instance: Instance,
        /// The ballot.
        ballot: Ballot,
    },
    /// Take this proposal.
    Accept {
        /// The agreement.
        instance: Instance,
        /// The ballot.
        ballot: Ballot,
        /// The bytes of the proposal.
        proposal: ByteBuf,
        /// The promises of a quorum.
        #[serde(deserialize_with = "page::deserialize")]
        promises: Vec<ByteBuf>,
        /// If one of them names a proposal: the acceptances that it was confirmed by.
        #[serde(deserialize_with = "page::deserialize")]
        accepts: Vec<ByteBuf>,
        /// If none does: the signed dealings that the proposal is made of.
        #[serde(deserialize_with = "page::deserialize")]
        dealings: Vec<ByteBuf>,
    },
    /// A quorum has taken this proposal: confirm it.
    Confirm {
        /// The agreement.
        instance: Instance,
        /// The ballot.
        ballot: Ballot,
        /// What was taken.
        lock: Lock,
    },
}

impl Question {
    /// Its name, for traces and tables.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Deal { .. } => "reshare-deal",
            Self::Part { .. } => "reshare-part",
            Self::Promise { .. } => "reshare-promise",
            Self::Accept { .. } => "reshare-accept",
            Self::Confirm { .. } => "reshare-confirm",
        }
    }
}

/// A proposal, and proof that a quorum has taken it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The bytes of the proposal.
    pub proposal: ByteBuf,
    /// The signed votes.
    #[serde(deserialize_with = "page::deserialize")]
    pub accepts: Vec<ByteBuf>,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// The signed dealing; what is sealed to the custodians stays with the dealer until they ask for it.
    Dealt(ByteBuf),
    /// What the dealer dealt to whoever asks, sealed.
    Part(ByteBuf),
    /// The signed promise, and what the site confirmed before.
    Promised {
        /// The vote.
        vote: ByteBuf,
        /// What it names.
        lock: Option<Lock>,
    },
    /// The signed vote.
    Voted(ByteBuf),
    /// A higher ballot was promised.
    Outvoted(Ballot),
    /// The parts are on their way: ask again.
    Fetching,
    /// What this dealer handed over does not match what it signed.
    WrongPart(SiteName),
    /// It was decided: the certificate.
    Decided(ByteBuf),
}
