//! Retention: which snapshots go, and when, decided by the sites and nobody else.
//!
//! A snapshot goes in three steps. *Due*: by this site's own clock (`clock`) and the receipts of all sites
//! (`accepted`), neither a rule nor a hold of any charter that counts keeps it ([`rules`]). *Agreed*: so many sites have
//! said in their inventories that it is due that no coalition made it up (`agreement`); from then on nobody counts it,
//! audits it or repairs it. *Discarded*: agreed, and due by this site's own clock too; its share is erased, and shards
//! that no other snapshot refers to may be collected ([`collect`]). Each step is taken once and for ever.
//!
//! A charter that keeps less takes hold only after the delay that the one before it set, counted by each site from when
//! it took the charter up, and not at all if an official vetoes it ([`crate::document::Veto`]).

mod accepted;
mod agreement;
mod clock;
pub mod collect;
mod policy;
pub mod rules;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use shard_codec::Digest;

use crate::catalog::Catalog;
use crate::evidence::{Evidence, ShardName};
use crate::identifier::DatabaseName;
use crate::ledger::durable_snapshots;
use crate::machine::{Event, Output, Record, RecordKind, SiteKeys, Ticket};
use crate::number_set::NumberSet;
use crate::timestamp::Timestamp;
use accepted::Acceptance;
use clock::Clock;
use collect::Collection;
pub use policy::Pending;
use policy::Policies;

/// What the host tells the machine.
#[derive(Clone, Debug)]
pub enum Input {
    /// Shards of the store, as [`Output::ListShards`] asked.
    Listed {
        /// From the output.
        ticket: Ticket,
        /// In the order of their roots, after the one asked for; none if there are no more.
        shards: Vec<ShardName>,
    },
}

/// How often a site works at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionOptions {
    /// Time between two looks at the rules, and between two looks through the store.
    pub interval_ms: u64,
    /// A shard that nothing refers to is removed so long after that was first seen: a backup brings its shards before it
    /// publishes them.
    pub grace_ms: u64,
    /// What the clock of retention may gain in one tick of the host, whatever the wall says: twice the time between two.
    pub stride_ms: u64,
}

impl Default for RetentionOptions {
    /// A look every ten minutes; a week of grace; a tick a second.
    fn default() -> Self {
        Self { interval_ms: 600_000, grace_ms: 7 * 86_400_000, stride_ms: 2_000 }
    }
}

/// The machine.
#[derive(Debug)]
pub struct Retention {
    options: RetentionOptions,
    clock: Clock,
    policies: Policies,
    due: BTreeMap<DatabaseName, NumberSet>,
    look_at: Timestamp,
    /// The state of the evidence that was last looked at for agreement.
    agreed_at: Option<u64>,
    collection: Collection,
}

/// Key of the record of the clock's reading; those of charters have eight bytes.
const CLOCK_KEY: &[u8] = b"clock";

impl Retention {
    /// A machine that knows nothing yet.
    #[must_use]
    pub fn new(options: RetentionOptions) -> Self {
        Self {
            options,
            clock: Clock::default(),
            policies: Policies::default(),
            due: BTreeMap::new(),
            look_at: Timestamp::default(),
            agreed_at: None,
            collection: Collection::default(),
        }
    }

    /// What it goes by.
    #[must_use]
    pub const fn options(&self) -> RetentionOptions {
        self.options
    }

    /// What its clock says: never ahead of the wall, and never faster than twice the time that passes.
    #[must_use]
    pub fn reading(&self) -> Timestamp {
        self.clock.reading()
    }

    /// Snapshots of a database that are due by this site's own clock.
    #[must_use]
    pub fn due(&self, database: &DatabaseName) -> Option<&NumberSet> {
        self.due.get(database)
    }

    /// Later charters by whose retention nothing goes yet: after the delay, by this site's own clock, or never.
    #[must_use]
    pub fn pending_charters(&self, catalog: &Catalog, database: &DatabaseName) -> Vec<Pending> {
        self.policies.pending(catalog, database, self.clock.reading())
    }

    /// Officials have vetoed what a charter lets go.
    pub(crate) fn follow_vetoes(&mut self, vetoed: &BTreeSet<Digest>) {
        if self.policies.follow_vetoes(vetoed) {
            self.look_at = Timestamp::default();
        }
    }

    /// Puts back a record that was persisted before.
    ///
    /// # Errors
    /// The record does not fit: the state file was damaged.
    pub fn replay(&mut self, record: &Record) -> Result<(), String> {
        let damaged = || "a damaged record of retention".to_owned();
        let moment = record.value.as_slice().try_into().map_err(|_length| damaged())?;
        let moment = Timestamp::from_unix_ms(u64::from_be_bytes(moment));
        if record.key == CLOCK_KEY {
            self.clock.restore(moment);
        } else {
            let version = record.key.as_slice().try_into().map_err(|_length| damaged())?;
            self.policies.restore(u64::from_be_bytes(version), moment);
        }
        Ok(())
    }

    /// Time has passed: `wall` is the clock on the wall, `steady` the one that waits go by. The databases of which
    /// something was decided.
    pub(crate) fn tick(
        &mut self,
        (steady, wall): (Timestamp, Timestamp),
        catalog: &mut Catalog,
        evidence: &Evidence,
        keys: &SiteKeys,
        outputs: &mut Vec<Output>,
    ) -> BTreeSet<DatabaseName> {
        let drafted = catalog.charter().drafted;
        if let Some(reading) = self.clock.tick(wall, drafted, self.options.stride_ms) {
            outputs.push(Output::Persist(record(CLOCK_KEY.to_vec(), reading)));
        }
        for (version, adopted) in self.policies.take_up(catalog, self.clock.reading(), wall) {
            outputs.push(Output::Persist(record(version.to_be_bytes().to_vec(), adopted)));
            self.look_at = Timestamp::default(); // a hold counts at once
        }
        let mut changed = BTreeSet::new();
        if self.look_at <= steady {
            self.look_at = steady.plus_ms(self.options.interval_ms);
            changed = self.look(catalog, evidence);
        }
        if !changed.is_empty() || self.agreed_at != Some(evidence.changes()) {
            self.agreed_at = Some(evidence.changes());
            changed.extend(self.agree(catalog, evidence, outputs));
        }
        self.collection.tick(steady, self.options, catalog, &keys.name, outputs);
        changed
    }

    /// Takes one input; the host carries out the outputs in order (see [`crate::machine`]).
    pub fn handle(&mut self, input: Input, catalog: &Catalog, keys: &SiteKeys) -> Vec<Output> {
        let Input::Listed { ticket, shards } = input;
        let at = self.clock.reading();
        self.collection.listed(ticket, &shards, at, self.options.grace_ms, catalog, &keys.name)
    }

    /// What is due of every database; those of which that has changed.
    fn look(&mut self, catalog: &Catalog, evidence: &Evidence) -> BTreeSet<DatabaseName> {
        let mut acceptance = None;
        let databases = catalog.histories().map(|(database, _history)| database);
        let looked = databases.map(|database| (database, self.due_of(database, catalog, evidence, &mut acceptance)));
        let looked: Vec<(&DatabaseName, NumberSet)> = looked.collect();
        let mut changed = BTreeSet::new();
        for (database, due) in looked {
            if self.due.get(database).unwrap_or(&NumberSet::default()) != &due {
                self.due.insert(database.clone(), due);
                changed.insert(database.clone());
            }
        }
        changed
    }

    /// What is due of one database, and what is gone here, which does not come back with another charter.
    fn due_of<'a>(
        &self,
        database: &DatabaseName,
        catalog: &'a Catalog,
        evidence: &Evidence,
        acceptance: &mut Option<Acceptance<'a>>,
    ) -> NumberSet {
        let reading = self.clock.reading();
        let Some(history) = catalog.history(database) else { return NumberSet::default() };
        let is_forked = history.forks().next().is_some();
        let policies = self.policies.of(catalog, database, reading).filter(|_policies| !is_forked);
        let Some(policies) = policies else { return history.discarded().clone() };
        let durable = durable_snapshots(database, catalog, evidence);
        let acceptance = acceptance.get_or_insert_with(|| Acceptance::new(catalog));
        let candidates = acceptance.candidates(history, |sequence| durable.contains(&sequence));
        let gone = policies.into_iter().map(|(rules, bounds)| {
            let quarantined = history.quarantined(bounds);
            #[cfg(feature = "planted-bugs")]
            let quarantined = if crate::planted::is_planted(crate::planted::Bug::QuarantineIgnored) {
                BTreeMap::new()
            } else {
                quarantined
            };
            let mut candidates = candidates.clone();
            candidates.iter_mut().for_each(|one| one.is_good &= !quarantined.contains_key(&one.sequence));
            rules::let_go(rules, &candidates, reading)
        });
        let due = gone.reduce(|all, by_one| &all & &by_one).unwrap_or_default();
        NumberSet::covering(due, usize::MAX).union(history.discarded())
    }

    /// Holds what all sites say against each other.
    fn agree(
        &mut self,
        catalog: &mut Catalog,
        evidence: &Evidence,
        outputs: &mut Vec<Output>,
    ) -> BTreeSet<DatabaseName> {
        let mut changed = BTreeSet::new();
        let databases: Vec<DatabaseName> = catalog.histories().map(|(name, _history)| name.clone()).collect();
        for database in databases {
            let Some(history) = catalog.history(&database) else { continue };
            let head = NumberSet::of_run(1, history.head_sequence().saturating_sub(1));
            let agreed = agreement::agreed(catalog, &database, evidence).intersection(&head);
            let all = history.agreed_gone().union(&agreed);
            let due = self.due.get(&database).cloned().unwrap_or_default();
            let may_change =
                all != *history.agreed_gone() || !all.intersection(&due).without(history.discarded()).is_empty();
            if !may_change {
                continue;
            }
            // What was due a while ago may be kept by now: a charter, a veto, a loss.
            let due = self.due_of(&database, catalog, evidence, &mut None);
            let (newly_agreed, newly_discarded) = catalog.let_go(&database, &agreed, &due, outputs);
            let is_other = self.due.insert(database.clone(), due.clone()).is_none_or(|before| before != due);
            if newly_discarded > 0 {
                let (database, count) = (database.clone(), newly_discarded);
                outputs.push(Output::Report(Event::Discarded { database, count }));
            }
            if is_other || newly_agreed + newly_discarded > 0 {
                changed.insert(database);
            }
        }
        changed
    }
}

/// For a client: lets go what these inventories, each verified, agree on.
pub fn learn(catalog: &mut Catalog, database: &DatabaseName, inventories: impl IntoIterator<Item = Vec<u8>>) {
    let mut evidence = Evidence::default();
    for bytes in inventories {
        // One that does not verify says nothing, whoever brought it.
        let _unverified = evidence.take_inventory(&bytes, catalog, &mut Vec::new());
    }
    let agreed = agreement::agreed(catalog, database, &evidence);
    catalog.let_go(database, &agreed, &NumberSet::default(), &mut Vec::new());
}

fn record(key: Vec<u8>, moment: Timestamp) -> Record {
    Record { kind: RecordKind::Retention, key, value: moment.unix_ms().to_be_bytes().to_vec() }
}
