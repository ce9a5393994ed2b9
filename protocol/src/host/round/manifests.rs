//! The manifests of one database: those that are missing here, and where two branches part.

use serde_bytes::ByteBuf;
use shard_codec::Digest;

use super::{Taken, UnexpectedResponse};
use crate::catalog::History;
use crate::host::dialogue::Memory;
use crate::host::{Brought, Machines};
use crate::identifier::DatabaseName;
use crate::limits::RUN_PAGES_MAX;
use crate::machine::Announcement;
use crate::signature::Signed;
use crate::wire::{Refusal, RefusalCode, Request, Response};

/// Pages of manifests compared in one round to find where two branches part; the next round goes on.
const COMPARED_PAGES_PER_ROUND: usize = 16;

/// Asks for them.
#[derive(Debug)]
pub(super) struct ManifestsStep {
    database: DatabaseName,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
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
        pages: usize,
    },
}

impl ManifestsStep {
    pub(super) const fn new(database: DatabaseName) -> Self {
        Self { database, stage: Stage::Head }
    }

    pub(super) fn next(&self) -> Request {
        let database = self.database.clone();
        match &self.stage {
            Stage::Head => Request::Head { database },
            Stage::Follow { reached, run, .. } => {
                Request::Manifests { database, from_sequence: reached + run.len() as u64 + 1 }
            }
            Stage::LookForFork { from_sequence, .. } => Request::Manifests { database, from_sequence: *from_sequence },
        }
    }

    pub(super) fn take(
        &mut self,
        machines: &Machines,
        memory: &mut Memory,
        response: Response,
    ) -> Result<Taken, UnexpectedResponse> {
        match (&mut self.stage, response) {
            (Stage::Head, Response::Head(None)) => Ok(Taken::Over),
            (Stage::Head, Response::Head(Some(theirs))) => {
                let reached = self.head_here(machines);
                if theirs.0 > reached {
                    self.stage = Stage::Follow { theirs, reached, run: Vec::new(), pages: 0 };
                    return Ok(Taken::AskOn);
                }
                Ok(self.compare(machines, memory, theirs))
            }
            (Stage::Follow { theirs, run, pages, .. }, Response::Documents(page)) => {
                if page.is_empty() {
                    let theirs = *theirs;
                    return Ok(self.compare(machines, memory, theirs));
                }
                run.extend(page);
                *pages += 1;
                Ok(Taken::Bring(vec![Brought::Document(Announcement::Manifests(run.clone()))]))
            }
            (Stage::LookForFork { from_sequence, pages }, Response::Documents(manifests)) => {
                if manifests.is_empty() {
                    memory.compared.remove(&self.database);
                    return Ok(Taken::Over);
                }
                *from_sequence += manifests.len() as u64;
                *pages += 1;
                Ok(Taken::Bring(vec![Brought::Document(Announcement::Manifests(manifests))]))
            }
            _ => Err(UnexpectedResponse),
        }
    }

    /// Whether nothing more is to be asked.
    pub(super) fn told(&mut self, machines: &Machines, memory: &mut Memory, told: Result<(), &Refusal>) -> bool {
        let here = self.head_here(machines);
        match &mut self.stage {
            Stage::Head => true,
            Stage::Follow { theirs, reached, run, pages } => {
                let shows_more = if here > *reached {
                    let taken = usize::try_from(here - *reached).unwrap_or(usize::MAX);
                    run.drain(..taken.min(run.len()));
                    (*reached, *pages) = (here, 0);
                    true
                } else {
                    // Otherwise it shows nothing that is of use here.
                    told.is_err_and(|refusal| refusal.code == RefusalCode::Manifest)
                };
                if shows_more && *pages < RUN_PAGES_MAX && *reached + (run.len() as u64) < theirs.0 {
                    return false;
                }
                let theirs = *theirs;
                matches!(self.compare(machines, memory, theirs), Taken::Over)
            }
            Stage::LookForFork { from_sequence, pages } => {
                // Refused: the proof is made and spread, or the site shows rubbish.
                if told.is_err() || *from_sequence > here {
                    memory.compared.remove(&self.database);
                    return true;
                }
                memory.compared.insert(self.database.clone(), *from_sequence);
                *pages == COMPARED_PAGES_PER_ROUND
            }
        }
    }

    fn history<'a>(&self, machines: &'a Machines) -> Option<&'a History> {
        machines.catalog.history(&self.database)
    }

    fn head_here(&self, machines: &Machines) -> u64 {
        self.history(machines).map_or(0, History::head_sequence)
    }

    fn compare(&mut self, machines: &Machines, memory: &Memory, theirs: (u64, Digest)) -> Taken {
        let (their_head, their_digest) = theirs;
        let is_other_branch = self.history(machines).is_some_and(|history| {
            let agrees = history.manifest(their_head).map(Signed::digest) == Some(their_digest);
            !agrees && history.forks().next().is_none() && history.head_sequence() > 0
        });
        if !is_other_branch {
            return Taken::Over;
        }
        let from_sequence = memory.compared.get(&self.database).copied().unwrap_or(1);
        self.stage = Stage::LookForFork { from_sequence, pages: 0 };
        Taken::AskOn
    }
}
