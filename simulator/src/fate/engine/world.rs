//! One plan as it stands at one moment, and all that can happen to it.
//!
//! There is one meaning of every event, here. What differs is who decides when the next one comes: the plain engine
//! draws a time for each hazard (`HELD = false`); the rare-event engine holds every hazard of constant rate but outages
//! back (`HELD = true`), chooses among them itself and calls [`World::befall`].
//!
//! | file | holds |
//! | --- | --- |
//! | `world/loss.rs` | a site is lost, rots, is captured, leaves |
//! | `world/repair.rs` | what is noticed, who repairs, when a site is whole again |
//! | `world/strike.rs` | groups and the timeline |
//! | `world/service.rs` | in service or not; home, restores, data loss in time |
//! | `world/held.rs` | the hazards that are held back, for the rare-event engine |
//! | `world/outages.rs` | the short way, where sites only go down and come back |

#![allow(clippy::indexing_slicing, reason = "the hot kernel; indices come from a checked model")]

mod held;
mod loss;
mod outages;
mod repair;
mod service;
mod strike;

use std::collections::VecDeque;

use super::clocks::{Clocks, NEVER};
use super::draw::{Draw, Sampler};
use super::plan::{CauseId, OUTAGE, Plan, ROT, SEIZURE};
use super::tally::Tally;

pub(crate) use held::{Held, Target, Way};
pub(crate) use outages::only_outages;
pub(crate) use strike::StrikeState;

/// What is done about a site that is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Nothing is wrong, or nobody knows, or nothing can be done.
    Idle,
    /// Lost, not yet acted on.
    Detecting,
    /// Known, waiting for a crew or for lazy repair to begin.
    Waiting,
    /// A crew is at it.
    Repairing,
}

/// A site at one moment. Times are years; [`NEVER`] where nothing is due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SiteState {
    loss_at: f64,
    outage_at: f64,
    hazard_at: f64,
    work_at: f64,
    write_off_at: f64,
    /// Attacks of groups that hold it down.
    attacks: u32,
    /// Counts the sites that stood in this place: what was aimed at an earlier one does not reach this one.
    successor: u32,
    /// Its shard is intact.
    pub(crate) shard: bool,
    /// Its share is.
    pub(crate) share: bool,
    /// Lost as a whole; otherwise a missing shard has rotted.
    pub(crate) lost: bool,
    /// Never repaired.
    pub(crate) gone: bool,
    /// Taken for good by the timeline.
    pub(crate) exiled: bool,
    in_outage: bool,
    pub(crate) work: Work,
    /// The share of this epoch is in other hands, when it is the present one.
    captured_epoch: u32,
    captured_shard: bool,
    cause: CauseId,
    down_cause: CauseId,
    capture_cause: CauseId,
}

impl SiteState {
    fn new() -> Self {
        Self {
            loss_at: NEVER,
            outage_at: NEVER,
            hazard_at: NEVER,
            work_at: NEVER,
            write_off_at: NEVER,
            attacks: 0,
            successor: 0,
            shard: false,
            share: false,
            lost: false,
            gone: false,
            exiled: false,
            in_outage: false,
            work: Work::Idle,
            captured_epoch: 0,
            captured_shard: false,
            cause: 0,
            down_cause: 0,
            capture_cause: 0,
        }
    }

    #[inline]
    fn up(&self) -> bool {
        !(self.lost | self.in_outage | (self.attacks > 0))
    }

    /// When the next thing is due here.
    #[inline]
    fn next(&self) -> f64 {
        self.loss_at.min(self.outage_at).min(self.hazard_at).min(self.work_at.min(self.write_off_at))
    }
}

/// A plan at one moment.
#[derive(Debug, Clone)]
pub(crate) struct World<'p, const LEVELS: usize, const HELD: bool> {
    pub(crate) plan: &'p Plan<'p>,
    clocks: Clocks<LEVELS>,
    pub(crate) draw: Draw,
    /// For what does not change the fate of the plan: restores and the ages of snapshots.
    service_draw: Draw,
    pub(crate) sites: Vec<SiteState>,
    pub(crate) strikes: Vec<StrikeState>,
    pub(crate) now: f64,
    // Sites with an intact shard or share, and those of them that are up.
    shards: usize,
    shares: usize,
    shards_up: usize,
    shares_up: usize,
    homes: usize,
    // Repair.
    waiting: VecDeque<(usize, u32)>,
    rotten: Vec<(usize, u32)>,
    /// Shard holders known to miss theirs.
    known_missing: usize,
    running: usize,
    lazy_begun: bool,
    // Capture.
    epoch: u32,
    pub(crate) captured_shares: usize,
    captured_shards: usize,
    open_causes: Option<Vec<CauseId>>,
    /// The next audit and the next refresh, while these have something to do.
    due_at: [f64; 2],
    /// A refresh failed and waits for custodians.
    refresh_waits: bool,
    // What has come of it.
    pub(crate) lost_at: f64,
    pub(crate) disclosed_at: f64,
    pub(crate) lost_by: Vec<CauseId>,
    pub(crate) disclosed_by: Vec<CauseId>,
    service: service::Service,
    pub(crate) tally: Tally,
    chosen: Vec<usize>,
    turning: outages::AllTurning,
}

// Clocks beside those of the sites and the strikes.
const AUDIT: usize = 0;
const REFRESH: usize = 1;
const WRITER: usize = 2;
const RESTORE: usize = 3;
const OTHERS: usize = 4;

/// Clocks that a plan needs.
pub(crate) fn clocks_of(plan: &Plan<'_>) -> usize {
    let others = plan.model.policy.audit_years.is_some()
        || plan.model.code.refresh_years.is_some()
        || plan.model.writer.is_some()
        || plan.homes > 0;
    plan.sites.len() + plan.strikes.len() + if others { OTHERS } else { 0 }
}

impl<'p, const LEVELS: usize, const HELD: bool> World<'p, LEVELS, HELD> {
    pub(crate) fn new(plan: &'p Plan<'p>, draw: Draw, service_draw: Draw) -> Self {
        Self {
            plan,
            clocks: Clocks::new(clocks_of(plan)),
            draw,
            service_draw,
            sites: vec![SiteState::new(); plan.sites.len()],
            strikes: vec![StrikeState::default(); plan.strikes.len()],
            now: 0.0,
            shards: 0,
            shares: 0,
            shards_up: 0,
            shares_up: 0,
            homes: 0,
            waiting: VecDeque::new(),
            rotten: Vec::new(),
            known_missing: 0,
            running: 0,
            lazy_begun: false,
            epoch: 1,
            captured_shares: 0,
            captured_shards: 0,
            open_causes: None,
            due_at: [NEVER; 2],
            refresh_waits: false,
            lost_at: NEVER,
            disclosed_at: NEVER,
            lost_by: Vec::new(),
            disclosed_by: Vec::new(),
            service: service::Service::default(),
            tally: if HELD { Tally::none() } else { Tally::new(plan) },
            chosen: Vec::new(),
            turning: outages::AllTurning::default(),
        }
    }

    /// Everything whole, at time zero.
    pub(crate) fn reset(&mut self) {
        let plan = self.plan;
        self.now = 0.0;
        (self.shards, self.shares) = (plan.shard_holders, plan.share_holders);
        (self.shards_up, self.shares_up) = (self.shards, self.shares);
        self.homes = plan.homes;
        self.waiting.clear();
        self.rotten.clear();
        (self.known_missing, self.running, self.lazy_begun) = (0, 0, false);
        (self.epoch, self.captured_shares, self.captured_shards) = (1, 0, 0);
        self.open_causes = None;
        self.refresh_waits = false;
        (self.lost_at, self.disclosed_at) = (NEVER, NEVER);
        self.service = service::Service::default();
        self.clocks.silence();
        for place in 0..self.sites.len() {
            self.sites[place] = SiteState::new();
            self.begin(place);
            if self.sites[place].next() < NEVER {
                self.arm(place);
            }
        }
        for place in 0..self.strikes.len() {
            self.reset_strike(place);
        }
        let theft = plan.model.writer.map_or(0.0, |writer| writer.stolen_per_year);
        let theft = self.after_rate(theft);
        self.set_other(WRITER, theft);
    }

    /// A site stands here, whole: its clocks start.
    fn begin(&mut self, place: usize) {
        let site = &self.plan.sites[place];
        let state = &mut self.sites[place];
        state.shard = site.holds_shard;
        state.share = site.holds_share;
        state.lost = false;
        state.in_outage = false;
        state.attacks = 0;
        state.write_off_at = NEVER;
        state.loss_at = site.loss.map_or(NEVER, |law| due::<HELD>(self.now, &law, &mut self.draw));
        state.outage_at = site.outage.map_or(NEVER, |[up, _]| self.now + self.draw.years(&up));
        self.sites[place].hazard_at = self.after_rate(site.hazard());
    }

    /// When an event of this rate comes next; never, for one that is held back or has no rate.
    fn after_rate(&mut self, per_year: f64) -> f64 {
        if HELD || per_year <= 0.0 { NEVER } else { self.now + self.draw.exponential() / per_year }
    }

    #[inline]
    fn arm(&mut self, place: usize) {
        self.clocks.set(place, self.sites[place].next());
    }

    fn set_other(&mut self, other: usize, at: f64) {
        self.clocks.set(self.sites.len() + self.strikes.len() + other, at);
    }

    /// The next audit or refresh: these come at multiples of their period. One that would find nothing to do is never
    /// set.
    fn set_periodic(&mut self, other: usize, period: Option<f64>) {
        if let Some(period) = period {
            // A clock may ring up to 1e-14 before its time: that audit is not still to come.
            let done = libm::floor(self.now / period * (1.0 + 1e-12));
            self.due_at[other] = (done + 1.0) * period;
            self.set_other(other, self.due_at[other]);
        }
    }

    /// The next thing that is due, if it comes before the horizon.
    #[inline]
    pub(crate) fn next_due(&self) -> Option<(usize, f64)> {
        let (clock, at) = self.clocks.first();
        (at < self.plan.horizon).then_some((clock, at))
    }

    /// Lets happen what this clock stands for. False: a site went down or came back, and no more.
    #[inline]
    pub(crate) fn ring(&mut self, clock: usize, at: f64) -> bool {
        self.tally.events += 1;
        self.now = at;
        if clock < self.sites.len() {
            return self.ring_site(clock);
        }
        self.ring_other(clock - self.sites.len());
        true
    }

    #[inline]
    fn ring_site(&mut self, place: usize) -> bool {
        let state = &self.sites[place];
        let at = state.next();
        let turns = state.outage_at <= at;
        if turns {
            self.turn(place);
        } else if state.loss_at <= at {
            self.lose(place, super::plan::LOSS, false);
            self.settle();
        } else if state.work_at <= at {
            self.work(place);
        } else if state.hazard_at <= at {
            self.alone(place);
        } else {
            let cause = state.down_cause;
            self.write_off(place, cause);
        }
        self.arm(place);
        !turns
    }

    /// A site goes down by itself, or comes back. Which of the two is a coin toss to the processor, so there is no branch.
    #[inline]
    fn turn(&mut self, place: usize) {
        let Some(laws) = &self.plan.sites[place].outage else { return };
        let state = &mut self.sites[place];
        let was_up = state.up();
        let begins = !state.in_outage;
        state.in_outage = begins;
        let law = &laws[usize::from(begins)];
        state.outage_at = self.now + self.draw.years(law);
        self.moved(place, was_up, OUTAGE);
    }

    /// Rot, seizure or copying of one site, whichever it is.
    fn alone(&mut self, place: usize) {
        let site = &self.plan.sites[place];
        let which = self.draw.unit() * site.hazard();
        let (rot, seized) = (site.rot, site.rot + site.seized);
        let again = site.hazard();
        if which < rot {
            self.rot(place, ROT);
        } else if which < seized {
            self.capture(place, SEIZURE);
            self.lose(place, SEIZURE, false);
        } else {
            self.capture(place, super::plan::COPYING);
        }
        if !self.sites[place].lost {
            self.sites[place].hazard_at = self.after_rate(again);
        }
        self.settle();
    }

    fn ring_other(&mut self, clock: usize) {
        if let Some(other) = clock.checked_sub(self.strikes.len()) {
            match other {
                AUDIT => self.audit(),
                REFRESH => self.refresh(),
                WRITER => self.writer(),
                _ => self.decided(),
            }
        } else {
            self.strike(clock);
        }
    }

    /// Nothing that could still come would matter.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.lost_at < NEVER && (!self.plan.can_disclose || self.disclosed_at < NEVER)
    }

    /// Takes the random numbers of this replication.
    pub(crate) fn take_part(&mut self, number: u64) {
        self.draw.part(number);
        self.service_draw.part(number);
    }

    /// One replication, from whole to the horizon, added to the tally.
    pub(crate) fn replicate(&mut self) {
        self.reset();
        while let Some((clock, at)) = self.next_due() {
            self.ring(clock, at);
            if self.is_over() {
                break;
            }
        }
        self.close();
    }
}

/// When something of this law is over that begins now; never, for a constant rate that is held back.
#[inline]
fn due<const HELD: bool>(now: f64, law: &Sampler, draw: &mut Draw) -> f64 {
    if HELD && matches!(law, Sampler::Exponential { .. }) { NEVER } else { now + draw.years(law) }
}
