//! Vetoes stand in the log beside what was opened: an official's act, spread and kept like any other.

use std::collections::BTreeSet;

use shard_codec::Digest;

use crate::catalog::Catalog;
use crate::document::{Charter, Veto};
use crate::machine::{Announcement, Event, Output, Record, RecordKind};
use crate::release::{LogEntry, Release, order_refusal};
use crate::signature::{PublicKey, Signed, quorum};
use crate::wire::{Refusal, Response};

impl Release {
    /// Charters by whose rules no snapshot goes.
    #[must_use]
    pub const fn vetoed(&self) -> &BTreeSet<Digest> {
        &self.vetoed
    }

    pub(super) fn take_veto(
        &mut self,
        bytes: &[u8],
        position: Option<u64>,
        catalog: &Catalog,
        outputs: &mut Vec<Output>,
    ) -> Result<Response, Refusal> {
        let Some(signed) = self.news::<Veto>(bytes, position)? else { return Ok(Response::Done) };
        let veto = signed.document();
        if veto.state != catalog.state() {
            return Err(order_refusal("the veto is of another state"));
        }
        let version = catalog.charters().iter().position(|charter| charter.digest() == veto.charter);
        let version = version.ok_or_else(|| order_refusal("the charter that the veto names is not known here"))?;
        if version == 0 {
            return Err(order_refusal("the founding charter cannot be vetoed: there is none before it"));
        }
        quorum::verify(&signed, &roll(catalog, version), 1).map_err(order_refusal)?;
        // One is enough: others would say the same.
        if !self.vetoed.insert(veto.charter) {
            return Ok(Response::Done);
        }
        let (value, digest) = (signed.encode(), signed.digest());
        self.envelopes.insert(Digest::of(&value));
        let key = self.log_entry(position, digest, LogEntry::Veto(signed));
        outputs.push(Output::Persist(Record { kind: RecordKind::Veto, key, value: value.clone() }));
        outputs.push(Output::Announce(Announcement::Veto(value.into())));
        outputs.push(Output::Report(Event::Vetoed { version: version as u64 + 1 }));
        Ok(Response::Done)
    }
}

/// Officials of the charter at this place of the chain, and of the one before: who is put off the roll by it may veto it.
fn roll(catalog: &Catalog, version: usize) -> BTreeSet<PublicKey> {
    let rolls = catalog.charters().iter().map(Signed::document).map(Charter::roll);
    let rolls = rolls.enumerate().filter(|(place, _roll)| *place == version || *place + 1 == version);
    rolls.flat_map(|(_place, roll)| roll).collect()
}
