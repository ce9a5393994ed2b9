//! What this site knows: the charter chain, the manifests of every database, its own shares, everybody's receipts.
//!
//! A manifest enters in one of two ways: a writer *publishes* it with this site's share ([`publish`]) or another
//! site announces it, alone or in a run with those before it, and this one follows (`run`). Both verify the same
//! things ([`follow`]); only publishing ends in a receipt. Two manifests of one sequence number are kept as proof ([`fork`]) and shown, never resolved by guessing.

mod epochs;
mod expiry;
pub mod follow;
pub mod fork;
mod history;
mod kept_stripes;
pub mod publish;
mod quarantine;
mod receipts;
mod run;

use std::collections::BTreeMap;
use std::sync::Arc;

use shard_codec::Digest;

pub use epochs::Epochs;
pub use history::History;
pub(crate) use history::{key, split_key};
pub use kept_stripes::{KeptStripe, KeptStripes};
pub use quarantine::{Jump, Reasons};
pub use receipts::{Receipts, SPAN};

use crate::document::{Charter, CharterChain, CharterError, Manifest, Receipt, Succession};
use crate::identifier::DatabaseName;
use crate::machine::{Announcement, Event, Output, Record, RecordKind, SiteKeys, Ticket};
use crate::signature::{EnvelopeError, PublicKey, Signed};
use crate::timestamp::Timestamp;
use crate::wire::{Refusal, RefusalCode, Response};
use publish::Pending;

/// What the host tells the catalog.
#[derive(Clone, Debug)]
pub enum Input {
    /// A charter version from an operator's file or from a peer.
    Charter {
        /// Who waits, if anybody.
        ticket: Option<Ticket>,
        /// The envelope.
        bytes: Vec<u8>,
    },
    /// A writer asks for a receipt.
    Publish {
        /// Who waits.
        ticket: Ticket,
        /// The key of the connection.
        caller: PublicKey,
        /// The envelope of the manifest.
        manifest: Vec<u8>,
        /// This site's share, sealed to it.
        sealed_share: Option<Vec<u8>>,
    },
    /// The host looked into the store.
    ShardsChecked {
        /// From [`Output::CheckShards`].
        ticket: Ticket,
        /// What is not there.
        missing: Vec<Digest>,
    },
    /// Another site (or a writer) spreads manifests of one database, each following the one before.
    Manifests {
        /// Who waits, if anybody.
        ticket: Option<Ticket>,
        /// The envelopes.
        run: Vec<Vec<u8>>,
    },
    /// Somebody spreads receipts.
    Receipts {
        /// Who waits, if anybody.
        ticket: Option<Ticket>,
        /// The envelopes; each is taken or refused by itself.
        batch: Vec<Vec<u8>>,
    },
    /// Somebody spreads a fork proof.
    Fork {
        /// Who waits, if anybody.
        ticket: Option<Ticket>,
        /// The proof.
        bytes: Vec<u8>,
    },
}

/// The machine.
#[derive(Debug)]
pub struct Catalog {
    charters: CharterChain,
    succession: Arc<Succession>,
    databases: BTreeMap<DatabaseName, History>,
    pending: BTreeMap<Ticket, Pending>,
}

impl Catalog {
    /// A catalog that knows the charter and nothing else yet.
    #[must_use]
    pub fn new(charters: CharterChain) -> Self {
        let succession = Arc::new(Succession::of(charters.charter()));
        Self { charters, succession, databases: BTreeMap::new(), pending: BTreeMap::new() }
    }

    /// The name of the state.
    #[must_use]
    pub fn state(&self) -> Digest {
        self.charters.state()
    }

    /// The newest charter.
    #[must_use]
    pub fn charter(&self) -> &Charter {
        self.charters.charter()
    }

    /// Who stands in whose place.
    #[must_use]
    pub fn succession(&self) -> &Succession {
        &self.succession
    }

    /// All charter versions.
    #[must_use]
    pub fn charters(&self) -> &CharterChain {
        &self.charters
    }

    /// What is known of one database; `None` until its first manifest (or proof of a fork).
    #[must_use]
    pub fn history(&self, database: &DatabaseName) -> Option<&History> {
        self.databases.get(database)
    }

    /// All databases with at least one manifest (or proof of a fork).
    pub fn histories(&self) -> impl Iterator<Item = (&DatabaseName, &History)> {
        self.databases.iter()
    }

    /// Takes one input; the host carries out the outputs in order (see [`crate::machine`]).
    pub fn handle(&mut self, now: Timestamp, input: Input, keys: &SiteKeys) -> Vec<Output> {
        let mut outputs = Vec::new();
        match input {
            Input::Charter { ticket, bytes } => {
                let result = self.take_charter(&bytes, &mut outputs);
                finish(ticket, result.map(|()| Response::Done), &mut outputs);
            }
            Input::Publish { ticket, caller, manifest, sealed_share } => {
                if let Err(refusal) = self.publish(ticket, caller, &manifest, sealed_share, keys, &mut outputs) {
                    finish(Some(ticket), Err(refusal), &mut outputs);
                }
            }
            Input::ShardsChecked { ticket, missing } => self.shards_checked(now, ticket, missing, keys, &mut outputs),
            Input::Manifests { ticket, run } => {
                let result = self.take_run(&run, &mut outputs);
                finish(ticket, result.map(|()| Response::Done), &mut outputs);
            }
            Input::Receipts { ticket, batch } => {
                let taken = batch.iter().map(|bytes| self.take_receipt(bytes, &mut outputs));
                let result = taken.fold(Ok(()), Result::and); // the first that was refused
                finish(ticket, result.map(|()| Response::Done), &mut outputs);
            }
            Input::Fork { ticket, bytes } => {
                let result = self.take_fork(&bytes, &mut outputs);
                finish(ticket, result.map(|()| Response::Done), &mut outputs);
            }
        }
        outputs
    }

    /// Puts back a record that was persisted before; records come back in the order they were made within a kind,
    /// charters first. Nothing is output.
    ///
    /// # Errors
    /// The record does not fit what is here: the state file was damaged or mixed up.
    pub fn replay(&mut self, record: &Record) -> Result<(), String> {
        if record.kind == RecordKind::Share {
            let (database, sequence) = split_key(&record.key)?;
            let history = self.databases.get_mut(&database).ok_or("a share without its manifest")?;
            if !record.value.is_empty() {
                history.put_share(sequence, record.value.clone()); // an empty one was erased
            }
            return Ok(());
        }
        if record.kind == RecordKind::Expiry {
            return self.replay_expiry(record);
        }
        if record.kind == RecordKind::Epoch && record.value.is_empty() {
            return Ok(()); // no snapshot stands by it any more
        }
        self.learn(record.kind, &record.value).map_err(|refusal| refusal.message)
    }

    /// Verifies and takes one public document without telling anybody: for replay, and for a client that reads the
    /// documents of several sites to see for itself. A manifest or proof is verified under the charter that held when
    /// it was made: its writer may have been replaced since. Whoever decides by a history learned in this way counts
    /// receipts, which a replaced writer cannot give.
    ///
    /// # Errors
    /// The document does not hold, does not follow, or forks; a fork is then among [`History::forks`].
    pub fn learn(&mut self, kind: RecordKind, bytes: &[u8]) -> Result<(), Refusal> {
        let mut ignored = Vec::new();
        match kind {
            RecordKind::Charter => self.take_charter(bytes, &mut ignored),
            RecordKind::Manifest => self.take_manifest_of_its_time(bytes, &mut ignored),
            RecordKind::Receipt => self.take_receipt(bytes, &mut ignored),
            RecordKind::Fork => self.take_fork(bytes, &mut ignored),
            RecordKind::Epoch => self.take_epoch(bytes, &mut ignored).map(|_taken| ()),
            RecordKind::Share
            | RecordKind::Expiry
            | RecordKind::Retention
            | RecordKind::Veto
            | RecordKind::Agreement
            | RecordKind::Order
            | RecordKind::Notice
            | RecordKind::Inventory
            | RecordKind::AuditReport
            | RecordKind::Fault => Err(Refusal::new(RefusalCode::Malformed, "not a public document of the catalog")),
        }
    }

    fn take_charter(&mut self, bytes: &[u8], outputs: &mut Vec<Output>) -> Result<(), Refusal> {
        // Decoding looks at every key in it; what comes again and again is mostly the newest one.
        if self.charters.newest().encode() == bytes {
            return Ok(());
        }
        let refuse = |error: CharterError| Refusal::new(RefusalCode::Charter, error);
        let signed = Signed::<Charter>::decode_form(bytes).map_err(|error| refuse(error.into()))?;
        let version = signed.document().version;
        if self.charters.extend(signed).map_err(refuse)? {
            self.succession = Arc::new(Succession::of(self.charters.charter()));
            self.databases.values_mut().for_each(|history| history.succeed(&self.succession));
            let (key, value) = (version.to_be_bytes().to_vec(), bytes.to_vec());
            outputs.push(Output::Persist(Record { kind: RecordKind::Charter, key, value }));
            outputs.push(Output::Announce(Announcement::Charter(bytes.to_vec().into())));
            outputs.push(Output::Report(Event::CharterAdopted { version }));
        }
        Ok(())
    }

    fn take_receipt(&mut self, bytes: &[u8], outputs: &mut Vec<Output>) -> Result<(), Refusal> {
        let malformed = |error: EnvelopeError| Refusal::new(RefusalCode::Malformed, error);
        let signed = Signed::<Receipt>::decode(bytes).map_err(malformed)?;
        let receipt = signed.document();
        let refuse = |why: String| Refusal::new(RefusalCode::Manifest, why);
        let site = self.charter().site(&receipt.site).ok_or_else(|| refuse(format!("no site {}", receipt.site)))?;
        let identity = site.identity;
        let history = self.databases.get_mut(&receipt.database);
        let known = history.filter(|history| {
            history.manifest(receipt.sequence).is_some_and(|manifest| manifest.digest() == receipt.manifest)
        });
        let Some(history) = known else {
            return Err(refuse("a receipt for a manifest that is not known here".to_owned()));
        };
        // Every site brings every receipt: a signature is worth looking at only if the receipt would change something.
        if history.is_news(receipt) {
            signed.verify(identity).map_err(|error| refuse(error.to_string()))?;
            outputs.push(Output::Persist(history::receipt_record(&signed)));
            history.put_receipt(signed);
        }
        Ok(())
    }
}

fn finish(ticket: Option<Ticket>, result: Result<Response, Refusal>, outputs: &mut Vec<Output>) {
    if let Err(refusal) = &result {
        outputs.push(Output::Report(Event::Refused { reason: refusal.message.clone() }));
    }
    if let Some(ticket) = ticket {
        outputs.push(Output::Reply(ticket, Box::new(result)));
    }
}

/// The version that a manifest names.
fn charter_of<'a>(charters: &'a CharterChain, signed: &Signed<Manifest>) -> Result<&'a Charter, Refusal> {
    let named = signed.document().charter;
    let version = charters.iter().find(|version| version.digest() == named);
    version
        .map(Signed::document)
        .ok_or_else(|| Refusal::new(RefusalCode::Charter, format!("the manifest's charter {named} is not known here")))
}

fn manifest_refusal(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(RefusalCode::Manifest, why)
}

/// The history of a database, begun if there is none.
fn begun<'a>(
    databases: &'a mut BTreeMap<DatabaseName, History>,
    succession: &Arc<Succession>,
    database: &DatabaseName,
) -> &'a mut History {
    databases.entry(database.clone()).or_insert_with(|| History::under(succession))
}

impl Catalog {
    /// The charter version that a manifest says it was written under.
    fn charter_of(&self, signed: &Signed<Manifest>) -> Result<&Charter, Refusal> {
        charter_of(&self.charters, signed)
    }
}

/// Whether `signed` is signed by one writer of its database under `charter`.
fn check_writer(charter: &Charter, signed: &Signed<Manifest>) -> Result<(), Refusal> {
    let manifest = signed.document();
    let database = charter
        .database(&manifest.database)
        .ok_or_else(|| manifest_refusal(format!("the charter knows no database {}", manifest.database)))?;
    let writers = database.writers.iter().copied().collect();
    crate::signature::quorum::verify(signed, &writers, 1)
        .map(|_writer| ())
        .map_err(|error| manifest_refusal(format!("not signed by a writer of {}: {error}", manifest.database)))
}

#[cfg(test)]
mod tests;
