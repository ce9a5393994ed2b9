//! What is noticed, who repairs it, and when a site is whole again.

use super::super::draw::Sampler;
use super::{AUDIT, NEVER, Work, World};

/// Seconds in a year of 365.25 days, as in the scenarios.
pub(super) const YEAR_SECONDS: f64 = 31_557_600.0;

impl<const LEVELS: usize, const HELD: bool> World<'_, LEVELS, HELD> {
    /// The clock of work on a site rings.
    pub(super) fn work(&mut self, place: usize) {
        self.sites[place].work_at = NEVER;
        match self.sites[place].work {
            Work::Detecting => self.notice(place),
            Work::Repairing => self.repaired(place),
            Work::Idle | Work::Waiting => {}
        }
    }

    /// It is known that a site is not whole.
    pub(super) fn notice(&mut self, place: usize) {
        self.known_missing += usize::from(self.plan.sites[place].holds_shard);
        let state = &mut self.sites[place];
        state.work = Work::Waiting;
        self.waiting.push_back((place, state.successor));
        self.dispatch();
    }

    /// Sends crews out, as far as there are any and the policy begins.
    pub(super) fn dispatch(&mut self) {
        if self.lost_at < NEVER {
            return;
        }
        if !self.lazy_begun && self.plan.repair_at < usize::MAX {
            if self.plan.shard_holders.saturating_sub(self.known_missing) > self.plan.repair_at {
                return;
            }
            self.lazy_begun = true;
        }
        while self.running < self.plan.crews {
            let Some((place, successor)) = self.waiting.pop_front() else { break };
            let state = &self.sites[place];
            if state.work == Work::Waiting && state.successor == successor {
                self.start(place);
            }
        }
        if self.running == 0 && self.waiting.is_empty() {
            self.lazy_begun = false;
        }
    }

    fn start(&mut self, place: usize) {
        self.running += 1;
        let site = &self.plan.sites[place];
        let law = if self.sites[place].lost { site.repair } else { Some(site.remake) };
        let Some(law) = law else { return };
        let transfer = self.transfer(place);
        let is_held = HELD && transfer <= 0.0 && matches!(law, Sampler::Exponential { .. });
        let due = if is_held { NEVER } else { self.now + transfer + self.draw.years(&law) };
        let state = &mut self.sites[place];
        state.work = Work::Repairing;
        state.work_at = due;
        self.arm(place);
    }

    /// Years to move the bytes of one shard: `data_shards` sites that are up send, on a part of their lines that the
    /// repairs under way divide, and one receives. Fixed when the repair begins.
    fn transfer(&self, place: usize) -> f64 {
        let Some(share) = self.plan.model.policy.uplink_share else { return 0.0 };
        let mut lines: Vec<f64> = Vec::new();
        for (state, site) in self.sites.iter().zip(&self.plan.sites) {
            if state.shard && state.up() {
                lines.push(site.up_bytes);
            }
        }
        lines.sort_by(|a, b| b.total_cmp(a));
        let slowest = lines.get(self.plan.data_shards - 1).or(lines.last()).copied().unwrap_or(f64::MIN_POSITIVE);
        let shard = self.plan.bytes / self.plan.data_shards as f64;
        let sending = shard * self.running as f64 / (slowest * share);
        let receiving = self.plan.bytes / self.plan.sites[place].down_bytes;
        sending.max(receiving) / YEAR_SECONDS
    }

    /// A site is whole again. Without enough shards left there is nothing to repair from.
    pub(crate) fn repaired(&mut self, place: usize) {
        if self.lost_at < NEVER {
            return;
        }
        self.running -= 1;
        self.known_missing -= usize::from(self.plan.sites[place].holds_shard);
        self.count(place, false);
        let state = &mut self.sites[place];
        state.work = Work::Idle;
        state.work_at = NEVER;
        if state.lost {
            self.begin(place);
            self.homes += usize::from(self.plan.sites[place].is_home);
        } else {
            state.shard = true;
        }
        self.count(place, true);
        self.service.repairs += 1.0;
        self.service.bytes += self.plan.bytes * f64::from(u8::from(self.plan.sites[place].holds_shard));
        self.arm(place);
        self.dispatch();
        self.look_for_service();
    }

    /// Work on a site ends without success: it is lost, or lost for good.
    pub(super) fn abandon(&mut self, place: usize) {
        let state = &mut self.sites[place];
        let work = state.work;
        state.work = Work::Idle;
        state.work_at = NEVER;
        let was_known = matches!(work, Work::Waiting | Work::Repairing);
        if was_known && !(state.lost && state.gone) {
            self.known_missing -= usize::from(self.plan.sites[place].holds_shard);
        } else if work == Work::Detecting && state.gone {
            self.known_missing += usize::from(self.plan.sites[place].holds_shard);
        }
        if work == Work::Repairing {
            self.running -= 1;
            self.dispatch();
        }
    }

    /// Every shard that has rotted is found.
    pub(super) fn audit(&mut self) {
        self.set_other(AUDIT, NEVER);
        let mut rotten = std::mem::take(&mut self.rotten);
        for (place, successor) in rotten.drain(..) {
            if self.sites[place].successor == successor && self.sites[place].work == Work::Idle {
                self.notice(place);
                // A remake that takes no time is done before anything else can happen.
                if self.sites[place].work == Work::Repairing && self.sites[place].work_at <= self.now {
                    self.work(place);
                }
            }
        }
        self.rotten = rotten;
    }
}
