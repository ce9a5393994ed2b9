//! Durable or not: what the receipts of one snapshot promise, counted against every coalition.
//!
//! How many shards and shares a snapshot needs, and from which sites, was settled when it was made: its manifest says so.
//! Who may act together, and which sites are left, is what the newest charter says.

use std::collections::BTreeSet;

use crate::catalog::History;
use crate::document::{Charter, Database, Manifest, Receipt};
use crate::identifier::SiteName;
use crate::placement::coalition::{Bond, coalitions};

/// What is left of a snapshot after the worst single coalition is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durability {
    /// Sites whose receipt covers all their shards.
    pub shard_sites: BTreeSet<SiteName>,
    /// Sites whose receipt covers their share.
    pub share_sites: BTreeSet<SiteName>,
    /// Jurisdictions that the receipts come from.
    pub jurisdictions: BTreeSet<String>,
    /// The coalition whose loss leaves the least, if there is any.
    pub weakest: Option<Bond>,
    /// Shards that remain without it.
    pub shards_remaining: usize,
    /// Shards needed.
    pub data_shards: usize,
    /// Shares that remain without it.
    pub shares_remaining: usize,
    /// Shares needed.
    pub threshold: usize,
    /// Sites of placement or custody that gave no full receipt.
    pub missing: BTreeSet<SiteName>,
}

impl Durability {
    /// Whether enough remains, whichever single coalition is lost.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.shards_remaining >= self.data_shards && self.shares_remaining >= self.threshold
    }
}

/// Counts verified `receipts` of the snapshot of `manifest`. Receipts of sites that are not active under `charter`, the
/// newest one, do not count. If shares of `history` were given on since, those who confirmed that they hold the new ones count
/// for them, and no receipt does.
#[must_use]
pub fn assess<'a>(
    charter: &Charter,
    manifest: &Manifest,
    history: Option<&History>,
    receipts: impl IntoIterator<Item = &'a Receipt>,
) -> Durability {
    let custody = history.map_or(&manifest.custody, |history| history.custody_of(manifest));
    let agreed = history.and_then(|history| history.agreed_sharing(manifest.sequence));
    let needs = Needs {
        data_shards: usize::from(manifest.data_shards),
        threshold: usize::from(custody.threshold),
        placement: &manifest.placement,
        custodians: &custody.custodians,
    };
    let active: BTreeSet<&SiteName> = charter.active_sites().map(|site| &site.name).collect();
    let (mut shard_sites, mut share_sites) = (BTreeSet::new(), BTreeSet::new());
    for receipt in receipts.into_iter().filter(|receipt| active.contains(&receipt.site)) {
        if receipt.holds_shards && manifest.placement.contains(&receipt.site) {
            shard_sites.insert(receipt.site.clone());
        }
        if agreed.is_none() && receipt.holds_share && custody.custodians.contains(&receipt.site) {
            share_sites.insert(receipt.site.clone());
        }
    }
    if let Some((_at, holders)) = agreed {
        share_sites.extend(holders.iter().filter(|site| active.contains(site)).cloned());
    }
    needs.weigh(charter, shard_sites, share_sites)
}

/// What the next snapshot of `database` could come to: as if each of `sites` that is active under `charter` gave a full
/// receipt.
#[must_use]
pub fn foresee(charter: &Charter, database: &Database, sites: &BTreeSet<SiteName>) -> Durability {
    let active = charter.active_sites().map(|site| &site.name).filter(|name| sites.contains(*name));
    let active: BTreeSet<&SiteName> = active.collect();
    let those = |names: &[SiteName]| names.iter().filter(|name| active.contains(name)).cloned().collect();
    let needs = Needs {
        data_shards: usize::from(database.data_shards),
        threshold: usize::from(database.threshold),
        placement: &database.placement,
        custodians: &database.custodians,
    };
    needs.weigh(charter, those(&database.placement), those(&database.custodians))
}

/// Whether `threshold` shares remain, whichever single coalition is lost, if these sites hold one each.
#[must_use]
pub fn shares_survive(charter: &Charter, sites: &BTreeSet<SiteName>, threshold: usize) -> bool {
    let remain = |lost: &BTreeSet<SiteName>| sites.difference(lost).count() >= threshold;
    sites.len() >= threshold && coalitions(charter).iter().all(|lost| remain(&lost.sites))
}

/// What one snapshot asks for.
struct Needs<'a> {
    data_shards: usize,
    threshold: usize,
    placement: &'a [SiteName],
    custodians: &'a [SiteName],
}

impl Needs<'_> {
    fn weigh(&self, charter: &Charter, shard_sites: BTreeSet<SiteName>, share_sites: BTreeSet<SiteName>) -> Durability {
        let Self { data_shards, threshold, placement, custodians } = *self;
        let without = |sites: &BTreeSet<SiteName>, lost: &BTreeSet<SiteName>| sites.difference(lost).count();
        // The weakest coalition is the one that leaves the smallest surplus over what is needed, of shards or of shares.
        let surplus = |shards: usize, shares: usize| {
            (shards + threshold).min(shares + data_shards) // both sides shifted by the other's bound: no subtraction
        };
        let weakest = coalitions(charter)
            .into_iter()
            .map(|lost| (without(&shard_sites, &lost.sites), without(&share_sites, &lost.sites), lost.bond))
            .min_by_key(|(shards, shares, _)| surplus(*shards, *shares));
        let (shards_remaining, shares_remaining) =
            weakest.as_ref().map_or((shard_sites.len(), share_sites.len()), |(shards, shares, _)| (*shards, *shares));
        let missing = (placement.iter().filter(|site| !shard_sites.contains(*site)))
            .chain(custodians.iter().filter(|site| !share_sites.contains(*site)))
            .cloned()
            .collect();
        let jurisdictions = charter
            .active_sites()
            .filter(|site| shard_sites.contains(&site.name) || share_sites.contains(&site.name))
            .map(|site| site.jurisdiction.clone())
            .collect();
        Durability {
            shard_sites,
            share_sites,
            jurisdictions,
            weakest: weakest.map(|(_, _, bond)| bond),
            shards_remaining,
            data_shards,
            shares_remaining,
            threshold,
            missing,
        }
    }
}
