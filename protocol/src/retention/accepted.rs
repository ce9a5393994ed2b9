//! When a snapshot was accepted: not what its writer says, but what the sites' receipts say.

use std::collections::BTreeMap;

use shard_codec::Digest;

use super::rules::Candidate;
use crate::catalog::{Catalog, History};
use crate::document::Manifest;
use crate::ledger::CoalitionSets;
use crate::placement::coalition::SiteSet;
use crate::signature::Signed;
use crate::timestamp::Timestamp;

const NEVER: Timestamp = Timestamp::from_unix_ms(u64::MAX);

/// When a snapshot was there, by the sites' clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moments {
    /// The first moment by which `threshold` sites, not all of one coalition, had signed that they hold something of it. A
    /// coalition cannot move it before all that others say, nor later than `threshold` others say.
    pub(super) witnessed: Option<Timestamp>,
    /// The first moment by which so many had signed that it was durable, whichever coalition of the charter of its time lies
    /// about it. A coalition that is needed for that may move it later, so that the snapshot counts as younger.
    pub(super) accepted: Option<Timestamp>,
}

/// When every charter version that a manifest names was drafted, and its coalitions.
pub(super) struct Acceptance<'a> {
    by_charter: BTreeMap<Digest, (Timestamp, CoalitionSets<'a>)>,
}

impl<'a> Acceptance<'a> {
    pub(super) fn new(catalog: &'a Catalog) -> Self {
        let versions = catalog.charters().iter().map(|signed| (signed.digest(), signed.document()));
        let by_charter =
            versions.map(|(digest, charter)| (digest, (charter.drafted, CoalitionSets::of(charter)))).collect();
        Self { by_charter }
    }

    /// What the receipts of a snapshot say of its time; never earlier than its charter was drafted.
    pub(super) fn moments(&self, history: &History, manifest: &Manifest) -> Moments {
        let mut moments = Moments::default();
        let Some((drafted, sets)) = self.by_charter.get(&manifest.charter) else { return moments };
        let mut receipts: Vec<_> = history.receipts(manifest.sequence).map(Signed::document).collect();
        receipts.sort_by_key(|receipt| receipt.at);
        let (mut shards, mut shares) = (SiteSet::default(), SiteSet::default());
        let (data_shards, threshold) = (usize::from(manifest.data_shards), usize::from(manifest.custody.threshold));
        for receipt in receipts {
            let (site, at) = (sets.set([&receipt.site]), receipt.at.max(*drafted));
            if receipt.holds_shards && manifest.placement.contains(&receipt.site) {
                shards = shards.union(&site);
            }
            if receipt.holds_share && manifest.custody.custodians.contains(&receipt.site) {
                shares = shares.union(&site);
            }
            let all = shards.union(&shares);
            if moments.witnessed.is_none() && all.count() >= threshold && sets.worst(&all).0 > 0 {
                moments.witnessed = Some(at);
            }
            if sets.worst(&shards).0 >= data_shards && sets.worst(&shares).0 >= threshold {
                moments.accepted = Some(at);
                break;
            }
        }
        moments
    }

    /// The snapshots of a database that are not gone yet, with the moments that the rules count from. `is_durable` says
    /// which are durable now.
    pub(super) fn candidates(&self, history: &History, is_durable: impl Fn(u64) -> bool) -> Vec<Candidate> {
        let here = history.manifests_from(1).map(Signed::document);
        let here = here.filter(|manifest| !history.is_discarded(manifest.sequence));
        let mut candidates = Vec::new();
        for manifest in here {
            let Moments { witnessed, accepted } = self.moments(history, manifest);
            let is_good = accepted.is_some() && is_durable(manifest.sequence);
            let at = accepted.or(witnessed).unwrap_or(NEVER);
            candidates.push(Candidate { sequence: manifest.sequence, at, witnessed, is_good });
        }
        // Of one that too few signed only this is known, that it was there before the next.
        let mut next = NEVER;
        for candidate in candidates.iter_mut().rev() {
            if candidate.at == NEVER {
                candidate.at = next;
            }
            next = candidate.at;
        }
        candidates
    }
}
