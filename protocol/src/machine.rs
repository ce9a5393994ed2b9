//! The contract between a machine and its host.
//!
//! A machine is a plain value. The host calls `handle(now, input, ..)`, then carries out the outputs *in order*:
//!
//! ```text
//! loop {
//!     input = wait for a message, a finished disk job or a timer
//!     for output in machine.handle(now, input, ..) {
//!         Persist(record)      -> append durably; if that fails the process stops
//!         CheckShards(..)      -> look into the shard store, come back with an input (Sweep: to the repair machine)
//!         ListShards(..)       -> look into the shard store, come back to the machine of retention
//!         Collect(..)          -> note and remove shards, before the next input
//!         Ask(..), Repair(..)  -> begin it beside the loop, come back with an input when it has ended
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

use crate::evidence::ShardName;
use crate::identifier::{DatabaseName, SiteName};
use crate::repair::Job;
use crate::signature::Keypair;
use crate::timestamp::Timestamp;
use crate::wire::{Refusal, Request, Response};

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
    /// The snapshots of a database that were let go, by all or by this site; the next set replaces it.
    Expiry,
    /// This site's sealed share of one snapshot; the one of the next epoch replaces it, and an empty one erases it.
    Share,
    /// The certificate of an epoch of a block of snapshots; an empty one says that newer ones stand in its place.
    Epoch,
    /// Where this site stands in the agreement on the next epoch of a block; the next one replaces it.
    Agreement,
    /// A receipt of any site.
    Receipt,
    /// A moment by this site's clock of retention: what it says, or when a charter was taken up.
    Retention,
    /// An official's veto against what a charter lets go.
    Veto,
    /// An accepted release order.
    Order,
    /// A release notice of any site.
    Notice,
    /// Proof that a writer forked its history.
    Fork,
    /// The newest inventory of a site for a database; the next one replaces it.
    Inventory,
    /// The newest report of an auditor; the next one replaces it.
    AuditReport,
    /// An answer that proves a loss.
    Fault,
}

impl RecordKind {
    /// The order in which kinds are put back: each refers only to those before it.
    pub const REPLAY_ORDER: [Self; 15] = [
        Self::Charter,
        Self::Retention,
        Self::Manifest,
        Self::Expiry,
        Self::Epoch,
        Self::Share,
        Self::Agreement,
        Self::Receipt,
        Self::Fork,
        Self::Order,
        Self::Notice,
        Self::Veto,
        Self::Inventory,
        Self::AuditReport,
        Self::Fault,
    ];

    /// Whether a record may take the place of an earlier one of the same key.
    #[must_use]
    pub const fn is_replaced(self) -> bool {
        matches!(
            self,
            Self::Share
                | Self::Expiry
                | Self::Retention
                | Self::Epoch
                | Self::Agreement
                | Self::Inventory
                | Self::AuditReport
        )
    }
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
    /// An official's veto against what a charter lets go.
    Veto(serde_bytes::ByteBuf),
    /// Two manifests of one sequence number.
    Fork(serde_bytes::ByteBuf),
    /// The certificate of an epoch.
    Epoch(serde_bytes::ByteBuf),
    /// What a site lacks.
    Inventory(serde_bytes::ByteBuf),
    /// What a site found in its audits.
    AuditReport(serde_bytes::ByteBuf),
    /// An answer that proves a loss.
    Fault(serde_bytes::ByteBuf),
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
    /// Find out which of these shards are not in the store, and come back to the repair machine.
    Sweep {
        /// To come back with.
        ticket: Ticket,
        /// Roots of the shards.
        roots: Vec<Digest>,
    },
    /// List shards of the store in the order of their roots, and come back to the machine of retention.
    ListShards {
        /// To come back with.
        ticket: Ticket,
        /// The last one of the page before.
        after: Option<Digest>,
        /// At the most.
        limit: usize,
    },
    /// Before anything else is handled: forget that it was noted of the `referenced`; note the moment `at` of each of the
    /// `unreferenced` that has none; and remove those that were noted `grace_ms` before `at` and not put again since.
    Collect {
        /// What nothing refers to.
        unreferenced: Vec<Digest>,
        /// What something refers to.
        referenced: Vec<Digest>,
        /// By the clock of retention.
        at: Timestamp,
        /// In milliseconds.
        grace_ms: u64,
    },
    /// Ask a site, and come back to the machine that asked with the answer, or with none if there is none in good time.
    Ask {
        /// To come back with.
        ticket: Ticket,
        /// Whom.
        site: SiteName,
        /// What.
        request: Box<Request>,
    },
    /// Remake a shard, and come back with how it ended.
    Repair(Box<Job>),
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
    /// A site signed other bytes than those of its shard.
    LossProven {
        /// The site.
        site: SiteName,
        /// The database.
        database: DatabaseName,
        /// The stripe.
        stripe_number: u64,
    },
    /// A shard that should be here is not.
    ShardMissing {
        /// Which.
        shard: Box<ShardName>,
    },
    /// A shard that was missing here is here again.
    ShardMended {
        /// Which.
        shard: Box<ShardName>,
    },
    /// A shard could not be remade now.
    RepairFailed {
        /// Which.
        shard: Box<ShardName>,
        /// Why.
        why: String,
    },
    /// A site sent wrong bytes to help with a repair.
    HelperLied {
        /// The site.
        site: SiteName,
        /// What was being remade.
        shard: Box<ShardName>,
    },
    /// Shares that were missing here are here again.
    SharesRecovered {
        /// Of which database.
        database: DatabaseName,
        /// How many.
        count: u64,
    },
    /// Shares could not be recovered now.
    ShareRecoveryFailed {
        /// Of which database.
        database: DatabaseName,
        /// Why.
        why: String,
    },
    /// A custodian sent something wrong to help with a recovery of shares.
    CustodianLied {
        /// The site.
        site: SiteName,
        /// The database.
        database: DatabaseName,
    },
    /// Snapshots have shares of a new epoch; this site's old ones are erased.
    Reshared {
        /// Of which database.
        database: DatabaseName,
        /// Of which block.
        block: u64,
        /// The epoch.
        epoch: u64,
        /// How many snapshots.
        count: u64,
    },
    /// Two epochs of one number are certified: more sites lie than the threshold allows for.
    EpochForked {
        /// Of which database.
        database: DatabaseName,
        /// Of which block.
        block: u64,
        /// The epoch.
        epoch: u64,
    },
    /// Shares could not be given to the next custodians now.
    ReshareFailed {
        /// Of which database.
        database: DatabaseName,
        /// Of which block.
        block: u64,
        /// Why.
        why: String,
    },
    /// Snapshots that the sites have let go are discarded here.
    Discarded {
        /// Of which database.
        database: DatabaseName,
        /// How many.
        count: u64,
    },
    /// An official has vetoed what a charter lets go.
    Vetoed {
        /// The charter version.
        version: u64,
    },
    /// This site has said what it lacks.
    Declared {
        /// Of which database.
        database: DatabaseName,
        /// Shards of so many stripes.
        stripes: u64,
        /// Shares of so many snapshots.
        shares: u64,
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
            Self::LossProven { site, database, stripe_number } => {
                write!(f, "ALARM: {site} sent other bytes than those of its shard of {database} stripe {stripe_number}")
            }
            Self::ShardMissing { shard } => write!(f, "{shard} is missing here"),
            Self::ShardMended { shard } => write!(f, "{shard} is mended"),
            Self::RepairFailed { shard, why } => write!(f, "{shard} is not mended yet, will try again: {why}"),
            Self::HelperLied { site, shard } => {
                write!(f, "ALARM: {site} sent wrong bytes for the repair of {shard}: left out for a while")
            }
            Self::SharesRecovered { database, count } => write!(f, "{count} shares of {database} are recovered"),
            Self::ShareRecoveryFailed { database, why } => {
                write!(f, "shares of {database} are not recovered yet, will try again: {why}")
            }
            Self::CustodianLied { site, database } => {
                write!(
                    f,
                    "ALARM: {site} sent something wrong for the recovery of shares of {database}: left out for a while"
                )
            }
            Self::Reshared { database, block, epoch, count } => {
                write!(f, "{count} snapshots of {database} (block {block}) have shares of epoch {epoch}")
            }
            Self::EpochForked { database, block, epoch } => {
                write!(f, "ALARM: two epochs {epoch} of {database} block {block} are certified: threshold sites lie")
            }
            Self::ReshareFailed { database, block, why } => {
                write!(f, "shares of {database} (block {block}) are not given on yet, will try again: {why}")
            }
            Self::Discarded { database, count } => {
                write!(f, "{count} snapshots of {database} have reached the end of retention")
            }
            Self::Vetoed { version } => {
                write!(f, "ALARM: an official vetoes what charter version {version} lets go: nothing goes by it")
            }
            Self::Declared { database, stripes: 0, shares: 0 } => write!(f, "all of {database} is held here again"),
            Self::Declared { database, stripes, shares } => {
                write!(f, "told the others: {stripes} shards and {shares} shares of {database} are missing here")
            }
            Self::Refused { reason } => write!(f, "refused: {reason}"),
        }
    }
}
