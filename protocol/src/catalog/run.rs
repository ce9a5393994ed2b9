//! Following: manifests that somebody spreads, as a run in which each one names the digest of the one before.
//!
//! A manifest needs a writer of the newest charter, so that a stolen key is worth nothing once it is replaced. But a
//! site that was away when a writer was replaced still lacks what the old one published. So in a run the last manifest
//! that a writer of today signed vouches for all before it: he chose to go on from them.

use crate::catalog::follow::check_against_charter;
use crate::catalog::{Catalog, History, check_writer, manifest_refusal};
use crate::document::Manifest;
use crate::limits::{RUN_BYTES_MAX, RUN_ENTRIES_MAX};
use crate::machine::Output;
use crate::signature::Signed;
use crate::wire::{Refusal, RefusalCode};

impl Catalog {
    /// Takes what is new of a run, as far as somebody vouches for it; all of that is verified before any of it is kept.
    pub(super) fn take_run(&mut self, run: &[Vec<u8>], outputs: &mut Vec<Output>) -> Result<(), Refusal> {
        let run = decode(run)?;
        run.iter().try_for_each(|signed| self.check_state(signed))?;
        let history = run.first().and_then(|first| self.history(&first.document().database));
        let head = history.map_or(0, History::head_sequence);
        let known = run.iter().take_while(|signed| signed.document().sequence <= head).count();
        let (known, new) = run.split_at(known);
        for signed in known {
            self.place(signed, outputs)?; // another manifest of that number is a fork
        }
        let (vouched, rest) = new.split_at(self.count_vouched(new)?);
        if let Some(first) = vouched.first() {
            self.place(first, outputs)?;
            self.verify_run(vouched)?;
            for signed in vouched {
                self.append(signed, outputs)?;
            }
        }
        // Whoever lacks those before it asks for them.
        if let Some(newest) = vouched.last() {
            announce(newest, outputs);
        }
        rest.first().map_or(Ok(()), |unvouched| check_writer(self.charter(), unvouched))
    }

    /// How many a writer of today vouches for: all up to the last that is his. His signature is the first that is verified:
    /// the digests hold all others fast, so nobody without such a key makes a site verify a whole run.
    fn count_vouched(&self, run: &[Signed<Manifest>]) -> Result<usize, Refusal> {
        let is_of_today = |signed: &Signed<Manifest>| {
            let database = self.charter().database(&signed.document().database);
            database.is_some_and(|entry| signed.signatures().iter().any(|one| entry.writers.contains(&one.key)))
        };
        let Some(position) = run.iter().rposition(is_of_today) else { return Ok(0) };
        run.get(position).map_or(Ok(()), |voucher| check_writer(self.charter(), voucher))?;
        Ok(position + 1)
    }

    /// Each one by the charter it names, which is all that a replay, or a reader in thirty years, can check.
    fn verify_run(&self, run: &[Signed<Manifest>]) -> Result<(), Refusal> {
        for signed in run {
            let charter = self.charter_of(signed)?;
            check_writer(charter, signed)?;
            check_against_charter(charter, signed.document())?;
        }
        for (before, after) in run.iter().zip(run.iter().skip(1)) {
            self.check_charter_order(before, after)?;
        }
        let history = run.first().and_then(|first| self.history(&first.document().database));
        let documents = run.iter().map(Signed::document);
        history.unwrap_or(&History::default()).live_stripes().fit(documents).map_err(manifest_refusal)
    }
}

/// Decodes a run and checks that each manifest follows the one before.
fn decode(run: &[Vec<u8>]) -> Result<Vec<Signed<Manifest>>, Refusal> {
    let bytes: usize = run.iter().map(Vec::len).sum();
    if run.is_empty() || run.len() > RUN_ENTRIES_MAX || bytes > RUN_BYTES_MAX {
        let why = format!("a run has 1 to {RUN_ENTRIES_MAX} manifests of {RUN_BYTES_MAX} bytes together");
        return Err(Refusal::new(RefusalCode::Malformed, why));
    }
    let decoded: Result<Vec<_>, _> = run.iter().map(|bytes| Signed::<Manifest>::decode(bytes)).collect();
    let decoded = decoded.map_err(manifest_refusal)?;
    for (before, signed) in decoded.iter().zip(decoded.iter().skip(1)) {
        let (earlier, later) = (before.document(), signed.document());
        let follows = later.database == earlier.database
            && later.sequence.checked_sub(1) == Some(earlier.sequence)
            && later.previous == Some(before.digest());
        if !follows {
            let why = format!("manifest {} does not follow the one before it in the run", later.sequence);
            return Err(manifest_refusal(why));
        }
    }
    Ok(decoded)
}

/// Spreads one manifest.
pub(super) fn announce(signed: &Signed<Manifest>, outputs: &mut Vec<Output>) {
    let run = vec![signed.encode().into()];
    outputs.push(Output::Announce(crate::machine::Announcement::Manifests(run)));
}
