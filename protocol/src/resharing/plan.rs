//! What is due for a new epoch, and who could deal it.

use rand::CryptoRng;
use shard_codec::Digest;

use crate::audit::schedule::draw_sites;
use crate::catalog::{Catalog, History};
use crate::document::{BLOCK_SNAPSHOTS, Custody, Database, Manifest, ReshareScope, block_of};
use crate::evidence::Evidence;
use crate::identifier::{DatabaseName, SiteName};
use crate::ledger::claims_share;
use crate::limits::RESHARING_THRESHOLD_MAX;
use crate::signature::Signed;
use crate::timestamp::Timestamp;

const DAY_MS: u64 = 86_400_000;

/// Whether the key of a snapshot should be shared anew: its custodians or threshold are not those of the charter any more,
/// or its shares are as old as the charter allows. `wall` is the clock on the wall.
#[must_use]
pub(super) fn is_due(entry: &Database, history: &History, manifest: &Manifest, wall: Timestamp) -> bool {
    let custody = history.custody_of(manifest);
    if usize::from(entry.threshold) > RESHARING_THRESHOLD_MAX {
        return false; // cannot be given on
    }
    if (custody.threshold, &custody.custodians) != (entry.threshold, &entry.custodians) {
        return true;
    }
    let began = history.agreed_sharing(manifest.sequence).map_or(manifest.created, |(at, _holders)| at);
    // What begins in the future would never be old.
    let is_old = |days: u16| began.plus_ms(u64::from(days) * DAY_MS) <= wall || began > wall.plus_ms(2 * DAY_MS);
    entry.refresh_days.is_some_and(is_old)
}

/// Snapshots of a database whose keys should be shared anew. `wall` is the clock on the wall.
#[must_use]
pub fn due_count(catalog: &Catalog, database: &DatabaseName, wall: Timestamp) -> u64 {
    let entry = catalog.charter().database(database);
    let Some((entry, history)) = entry.zip(catalog.history(database)) else { return 0 };
    let manifests = history.retained_from(1).map(Signed::document);
    manifests.filter(|manifest| is_due(entry, history, manifest, wall)).count() as u64
}

/// The first block from `from` on in which a snapshot is due.
pub(super) fn next_block(entry: &Database, history: &History, from: u64, wall: Timestamp) -> Option<u64> {
    let mut manifests = history.retained_from(from * BLOCK_SNAPSHOTS + 1).map(Signed::document);
    manifests.find(|manifest| is_due(entry, history, manifest, wall)).map(|manifest| block_of(manifest.sequence))
}

/// The next dealing of a block: snapshots that are due and have the same custody, of which the same holders are believed to
/// hold their shares and are trusted.
///
/// # Errors
/// Why nothing of it can be dealt now.
#[expect(clippy::too_many_arguments, reason = "all that a choice of dealers depends on")]
pub(super) fn plan(
    entry: &Database,
    block: u64,
    history: &History,
    catalog: &Catalog,
    evidence: &Evidence,
    wall: Timestamp,
    trusted: impl Fn(&SiteName) -> bool,
    rng: &mut impl CryptoRng,
) -> Result<ReshareScope, String> {
    let in_block = || {
        let manifests = history.retained_from(block * BLOCK_SNAPSHOTS + 1).map(Signed::document);
        let in_block = manifests.take_while(|manifest| block_of(manifest.sequence) == block);
        in_block.filter(|manifest| is_due(entry, history, manifest, wall))
    };
    let mut why = "nothing is due".to_owned();
    for first in in_block() {
        let custody = history.custody_of(first);
        let has_share = |site: &SiteName, sequence: u64| claims_share(site, &entry.name, history, sequence, evidence);
        let holders = custody.holders(history.succession()).map(|(site, _index)| site);
        let able = holders.filter(|site| has_share(site, first.sequence) && trusted(site));
        let mut dealers: Vec<SiteName> = able.cloned().collect();
        let threshold = usize::from(custody.threshold);
        if dealers.len() < threshold {
            let (sequence, count) = (first.sequence, dealers.len());
            why = format!(
                "{count} of {threshold} sites that are needed for snapshot {sequence} hold their share and are trusted"
            );
            continue;
        }
        draw_sites(&mut dealers, threshold, rng);
        let same = |other: &Custody| (other.threshold, &other.custodians) == (custody.threshold, &custody.custodians);
        let chosen = in_block().filter(|manifest| {
            same(history.custody_of(manifest)) && dealers.iter().all(|site| has_share(site, manifest.sequence))
        });
        let snapshots: Vec<(u64, Digest)> =
            chosen.filter_map(|manifest| Some((manifest.sequence, history.sharing(manifest.sequence)?))).collect();
        return Ok(ReshareScope {
            state: catalog.state(),
            database: entry.name.clone(),
            charter: catalog.charters().newest().digest(),
            block,
            epoch: history.epochs().newest(block) + 1,
            threshold: entry.threshold,
            custodians: entry.custodians.clone(),
            dealers,
            snapshots,
        });
    }
    Err(why)
}
