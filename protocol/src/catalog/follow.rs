//! Taking a manifest: everything that both publishing and following must check.

use crate::catalog::fork::ForkProof;
use crate::catalog::{Catalog, History, begun, check_writer, history, manifest_refusal};
use crate::document::{Charter, Manifest};
use crate::machine::Output;
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
    /// Verifies state, writer, charter and place in the chain.
    pub(super) fn stand(&mut self, signed: &Signed<Manifest>, outputs: &mut Vec<Output>) -> Result<Standing, Refusal> {
        self.check_state(signed)?;
        check_writer(self.charter(), signed)?;
        // And of the charter it names, which is all that a replay, or a reader in thirty years, can check.
        let named = self.charter_of(signed)?;
        if named.version != self.charter().version {
            check_writer(named, signed)?;
        }
        let standing = self.place(signed, outputs)?;
        if standing == Standing::Next {
            // Here and not only on publishing: a manifest that was announced first is known when it is published.
            check_against_charter(self.charter_of(signed)?, signed.document())?;
        }
        Ok(standing)
    }

    pub(super) fn check_state(&self, signed: &Signed<Manifest>) -> Result<(), Refusal> {
        let found = signed.document().state;
        if found == self.state() { Ok(()) } else { Err(manifest_refusal(format!("the manifest is of state {found}"))) }
    }

    /// Where a manifest stands in the chain held here.
    pub(super) fn place(&mut self, signed: &Signed<Manifest>, outputs: &mut Vec<Output>) -> Result<Standing, Refusal> {
        let manifest = signed.document();
        let history = self.history(&manifest.database);
        if let Some(held) = history.and_then(|history| history.manifest(manifest.sequence)) {
            if held.digest() == signed.digest() {
                return Ok(Standing::Known);
            }
            let proof = ForkProof::of(held, signed);
            self.note_fork(proof, outputs)?;
            let (database, sequence) = (&manifest.database, manifest.sequence);
            let why = format!("another manifest of {database} with sequence {sequence} is held here: FORK");
            return Err(Refusal::new(RefusalCode::Fork, why));
        }
        let head = history.map_or(0, History::head_sequence);
        #[cfg(feature = "planted-bugs")]
        if crate::planted::is_planted(crate::planted::Bug::HeadWithoutPredecessor) && manifest.sequence > head + 1 {
            return Ok(Standing::Next);
        }
        if manifest.sequence != head + 1 {
            let why = format!("manifests of {} from sequence {} on are missing here", manifest.database, head + 1);
            return Err(Refusal::new(RefusalCode::Behind, why));
        }
        if manifest.previous != history.and_then(|history| history.digest_at(head)) {
            let why = format!("does not follow snapshot {head} of {} that is held here: FORK", manifest.database);
            return Err(Refusal::new(RefusalCode::Fork, why));
        }
        let before = history.and_then(History::head);
        before.map_or(Ok(()), |before| self.check_charter_order(before, signed))?;
        Ok(Standing::Next)
    }

    pub(super) fn check_charter_order(
        &self,
        before: &Signed<Manifest>,
        signed: &Signed<Manifest>,
    ) -> Result<(), Refusal> {
        let later = self.charter_of(signed)?.version;
        if self.charter_of(before).is_ok_and(|before| before.version > later) {
            return Err(manifest_refusal("the manifest names an older charter than the snapshot before it"));
        }
        Ok(())
    }

    /// Appends and persists a manifest that stands next.
    pub(super) fn append(&mut self, signed: &Signed<Manifest>, outputs: &mut Vec<Output>) -> Result<(), Refusal> {
        let database = &signed.document().database;
        let known = self.databases.contains_key(database);
        let history = begun(&mut self.databases, &self.succession, database);
        if let Err(why) = history.append(signed.clone()) {
            if !known {
                self.databases.remove(database);
            }
            return Err(manifest_refusal(why));
        }
        outputs.push(Output::Persist(history::manifest_record(signed)));
        Ok(())
    }

    /// Takes a manifest signed by a writer of the charter it names, which may be an older one.
    pub(super) fn take_manifest_of_its_time(&mut self, bytes: &[u8], outputs: &mut Vec<Output>) -> Result<(), Refusal> {
        let signed = Signed::<Manifest>::decode(bytes).map_err(manifest_refusal)?;
        self.check_state(&signed)?;
        check_writer(self.charter_of(&signed)?, &signed)?;
        match self.place(&signed, outputs)? {
            Standing::Known => Ok(()),
            Standing::Next => {
                check_against_charter(self.charter_of(&signed)?, signed.document())?;
                self.append(&signed, outputs)
            }
        }
    }
}

/// A manifest keeps to the charter: otherwise a writer could place all shards or shares with one coalition.
pub(super) fn check_against_charter(charter: &Charter, manifest: &Manifest) -> Result<(), Refusal> {
    let database = charter.database(&manifest.database);
    let database = database.ok_or_else(|| manifest_refusal("the manifest's charter knows no such database"))?;
    let custody = &manifest.custody;
    for (what, holds) in [
        ("data_shards", manifest.data_shards == database.data_shards),
        ("placement", manifest.placement == database.placement),
        ("custodians", custody.custodians == database.custodians),
        ("threshold", custody.threshold == database.threshold),
    ] {
        if !holds {
            let why = format!("{what} of the manifest is not what the charter says: fetch the newest charter");
            return Err(manifest_refusal(why));
        }
    }
    Ok(())
}
