//! Collecting shards that nothing refers to: those of discarded snapshots, and those of backups that were never published.
//!
//! The store is looked through in the order of roots. What no snapshot that is kept here refers to is *noted* by the host,
//! and removed when it was noted `grace_ms` ago and never put again since. Nothing is decided from a list made before: each
//! page is held against the catalog in the step in which it is carried out, so a snapshot published meanwhile holds its
//! shards, and it may be interrupted anywhere.

use std::collections::BTreeSet;

use shard_codec::Digest;

use super::RetentionOptions;
use crate::catalog::Catalog;
use crate::evidence::ShardName;
use crate::identifier::SiteName;
use crate::limits::PAGE_ENTRIES_MAX;
use crate::machine::{Output, Ticket};
use crate::timestamp::Timestamp;

/// Where the look through the store is.
#[derive(Debug, Default)]
pub(super) struct Collection {
    after: Option<Digest>,
    asked: Option<Ticket>,
    again_at: Timestamp,
    next_ticket: u64,
}

impl Collection {
    /// Asks for the next page.
    pub(super) fn tick(
        &mut self,
        steady: Timestamp,
        options: RetentionOptions,
        catalog: &Catalog,
        me: &SiteName,
        outputs: &mut Vec<Output>,
    ) {
        let is_between = self.after.is_none();
        if self.asked.is_some() || is_between && steady < self.again_at {
            return;
        }
        if is_between {
            self.again_at = steady.plus_ms(options.interval_ms);
        }
        // A site that knows of no snapshot has lost its state: it does not know what its shards are for. Of one that is no member
        // any more nobody counts on a shard; they may be the last ones all the same.
        if catalog.histories().next().is_none() || catalog.charter().active_site(me).is_none() {
            return;
        }
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.asked = Some(ticket);
        outputs.push(Output::ListShards { ticket, after: self.after, limit: PAGE_ENTRIES_MAX });
    }

    /// Sorts a page into what is referred to and what is not.
    pub(super) fn listed(
        &mut self,
        ticket: Ticket,
        shards: &[ShardName],
        at: Timestamp,
        grace_ms: u64,
        catalog: &Catalog,
        me: &SiteName,
    ) -> Vec<Output> {
        if self.asked.take_if(|asked| *asked == ticket).is_none() {
            return Vec::new();
        }
        self.after = shards.last().map(|shard| shard.root);
        let unreferenced = unreferenced(shards, catalog, me);
        if shards.is_empty() {
            return Vec::new();
        }
        let is_free = |root: &Digest| unreferenced.contains(root);
        let (unreferenced, referenced) = shards.iter().map(|shard| shard.root).partition(is_free);
        vec![Output::Collect { unreferenced, referenced, at, grace_ms }]
    }
}

/// The roots of these shards that no snapshot kept at this site refers to.
fn unreferenced(shards: &[ShardName], catalog: &Catalog, me: &SiteName) -> BTreeSet<Digest> {
    #[cfg(feature = "planted-bugs")]
    if crate::planted::is_planted(crate::planted::Bug::CollectReferenced) {
        let is_of_head = |shard: &&ShardName| {
            let live =
                catalog.history(&shard.database).and_then(|history| history.live_stripes().get(shard.stripe_number));
            live.is_some()
        };
        return shards.iter().filter(|shard| !is_of_head(shard)).map(|shard| shard.root).collect();
    }
    // The store names the stripe that a root was first stored for; mostly it is still that one.
    let is_where_it_was = |shard: &&ShardName| {
        let history = catalog.history(&shard.database);
        history.is_some_and(|history| history.kept_stripes().needs(shard.stripe_number, shard.shard_index, &shard.root))
    };
    // What is newer than all that is known here, or of a database of which nothing is, may be what this site has lost the
    // knowledge of.
    let is_past = |shard: &&ShardName| {
        let newest = catalog.history(&shard.database).and_then(|history| history.kept_stripes().newest_number());
        newest.is_some_and(|newest| shard.stripe_number <= newest)
    };
    let free = shards.iter().filter(|shard| is_past(shard) && !is_where_it_was(shard));
    let mut left: BTreeSet<Digest> = free.map(|shard| shard.root).collect();
    if left.is_empty() {
        return left;
    }
    for (_database, history) in catalog.histories() {
        for stripe in history.kept_stripes().on_disk() {
            if let Some((_index, root)) = stripe.live.shard_due_at(me) {
                left.remove(&root);
            }
        }
    }
    left
}
