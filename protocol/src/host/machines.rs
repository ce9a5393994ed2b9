//! The machines of one site, and which input is for which.

use crate::catalog::{self, Catalog};
use crate::document::CharterChain;
use crate::machine::{Announcement, Output, Record, RecordKind, SiteKeys, Ticket};
use crate::release::{self, Release};
use crate::timestamp::Timestamp;

/// All machines of a site.
#[derive(Debug)]
pub struct Machines {
    /// What is known.
    pub catalog: Catalog,
    /// What was opened.
    pub release: Release,
}

/// One input for any of them.
#[derive(Clone, Debug)]
pub enum Input {
    /// For the catalog.
    Catalog(catalog::Input),
    /// For the release machine.
    Release(release::Input),
}

impl Input {
    /// The input that an announcement is.
    #[must_use]
    pub fn announced(ticket: Option<Ticket>, announcement: Announcement) -> Self {
        match announcement {
            Announcement::Charter(bytes) => Self::Catalog(catalog::Input::Charter { ticket, bytes: bytes.into_vec() }),
            Announcement::Manifests(run) => {
                let run = run.into_iter().map(serde_bytes::ByteBuf::into_vec).collect();
                Self::Catalog(catalog::Input::Manifests { ticket, run })
            }
            Announcement::Receipt(bytes) => Self::Catalog(catalog::Input::Receipt { ticket, bytes: bytes.into_vec() }),
            Announcement::Fork(bytes) => Self::Catalog(catalog::Input::Fork { ticket, bytes: bytes.into_vec() }),
            Announcement::Order(bytes) => Self::Release(release::Input::Order { ticket, bytes: bytes.into_vec() }),
            Announcement::Notice(bytes) => Self::Release(release::Input::Notice { ticket, bytes: bytes.into_vec() }),
        }
    }
}

impl Machines {
    /// Machines that know the charter and nothing else yet.
    #[must_use]
    pub fn new(charters: CharterChain) -> Self {
        Self { catalog: Catalog::new(charters), release: Release::new() }
    }

    /// Takes one input; the host carries out the outputs in order (see [`crate::machine`]).
    pub fn handle(
        &mut self,
        now: Timestamp,
        input: Input,
        keys: &SiteKeys,
        rng: &mut impl rand::CryptoRng,
    ) -> Vec<Output> {
        match input {
            Input::Catalog(input) => self.catalog.handle(now, input, keys),
            Input::Release(input) => self.release.handle(now, input, &self.catalog, keys, rng),
        }
    }

    /// Puts back a record that was persisted before; kinds come in the order of [`RecordKind::REPLAY_ORDER`], records of a
    /// kind in the order of their keys.
    ///
    /// # Errors
    /// The record does not fit what is here: the state file was damaged or mixed up.
    pub fn replay(&mut self, record: &Record) -> Result<(), String> {
        match record.kind {
            RecordKind::Order | RecordKind::Notice => self.release.replay(record, &self.catalog),
            RecordKind::Charter | RecordKind::Manifest | RecordKind::Share | RecordKind::Receipt | RecordKind::Fork => {
                self.catalog.replay(record)
            }
        }
    }
}
