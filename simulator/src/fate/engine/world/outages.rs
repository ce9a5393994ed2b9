//! The shortest way through a plan in which sites only go down and come back: the k-of-n model.
//!
//! It draws the same numbers in the same order as [`World::replicate`] and ends with the same tally, to the last bit;
//! it is there because it takes half the time.

use super::super::draw::Sampler;
use super::super::plan::Plan;
use super::{NEVER, World, clocks_of};

/// A site that goes down and comes back.
#[derive(Debug, Clone)]
pub(super) struct Turning {
    /// Up, then down.
    laws: [Sampler; 2],
    is_down: bool,
    shard: isize,
    share: isize,
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
        turning.clear();
        turning.extend(self.plan.sites.iter().filter_map(|site| {
            let (shard, share) = (isize::from(site.holds_shard), isize::from(site.holds_share));
            site.outage.map(|laws| Turning { laws, is_down: false, shard, share })
        }));
        let (data_shards, threshold) = (self.plan.data_shards, self.plan.threshold);
        let (mut shards, mut shares) = (self.shards_up, self.shares_up);
        let mut is_down = false;
        let mut events = 0;
        while let Some((place, now)) = self.next_due() {
            events += 1;
            let site = &mut turning[place];
            site.is_down = !site.is_down;
            let change = 1 - 2 * isize::from(site.is_down);
            shards = shards.wrapping_add_signed(change * site.shard);
            shares = shares.wrapping_add_signed(change * site.share);
            let next = now + self.draw.years(&site.laws[usize::from(site.is_down)]);
            self.clocks.set(place, next);
            let was_down = is_down;
            is_down = (shards < data_shards) | (shares < threshold);
            if was_down != is_down {
                self.now = now;
                (self.shards_up, self.shares_up) = (shards, shares);
                if self.service.has_never_fallen() {
                    for (state, site) in self.sites.iter_mut().zip(&turning) {
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
