//! Choices of sites as sets of bits, grown one site at a time. Sites that differ only in name are interchangeable: of
//! them the first are taken.

use std::collections::BTreeSet;

use crate::scenario::{Scenario, Site};

pub(super) struct Choices {
    /// Of each candidate: the candidates that must be in before it, being the same but for the name.
    before: Vec<u64>,
    must: u64,
    level: Vec<u64>,
}

impl Choices {
    pub(super) fn new(scenario: &Scenario, must: u64) -> Self {
        let same = |a: &Site, b: &Site| Site { name: b.name.clone(), ..a.clone() } == *b;
        // Two sites are interchangeable only if every event hits both or neither.
        let hit_alike =
            |a: usize, b: usize| scenario.events.iter().all(|event| event.hits.contains(&a) == event.hits.contains(&b));
        let before = |(at, site): (usize, &Site)| {
            let earlier = scenario.sites.iter().enumerate().take(at);
            let alike = earlier.filter(|(other, earlier)| {
                same(earlier, site) && hit_alike(*other, at) && (must >> other & 1) == (must >> at & 1)
            });
            alike.fold(0, |set, (other, _)| set | 1 << other)
        };
        let before = scenario.sites.iter().enumerate().map(before).collect();
        Self { before, must, level: Vec::new() }
    }

    /// All choices of this size that grow out of those kept.
    pub(super) fn grow_to(&mut self, size: usize) -> &[u64] {
        if self.level.is_empty() && self.must.count_ones() as usize == size {
            self.level = vec![self.must];
            return &self.level;
        }
        let from = if self.level.is_empty() { vec![self.must] } else { std::mem::take(&mut self.level) };
        let mut next = BTreeSet::new();
        for choice in from {
            for (at, before) in self.before.iter().enumerate() {
                if choice >> at & 1 == 0 && choice & before == *before {
                    next.insert(choice | 1 << at);
                }
            }
        }
        self.level = next.into_iter().collect();
        &self.level
    }

    /// Keeps the choices with the lowest scores if there are more than `width`; says whether all were kept.
    pub(super) fn keep(&mut self, scores: &[f64], width: usize, cut: usize) -> bool {
        if self.level.len() <= width {
            return true;
        }
        let mut ranked: Vec<(f64, u64)> = scores.iter().copied().zip(self.level.iter().copied()).collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        ranked.truncate(cut);
        self.level = ranked.into_iter().map(|(_, choice)| choice).collect();
        false
    }
}
