//! Every stripe that a retained snapshot refers to, the head's and older ones': what audits draw from, what repair
//! keeps whole, what the ledger counts.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use shard_codec::{Digest, ShardIndex};

use crate::document::{LiveStripe, LiveStripes, Manifest, Succession};
use crate::identifier::SiteName;

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

/// The stripes of one database in the order in which they were added: the position of one never changes.
#[derive(Clone, Debug, Default)]
pub struct KeptStripes {
    stripes: Vec<KeptStripe>,
    /// Position of the newest stripe of a number.
    by_number: BTreeMap<u64, usize>,
    shard_bytes_max: u64,
}

impl KeptStripes {
    /// Folds in a manifest that `live` has taken already.
    pub(super) fn apply(&mut self, manifest: &Manifest, live: &LiveStripes) {
        for number in &manifest.stripes_dropped {
            let dropped = self.by_number.get(number).and_then(|position| self.stripes.get_mut(*position));
            dropped.into_iter().for_each(|stripe| stripe.dropped = Some(manifest.sequence));
        }
        for live in manifest.stripes_added.iter().filter_map(|stripe| live.get(stripe.number)) {
            self.shard_bytes_max = self.shard_bytes_max.max(live.layout.shard_bytes() as u64);
            self.by_number.insert(live.stripe.number, self.stripes.len());
            self.stripes.push(KeptStripe { live: Arc::clone(live), added: manifest.sequence, dropped: None });
        }
    }

    /// Puts successors in the place of those who are gone, here and in `live`, which shares the stripes.
    pub(super) fn succeed(&mut self, succession: &Succession, live: &mut LiveStripes) {
        let mut last = None;
        for stripe in &mut self.stripes {
            let before = Arc::clone(&stripe.live);
            LiveStripe::succeed(&mut stripe.live, succession, &mut last);
            if !Arc::ptr_eq(&before, &stripe.live) {
                live.replace(before.stripe.number, &before, &stripe.live);
            }
        }
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stripes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stripes.is_empty()
    }

    /// Length of the longest shard in bytes; 0 if there is none.
    #[must_use]
    pub const fn shard_bytes_max(&self) -> u64 {
        self.shard_bytes_max
    }

    /// The stripe at a position.
    #[must_use]
    pub fn get(&self, position: usize) -> Option<&KeptStripe> {
        self.stripes.get(position)
    }

    /// All of them, by position.
    pub fn iter(&self) -> impl Iterator<Item = &KeptStripe> {
        self.stripes.iter()
    }

    /// Position and stripe of `number` whose shard at `shard_index` is `root`.
    #[must_use]
    pub fn find(&self, number: u64, shard_index: u8, root: &Digest) -> Option<(usize, &KeptStripe)> {
        let is_it = |stripe: &KeptStripe| stripe.live.stripe.root(ShardIndex::new(shard_index)).as_ref() == Some(root);
        let newest = self.by_number.get(&number).copied()?;
        if let Some(stripe) = self.stripes.get(newest).filter(|stripe| is_it(stripe)) {
            return Some((newest, stripe));
        }
        // A writer may use the number of a stripe that was dropped again.
        let mut all = self.stripes.iter().enumerate();
        all.find(|(_position, stripe)| stripe.live.stripe.number == number && is_it(stripe))
    }
}
