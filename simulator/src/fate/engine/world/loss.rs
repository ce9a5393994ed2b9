//! A site is lost, rots, is captured.

use super::super::plan::CauseId;
use super::{NEVER, Work, World};

impl<const LEVELS: usize, const HELD: bool> World<'_, LEVELS, HELD> {
    /// Shard and share are lost, and this will be noticed. A site that is lost already stays as it is.
    pub(crate) fn lose(&mut self, place: usize, cause: CauseId, for_good: bool) {
        let can_return = self.plan.sites[place].repair.is_some();
        if self.sites[place].lost {
            if for_good && !self.sites[place].gone {
                self.sites[place].gone = true;
                self.abandon(place);
                self.arm(place);
            }
            return;
        }
        self.abandon(place);
        self.count(place, false);
        let state = &mut self.sites[place];
        (state.shard, state.share, state.lost) = (false, false, true);
        state.gone |= for_good || !can_return;
        state.cause = cause;
        state.in_outage = false;
        state.attacks = 0;
        state.successor += 1;
        (state.loss_at, state.outage_at, state.hazard_at, state.write_off_at) = (NEVER, NEVER, NEVER, NEVER);
        let gone = state.gone;
        if self.plan.sites[place].is_home {
            self.homes -= 1;
            if self.homes == 0 {
                self.home_lost();
            }
        }
        if gone {
            self.known_missing += usize::from(self.plan.sites[place].holds_shard);
        } else {
            let detect = self.plan.model.policy.detect_years;
            self.sites[place].work = Work::Detecting;
            if detect > 0.0 {
                self.sites[place].work_at = self.now + detect;
            } else {
                self.notice(place);
            }
        }
        self.arm(place);
    }

    /// A site that was down for too long is given up; its successor is sought at once.
    pub(super) fn write_off(&mut self, place: usize, cause: CauseId) {
        self.lose(place, cause, false);
        if self.sites[place].work == Work::Detecting {
            self.sites[place].work_at = NEVER;
            self.notice(place);
        }
        self.settle();
    }

    /// Its shard rots, and nobody knows.
    pub(crate) fn rot(&mut self, place: usize, cause: CauseId) {
        if !self.sites[place].shard {
            return;
        }
        self.count(place, false);
        let state = &mut self.sites[place];
        state.shard = false;
        state.cause = cause;
        let successor = state.successor;
        self.count(place, true);
        if self.rotten.is_empty() {
            self.set_periodic(super::AUDIT, self.plan.model.policy.audit_years);
        }
        self.rotten.push((place, successor));
    }

    /// What a site holds comes into other hands; it is not lost by that.
    pub(crate) fn capture(&mut self, place: usize, cause: CauseId) {
        let epoch = self.epoch;
        let state = &mut self.sites[place];
        if state.share && state.captured_epoch != epoch {
            state.captured_epoch = epoch;
            state.capture_cause = cause;
            self.captured_shares += 1;
            if self.captured_shares == 1 {
                self.set_periodic(super::REFRESH, self.plan.model.code.refresh_years);
            }
        }
        let state = &mut self.sites[place];
        if state.shard && !state.captured_shard {
            state.captured_shard = true;
            self.captured_shards += 1;
        }
    }

    /// The shares are dealt anew, if enough custodians are up for it: what was captured before is worthless. Otherwise the
    /// next one that can succeed is the first after enough of them are back, which may be never.
    pub(super) fn refresh(&mut self) {
        self.set_other(super::REFRESH, NEVER);
        if self.shares_up >= self.plan.threshold {
            self.epoch += 1;
            self.captured_shares = 0;
        } else {
            self.refresh_waits = true;
            self.due_at[super::REFRESH] = NEVER;
        }
    }

    /// Enough custodians may be back for a refresh that waits.
    #[inline]
    pub(super) fn look_for_refresh(&mut self) {
        if self.refresh_waits && self.shares_up >= self.plan.threshold {
            self.refresh_waits = false;
            self.set_periodic(super::REFRESH, self.plan.model.code.refresh_years);
        }
    }

    /// Adds what a site has to the counts, or takes it from them.
    pub(super) fn count(&mut self, place: usize, add: bool) {
        let state = &self.sites[place];
        let (shard, share) = (usize::from(state.shard), usize::from(state.share));
        let up = usize::from(state.up());
        if add {
            self.shards += shard;
            self.shares += share;
            self.shards_up += shard & up;
            self.shares_up += share & up;
        } else {
            self.shards -= shard;
            self.shares -= share;
            self.shards_up -= shard & up;
            self.shares_up -= share & up;
        }
    }

    /// Looks whether an event has come to pass, once everything of one moment has happened.
    pub(crate) fn settle(&mut self) {
        let plan = self.plan;
        if self.lost_at >= NEVER && (self.shards < plan.data_shards || self.shares < plan.threshold) {
            self.lost_at = self.now;
            self.blame_loss();
        }
        if plan.can_disclose && self.disclosed_at >= NEVER {
            self.look_for_disclosure();
        }
        self.look_for_service();
    }

    fn look_for_disclosure(&mut self) {
        if self.open_causes.is_none() && self.captured_shares >= self.plan.threshold {
            let captured = self.sites.iter().filter(|site| site.captured_epoch == self.epoch);
            let causes = minimal(captured.map(|site| site.capture_cause), self.plan.threshold, &mut self.chosen);
            self.open_causes = Some(causes);
        }
        let enough = self.plan.model.code.ciphertext_is_public || self.captured_shards >= self.plan.data_shards;
        if let Some(causes) = self.open_causes.as_ref().filter(|_| enough) {
            self.disclosed_at = self.now;
            if HELD {
                self.disclosed_by.clone_from(causes);
            } else {
                *self.tally.disclosure_causes.entry(causes.clone()).or_insert(0.0) += 1.0;
            }
        }
    }

    fn blame_loss(&mut self) {
        let plan = self.plan;
        let of_shards = self.shards < plan.data_shards;
        let missing = self.sites.iter().zip(&plan.sites).filter(|(state, site)| {
            if of_shards { site.holds_shard && !state.shard } else { site.holds_share && !state.share }
        });
        let enough =
            if of_shards { plan.shard_holders - plan.data_shards } else { plan.share_holders - plan.threshold };
        let causes = minimal(missing.map(|(state, _)| state.cause), enough + 1, &mut self.chosen);
        if HELD {
            self.lost_by = causes;
        } else {
            *self.tally.loss_causes.entry(causes).or_insert(0.0) += 1.0;
        }
    }

    /// Why there is no service now.
    pub(super) fn blame_outage(&mut self) {
        let plan = self.plan;
        let of_shards = self.shards_up < plan.data_shards;
        let missing = self.sites.iter().zip(&plan.sites).filter(|(state, site)| {
            if of_shards {
                site.holds_shard && !(state.shard && state.up())
            } else {
                site.holds_share && !(state.share && state.up())
            }
        });
        let cause = missing.map(|(state, _)| if state.up() || state.lost { state.cause } else { state.down_cause });
        let enough =
            if of_shards { plan.shard_holders - plan.data_shards } else { plan.share_holders - plan.threshold };
        let causes = minimal(cause, enough + 1, &mut self.chosen);
        *self.tally.outage_causes.entry(causes).or_insert(0.0) += 1.0;
    }
}

/// The fewest causes that explain `enough` of what is missing; of causes that explain as much, the first in the table.
fn minimal(causes: impl Iterator<Item = CauseId>, enough: usize, counts: &mut Vec<usize>) -> Vec<CauseId> {
    counts.clear();
    for cause in causes {
        let cause = cause as usize;
        if counts.len() <= cause {
            counts.resize(cause + 1, 0);
        }
        counts[cause] += 1;
    }
    let mut order: Vec<CauseId> =
        (0..).zip(counts.iter()).filter(|(_, count)| **count > 0).map(|(cause, _)| cause).collect();
    order.sort_by_key(|&cause| std::cmp::Reverse(counts[cause as usize]));
    let mut explained = 0;
    let needed = order.iter().position(|&cause| {
        explained += counts[cause as usize];
        explained >= enough
    });
    order.truncate(needed.map_or(order.len(), |last| last + 1));
    order.sort_unstable();
    order
}
