//! The public, signed description of one snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shard_codec::limits::{SHARDS_MAX, STRIPE_BYTES_MAX};
use shard_codec::secret_sharing::Commitments;
use shard_codec::stripe::StripeLayout;
use shard_codec::{CodingParameters, Digest, ShardIndex, ShareIndex};

use super::{DEALT_EPOCH, Document, Succession, Suspicion};
use crate::identifier::{DatabaseName, SiteName};
use crate::limits::{MANIFEST_BYTES_MAX, SEALED_ROOT_BYTES_MAX, STRIPE_NUMBER_MAX};
use crate::timestamp::Timestamp;

/// One snapshot: what was added, who holds the key, and the sealed root of its contents. Says nothing of what is in
/// it but sizes and times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The state.
    pub state: Digest,
    /// The database.
    pub database: DatabaseName,
    /// From 1, without gaps.
    pub sequence: u64,
    /// Digest of the manifest before; absent in the first.
    pub previous: Option<Digest>,
    /// Digest of the charter it was written under.
    pub charter: Digest,
    /// By the writer's clock: shown, never relied on.
    pub created: Timestamp,
    /// Shards that rebuild a stripe.
    pub data_shards: u8,
    /// Shard i of every stripe added here lies at the i-th of these.
    pub placement: Vec<SiteName>,
    /// Stripes this snapshot adds.
    pub stripes_added: Vec<Stripe>,
    /// Numbers of earlier stripes that this snapshot no longer refers to.
    pub stripes_dropped: Vec<u64>,
    /// Who holds the snapshot key.
    pub custody: Custody,
    /// The contents' root, sealed with the snapshot key.
    #[serde(with = "serde_bytes")]
    pub sealed_root: Vec<u8>,
    /// What home finds suspicious in it, sorted, each once. Not written if nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspicions: Vec<Suspicion>,
}

/// One stripe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stripe {
    /// Unique in the database, growing.
    pub number: u64,
    /// Sealed chunks in it, in bytes, before padding.
    pub payload_bytes: u32,
    /// The roots of its shards, 32 bytes each, in the order of the placement.
    #[serde(with = "serde_bytes")]
    pub roots: Vec<u8>,
}

impl Stripe {
    /// The root of one shard.
    #[must_use]
    pub fn root(&self, index: ShardIndex) -> Option<Digest> {
        let root = self.roots.chunks_exact(32).nth(index.as_usize())?;
        root.try_into().ok().map(Digest::from_bytes)
    }
}

/// The sharing of one snapshot key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Custody {
    /// 1 for what home dealt; higher ones were agreed on by the custodians.
    pub epoch: u64,
    /// Shares that reconstruct the key.
    pub threshold: u8,
    /// Share i + 1 lies at the i-th of these.
    pub custodians: Vec<SiteName>,
    /// Pedersen commitments C_0 .. C_{threshold - 1}, 32 bytes each.
    #[serde(with = "serde_bytes")]
    pub commitments: Vec<u8>,
    /// Digest of each custodian's sealed share: no site can be handed another one later.
    pub share_digests: Vec<Digest>,
}

impl Custody {
    /// The index of the share dealt to a site; `None` if it was no custodian. Who holds it now: [`Custody::index_at`].
    #[must_use]
    pub fn index_of(&self, site: &SiteName) -> Option<ShareIndex> {
        let position = self.custodians.iter().position(|custodian| custodian == site)?;
        ShareIndex::new(u8::try_from(position + 1).ok()?)
    }

    /// Those who hold the shares now, each with the index of its share.
    pub fn holders<'a>(&'a self, succession: &'a Succession) -> impl Iterator<Item = (&'a SiteName, ShareIndex)> {
        let holders = self.custodians.iter().map(|named| succession.holder(named));
        holders.zip(1..=u8::MAX).filter_map(|(site, index)| Some((site, ShareIndex::new(index)?)))
    }

    /// The index of the share that a site holds now; `None` if it holds none.
    #[must_use]
    pub fn index_at(&self, site: &SiteName, succession: &Succession) -> Option<ShareIndex> {
        self.holders(succession).find(|(holder, _index)| *holder == site).map(|(_holder, index)| index)
    }

    /// The index of the share that a site holds now, or is taking over.
    #[must_use]
    pub fn index_due_at(&self, site: &SiteName, succession: &Succession) -> Option<ShareIndex> {
        let position = self.custodians.iter().position(|named| succession.is_due(named, site))?;
        ShareIndex::new(u8::try_from(position + 1).ok()?)
    }

    /// The commitments as points.
    ///
    /// # Errors
    /// Not canonical points, or not `threshold` of them.
    pub fn commitments(&self) -> Result<Commitments, String> {
        let points: Vec<[u8; 32]> =
            self.commitments.chunks_exact(32).filter_map(|point| point.try_into().ok()).collect();
        if points.len() * 32 != self.commitments.len() || points.len() != usize::from(self.threshold) {
            return Err("needs exactly one commitment of 32 bytes for each share of the threshold".to_owned());
        }
        Commitments::from_bytes(&points).map_err(|error| error.to_string())
    }
}

impl Manifest {
    /// The code of the stripes added here.
    ///
    /// # Errors
    /// Fewer sites than data shards.
    pub fn coding(&self) -> Result<CodingParameters, String> {
        let data = usize::from(self.data_shards);
        let parity = self.placement.len().checked_sub(data).ok_or("fewer sites than data shards")?;
        CodingParameters::new(data, parity).map_err(|error| error.to_string())
    }
}

impl Document for Manifest {
    const KIND: &'static str = "manifest";
    const BYTES_MAX: usize = MANIFEST_BYTES_MAX;

    fn validate(&self) -> Result<(), String> {
        if self.sequence == 0 || (self.sequence == 1) != self.previous.is_none() {
            return Err("sequences count from 1, and all but the first name a predecessor".to_owned());
        }
        if self.placement.len() > SHARDS_MAX || self.custody.custodians.len() > SHARDS_MAX {
            return Err("too many sites".to_owned());
        }
        let total = self.coding()?.total_shards();
        if !self.stripes_added.is_sorted_by(|a, b| a.number < b.number) {
            return Err("stripe numbers must grow".to_owned());
        }
        if self.stripes_added.last().is_some_and(|newest| newest.number > STRIPE_NUMBER_MAX) {
            return Err(format!("stripe numbers end at {STRIPE_NUMBER_MAX}"));
        }
        for stripe in &self.stripes_added {
            let payload_bytes = usize::try_from(stripe.payload_bytes).unwrap_or(usize::MAX);
            if stripe.roots.len() != total * 32 || !(1..=STRIPE_BYTES_MAX).contains(&payload_bytes) {
                return Err(format!("stripe {} has a wrong number of roots or bytes", stripe.number));
            }
        }
        if !self.stripes_dropped.is_sorted_by(|a, b| a < b) {
            return Err("dropped stripes must be sorted, each once".to_owned());
        }
        if self.sealed_root.is_empty() || self.sealed_root.len() > SEALED_ROOT_BYTES_MAX {
            return Err("the sealed root is empty or too long".to_owned());
        }
        if !self.suspicions.is_sorted_by(|a, b| a < b) {
            return Err("suspicions must be sorted, each once".to_owned());
        }
        if self.custody.epoch != DEALT_EPOCH {
            return Err(format!("what home deals is epoch {DEALT_EPOCH}"));
        }
        if self.custody.share_digests.len() != self.custody.custodians.len() {
            return Err("needs one share digest for each custodian".to_owned());
        }
        self.custody.commitments().map(|_points| ())
    }
}

/// A stripe that a snapshot refers to, with the placement of the manifest that added it, or those who succeeded since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveStripe {
    /// Its roots and size.
    pub stripe: Stripe,
    /// Its shape.
    pub layout: StripeLayout,
    /// Where its shards lie.
    pub placement: Arc<[SiteName]>,
    /// Those who are taking over a shard from a site that leaves, each with its index.
    pub heirs: Heirs,
}

impl LiveStripe {
    /// Puts successors in the place of those who are gone. The stripes of one manifest share their places and go on sharing
    /// them: the answer of the stripe before is used again.
    pub(crate) fn succeed(live: &mut Arc<Self>, succession: &Succession, last: &mut Option<Moved>) {
        if !succession.changes(&live.placement) {
            return;
        }
        let moved = last.take().filter(|moved| Arc::ptr_eq(&moved.before, &live.placement));
        let moved = moved.unwrap_or_else(|| {
            let (after, heirs) = places(&live.placement, succession);
            Moved { before: live.placement.clone(), after, heirs }
        });
        let (placement, heirs) = (moved.after.clone(), moved.heirs.clone());
        *live = Arc::new(Self { stripe: live.stripe.clone(), layout: live.layout, placement, heirs });
        *last = Some(moved);
    }

    /// Whether its shards lie at these sites in this order, or are being taken over by them.
    #[must_use]
    pub fn lies_at(&self, wanted: &[SiteName]) -> bool {
        let is_heir =
            |index: usize, site: &SiteName| self.heirs.iter().any(|(of, heir)| of.as_usize() == index && heir == site);
        let mut places = self.placement.iter().zip(wanted).enumerate();
        self.placement.len() == wanted.len()
            && places.all(|(index, (holder, wanted))| holder == wanted || is_heir(index, wanted))
    }

    /// Index and root of the shard that `site` holds, or is taking over.
    #[must_use]
    pub fn shard_due_at(&self, site: &SiteName) -> Option<(ShardIndex, Digest)> {
        let heir = || self.heirs.iter().find(|(_index, heir)| heir == site);
        self.shard_at(site).or_else(|| heir().and_then(|(index, _heir)| Some((*index, self.stripe.root(*index)?))))
    }

    /// Index and root of the shard at `site`.
    #[must_use]
    pub fn shard_at(&self, site: &SiteName) -> Option<(ShardIndex, Digest)> {
        let position = self.placement.iter().position(|name| name == site)?;
        let index = ShardIndex::new(u8::try_from(position).ok()?);
        Some((index, self.stripe.root(index)?))
    }
}

type Heirs = Arc<[(ShardIndex, SiteName)]>;

/// Places before and after a succession.
#[derive(Debug)]
pub(crate) struct Moved {
    before: Arc<[SiteName]>,
    after: Arc<[SiteName]>,
    heirs: Heirs,
}

/// Who holds the shards that lie at the sites of these names, and who is taking them over.
fn places(named: &[SiteName], succession: &Succession) -> (Arc<[SiteName]>, Heirs) {
    let holders = named.iter().map(|name| succession.holder(name).clone()).collect();
    let heirs = (0..=u8::MAX).map(ShardIndex::new).zip(named);
    (holders, heirs.filter_map(|(index, name)| Some((index, succession.heir(name)?.clone()))).collect())
}

/// All stripes that the newest of a run of manifests refers to, by number.
#[derive(Clone, Debug, Default)]
pub struct LiveStripes(BTreeMap<u64, Arc<LiveStripe>>);

impl LiveStripes {
    /// Whether the next manifests of the chain can be folded in, one after the other.
    ///
    /// # Errors
    /// One drops a stripe that is not there, or adds one that is.
    pub fn fit<'a>(&self, run: impl IntoIterator<Item = &'a Manifest>) -> Result<(), String> {
        let mut changed = BTreeMap::new();
        for manifest in run {
            let is_live = |number: &u64| changed.get(number).copied().unwrap_or_else(|| self.0.contains_key(number));
            if let Some(number) = manifest.stripes_dropped.iter().find(|number| !is_live(number)) {
                return Err(format!("drops stripe {number}, which is not there"));
            }
            if let Some(stripe) = manifest.stripes_added.iter().find(|stripe| is_live(&stripe.number)) {
                return Err(format!("adds stripe {}, which is there already", stripe.number));
            }
            let coding = manifest.coding()?;
            for stripe in &manifest.stripes_added {
                let payload_bytes = usize::try_from(stripe.payload_bytes).unwrap_or(usize::MAX);
                StripeLayout::new(coding, payload_bytes).map_err(|error| error.to_string())?;
            }
            changed.extend(manifest.stripes_dropped.iter().map(|number| (*number, false)));
            changed.extend(manifest.stripes_added.iter().map(|stripe| (stripe.number, true)));
        }
        Ok(())
    }

    /// Folds in the next manifest of the chain; whom it names is looked up in `succession`.
    ///
    /// # Errors
    /// It drops a stripe that is not there, or adds one that is; nothing is changed then.
    pub fn apply(&mut self, manifest: &Manifest, succession: &Succession) -> Result<(), String> {
        self.fit([manifest])?;
        let coding = manifest.coding()?;
        let (placement, heirs) = places(&manifest.placement, succession);
        let mut added = BTreeMap::new();
        for stripe in &manifest.stripes_added {
            let payload_bytes = usize::try_from(stripe.payload_bytes).unwrap_or(usize::MAX);
            let layout = StripeLayout::new(coding, payload_bytes).map_err(|error| error.to_string())?;
            let (placement, heirs) = (placement.clone(), heirs.clone());
            let live = LiveStripe { stripe: stripe.clone(), layout, placement, heirs };
            added.insert(stripe.number, Arc::new(live));
        }
        for number in &manifest.stripes_dropped {
            self.0.remove(number);
        }
        self.0.extend(added);
        Ok(())
    }

    /// Puts successors in the place of those who are gone.
    pub fn succeed(&mut self, succession: &Succession) {
        let mut last = None;
        self.0.values_mut().for_each(|live| LiveStripe::succeed(live, succession, &mut last));
    }

    pub(crate) fn replace(&mut self, number: u64, before: &Arc<LiveStripe>, after: &Arc<LiveStripe>) {
        if let Some(live) = self.0.get_mut(&number).filter(|live| Arc::ptr_eq(live, before)) {
            *live = Arc::clone(after);
        }
    }

    /// One stripe.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&Arc<LiveStripe>> {
        self.0.get(&number)
    }

    /// All of them, by number.
    pub fn iter(&self) -> impl Iterator<Item = &LiveStripe> {
        self.0.values().map(|live| &**live)
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests;
