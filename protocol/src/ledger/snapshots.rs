//! Every snapshot of a database, by what is left of its worst stripe.

use std::collections::{BTreeMap, BTreeSet};

use super::coalitions::{CoalitionSets, SmallestUnion};
use super::{claims_share, holders};
use crate::catalog::{Catalog, History};
use crate::document::Manifest;
use crate::evidence::Evidence;
use crate::identifier::{DatabaseName, SiteName};
use crate::placement::coalition::{Bond, SiteSet};
use crate::signature::Signed;

/// What one snapshot reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotLedger {
    /// Which.
    pub sequence: u64,
    /// Sites that hold their shard of the stripe that fewest hold.
    pub shard_sites: BTreeSet<SiteName>,
    /// Shards needed.
    pub data_shards: usize,
    /// Sites that hold their share of its key.
    pub share_sites: BTreeSet<SiteName>,
    /// Shares needed.
    pub threshold: usize,
    /// Jurisdictions of those sites: the independent domains that it really reaches.
    pub jurisdictions: BTreeSet<String>,
    /// Shards that remain when the worst single coalition is lost.
    pub shards_remaining: usize,
    /// Shares that remain when the worst single coalition is lost.
    pub shares_remaining: usize,
    /// The coalition that takes the most.
    pub weakest: Option<Bond>,
    /// The fewest coalitions that together hold enough shares to read it.
    pub readers: SmallestUnion,
    /// The fewest coalitions without which it could not be restored.
    pub takers: SmallestUnion,
}

impl SnapshotLedger {
    /// Whether enough remains, whichever single coalition is lost.
    #[must_use]
    pub const fn is_durable(&self) -> bool {
        self.shards_remaining >= self.data_shards && self.shares_remaining >= self.threshold
    }

    /// Whether it could be restored now.
    #[must_use]
    pub fn is_restorable(&self) -> bool {
        self.shard_sites.len() >= self.data_shards && self.share_sites.len() >= self.threshold
    }

    /// Sites that may still be lost, one after the other, the worst ones first.
    #[must_use]
    pub fn left_to_lose(&self) -> usize {
        let shards = self.shard_sites.len().saturating_sub(self.data_shards);
        shards.min(self.share_sites.len().saturating_sub(self.threshold))
    }
}

/// All stripes of a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StripeCounts {
    /// Bytes of the stripes kept, before coding.
    pub bytes: u64,
    /// Stripes kept.
    pub kept: usize,
    /// Of these, stripes of which some site of the placement lacks its shard.
    pub short: usize,
    /// Of these, stripes that cannot be decoded.
    pub lost: usize,
}

/// One database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseLedger {
    /// Which.
    pub database: DatabaseName,
    /// The newest snapshot; absent if there is none.
    pub head: Option<SnapshotLedger>,
    /// The snapshot with the least to lose; the newest of them.
    pub weakest: Option<SnapshotLedger>,
    /// Snapshots kept.
    pub snapshot_count: u64,
    /// Of these, snapshots that survive the loss of any one coalition.
    pub durable_count: u64,
    /// The newest of those.
    pub newest_durable: Option<u64>,
    /// The stripes.
    pub stripes: StripeCounts,
}

/// A bound above all counts of sites, added to them so that what is lacking counts below zero.
const SHIFT: usize = 256;

/// Stripes that the same sites hold are alike.
struct Class {
    holders: SiteSet,
    data_shards: usize,
    remaining: usize,
    held: usize,
}

impl Class {
    /// What is left over, after the worst coalition and now: the class with the least decides.
    fn surplus(&self) -> (usize, usize) {
        (self.remaining + SHIFT - self.data_shards, self.held + SHIFT - self.data_shards)
    }
}

/// Counts one database, every retained snapshot of it.
#[must_use]
pub fn assess(database: &DatabaseName, catalog: &Catalog, evidence: &Evidence) -> DatabaseLedger {
    let mut ledger = DatabaseLedger {
        database: database.clone(),
        head: None,
        weakest: None,
        snapshot_count: 0,
        durable_count: 0,
        newest_durable: None,
        stripes: StripeCounts::default(),
    };
    let Some(history) = catalog.history(database) else { return ledger };
    let sets = CoalitionSets::of(catalog.charter());
    let (classes, weighed) = weigh(database, history, catalog, evidence, &sets, &mut ledger.stripes);
    let mut weakest: Option<&Weighed> = None;
    for one in &weighed {
        ledger.snapshot_count += 1;
        if one.surplus.0 >= SHIFT {
            ledger.durable_count += 1;
            ledger.newest_durable = Some(one.sequence);
        }
        if weakest.is_none_or(|weakest| one.surplus <= weakest.surplus) {
            weakest = Some(one);
        }
    }
    let describe = |one: &Weighed| {
        let manifest = history.manifest(one.sequence)?.document();
        let class = one.class.and_then(|class| classes.get(class));
        Some(describe(manifest, class, database, catalog, evidence, &sets))
    };
    ledger.head = weighed.last().filter(|last| last.sequence == history.head_sequence()).and_then(describe);
    ledger.weakest = weakest.and_then(describe);
    ledger
}

/// The snapshots that survive the loss of any one coalition, by what is believed of the sites; not those of nothing, which
/// cost a thief nothing.
pub(crate) fn durable_snapshots(database: &DatabaseName, catalog: &Catalog, evidence: &Evidence) -> BTreeSet<u64> {
    let Some(history) = catalog.history(database) else { return BTreeSet::new() };
    let sets = CoalitionSets::of(catalog.charter());
    let (_classes, weighed) = weigh(database, history, catalog, evidence, &sets, &mut StripeCounts::default());
    let is_durable = |one: &Weighed| one.surplus.0 >= SHIFT && one.class.is_some();
    weighed.into_iter().filter(is_durable).map(|one| one.sequence).collect()
}

/// What a snapshot has left over.
struct Weighed {
    sequence: u64,
    /// Without the worst coalition and now, shifted.
    surplus: (usize, usize),
    /// That of its worst stripe.
    class: Option<usize>,
}

/// Every retained snapshot by its worst stripe, in order.
fn weigh(
    database: &DatabaseName,
    history: &History,
    catalog: &Catalog,
    evidence: &Evidence,
    sets: &CoalitionSets<'_>,
    counts: &mut StripeCounts,
) -> (Vec<Class>, Vec<Weighed>) {
    let (classes, changes) = classify(database, history, catalog, evidence, sets, counts);
    let mut in_use: BTreeMap<usize, usize> = BTreeMap::new();
    let mut changes = changes.into_iter().peekable();
    let mut weighed = Vec::new();
    for manifest in history.retained_from(1).map(Signed::document) {
        // Those of snapshots that were let go come with the next that was not.
        while let Some((_sequence, of_one)) = changes.next_if(|(sequence, _of_one)| *sequence <= manifest.sequence) {
            for (class, added, dropped) in of_one {
                let count = in_use.entry(class).or_default();
                *count = (*count + added).saturating_sub(dropped);
            }
        }
        in_use.retain(|_class, count| *count > 0);
        let used = in_use.keys().filter_map(|class| Some((classes.get(*class)?.surplus(), *class)));
        let worst = used.min();
        let shares = share_set(manifest, database, history, evidence, sets);
        let threshold = usize::from(history.custody_of(manifest).threshold);
        let shares_remaining = sets.worst(&shares).0;
        let share_surplus = (shares_remaining + SHIFT - threshold, shares.count() + SHIFT - threshold);
        let surplus = worst.map_or(share_surplus, |(surplus, _class)| surplus.min(share_surplus));
        weighed.push(Weighed { sequence: manifest.sequence, surplus, class: worst.map(|(_surplus, class)| class) });
    }
    (classes, weighed)
}

/// By sequence: the class of stripes, how many of them it adds and how many it drops.
type Changes = BTreeMap<u64, Vec<(usize, usize, usize)>>;

fn classify(
    database: &DatabaseName,
    history: &History,
    catalog: &Catalog,
    evidence: &Evidence,
    sets: &CoalitionSets<'_>,
    counts: &mut StripeCounts,
) -> (Vec<Class>, Changes) {
    let mut classes: Vec<Class> = Vec::new();
    let mut by_holders: BTreeMap<(SiteSet, usize), usize> = BTreeMap::new();
    let mut changes = Changes::new();
    for stripe in history.kept_stripes().iter() {
        let holders = sets.set(holders(database, history, stripe, catalog.charter(), evidence));
        let (held, data_shards) = (holders.count(), stripe.live.layout.parameters().data_shards());
        counts.kept += 1;
        counts.bytes += u64::from(stripe.live.stripe.payload_bytes);
        counts.short += usize::from(held < stripe.live.placement.len());
        counts.lost += usize::from(held < data_shards);
        let class = *by_holders.entry((holders.clone(), data_shards)).or_insert_with(|| {
            let remaining = sets.worst(&holders).0;
            classes.push(Class { holders, data_shards, remaining, held });
            classes.len() - 1
        });
        changes.entry(stripe.added).or_default().push((class, 1, 0));
        if let Some(dropped) = stripe.dropped {
            changes.entry(dropped).or_default().push((class, 0, 1));
        }
    }
    (classes, changes)
}

fn share_sites<'a>(
    manifest: &'a Manifest,
    database: &'a DatabaseName,
    history: &'a History,
    evidence: &'a Evidence,
) -> impl Iterator<Item = &'a SiteName> {
    let holders = history.custody_of(manifest).holders(history.succession()).map(|(site, _index)| site);
    holders.filter(move |site| claims_share(site, database, history, manifest.sequence, evidence))
}

fn share_set(
    manifest: &Manifest,
    database: &DatabaseName,
    history: &History,
    evidence: &Evidence,
    sets: &CoalitionSets<'_>,
) -> SiteSet {
    sets.active(share_sites(manifest, database, history, evidence))
}

fn describe(
    manifest: &Manifest,
    class: Option<&Class>,
    database: &DatabaseName,
    catalog: &Catalog,
    evidence: &Evidence,
    sets: &CoalitionSets<'_>,
) -> SnapshotLedger {
    let charter = catalog.charter();
    let history = catalog.history(database);
    let custody = history.map_or(&manifest.custody, |history| history.custody_of(manifest));
    let (data_shards, threshold) = (usize::from(manifest.data_shards), usize::from(custody.threshold));
    let active = |site: &&SiteName| charter.active_site(site).is_some();
    let share_sites: BTreeSet<SiteName> = history.map_or_else(BTreeSet::new, |history| {
        share_sites(manifest, database, history, evidence).filter(active).cloned().collect()
    });
    let shares = sets.set(&share_sites);
    // A snapshot without stripes needs no shards: its placement stands for them.
    let (shards, data_shards) = class.map_or_else(
        || (sets.active(manifest.placement.iter().map(|named| catalog.succession().holder(named))), data_shards),
        |class| (class.holders.clone(), class.data_shards),
    );
    let shard_sites: BTreeSet<SiteName> = sets.positions.names(&shards).cloned().collect();
    let jurisdictions = shard_sites.iter().chain(&share_sites).filter_map(|name| charter.active_site(name));
    let jurisdictions = jurisdictions.map(|site| site.jurisdiction.clone()).collect();
    let held_by = |named| sets.set(catalog.succession().line(named));
    let places: Vec<SiteSet> = custody.custodians.iter().map(held_by).collect();
    let ((shards_remaining, of_shards), (shares_remaining, of_shares)) = (sets.worst(&shards), sets.worst(&shares));
    let by_shards = shards_remaining + threshold < shares_remaining + data_shards;
    SnapshotLedger {
        sequence: manifest.sequence,
        shard_sites,
        data_shards,
        share_sites,
        threshold,
        jurisdictions,
        shards_remaining,
        shares_remaining,
        weakest: if by_shards { of_shards } else { of_shares }.cloned(),
        // Whoever ever held a share may have kept a copy; a site and its successor had the same one.
        readers: sets
            .smallest(|union| places.iter().filter(|holders| holders.count_with(union) > 0).count() >= threshold),
        takers: sets
            .smallest(|union| shards.count_without(union) < data_shards || shares.count_without(union) < threshold),
    }
}
