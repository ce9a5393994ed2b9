//! Saying what this site lacks: at once when something is found that others count on, before others are asked for help,
//! and when it is whole again.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, History};
use crate::document::Inventory;
use crate::evidence::Evidence;
use crate::identifier::{DatabaseName, SiteName};
use crate::ledger::claims_shard;
use crate::limits::{INVENTORY_RUNS_MAX, LET_GO_RUNS_MAX};
use crate::machine::{Announcement, Event, Output, SiteKeys};
use crate::number_set::NumberSet;
use crate::repair::Repair;
use crate::retention::Retention;
use crate::share_recovery::missing_from;
use crate::signature::Signed;
use crate::timestamp::Timestamp;

/// Two inventories about new losses are at least so far apart: a failing disk must not flood the mesh.
const AFTER_LOSS_MS: u64 = 1_000;
/// Two inventories about what was mended.
const AFTER_MENDING_MS: u64 = 5_000;
/// Two inventories about new epochs of shares: blocks follow each other.
const AFTER_EPOCH_MS: u64 = 20_000;
/// So long a writer has to come for the receipt of a snapshot that others have brought.
const AFTER_SILENCE_MS: u64 = 30_000;

/// What was last said of one database, and whether to look if it still holds.
#[derive(Debug, Default)]
pub(super) struct Declaration {
    is_due: bool,
    said_at: Option<Timestamp>,
    /// The stripes and shares that were said, exactly; the document may name more.
    said: Option<(BTreeSet<u64>, BTreeSet<u64>)>,
    /// Whether all was looked through, so that missing shares are known too.
    has_looked: bool,
    /// Since when the others have no word of this site on some snapshot.
    silent_since: Option<Timestamp>,
}

impl Declaration {
    /// Whether more is here than was said.
    fn is_mended(
        &self,
        said: Option<&Inventory>,
        has_seen: bool,
        lacking: &BTreeSet<u64>,
        missing_shares: &BTreeSet<u64>,
    ) -> bool {
        let Some(said) = said else { return false };
        if has_seen && said.sequence == 0 {
            return true;
        }
        match &self.said {
            Some((stripes, shares)) => !stripes.is_subset(lacking) || !shares.is_subset(missing_shares),
            // Said before the last start: held against what is lacking once all was looked through.
            None => {
                let lacking = lacking.len() as u64 + missing_shares.len() as u64;
                has_seen && said.missing_stripes.count() + said.missing_shares.count() != lacking
            }
        }
    }

    pub(super) fn look(&mut self) {
        self.is_due = true;
    }

    pub(super) fn looked_through(&mut self) {
        (self.is_due, self.has_looked) = (true, true);
    }
}

/// Snapshots of whose key this site should have a share and has none.
fn missing_shares(database: &DatabaseName, catalog: &Catalog, me: &SiteName) -> BTreeSet<u64> {
    let Some(history) = catalog.history(database) else { return BTreeSet::new() };
    missing_from(history, 1, me).map(|manifest| manifest.sequence).collect()
}

/// Whether the others cannot know what this site holds of some snapshot after `said_until`: other sites have brought it,
/// and no writer has come for a receipt. Nobody would count on such a shard, nor ask for it to repair another.
fn is_silent(history: &History, said_until: u64, me: &SiteName) -> bool {
    let mut later = history.retained_from(said_until + 1).map(Signed::document);
    later.any(|manifest| {
        let (is_placed, is_custodian) = (
            history.is_placed(manifest, me),
            history.custody_of(manifest).index_due_at(me, history.succession()).is_some(),
        );
        let receipt = history.receipt_of(me, manifest.sequence);
        let (shards, share) = receipt.map_or((false, false), |receipt| (receipt.holds_shards, receipt.holds_share));
        is_placed && !shards || is_custodian && !share
    })
}

impl Repair {
    pub(super) fn declare(
        &mut self,
        now: Timestamp,
        catalog: &Catalog,
        evidence: &mut Evidence,
        retention: &Retention,
        keys: &SiteKeys,
        outputs: &mut Vec<Output>,
    ) {
        let due: Vec<DatabaseName> = (self.declarations.iter())
            .filter(|(_database, declaration)| declaration.is_due)
            .map(|(database, _declaration)| database.clone())
            .collect();
        for database in due {
            self.declare_one(now, &database, catalog, evidence, retention, keys, outputs);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the machines whose words go into one document")]
    fn declare_one(
        &mut self,
        now: Timestamp,
        database: &DatabaseName,
        catalog: &Catalog,
        evidence: &mut Evidence,
        retention: &Retention,
        keys: &SiteKeys,
        outputs: &mut Vec<Output>,
    ) {
        let Some(history) = catalog.history(database) else { return };
        let has_seen = self.sweep.has_seen(database, history.kept_stripes().positions());
        let Some(declaration) = self.declarations.get_mut(database) else { return };
        let held = evidence.inventory(database, &keys.name).map(Signed::document);
        let numbers: BTreeSet<u64> = self.queue.of_database(database).map(|shard| shard.stripe_number).collect();
        // Looked for anew: snapshots may have come since the store was looked through.
        let missing_shares =
            if declaration.has_looked { missing_shares(database, catalog, &keys.name) } else { BTreeSet::new() };
        let said_stripe = |number: u64| held.is_some_and(|said| said.missing_stripes.contains(number));
        let said_share = |sequence: u64| held.is_some_and(|said| said.missing_shares.contains(sequence));
        let counted_on = |sequence: u64| history.has_promised_share(&keys.name, sequence);
        let is_loss = self.queue.of_database(database).any(|shard| {
            let stripe = history.kept_stripes().find(shard.stripe_number, shard.shard_index, &shard.root);
            let is_claimed =
                stripe.is_some_and(|(_, stripe)| claims_shard(&keys.name, database, history, stripe, evidence));
            !said_stripe(shard.stripe_number) && (is_claimed || self.queue.is_ready(shard, now))
        }) || missing_shares.iter().any(|sequence| !said_share(*sequence) && counted_on(*sequence));
        #[cfg(feature = "planted-bugs")]
        let is_loss = is_loss && !crate::planted::is_planted(crate::planted::Bug::LossHidden);
        let is_mended = declaration.is_mended(held, has_seen, &numbers, &missing_shares);
        let said_until = held.map_or(0, |said| said.sequence);
        // While the store is looked through again, nothing is known anew.
        if has_seen {
            let is_silent = is_silent(history, said_until, &keys.name);
            declaration.silent_since = is_silent.then(|| declaration.silent_since.unwrap_or(now));
        }
        let silent_since = declaration.silent_since;
        let is_overdue = has_seen && silent_since.is_some_and(|silent| silent.plus_ms(AFTER_SILENCE_MS) <= now);
        let since = |pause: u64| declaration.said_at.is_none_or(|said| said.plus_ms(pause) <= now);
        let waits_for_ripe = numbers.iter().any(|number| !said_stripe(*number));
        let is_news = is_mended && (numbers.is_empty() || since(AFTER_MENDING_MS));
        // What was said of shares was said of an epoch that is past.
        let epochs = history.epochs().runs();
        let is_of_past = has_seen && held.map_or(!epochs.is_empty(), |said| said.epochs != epochs);
        let is_new_epoch = is_of_past && since(AFTER_EPOCH_MS);
        let expired = retention.due(database).map(|due| due.without(history.agreed_gone()));
        let expired = expired.map(|expired| expired.last_runs(INVENTORY_RUNS_MAX)).unwrap_or_default();
        let let_go = history.agreed_gone().last_runs(LET_GO_RUNS_MAX);
        let is_said = held.map_or(expired.is_empty() && let_go.is_empty(), |said| {
            (&said.expired, &said.let_go) == (&expired, &let_go)
        });
        let is_expired = has_seen && !is_said;
        let is_expired_news = is_expired && since(AFTER_MENDING_MS);
        if !(is_loss && since(AFTER_LOSS_MS) || is_news || is_overdue || is_new_epoch || is_expired_news) {
            // Looked at again in the next tick only if there is something to wait for.
            declaration.is_due =
                is_loss || is_mended || silent_since.is_some() || waits_for_ripe || is_of_past || is_expired;
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
            epochs,
            expired,
            let_go,
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
