//! The redundancy ledger: how many independent places each snapshot really reaches now.
//!
//! A site is believed to hold its shard of a stripe if a receipt of it covers the stripe, or a later inventory does; not
//! if its inventory names the stripe, or a loss was proven that this site has not seen mended. Everything is counted
//! against every single coalition of the newest charter. Never a guess: what nobody vouches for counts as not there.

mod coalitions;
mod snapshots;

use crate::catalog::{History, KeptStripe};
use crate::document::{Charter, Inventory, block_of};
use crate::evidence::Evidence;
use crate::identifier::{DatabaseName, SiteName};

pub(crate) use coalitions::CoalitionSets;
pub use coalitions::SmallestUnion;
pub(crate) use snapshots::durable_snapshots;
pub use snapshots::{DatabaseLedger, SnapshotLedger, StripeCounts, assess};

/// Whether `site` says that it holds its shard of `stripe`: proven losses aside.
#[must_use]
pub fn claims_shard(
    site: &SiteName,
    database: &DatabaseName,
    history: &History,
    stripe: &KeptStripe,
    evidence: &Evidence,
) -> bool {
    let inventory = evidence.inventory(database, site).map(|signed| signed.document());
    if inventory.is_some_and(|said| said.missing_stripes.contains(stripe.live.stripe.number)) {
        return false;
    }
    inventory.is_some_and(|said| said.sequence >= stripe.added) || history.gave_receipt(site, stripe.snapshots())
}

/// Whether a loss of the shard at `site` was proven and not seen mended here.
fn is_proven_lost(site: &SiteName, database: &DatabaseName, stripe: &KeptStripe, evidence: &Evidence) -> bool {
    #[cfg(feature = "planted-bugs")]
    if crate::planted::is_planted(crate::planted::Bug::FaultNotCounted) {
        return false;
    }
    let Some((index, root)) = stripe.live.shard_at(site) else { return false };
    evidence.is_distrusted(database, site) || evidence.is_lost(database, stripe.live.stripe.number, index.get(), root)
}

/// The active sites that are believed to hold their shard of `stripe`, in the order of its shards.
pub fn holders<'a>(
    database: &'a DatabaseName,
    history: &'a History,
    stripe: &'a KeptStripe,
    charter: &'a Charter,
    evidence: &'a Evidence,
) -> impl Iterator<Item = &'a SiteName> {
    let sites = stripe.live.placement.iter();
    let active = sites.filter(|site| charter.active_site(site).is_some());
    active.filter(move |site| {
        claims_shard(site, database, history, stripe, evidence) && !is_proven_lost(site, database, stripe, evidence)
    })
}

/// Whether `site` is believed to hold its share of one snapshot key, of its newest epoch: what it said of an older one tells
/// nothing.
#[must_use]
pub fn claims_share(
    site: &SiteName,
    database: &DatabaseName,
    history: &History,
    sequence: u64,
    evidence: &Evidence,
) -> bool {
    let inventory = evidence.inventory(database, site).map(|signed| signed.document());
    if inventory.is_some_and(|said| said.missing_shares.contains(sequence)) {
        return false;
    }
    let epoch = history.epochs().newest(block_of(sequence));
    let covers = |said: &Inventory| said.sequence >= sequence && said.epoch_of(block_of(sequence)) == epoch;
    history.has_promised_share(site, sequence) || inventory.is_some_and(covers)
}
