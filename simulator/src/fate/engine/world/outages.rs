//! The shortest way through a plan in which sites only go down and come back: the k-of-n model.
//!
//! It draws the same numbers in the same order as [`World::replicate`] and ends with the same tally, to the last bit;
//! it is there because it takes half the time.

use super::super::draw::Sampler;
use super::super::plan::Plan;
use super::{NEVER, World, clocks_of};

/// A site that goes down and comes back: eight bytes, so that ten thousand stay in the nearest caches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turning {
    /// Its place among the laws.
    law: u32,
    is_down: bool,
    shard: i8,
    share: i8,
}

/// All of them, and the laws they follow: up, then down. Sites that are alike stand side by side and share a law.
#[derive(Debug, Clone, Default)]
pub(super) struct AllTurning {
    sites: Vec<Turning>,
    laws: Vec<[Sampler; 2]>,
}

impl AllTurning {
    fn of(plan: &Plan<'_>) -> Self {
        let mut all = Self::default();
        for site in &plan.sites {
            let Some(laws) = site.outage else { continue };
            if all.laws.last() != Some(&laws) {
                all.laws.push(laws);
            }
            let law = u32::try_from(all.laws.len() - 1).unwrap_or(0);
            let (shard, share) = (i8::from(site.holds_shard), i8::from(site.holds_share));
            all.sites.push(Turning { law, is_down: false, shard, share });
        }
        all
    }
}

/// Nothing but outages can happen, to every site.
pub(crate) fn only_outages(plan: &Plan<'_>) -> bool {
    clocks_of(plan) == plan.sites.len()
        && plan.write_off >= NEVER
        && plan.sites.iter().all(|site| site.outage.is_some() && site.loss.is_none() && site.hazard() <= 0.0)
}

impl<const LEVELS: usize> World<'_, LEVELS, false> {
    /// One replication of a plan for which [`only_outages`] holds.
    pub(crate) fn replicate_outages(&mut self) {
        self.reset();
        let mut turning = std::mem::take(&mut self.turning);
        if turning.sites.is_empty() {
            turning = AllTurning::of(self.plan);
        }
        turning.sites.iter_mut().for_each(|site| site.is_down = false);
        let (data_shards, threshold) = (self.plan.data_shards, self.plan.threshold);
        let (mut shards, mut shares) = (self.shards_up, self.shares_up);
        let mut is_down = false;
        let mut events = 0;
        while let Some((place, now)) = self.next_due() {
            events += 1;
            let site = &mut turning.sites[place];
            site.is_down = !site.is_down;
            let change = 1 - 2 * i8::from(site.is_down);
            shards = shards.wrapping_add_signed(isize::from(change * site.shard));
            shares = shares.wrapping_add_signed(isize::from(change * site.share));
            let next = now + self.draw.years(&turning.laws[site.law as usize][usize::from(site.is_down)]);
            self.clocks.set(place, next);
            let was_down = is_down;
            is_down = (shards < data_shards) | (shares < threshold);
            if was_down != is_down {
                self.now = now;
                (self.shards_up, self.shares_up) = (shards, shares);
                if self.service.has_never_fallen() {
                    for (state, site) in self.sites.iter_mut().zip(&turning.sites) {
                        (state.in_outage, state.down_cause) = (site.is_down, super::OUTAGE);
                    }
                }
                self.service_turns(is_down);
            }
        }
        self.tally.events += events;
        self.turning = turning;
        self.close();
    }
}
