//! The end of a run: everything is mended, all must come to know the same, every database must be restored, and the
//! disks are opened once more without anybody's help.

use std::collections::{BTreeMap, BTreeSet};

use protocol::document::Selector;
use protocol::identifier::DatabaseName;

use super::{Event, World, node_id};
use crate::world::invariant::verdict::{held_by, readers, standing};
use crate::world::invariant::{Broken, liveness};
use crate::world::report::{Report, SnapshotReport};
use crate::world::trace::{NodeId, TraceEvent};
use crate::world::virtual_clock::{Clock, Time};

/// How often it is looked whether all know the same.
const LOOK_MS: u64 = 1_000;

/// How far the end has come.
#[derive(Debug, Default)]
pub(super) struct Ending {
    deadline: Time,
    converged_at: Option<Time>,
    /// Whose last restores have not ended, once they have begun; why those failed that did.
    last_restores: Option<BTreeSet<NodeId>>,
    failed: Vec<String>,
    over: bool,
}

impl Ending {
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// A restore of this client has ended, badly if there is a reason; only the last ones must not.
    pub(super) fn note_restore(&mut self, node: NodeId, failed: Option<&str>) {
        if self.last_restores.as_mut().is_some_and(|last| last.remove(&node)) {
            self.failed.extend(failed.map(ToOwned::to_owned));
        }
    }
}

impl World<'_> {
    /// Mends every link, disk and clock; whoever is not lost comes back.
    pub(super) fn heal(&mut self) {
        self.trace(self.home_node(), &TraceEvent::Healed);
        self.network.heal();
        self.healed_at = Some(self.now);
        self.ending.deadline = self.now.plus_ms(self.config.converge_within_ms);
        for site in &mut self.sites {
            (site.disk.full, site.disk.slowness) = (false, 1);
            site.clock = Clock::default();
        }
        for index in 0..self.sites.len() {
            // A spare one that nobody called stays away.
            if self.sites.get(index).is_some_and(|site| site.incarnation > 0) {
                self.start_site(node_id(index));
            }
        }
        // In case that nobody was there when officials signed it.
        if let Some(node) = self.member_that_is_up() {
            self.hand_chain(node);
        }
        if !self.home_lost {
            self.start_home();
        }
        self.queue.push(self.now.plus_ms(LOOK_MS), Event::LookAround);
    }

    /// Whether all is as it should be; ends the run, or comes back.
    pub(super) fn look_around(&mut self) {
        let converged = self.is_at_rest();
        if converged.is_ok() && self.ending.converged_at.is_none() {
            self.ending.converged_at = Some(self.now);
            self.trace(self.home_node(), &TraceEvent::Said("all sites know the same".to_owned()));
        }
        if self.ending.converged_at.is_some() && self.ending.last_restores.is_none() {
            self.begin_last_restores();
        }
        // Home may try for ever: too many sites are gone, and it says so.
        let still_waits = self.tasks.keys().any(|task| self.home_task != Some(*task));
        let restored = self.ending.last_restores.as_ref().is_some_and(BTreeSet::is_empty);
        let is_late = self.now >= self.ending.deadline;
        // Who only comes back to ask once more is not waited for beyond the bound.
        if restored && (is_late || !still_waits) {
            self.judge_last_restores();
            self.ending.over = true;
        } else if is_late {
            self.ending.over = true;
            let why = match converged {
                Err(why) if self.ending.converged_at.is_none() => why,
                Ok(()) | Err(_) => "a restore still goes on".to_owned(),
            };
            self.fail_liveness(format!("{} ms after everything was mended, {why}", self.config.converge_within_ms));
        } else {
            self.queue.push(self.now.plus_ms(LOOK_MS), Event::LookAround);
        }
    }

    fn fail_liveness(&mut self, why: String) {
        if self.config.asserted.liveness {
            self.broken.get_or_insert(Broken { invariant: "liveness", node: None, why });
        }
    }

    /// All sites agree, and home has nothing left to publish that could be made durable.
    fn is_at_rest(&self) -> Result<(), String> {
        let due = self.home.disk.borrow().queue.clone();
        let scene = self.scene();
        if let Some(database) =
            due.iter().find(|database| !self.home_lost && liveness::could_be_durable(&scene, database))
        {
            return Err(format!("home still publishes {database}"));
        }
        liveness::converged(&scene)
    }

    /// Of every database the latest snapshot is restored. Where two histories are known, or the latest cannot be had,
    /// officials must name a snapshot: the newest that home knew to be durable and the members can still give.
    fn begin_last_restores(&mut self) {
        let mut last = BTreeSet::new();
        for database in self.config.databases.iter().map(|database| database.name.clone()).collect::<Vec<_>>() {
            let (newest, restorable) = self.newest(&database);
            let Some(restorable) = restorable else { continue };
            let is_plain = newest == Some(restorable) && !self.chronicle.stolen.contains(&database);
            let selector = if is_plain { Selector::Latest } else { Selector::Sequence(restorable) };
            last.extend(self.restore(&database, selector));
        }
        self.ending.last_restores = Some(last);
    }

    /// The newest snapshot that home signed and did not find suspicious; the newest of those that it held for durable that
    /// the members can give.
    fn newest(&self, database: &DatabaseName) -> (Option<u64>, Option<u64>) {
        let scene = self.scene();
        let authored = || {
            let is_plain = |digest| self.chronicle.is_suspicious(digest) == Some(false);
            let of = move |digest| {
                self.chronicle.places.get(digest).filter(|(name, _sequence)| name == database && is_plain(digest))
            };
            self.chronicle.authored.iter().filter_map(move |(digest, one)| Some((digest, one, of(digest)?.1)))
        };
        let can_be_had = |digest| {
            let held = held_by(&scene, liveness::members(&scene), digest);
            held.is_ok_and(|held| held.is_enough())
        };
        let durable = authored().filter(|(digest, one, _)| one.durable_at.is_some() && can_be_had(digest));
        (authored().map(|(_, _, sequence)| sequence).max(), durable.map(|(_, _, sequence)| sequence).max())
    }

    fn judge_last_restores(&mut self) {
        if let Some(why) = self.ending.failed.first() {
            let why = format!("everything is mended, and a restore fails: {why}");
            self.fail_liveness(why);
        }
    }

    pub(super) fn finish(mut self) -> Report {
        if self.broken.is_none() {
            let mut invariants = std::mem::take(&mut self.invariants);
            self.broken = invariants.finish(&self.scene()).err();
        }
        let scene = self.scene();
        let snapshots = self.chronicle.authored.iter().filter_map(|(digest, authored)| {
            let (database, sequence) = self.chronicle.places.get(digest)?;
            let (begun_ms, durable_at) = (authored.begun.as_ms(), authored.durable_at);
            Some(SnapshotReport {
                database: database.to_string(),
                sequence: *sequence,
                begun_ms,
                durable_after_ms: durable_at.map(|at| at.as_ms() - begun_ms),
                restorable: standing(&scene, digest).is_ok_and(|standing| standing.is_enough()),
            })
        });
        let mut snapshots: Vec<SnapshotReport> = snapshots.collect();
        snapshots.sort_by(|a, b| (&a.database, a.sequence).cmp(&(&b.database, b.sequence)));
        let readers = readers(&scene);
        let healed_ms = self.healed_at.map_or(0, Time::as_ms);
        let reached: BTreeMap<String, u64> =
            self.reached.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect();
        Report {
            seed: self.config.seed,
            sites: self.config.sites.len() as u64,
            violation: self.violation(),
            trace_lines: self.trace.lines(),
            trace_digest: self.trace.digest().to_string(),
            messages: self.messages,
            sent_bytes: self.sent_bytes,
            ended_ms: self.now.as_ms(),
            converged_after_ms: self.ending.converged_at.map(|at| at.as_ms() - healed_ms),
            snapshots,
            restores: self.restores,
            readers,
            reached,
        }
    }
}
