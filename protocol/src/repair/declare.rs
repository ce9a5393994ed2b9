//! Saying what this site lacks: at once when something is found that others count on, before others are asked for help,
//! and when it is whole again.

use std::collections::BTreeSet;

use crate::catalog::Catalog;
use crate::document::Inventory;
use crate::evidence::Evidence;
use crate::identifier::{DatabaseName, SiteName};
use crate::ledger::claims_shard;
use crate::limits::INVENTORY_RUNS_MAX;
use crate::machine::{Announcement, Event, Output, SiteKeys};
use crate::number_set::NumberSet;
use crate::repair::Repair;
use crate::signature::Signed;
use crate::timestamp::Timestamp;

/// Two inventories about new losses are at least so far apart: a failing disk must not flood the mesh.
const AFTER_LOSS_MS: u64 = 1_000;
/// Two inventories about what was mended.
const AFTER_MENDING_MS: u64 = 5_000;

/// What was last said of one database, and whether to look if it still holds.
#[derive(Debug, Default)]
pub(super) struct Declaration {
    is_due: bool,
    said_at: Option<Timestamp>,
    /// The stripes and shares that were said, exactly; the document may name more.
    said: Option<(BTreeSet<u64>, BTreeSet<u64>)>,
    /// Shares that this site should have and has not, once it was looked for.
    missing_shares: Option<BTreeSet<u64>>,
}

impl Declaration {
    pub(super) fn look(&mut self) {
        self.is_due = true;
    }

    pub(super) fn shares_looked(&mut self, missing: BTreeSet<u64>) {
        (self.is_due, self.missing_shares) = (true, Some(missing));
    }
}

/// Snapshots of whose key this site should have a share and has none.
pub(super) fn missing_shares(database: &DatabaseName, catalog: &Catalog, me: &SiteName) -> BTreeSet<u64> {
    let Some(history) = catalog.history(database) else { return BTreeSet::new() };
    let manifests = history.manifests_from(1).map(Signed::document);
    let lacking = manifests
        .filter(|manifest| manifest.custody.custodians.contains(me) && history.share(manifest.sequence).is_none());
    lacking.map(|manifest| manifest.sequence).collect()
}

impl Repair {
    pub(super) fn declare(
        &mut self,
        now: Timestamp,
        catalog: &Catalog,
        evidence: &mut Evidence,
        keys: &SiteKeys,
        outputs: &mut Vec<Output>,
    ) {
        let due: Vec<DatabaseName> = (self.declarations.iter())
            .filter(|(_database, declaration)| declaration.is_due)
            .map(|(database, _declaration)| database.clone())
            .collect();
        for database in due {
            self.declare_one(now, &database, catalog, evidence, keys, outputs);
        }
    }

    fn declare_one(
        &mut self,
        now: Timestamp,
        database: &DatabaseName,
        catalog: &Catalog,
        evidence: &mut Evidence,
        keys: &SiteKeys,
        outputs: &mut Vec<Output>,
    ) {
        let Some(history) = catalog.history(database) else { return };
        let has_seen = self.sweep.has_seen(database, history.kept_stripes().len());
        let Some(declaration) = self.declarations.get_mut(database) else { return };
        let held = evidence.inventory(database, &keys.name).map(Signed::document);
        let numbers: BTreeSet<u64> = self.queue.of_database(database).map(|shard| shard.stripe_number).collect();
        let missing_shares = declaration.missing_shares.clone().unwrap_or_default();
        let said_stripe = |number: u64| held.is_some_and(|said| said.missing_stripes.contains(number));
        let said_share = |sequence: u64| held.is_some_and(|said| said.missing_shares.contains(sequence));
        let counted_on = |sequence: u64| {
            history
                .receipts(sequence)
                .any(|receipt| receipt.document().site == keys.name && receipt.document().holds_share)
        };
        let is_loss = self.queue.of_database(database).any(|shard| {
            let stripe = history.kept_stripes().find(shard.stripe_number, shard.shard_index, &shard.root);
            let is_claimed =
                stripe.is_some_and(|(_, stripe)| claims_shard(&keys.name, database, history, stripe, evidence));
            !said_stripe(shard.stripe_number) && (is_claimed || self.queue.is_ready(shard, now))
        }) || missing_shares.iter().any(|sequence| !said_share(*sequence) && counted_on(*sequence));
        #[cfg(feature = "planted-bugs")]
        let is_loss = is_loss && !crate::planted::is_planted(crate::planted::Bug::LossHidden);
        let is_mended = held.is_some_and(|held| {
            let is_whole_now = has_seen && held.sequence == 0;
            is_whole_now
                || match &declaration.said {
                    Some((stripes, shares)) => !stripes.is_subset(&numbers) || !shares.is_subset(&missing_shares),
                    // Said before the last start: held against what is lacking once all was looked through.
                    None => {
                        let lacking = numbers.len() as u64 + missing_shares.len() as u64;
                        has_seen && held.missing_stripes.count() + held.missing_shares.count() != lacking
                    }
                }
        });
        let since = |pause: u64| declaration.said_at.is_none_or(|said| said.plus_ms(pause) <= now);
        let waits_for_ripe = numbers.iter().any(|number| !said_stripe(*number));
        if !(is_loss && since(AFTER_LOSS_MS) || is_mended && (numbers.is_empty() || since(AFTER_MENDING_MS))) {
            // Looked at again in the next tick only if there is something to wait for.
            declaration.is_due = is_loss || is_mended || waits_for_ripe;
            return;
        }
        (declaration.is_due, declaration.said_at) = (false, Some(now));
        declaration.said = Some((numbers.clone(), missing_shares.clone()));
        let inventory = Inventory {
            state: catalog.state(),
            site: keys.name.clone(),
            database: database.clone(),
            sequence: if has_seen { history.head_sequence() } else { 0 },
            missing_stripes: NumberSet::covering(numbers, INVENTORY_RUNS_MAX),
            missing_shares: NumberSet::covering(missing_shares, INVENTORY_RUNS_MAX),
            at: evidence.moment_after(database, &keys.name, now),
        };
        let (stripes, shares) = (inventory.missing_stripes.count(), inventory.missing_shares.count());
        let Ok(signed) = Signed::sign_new(inventory, &keys.identity) else { return };
        let bytes = signed.encode();
        if evidence.take_inventory(&bytes, catalog, outputs).is_ok() {
            outputs.push(Output::Announce(Announcement::Inventory(bytes.into())));
            outputs.push(Output::Report(Event::Declared { database: database.clone(), stripes, shares }));
        }
    }
}
