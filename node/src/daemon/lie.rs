//! What a site does wrong on purpose, for the tests of everybody else's defences.

use protocol::catalog::publish::share_context;
use protocol::host::Machines;
use protocol::identifier::DatabaseName;
use protocol::machine::SiteKeys;
use protocol::release::{LogEntry, release_context};
use protocol::wire::{Request, Response};
use shard_codec::Digest;
use shard_codec::share_sealing::{SealingPublicKey, open_sealed, seal_to};

use crate::entropy;

/// Ways to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// One bit of every shard it serves is flipped.
    FlipBits,
    /// Every shard it serves lacks its last byte.
    Truncate,
    /// It shows only the first manifest of every database.
    OldManifest,
    /// It answers for a share with bytes of its own making.
    WrongShare,
    /// It answers for a share with its share of another database, sealed as if it were the right one.
    OtherShare,
    /// It takes requests for shards and never answers.
    Silent,
}

impl Lie {
    /// The lie that `LEGATION_TEST_LIE` names.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        match std::env::var("LEGATION_TEST_LIE").ok()?.as_str() {
            "flip-bits" => Some(Self::FlipBits),
            "truncate" => Some(Self::Truncate),
            "old-manifest" => Some(Self::OldManifest),
            "wrong-share" => Some(Self::WrongShare),
            "other-share" => Some(Self::OtherShare),
            "silent" => Some(Self::Silent),
            _ => None,
        }
    }
}

/// What a site shows whose only manifest is the first of every database.
pub(super) fn old_manifest(machines: &Machines, request: &Request) -> Option<Response> {
    let first = |database: &DatabaseName| machines.catalog.history(database).and_then(|history| history.manifest(1));
    if let Request::Head { database } = request {
        return Some(Response::Head(first(database).map(|first| (1, first.digest()))));
    }
    if let Request::Manifests { database, from_sequence: ..=1 } = request {
        let shown = first(database).map(|first| first.encode().into());
        return Some(Response::Documents(shown.into_iter().collect()));
    }
    None
}

/// The share of another database than `asked`, sealed to the order's recipient in the place of the right one.
pub(super) fn other_share(
    machines: &Machines,
    keys: &SiteKeys,
    order: Digest,
    asked: &DatabaseName,
    sequence: u64,
) -> Option<Vec<u8>> {
    let right = machines.catalog.history(asked)?.manifest(sequence)?;
    let (_name, other) = machines.catalog.histories().find(|(name, _)| *name != asked)?;
    let sealed = other.share(other.head_sequence())?;
    let head = other.head()?.document();
    let context = share_context(head, other.custody_of(head).epoch, &keys.name);
    let share = open_sealed(&keys.sealing, &context, sealed).ok()?;
    let signed = machines.release.log().iter().find_map(|entry| match entry {
        LogEntry::Order(signed) if signed.digest() == order => Some(signed),
        LogEntry::Order(_) | LogEntry::Notice(_) | LogEntry::Veto(_) => None,
    })?;
    let recipient = SealingPublicKey::from_bytes(&signed.document().recipient_sealing_key).ok()?;
    let context = release_context(order, right.document(), &keys.name);
    seal_to(&recipient, &context, &share, &mut entropy::rng()).ok()
}
