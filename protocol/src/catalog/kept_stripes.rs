//! Every stripe that a retained snapshot refers to, the head's and older ones': what audits draw from, what repair
//! keeps whole, what the ledger counts. Stripes that only snapshots refer to which the sites have let go are not among
//! them; they stay on the disk until they are let go here too.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use shard_codec::{Digest, ShardIndex};

use crate::catalog::expiry::Expiry;
use crate::document::{LiveStripe, LiveStripes, Manifest, Succession};
use crate::identifier::SiteName;
use crate::number_set::NumberSet;

/// One stripe, and the snapshots that refer to it.
#[derive(Clone, Debug)]
pub struct KeptStripe {
    /// Roots, shape, placement.
    pub live: Arc<LiveStripe>,
    /// The snapshot that added it.
    pub added: u64,
    /// The first that no longer refers to it; absent while the head does.
    pub dropped: Option<u64>,
}

impl KeptStripe {
    /// The site at which a shard lies.
    #[must_use]
    pub fn site_of(&self, shard_index: u8) -> Option<&SiteName> {
        self.live.placement.get(ShardIndex::new(shard_index).as_usize())
    }

    /// The snapshots that refer to it.
    #[must_use]
    pub fn snapshots(&self) -> Range<u64> {
        self.added..self.dropped.unwrap_or(u64::MAX)
    }
}

impl KeptStripe {
    fn has_shard(&self, shard_index: u8, root: &Digest) -> bool {
        self.live.stripe.root(ShardIndex::new(shard_index)).as_ref() == Some(root)
    }

    /// Whether all snapshots that refer to it are among these.
    fn is_only_of(&self, sequences: &NumberSet) -> bool {
        self.dropped.is_some_and(|dropped| sequences.covers(self.added, dropped))
    }
}

/// Where a stripe stood, and what became of it.
#[derive(Clone, Debug)]
enum Slot {
    Kept(KeptStripe),
    /// No snapshot that anybody still counts refers to it; its shard is on the disk.
    LetGo(KeptStripe),
    Gone,
}

impl Slot {
    const fn on_disk(&self) -> Option<&KeptStripe> {
        match self {
            Self::Kept(stripe) | Self::LetGo(stripe) => Some(stripe),
            Self::Gone => None,
        }
    }

    const fn on_disk_mut(&mut self) -> Option<&mut KeptStripe> {
        match self {
            Self::Kept(stripe) | Self::LetGo(stripe) => Some(stripe),
            Self::Gone => None,
        }
    }

    /// Lets go a stripe that only snapshots refer to which were.
    fn let_go(&mut self, expiry: &Expiry) {
        let Some(stripe) = self.on_disk().filter(|stripe| stripe.is_only_of(expiry.agreed())) else { return };
        let is_gone = stripe.is_only_of(expiry.discarded());
        *self = match std::mem::replace(self, Self::Gone) {
            Self::Kept(stripe) | Self::LetGo(stripe) if !is_gone => Self::LetGo(stripe),
            Self::Kept(_) | Self::LetGo(_) | Self::Gone => Self::Gone,
        };
    }

    const fn kept(&self) -> Option<&KeptStripe> {
        match self {
            Self::Kept(stripe) => Some(stripe),
            Self::LetGo(_) | Self::Gone => None,
        }
    }
}

/// The stripes of one database in the order in which they were added: the position of one never changes.
#[derive(Clone, Debug, Default)]
pub struct KeptStripes {
    slots: Vec<Slot>,
    /// Positions of those that are kept.
    kept: Vec<usize>,
    /// Position of the newest stripe of a number.
    by_number: BTreeMap<u64, usize>,
    /// Those before it: a writer may use the number of a stripe that was dropped again.
    before: BTreeMap<u64, Vec<usize>>,
    shard_bytes_max: u64,
}

impl KeptStripes {
    /// Folds in a manifest that `live` has taken already. What it drops, the head before it refers to, which is never let go yet.
    pub(super) fn apply(&mut self, manifest: &Manifest, live: &LiveStripes) {
        for number in &manifest.stripes_dropped {
            let Some(position) = self.by_number.get(number).copied() else { continue };
            let slot = self.slots.get_mut(position).and_then(Slot::on_disk_mut);
            slot.into_iter().for_each(|stripe| stripe.dropped = Some(manifest.sequence));
        }
        for live in manifest.stripes_added.iter().filter_map(|stripe| live.get(stripe.number)) {
            self.shard_bytes_max = self.shard_bytes_max.max(live.layout.shard_bytes() as u64);
            let (number, position) = (live.stripe.number, self.slots.len());
            if let Some(before) = self.by_number.insert(number, position) {
                self.before.entry(number).or_default().push(before);
            }
            let stripe = KeptStripe { live: Arc::clone(live), added: manifest.sequence, dropped: None };
            self.slots.push(Slot::Kept(stripe));
            self.kept.push(position);
        }
    }

    /// Snapshots were let go.
    pub(super) fn let_go(&mut self, expiry: &Expiry) {
        self.slots.iter_mut().for_each(|slot| slot.let_go(expiry));
        let slots = &self.slots;
        self.kept.retain(|position| slots.get(*position).is_some_and(|slot| slot.kept().is_some()));
        let bytes = self.iter().map(|stripe| stripe.live.layout.shard_bytes() as u64);
        self.shard_bytes_max = bytes.max().unwrap_or(0);
    }

    /// Puts successors in the place of those who are gone, here and in `live`, which shares the stripes.
    pub(super) fn succeed(&mut self, succession: &Succession, live: &mut LiveStripes) {
        let mut last = None;
        for stripe in self.slots.iter_mut().filter_map(Slot::on_disk_mut) {
            let before = Arc::clone(&stripe.live);
            LiveStripe::succeed(&mut stripe.live, succession, &mut last);
            if !Arc::ptr_eq(&before, &stripe.live) {
                live.replace(before.stripe.number, &before, &stripe.live);
            }
        }
    }

    /// Positions so far: those of stripes that are gone too.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.slots.len()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The highest number that a stripe ever had; `None` if there was none.
    #[must_use]
    pub fn newest_number(&self) -> Option<u64> {
        self.by_number.last_key_value().map(|(number, _position)| *number)
    }

    /// Length of the longest shard in bytes; 0 if there is none.
    #[must_use]
    pub const fn shard_bytes_max(&self) -> u64 {
        self.shard_bytes_max
    }

    /// The stripe at a position; `None` if it was let go.
    #[must_use]
    pub fn get(&self, position: usize) -> Option<&KeptStripe> {
        self.slots.get(position).and_then(Slot::kept)
    }

    /// The n-th of them, from 0.
    #[must_use]
    pub fn nth(&self, n: usize) -> Option<&KeptStripe> {
        self.get(*self.kept.get(n)?)
    }

    /// All of them, by position.
    pub fn iter(&self) -> impl Iterator<Item = &KeptStripe> {
        self.kept.iter().filter_map(|position| self.get(*position))
    }

    /// All of which this site must still keep its shard, those among them that the others have let go.
    pub fn on_disk(&self) -> impl Iterator<Item = &KeptStripe> {
        self.slots.iter().filter_map(Slot::on_disk)
    }

    /// Position and stripe of `number` whose shard at `shard_index` is `root`.
    #[must_use]
    pub fn find(&self, number: u64, shard_index: u8, root: &Digest) -> Option<(usize, &KeptStripe)> {
        let mut kept = self.numbered(number).filter_map(|position| Some((position, self.get(position)?)));
        kept.find(|(_position, stripe)| stripe.has_shard(shard_index, root))
    }

    /// Whether this site must keep such a shard.
    pub(crate) fn needs(&self, number: u64, shard_index: u8, root: &Digest) -> bool {
        let on_disk = self.numbered(number).filter_map(|position| self.slots.get(position)?.on_disk());
        on_disk.into_iter().any(|stripe| stripe.has_shard(shard_index, root))
    }

    /// Positions of all stripes of a number, the newest first.
    fn numbered(&self, number: u64) -> impl Iterator<Item = usize> {
        let newest = self.by_number.get(&number).copied();
        newest.into_iter().chain(self.before.get(&number).into_iter().flatten().rev().copied())
    }
}
