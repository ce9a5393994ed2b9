//! One replication of the plan, and the bent walks that leave it.

use super::super::engine::clocks::NEVER;
use super::super::engine::draw::Draw;
use super::super::engine::plan::Plan;
use super::super::engine::tally::{Causes, STEPS, step_after};
use super::super::engine::world::{Held, Target, Way, World};

/// The chance with which a walk goes on towards the event rather than back. Any value is right; near this one the
/// weights of 8 of 15 sites spread least.
const ONWARD: f64 = 0.8;
/// `ONWARD` as odds.
const ODDS: f64 = ONWARD / (1.0 - ONWARD);
/// How often something leads on within a time, `-ln(1 - ONWARD)`, for that chance.
const TIMES: f64 = 1.609_437_912_434_100_4;

/// How often a forced failure comes at any time that is left rather than as the first of all that are needed: a bound on
/// the weight where one blow does the work of many failures.
const ANY_TIME: f64 = 0.05;

/// What can come next, by the way it leads.
#[derive(Debug, Default)]
struct Next {
    towards: Vec<(Held, f64)>,
    back: Vec<(Held, f64)>,
    aside: Vec<(Held, f64)>,
    towards_rate: f64,
    back_rate: f64,
    aside_rate: f64,
}

impl Next {
    fn rate(&self) -> f64 {
        self.towards_rate + self.back_rate + self.aside_rate
    }
}

/// The clock that rings next, if any does before the horizon.
#[derive(Debug, Clone, Copy)]
struct Due {
    clock: Option<usize>,
    at: f64,
}

pub(super) struct Walker<'p, const LEVELS: usize> {
    main: World<'p, LEVELS, true>,
    walk: World<'p, LEVELS, true>,
    target: Target,
    next: Next,
    pub(super) causes: Causes,
    /// How often per year a walk is to go on, beside what rivals it at a rate: set anew whenever it went on or back.
    pace: f64,
    /// Sum of the weights that reached the target in each step of the curve.
    pub(super) by_step: Vec<f64>,
}

impl<'p, const LEVELS: usize> Walker<'p, LEVELS> {
    pub(super) fn new(plan: &'p Plan<'p>, target: Target, draw: Draw) -> Self {
        let mut main = World::new(plan, draw.clone(), draw);
        main.reset();
        let walk = main.clone();
        Self {
            main,
            walk,
            target,
            next: Next::default(),
            causes: Causes::new(),
            pace: 0.0,
            by_step: vec![0.0; STEPS + 2],
        }
    }

    /// The plan up to its horizon; returns the sum of the weights of the walks that reached the target.
    pub(super) fn replicate(&mut self) -> f64 {
        self.main.reset();
        let horizon = self.main.plan.horizon;
        let (mut sum, mut weight) = (0.0, 1.0);
        let mut raised = None;
        let (mut has_changed, mut is_quiet) = (true, true);
        loop {
            if has_changed {
                look(&self.main, self.target, &mut self.next);
                is_quiet = self.main.is_quiet(self.target);
            }
            let towards = self.next.towards_rate;
            // Raised hazards make the first beginning likely: one is expected within the horizon.
            let first =
                *raised.get_or_insert_with(|| if towards > 0.0 { (1.0 / (towards * horizon)).max(1.0) } else { 1.0 });
            let raise = if is_quiet { first } else { 1.0 };
            let due = due(&self.main);
            let rate = towards * raise + self.next.back_rate + self.next.aside_rate;
            let wait = if rate > 0.0 { self.main.draw.exponential() / rate } else { NEVER };
            let at = due.at.min(self.main.now + wait);
            weight *= libm::exp((raise - 1.0) * towards * (at - self.main.now));
            if at >= due.at {
                let Some(clock) = due.clock else { return sum };
                has_changed = self.main.ring(clock, due.at);
                if has_changed && is_quiet && !self.main.is_quiet(self.target) {
                    sum += self.leave(weight, None);
                }
            } else {
                self.main.now = at;
                has_changed = true;
                let onward = self.main.draw.unit() * rate < towards * raise;
                if onward && is_quiet {
                    weight /= raise;
                    raised = Some(1.0);
                    sum += self.leave(weight, Some(at));
                    look(&self.main, self.target, &mut self.next);
                }
                let held = if onward {
                    pick(&self.next.towards, self.next.towards_rate, &mut self.main.draw)
                } else {
                    self.pick_other()
                };
                if let Some(held) = held {
                    self.main.befall(held);
                }
            }
            if self.main.has_reached(self.target) {
                return sum;
            }
        }
    }

    /// Of what leads back or aside, by rate.
    fn pick_other(&mut self) -> Option<Held> {
        let other = self.next.back_rate + self.next.aside_rate;
        let is_back = self.main.draw.unit() * other < self.next.back_rate;
        let (list, rate) =
            if is_back { (&self.next.back, self.next.back_rate) } else { (&self.next.aside, self.next.aside_rate) };
        pick(list, rate, &mut self.main.draw)
    }

    /// A walk from the beginning of one excursion, all else whole.
    pub(super) fn excursion(&mut self) -> f64 {
        self.leave(1.0, Some(0.0))
    }

    /// The years from all whole to the end of the next excursion.
    pub(super) fn years(&mut self) -> f64 {
        self.main.reset();
        let mut has_begun = false;
        loop {
            look(&self.main, self.target, &mut self.next);
            let is_quiet = self.main.is_quiet(self.target);
            if (has_begun && is_quiet) || self.main.has_reached(self.target) {
                return self.main.now;
            }
            has_begun |= !is_quiet;
            let due = due(&self.main);
            let rate = self.next.rate();
            let wait = if rate > 0.0 { self.main.draw.exponential() / rate } else { NEVER };
            if self.main.now + wait >= due.at {
                let Some(clock) = due.clock else { return self.main.now };
                self.main.ring(clock, due.at);
                continue;
            }
            self.main.now += wait;
            let onward = self.main.draw.unit() * rate < self.next.towards_rate;
            let held = if onward {
                pick(&self.next.towards, self.next.towards_rate, &mut self.main.draw)
            } else {
                self.pick_other()
            };
            if let Some(held) = held {
                self.main.befall(held);
            }
        }
    }

    /// A bent walk from where the plan stands; with `begins` it takes the first step towards the target at that time.
    /// Returns its weight, times that of the plan so far (`outer`), if it reaches the target by the horizon, and zero
    /// otherwise.
    fn leave(&mut self, outer: f64, begins: Option<f64>) -> f64 {
        self.walk.follow(&self.main);
        let mut weight = 1.0;
        if let Some(at) = begins {
            look(&self.walk, self.target, &mut self.next);
            self.walk.now = at;
            weight *= self.step_towards(1.0);
        }
        let mut has_moved = true;
        while !self.walk.has_reached(self.target) && weight > 0.0 {
            if self.walk.is_quiet(self.target) {
                weight = 0.0;
            } else {
                if has_moved {
                    self.set_pace();
                }
                let (quotient, moved) = self.step();
                weight *= quotient;
                has_moved = moved;
            }
        }
        self.main.draw = self.walk.draw.clone();
        if weight > 0.0 {
            let by = match self.target {
                Target::Loss => &self.walk.lost_by,
                Target::Disclosure => &self.walk.disclosed_by,
            };
            *self.causes.entry(by.clone()).or_insert(0.0) += outer * weight;
            if let Some(sum) = self.by_step.get_mut(step_after(self.walk.now / self.walk.plan.horizon)) {
                *sum += outer * weight;
            }
        }
        outer * weight
    }

    /// One of what leads towards the target: by its rate in half of the cases, and in the other half each as likely as
    /// any other, so that nothing rare is starved; `chance` is that of going towards at all.
    fn step_towards(&mut self, chance: f64) -> f64 {
        let count = self.next.towards.len();
        if count == 0 {
            return 0.0;
        }
        let place = self.walk.draw.below(2 * count);
        let picked = match self.next.towards.get(place) {
            Some(&(held, _)) => Some(held),
            None => pick(&self.next.towards, self.next.towards_rate, &mut self.walk.draw),
        };
        let Some(&(held, rate)) = self.next.towards.iter().find(|(held, _)| Some(*held) == picked) else { return 0.0 };
        self.walk.befall(held);
        let share = rate / self.next.towards_rate;
        chance * share / (0.5 * share + 0.5 / count as f64)
    }

    /// The pace from here until the next clock that leads back, or the horizon: within that time a walk is to go on with
    /// the chance [`ONWARD`].
    fn set_pace(&mut self) {
        let horizon = self.walk.plan.horizon;
        let left = self.walk.next_back(self.target).min(horizon) - self.walk.now;
        self.pace = TIMES / left.max(horizon * 1e-12);
    }

    /// The next step of a walk: the true probability of it divided by the bent one, and whether it led on or back.
    ///
    /// What leads aside at a rate keeps its probability. Of the rest, what leads towards the target comes at the pace and
    /// with [`ODDS`] against what leads back at a rate, or as it truly does where that is more often; it comes for sure
    /// where nothing but the horizon is due.
    fn step(&mut self) -> (f64, bool) {
        look(&self.walk, self.target, &mut self.next);
        let due = due(&self.walk);
        let rate = self.next.rate();
        let left = due.at - self.walk.now;
        let comes = -libm::expm1(-rate * left);
        let of = |part: f64| if rate > 0.0 { comes * (part / rate) } else { 0.0 };
        let (towards, back, aside) = (of(self.next.towards_rate), of(self.next.back_rate), of(self.next.aside_rate));
        let rings = libm::exp(-rate * left);
        let bent_rate = if self.next.towards_rate > 0.0 {
            self.next.towards_rate.max(self.pace + ODDS * self.next.back_rate)
        } else {
            0.0
        };
        let free_rate = bent_rate + self.next.back_rate;
        // The bent chances, as shares of all that does not lead aside. At the horizon nothing rings.
        let free = towards + back + rings;
        let stays = if due.clock.is_some() || free_rate <= 0.0 { libm::exp(-free_rate * left) } else { 0.0 };
        let moves = if due.clock.is_some() { -libm::expm1(-free_rate * left) } else { 1.0 };
        let choice = self.walk.draw.unit() * (free + aside);
        if choice >= free {
            self.wait(rate, left);
            if let Some(held) = pick(&self.next.aside, self.next.aside_rate, &mut self.walk.draw) {
                self.walk.befall(held);
            }
            return (1.0, false);
        }
        if choice < free * stays {
            let Some(clock) = due.clock else { return (0.0, false) };
            let is_back = due.at >= self.walk.next_back(self.target) * (1.0 - 1e-12);
            let has_changed = self.walk.ring(clock, due.at);
            return (rings / (free * stays), has_changed && (is_back || self.target == Target::Loss));
        }
        let quotient = if due.clock.is_none() && free_rate <= bent_rate {
            self.wait_for_first(rate, left)
        } else {
            self.wait(rate, left);
            1.0
        };
        if self.walk.draw.unit() * free_rate < bent_rate {
            (quotient * self.step_towards(towards / (free * moves * (bent_rate / free_rate))), true)
        } else {
            self.befall_one_of_back();
            (back / (free * moves * (self.next.back_rate / free_rate)), true)
        }
    }

    fn befall_one_of_back(&mut self) {
        if let Some(held) = pick(&self.next.back, self.next.back_rate, &mut self.walk.draw) {
            self.walk.befall(held);
        }
    }

    /// Time passes until the first of all that are still needed comes, which fall evenly into the `left` years; now and
    /// then as in [`Walker::wait`], with which this returns the quotient.
    fn wait_for_first(&mut self, rate: f64, left: f64) -> f64 {
        let count = self.walk.distance(self.target) as f64;
        let within = -libm::expm1(-rate * left);
        let is_any = self.walk.draw.unit() < ANY_TIME;
        let unit = self.walk.draw.unit();
        let wait =
            if is_any { -libm::log1p(-unit * within) / rate } else { -left * libm::expm1(libm::log1p(-unit) / count) };
        let wait = wait.min(left);
        self.walk.now += wait;
        let any = rate * libm::exp(-rate * wait) / within;
        let first = count / left * libm::pow(1.0 - wait / left, count - 1.0);
        any / (ANY_TIME * any + (1.0 - ANY_TIME) * first)
    }

    /// Time passes until a held hazard of this total rate comes, given that it comes within `left` years.
    fn wait(&mut self, rate: f64, left: f64) {
        let within = -libm::expm1(-rate * left);
        let wait = -libm::log1p(-self.walk.draw.unit() * within) / rate;
        self.walk.now += wait.min(left);
    }
}

fn look<const LEVELS: usize>(world: &World<'_, LEVELS, true>, target: Target, next: &mut Next) {
    next.towards.clear();
    next.back.clear();
    next.aside.clear();
    (next.towards_rate, next.back_rate, next.aside_rate) = (0.0, 0.0, 0.0);
    world.held(target, |held, rate, way| {
        let (list, sum) = match way {
            Way::Towards => (&mut next.towards, &mut next.towards_rate),
            Way::Back => (&mut next.back, &mut next.back_rate),
            Way::Aside => (&mut next.aside, &mut next.aside_rate),
        };
        list.push((held, rate));
        *sum += rate;
    });
}

fn due<const LEVELS: usize>(world: &World<'_, LEVELS, true>) -> Due {
    match world.next_due() {
        Some((clock, at)) => Due { clock: Some(clock), at },
        None => Due { clock: None, at: world.plan.horizon },
    }
}

/// One of them, by rate.
fn pick(list: &[(Held, f64)], rate: f64, draw: &mut Draw) -> Option<Held> {
    let mut left = draw.unit() * rate;
    let picked = list.iter().find(|(_, rate)| {
        left -= rate;
        left < 0.0
    });
    picked.or(list.last()).map(|(held, _)| *held)
}
