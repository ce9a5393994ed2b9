//! The record of a run: what happened, when and where, and one digest over all of it.

use std::fmt;

use protocol::machine::Record;
use protocol::wire::{Refusal, Response};
use shard_codec::Digest;
use shard_codec::shard_tree::RootHasher;

use super::virtual_clock::Time;

/// Somebody with an end of a link: sites first, in the order of the config, then clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u16);

impl NodeId {
    /// As a position.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One event as the trace keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceEvent {
    /// A question arrived.
    Asked {
        /// From whom.
        from: NodeId,
        /// Its name.
        what: &'static str,
        /// Its size.
        bytes: u64,
    },
    /// An answer arrived.
    Answered {
        /// From whom.
        from: NodeId,
        /// Its name.
        what: &'static str,
        /// Its size.
        bytes: u64,
    },
    /// A message did not arrive.
    Dropped {
        /// To whom.
        to: NodeId,
        /// Why.
        why: &'static str,
    },
    /// A transaction was synced.
    Synced {
        /// Records in it.
        records: usize,
        /// Digest over all of them.
        digest: Digest,
    },
    /// A shard was synced.
    ShardSynced {
        /// Which of the site's writes.
        write: u64,
    },
    /// A caller gave up.
    TimedOut,
    /// A process died.
    Crashed {
        /// Why.
        why: &'static str,
    },
    /// A process started.
    Started,
    /// A line of the timeline came.
    Action {
        /// Which.
        line: usize,
    },
    /// Everything is mended.
    Healed,
    /// Somebody says something worth telling.
    Said(String),
}

impl TraceEvent {
    /// The line for a transaction.
    #[must_use]
    pub fn synced(records: &[Record]) -> Self {
        let mut hasher = RootHasher::new();
        for record in records {
            hasher.update(&[record.kind as u8]);
            hasher.update(&record.key);
            hasher.update(&record.value);
        }
        Self::Synced { records: records.len(), digest: hasher.finish() }
    }
}

impl fmt::Display for TraceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked { from, what, bytes } => write!(f, "<- node {} asks {what} ({bytes} bytes)", from.0),
            Self::Answered { from, what, bytes } => write!(f, "<- node {} answers {what} ({bytes} bytes)", from.0),
            Self::Dropped { to, why } => write!(f, "a message to node {} is lost: {why}", to.0),
            Self::Synced { records, digest } => write!(f, "{records} records synced ({})", digest.short()),
            Self::ShardSynced { write } => write!(f, "a shard synced (write {write})"),
            Self::TimedOut => write!(f, "a call was given up"),
            Self::Crashed { why } => write!(f, "CRASHED: {why}"),
            Self::Started => write!(f, "started"),
            Self::Action { line } => write!(f, "timeline line {line}"),
            Self::Healed => write!(f, "EVERYTHING IS MENDED"),
            Self::Said(text) => f.write_str(text),
        }
    }
}

/// Bytes of lines hashed at once.
const BUFFER_BYTES: usize = 32 << 10;

/// The running digest over all lines.
#[derive(Debug)]
pub struct Trace {
    hasher: RootHasher,
    buffer: Vec<u8>,
    lines: u64,
}

impl Default for Trace {
    fn default() -> Self {
        Self { hasher: RootHasher::new(), buffer: Vec::with_capacity(BUFFER_BYTES + 256), lines: 0 }
    }
}

impl Trace {
    /// Adds one line: time, node, event.
    pub fn add(&mut self, at: Time, node: NodeId, event: &TraceEvent) {
        self.lines += 1;
        self.buffer.extend_from_slice(&at.0.to_le_bytes());
        self.buffer.extend_from_slice(&node.0.to_le_bytes());
        match event {
            TraceEvent::Asked { from, what, bytes } => self.message(b'?', *from, what, *bytes),
            TraceEvent::Answered { from, what, bytes } => self.message(b'!', *from, what, *bytes),
            TraceEvent::Dropped { to, why } => self.message(b'x', *to, why, 0),
            TraceEvent::Synced { records, digest } => {
                self.message(b's', node, "", *records as u64);
                self.buffer.extend_from_slice(digest.as_bytes());
            }
            TraceEvent::ShardSynced { write } => self.message(b'w', node, "", *write),
            TraceEvent::TimedOut => self.buffer.push(b't'),
            TraceEvent::Crashed { why } => self.message(b'c', node, why, 0),
            TraceEvent::Started => self.buffer.push(b'u'),
            TraceEvent::Action { line } => self.message(b'a', node, "", *line as u64),
            TraceEvent::Healed => self.buffer.push(b'h'),
            TraceEvent::Said(text) => self.message(b'"', node, text, 0),
        }
        if self.buffer.len() >= BUFFER_BYTES {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
    }

    fn message(&mut self, mark: u8, peer: NodeId, what: &str, bytes: u64) {
        self.buffer.push(mark);
        self.buffer.extend_from_slice(&peer.0.to_le_bytes());
        self.buffer.extend_from_slice(&bytes.to_le_bytes());
        self.buffer.extend_from_slice(what.as_bytes());
        self.buffer.push(b'\n');
    }

    /// How many lines there are.
    #[must_use]
    pub const fn lines(&self) -> u64 {
        self.lines
    }

    /// The digest over all lines so far.
    #[must_use]
    pub fn digest(&mut self) -> Digest {
        self.hasher.update(&self.buffer);
        self.buffer.clear();
        self.hasher.finish()
    }
}

/// The name of an answer.
#[must_use]
pub const fn name_of_response(response: &Response) -> &'static str {
    match response {
        Response::Done => "done",
        Response::Documents(_) => "documents",
        Response::Announcements(_) => "announcements",
        Response::Head(_) => "head",
        Response::Body { .. } => "body",
        Response::Missing(_) => "missing",
        Response::Masks { .. } => "masks",
        Response::BlindedShares { .. } => "blinded-shares",
        Response::WrongMask { .. } => "wrong-mask",
        Response::Reshared(_) => "reshared",
        Response::Audited(_) => "audited",
        Response::Published { .. } => "published",
        Response::Share { .. } => "share",
        Response::Refused(Refusal { .. }) => "refused",
        Response::Same => "same",
        Response::Summary(_) => "summary",
        Response::Digests(_) => "digests",
    }
}
