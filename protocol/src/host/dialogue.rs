//! What one site remembers of its rounds with one other site: how long to wait for the next, and what was asked in vain.
//!
//! While nothing changes a round is one question, and rounds grow rare. What differs and cannot be settled (the other
//! site refuses, shows rubbish, knows less, or follows another branch) is asked for once, and again when either side
//! has changed: a site that lies is left with the pause between two rounds and [`super::round::VAIN_MAX`].

use std::collections::{BTreeMap, BTreeSet};

use shard_codec::Digest;

use crate::host::{Machines, Round};
use crate::identifier::DatabaseName;
use crate::wire::summary::Part;

/// Pause after a round that brought something, or failed: what is new is mostly not alone.
pub const PAUSE_MIN_MS: u64 = 5_000;
/// The longest pause, reached after four rounds that brought nothing. News is pushed at once; this is how long it takes
/// until a push that got lost is made good, and 60 questions of 100 bytes an hour and site cost nothing.
pub const PAUSE_MAX_MS: u64 = 60_000;
/// What was asked in vain, at the most: beyond it all of it is asked once more.
const IN_VAIN_MAX: usize = 4_096;

/// With one other site.
#[derive(Debug)]
pub struct Dialogue {
    pause_ms: u64,
    memory: Memory,
}

/// What goes from round to round.
#[derive(Debug, Default)]
pub(super) struct Memory {
    in_vain: BTreeSet<Digest>,
    /// Where the other site's release log was read to, if a round ended before it did.
    pub(super) log_position: u64,
    /// Up to where the manifests of a database were compared, if a round ended before the two branches parted.
    pub(super) compared: BTreeMap<DatabaseName, u64>,
}

impl Memory {
    pub(super) fn note_in_vain(&mut self, question: Digest) {
        if self.in_vain.len() == IN_VAIN_MAX {
            self.in_vain.clear();
        }
        self.in_vain.insert(question);
    }

    /// Whether the next round goes on with this part where the last one stopped.
    pub(super) fn is_unfinished(&self, part: &Part) -> bool {
        match part {
            Part::Releases => self.log_position > 0,
            Part::Database(database) | Part::Manifests(database) => self.compared.contains_key(database),
            Part::Charters
            | Part::Epochs(_)
            | Part::Forks(_)
            | Part::Receipts(_)
            | Part::Evidence(_)
            | Part::Reports => false,
        }
    }

    pub(super) fn was_in_vain(&self, question: &Digest) -> bool {
        self.in_vain.contains(question)
    }
}

impl Default for Dialogue {
    fn default() -> Self {
        Self { pause_ms: PAUSE_MIN_MS, memory: Memory::default() }
    }
}

impl Dialogue {
    /// The next round.
    #[must_use]
    pub fn begin(&mut self, machines: &Machines) -> Round {
        Round::new(machines, std::mem::take(&mut self.memory))
    }

    /// The round is over; says how long to wait for the next.
    pub fn ended(&mut self, machines: &Machines, round: Round) -> u64 {
        let is_worth_more = round.is_worth_more(machines);
        self.memory = round.into_memory();
        self.pause_ms = if is_worth_more { PAUSE_MIN_MS } else { self.pause_ms.saturating_mul(2).min(PAUSE_MAX_MS) };
        self.pause_ms
    }

    /// The other site did not answer; says how long to wait for the next round.
    pub fn failed(&mut self, round: Option<Round>) -> u64 {
        if let Some(round) = round {
            self.memory = round.into_memory();
        }
        self.pause_ms = PAUSE_MIN_MS;
        self.pause_ms
    }
}
