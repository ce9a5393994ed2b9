//! Opening: a release order comes in, this site's share goes out sealed to the order's recipient.
//!
//! Every accepted order and every released share is logged durably and announced to all sites *before* the share
//! leaves (promise P4). The machine reads the [`Catalog`] and writes only its own log. What two sites compare of it is
//! a set, whatever the order in which each learned of it (`known`).

mod known;
mod veto;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use shard_codec::Digest;
use shard_codec::share_sealing::{SealingPublicKey, seal_to};

use crate::catalog::publish::{open_share, share_context};
use crate::catalog::{Catalog, History};
use crate::document::{Document, Manifest, ReleaseNotice, ReleaseOrder, Selector, Veto};
use crate::identifier::{DatabaseName, SiteName};
use crate::machine::{Announcement, Event, Output, Record, RecordKind, SiteKeys, Ticket};
use crate::placement::durability;
use crate::signature::quorum::verify_single;
use crate::signature::{PublicKey, Signed};
use crate::timestamp::Timestamp;
use crate::wire::{Refusal, RefusalCode, Response};

/// What the host tells the machine.
#[derive(Clone, Debug)]
pub enum Input {
    /// A peer presents an order.
    PresentOrder {
        /// Who waits.
        ticket: Ticket,
        /// The key of the connection.
        caller: PublicKey,
        /// The envelope.
        order: Vec<u8>,
    },
    /// A peer asks for this site's share under an order presented before.
    Share {
        /// Who waits.
        ticket: Ticket,
        /// The key of the connection.
        caller: PublicKey,
        /// Digest of the order.
        order: Digest,
        /// The database.
        database: DatabaseName,
        /// The snapshot.
        sequence: u64,
    },
    /// Another site spreads an order that it accepted.
    Order {
        /// Who waits.
        ticket: Option<Ticket>,
        /// The envelope.
        bytes: Vec<u8>,
    },
    /// Another site spreads word of a share it released.
    Notice {
        /// Who waits.
        ticket: Option<Ticket>,
        /// The envelope.
        bytes: Vec<u8>,
    },
    /// Somebody brings an official's veto against what a charter lets go.
    Veto {
        /// Who waits.
        ticket: Option<Ticket>,
        /// The envelope.
        bytes: Vec<u8>,
    },
}

/// One line of the log.
#[derive(Clone, Debug)]
pub enum LogEntry {
    /// An order that a site accepted.
    Order(Signed<ReleaseOrder>),
    /// A share that a site released.
    Notice(Signed<ReleaseNotice>),
    /// An official's veto.
    Veto(Signed<Veto>),
}

/// The machine.
#[derive(Debug, Default)]
pub struct Release {
    orders: BTreeMap<Digest, Signed<ReleaseOrder>>,
    /// Of each order the newest charter version of which a quorum signed any of its envelopes.
    vouchers: BTreeMap<Digest, u64>,
    /// The charter version that they were last held against.
    charter_version: u64,
    /// Orders whose recipient may read: a quorum of the charter that held when they came signed them.
    admitting: BTreeSet<Digest>,
    noticed: BTreeSet<Released>,
    /// Charters that a veto of the log names.
    vetoed: BTreeSet<Digest>,
    /// Digest of each envelope of the log: every site brings every one of them again and again, and what is here already
    /// is not worth decoding, still less verifying.
    envelopes: BTreeSet<Digest>,
    log: Vec<LogEntry>,
    /// Position of each entry of the log, as it is on disk.
    positions: Vec<u64>,
    /// Of all that is known; empty again when anything changes.
    digest: OnceLock<Digest>,
}

/// A release is logged once, however often the recipient asks again.
type Released = (SiteName, Digest, DatabaseName, u64);

impl Release {
    /// A machine with an empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything that was ever opened, in the order this site learned of it.
    #[must_use]
    pub fn log(&self) -> &[LogEntry] {
        &self.log
    }

    /// Databases that `key` may open now, by the orders accepted here. Orders that this site learned of from others
    /// count too, if the officials of the charter that held when they came signed them: an order by the quorum of an
    /// older charter is logged and lets nobody in.
    #[must_use]
    pub fn ordered_for(&self, key: PublicKey, now: Timestamp) -> Vec<DatabaseName> {
        #[cfg(feature = "planted-bugs")]
        let expires = |order: &ReleaseOrder| {
            let never = crate::planted::is_planted(crate::planted::Bug::ExpiredOrder);
            if never { Timestamp::from_unix_ms(u64::MAX) } else { order.expires }
        };
        #[cfg(not(feature = "planted-bugs"))]
        let expires = |order: &ReleaseOrder| order.expires;
        let valid = self
            .orders
            .iter()
            .filter(|(digest, _order)| self.admitting.contains(*digest))
            .map(|(_digest, signed)| signed.document())
            .filter(|order| order.recipient == key && order.not_before <= now && now < expires(order));
        let databases: BTreeSet<DatabaseName> = valid.flat_map(|order| order.databases.iter().cloned()).collect();
        databases.into_iter().collect()
    }

    /// Takes one input; the host carries out the outputs in order (see [`crate::machine`]).
    pub fn handle(
        &mut self,
        now: Timestamp,
        input: Input,
        catalog: &Catalog,
        keys: &SiteKeys,
        rng: &mut impl rand::CryptoRng,
    ) -> Vec<Output> {
        self.follow_charter(catalog);
        let mut outputs = Vec::new();
        let (ticket, result) = match input {
            Input::PresentOrder { ticket, caller, order } => {
                (Some(ticket), self.present(now, caller, &order, catalog, &mut outputs))
            }
            Input::Share { ticket, caller, order, database, sequence } => {
                let request = ShareRequest { caller, order, database, sequence };
                (Some(ticket), self.open(now, &request, catalog, keys, rng, &mut outputs))
            }
            Input::Order { ticket, bytes } => (ticket, self.take_order(&bytes, None, catalog, &mut outputs)),
            Input::Notice { ticket, bytes } => (ticket, self.take_notice(&bytes, None, catalog, &mut outputs)),
            Input::Veto { ticket, bytes } => (ticket, self.take_veto(&bytes, None, catalog, &mut outputs)),
        };
        if let Err(refusal) = &result {
            outputs.push(Output::Report(Event::Refused { reason: refusal.message.clone() }));
        }
        if let Some(ticket) = ticket {
            outputs.push(Output::Reply(ticket, Box::new(result)));
        }
        outputs
    }

    /// Puts back a record that was persisted before, at the position of the log where it stood.
    ///
    /// # Errors
    /// The record does not decode: the state file was damaged.
    pub fn replay(&mut self, record: &Record, catalog: &Catalog) -> Result<(), String> {
        let mut ignored = Vec::new();
        let (position, _digest) = record.key.split_first_chunk::<8>().ok_or("a damaged record key")?;
        let position = Some(u64::from_be_bytes(*position));
        let result = match record.kind {
            RecordKind::Order => self.take_order(&record.value, position, catalog, &mut ignored),
            RecordKind::Notice => self.take_notice(&record.value, position, catalog, &mut ignored),
            RecordKind::Veto => self.take_veto(&record.value, position, catalog, &mut ignored),
            RecordKind::Charter
            | RecordKind::Manifest
            | RecordKind::Expiry
            | RecordKind::Retention
            | RecordKind::Epoch
            | RecordKind::Agreement
            | RecordKind::Share
            | RecordKind::Receipt
            | RecordKind::Fork
            | RecordKind::Inventory
            | RecordKind::AuditReport
            | RecordKind::Fault => {
                return Err("belongs to the catalog".to_owned());
            }
        };
        result.map(|_response| ()).map_err(|refusal| refusal.message)
    }

    fn present(
        &mut self,
        now: Timestamp,
        caller: PublicKey,
        bytes: &[u8],
        catalog: &Catalog,
        outputs: &mut Vec<Output>,
    ) -> Result<Response, Refusal> {
        let signed = Signed::<ReleaseOrder>::decode(bytes).map_err(order_refusal)?;
        signed.verify(catalog.state(), catalog.charter(), caller, now).map_err(order_refusal)?;
        if !self.envelopes.contains(&Digest::of(bytes)) {
            self.log_order(signed, catalog.charter().version, None, catalog, outputs);
        }
        Ok(Response::Done)
    }

    /// What others bring again and again is decoded once; `None` if it is here. A record that is put back is always news.
    fn news<T: Document>(&self, bytes: &[u8], position: Option<u64>) -> Result<Option<Signed<T>>, Refusal> {
        if position.is_none() && self.envelopes.contains(&Digest::of(bytes)) {
            return Ok(None);
        }
        Signed::decode(bytes).map(Some).map_err(order_refusal)
    }

    /// Logs an order another site accepted. Whether it is still in its window does not matter to the log; that it
    /// carries a quorum does.
    fn take_order(
        &mut self,
        bytes: &[u8],
        position: Option<u64>,
        catalog: &Catalog,
        outputs: &mut Vec<Output>,
    ) -> Result<Response, Refusal> {
        let Some(signed) = self.news::<ReleaseOrder>(bytes, position)? else { return Ok(Response::Done) };
        if signed.document().state != catalog.state() {
            return Err(order_refusal("the order is for another state"));
        }
        // A later charter may have another roll: an order is good in the log if any version's quorum signed it.
        let voucher = known::voucher(&signed, catalog.charters(), 0)?;
        self.log_order(signed, voucher, position, catalog, outputs);
        Ok(Response::Done)
    }

    /// An order that is here already is logged again only if it now carries a quorum of a newer charter than before:
    /// officials changed, and the new ones signed the same words.
    fn log_order(
        &mut self,
        signed: Signed<ReleaseOrder>,
        voucher: u64,
        position: Option<u64>,
        catalog: &Catalog,
        outputs: &mut Vec<Output>,
    ) {
        let order = signed.digest();
        let is_news = self.vouchers.get(&order).is_none_or(|held| voucher > *held);
        if !is_news && position.is_none() {
            return;
        }
        if voucher == catalog.charter().version {
            self.admitting.insert(order);
        }
        let value = signed.encode();
        self.envelopes.insert(Digest::of(&value));
        let key = self.log_entry(position, order, LogEntry::Order(signed.clone()));
        outputs.push(Output::Persist(Record { kind: RecordKind::Order, key, value: value.clone() }));
        outputs.push(Output::Announce(Announcement::Order(value.into())));
        outputs.push(Output::Report(Event::OrderAccepted { order }));
        if is_news {
            self.vouchers.insert(order, voucher);
            self.orders.insert(order, signed);
        }
    }

    /// Puts an entry into the log, at its old position or at the end, and returns the key of its record: position
    /// (8 bytes, big-endian), then digest. So the log has the same order after a restart, and a peer that reads on
    /// from where it stopped misses nothing.
    fn log_entry(&mut self, position: Option<u64>, digest: Digest, entry: LogEntry) -> Vec<u8> {
        let next = self.positions.last().map_or(0, |last| last.saturating_add(1));
        let position = position.unwrap_or(next);
        self.digest = OnceLock::new();
        let at = self.positions.partition_point(|present| *present < position);
        self.positions.insert(at, position);
        self.log.insert(at, entry);
        [&position.to_be_bytes(), digest.as_bytes().as_slice()].concat()
    }

    fn open(
        &mut self,
        now: Timestamp,
        request: &ShareRequest,
        catalog: &Catalog,
        keys: &SiteKeys,
        rng: &mut impl rand::CryptoRng,
        outputs: &mut Vec<Output>,
    ) -> Result<Response, Refusal> {
        let signed = self.orders.get(&request.order).ok_or_else(|| order_refusal("present the order first"))?;
        // Verified again: the charter may have changed, and time has passed.
        #[cfg(feature = "planted-bugs")]
        let now = if crate::planted::is_planted(crate::planted::Bug::ExpiredOrder) {
            signed.document().not_before
        } else {
            now
        };
        let order = signed.verify(catalog.state(), catalog.charter(), request.caller, now).map_err(order_refusal)?;
        if !order.databases.contains(&request.database) {
            return Err(order_refusal(format!("the order does not open database {}", request.database)));
        }
        let not_found = |why: String| Refusal::new(RefusalCode::NotFound, why);
        let (database, sequence) = (&request.database, request.sequence);
        let history = catalog.history(database).ok_or_else(|| not_found(format!("no snapshot of {database} here")))?;
        check_selector(order.selector, catalog, (database, history), sequence)?;
        let manifest = history.manifest(sequence).ok_or_else(|| not_found(format!("no snapshot {sequence} here")))?;
        let sealed = history.share(sequence).ok_or_else(|| not_found(no_share(history, sequence)))?;
        let internal = |why: String| Refusal::new(RefusalCode::Internal, why);
        let epoch = history.custody_of(manifest.document()).epoch;
        let share = open_share(manifest.document(), epoch, &keys.name, sealed, keys).map_err(internal)?;
        let recipient = SealingPublicKey::from_bytes(&order.recipient_sealing_key).map_err(order_refusal)?;
        let context = release_context(request.order, manifest.document(), &keys.name);
        let resealed = (share.to_bytes())
            .expose(|bytes| seal_to(&recipient, &context, bytes, rng))
            .map_err(|error| internal(error.to_string()))?;
        let index = share.index().get();
        let notice = ReleaseNotice {
            state: order.state,
            order: request.order,
            database: database.clone(),
            sequence,
            site: keys.name.clone(),
            recipient: request.caller,
            at: now,
        };
        let notice = Signed::sign_new(notice, &keys.identity).map_err(|error| internal(error.to_string()))?;
        #[cfg(feature = "planted-bugs")]
        if crate::planted::is_planted(crate::planted::Bug::ShareBeforeLog) {
            return Ok(Response::Share { index, sealed: resealed.into() });
        }
        self.log_notice(notice, None, outputs);
        Ok(Response::Share { index, sealed: resealed.into() })
    }

    fn take_notice(
        &mut self,
        bytes: &[u8],
        position: Option<u64>,
        catalog: &Catalog,
        outputs: &mut Vec<Output>,
    ) -> Result<Response, Refusal> {
        let Some(signed) = self.news::<ReleaseNotice>(bytes, position)? else { return Ok(Response::Done) };
        let notice = signed.document();
        if notice.state != catalog.state() {
            return Err(order_refusal("the notice is of another state"));
        }
        let site = catalog.charter().site(&notice.site);
        let site = site.ok_or_else(|| order_refusal(format!("no site {} in the charter", notice.site)))?;
        verify_single(&signed, site.identity).map_err(order_refusal)?;
        // Only what an order allows can be noticed: otherwise one site could fill the disks of all others.
        let order = self.orders.get(&notice.order).map(Signed::document);
        let is_ordered = order.is_some_and(|order| order.databases.contains(&notice.database));
        let is_known = catalog.history(&notice.database).is_some_and(|h| h.manifest(notice.sequence).is_some());
        if !is_ordered || !is_known {
            return Err(order_refusal("a notice of a release that no known order and snapshot allow"));
        }
        self.log_notice(signed, position, outputs);
        Ok(Response::Done)
    }

    fn log_notice(&mut self, signed: Signed<ReleaseNotice>, position: Option<u64>, outputs: &mut Vec<Output>) {
        let ReleaseNotice { order, database, sequence, site, .. } = signed.document().clone();
        if !self.noticed.insert((site.clone(), order, database.clone(), sequence)) {
            return;
        }
        let value = signed.encode();
        self.envelopes.insert(Digest::of(&value));
        let key = self.log_entry(position, signed.digest(), LogEntry::Notice(signed));
        outputs.push(Output::Persist(Record { kind: RecordKind::Notice, key, value: value.clone() }));
        outputs.push(Output::Announce(Announcement::Notice(value.into())));
        outputs.push(Output::Report(Event::ShareReleased { order, database, sequence, site }));
    }
}

fn no_share(history: &History, sequence: u64) -> String {
    if history.is_discarded(sequence) {
        return format!("snapshot {sequence} has reached the end of its retention: its shares are erased");
    }
    format!("no share of snapshot {sequence} here")
}

struct ShareRequest {
    caller: PublicKey,
    order: Digest,
    database: DatabaseName,
    sequence: u64,
}

fn order_refusal(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(RefusalCode::Order, why)
}

/// The context under which `site` releases its share of `manifest`: the order, and the share's place.
#[must_use]
pub fn release_context(order: Digest, manifest: &Manifest, site: &SiteName) -> Vec<u8> {
    [b"legation v1 released share".as_slice(), order.as_bytes(), &share_context(manifest, manifest.custody.epoch, site)]
        .concat()
}

/// `latest` opens the newest durable snapshot that this site knows of and that is not in quarantine, and anything newer: an
/// interrupted publication must neither be hidden nor stand in the way, and who looks at a suspicious one may open it.
fn check_selector(
    selector: Selector,
    catalog: &Catalog,
    (database, history): (&DatabaseName, &History),
    sequence: u64,
) -> Result<(), Refusal> {
    match selector {
        Selector::Sequence(only) if only == sequence => Ok(()),
        Selector::Sequence(only) => Err(order_refusal(format!("the order opens snapshot {only} only"))),
        Selector::Latest => match newest_durable(catalog, database, history) {
            Some(durable) if sequence < durable => {
                Err(order_refusal(format!("the order opens the latest snapshot, which is {durable}")))
            }
            Some(_) | None => Ok(()),
        },
    }
}

/// The newest snapshot whose receipts, as known here, make it durable; not one in quarantine.
fn newest_durable(catalog: &Catalog, database: &DatabaseName, history: &History) -> Option<u64> {
    let quarantined = catalog.quarantined(database);
    let is_durable = |sequence: &u64| {
        let receipts = history.receipts(*sequence).map(Signed::document);
        let manifest = history.manifest(*sequence).map(Signed::document);
        manifest.is_some_and(|manifest| {
            durability::assess(catalog.charter(), manifest, Some(history), receipts).is_durable()
        })
    };
    (1..=history.head_sequence()).rev().filter(|sequence| !quarantined.contains_key(sequence)).find(is_durable)
}

#[cfg(test)]
mod tests;
