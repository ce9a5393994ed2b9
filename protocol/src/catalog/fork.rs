//! Proof that a writer signed two histories.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use shard_codec::Digest;

use crate::catalog::{Catalog, begun, charter_of, check_writer, history, manifest_refusal};
use crate::cbor;
use crate::document::{CharterChain, Manifest};
use crate::identifier::DatabaseName;
use crate::limits::FRAME_BYTES_MAX;
use crate::machine::{Announcement, Event, Output, Record, RecordKind};
use crate::signature::Signed;
use crate::wire::Refusal;

/// Proofs kept of one database at the most: one is an alarm, and more would only fill the disks.
pub const FORKS_MAX: usize = 16;

/// Two manifests of one database and one sequence number, both signed by a writer. Anybody who has the charter can
/// check it; it needs no signature of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForkProof {
    /// Envelope of one manifest; its digest is the smaller one.
    pub first: ByteBuf,
    /// Envelope of the other.
    pub second: ByteBuf,
}

/// What a checked proof proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The database.
    pub database: DatabaseName,
    /// The sequence number that was used twice.
    pub sequence: u64,
    /// Digests of the two manifests.
    pub digests: [Digest; 2],
}

impl ForkProof {
    /// Puts two manifests together, in the order that makes the proof unique.
    #[must_use]
    pub fn of(a: &Signed<Manifest>, b: &Signed<Manifest>) -> Self {
        let (first, second) = if a.digest() <= b.digest() { (a, b) } else { (b, a) };
        Self { first: first.encode().into(), second: second.encode().into() }
    }

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Checks each manifest under the charter version that it names: a proof outlives the writer, whose key the next
    /// charter replaces.
    ///
    /// # Errors
    /// It proves nothing: one manifest twice, two sequences, or not signed by a writer.
    pub fn verify(&self, charters: &CharterChain) -> Result<Fork, Refusal> {
        let decode = |bytes: &[u8]| Signed::<Manifest>::decode(bytes).map_err(manifest_refusal);
        let (first, second) = (decode(&self.first)?, decode(&self.second)?);
        check_writer(charter_of(charters, &first)?, &first)?;
        check_writer(charter_of(charters, &second)?, &second)?;
        let (a, b) = (first.document(), second.document());
        let same_place = a.state == b.state && a.database == b.database && a.sequence == b.sequence;
        if !same_place || first.digest() >= second.digest() {
            return Err(manifest_refusal("the two manifests do not prove a fork"));
        }
        Ok(Fork { database: a.database.clone(), sequence: a.sequence, digests: [first.digest(), second.digest()] })
    }
}

impl Catalog {
    /// Keeps, spreads and reports a proof that is new.
    pub(super) fn note_fork(&mut self, proof: ForkProof, outputs: &mut Vec<Output>) -> Result<(), Refusal> {
        let fork = proof.verify(&self.charters)?;
        #[cfg(feature = "planted-bugs")]
        if crate::planted::is_planted(crate::planted::Bug::ForkForgotten) {
            return Ok(());
        }
        let bytes = proof.encode();
        let history = begun(&mut self.databases, &self.succession, &fork.database);
        if history.forks().count() < FORKS_MAX && history.put_fork(fork.sequence, proof) {
            let (kind, key) = (RecordKind::Fork, history::key(&fork.database, fork.sequence));
            outputs.push(Output::Persist(Record { kind, key, value: bytes.clone() }));
            outputs.push(Output::Announce(Announcement::Fork(bytes.into())));
            outputs.push(Output::Report(Event::Forked { database: fork.database, sequence: fork.sequence }));
        }
        Ok(())
    }

    pub(super) fn take_fork(&mut self, bytes: &[u8], outputs: &mut Vec<Output>) -> Result<(), Refusal> {
        let proof: ForkProof = cbor::decode(bytes, 2 * FRAME_BYTES_MAX).map_err(manifest_refusal)?;
        self.note_fork(proof, outputs)
    }
}
