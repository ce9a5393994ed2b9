//! The contract between a machine and its host.
//!
//! A machine is a plain value. The host calls `handle(now, input, ..)`, then carries out the outputs *in order*:
//!
//! ```text
//! loop {
//!     input = wait for a message, a finished disk job or a timer
//!     for output in machine.handle(now, input, ..) {
//!         Persist(record)      -> append durably; if that fails the process stops
//!         CheckShards(..)      -> look into the shard store, come back with an input
//!         Announce(document)   -> send to the other sites, again until they have it
//!         Reply(ticket, ..)    -> answer the peer that is waiting
//!         Report(event)        -> log, count, show
//!     }
//! }
//! ```
//!
//! Persist comes before the Reply or Announce that relies on it: carrying outputs out in order is what makes
//! a receipt true and a release logged. Bulk bytes never pass through a machine.

use std::fmt;

use serde::{Deserialize, Serialize};
use shard_codec::Digest;
use shard_codec::share_sealing::SealingSecretKey;

use crate::identifier::{DatabaseName, SiteName};
use crate::signature::Keypair;
use crate::wire::{Refusal, Response};

/// What makes a site this site.
#[derive(Debug)]
pub struct SiteKeys {
    /// Its name in the charter.
    pub name: SiteName,
    /// Signs receipts and notices; is the PeerId.
    pub identity: Keypair,
    /// Opens the shares sealed to it.
    pub sealing: SealingSecretKey,
}

/// Ties an answer to the request that waits for it; chosen by the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What kind of record is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKind {
    /// A charter version.
    Charter,
    /// A manifest.
    Manifest,
    /// This site's sealed share of one snapshot.
    Share,
    /// A receipt of any site.
    Receipt,
    /// An accepted release order.
    Order,
    /// A release notice of any site.
    Notice,
    /// Proof that a writer forked its history.
    Fork,
}

impl RecordKind {
    /// The order in which kinds are put back: each refers only to those before it.
    pub const REPLAY_ORDER: [Self; 7] =
        [Self::Charter, Self::Manifest, Self::Share, Self::Receipt, Self::Fork, Self::Order, Self::Notice];
}

/// Something to keep for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its kind.
    pub kind: RecordKind,
    /// Unique within the kind.
    pub key: Vec<u8>,
    /// The bytes.
    pub value: Vec<u8>,
}

/// A document the other sites should have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Announcement {
    /// A charter version.
    Charter(serde_bytes::ByteBuf),
    /// Manifests of one database, each following the one before; mostly one.
    Manifests(#[serde(deserialize_with = "crate::wire::page::deserialize")] Vec<serde_bytes::ByteBuf>),
    /// A receipt.
    Receipt(serde_bytes::ByteBuf),
    /// A release order that was accepted.
    Order(serde_bytes::ByteBuf),
    /// A release notice.
    Notice(serde_bytes::ByteBuf),
    /// Two manifests of one sequence number.
    Fork(serde_bytes::ByteBuf),
}

/// What the host is to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Keep durably before going on.
    Persist(Record),
    /// Find out which of these shards are not in the store, and come back with the ticket.
    CheckShards {
        /// To come back with.
        ticket: Ticket,
        /// Roots of the shards.
        roots: Vec<Digest>,
    },
    /// Spread.
    Announce(Announcement),
    /// Answer.
    Reply(Ticket, Box<Result<Response, Refusal>>),
    /// Tell people.
    Report(Event),
}

/// What people should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A new charter version holds.
    CharterAdopted {
        /// The version.
        version: u64,
    },
    /// This site now holds a snapshot.
    SnapshotHeld {
        /// The database.
        database: DatabaseName,
        /// The snapshot.
        sequence: u64,
        /// Shards that are still missing here.
        missing_count: usize,
    },
    /// A writer signed two manifests of one sequence number.
    Forked {
        /// The database.
        database: DatabaseName,
        /// The sequence number.
        sequence: u64,
    },
    /// An order was accepted.
    OrderAccepted {
        /// Its digest.
        order: Digest,
    },
    /// A share was released.
    ShareReleased {
        /// Under which order.
        order: Digest,
        /// The database.
        database: DatabaseName,
        /// The snapshot.
        sequence: u64,
        /// By which site.
        site: SiteName,
    },
    /// Something was refused.
    Refused {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CharterAdopted { version } => write!(f, "charter version {version} holds"),
            Self::SnapshotHeld { database, sequence, missing_count: 0 } => {
                write!(f, "snapshot {sequence} of {database} is held here")
            }
            Self::SnapshotHeld { database, sequence, missing_count } => {
                write!(f, "snapshot {sequence} of {database} is known here, {missing_count} shards are missing")
            }
            Self::Forked { database, sequence } => {
                write!(f, "ALARM: two manifests of {database} carry sequence {sequence}: its writer key is misused")
            }
            Self::OrderAccepted { order } => write!(f, "release order {order} accepted"),
            Self::ShareReleased { order, database, sequence, site } => {
                write!(f, "{site} released its share of {database} snapshot {sequence} under order {order}")
            }
            Self::Refused { reason } => write!(f, "refused: {reason}"),
        }
    }
}
