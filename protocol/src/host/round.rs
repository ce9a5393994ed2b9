//! One round of questions to one other site: newer charters, its release log, and of every database the manifests,
//! forks and receipts that are missing here. Pushing makes news quick, asking makes it sure.

use std::collections::VecDeque;

use serde_bytes::ByteBuf;
use shard_codec::Digest;

use crate::catalog::{Catalog, History};
use crate::identifier::DatabaseName;
use crate::limits::RUN_PAGES_MAX;
use crate::machine::Announcement;
use crate::signature::Signed;
use crate::wire::{Refusal, RefusalCode, Request, Response};

/// Pages of the release log read in one round; the next round goes on.
pub const LOG_PAGES_PER_ROUND: usize = 16;

/// The answer is not one to the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an answer to another question")]
pub struct UnexpectedResponse;

/// A round.
///
/// The host asks [`Round::next`], gives the answer to [`Round::take`], gives the documents that come out to the
/// machines, says to [`Round::told`] how the last of them was taken, and asks on until there is no next question. A
/// site that does not answer ends the round.
#[derive(Debug)]
pub struct Round {
    step: Step,
    log_position: u64,
    databases: VecDeque<DatabaseName>,
}

#[derive(Debug)]
enum Step {
    Charters,
    Log {
        pages: usize,
    },
    Head,
    /// Manifests that are missing here, page by page. When nothing of a page is taken, the one that vouches for it may
    /// stand in a later page: the run is given to the machine again as it grows, for a few pages.
    Follow {
        theirs: (u64, Digest),
        reached: u64,
        run: Vec<ByteBuf>,
        pages: usize,
    },
    /// A site whose head is not in the history held here follows another branch: its first other manifest is the proof.
    LookForFork {
        from_sequence: u64,
    },
    /// Two sites of one branch agree, and only one may know of the other branch.
    Forks,
    Receipts,
    Done,
}

impl Round {
    /// A round that reads the other site's release log on from `log_position`.
    #[must_use]
    pub const fn new(log_position: u64) -> Self {
        Self { step: Step::Charters, log_position, databases: VecDeque::new() }
    }

    /// Where the other site's release log was read to.
    #[must_use]
    pub const fn log_position(&self) -> u64 {
        self.log_position
    }

    /// The next question, if there is one.
    #[must_use]
    pub fn next(&self, catalog: &Catalog) -> Option<Request> {
        let database = || self.databases.front().cloned();
        match &self.step {
            Step::Charters => Some(Request::Charters { from_version: catalog.charter().version + 1 }),
            Step::Log { .. } => Some(Request::ReleaseLog { from: self.log_position }),
            Step::Head => Some(Request::Head { database: database()? }),
            Step::Follow { reached, run, .. } => {
                Some(Request::Manifests { database: database()?, from_sequence: reached + run.len() as u64 + 1 })
            }
            Step::LookForFork { from_sequence } => {
                Some(Request::Manifests { database: database()?, from_sequence: *from_sequence })
            }
            Step::Forks => Some(Request::Forks { database: database()? }),
            Step::Receipts => {
                let sequence = catalog.history(self.databases.front()?).map_or(0, History::head_sequence);
                Some(Request::Receipts { database: database()?, sequence })
            }
            Step::Done => None,
        }
    }

    /// Takes the answer and returns what it brings, for the machines.
    ///
    /// # Errors
    /// An answer to another question: the round is over.
    pub fn take(&mut self, catalog: &Catalog, response: Response) -> Result<Vec<Announcement>, UnexpectedResponse> {
        match (&mut self.step, response) {
            (Step::Charters, Response::Documents(charters)) => {
                self.step = Step::Log { pages: 0 };
                Ok(charters.into_iter().map(Announcement::Charter).collect())
            }
            (Step::Log { pages }, Response::Announcements(entries)) => {
                *pages += 1;
                self.log_position += entries.len() as u64;
                if entries.is_empty() || *pages == LOG_PAGES_PER_ROUND {
                    self.databases = catalog.charter().databases.iter().map(|entry| entry.name.clone()).collect();
                    self.begin_database();
                }
                Ok(entries)
            }
            (Step::Head, Response::Head(None)) => {
                self.next_database();
                Ok(Vec::new())
            }
            (Step::Head, Response::Head(Some(theirs))) => {
                let reached = self.history(catalog).map_or(0, History::head_sequence);
                if theirs.0 > reached {
                    self.step = Step::Follow { theirs, reached, run: Vec::new(), pages: 0 };
                } else {
                    self.compare(catalog, theirs);
                }
                Ok(Vec::new())
            }
            (Step::Follow { theirs, run, pages, .. }, Response::Documents(page)) => {
                if page.is_empty() {
                    let theirs = *theirs;
                    self.compare(catalog, theirs);
                    return Ok(Vec::new());
                }
                run.extend(page);
                *pages += 1;
                Ok(vec![Announcement::Manifests(run.clone())])
            }
            (Step::LookForFork { from_sequence }, Response::Documents(manifests)) => {
                if manifests.is_empty() {
                    self.look_for_proofs(catalog);
                    return Ok(Vec::new());
                }
                *from_sequence += manifests.len() as u64;
                Ok(vec![Announcement::Manifests(manifests)])
            }
            (Step::Forks, Response::Documents(proofs)) => {
                self.look_for_receipts(catalog);
                Ok(proofs.into_iter().map(Announcement::Fork).collect())
            }
            (Step::Receipts, Response::Documents(receipts)) => {
                self.next_database();
                Ok(receipts.into_iter().map(Announcement::Receipt).collect())
            }
            _ => {
                self.step = Step::Done;
                Err(UnexpectedResponse)
            }
        }
    }

    /// How the machines took the last document of what [`Round::take`] returned; not called if that was nothing.
    pub fn told(&mut self, catalog: &Catalog, told: Result<(), &Refusal>) {
        let here = self.history(catalog).map_or(0, History::head_sequence);
        match &mut self.step {
            Step::Follow { theirs, reached, run, pages } => {
                let shows_more = if here > *reached {
                    let taken = usize::try_from(here - *reached).unwrap_or(usize::MAX);
                    run.drain(..taken.min(run.len()));
                    (*reached, *pages) = (here, 0);
                    true
                } else {
                    // Otherwise it shows nothing that is of use here.
                    told.is_err_and(|refusal| refusal.code == RefusalCode::Manifest)
                };
                if !shows_more || *pages == RUN_PAGES_MAX || *reached + run.len() as u64 >= theirs.0 {
                    let theirs = *theirs;
                    self.compare(catalog, theirs);
                }
            }
            Step::LookForFork { from_sequence } => {
                // Refused: the proof is made and spread, or the site shows rubbish.
                if told.is_err() || *from_sequence > here {
                    self.look_for_proofs(catalog);
                }
            }
            Step::Charters | Step::Log { .. } | Step::Head | Step::Forks | Step::Receipts | Step::Done => {}
        }
    }

    fn history<'a>(&self, catalog: &'a Catalog) -> Option<&'a History> {
        catalog.history(self.databases.front()?)
    }

    fn begin_database(&mut self) {
        self.step = if self.databases.is_empty() { Step::Done } else { Step::Head };
    }

    fn next_database(&mut self) {
        self.databases.pop_front();
        self.begin_database();
    }

    fn compare(&mut self, catalog: &Catalog, (their_head, their_digest): (u64, Digest)) {
        let is_other_branch = self.history(catalog).is_some_and(|history| {
            let agrees = history.manifest(their_head).map(Signed::digest) == Some(their_digest);
            !agrees && history.forks().next().is_none() && history.head_sequence() > 0
        });
        if is_other_branch {
            self.step = Step::LookForFork { from_sequence: 1 };
        } else {
            self.look_for_proofs(catalog);
        }
    }

    /// A proof that was announced while this site was away is asked for, until one is here: one is an alarm.
    fn look_for_proofs(&mut self, catalog: &Catalog) {
        let is_known = self.history(catalog).is_some_and(|history| history.forks().next().is_some());
        if is_known {
            self.look_for_receipts(catalog);
        } else {
            self.step = Step::Forks;
        }
    }

    /// Receipts of the newest snapshot are what decides whether it is durable; older ones came with their news.
    fn look_for_receipts(&mut self, catalog: &Catalog) {
        let (sequence, ours) = self.history(catalog).map_or((0, 0), |history| {
            let sequence = history.head_sequence();
            (sequence, history.receipts(sequence).count())
        });
        if sequence > 0 && ours < catalog.charter().active_sites().count() {
            self.step = Step::Receipts;
        } else {
            self.next_database();
        }
    }
}

#[cfg(test)]
mod tests;
