//! In service or not, and what the loss of home costs: data loss in time (RPO) and time to service (RTO).

use super::repair::YEAR_SECONDS;
use super::{NEVER, RESTORE, WRITER, World};

const YEAR_HOURS: f64 = 8766.0;

/// What one replication has seen of service and restores.
#[derive(Debug, Clone, Default)]
pub(crate) struct Service {
    is_down: bool,
    down_since: f64,
    down_years: f64,
    falls: f64,
    pub(crate) repairs: f64,
    pub(crate) bytes: f64,
    /// When home was lost, while its restore is not done.
    home_lost_at: Option<f64>,
    /// The restore waits for sites.
    is_waiting: bool,
    writer_stolen_at: Option<f64>,
}

impl Service {
    /// The cause of the first fall is still to be found.
    pub(super) fn has_never_fallen(&self) -> bool {
        self.falls <= 0.0
    }
}

impl<const LEVELS: usize, const HELD: bool> World<'_, LEVELS, HELD> {
    /// Looks whether service fell or came back, and with it what waited for that.
    #[inline]
    pub(super) fn look_for_service(&mut self) {
        self.look_for_refresh();
        let is_down = (self.shards_up < self.plan.data_shards) | (self.shares_up < self.plan.threshold);
        if HELD || is_down == self.service.is_down {
            return;
        }
        self.service_turns(is_down);
    }

    pub(super) fn service_turns(&mut self, is_down: bool) {
        self.service.is_down = is_down;
        if is_down {
            if self.service.has_never_fallen() {
                self.blame_outage();
            }
            self.service.falls += 1.0;
            self.service.down_since = self.now;
        } else {
            self.end_fall(self.now);
            if self.service.is_waiting {
                self.restore();
            }
        }
    }

    fn end_fall(&mut self, now: f64) {
        self.service.down_years += now - self.service.down_since;
        let horizon = self.plan.horizon;
        self.tally.out_of_service(self.service.down_since / horizon, now / horizon);
    }

    /// Home is lost: how old is the newest durable snapshot, and the decision to restore begins.
    pub(super) fn home_lost(&mut self) {
        if HELD {
            return;
        }
        let untrusted = self.service.writer_stolen_at.map_or(0.0, |at| self.now - at);
        self.lose_data(untrusted);
        if self.service.home_lost_at.is_none() {
            self.service.home_lost_at = Some(self.now);
            let decided = self.now + self.service_draw.years(&self.plan.decision);
            self.set_other(RESTORE, decided);
        }
    }

    /// A sample of data loss in time for each database: `untrusted` years, and the age of the newest snapshot before.
    fn lose_data(&mut self, untrusted: f64) {
        for (database, histogram) in self.plan.model.databases.iter().zip(&mut self.tally.rpo) {
            let age = database.snapshot_years * self.service_draw.unit() + database.lag_years;
            histogram.add((untrusted + age) * YEAR_HOURS);
        }
    }

    /// The decision has been taken: restore, as soon as enough sites are up.
    pub(super) fn decided(&mut self) {
        self.set_other(RESTORE, NEVER);
        if self.service.is_down {
            self.service.is_waiting = true;
        } else {
            self.restore();
        }
    }

    /// Databases are restored one after the other by priority: each is there when enough sites have answered and sent
    /// their part of all the bytes so far, and the new home has received them.
    fn restore(&mut self) {
        self.service.is_waiting = false;
        let Some(lost_at) = self.service.home_lost_at.take() else { return };
        let plan = self.plan;
        let waited = self.now - lost_at;
        let mut answers: Vec<(f64, f64)> = Vec::new();
        let mut shares: Vec<f64> = Vec::new();
        for (state, site) in self.sites.iter().zip(&plan.sites) {
            if !state.up() || !(state.shard || state.share) {
                continue;
            }
            let answer = self.service_draw.years(&plan.answer);
            if state.shard {
                answers.push((answer, site.up_bytes));
            }
            if state.share {
                shares.push(answer);
            }
        }
        let opened = nth(&mut shares, plan.threshold);
        let mut bytes = 0.0;
        for &place in &plan.by_priority {
            let (Some(database), Some(histogram)) = (plan.model.databases.get(place), self.tally.rto.get_mut(place))
            else {
                continue;
            };
            bytes += database.bytes;
            let part = bytes / plan.data_shards as f64;
            let mut sent: Vec<f64> = answers.iter().map(|(answer, line)| answer + part / line / YEAR_SECONDS).collect();
            let received = bytes / plan.model.restore.ingress_bytes_per_s / YEAR_SECONDS;
            let ready = nth(&mut sent, plan.data_shards).max(opened).max(received);
            histogram.add((waited + ready) * YEAR_HOURS);
        }
    }

    /// The clock of the writer's key rings: it is stolen, or the theft is noticed.
    pub(super) fn writer(&mut self) {
        let stolen_at = self.service.writer_stolen_at.take();
        if let Some(at) = stolen_at {
            self.lose_data(self.now - at);
        }
        // While there is no home there is no key to steal; the next theft may find one.
        if stolen_at.is_some() || self.homes == 0 {
            let next = self.after_rate(self.plan.model.writer.map_or(0.0, |writer| writer.stolen_per_year));
            self.set_other(WRITER, next);
        } else {
            self.steal_writer();
        }
    }

    pub(super) fn steal_writer(&mut self) {
        if HELD || self.service.writer_stolen_at.is_some() || self.homes == 0 {
            return;
        }
        self.service.writer_stolen_at = Some(self.now);
        let noticed = self.now + self.draw.years(&self.plan.writer_noticed);
        self.set_other(WRITER, noticed);
    }

    /// The replication ends: what it has seen goes into the tally.
    pub(super) fn close(&mut self) {
        let horizon = self.plan.horizon;
        if self.service.is_down {
            // Beyond the last point of the curve.
            self.service.down_years += horizon - self.service.down_since;
            self.tally.out_of_service(self.service.down_since / horizon, 2.0);
        }
        if self.service.home_lost_at.is_some() {
            self.tally.rto.iter_mut().for_each(|histogram| histogram.add_never());
        }
        self.tally.replications += 1;
        let once = |at: f64, steps: &mut Vec<u64>| {
            if at < NEVER {
                let step = super::super::tally::step_after(at / horizon);
                if let Some(count) = steps.get_mut(step) {
                    *count += 1;
                }
            }
            u64::from(at < NEVER)
        };
        self.tally.lost += once(self.lost_at, &mut self.tally.lost_in_step);
        self.tally.disclosed += once(self.disclosed_at, &mut self.tally.disclosed_in_step);
        self.tally.unavailable += u64::from(self.service.falls > 0.0);
        self.tally.unavailable_share.add(self.service.down_years / horizon);
        self.tally.falls.add(self.service.falls / horizon);
        self.tally.repairs.add(self.service.repairs / horizon);
        self.tally.bytes.add(self.service.bytes / horizon);
    }
}

/// The n-th smallest, counted from one; endless where there are fewer.
fn nth(values: &mut [f64], n: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(n.saturating_sub(1)).copied().unwrap_or(f64::MAX)
}
