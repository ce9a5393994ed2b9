//! Repair: this site remakes the shards that it lacks, from `data_shards` others, without any key and without home.
//!
//! Every site repairs its own shards and no others, so a repair cannot break placement or write more than was lost. What
//! is lacking is found by looking through the store (`sweep`), by the scrub, and by reads that fail. Before a site asks
//! for help it says in its [`crate::document::Inventory`] what it lacks (`declare`): others then stop counting on it, and give it bytes only
//! of those stripes ([`helper_read`]). What is least redundant comes first; what fails waits longer each time and never
//! holds up the rest; all of it keeps to a budget of bytes per second ([`queue`]).

mod declare;
pub mod queue;
mod sweep;

use std::collections::BTreeMap;

use shard_codec::stripe::StripeLayout;
use shard_codec::{Digest, ShardIndex};

use crate::catalog::Catalog;
use crate::evidence::{Evidence, ShardName};
use crate::identifier::{DatabaseName, SiteName};
use crate::ledger::holders;
use crate::limits::PAGE_ENTRIES_MAX;
use crate::machine::{Event, Output, SiteKeys, Ticket};
use crate::retention::Retention;
use crate::timestamp::Timestamp;
use crate::wire::{Refusal, RefusalCode};
use declare::Declaration;
use queue::Queue;
use sweep::Sweep;

/// How much a site does at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepairOptions {
    /// Bytes fetched from others in a second, on average.
    pub bytes_per_second: u64,
    /// Stripes in work at once.
    pub jobs_max: usize,
    /// A shard whose file is gone may come back with its disk: so long it is waited for, unless the stripe is in danger.
    pub patience_ms: u64,
    /// A stripe with no more shards than this to lose is not waited for.
    pub urgent_surplus: usize,
    /// Time between two looks through the whole store.
    pub sweep_interval_ms: u64,
}

impl Default for RepairOptions {
    /// 64 MiB/s, four stripes at once, a minute of patience unless at most one more shard may be lost, a look every
    /// ten minutes.
    fn default() -> Self {
        Self {
            bytes_per_second: 64 << 20,
            jobs_max: 4,
            patience_ms: 60_000,
            urgent_surplus: 1,
            sweep_interval_ms: 600_000,
        }
    }
}

/// What the host tells the machine.
#[derive(Clone, Debug)]
pub enum Input {
    /// The host looked into the store, as [`Output::Sweep`] asked.
    Swept {
        /// From the output.
        ticket: Ticket,
        /// What is not there.
        missing: Vec<Digest>,
    },
    /// A read or the scrub found that a shard is not what it was.
    Missing {
        /// The shard.
        shard: ShardName,
    },
    /// A job has ended.
    Ended {
        /// The shard.
        shard: ShardName,
        /// How.
        outcome: Outcome,
    },
}

/// A shard to remake. The host finds out which ranges of it are bad (all of it, if the file is gone), fetches these from
/// any `data_shards` helpers, checks every byte against the helpers' roots, remakes, checks against the shard's own root
/// and stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// What is to be remade.
    pub shard: ShardName,
    /// The shape of its stripe.
    pub layout: StripeLayout,
    /// Who is believed to hold the others, at least `data_shards` of them.
    pub helpers: Vec<Helper>,
}

/// A site that holds another shard of the stripe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    /// The site.
    pub site: SiteName,
    /// Its shard.
    pub shard_index: ShardIndex,
    /// The root of that.
    pub root: Digest,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The shard is in the store.
    Mended {
        /// Bytes that came from others, proofs included.
        fetched_bytes: u64,
        /// Bytes written to the disk.
        written_bytes: u64,
        /// Helpers that sent wrong bytes on the way.
        liars: Vec<SiteName>,
    },
    /// It is not.
    Failed {
        /// Helpers that sent wrong bytes.
        liars: Vec<SiteName>,
        /// For people.
        why: String,
    },
}

/// What was done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Shards remade.
    pub mended_count: u64,
    /// Jobs that failed.
    pub failed_count: u64,
    /// Bytes fetched from others.
    pub fetched_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
}

/// The machine.
#[derive(Debug)]
pub struct Repair {
    options: RepairOptions,
    sweep: Sweep,
    queue: Queue,
    declarations: BTreeMap<DatabaseName, Declaration>,
    totals: Totals,
    /// The state of the evidence by which the queue was ranked.
    ranked_at: u64,
    /// Since when something is lacking, and how much had been mended then.
    busy: Option<(Timestamp, u64)>,
}

impl Repair {
    /// A machine that has looked at nothing yet.
    #[must_use]
    pub fn new(options: RepairOptions) -> Self {
        let (sweep, queue) = (Sweep::default(), Queue::default());
        Self {
            options,
            sweep,
            queue,
            declarations: BTreeMap::new(),
            totals: Totals::default(),
            ranked_at: 0,
            busy: None,
        }
    }

    /// How it works.
    #[must_use]
    pub const fn options(&self) -> RepairOptions {
        self.options
    }

    /// What it has done.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// What is lacking.
    #[must_use]
    pub const fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The time until nothing is lacking in milliseconds, at the speed since it began to lack; `None` if nothing is, or
    /// nothing was mended yet.
    #[must_use]
    pub fn eta_ms(&self, now: Timestamp) -> Option<u64> {
        let (since, mended_before) = self.busy?;
        let mended = self.totals.mended_count.checked_sub(mended_before)?;
        let elapsed_ms = now.unix_ms().saturating_sub(since.unix_ms());
        elapsed_ms.saturating_mul(self.queue.len() as u64).checked_div(mended)
    }

    /// Whether the whole store was looked through since the start.
    #[must_use]
    pub fn has_looked(&self, catalog: &Catalog) -> bool {
        catalog.histories().all(|(database, history)| self.sweep.has_seen(database, history.kept_stripes().positions()))
    }

    /// The store may have changed behind the machine's back: it is looked through again at the next tick.
    pub fn look_again(&mut self) {
        self.sweep.again();
    }

    /// Snapshots of a database were let go: what only they refer to is not lacking any more.
    pub(crate) fn let_go(&mut self, database: &DatabaseName, catalog: &Catalog) {
        let kept = catalog.history(database).map(crate::catalog::History::kept_stripes);
        let is_kept = |shard: &ShardName| {
            kept.is_some_and(|kept| kept.find(shard.stripe_number, shard.shard_index, &shard.root).is_some())
        };
        let gone: Vec<ShardName> = self.queue.of_database(database).filter(|shard| !is_kept(shard)).cloned().collect();
        gone.iter().for_each(|shard| self.queue.remove(shard));
        self.declarations.entry(database.clone()).or_default().look();
    }

    /// Shares have come: what this site says that it lacks is held against what is here.
    pub fn shares_came(&mut self, database: &DatabaseName) {
        self.declarations.entry(database.clone()).or_default().look();
    }

    /// Time has passed. The host calls it every second or so; it costs little when nothing is lacking.
    pub fn tick(
        &mut self,
        now: Timestamp,
        catalog: &Catalog,
        evidence: &mut Evidence,
        retention: &Retention,
        keys: &SiteKeys,
    ) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.sweep.tick(now, self.options.sweep_interval_ms, catalog, &keys.name, &mut outputs);
        self.acquit(catalog, evidence, &keys.name);
        if self.ranked_at != evidence.changes() {
            self.ranked_at = evidence.changes();
            self.hurry(now, catalog, evidence, keys);
        }
        self.declare(now, catalog, evidence, retention, keys, &mut outputs);
        self.busy = if self.queue.is_empty() { None } else { self.busy.or(Some((now, self.totals.mended_count))) };
        self.begin(now, catalog, evidence, keys, &mut outputs);
        outputs
    }

    /// Begins what jobs and budget allow: when time has passed, when something was found, and as soon as a job has made room.
    fn begin(
        &mut self,
        now: Timestamp,
        catalog: &Catalog,
        evidence: &Evidence,
        keys: &SiteKeys,
        outputs: &mut Vec<Output>,
    ) {
        let bytes_per_second = self.options.bytes_per_second;
        while self.queue.in_work() < self.options.jobs_max {
            let Some(shard) = self.queue.next(now) else { break };
            let Some(job) = self.job(now, &shard, catalog, evidence, keys, outputs) else { continue };
            // Told to the others first, or they would refuse.
            if !evidence.lacks(&shard.database, &keys.name, shard.stripe_number) {
                self.queue.put_back(&shard);
                break;
            }
            let cost = job.layout.data_bytes() as u64;
            self.queue.start(now, &shard, cost, bytes_per_second);
            outputs.push(Output::Repair(Box::new(job)));
        }
    }

    /// Takes one input; the host carries out the outputs in order (see [`crate::machine`]).
    pub fn handle(
        &mut self,
        now: Timestamp,
        input: Input,
        catalog: &Catalog,
        evidence: &mut Evidence,
        retention: &Retention,
        keys: &SiteKeys,
    ) -> Vec<Output> {
        let mut outputs = Vec::new();
        match input {
            Input::Swept { ticket, missing } => self.swept(now, ticket, &missing, catalog, evidence, keys),
            Input::Missing { shard } => {
                let surplus = surplus_of(&shard, catalog, evidence, &keys.name).unwrap_or(0);
                if self.queue.add(shard.clone(), surplus, now, now) {
                    outputs.push(Output::Report(Event::ShardMissing { shard: Box::new(shard.clone()) }));
                }
                self.declarations.entry(shard.database).or_default().look();
            }
            Input::Ended { shard, outcome } => {
                self.ended(now, &shard, outcome, &mut outputs);
            }
        }
        self.declare(now, catalog, evidence, retention, keys, &mut outputs);
        // At once, not with the next second: what is lacking was just told.
        self.begin(now, catalog, evidence, keys, &mut outputs);
        outputs
    }

    fn swept(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        missing: &[Digest],
        catalog: &Catalog,
        evidence: &Evidence,
        keys: &SiteKeys,
    ) {
        let Some(batch) = self.sweep.take(ticket) else { return };
        let missing: std::collections::BTreeSet<&Digest> = missing.iter().collect();
        for shard in batch.shards {
            if !missing.contains(&shard.root) {
                self.queue.remove(&shard);
                continue;
            }
            let surplus = surplus_of(&shard, catalog, evidence, &keys.name).unwrap_or(0);
            let is_urgent = surplus <= self.options.urgent_surplus;
            let not_before = if is_urgent { now } else { now.plus_ms(self.options.patience_ms) };
            self.queue.add(shard, surplus, now, not_before);
        }
        let declaration = self.declarations.entry(batch.database.clone()).or_default();
        declaration.look();
        if batch.is_last {
            declaration.looked_through();
        }
    }

    /// A loss of this site's own that was proven and is mended: others see a proof of it when they ask for one, and a
    /// site asks itself nothing.
    fn acquit(&self, catalog: &Catalog, evidence: &mut Evidence, me: &SiteName) {
        let is_held = |shard: &ShardName| {
            let history = catalog.history(&shard.database);
            let count = history.map_or(0, |history| history.kept_stripes().positions());
            self.sweep.has_seen(&shard.database, count) && !self.queue.contains(shard)
        };
        let of_me = evidence.faults().filter(|(_shard, fault)| fault.is_open && fault.evidence.document().site == *me);
        let mended: Vec<ShardName> = of_me.map(|(shard, _fault)| shard.clone()).filter(is_held).collect();
        mended.iter().for_each(|shard| evidence.close_fault(shard));
    }

    /// What was left to wait is begun at once when the others have lost too much meanwhile.
    fn hurry(&mut self, now: Timestamp, catalog: &Catalog, evidence: &Evidence, keys: &SiteKeys) {
        for shard in self.queue.waiting(PAGE_ENTRIES_MAX) {
            let surplus = surplus_of(&shard, catalog, evidence, &keys.name).unwrap_or(0);
            if surplus <= self.options.urgent_surplus {
                self.queue.add(shard, surplus, now, now);
            }
        }
    }

    fn ended(&mut self, now: Timestamp, shard: &ShardName, outcome: Outcome, outputs: &mut Vec<Output>) {
        let (Outcome::Mended { liars, .. } | Outcome::Failed { liars, .. }) = &outcome;
        for site in liars {
            self.queue.distrust(site, now);
            let (site, shard) = (site.clone(), Box::new(shard.clone()));
            outputs.push(Output::Report(Event::HelperLied { site, shard }));
        }
        match outcome {
            Outcome::Mended { fetched_bytes, written_bytes, .. } => {
                self.totals.mended_count += 1;
                self.totals.fetched_bytes += fetched_bytes;
                self.totals.written_bytes += written_bytes;
                self.queue.remove(shard);
                self.declarations.entry(shard.database.clone()).or_default().look();
                outputs.push(Output::Report(Event::ShardMended { shard: Box::new(shard.clone()) }));
            }
            Outcome::Failed { why, .. } => {
                self.totals.failed_count += 1;
                self.queue.failed(shard, now);
                outputs.push(Output::Report(Event::RepairFailed { shard: Box::new(shard.clone()), why }));
            }
        }
    }

    /// The job for a shard; `None` if it cannot be made now, which is said and tried again later.
    fn job(
        &mut self,
        now: Timestamp,
        shard: &ShardName,
        catalog: &Catalog,
        evidence: &Evidence,
        keys: &SiteKeys,
        outputs: &mut Vec<Output>,
    ) -> Option<Job> {
        let history = catalog.history(&shard.database)?;
        let found = history.kept_stripes().find(shard.stripe_number, shard.shard_index, &shard.root);
        let Some((_position, stripe)) = found else {
            self.queue.remove(shard);
            return None;
        };
        let trusted = |site: &&SiteName| **site != keys.name && !self.queue.is_distrusted(site, now);
        let helpers: Vec<Helper> = holders(&shard.database, history, stripe, catalog.charter(), evidence)
            .filter(trusted)
            .filter_map(|site| {
                let (shard_index, root) = stripe.live.shard_at(site)?;
                Some(Helper { site: site.clone(), shard_index, root })
            })
            .collect();
        let (needed, layout) = (stripe.live.layout.parameters().data_shards(), stripe.live.layout);
        if helpers.len() < needed {
            let why = format!("{} of {needed} sites that are needed hold it and are trusted", helpers.len());
            self.queue.failed(shard, now);
            outputs.push(Output::Report(Event::RepairFailed { shard: Box::new(shard.clone()), why }));
            return None;
        }
        Some(Job { shard: shard.clone(), layout, helpers })
    }
}

/// Shards at other sites that the stripe may still lose before it cannot be decoded.
fn surplus_of(shard: &ShardName, catalog: &Catalog, evidence: &Evidence, me: &SiteName) -> Option<usize> {
    let history = catalog.history(&shard.database)?;
    let (_position, stripe) = history.kept_stripes().find(shard.stripe_number, shard.shard_index, &shard.root)?;
    let holders = holders(&shard.database, history, stripe, catalog.charter(), evidence);
    let held = holders.filter(|site| *site != me).count();
    Some(held.saturating_sub(stripe.live.layout.parameters().data_shards()))
}

/// Whether this site gives bytes of `shard` to `caller` for a repair: the shard lies here, the caller has one of the same
/// stripe, and has said that it lacks it.
///
/// # Errors
/// The refusal to send.
pub fn helper_read(
    caller: &SiteName,
    shard: &ShardName,
    catalog: &Catalog,
    evidence: &Evidence,
    keys: &SiteKeys,
) -> Result<(), Refusal> {
    let refuse = |why: &str| Err(Refusal::new(RefusalCode::NotAllowed, why));
    let history = catalog.history(&shard.database);
    let found =
        history.and_then(|history| history.kept_stripes().find(shard.stripe_number, shard.shard_index, &shard.root));
    let Some((_position, stripe)) = found else {
        return Err(Refusal::new(RefusalCode::NotFound, "no manifest known here has such a shard"));
    };
    if stripe.site_of(shard.shard_index) != Some(&keys.name) {
        return refuse("the shard does not lie at this site");
    }
    if stripe.live.shard_due_at(caller).is_none() {
        return refuse("a site reads shards only of stripes of which it holds one");
    }
    #[cfg(feature = "planted-bugs")]
    if crate::planted::is_planted(crate::planted::Bug::HelpWithoutConfession) {
        return Ok(());
    }
    if !evidence.lacks(&shard.database, caller, shard.stripe_number) {
        return refuse("a site that reads shards of others says first, in its inventory, that it lacks its own");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
