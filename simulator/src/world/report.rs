//! What a run came to, for people and for programs.

use std::collections::BTreeMap;

use serde::Serialize;

pub use super::invariant::Reader;

/// The result of a run. The same config gives the same report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Of the config.
    pub seed: u64,
    /// How many sites.
    pub sites: u64,
    /// The first invariant that did not hold; the run ended there.
    pub violation: Option<Violation>,
    /// Over all lines of the trace.
    pub trace_digest: String,
    /// Lines of the trace.
    pub trace_lines: u64,
    /// Messages that arrived.
    pub messages: u64,
    /// Bytes of all messages that were sent.
    pub sent_bytes: u64,
    /// Virtual time at the end.
    pub ended_ms: u64,
    /// From the heal until all honest sites knew the same; absent if they never did.
    pub converged_after_ms: Option<u64>,
    /// Snapshots that home signed, in order.
    pub snapshots: Vec<SnapshotReport>,
    /// Restores that ended, in order.
    pub restores: Vec<RestoreReport>,
    /// Snapshots that the enemies could read without an order.
    pub readers: Vec<Reader>,
    /// How often each thing happened that a swarm must reach now and then.
    pub reached: BTreeMap<String, u64>,
}

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Its name.
    pub invariant: String,
    /// The site, if it is one's.
    pub site: Option<String>,
    /// When.
    pub at_ms: u64,
    /// At which line of the trace.
    pub line: u64,
    /// How.
    pub why: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { invariant, site, at_ms, line, why } = self;
        let site = site.as_deref().map(|site| format!(" at {site}")).unwrap_or_default();
        write!(f, "{invariant}{site}, {at_ms} ms, line {line}: {why}")
    }
}

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SnapshotReport {
    /// The database.
    pub database: String,
    /// The snapshot.
    pub sequence: u64,
    /// When its making began.
    pub begun_ms: u64,
    /// From then until home held it for durable, by the receipts; absent if it never did.
    pub durable_after_ms: Option<u64>,
    /// Whether the standing sites still hold enough of it at the end.
    pub restorable: bool,
}

/// One restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// The database.
    pub database: String,
    /// The snapshot that was opened.
    pub sequence: Option<u64>,
    /// When it ended.
    pub ended_ms: u64,
    /// How long it took, with all tries; absent if it failed.
    pub took_ms: Option<u64>,
    /// Why it failed.
    pub why: Option<String>,
}
