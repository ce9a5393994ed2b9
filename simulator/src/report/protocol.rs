//! What a run of the real machines came to: plain data, for a page and for a terminal.

use serde::Serialize;

/// One run in protocol mode.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ProtocolRun {
    /// What it is called.
    pub title: String,
    /// Of all chance.
    pub seed: u64,
    /// Digest of the trace: the same for the same program, scenario and seed.
    pub trace_digest: String,
    /// Virtual time that passed, hours.
    pub hours: f64,
    /// Messages that were delivered.
    pub messages: u64,
    /// Bytes that were moved.
    pub bytes: u64,
    /// What happened, in order.
    pub phases: Vec<Phase>,
    /// Per database.
    pub snapshots: Vec<Snapshots>,
    /// Every restore that was tried.
    pub restores: Vec<Restored>,
    /// Coalitions that came to hold enough to read, as the trace shows; empty is good.
    pub readers: Vec<Reader>,
    /// Invariants, and where they broke.
    pub invariants: Vec<Invariant>,
}

/// A part of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Phase {
    /// When it began, hours.
    pub from_hours: f64,
    /// What happened then.
    pub what: String,
    /// From its last fault until the system had converged, hours; `None` where there was none, or it did not.
    pub converged_after_hours: Option<f64>,
}

/// What became of the snapshots of a database.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Snapshots {
    /// The database.
    pub database: String,
    /// Begun.
    pub begun: u64,
    /// Durable: receipts from enough sites.
    pub durable: u64,
    /// Durable once, and not restorable at the end.
    pub lost: u64,
    /// From the cut until durable, hours, half of them.
    pub durable_after_hours: Option<f64>,
}

/// A restore.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Restored {
    /// The database.
    pub database: String,
    /// From where.
    pub place: String,
    /// From the order until it stood, hours; `None` where it failed.
    pub took_hours: Option<f64>,
    /// Age of what was restored, hours.
    pub gap_hours: Option<f64>,
    /// Why it failed.
    pub why_not: Option<String>,
}

/// Somebody who could read.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Reader {
    /// Who together.
    pub who: String,
    /// What.
    pub what: String,
    /// Since when, hours, if that was recorded.
    pub since_hours: Option<f64>,
    /// A release order allowed it.
    pub by_order: bool,
}

/// An invariant.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Invariant {
    /// In words.
    pub name: String,
    /// How often it was looked at.
    pub checks: u64,
    /// The first breach, in words, with its time.
    pub broken: Option<String>,
}
