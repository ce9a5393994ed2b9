//! Publishing: a writer brings a manifest and this site's share, and gets a receipt for what is on the disk.

use shard_codec::Digest;
use shard_codec::secret_sharing::{Share, verify_share};
use shard_codec::share_sealing::{open_sealed, seal_to, sealing_context};

use crate::catalog::follow::{Standing, check_against_charter};
use crate::catalog::run::announce;
use crate::catalog::{Catalog, History, begun, finish, history, manifest_refusal};
use crate::document::{Manifest, Receipt};
use crate::identifier::{DatabaseName, SiteName};
use crate::limits::{PAGE_ENTRIES_MAX, SEALED_SHARE_BYTES_MAX};
use crate::machine::{Announcement, Event, Output, Record, RecordKind, SiteKeys, Ticket};
use crate::signature::{PublicKey, Signed};
use crate::timestamp::Timestamp;
use crate::wire::{Refusal, RefusalCode, Response};

/// A publication that waits for the store.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    database: DatabaseName,
    sequence: u64,
    holds_share: bool,
    places_shards: bool,
}

impl Catalog {
    pub(super) fn publish(
        &mut self,
        ticket: Ticket,
        caller: PublicKey,
        bytes: &[u8],
        sealed_share: Option<Vec<u8>>,
        keys: &SiteKeys,
        outputs: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let signed = Signed::<Manifest>::decode(bytes).map_err(manifest_refusal)?;
        let manifest = signed.document();
        let standing = self.stand(&signed, outputs)?;
        let database = self.charter().database(&manifest.database).cloned();
        let database = database.ok_or_else(|| manifest_refusal("no such database"))?;
        if !database.writers.contains(&caller) {
            let why = format!("{caller} is not a writer of {}", database.name);
            return Err(Refusal::new(RefusalCode::NotAllowed, why));
        }
        if standing == Standing::Next {
            check_against_charter(self.charter(), manifest)?;
        }
        // A share of an epoch that is past is worth nothing, and nobody is to keep it.
        let is_current = self
            .history(&database.name)
            .is_none_or(|history| history.custody_of(manifest).epoch == manifest.custody.epoch);
        let is_past = self.head_sequence_of(&database.name) > manifest.sequence;
        if sealed_share.is_some() && !is_current && is_past {
            let why = "the shares of this snapshot were given on since it was made: this one is of no use any more";
            return Err(Refusal::new(RefusalCode::Share, why));
        }
        let is_discarded = self.history(&database.name).is_some_and(|history| history.is_discarded(manifest.sequence));
        if sealed_share.is_some() && is_discarded {
            let why = "the snapshot has reached the end of its retention: its share is of no use any more";
            return Err(Refusal::new(RefusalCode::Share, why));
        }
        let sealed_share = sealed_share.filter(|_sealed| is_current);
        if let Some(sealed) = &sealed_share {
            check_share(manifest, sealed, keys)?;
        }
        if standing == Standing::Next {
            self.append(&signed, outputs)?;
            announce(&signed, outputs);
        }
        let history = begun(&mut self.databases, &self.succession, &database.name);
        if let Some(sealed) = sealed_share
            && history.share(manifest.sequence).is_none()
        {
            let (kind, key) = (RecordKind::Share, history::key(&database.name, manifest.sequence));
            outputs.push(Output::Persist(Record { kind, key, value: sealed.clone() }));
            history.put_share(manifest.sequence, sealed);
        }
        // Live stripes are those of the head: of an older snapshot nothing is promised but the share, which came late.
        let is_head = history.head_sequence() == manifest.sequence;
        let roots: Vec<Digest> = (history.live_stripes().iter())
            .filter(|_live| is_head)
            .filter_map(|live| live.shard_due_at(&keys.name).map(|(_index, root)| root))
            .collect();
        // A site that the placement took in later has no shard of older stripes: it must not say it holds them all.
        let places_shards = is_head && database.placement.contains(&keys.name);
        let pending = Pending {
            database: database.name.clone(),
            sequence: manifest.sequence,
            holds_share: history.share(manifest.sequence).is_some(),
            places_shards: places_shards && roots.len() == history.live_stripes().len(),
        };
        self.pending.insert(ticket, pending);
        outputs.push(Output::CheckShards { ticket, roots });
        Ok(())
    }

    fn head_sequence_of(&self, database: &DatabaseName) -> u64 {
        self.history(database).map_or(0, History::head_sequence)
    }

    /// The store has answered: give the receipt that is true.
    pub(super) fn shards_checked(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        mut missing: Vec<Digest>,
        keys: &SiteKeys,
        outputs: &mut Vec<Output>,
    ) {
        let Some(pending) = self.pending.remove(&ticket) else { return };
        let missing_count = missing.len();
        #[cfg(feature = "planted-bugs")]
        if crate::planted::is_planted(crate::planted::Bug::ReceiptDespiteMissing) {
            missing.clear();
        }
        missing.truncate(PAGE_ENTRIES_MAX);
        let receipt = self.receipt(now, &pending, missing.is_empty(), keys).inspect(|signed| {
            let history = begun(&mut self.databases, &self.succession, &pending.database);
            if history.put_receipt(signed.clone()) {
                outputs.push(Output::Persist(history::receipt_record(signed)));
                outputs.push(Output::Announce(Announcement::Receipt(signed.encode().into())));
            }
        });
        let (database, sequence) = (pending.database, pending.sequence);
        outputs.push(Output::Report(Event::SnapshotHeld { database, sequence, missing_count }));
        let receipt = receipt.map(|signed| self.first_to_say(signed).encode().into());
        finish(Some(ticket), Ok(Response::Published { receipt, missing }), outputs);
    }

    /// The receipt that this site gave first of those that say the same: a second one would be another time by which the
    /// snapshot was accepted.
    fn first_to_say(&self, receipt: Signed<Receipt>) -> Signed<Receipt> {
        let said = receipt.document();
        let says_the_same =
            |held: &&Signed<Receipt>| *held.document() == Receipt { at: held.document().at, ..said.clone() };
        let history = self.history(&said.database).into_iter();
        let held = history.flat_map(|history| history.receipts(said.sequence)).find(says_the_same).cloned();
        held.unwrap_or(receipt)
    }

    fn receipt(
        &self,
        now: Timestamp,
        pending: &Pending,
        all_shards_present: bool,
        keys: &SiteKeys,
    ) -> Option<Signed<Receipt>> {
        let manifest = self.history(&pending.database)?.manifest(pending.sequence)?.digest();
        let receipt = Receipt {
            state: self.state(),
            database: pending.database.clone(),
            sequence: pending.sequence,
            manifest,
            site: keys.name.clone(),
            holds_shards: pending.places_shards && all_shards_present,
            holds_share: pending.holds_share,
            at: now,
        };
        Signed::sign_new(receipt, &keys.identity).ok()
    }
}

impl Catalog {
    /// Keeps a share of this site that the other custodians made, sealed to itself like those that came from home.
    /// The digest in the manifest is of what home sealed, so it is the commitments that vouch for this one.
    ///
    /// # Errors
    /// It is not this site's share of that snapshot.
    pub(crate) fn keep_recovered_share(
        &mut self,
        database: &DatabaseName,
        sequence: u64,
        share: &Share,
        keys: &SiteKeys,
        rng: &mut impl rand::CryptoRng,
        outputs: &mut Vec<Output>,
    ) -> Result<(), String> {
        let history = self.databases.get_mut(database).ok_or("no such database")?;
        let manifest = history.manifest(sequence).ok_or("no such snapshot")?.document();
        let custody = history.custody_of(manifest);
        let index = custody.index_due_at(&keys.name, &self.succession);
        let index = index.ok_or("this site is not a custodian of the snapshot")?;
        let commitments = custody.commitments()?;
        let threshold = usize::from(custody.threshold);
        verify_share(share, index, threshold, &commitments).map_err(|error| error.to_string())?;
        if history.share(sequence).is_some() || history.is_discarded(sequence) {
            return Ok(()); // home was faster, or it has gone meanwhile
        }
        let context = share_context(manifest, custody.epoch, &keys.name);
        let sealed = share.to_bytes().expose(|bytes| seal_to(&keys.sealing.public(), &context, bytes, rng));
        let sealed = sealed.map_err(|error| error.to_string())?;
        let (kind, key) = (RecordKind::Share, history::key(database, sequence));
        outputs.push(Output::Persist(Record { kind, key, value: sealed.clone() }));
        history.put_share(sequence, sealed);
        Ok(())
    }
}

/// Opens the share and verifies it against the public commitments, before anything is promised. Who is a custodian is
/// said by the manifest, which was held against the charter of its time: its shares were sealed to these and no others.
fn check_share(manifest: &Manifest, sealed: &[u8], keys: &SiteKeys) -> Result<(), Refusal> {
    let refuse = |why: String| Refusal::new(RefusalCode::Share, why);
    let (custody, me) = (&manifest.custody, &keys.name);
    let Some(index) = custody.index_of(me) else {
        return Err(refuse("this site is not a custodian of the snapshot".to_owned()));
    };
    if sealed.len() > SEALED_SHARE_BYTES_MAX
        || custody.share_digests.get(usize::from(index.get()) - 1) != Some(&Digest::of(sealed))
    {
        return Err(refuse("the sealed share is not the one the manifest names for this site".to_owned()));
    }
    #[cfg(feature = "planted-bugs")]
    if crate::planted::is_planted(crate::planted::Bug::UnverifiedShare) {
        return Ok(());
    }
    let share = open_share(manifest, custody.epoch, me, sealed, keys).map_err(refuse)?;
    let commitments = custody.commitments().map_err(refuse)?;
    verify_share(&share, index, usize::from(custody.threshold), &commitments).map_err(|error| refuse(error.to_string()))
}

/// Opens the share of an epoch that was sealed to `me`.
///
/// # Errors
/// Sealed for another site, snapshot, epoch or key.
pub(crate) fn open_share(
    manifest: &Manifest,
    epoch: u64,
    me: &SiteName,
    sealed: &[u8],
    keys: &SiteKeys,
) -> Result<Share, String> {
    let context = share_context(manifest, epoch, me);
    let opened = open_sealed(&keys.sealing, &context, sealed).map_err(|error| error.to_string())?;
    Share::from_bytes(&opened).map_err(|error| error.to_string())
}

/// What binds a sealed share to its place: state, database, sequence, epoch, site.
#[must_use]
pub fn share_context(manifest: &Manifest, epoch: u64, site: &SiteName) -> Vec<u8> {
    sealing_context(&manifest.state, manifest.database.as_str(), manifest.sequence, epoch, site.as_str())
}
