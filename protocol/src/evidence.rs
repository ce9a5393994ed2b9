//! What sites say of themselves and of each other after their receipts: what they lack, what they audited, and losses
//! that are proven.
//!
//! An inventory or a report is its signer's word and replaced by the next one. A proven loss stands by itself: it is
//! the audited site's own signed answer, judged by everybody alike ([`crate::audit::verdict`]). Only one's own audit
//! closes it again, so no pair of liars can clear each other.

mod shard_name;
mod turns;

use std::collections::{BTreeMap, BTreeSet};

use shard_codec::Digest;

use crate::audit::verdict::{Verdict, judge};
use crate::catalog::Catalog;
use crate::document::{AuditAnswer, AuditReport, Document, Inventory};
use crate::host::answer::Kind;
use crate::identifier::{DatabaseName, SiteName};
use crate::machine::{Announcement, Event, Output, Record, RecordKind, Ticket};
use crate::signature::Signed;
use crate::signature::quorum::verify_single;
use crate::timestamp::Timestamp;
use crate::wire::summary::known;
use crate::wire::{Refusal, RefusalCode, Response};
pub use shard_name::ShardName;
use turns::{Turns, Word};
pub use turns::{WORD_INTERVAL_MS, WORDS_AT_ONCE_MAX};

/// What the host tells.
#[derive(Clone, Debug)]
pub enum Input {
    /// Somebody spreads an inventory.
    Inventory {
        /// Who waits, if anybody.
        ticket: Option<Ticket>,
        /// The envelope.
        bytes: Vec<u8>,
    },
    /// Somebody spreads an audit report.
    Report {
        /// Who waits, if anybody.
        ticket: Option<Ticket>,
        /// The envelope.
        bytes: Vec<u8>,
    },
    /// Somebody spreads an answer that proves a loss.
    Fault {
        /// Who waits, if anybody.
        ticket: Option<Ticket>,
        /// The envelope.
        bytes: Vec<u8>,
    },
}

#[derive(Clone, Copy, Debug, Default)]
struct FaultCount {
    open: usize,
    kept: usize,
}

/// A proven loss.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The answer that proves it.
    pub evidence: Signed<AuditAnswer>,
    /// Whether the shard has not been proven here since.
    pub is_open: bool,
}

/// Losses of one site kept for one database. A site of which so many stand is not counted on for any shard of it: more
/// of them would prove no more, and a failing disk must not fill the disks of the others.
pub const FAULTS_OF_A_SITE_MAX: usize = 64;

/// All of it.
#[derive(Debug, Default)]
pub struct Evidence {
    inventories: BTreeMap<DatabaseName, BTreeMap<SiteName, Signed<Inventory>>>,
    reports: BTreeMap<SiteName, Signed<AuditReport>>,
    faults: BTreeMap<ShardName, Fault>,
    /// How many stand open, and how many are kept, of each site.
    fault_counts: BTreeMap<(DatabaseName, SiteName), FaultCount>,
    turns: Turns,
    /// The charter by which the losses were held against the holders of their shards.
    charter_version: u64,
    /// Grows with every change.
    changes: u64,
}

impl Evidence {
    /// The newest inventory of a site.
    #[must_use]
    pub fn inventory(&self, database: &DatabaseName, site: &SiteName) -> Option<&Signed<Inventory>> {
        self.inventories.get(database)?.get(site)
    }

    /// The newest inventory of every site that gave one, for one database.
    pub fn inventories(&self, database: &DatabaseName) -> impl Iterator<Item = &Signed<Inventory>> {
        self.inventories.get(database).into_iter().flat_map(BTreeMap::values)
    }

    /// The newest report of every auditor.
    pub fn reports(&self) -> impl Iterator<Item = &Signed<AuditReport>> {
        self.reports.values()
    }

    /// Proven losses, closed ones too.
    pub fn faults(&self) -> impl Iterator<Item = (&ShardName, &Fault)> {
        self.faults.iter()
    }

    /// Proven losses of one database that were not disproved since.
    pub fn open_faults<'a>(&'a self, database: &'a DatabaseName) -> impl Iterator<Item = (&'a ShardName, &'a Fault)> {
        self.faults_of(database).filter(|(_shard, fault)| fault.is_open)
    }

    /// Whether a loss of this shard was proven and not disproved since.
    #[must_use]
    pub fn is_lost(&self, database: &DatabaseName, stripe_number: u64, shard_index: u8, root: Digest) -> bool {
        if self.faults.is_empty() {
            return false;
        }
        let shard = ShardName { database: database.clone(), stripe_number, shard_index, root };
        self.faults.get(&shard).is_some_and(|fault| fault.is_open)
    }

    /// Whether so many losses of a site stand open that none of its shards is counted on.
    #[must_use]
    pub fn is_distrusted(&self, database: &DatabaseName, site: &SiteName) -> bool {
        if self.faults.is_empty() {
            return false;
        }
        let count = self.fault_counts.get(&(database.clone(), site.clone()));
        count.is_some_and(|count| count.open >= FAULTS_OF_A_SITE_MAX)
    }

    /// The digest of all inventories and losses of one database.
    #[must_use]
    pub fn digest(&self, database: &DatabaseName) -> Digest {
        let said: Vec<Digest> = self.inventories(database).map(Signed::digest).collect();
        let of_database = self.fault_counts.iter().filter(|((of, _site), _count)| of == database);
        let full: BTreeSet<&SiteName> = of_database
            .filter(|(_key, count)| count.kept >= FAULTS_OF_A_SITE_MAX)
            .map(|((_database, site), _count)| site)
            .collect();
        // Of a site with too many, each other site may keep other ones.
        let kept = self.faults_of(database).filter(|(_shard, fault)| !full.contains(&fault.evidence.document().site));
        let lost: Vec<(u64, u8, Digest)> =
            kept.map(|(shard, _fault)| (shard.stripe_number, shard.shard_index, shard.root)).collect();
        known("evidence", &(said, full, lost))
    }

    /// The digest of all reports.
    #[must_use]
    pub fn digest_of_reports(&self) -> Digest {
        let reports: Vec<Digest> = self.reports().map(Signed::digest).collect();
        known("reports", &reports)
    }

    /// The documents of one database, or the reports, for another site.
    pub(crate) fn documents<'a>(
        &'a self,
        database: Option<&'a DatabaseName>,
    ) -> impl Iterator<Item = (Kind, Vec<u8>)> + 'a {
        let reports = self.reports().filter(move |_report| database.is_none());
        let reports = reports.map(|report| (Announcement::AuditReport as Kind, report.encode()));
        let of_database = database.into_iter().flat_map(|database| {
            let said = self.inventories(database).map(|said| (Announcement::Inventory as Kind, said.encode()));
            let lost = self.faults_of(database);
            said.chain(lost.map(|(_shard, fault)| (Announcement::Fault as Kind, fault.evidence.encode())))
        });
        reports.chain(of_database)
    }

    fn faults_of<'a>(&'a self, database: &'a DatabaseName) -> impl Iterator<Item = (&'a ShardName, &'a Fault)> {
        let of_database = self.faults.range(ShardName::first(database)..);
        of_database.take_while(move |(shard, _fault)| shard.database == *database)
    }

    /// Whether a site said that it lacks its shard of this stripe.
    #[must_use]
    pub fn lacks(&self, database: &DatabaseName, site: &SiteName, stripe_number: u64) -> bool {
        let inventory = self.inventory(database, site);
        inventory.is_some_and(|signed| signed.document().missing_stripes.contains(stripe_number))
    }

    /// Grows with every change: what was computed from the evidence is stale when this differs.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// Takes one input; the host carries out the outputs in order (see [`crate::machine`]). `now` is the steady clock.
    pub fn handle(&mut self, now: Timestamp, input: Input, catalog: &Catalog) -> Vec<Output> {
        let mut outputs = Vec::new();
        let (ticket, result) = match input {
            Input::Inventory { ticket, bytes } => {
                let news = self.news_of_inventory(&bytes, catalog);
                (ticket, news.map(|news| self.hear(now, news.map(Word::Inventory), &mut outputs)))
            }
            Input::Report { ticket, bytes } => {
                let news = self.news_of_report(&bytes, catalog);
                (ticket, news.map(|news| self.hear(now, news.map(Word::Report), &mut outputs)))
            }
            Input::Fault { ticket, bytes } => (ticket, self.take_fault(&bytes, catalog, &mut outputs)),
        };
        if let Err(refusal) = &result {
            outputs.push(Output::Report(Event::Refused { reason: refusal.message.clone() }));
        }
        if let Some(ticket) = ticket {
            outputs.push(Output::Reply(ticket, Box::new(result.map(|()| Response::Done))));
        }
        outputs
    }

    /// Puts back a record that was persisted before.
    ///
    /// # Errors
    /// The record does not fit what is here: the state file was damaged or mixed up.
    pub fn replay(&mut self, record: &Record, catalog: &Catalog) -> Result<(), String> {
        let mut ignored = Vec::new();
        let taken = match record.kind {
            RecordKind::Inventory => self.take_inventory(&record.value, catalog, &mut ignored),
            RecordKind::AuditReport => self.take_report(&record.value, catalog, &mut ignored),
            RecordKind::Fault => {
                let signed = decode::<AuditAnswer>(&record.value).map_err(|refusal| refusal.message)?;
                let holder = holder_of(&ShardName::from(&signed.document().challenge), catalog);
                if holder.is_none_or(|holder| *holder != signed.document().site) {
                    return Ok(()); // it was succeeded since, or the snapshot was let go
                }
                self.take_fault(&record.value, catalog, &mut ignored)
            }
            RecordKind::Charter
            | RecordKind::Manifest
            | RecordKind::Expiry
            | RecordKind::Retention
            | RecordKind::Veto
            | RecordKind::Epoch
            | RecordKind::Agreement
            | RecordKind::Share
            | RecordKind::Receipt
            | RecordKind::Fork
            | RecordKind::Order
            | RecordKind::Notice => return Err("belongs to another machine".to_owned()),
        };
        taken.map_err(|refusal| refusal.message)
    }

    /// Time has passed: words that came too early may have their turn.
    pub(crate) fn tick(&mut self, now: Timestamp, outputs: &mut Vec<Output>) {
        for word in self.turns.due(now) {
            self.keep(word, outputs);
        }
    }

    /// A loss of a site that was succeeded says nothing of its successor.
    pub(crate) fn follow_charter(&mut self, catalog: &Catalog) {
        if self.charter_version == catalog.charter().version {
            return;
        }
        self.charter_version = catalog.charter().version;
        self.drop_stale_faults(catalog);
    }

    /// Losses of shards that their site does not hold any more, by succession or because nobody is to hold them.
    pub(crate) fn drop_stale_faults(&mut self, catalog: &Catalog) {
        let is_stale = |shard: &ShardName, fault: &Fault| {
            holder_of(shard, catalog).is_none_or(|holder| *holder != fault.evidence.document().site)
        };
        let stale = self.faults.iter().filter(|(shard, fault)| is_stale(shard, fault));
        let stale: Vec<ShardName> = stale.map(|(shard, _fault)| shard.clone()).collect();
        for shard in stale {
            self.close_fault(&shard);
            if let Some(fault) = self.faults.remove(&shard) {
                let of_site = (shard.database.clone(), fault.evidence.document().site.clone());
                self.fault_counts.entry(of_site).or_default().kept -= 1;
                self.changes += 1;
            }
        }
    }

    /// Another site's word, in its turn.
    fn hear(&mut self, now: Timestamp, news: Option<Word>, outputs: &mut Vec<Output>) {
        if let Some(word) = news.and_then(|word| self.turns.take(now, word)) {
            self.keep(word, outputs);
        }
    }

    fn keep(&mut self, word: Word, outputs: &mut Vec<Output>) {
        match word {
            Word::Inventory(signed) => {
                outputs.push(Output::Persist(inventory_record(&signed)));
                let said = signed.document();
                let (database, site) = (said.database.clone(), said.site.clone());
                self.inventories.entry(database).or_default().insert(site, *signed);
            }
            Word::Report(signed) => {
                let auditor = signed.document().auditor.clone();
                let (kind, key) = (RecordKind::AuditReport, auditor.as_str().as_bytes().to_vec());
                outputs.push(Output::Persist(Record { kind, key, value: signed.encode() }));
                self.reports.insert(auditor, *signed);
            }
        }
        self.changes += 1;
    }

    /// Takes an inventory whatever its turn: this site's own, or one that was taken before.
    pub(crate) fn take_inventory(
        &mut self,
        bytes: &[u8],
        catalog: &Catalog,
        outputs: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let news = self.news_of_inventory(bytes, catalog)?;
        news.into_iter().for_each(|signed| self.keep(Word::Inventory(signed), outputs));
        Ok(())
    }

    /// Takes a report whatever its turn.
    pub(crate) fn take_report(
        &mut self,
        bytes: &[u8],
        catalog: &Catalog,
        outputs: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let news = self.news_of_report(bytes, catalog)?;
        news.into_iter().for_each(|signed| self.keep(Word::Report(signed), outputs));
        Ok(())
    }

    /// The inventory, if it is newer than the one held.
    fn news_of_inventory(&self, bytes: &[u8], catalog: &Catalog) -> Result<Option<Box<Signed<Inventory>>>, Refusal> {
        let signed = decode::<Inventory>(bytes)?;
        let said = signed.document();
        let held = self.inventory(&said.database, &said.site);
        let is_news = held.is_none_or(|held| (held.document().at, held.digest()) < (said.at, signed.digest()));
        #[cfg(feature = "planted-bugs")]
        let is_news = is_news
            || crate::planted::is_planted(crate::planted::Bug::OlderInventoryTaken)
                && held.is_some_and(|held| held.digest() != signed.digest());
        if !is_news {
            return Ok(None);
        }
        check_signer(&signed, said.state, &said.site, catalog)?;
        let mut charters = catalog.charters().iter().map(Signed::document);
        if !charters.any(|charter| charter.database(&said.database).is_some()) {
            return Err(refuse(format!("an inventory of {}, which is no database of the state", said.database)));
        }
        Ok(Some(Box::new(signed)))
    }

    /// The report, if it is newer than the one held.
    fn news_of_report(&self, bytes: &[u8], catalog: &Catalog) -> Result<Option<Box<Signed<AuditReport>>>, Refusal> {
        let signed = decode::<AuditReport>(bytes)?;
        let report = signed.document();
        let held = self.reports.get(&report.auditor);
        let is_news = held.is_none_or(|held| (held.document().at, held.digest()) < (report.at, signed.digest()));
        if !is_news {
            return Ok(None);
        }
        check_signer(&signed, report.state, &report.auditor, catalog)?;
        Ok(Some(Box::new(signed)))
    }

    pub(crate) fn take_fault(
        &mut self,
        bytes: &[u8],
        catalog: &Catalog,
        outputs: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let signed = decode::<AuditAnswer>(bytes)?;
        let shard = ShardName::from(&signed.document().challenge);
        if self.faults.contains_key(&shard) {
            return Ok(());
        }
        match judge(&signed, catalog).map_err(refuse)? {
            Verdict::Valid => Err(refuse("the answer proves that the shard is held".to_owned())),
            Verdict::Fault => {
                self.open_fault(signed, outputs);
                Ok(())
            }
        }
    }

    /// Keeps a loss that was judged; true if it is news. A loss of a shard that was proven since is opened again.
    pub(crate) fn open_fault(&mut self, evidence: Signed<AuditAnswer>, outputs: &mut Vec<Output>) -> bool {
        let shard = ShardName::from(&evidence.document().challenge);
        if self.faults.get(&shard).is_some_and(|fault| fault.is_open) {
            return false;
        }
        let site = evidence.document().site.clone();
        if !self.faults.contains_key(&shard) && !self.make_room(&shard.database, &site) {
            return false;
        }
        let known = self.faults.get_mut(&shard);
        let count = self.fault_counts.entry((shard.database.clone(), site.clone())).or_default();
        count.open += 1;
        count.kept += usize::from(known.is_none());
        self.changes += 1;
        let (database, stripe_number) = (shard.database.clone(), shard.stripe_number);
        outputs.push(Output::Report(Event::LossProven { site, database, stripe_number }));
        match known {
            Some(fault) => fault.is_open = true,
            None => {
                outputs.push(Output::Persist(fault_record(&shard, &evidence)));
                self.faults.insert(shard, Fault { evidence, is_open: true });
            }
        }
        true
    }

    /// Whether one more loss of a site can be kept; one that was disproved gives way. If all stand open, the site is
    /// distrusted already.
    fn make_room(&mut self, database: &DatabaseName, site: &SiteName) -> bool {
        let is_full = |count: &FaultCount| count.kept >= FAULTS_OF_A_SITE_MAX;
        let of_site = (database.clone(), site.clone());
        if !self.fault_counts.get(&of_site).is_some_and(is_full) {
            return true;
        }
        let is_closed =
            |(_shard, fault): &(&ShardName, &Fault)| !fault.is_open && fault.evidence.document().site == *site;
        let closed = self.faults_of(database).find(is_closed).map(|(shard, _fault)| shard.clone());
        let Some(shard) = closed else { return false };
        self.faults.remove(&shard);
        self.fault_counts.entry(of_site).or_default().kept -= 1;
        true
    }

    /// This site has seen proof that the shard is held again.
    pub(crate) fn close_fault(&mut self, shard: &ShardName) {
        if let Some(fault) = self.faults.get_mut(shard).filter(|fault| fault.is_open) {
            fault.is_open = false;
            let of_site = (shard.database.clone(), fault.evidence.document().site.clone());
            self.fault_counts.entry(of_site).or_default().open -= 1;
            self.changes += 1;
        }
    }

    /// The moment after the newest inventory that this site ever gave, whatever its clock says now.
    pub(crate) fn moment_after(&self, database: &DatabaseName, site: &SiteName, now: Timestamp) -> Timestamp {
        let last = self.inventory(database, site).map(|signed| signed.document().at.plus_ms(1));
        last.map_or(now, |last| last.max(now))
    }
}

fn inventory_record(signed: &Signed<Inventory>) -> Record {
    let said = signed.document();
    let key = [said.database.as_str().as_bytes(), &[0], said.site.as_str().as_bytes()].concat();
    Record { kind: RecordKind::Inventory, key, value: signed.encode() }
}

/// The site at which a shard lies.
fn holder_of<'a>(shard: &ShardName, catalog: &'a Catalog) -> Option<&'a SiteName> {
    let kept = catalog.history(&shard.database)?.kept_stripes();
    let (_position, stripe) = kept.find(shard.stripe_number, shard.shard_index, &shard.root)?;
    stripe.site_of(shard.shard_index)
}

fn fault_record(shard: &ShardName, evidence: &Signed<AuditAnswer>) -> Record {
    let (number, root) = (shard.stripe_number.to_be_bytes(), shard.root.as_bytes());
    // The site too: its successor may lose the same shard.
    let site = evidence.document().site.as_str().as_bytes();
    let key = [shard.database.as_str().as_bytes(), &[0], &number, &[shard.shard_index], root, site].concat();
    Record { kind: RecordKind::Fault, key, value: evidence.encode() }
}

fn refuse(why: String) -> Refusal {
    Refusal::new(RefusalCode::Malformed, why)
}

fn decode<T: Document>(bytes: &[u8]) -> Result<Signed<T>, Refusal> {
    Signed::decode(bytes).map_err(|error| refuse(error.to_string()))
}

/// Whether `site` of this state signed.
fn check_signer<T: Document>(
    signed: &Signed<T>,
    state: Digest,
    site: &SiteName,
    catalog: &Catalog,
) -> Result<(), Refusal> {
    if state != catalog.state() {
        return Err(refuse(format!("the {} is of state {state}", T::KIND)));
    }
    let entry = catalog.charter().site(site).ok_or_else(|| refuse(format!("no site {site}")))?;
    verify_single(signed, entry.identity).map_err(|error| refuse(error.to_string()))
}
