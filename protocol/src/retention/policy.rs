//! Which charters' rules count now.

use std::collections::{BTreeMap, BTreeSet};

use shard_codec::Digest;

use crate::catalog::Catalog;
use crate::document::{Charter, Database, Quarantine, Retention};
use crate::identifier::DatabaseName;
use crate::signature::Signed;
use crate::timestamp::Timestamp;

/// Where the charter before said nothing of it: two weeks.
const DELAY_MS: u64 = 14 * 86_400_000;
/// A clock of retention that is behind the wall is taken for slow by no more than this: two weeks by it may be one.
const BEHIND_MS_MAX: u64 = 366 * 86_400_000;

/// A later charter whose rules count already where they keep, and not yet where they let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Its version.
    pub version: u64,
    /// When it settles, by this site's clock of retention; never if an official vetoes it.
    pub settles: Timestamp,
    /// An official has vetoed it.
    pub is_vetoed: bool,
}

/// When this site took up each charter, and which of them are vetoed.
#[derive(Debug, Default)]
pub(super) struct Policies {
    adopted: BTreeMap<u64, Timestamp>,
    vetoed: BTreeSet<Digest>,
}

impl Policies {
    pub(super) fn restore(&mut self, version: u64, adopted: Timestamp) {
        self.adopted.insert(version, adopted);
    }

    /// Whether there are others than before.
    pub(super) fn follow_vetoes(&mut self, vetoed: &BTreeSet<Digest>) -> bool {
        let has_changed = self.vetoed != *vetoed;
        if has_changed {
            self.vetoed.clone_from(vetoed);
        }
        has_changed
    }

    /// Charter versions that were not here at the last tick, with the moment that counts as the one they came.
    pub(super) fn take_up(&mut self, catalog: &Catalog, reading: Timestamp, wall: Timestamp) -> Vec<(u64, Timestamp)> {
        let newest = catalog.charter().version;
        if self.adopted.last_key_value().is_some_and(|(version, _at)| *version >= newest) {
            return Vec::new();
        }
        let first = self.adopted.last_key_value().map_or(1, |(version, _at)| version + 1);
        let came = wall.min(reading.plus_ms(BEHIND_MS_MAX)).max(reading);
        // Not before it was drafted: the clock of retention may leap to that.
        let charters = catalog.charters().iter().map(Signed::document).filter(|charter| charter.version >= first);
        let new: Vec<(u64, Timestamp)> = charters.map(|charter| (charter.version, came.max(charter.drafted))).collect();
        self.adopted.extend(new.iter().copied());
        new
    }

    /// What the charters say of a database whose rules all must let a snapshot go: the one that has settled, and every later
    /// one. `None` if one of them keeps everything.
    pub(super) fn of<'a>(
        &self,
        catalog: &'a Catalog,
        database: &DatabaseName,
        reading: Timestamp,
    ) -> Option<Vec<(&'a Retention, Option<&'a Quarantine>)>> {
        let counting = self.counting(catalog, database, reading);
        counting.into_iter().map(|one| one.rules().map(|rules| (rules, one.quarantine()))).collect()
    }

    /// The charters that have not settled and say something else than the one that has, the first one first.
    pub(super) fn pending<'a>(
        &self,
        catalog: &'a Catalog,
        database: &DatabaseName,
        reading: Timestamp,
    ) -> Vec<Pending> {
        let counting = self.counting(catalog, database, reading);
        // Without rules nothing goes for the sake of anything.
        let has_rules = counting.iter().any(|one| one.rules().is_some());
        let says = |one: &Counting<'a>| (one.rules(), one.quarantine().filter(|_bounds| has_rules));
        let Some(settled) = counting.first().map(says) else { return Vec::new() };
        let later = counting.iter().skip(1).filter(|later| says(later) != settled);
        let pending = |later: &Counting<'_>| Pending {
            version: later.version,
            settles: later.settles,
            is_vetoed: later.is_vetoed,
        };
        later.map(pending).collect()
    }

    /// The settled version and all later ones. One that is vetoed never settles; it keeps what it keeps all the same, or one
    /// official could bring older rules back. Each waits for the longest delay of those that counted when it came.
    fn counting<'a>(&self, catalog: &'a Catalog, database: &DatabaseName, reading: Timestamp) -> Vec<Counting<'a>> {
        let mut counting: Vec<Counting<'a>> = Vec::new();
        for signed in catalog.charters().iter() {
            let charter: &'a Charter = signed.document();
            let entry = charter.database(database);
            let (version, is_vetoed) = (charter.version, self.vetoed.contains(&signed.digest()));
            let Some(came) = self.adopted.get(&version).copied() else {
                let settles = if counting.is_empty() { Timestamp::default() } else { NEVER };
                counting.push(Counting { version, entry, settles, is_vetoed });
                continue;
            };
            settle(&mut counting, came);
            let delay_ms = counting.iter().map(|one| delay_ms(one.rules())).max();
            let settles = delay_ms.map_or(Timestamp::default(), |delay_ms| came.plus_ms(delay_ms));
            counting.push(Counting { version, entry, settles, is_vetoed });
        }
        settle(&mut counting, reading);
        counting
    }
}

const NEVER: Timestamp = Timestamp::from_unix_ms(u64::MAX);

/// What a charter says of a database, and when that settles.
struct Counting<'a> {
    version: u64,
    entry: Option<&'a Database>,
    settles: Timestamp,
    is_vetoed: bool,
}

impl<'a> Counting<'a> {
    fn rules(&self) -> Option<&'a Retention> {
        self.entry?.retention.as_ref()
    }

    fn quarantine(&self) -> Option<&'a Quarantine> {
        self.entry?.quarantine.as_ref()
    }
}

/// Leaves the newest that has settled by then, and all after it.
fn settle(counting: &mut Vec<Counting<'_>>, by: Timestamp) {
    let newest = counting.iter().rposition(|one| one.settles <= by && !one.is_vetoed);
    counting.drain(..newest.unwrap_or(0));
}

fn delay_ms(settled: Option<&Retention>) -> u64 {
    settled.map_or(DELAY_MS, |rules| rules.delay_seconds.saturating_mul(1_000))
}
