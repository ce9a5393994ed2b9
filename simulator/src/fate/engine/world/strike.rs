//! Groups and the timeline.

use super::super::super::model::{Departure, Effect, Hits};
use super::super::plan::CauseId;
use super::{NEVER, Work, World};

/// A group or an event of the timeline, at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct StrikeState {
    /// It lasts: these sites are held down until the clock rings.
    pub(crate) lasts: bool,
    hit: Vec<(usize, u32)>,
}

impl<const LEVELS: usize, const HELD: bool> World<'_, LEVELS, HELD> {
    pub(super) fn reset_strike(&mut self, strike: usize) {
        let state = &mut self.strikes[strike];
        state.lasts = false;
        state.hit.clear();
        let planned = &self.plan.strikes[strike];
        let at = if planned.at < NEVER { planned.at } else { self.after_rate(planned.per_year) };
        self.set_strike(strike, at);
    }

    fn set_strike(&mut self, strike: usize, at: f64) {
        self.clocks.set(self.sites.len() + strike, at);
    }

    /// The clock of a strike rings: it begins, or what lasted is over.
    pub(crate) fn strike(&mut self, strike: usize) {
        if self.strikes[strike].lasts {
            self.release(strike);
        } else {
            self.choose(strike);
            self.hit(strike);
        }
        if !self.strikes[strike].lasts {
            let per_year = self.plan.strikes[strike].per_year;
            let next = self.after_rate(per_year);
            self.set_strike(strike, next);
        }
        self.settle();
    }

    /// The sites that held out come back.
    fn release(&mut self, strike: usize) {
        self.strikes[strike].lasts = false;
        let mut hit = std::mem::take(&mut self.strikes[strike].hit);
        for (place, successor) in hit.drain(..) {
            if self.sites[place].successor == successor && self.sites[place].attacks > 0 {
                let was_up = self.sites[place].up();
                self.sites[place].attacks -= 1;
                self.moved(place, was_up, self.plan.strikes[strike].cause);
                self.arm(place);
            }
        }
        self.strikes[strike].hit = hit;
    }

    /// Which sites are hit, into `chosen`.
    fn choose(&mut self, strike: usize) {
        let plan = self.plan;
        let planned = &plan.strikes[strike];
        self.chosen.clear();
        match planned.blow.hits {
            Hits::Each { chance } => {
                for &place in &planned.targets {
                    if chance >= 1.0 || self.draw.unit() < chance {
                        self.chosen.push(place);
                    }
                }
            }
            Hits::AtRandom { count } => {
                self.chosen.extend_from_slice(&planned.targets);
                let count = (count as usize).min(planned.targets.len());
                for first in 0..count {
                    let other = first + self.draw.below(planned.targets.len() - first);
                    self.chosen.swap(first, other);
                }
                self.chosen.truncate(count);
            }
        }
    }

    fn hit(&mut self, strike: usize) {
        let plan = self.plan;
        let planned = &plan.strikes[strike];
        let (cause, for_good) = (planned.cause, planned.blow.for_good);
        if planned.blow.effect == Effect::WriterStolen {
            self.steal_writer();
            return;
        }
        let chosen = std::mem::take(&mut self.chosen);
        if let Effect::Down(_) = planned.blow.effect {
            self.strikes[strike].lasts = true;
            let end = self.now + self.draw.years(&planned.length);
            self.set_strike(strike, end);
        }
        for &place in &chosen {
            match planned.blow.effect {
                Effect::Lost => self.lose(place, cause, for_good),
                Effect::Seized => {
                    self.capture(place, cause);
                    self.lose(place, cause, for_good);
                }
                Effect::Copied => self.capture(place, cause),
                Effect::Rotted => self.rot(place, cause),
                Effect::Down(_) => self.hold_down(strike, place, cause),
                Effect::Expelled(departure) => self.expel(place, departure, cause, for_good),
                Effect::WriterStolen => {}
            }
        }
        if for_good && planned.per_year <= 0.0 {
            for &place in &chosen {
                self.sites[place].exiled = self.sites[place].gone;
            }
        }
        self.chosen = chosen;
    }

    fn hold_down(&mut self, strike: usize, place: usize, cause: CauseId) {
        let state = &mut self.sites[place];
        if state.lost {
            return;
        }
        let was_up = state.up();
        state.attacks += 1;
        self.strikes[strike].hit.push((place, state.successor));
        self.moved(place, was_up, cause);
        self.arm(place);
    }

    fn expel(&mut self, place: usize, departure: Departure, cause: CauseId, for_good: bool) {
        let state = &self.sites[place];
        if state.lost {
            return;
        }
        let chance = self.draw.unit();
        if chance < departure.moved {
            let shards = usize::from(self.plan.sites[place].holds_shard) as f64;
            self.service.bytes += shards * self.plan.bytes / self.plan.data_shards as f64;
        } else {
            if chance < departure.moved + departure.raided {
                self.capture(place, cause);
            }
            self.lose(place, cause, for_good);
        }
    }

    /// A site went down or came up, or not: counts and the time at which it is written off.
    #[inline]
    pub(super) fn moved(&mut self, place: usize, was_up: bool, cause: CauseId) {
        let state = &mut self.sites[place];
        let is_up = state.up();
        let change = isize::from(is_up) - isize::from(was_up);
        self.shards_up = self.shards_up.wrapping_add_signed(change * isize::from(state.shard));
        self.shares_up = self.shares_up.wrapping_add_signed(change * isize::from(state.share));
        state.down_cause = if was_up { cause } else { state.down_cause };
        if self.plan.write_off < NEVER && change != 0 {
            let is_due = !is_up && state.work == Work::Idle;
            state.write_off_at = if is_due { self.now + self.plan.write_off } else { NEVER };
        }
        self.look_for_service();
    }
}
