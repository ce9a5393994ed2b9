//! Taking a manifest: everything that both publishing and following must check.

use crate::catalog::fork::ForkProof;
use crate::catalog::{Catalog, check_writer, history, manifest_refusal};
use crate::document::Manifest;
use crate::machine::{Announcement, Output};
use crate::signature::Signed;
use crate::wire::{Refusal, RefusalCode};

/// What a verified manifest is to the history held here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is here already.
    Known,
    /// It follows the head.
    Next,
}

impl Catalog {
    /// Verifies state, writer and place in the chain.
    pub(super) fn stand(&mut self, signed: &Signed<Manifest>, outputs: &mut Vec<Output>) -> Result<Standing, Refusal> {
        let manifest = signed.document();
        if manifest.state != self.state() {
            return Err(manifest_refusal(format!("the manifest is of state {}", manifest.state)));
        }
        check_writer(self.charter(), signed)?;
        let history = self.databases.entry(manifest.database.clone()).or_default();
        if let Some(held) = history.manifest(manifest.sequence) {
            if held.digest() == signed.digest() {
                return Ok(Standing::Known);
            }
            let proof = ForkProof::of(held, signed);
            self.note_fork(proof, outputs)?;
            let (database, sequence) = (&manifest.database, manifest.sequence);
            let why = format!("another manifest of {database} with sequence {sequence} is held here: FORK");
            return Err(Refusal::new(RefusalCode::Fork, why));
        }
        let head = history.head_sequence();
        if manifest.sequence != head + 1 {
            let why = format!("manifests of {} from sequence {} on are missing here", manifest.database, head + 1);
            return Err(Refusal::new(RefusalCode::Behind, why));
        }
        if manifest.previous != history.digest_at(head) {
            let why = format!("does not follow snapshot {head} of {} that is held here: FORK", manifest.database);
            return Err(Refusal::new(RefusalCode::Fork, why));
        }
        Ok(Standing::Next)
    }

    /// Appends and persists a manifest that stands next.
    pub(super) fn append(&mut self, signed: &Signed<Manifest>, outputs: &mut Vec<Output>) -> Result<(), Refusal> {
        let history = self.databases.entry(signed.document().database.clone()).or_default();
        history.append(signed.clone()).map_err(manifest_refusal)?;
        outputs.push(Output::Persist(history::manifest_record(signed)));
        outputs.push(Output::Announce(Announcement::Manifest(signed.encode().into())));
        Ok(())
    }

    /// Follows a manifest that somebody spreads.
    pub(super) fn take_manifest(&mut self, bytes: &[u8], outputs: &mut Vec<Output>) -> Result<(), Refusal> {
        let signed = Signed::<Manifest>::decode(bytes).map_err(manifest_refusal)?;
        match self.stand(&signed, outputs)? {
            Standing::Known => Ok(()),
            Standing::Next => self.append(&signed, outputs),
        }
    }
}
