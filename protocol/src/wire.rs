//! What travels between peers: one request, one response, some followed by a body of raw bytes.
//!
//! A frame is a 4-byte big-endian length and that many bytes of CBOR. [`Request::PutShard`] is followed by the shard,
//! [`Response::Body`] by as many bytes as it says. Who may ask what is decided in [`access`].

pub mod access;
pub(crate) mod page;
pub mod resharing;
pub mod summary;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use shard_codec::Digest;

use crate::document::{Challenge, RecoveryScope};
use crate::identifier::{DatabaseName, SiteName};
use crate::machine::Announcement;
use resharing::{Answer, Question};
use summary::Summary;

/// Name of the stream protocol on the mesh.
pub const STREAM_PROTOCOL: &str = "/legation/1";

/// What one peer asks of a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Charter versions from this one on.
    Charters {
        /// From 1.
        from_version: u64,
    },
    /// The newest snapshot known.
    Head {
        /// Of which database.
        database: DatabaseName,
    },
    /// Manifests from this sequence on, as many as fit one frame.
    Manifests {
        /// Of which database.
        database: DatabaseName,
        /// From 1.
        from_sequence: u64,
    },
    /// All receipts known for one snapshot.
    Receipts {
        /// Of which database.
        database: DatabaseName,
        /// Which snapshot.
        sequence: u64,
    },
    /// Store one shard; its bytes follow the frame.
    PutShard {
        /// Of which database.
        database: DatabaseName,
        /// Of which stripe.
        stripe_number: u64,
        /// Its position.
        shard_index: u8,
        /// Its name.
        root: Digest,
        /// Its length.
        bytes: u32,
    },
    /// A whole shard.
    Shard {
        /// Its name.
        root: Digest,
    },
    /// A range of a shard, with the proof that it is of this root.
    ShardRange {
        /// The shard's name.
        root: Digest,
        /// First byte.
        offset: u64,
        /// How many.
        bytes: u64,
    },
    /// Bytes of a shard for the repair of another of its stripe: the whole shard as it is, or columns with their proof.
    Columns {
        /// The database.
        database: DatabaseName,
        /// The stripe.
        stripe_number: u64,
        /// The shard asked for.
        shard_index: u8,
        /// Its root.
        root: Digest,
        /// First byte and how many; absent for the whole shard.
        columns: Option<(u64, u64)>,
    },
    /// Prove that a leaf of a shard is held.
    Audit(Challenge),
    /// What sites said of a database, and what was proven; or the reports of the auditors.
    Evidence {
        /// Of which database; absent for the reports.
        database: Option<DatabaseName>,
        /// Position in the answering site's list.
        from: u64,
    },
    /// Which of these shards the site does not hold.
    MissingShards {
        /// Their names.
        roots: Vec<Digest>,
    },
    /// Take this snapshot and give a receipt.
    Publish {
        /// The signed manifest.
        manifest: ByteBuf,
        /// The site's own sealed share, if it is a custodian.
        sealed_share: Option<ByteBuf>,
    },
    /// Show a release order; the first thing a recipient does.
    PresentOrder {
        /// The signed order.
        order: ByteBuf,
    },
    /// Release the share of one snapshot under an order presented before.
    Share {
        /// Digest of the order.
        order: Digest,
        /// The database.
        database: DatabaseName,
        /// The snapshot.
        sequence: u64,
    },
    /// Deal masks for the recovery of shares that the asking site lost.
    DealMasks {
        /// Which shares, and who helps.
        scope: RecoveryScope,
    },
    /// Give this site's shares under the masks that all helpers dealt.
    BlindShares {
        /// What each helper dealt to this one, in the order of the helpers.
        #[serde(deserialize_with = "page::deserialize")]
        masks: Vec<HandedMask>,
    },
    /// The release log: orders and notices from this position on.
    ReleaseLog {
        /// Position in the answering site's log.
        from: u64,
    },
    /// Give shares to the next custodians: one step of it.
    Reshare(Box<Question>),
    /// Certificates of the epochs of shares, from this block and epoch on.
    Epochs {
        /// Of which database.
        database: DatabaseName,
        /// The block.
        from_block: u64,
        /// The epoch.
        from_epoch: u64,
    },
    /// Proofs of forked histories.
    Forks {
        /// Of which database.
        database: DatabaseName,
    },
    /// Take a document that another site (or a writer with a receipt) spreads.
    Announce(Announcement),
    /// Whether the site knows the same as whoever asks; if not, the digest of each part.
    Summary {
        /// Of this database, or of everything.
        database: Option<DatabaseName>,
        /// Of the summary of whoever asks.
        digest: Digest,
    },
    /// Digests of the receipts of a database, span by span from this one on; a span is 256 sequences, the first from 0.
    ReceiptSpans {
        /// Of which database.
        database: DatabaseName,
        /// From 0.
        from_span: u64,
    },
    /// Digests of the receipts of each snapshot of one span.
    ReceiptSpan {
        /// Of which database.
        database: DatabaseName,
        /// Which span.
        span: u64,
    },
    /// All receipts known for these snapshots.
    ReceiptsOf {
        /// Of which database.
        database: DatabaseName,
        /// Which snapshots.
        #[serde(deserialize_with = "page::deserialize")]
        sequences: Vec<u64>,
    },
}

impl Request {
    /// Its name, for traces and tables. A new request needs a row in the table of `access/tests.rs` too.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Charters { .. } => "charters",
            Self::Head { .. } => "head",
            Self::Manifests { .. } => "manifests",
            Self::Receipts { .. } => "receipts",
            Self::PutShard { .. } => "put-shard",
            Self::Shard { .. } => "shard",
            Self::ShardRange { .. } => "shard-range",
            Self::Columns { .. } => "columns",
            Self::Audit(_) => "audit",
            Self::Evidence { .. } => "evidence",
            Self::MissingShards { .. } => "missing-shards",
            Self::Publish { .. } => "publish",
            Self::PresentOrder { .. } => "present-order",
            Self::Share { .. } => "share",
            Self::DealMasks { .. } => "deal-masks",
            Self::BlindShares { .. } => "blind-shares",
            Self::ReleaseLog { .. } => "release-log",
            Self::Reshare(question) => question.name(),
            Self::Epochs { .. } => "epochs",
            Self::Forks { .. } => "forks",
            Self::Announce(_) => "announce",
            Self::Summary { .. } => "summary",
            Self::ReceiptSpans { .. } => "receipt-spans",
            Self::ReceiptSpan { .. } => "receipt-span",
            Self::ReceiptsOf { .. } => "receipts-of",
        }
    }
}

/// What one helper dealt to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandedMask {
    /// The signed dealing.
    pub dealing: ByteBuf,
    /// The part sealed to the helper.
    pub part: ByteBuf,
}

/// What the site answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Response {
    /// Done, nothing to say.
    Done,
    /// Signed documents of the kind that was asked for.
    Documents(#[serde(deserialize_with = "page::deserialize")] Vec<ByteBuf>),
    /// Entries of the release log, in order.
    Announcements(Vec<Announcement>),
    /// The head, if there is one: sequence and digest of its manifest.
    Head(Option<(u64, Digest)>),
    /// This many raw bytes follow the frame.
    Body {
        /// How many.
        bytes: u64,
    },
    /// Shards the site does not hold.
    Missing(Vec<Digest>),
    /// What the site holds of the snapshot just published.
    Published {
        /// The signed receipt; absent if it holds nothing of it yet.
        receipt: Option<ByteBuf>,
        /// Shards it should hold and does not.
        missing: Vec<Digest>,
    },
    /// The site's share, sealed to the recipient of the order.
    Share {
        /// Its index, from 1.
        index: u8,
        /// HPKE.
        sealed: ByteBuf,
    },
    /// The masks that the site dealt.
    Masks {
        /// The signed dealing.
        dealing: ByteBuf,
        /// What is sealed to each helper, in their order.
        #[serde(deserialize_with = "page::deserialize")]
        parts: Vec<ByteBuf>,
    },
    /// The site's shares under the masks, sealed to the site that lost its own.
    BlindedShares {
        /// HPKE of the shares, one after the other.
        sealed: ByteBuf,
    },
    /// What this helper dealt to the site does not match what it signed.
    WrongMask {
        /// The helper.
        dealer: SiteName,
    },
    /// The answer to a step of resharing.
    Reshared(Answer),
    /// A signed answer to a challenge.
    Audited(ByteBuf),
    /// No, and why.
    Refused(Refusal),
    /// The site knows the same.
    Same,
    /// The digest of each part of what the site knows.
    Summary(#[serde(deserialize_with = "page::deserialize")] Summary),
    /// Digests of what was asked for, in order.
    Digests(#[serde(deserialize_with = "page::deserialize")] Vec<Digest>),
}

/// Why a site says no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(deny_unknown_fields)]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// For people.
    pub message: String,
}

/// The kinds of no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCode {
    /// Does not decode, or contradicts itself.
    Malformed,
    /// The peer is not allowed to ask this.
    NotAllowed,
    /// Not known here.
    NotFound,
    /// The release order does not hold.
    Order,
    /// The charter does not hold.
    Charter,
    /// The manifest does not hold.
    Manifest,
    /// The share does not fit its commitments.
    Share,
    /// Two histories.
    Fork,
    /// The site misses earlier manifests; the message says from which sequence on.
    Behind,
    /// No room on the site's disk.
    DiskFull,
    /// More than the database may use.
    Quota,
    /// The bytes do not have the root they were announced with.
    Corrupt,
    /// Too much at once; try again.
    Busy,
    /// The site itself has a fault.
    Internal,
}

impl Refusal {
    /// A refusal for `code`, said by `why`.
    pub fn new(code: RefusalCode, why: impl std::fmt::Display) -> Self {
        Self { code, message: why.to_string() }
    }
}
