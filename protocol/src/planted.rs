//! Defects that are put in on purpose, one at a time and for one thread, so that the simulator can show that it finds
//! them. Nothing of this is in a build without the feature `planted-bugs`, and nothing of it acts until it is chosen.

use std::cell::Cell;

use serde::{Deserialize, Serialize};

/// A defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bug {
    /// The host answers before the transaction is synced: no machine looks for this one, a host does.
    ReplyBeforeSync,
    /// The quorum counts signatures, not officials.
    OfficialCountedTwice,
    /// A manifest is taken although its predecessor is not here.
    HeadWithoutPredecessor,
    /// A share leaves although nothing of it is in the log.
    ShareBeforeLog,
    /// A receipt promises shards that are missing.
    ReceiptDespiteMissing,
    /// An order that was shown once never expires.
    ExpiredOrder,
    /// A share is taken without being held against the commitments.
    UnverifiedShare,
    /// The proof of a fork is neither kept nor spread.
    ForkForgotten,
    /// An audit takes any signed answer for a proof.
    AnswerNotProven,
    /// A proven loss is kept and not counted.
    FaultNotCounted,
    /// A site helps others that have not said what they lack.
    HelpWithoutConfession,
    /// A site remakes the first shard of every stripe, wherever it lies.
    PlacementIgnored,
    /// A site does not say that it has lost what others count on.
    LossHidden,
    /// What a site said before takes the place of what it said since.
    OlderInventoryTaken,
    /// A helper gives its share as it is, under no mask.
    ShareWithoutMask,
    /// One vote certifies an epoch of shares, whoever holds them.
    EpochByMinority,
    /// Shares of an epoch that is past are not erased.
    OldSharesKept,
    /// One site's word lets snapshots go.
    ExpiryByOneSite,
    /// Shards are collected that a snapshot kept here refers to.
    CollectReferenced,
    /// Good snapshots go for the sake of suspicious ones.
    QuarantineIgnored,
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// The defect stays until this is dropped.
#[derive(Debug)]
#[must_use = "the defect goes when this is dropped"]
pub struct Planted(());

impl Drop for Planted {
    fn drop(&mut self) {
        PLANTED.set(None);
    }
}

/// Chooses the defect of this thread.
pub fn plant(bug: Option<Bug>) -> Planted {
    PLANTED.set(bug);
    Planted(())
}

/// Whether `bug` is chosen.
#[must_use]
pub fn is_planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}
