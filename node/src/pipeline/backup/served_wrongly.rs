//! Shards that a site served wrongly when home remade others from them: its word that it holds them counts for nothing.
//!
//! Without it a stripe that only a liar completes is referred to again by every new snapshot, and none is ever durable,
//! although home still has the plaintext.

use std::collections::{BTreeMap, BTreeSet};

use protocol::identifier::{DatabaseName, SiteName};
use shard_codec::Digest;

use super::{BackupContext, BackupError};
use crate::machine_state::{Record, RecordKind};

/// Shards remembered of one database; what is over is found again when it is served wrongly again.
const SHARDS_MAX: usize = 65_536;
const BYTES_MAX: usize = 16 << 20;

/// By site, the roots of the shards.
pub(super) type Wrong = BTreeMap<SiteName, BTreeSet<Digest>>;

fn key(database: &DatabaseName) -> Vec<u8> {
    [b"served-wrongly\0", database.as_str().as_bytes()].concat()
}

/// What is remembered.
pub(super) fn recall(context: &BackupContext, database: &DatabaseName) -> Result<Wrong, BackupError> {
    let Some(bytes) = context.state.get(RecordKind::Outbox, &key(database))? else { return Ok(Wrong::new()) };
    protocol::cbor::decode(&bytes, BYTES_MAX).map_err(|error| BackupError::Seal(error.to_string()))
}

/// Remembers more of them.
pub(super) fn remember(
    context: &BackupContext,
    database: &DatabaseName,
    more: BTreeSet<(SiteName, Digest)>,
) -> Result<(), BackupError> {
    let mut wrong = recall(context, database)?;
    let mut count: usize = wrong.values().map(BTreeSet::len).sum();
    let before = count;
    for (site, root) in more {
        if count < SHARDS_MAX && wrong.entry(site).or_default().insert(root) {
            count += 1;
        }
    }
    if count == before { Ok(()) } else { keep(context, database, &wrong) }
}

/// Forgets all but those of stripes that are still referred to.
pub(super) fn forget_others(
    context: &BackupContext,
    database: &DatabaseName,
    wrong: &Wrong,
    kept: &BTreeSet<Digest>,
) -> Result<(), BackupError> {
    let mut left = wrong.clone();
    left.values_mut().for_each(|roots| roots.retain(|root| kept.contains(root)));
    left.retain(|_site, roots| !roots.is_empty());
    if left == *wrong { Ok(()) } else { keep(context, database, &left) }
}

fn keep(context: &BackupContext, database: &DatabaseName, wrong: &Wrong) -> Result<(), BackupError> {
    let (key, value) = (key(database), protocol::cbor::encode(wrong));
    Ok(context.state.append(&[Record { kind: RecordKind::Outbox, key: &key, value: &value }])?)
}
