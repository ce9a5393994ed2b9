//! Looking through the store for shards that should be there, some at a time.

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::evidence::ShardName;
use crate::identifier::{DatabaseName, SiteName};
use crate::limits::PAGE_ENTRIES_MAX;
use crate::machine::{Output, Ticket};
use crate::timestamp::Timestamp;

/// Shards asked for at once.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) database: DatabaseName,
    pub(super) shards: Vec<ShardName>,
    /// Whether it reaches the newest stripe.
    pub(super) is_last: bool,
    next: usize,
}

#[derive(Debug, Default)]
struct Place {
    /// Position of the next stripe to look for.
    next: usize,
    /// Whether a look has come to the end since the start.
    has_ended: bool,
}

#[derive(Debug, Default)]
pub(super) struct Sweep {
    places: BTreeMap<DatabaseName, Place>,
    again_at: Timestamp,
    asked: Option<(Ticket, Batch)>,
    next_ticket: u64,
}

impl Sweep {
    /// Asks for the next shards, if any are left: new ones at once, all of them again when it is time.
    pub(super) fn tick(
        &mut self,
        now: Timestamp,
        interval_ms: u64,
        catalog: &Catalog,
        me: &SiteName,
        outputs: &mut Vec<Output>,
    ) {
        if self.asked.is_some() {
            return;
        }
        if now >= self.again_at {
            self.again_at = now.plus_ms(interval_ms);
            self.places.values_mut().for_each(|place| place.next = 0);
        }
        for (database, history) in catalog.histories() {
            let place = self.places.entry(database.clone()).or_default();
            let stripes = history.kept_stripes();
            if place.next >= stripes.positions() && place.has_ended {
                continue;
            }
            let mut batch = Batch { database: database.clone(), shards: Vec::new(), is_last: false, next: place.next };
            while batch.next < stripes.positions() && batch.shards.len() < PAGE_ENTRIES_MAX {
                let stripe = stripes.get(batch.next);
                batch.next += 1;
                if let Some((stripe, (index, root))) =
                    stripe.and_then(|stripe| Some((stripe, stripe.live.shard_due_at(me)?)))
                {
                    #[cfg(feature = "planted-bugs")]
                    let (index, root) = if crate::planted::is_planted(crate::planted::Bug::PlacementIgnored) {
                        let first = shard_codec::ShardIndex::new(0);
                        (first, stripe.live.stripe.root(first).unwrap_or(root))
                    } else {
                        (index, root)
                    };
                    let (stripe_number, shard_index) = (stripe.live.stripe.number, index.get());
                    batch.shards.push(ShardName { database: database.clone(), stripe_number, shard_index, root });
                }
            }
            batch.is_last = batch.next == stripes.positions();
            let roots = batch.shards.iter().map(|shard| shard.root).collect();
            self.next_ticket += 1;
            let ticket = Ticket(self.next_ticket);
            self.asked = Some((ticket, batch));
            outputs.push(Output::Sweep { ticket, roots });
            return;
        }
    }

    pub(super) fn again(&mut self) {
        self.again_at = Timestamp::default();
    }

    /// The batch that an answer is for.
    pub(super) fn take(&mut self, ticket: Ticket) -> Option<Batch> {
        let (_ticket, batch) = self.asked.take_if(|(asked, _batch)| *asked == ticket)?;
        let place = self.places.entry(batch.database.clone()).or_default();
        place.next = batch.next;
        place.has_ended |= batch.is_last;
        Some(batch)
    }

    /// Whether all of a database's stripes were looked for since the start.
    pub(super) fn has_seen(&self, database: &DatabaseName, positions: usize) -> bool {
        self.places.get(database).is_some_and(|place| place.has_ended && place.next >= positions)
    }
}
