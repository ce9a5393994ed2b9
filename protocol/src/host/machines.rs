//! The machines of one site, and which input is for which.

use std::sync::OnceLock;

use serde_bytes::ByteBuf;
use shard_codec::Digest;

use crate::audit::{Audit, AuditOptions};
use crate::catalog::{self, Catalog};
use crate::document::CharterChain;
use crate::evidence::{self, Evidence};
use crate::identifier::DatabaseName;
use crate::machine::{Announcement, Event, Output, Record, RecordKind, SiteKeys, Ticket};
use crate::release::{self, Release};
use crate::repair::{self, Repair, RepairOptions};
use crate::resharing::{self, Resharing};
use crate::retention::{self, Retention, RetentionOptions};
use crate::share_recovery::ShareRecovery;
use crate::timestamp::Timestamp;
use crate::wire::Response;

/// All machines of a site.
#[derive(Debug)]
pub struct Machines {
    /// What is known.
    pub catalog: Catalog,
    /// What was opened.
    pub release: Release,
    /// What sites said and proved of what they hold.
    pub evidence: Evidence,
    /// Challenges to the others.
    pub audit: Audit,
    /// What is lacking here.
    pub repair: Repair,
    /// Shares that are lacking here.
    pub share_recovery: ShareRecovery,
    /// Shares that go to the next custodians.
    pub resharing: Resharing,
    /// Snapshots that go.
    pub retention: Retention,
    steady: SteadyClock,
    /// Of all that is known; empty again when anything of it changes. Every question of another site begins with it.
    pub(super) digest: OnceLock<Digest>,
}

/// Time that never goes back and never stands still while the host's clock is set: what waits by it is not held up for as
/// long as a clock was wrong.
#[derive(Clone, Copy, Debug, Default)]
struct SteadyClock {
    read: Option<Timestamp>,
    steady: Timestamp,
}

impl SteadyClock {
    fn advance(&mut self, now: Timestamp) -> Timestamp {
        let passed_ms = match self.read {
            None => now.unix_ms(),
            Some(before) => now.unix_ms().saturating_sub(before.unix_ms()),
        };
        (self.read, self.steady) = (Some(now), self.steady.plus_ms(passed_ms));
        self.steady
    }
}

/// How often and how fast the machines work by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Of audits.
    pub audit: AuditOptions,
    /// Of repair.
    pub repair: RepairOptions,
    /// Of retention.
    pub retention: RetentionOptions,
}

/// What a round brings from another site, one input each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brought {
    /// A document, or a run of manifests.
    Document(Announcement),
    /// Receipts, of which there are many: taken together they are one transaction.
    Receipts(Vec<ByteBuf>),
}

/// One input for any of them.
#[derive(Clone, Debug)]
pub enum Input {
    /// For the catalog.
    Catalog(catalog::Input),
    /// For the release machine.
    Release(release::Input),
    /// For what sites say of themselves.
    Evidence(evidence::Input),
    /// For the repair machine.
    Repair(repair::Input),
    /// For the machine that gives shares on.
    Resharing(resharing::Input),
    /// For the machine of retention.
    Retention(retention::Input),
    /// What came back for [`Output::Ask`].
    Answered {
        /// From the output.
        ticket: Ticket,
        /// The answer, if there was one.
        response: Option<Response>,
    },
    /// Time has passed.
    Tick,
}

impl Input {
    /// The input that something brought is.
    #[must_use]
    pub fn brought(ticket: Option<Ticket>, brought: Brought) -> Self {
        match brought {
            Brought::Document(announcement) => Self::announced(ticket, announcement),
            Brought::Receipts(receipts) => {
                let batch = receipts.into_iter().map(ByteBuf::into_vec).collect();
                Self::Catalog(catalog::Input::Receipts { ticket, batch })
            }
        }
    }

    /// The input that an announcement is.
    #[must_use]
    pub fn announced(ticket: Option<Ticket>, announcement: Announcement) -> Self {
        match announcement {
            Announcement::Charter(bytes) => Self::Catalog(catalog::Input::Charter { ticket, bytes: bytes.into_vec() }),
            Announcement::Manifests(run) => {
                let run = run.into_iter().map(ByteBuf::into_vec).collect();
                Self::Catalog(catalog::Input::Manifests { ticket, run })
            }
            Announcement::Receipt(bytes) => Self::brought(ticket, Brought::Receipts(vec![bytes])),
            Announcement::Fork(bytes) => Self::Catalog(catalog::Input::Fork { ticket, bytes: bytes.into_vec() }),
            Announcement::Order(bytes) => Self::Release(release::Input::Order { ticket, bytes: bytes.into_vec() }),
            Announcement::Notice(bytes) => Self::Release(release::Input::Notice { ticket, bytes: bytes.into_vec() }),
            Announcement::Veto(bytes) => Self::Release(release::Input::Veto { ticket, bytes: bytes.into_vec() }),
            Announcement::Epoch(bytes) => Self::Resharing(resharing::Input::Epoch { ticket, bytes: bytes.into_vec() }),
            Announcement::Inventory(bytes) => {
                Self::Evidence(evidence::Input::Inventory { ticket, bytes: bytes.into_vec() })
            }
            Announcement::AuditReport(bytes) => {
                Self::Evidence(evidence::Input::Report { ticket, bytes: bytes.into_vec() })
            }
            Announcement::Fault(bytes) => Self::Evidence(evidence::Input::Fault { ticket, bytes: bytes.into_vec() }),
        }
    }
}

impl Machines {
    /// Machines that know the charter and nothing else yet.
    #[must_use]
    pub fn new(charters: CharterChain, pace: Pace) -> Self {
        Self {
            catalog: Catalog::new(charters),
            release: Release::new(),
            evidence: Evidence::default(),
            audit: Audit::new(pace.audit),
            repair: Repair::new(pace.repair),
            share_recovery: ShareRecovery::new(pace.repair.patience_ms),
            resharing: Resharing::default(),
            retention: Retention::new(pace.retention),
            steady: SteadyClock::default(),
            digest: OnceLock::new(),
        }
    }

    /// Takes one input; the host carries out the outputs in order (see [`crate::machine`]).
    pub fn handle(
        &mut self,
        now: Timestamp,
        input: Input,
        keys: &SiteKeys,
        rng: &mut impl rand::CryptoRng,
    ) -> Vec<Output> {
        let steady = self.steady.advance(now);
        let changes = self.evidence.changes();
        let brings_documents = matches!(input, Input::Catalog(_) | Input::Release(_) | Input::Resharing(_));
        let outputs = self.handle_at(now, steady, input, keys, rng);
        if brings_documents || self.evidence.changes() != changes {
            self.digest = OnceLock::new();
        }
        outputs
    }

    fn handle_at(
        &mut self,
        now: Timestamp,
        steady: Timestamp,
        input: Input,
        keys: &SiteKeys,
        rng: &mut impl rand::CryptoRng,
    ) -> Vec<Output> {
        match input {
            Input::Catalog(input) => {
                let version = self.catalog.charter().version;
                // A receipt is not dated back when the clock on the wall is.
                let outputs = self.catalog.handle(now.max(self.retention.reading()), input, keys);
                if self.catalog.charter().version != version {
                    // It may have given this site places that were another's.
                    self.repair.look_again();
                    self.share_recovery.look_again();
                }
                self.release.follow_charter(&self.catalog);
                self.evidence.follow_charter(&self.catalog);
                outputs
            }
            Input::Release(input) => self.release.handle(now, input, &self.catalog, keys, rng),
            Input::Evidence(input) => self.evidence.handle(steady, input, &self.catalog),
            Input::Retention(input) => self.retention.handle(input, &self.catalog, keys),
            Input::Repair(input) => {
                let Self { catalog, evidence, repair, retention, .. } = self;
                repair.handle(steady, input, catalog, evidence, retention, keys)
            }
            Input::Resharing(input) => {
                let mut outputs = Vec::new();
                let changed = self.resharing.handle((steady, now), input, &mut self.catalog, keys, rng, &mut outputs);
                self.shares_changed(changed.as_ref());
                outputs
            }
            Input::Answered { ticket, response } if Resharing::is_own(ticket) => {
                let mut outputs = Vec::new();
                let Self { catalog, resharing, .. } = self;
                let changed = resharing.answered((steady, now), ticket, response, catalog, keys, rng, &mut outputs);
                self.shares_changed(changed.as_ref());
                outputs
            }
            Input::Answered { ticket, response } if ShareRecovery::is_own(ticket) => {
                let Self { catalog, evidence, repair, share_recovery, .. } = self;
                let outputs = share_recovery.answered(steady, ticket, response, catalog, evidence, keys, rng);
                for output in &outputs {
                    if let Output::Report(Event::SharesRecovered { database, .. }) = output {
                        repair.shares_came(database);
                    }
                }
                outputs
            }
            Input::Answered { ticket, response } => {
                self.audit.answered(steady, ticket, response, &self.catalog, &mut self.evidence)
            }
            Input::Tick => {
                let mut outputs = Vec::new();
                self.evidence.tick(steady, &mut outputs);
                self.retain((steady, now), keys, &mut outputs);
                let Self { catalog, evidence, repair, retention, .. } = self;
                outputs.extend(repair.tick(steady, catalog, evidence, retention, keys));
                outputs.extend(self.share_recovery.tick(steady, &self.catalog, &self.evidence, keys, rng));
                outputs.extend(self.audit.tick(steady, &self.catalog, &mut self.evidence, keys, rng));
                let Self { catalog, evidence, resharing, .. } = self;
                let changed = resharing.tick((steady, now), catalog, evidence, keys, rng, &mut outputs);
                self.shares_changed(changed.as_ref());
                outputs
            }
        }
    }

    /// What is not kept any more is let go.
    fn retain(&mut self, clocks: (Timestamp, Timestamp), keys: &SiteKeys, outputs: &mut Vec<Output>) {
        self.retention.follow_vetoes(self.release.vetoed());
        let changed = self.retention.tick(clocks, &mut self.catalog, &self.evidence, keys, outputs);
        for database in &changed {
            self.repair.let_go(database, &self.catalog);
        }
        if !changed.is_empty() {
            self.evidence.drop_stale_faults(&self.catalog);
        }
    }

    /// Shares of a database are of a new epoch: who holds what is another question now.
    fn shares_changed(&mut self, database: Option<&DatabaseName>) {
        if let Some(database) = database {
            self.digest = OnceLock::new();
            self.repair.shares_came(database);
            self.share_recovery.look_again();
        }
    }

    /// Puts back a record that was persisted before; kinds come in the order of [`RecordKind::REPLAY_ORDER`], records of a
    /// kind in the order of their keys.
    ///
    /// # Errors
    /// The record does not fit what is here: the state file was damaged or mixed up.
    pub fn replay(&mut self, record: &Record) -> Result<(), String> {
        self.digest = OnceLock::new();
        match record.kind {
            RecordKind::Order | RecordKind::Notice | RecordKind::Veto => self.release.replay(record, &self.catalog),
            RecordKind::Retention => self.retention.replay(record),
            RecordKind::Inventory | RecordKind::AuditReport | RecordKind::Fault => {
                self.evidence.replay(record, &self.catalog)
            }
            RecordKind::Agreement => self.resharing.replay(record),
            RecordKind::Charter
            | RecordKind::Manifest
            | RecordKind::Expiry
            | RecordKind::Epoch
            | RecordKind::Share
            | RecordKind::Receipt
            | RecordKind::Fork => self.catalog.replay(record),
        }
    }
}

#[cfg(test)]
mod tests;
