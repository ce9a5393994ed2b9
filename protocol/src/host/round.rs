//! One round of questions to one other site. The first is whether it knows the same; mostly that is all. If not, the two
//! compare digests part by part ([`Part`]), and only what differs is asked for. Pushing makes news quick, asking makes it
//! sure.
//!
//! What a round costs is bounded by what it brings: parts that bring nothing are few ([`VAIN_MAX`]) and not asked for
//! again until something changes ([`super::Dialogue`]).

mod manifests;
mod receipts;

use std::collections::{BTreeMap, VecDeque};

use shard_codec::Digest;

use crate::catalog::History;
use crate::document::{Epoch, Proposal};
use crate::host::dialogue::Memory;
use crate::host::{Brought, Machines};
use crate::identifier::DatabaseName;
use crate::machine::Announcement;
use crate::wire::summary::{Part, Summary, known};
use crate::wire::{Refusal, RefusalCode, Request, Response};
use manifests::ManifestsStep;
use receipts::ReceiptsStep;

/// Pages of the release log read in one round; the next round goes on.
const LOG_PAGES_PER_ROUND: usize = 4;
/// Inventories and proven losses of one database read in one round.
const EVIDENCE_PER_ROUND_MAX: u64 = 16_384;
/// Parts of one round, spans of receipts among them, that may be asked for in vain.
pub(super) const VAIN_MAX: usize = 16;

/// The answer is not one to the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an answer to another question")]
pub struct UnexpectedResponse;

/// A round.
///
/// The host begins it with [`super::Dialogue::begin`], asks [`Round::next`], gives the answer to [`Round::take`], gives
/// what comes out to the machines, says to [`Round::told`] how the last of it was taken, and asks on until there is no
/// next question. A refusal is an answer. Then, or after an answer to another question, it hands the round to [`super::Dialogue::ended`]; if the
/// site did not answer, to [`super::Dialogue::failed`].
#[derive(Debug)]
pub struct Round {
    memory: Memory,
    /// What was known here when the round began.
    begun: Digest,
    tasks: VecDeque<Task>,
    step: Step,
    vain_count: usize,
    /// The other site does not count this one among its members.
    is_shut_out: bool,
}

/// What is still to be done.
#[derive(Debug)]
enum Task {
    /// A part that may differ, and the other site's digest of it.
    Look(Part, Digest),
    /// After everything about a part: whether it was in vain.
    Close { question: Digest, part: Part, before: Digest },
}

#[derive(Debug)]
enum Step {
    Everything,
    Charters {
        from_version: u64,
    },
    Database(DatabaseName),
    Manifests(ManifestsStep),
    /// From this block and epoch on.
    Epochs {
        database: DatabaseName,
        from: (u64, u64),
        count: u64,
    },
    Forks(DatabaseName),
    Receipts(ReceiptsStep),
    /// Of a database, or the reports; from this position of the other site's list.
    Evidence {
        database: Option<DatabaseName>,
        from: u64,
    },
    Releases {
        pages: usize,
        is_whole: bool,
    },
    Done,
}

/// What an answer leads to.
#[derive(Debug)]
enum Taken {
    /// These are for the machines, at least one; then [`Round::told`] decides.
    Bring(Vec<Brought>),
    AskOn,
    Over,
}

impl Taken {
    fn documents(documents: Vec<Announcement>) -> Self {
        if documents.is_empty() {
            return Self::Over;
        }
        Self::Bring(documents.into_iter().map(Brought::Document).collect())
    }
}

impl Round {
    pub(super) fn new(machines: &Machines, memory: Memory) -> Self {
        let begun = machines.digest(None);
        Self { memory, begun, tasks: VecDeque::new(), step: Step::Everything, vain_count: 0, is_shut_out: false }
    }

    pub(super) fn into_memory(self) -> Memory {
        self.memory
    }

    /// Whether the next round should come soon: there was news, or one of the two has not heard of a charter.
    pub(super) fn is_worth_more(&self, machines: &Machines) -> bool {
        self.is_shut_out || machines.digest(None) != self.begun
    }

    /// The next question, if there is one.
    #[must_use]
    pub fn next(&self, machines: &Machines) -> Option<Request> {
        let summary = |database: Option<&DatabaseName>| {
            let digest = machines.digest(database);
            Some(Request::Summary { database: database.cloned(), digest })
        };
        match &self.step {
            Step::Everything => summary(None),
            Step::Charters { from_version } => Some(Request::Charters { from_version: *from_version }),
            Step::Database(database) => summary(Some(database)),
            Step::Manifests(step) => Some(step.next()),
            Step::Epochs { database, from: (from_block, from_epoch), .. } => {
                let (database, from_block, from_epoch) = (database.clone(), *from_block, *from_epoch);
                Some(Request::Epochs { database, from_block, from_epoch })
            }
            Step::Forks(database) => Some(Request::Forks { database: database.clone() }),
            Step::Receipts(step) => Some(step.next()),
            Step::Evidence { database, from } => Some(Request::Evidence { database: database.clone(), from: *from }),
            Step::Releases { .. } => Some(Request::ReleaseLog { from: self.memory.log_position }),
            Step::Done => None,
        }
    }

    /// Takes the answer and returns what it brings, for the machines.
    ///
    /// # Errors
    /// An answer to another question: the round is over.
    pub fn take(&mut self, machines: &Machines, response: Response) -> Result<Vec<Brought>, UnexpectedResponse> {
        let taken = match (&mut self.step, response) {
            (Step::Everything | Step::Database(_), Response::Same) => Ok(Taken::Over),
            (Step::Everything, Response::Summary(theirs)) => {
                self.plan(None, theirs);
                Ok(Taken::Over)
            }
            (Step::Database(database), Response::Summary(theirs)) => {
                let database = database.clone();
                self.plan(Some(&database), theirs);
                Ok(Taken::Over)
            }
            // Who is no member, any more or yet, may still ask why.
            (Step::Everything, Response::Refused(refusal)) if refusal.code == RefusalCode::NotAllowed => {
                self.is_shut_out = true;
                self.step = Step::Charters { from_version: machines.catalog.charter().version + 1 };
                Ok(Taken::AskOn)
            }
            (Step::Charters { .. }, Response::Documents(charters)) => {
                Ok(Taken::documents(charters.into_iter().map(Announcement::Charter).collect()))
            }
            (Step::Manifests(step), response) => step.take(machines, &mut self.memory, response),
            (Step::Epochs { from, count, .. }, Response::Documents(epochs)) => {
                *count += epochs.len() as u64;
                let last = epochs.last().and_then(|bytes| Epoch::decode(bytes).ok()?.proposal().ok());
                let last = last.map(|Proposal { scope, .. }| (scope.block, scope.epoch));
                // Whoever does not go on is not asked on.
                *from = last
                    .filter(|last| last >= from)
                    .map_or((u64::MAX, u64::MAX), |(block, epoch)| (block, epoch.saturating_add(1)));
                Ok(Taken::documents(epochs.into_iter().map(Announcement::Epoch).collect()))
            }
            (Step::Forks(_), Response::Documents(proofs)) => {
                Ok(Taken::documents(proofs.into_iter().map(Announcement::Fork).collect()))
            }
            (Step::Receipts(step), response) => step.take(machines, &mut self.memory, &mut self.vain_count, response),
            (Step::Evidence { from, .. }, Response::Announcements(entries)) => {
                *from += entries.len() as u64;
                Ok(Taken::documents(entries))
            }
            (Step::Releases { is_whole, .. }, Response::Announcements(entries)) => {
                self.memory.log_position += entries.len() as u64;
                if entries.is_empty() {
                    self.memory.log_position = 0;
                }
                // Read on from where an earlier round stopped: what stands before may have changed.
                let reads_again = entries.is_empty() && !std::mem::replace(is_whole, true);
                Ok(if reads_again { Taken::AskOn } else { Taken::documents(entries) })
            }
            _ => Err(UnexpectedResponse),
        };
        match taken {
            Ok(Taken::Bring(brought)) => return Ok(brought),
            Ok(Taken::AskOn) if self.vain_count < VAIN_MAX => {}
            Ok(Taken::AskOn | Taken::Over) => self.advance(machines),
            Err(unexpected) => {
                self.step = Step::Done;
                return Err(unexpected);
            }
        }
        Ok(Vec::new())
    }

    /// How the machines took the last of what [`Round::take`] returned; not called if that was nothing.
    pub fn told(&mut self, machines: &Machines, told: Result<(), &Refusal>) {
        let is_over = match &mut self.step {
            Step::Charters { from_version } => {
                let next = machines.catalog.charter().version + 1;
                let has_grown = next > *from_version;
                *from_version = next;
                !has_grown
            }
            Step::Manifests(step) => step.told(machines, &mut self.memory, told),
            Step::Receipts(step) => step.told(machines, &mut self.memory, &mut self.vain_count),
            Step::Releases { pages, .. } => {
                *pages += 1;
                *pages == LOG_PAGES_PER_ROUND
            }
            // Few documents, each replaced by the next: what is more than this is not honest.
            Step::Evidence { from, .. } => *from >= EVIDENCE_PER_ROUND_MAX,
            // Not more than there are blocks of snapshots, and some for those that a block is in the midst of.
            Step::Epochs { database, from, count } => {
                let head = machines.catalog.history(database).map_or(0, History::head_sequence);
                from.0 == u64::MAX || *count >= head.saturating_mul(2)
            }
            Step::Everything | Step::Database(_) | Step::Forks(_) | Step::Done => true,
        };
        if is_over || self.vain_count >= VAIN_MAX {
            self.advance(machines);
        }
    }

    /// Puts the parts of another site's summary before what else is to be done, each once and in their order.
    fn plan(&mut self, database: Option<&DatabaseName>, theirs: Summary) {
        let parts: BTreeMap<Part, Digest> =
            theirs.into_iter().filter(|(part, _)| part.database() == database).collect();
        for (part, digest) in parts.into_iter().rev() {
            self.tasks.push_front(Task::Look(part, digest));
        }
    }

    /// Goes on to the next question.
    fn advance(&mut self, machines: &Machines) {
        self.step = Step::Done;
        while self.vain_count < VAIN_MAX
            && let Some(task) = self.tasks.pop_front()
        {
            match task {
                Task::Look(part, theirs) => {
                    if let Some(step) = self.look(machines, &part, theirs) {
                        self.step = step;
                        return;
                    }
                }
                Task::Close { question, part, before } => {
                    if context(machines, &part) == before {
                        self.vain_count += 1;
                        if !self.memory.is_unfinished(&part) {
                            self.memory.note_in_vain(question);
                        }
                    }
                }
            }
        }
    }

    /// How a part is asked for, if it differs and was not asked for in vain.
    fn look(&mut self, machines: &Machines, part: &Part, theirs: Digest) -> Option<Step> {
        let before = context(machines, part);
        let question = known("question", &(part, theirs, before));
        if machines.digest_of(part) == theirs || self.memory.was_in_vain(&question) {
            return None;
        }
        let catalog = &machines.catalog;
        let step = match part {
            Part::Charters => Step::Charters { from_version: catalog.charter().version + 1 },
            // Only what is in the charter: otherwise a site could invent databases.
            Part::Database(database) => {
                catalog.charter().database(database).map(|_| Step::Database(database.clone()))?
            }
            Part::Manifests(database) => Step::Manifests(ManifestsStep::new(database.clone())),
            Part::Epochs(database) => {
                machines.catalog.history(database)?;
                Step::Epochs { database: database.clone(), from: (0, 0), count: 0 }
            }
            // A proof that was announced while this site was away is asked for, until one is here.
            Part::Forks(database) => {
                let is_known = catalog.history(database).is_some_and(|history| history.forks().next().is_some());
                (!is_known).then(|| Step::Forks(database.clone()))?
            }
            Part::Receipts(database) => {
                let head = catalog.history(database).map_or(0, History::head_sequence);
                (head > 0).then(|| Step::Receipts(ReceiptsStep::new(database.clone())))?
            }
            Part::Evidence(database) => Step::Evidence { database: Some(database.clone()), from: 0 },
            Part::Reports => Step::Evidence { database: None, from: 0 },
            Part::Releases => Step::Releases { pages: 0, is_whole: self.memory.log_position == 0 },
        };
        self.tasks.push_front(Task::Close { question, part: part.clone(), before });
        Some(step)
    }
}

/// All that decides whether documents of a part are taken here. If it has not changed, nothing was brought; and a question
/// that brought nothing brings nothing while it stays as it is.
fn context(machines: &Machines, part: &Part) -> Digest {
    let charters = machines.digest_of(&Part::Charters);
    let around = match part {
        Part::Charters => charters,
        Part::Releases | Part::Reports => machines.digest(None),
        Part::Database(database)
        | Part::Manifests(database)
        | Part::Epochs(database)
        | Part::Forks(database)
        | Part::Receipts(database)
        | Part::Evidence(database) => machines.digest(Some(database)),
    };
    known("context", &(charters, around))
}

#[cfg(test)]
mod tests;
