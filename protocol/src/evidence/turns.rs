//! How often a site's word is taken. Each one costs everybody a record on disk and goes on to all others, so a member
//! that signs a new one a thousand times a second would wear out the mesh. What comes too early waits, and only the
//! newest of it: nothing that an honest site says is lost, and a flood is worth as little as its last word.
//!
//! The rate is the generic cell rate algorithm (ITU-T I.371, annex A): one moment for each site and subject.

use std::collections::BTreeMap;

use crate::document::{AuditReport, Inventory};
use crate::identifier::{DatabaseName, SiteName};
use crate::signature::Signed;
use crate::timestamp::Timestamp;

/// Words taken at once from a site that was silent: a disk that fails speaks once a second.
pub const WORDS_AT_ONCE_MAX: u64 = 60;
/// Time after which one more is taken: as long as an honest site waits between two words about what it has mended.
pub const WORD_INTERVAL_MS: u64 = 5_000;

/// What a site says of itself.
#[derive(Debug)]
pub(super) enum Word {
    Inventory(Box<Signed<Inventory>>),
    Report(Box<Signed<AuditReport>>),
}

impl Word {
    fn subject(&self) -> (Option<DatabaseName>, SiteName) {
        match self {
            Self::Inventory(signed) => {
                let said = signed.document();
                (Some(said.database.clone()), said.site.clone())
            }
            Self::Report(signed) => (None, signed.document().auditor.clone()),
        }
    }

    fn at(&self) -> Timestamp {
        match self {
            Self::Inventory(signed) => signed.document().at,
            Self::Report(signed) => signed.document().at,
        }
    }
}

#[derive(Debug, Default)]
struct Turn {
    /// When all that was taken would have come at its proper interval.
    paid_until: Timestamp,
    waiting: Option<Word>,
}

impl Turn {
    fn is_over(&self, now: Timestamp) -> bool {
        now.plus_ms(WORD_INTERVAL_MS * (WORDS_AT_ONCE_MAX - 1)) < self.paid_until
    }

    fn pay(&mut self, now: Timestamp) {
        self.paid_until = self.paid_until.max(now).plus_ms(WORD_INTERVAL_MS);
    }
}

/// Whose word is taken when, by the steady clock. As many as members and databases: only what a member signed comes here.
#[derive(Debug, Default)]
pub(super) struct Turns(BTreeMap<(Option<DatabaseName>, SiteName), Turn>);

impl Turns {
    /// Gives the word back if its site has a turn; keeps it if it is the newest that waits.
    pub(super) fn take(&mut self, now: Timestamp, word: Word) -> Option<Word> {
        let turn = self.0.entry(word.subject()).or_default();
        if turn.is_over(now) {
            let is_newer = turn.waiting.as_ref().is_none_or(|waiting| waiting.at() < word.at());
            if is_newer {
                turn.waiting = Some(word);
            }
            return None;
        }
        turn.pay(now);
        Some(word)
    }

    /// Words that waited and have their turn now.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Word> {
        let due = self.0.values_mut().filter(|turn| turn.waiting.is_some() && !turn.is_over(now));
        let words = due.filter_map(|turn| {
            turn.pay(now);
            turn.waiting.take()
        });
        words.collect()
    }
}
