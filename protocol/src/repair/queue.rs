//! What is lacking, in the order in which it is remade.

use std::collections::{BTreeMap, BTreeSet};

use crate::evidence::ShardName;
use crate::identifier::{DatabaseName, SiteName};
use crate::timestamp::Timestamp;

/// Pause after the first failure; doubled after each further one.
const PAUSE_MS: u64 = 2_000;
/// The longest pause.
const PAUSE_MS_MAX: u64 = 3_600_000;
/// So long a helper that sent wrong bytes is left out.
const DISTRUST_MS: u64 = 600_000;

/// So much of the budget may be spent in advance: the host tells the time only every second, and what it allows until
/// then is begun at once.
const AHEAD_MS: u64 = 1_000;

/// One shard that this site lacks.
#[derive(Clone, Debug)]
struct Lack {
    surplus: usize,
    since: Timestamp,
    not_before: Timestamp,
    failures: u32,
    in_work: bool,
}

/// First what has the least to lose, then what was found first.
type Rank = (usize, Timestamp, ShardName);

/// The shards that this site lacks.
#[derive(Debug, Default)]
pub struct Queue {
    lacks: BTreeMap<ShardName, Lack>,
    ready: BTreeSet<Rank>,
    waiting: BTreeSet<(Timestamp, ShardName)>,
    in_work: usize,
    /// Until when the budget is spent.
    free_at: Timestamp,
    distrusted: BTreeMap<SiteName, Timestamp>,
}

impl Queue {
    /// How many shards are lacking.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lacks.len()
    }

    /// Whether nothing is lacking.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lacks.is_empty()
    }

    /// Jobs under way.
    #[must_use]
    pub const fn in_work(&self) -> usize {
        self.in_work
    }

    /// Whether this shard is lacking.
    #[must_use]
    pub fn contains(&self, shard: &ShardName) -> bool {
        self.lacks.contains_key(shard)
    }

    /// What is lacking of one database.
    pub fn of_database<'a>(&'a self, database: &'a DatabaseName) -> impl Iterator<Item = &'a ShardName> {
        self.lacks
            .range(ShardName::first(database)..)
            .map(|(shard, _lack)| shard)
            .take_while(move |shard| shard.database == *database)
    }

    /// Failures so far of a shard that is lacking.
    #[must_use]
    pub fn failures(&self, shard: &ShardName) -> u32 {
        self.lacks.get(shard).map_or(0, |lack| lack.failures)
    }

    /// Adds a shard, or ranks anew one that is here; true if it is new.
    pub(super) fn add(&mut self, shard: ShardName, surplus: usize, now: Timestamp, not_before: Timestamp) -> bool {
        let known = self.lacks.get(&shard).cloned();
        let is_new = known.is_none();
        let mut lack = known.unwrap_or(Lack { surplus, since: now, not_before, failures: 0, in_work: false });
        self.unlist(&shard, &lack);
        lack.surplus = surplus;
        if lack.failures == 0 {
            lack.not_before = lack.not_before.min(not_before);
        }
        self.list(&shard, &lack, now);
        self.lacks.insert(shard, lack);
        is_new
    }

    pub(super) fn remove(&mut self, shard: &ShardName) {
        let Some(lack) = self.lacks.remove(shard) else { return };
        self.unlist(shard, &lack);
        self.in_work -= usize::from(lack.in_work);
    }

    /// The next shard to remake, if the budget allows one.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<ShardName> {
        while let Some((due, shard)) = self.waiting.first().filter(|(due, _shard)| *due <= now).cloned() {
            self.waiting.remove(&(due, shard.clone()));
            if let Some(lack) = self.lacks.get(&shard) {
                self.ready.insert((lack.surplus, lack.since, shard));
            }
        }
        if now.plus_ms(AHEAD_MS) <= self.free_at {
            return None;
        }
        self.ready.pop_first().map(|(_surplus, _since, shard)| shard)
    }

    /// It is not begun after all.
    pub(super) fn put_back(&mut self, shard: &ShardName) {
        if let Some(lack) = self.lacks.get(shard) {
            self.ready.insert((lack.surplus, lack.since, shard.clone()));
        }
    }

    /// It is begun, and costs `bytes` of the budget.
    pub(super) fn start(&mut self, now: Timestamp, shard: &ShardName, bytes: u64, bytes_per_second: u64) {
        if let Some(lack) = self.lacks.get_mut(shard) {
            lack.in_work = true;
            self.in_work += 1;
        }
        let takes_ms = bytes.saturating_mul(1_000) / bytes_per_second.max(1);
        self.free_at = self.free_at.max(now).plus_ms(takes_ms);
    }

    /// It failed: again later, and later each time.
    pub(super) fn failed(&mut self, shard: &ShardName, now: Timestamp) {
        let Some(mut lack) = self.lacks.remove(shard) else { return };
        self.unlist(shard, &lack);
        self.in_work -= usize::from(lack.in_work);
        let pause = PAUSE_MS.saturating_mul(1 << lack.failures.min(20)).min(PAUSE_MS_MAX);
        (lack.in_work, lack.failures, lack.not_before) = (false, lack.failures + 1, now.plus_ms(pause));
        self.list(shard, &lack, now);
        self.lacks.insert(shard.clone(), lack);
    }

    pub(super) fn distrust(&mut self, site: &SiteName, now: Timestamp) {
        self.distrusted.insert(site.clone(), now.plus_ms(DISTRUST_MS));
    }

    pub(super) fn is_distrusted(&self, site: &SiteName, now: Timestamp) -> bool {
        self.distrusted.get(site).is_some_and(|until| now < *until)
    }

    /// The first of those that wait for their time.
    pub(super) fn waiting(&self, limit: usize) -> Vec<ShardName> {
        self.waiting.iter().take(limit).map(|(_due, shard)| shard.clone()).collect()
    }

    /// Whether it may be begun now, budget aside.
    pub(super) fn is_ready(&self, shard: &ShardName, now: Timestamp) -> bool {
        self.lacks.get(shard).is_some_and(|lack| lack.not_before <= now)
    }

    fn list(&mut self, shard: &ShardName, lack: &Lack, now: Timestamp) {
        if lack.in_work {
            return;
        }
        if lack.not_before <= now {
            self.ready.insert((lack.surplus, lack.since, shard.clone()));
        } else {
            self.waiting.insert((lack.not_before, shard.clone()));
        }
    }

    fn unlist(&mut self, shard: &ShardName, lack: &Lack) {
        self.ready.remove(&(lack.surplus, lack.since, shard.clone()));
        self.waiting.remove(&(lack.not_before, shard.clone()));
    }
}
