//! The hazards of constant rate that are held back for the rare-event engine: which there are now, at which rate, and
//! what each does.

use super::super::super::model::Effect;
use super::super::plan::{COPYING, LOSS, SEIZURE};
use super::{ROT, SiteState, Work, World};

/// Something that comes at a constant rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    Loss(usize),
    Rot(usize),
    Seizure(usize),
    Copying(usize),
    Repair(usize),
    Strike(usize),
}

/// What the rare-event engine looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Loss,
    Disclosure,
}

/// Which way a hazard leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Towards the target.
    Towards,
    /// Back to where all is whole.
    Back,
    /// Neither.
    Aside,
}

impl<const LEVELS: usize> World<'_, LEVELS, true> {
    /// Stands where another of the same plan stands. Every walk begins with it, so what is allocated is used again.
    pub(crate) fn follow(&mut self, other: &Self) {
        // All fields by name: a new one is not forgotten. What is counted and what is only noted on the way stays.
        let Self {
            plan: _,
            tally: _,
            chosen: _,
            turning: _,
            clocks,
            draw,
            service_draw,
            sites,
            strikes,
            now,
            shards,
            shares,
            shards_up,
            shares_up,
            homes,
            waiting,
            rotten,
            known_missing,
            running,
            lazy_begun,
            epoch,
            captured_shares,
            captured_shards,
            open_causes,
            due_at,
            refresh_waits,
            lost_at,
            disclosed_at,
            lost_by,
            disclosed_by,
            service,
        } = other;
        self.clocks.follow(clocks);
        (self.draw, self.service_draw) = (draw.clone(), service_draw.clone());
        self.sites.clone_from(sites);
        self.strikes.clone_from(strikes);
        (self.now, self.homes, self.service) = (*now, *homes, service.clone());
        (self.shards, self.shares, self.shards_up, self.shares_up) = (*shards, *shares, *shards_up, *shares_up);
        self.waiting.clone_from(waiting);
        self.rotten.clone_from(rotten);
        (self.known_missing, self.running, self.lazy_begun) = (*known_missing, *running, *lazy_begun);
        (self.epoch, self.captured_shares, self.captured_shards) = (*epoch, *captured_shares, *captured_shards);
        self.open_causes.clone_from(open_causes);
        (self.due_at, self.refresh_waits) = (*due_at, *refresh_waits);
        (self.lost_at, self.disclosed_at) = (*lost_at, *disclosed_at);
        self.lost_by.clone_from(lost_by);
        self.disclosed_by.clone_from(disclosed_by);
    }

    /// Every held hazard that can come now, with its rate per year and its way.
    #[inline]
    pub(crate) fn held(&self, target: Target, mut tell: impl FnMut(Held, f64, Way)) {
        let for_loss = target == Target::Loss;
        let towards = |is_towards: bool| if is_towards { Way::Towards } else { Way::Aside };
        for (place, (state, site)) in self.sites.iter().zip(&self.plan.sites).enumerate() {
            if state.lost || state.work == Work::Repairing {
                if state.work == Work::Repairing && state.work_at >= super::NEVER {
                    let law = if state.lost { site.repair } else { Some(site.remake) };
                    let way = if for_loss { Way::Back } else { Way::Aside };
                    tell(Held::Repair(place), law.map_or(0.0, |law| law.rate()), way);
                }
                if state.lost {
                    continue;
                }
            }
            let holds = state.shard | state.share;
            if let Some(law) = site.loss {
                tell(Held::Loss(place), law.rate(), towards(for_loss && holds));
            }
            if site.rot > 0.0 && state.shard {
                tell(Held::Rot(place), site.rot, towards(for_loss));
            }
            let discloses = !for_loss && self.discloses(state);
            if site.seized > 0.0 {
                tell(Held::Seizure(place), site.seized, towards(discloses || (for_loss && holds)));
            }
            if site.copied > 0.0 {
                tell(Held::Copying(place), site.copied, towards(discloses));
            }
        }
        for (number, (state, strike)) in self.strikes.iter().zip(&self.plan.strikes).enumerate() {
            if strike.per_year > 0.0 && !state.lasts {
                let reaches = strike.targets.iter().any(|&place| self.reaches(place, &strike.blow.effect, target));
                tell(Held::Strike(number), strike.per_year, towards(reaches));
            }
        }
    }

    fn discloses(&self, state: &SiteState) -> bool {
        let new_share = state.share && state.captured_epoch != self.epoch;
        let new_shard = !self.plan.model.code.ciphertext_is_public && state.shard && !state.captured_shard;
        new_share || new_shard
    }

    /// This effect on this site brings the target nearer.
    fn reaches(&self, place: usize, effect: &Effect, target: Target) -> bool {
        let state = &self.sites[place];
        let (loses, discloses) = match effect {
            Effect::Lost => (true, false),
            Effect::Seized => (true, true),
            Effect::Copied => (false, true),
            Effect::Rotted => (state.shard, false),
            Effect::Expelled(departure) => (departure.moved < 1.0, departure.raided > 0.0),
            Effect::Down(_) | Effect::WriterStolen => (false, false),
        };
        match target {
            Target::Loss => loses && !state.lost && (state.shard | state.share),
            Target::Disclosure => discloses && !state.lost && self.discloses(state),
        }
    }

    /// It happens, now.
    pub(crate) fn befall(&mut self, held: Held) {
        match held {
            Held::Loss(place) => self.lose(place, LOSS, false),
            Held::Rot(place) => self.rot(place, ROT),
            Held::Seizure(place) => {
                self.capture(place, SEIZURE);
                self.lose(place, SEIZURE, false);
            }
            Held::Copying(place) => self.capture(place, COPYING),
            Held::Repair(place) => self.repaired(place),
            Held::Strike(strike) => self.strike(strike),
        }
        self.settle();
    }

    /// So many sites stand between here and the target; one blow may take several.
    pub(crate) fn distance(&self, target: Target) -> usize {
        let code = &self.plan.model.code;
        let (data_shards, threshold) = (code.data_shards as usize, code.threshold as usize);
        let distance = match target {
            Target::Loss => {
                (self.shards + 1).saturating_sub(data_shards).min((self.shares + 1).saturating_sub(threshold))
            }
            Target::Disclosure => {
                let shards = if code.ciphertext_is_public { 0 } else { data_shards };
                threshold.saturating_sub(self.captured_shares).max(shards.saturating_sub(self.captured_shards))
            }
        };
        distance.max(1)
    }

    /// When the next clock rings that leads back: a site is noticed, repaired or audited, an epoch ends.
    pub(crate) fn next_back(&self, target: Target) -> f64 {
        match target {
            Target::Loss => {
                let audit = if self.rotten.is_empty() { super::NEVER } else { self.due_at[super::AUDIT] };
                self.sites.iter().fold(audit, |first, state| first.min(state.work_at))
            }
            Target::Disclosure if self.captured_shares > 0 => self.due_at[super::REFRESH],
            Target::Disclosure => super::NEVER,
        }
    }

    /// Nothing brings the target nearer than it was at the start, but for what the timeline took for good.
    pub(crate) fn is_quiet(&self, target: Target) -> bool {
        match target {
            Target::Loss => self.sites.iter().zip(&self.plan.sites).all(|(state, site)| {
                state.exiled || (state.shard == site.holds_shard && state.share == site.holds_share)
            }),
            Target::Disclosure => self.captured_shares == 0,
        }
    }

    /// The target has been reached.
    pub(crate) fn has_reached(&self, target: Target) -> bool {
        match target {
            Target::Loss => self.lost_at < super::NEVER,
            Target::Disclosure => self.disclosed_at < super::NEVER,
        }
    }
}
