//! The receipts of one database: span by span where digests differ, snapshot by snapshot within a span, the newest first.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use shard_codec::Digest;

use super::{Taken, UnexpectedResponse};
use crate::catalog::{History, Receipts, SPAN};
use crate::host::dialogue::Memory;
use crate::host::{Brought, Machines};
use crate::identifier::DatabaseName;
use crate::limits::PAGE_ENTRIES_MAX;
use crate::wire::summary::{Part, known};
use crate::wire::{Request, Response};

/// Receipts given to the machines at once: one transaction.
const BATCH: usize = 256;

/// Asks for them.
#[derive(Debug)]
pub(super) struct ReceiptsStep {
    database: DatabaseName,
    /// Spans that differ and were not asked for yet, the newest last.
    spans: Vec<(u64, Digest)>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The digests of the spans from this one on.
    Spans { from_span: u64 },
    /// The digests of the snapshots of one span.
    Snapshots(Asked),
    /// The receipts of these snapshots, of one span.
    Receipts { asked: Asked, sequences: VecDeque<u64>, asked_count: usize },
}

/// A span under way.
#[derive(Clone, Copy, Debug)]
struct Asked {
    span: u64,
    question: Digest,
    before: Digest,
}

impl ReceiptsStep {
    pub(super) const fn new(database: DatabaseName) -> Self {
        Self { database, spans: Vec::new(), stage: Stage::Spans { from_span: 0 } }
    }

    pub(super) fn next(&self) -> Request {
        let database = self.database.clone();
        match &self.stage {
            Stage::Spans { from_span } => Request::ReceiptSpans { database, from_span: *from_span },
            Stage::Snapshots(asked) => Request::ReceiptSpan { database, span: asked.span },
            Stage::Receipts { sequences, asked_count, .. } => {
                Request::ReceiptsOf { database, sequences: sequences.iter().take(*asked_count).copied().collect() }
            }
        }
    }

    pub(super) fn take(
        &mut self,
        machines: &Machines,
        memory: &mut Memory,
        vain_count: &mut usize,
        response: Response,
    ) -> Result<Taken, UnexpectedResponse> {
        match (&mut self.stage, response) {
            (Stage::Spans { from_span }, Response::Digests(theirs)) => {
                let (first, is_full) = (*from_span, theirs.len() == PAGE_ENTRIES_MAX);
                let last = self.head(machines) / SPAN;
                self.spans.extend((first..=last).zip(theirs));
                if is_full && first + (PAGE_ENTRIES_MAX as u64) <= last {
                    self.stage = Stage::Spans { from_span: first + PAGE_ENTRIES_MAX as u64 };
                    return Ok(Taken::AskOn);
                }
                Ok(self.begin_span(machines, memory))
            }
            (Stage::Snapshots(asked), Response::Digests(theirs)) => {
                let asked = *asked;
                let (nothing, receipts) = (Receipts::default().digest_of(0), self.receipts(machines));
                let takes = self.sequences(machines, asked.span);
                let differing = (asked.span * SPAN..).zip(theirs).filter(|(sequence, theirs)| {
                    let ours = receipts.map_or(nothing, |receipts| receipts.digest_of(*sequence));
                    takes.contains(sequence) && *theirs != nothing && *theirs != ours
                });
                let sequences = differing.map(|(sequence, _theirs)| sequence).collect();
                Ok(self.ask_for(machines, memory, vain_count, asked, sequences))
            }
            (Stage::Receipts { .. }, Response::Documents(receipts)) => {
                if receipts.is_empty() {
                    return Ok(if self.told(machines, memory, vain_count) { Taken::Over } else { Taken::AskOn });
                }
                let mut receipts = receipts.into_iter().peekable();
                let mut batches = Vec::new();
                while receipts.peek().is_some() {
                    batches.push(Brought::Receipts(receipts.by_ref().take(BATCH).collect()));
                }
                Ok(Taken::Bring(batches))
            }
            _ => Err(UnexpectedResponse),
        }
    }

    /// Whether nothing more is to be asked.
    pub(super) fn told(&mut self, machines: &Machines, memory: &mut Memory, vain_count: &mut usize) -> bool {
        let Stage::Receipts { asked, sequences, asked_count } = &mut self.stage else { return true };
        sequences.drain(..(*asked_count).min(sequences.len()));
        let (asked, rest) = (*asked, std::mem::take(sequences));
        matches!(self.ask_for(machines, memory, vain_count, asked, rest), Taken::Over)
    }

    /// Asks for receipts of a span, or, when there are none left to ask for, for the next span.
    fn ask_for(
        &mut self,
        machines: &Machines,
        memory: &mut Memory,
        vain_count: &mut usize,
        asked: Asked,
        sequences: VecDeque<u64>,
    ) -> Taken {
        if sequences.is_empty() {
            if self.digest_of_span(machines, asked.span) == asked.before {
                memory.note_in_vain(asked.question);
                *vain_count += 1;
            }
            return self.begin_span(machines, memory);
        }
        // So many that one answer holds them all.
        let asked_count = (PAGE_ENTRIES_MAX / machines.catalog.charter().sites.len().max(1)).max(1);
        self.stage = Stage::Receipts { asked, sequences, asked_count };
        Taken::AskOn
    }

    fn begin_span(&mut self, machines: &Machines, memory: &Memory) -> Taken {
        while let Some((span, theirs)) = self.spans.pop() {
            let before = self.digest_of_span(machines, span);
            let charters = machines.digest_of(&Part::Charters);
            let manifests = self.sequences(machines, span).count();
            let part = Part::Receipts(self.database.clone());
            let question = known("question", &(part, span, theirs, before, charters, manifests));
            if theirs == before || memory.was_in_vain(&question) {
                continue;
            }
            let asked = Asked { span, question, before };
            self.stage = Stage::Snapshots(asked);
            return Taken::AskOn;
        }
        Taken::Over
    }

    fn receipts<'a>(&self, machines: &'a Machines) -> Option<&'a Receipts> {
        machines.catalog.history(&self.database).map(History::all_receipts)
    }

    fn digest_of_span(&self, machines: &Machines, span: u64) -> Digest {
        self.receipts(machines).unwrap_or(&Receipts::default()).digest_of_span(span)
    }

    fn head(&self, machines: &Machines) -> u64 {
        machines.catalog.history(&self.database).map_or(0, History::head_sequence)
    }

    /// Sequences of a span whose manifests are here: without its manifest no receipt is taken.
    fn sequences(&self, machines: &Machines, span: u64) -> RangeInclusive<u64> {
        let first = span * SPAN;
        first.max(1)..=(first + SPAN - 1).min(self.head(machines))
    }
}
