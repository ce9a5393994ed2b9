//! Share recovery: a site that lost its shares, but not its keys, gets them from the other custodians, without home and
//! without anybody learning anything else ([`shard_codec::secret_sharing::recovery`]).
//!
//! The site that lost them leads. It picks as many helpers as reconstruct the key, asks each for masks, hands them
//! around, gets each helper's shares under all masks, checks every one against the commitments in the manifest, and
//! keeps what comes out sealed to itself, as it keeps the others. Nothing of it outlives a restart: it begins again.
//! The helper's side is in [`help`].
//!
//! # Security
//! Nothing leaves a site but under a mask of its own that it signed for these shares, this site and these helpers. The
//! one that leads passes on only what is sealed to others, and may mix up what it likes: a helper answers to nothing
//! but one mask of every helper. So P4 stands: no share leaves, only a new copy of a share comes to its custodian.

pub mod help;
mod session;

use std::collections::BTreeMap;

use rand::CryptoRng;

use crate::audit::schedule::draw_sites;
use crate::catalog::{Catalog, History};
use crate::document::{Manifest, RecoveryScope, snapshots_max};
use crate::evidence::Evidence;
use crate::identifier::{DatabaseName, SiteName};
use crate::ledger::claims_share;
use crate::machine::{Event, Output, SiteKeys, Ticket};
use crate::signature::Signed;
use crate::timestamp::Timestamp;
use crate::wire::Response;
use session::{Session, Step};

/// Tickets from here on are of this machine; those below are of the audit.
const FIRST_TICKET: u64 = 1 << 62;
/// Those from here on are of resharing.
const END_TICKET: u64 = 1 << 63;
/// Home brings the shares of a new snapshot by itself.
const RETRY_MS: u64 = 30_000;
/// So long a helper is left out after a wrong or no answer.
const DISTRUST_MS: u64 = 600_000;
/// A recovery that has not ended by then is given up.
const SESSION_MS: u64 = 120_000;
/// Time between two looks for missing shares.
const LOOK_MS: u64 = 5_000;

/// What is known of the shares of one database.
#[derive(Debug, Default)]
struct Shelf {
    /// Manifests and shares when it was last looked through and nothing was missing.
    whole_at: Option<(u64, usize)>,
    /// Since when something is missing, and up to which snapshot; newer ones may still come from home.
    missing_since: Option<(Timestamp, u64)>,
    /// Where the next recovery begins: one that fails does not hold up the rest.
    next_sequence: u64,
    /// Not tried before.
    retry_at: Timestamp,
}

/// The machine of the site that lost its shares.
#[derive(Debug)]
pub struct ShareRecovery {
    patience_ms: u64,
    shelves: BTreeMap<DatabaseName, Shelf>,
    distrusted: BTreeMap<SiteName, Timestamp>,
    session: Option<Session>,
    next_ticket: u64,
    next_look: Timestamp,
    recovered_count: u64,
}

impl ShareRecovery {
    /// This site may have other places than before: nothing is whole until it was looked at.
    pub(crate) fn look_again(&mut self) {
        self.shelves.values_mut().for_each(|shelf| shelf.whole_at = None);
    }

    /// A machine that waits so long for home to bring a share.
    #[must_use]
    pub const fn new(patience_ms: u64) -> Self {
        Self {
            patience_ms,
            shelves: BTreeMap::new(),
            distrusted: BTreeMap::new(),
            session: None,
            next_ticket: FIRST_TICKET,
            next_look: Timestamp::from_unix_ms(0),
            recovered_count: 0,
        }
    }

    /// Whether an answer is for this machine.
    #[must_use]
    pub const fn is_own(ticket: Ticket) -> bool {
        FIRST_TICKET <= ticket.0 && ticket.0 < END_TICKET
    }

    /// Shares recovered since the start.
    #[must_use]
    pub const fn recovered_count(&self) -> u64 {
        self.recovered_count
    }

    /// Time has passed. The host calls it every second or so; it costs little when nothing is missing.
    pub fn tick(
        &mut self,
        now: Timestamp,
        catalog: &Catalog,
        evidence: &Evidence,
        keys: &SiteKeys,
        rng: &mut impl CryptoRng,
    ) -> Vec<Output> {
        let mut outputs = Vec::new();
        if let Some(session) = self.session.as_ref().filter(|session| session.begun_at().plus_ms(SESSION_MS) <= now) {
            self.distrusted.extend(session.silent().map(|site| (site.clone(), now.plus_ms(DISTRUST_MS))));
            self.give_up("the helpers do not answer in time", &mut outputs);
        }
        if self.session.is_none() && self.next_look <= now {
            self.next_look = now.plus_ms(LOOK_MS);
            self.begin(now, catalog, evidence, keys, rng, &mut outputs);
        }
        outputs
    }

    /// What came back for [`Output::Ask`]; `None` if nothing did.
    #[expect(clippy::too_many_arguments, reason = "the machines that it reads, and what the host gives to all")]
    pub fn answered(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        response: Option<Response>,
        catalog: &mut Catalog,
        evidence: &Evidence,
        keys: &SiteKeys,
        rng: &mut impl CryptoRng,
    ) -> Vec<Output> {
        let mut outputs = Vec::new();
        let Some(session) = self.session.as_mut() else { return outputs };
        match session.answered(ticket, response, catalog, keys, &mut self.next_ticket, &mut outputs) {
            Step::Waiting => {}
            Step::Blamed { sites, lied, why } => {
                let database = session.scope().database.clone();
                for site in sites {
                    self.distrusted.insert(site.clone(), now.plus_ms(DISTRUST_MS));
                    if lied {
                        outputs.push(Output::Report(Event::CustodianLied { site, database: database.clone() }));
                    }
                }
                self.give_up(&why, &mut outputs);
                // Others may help at once.
                self.begin(now, catalog, evidence, keys, rng, &mut outputs);
            }
            Step::Recovered(shares) => {
                let database = session.scope().database.clone();
                self.session = None;
                let mut count = 0;
                for (sequence, share) in shares {
                    match catalog.keep_recovered_share(&database, sequence, &share, keys, rng, &mut outputs) {
                        Ok(()) => count += 1,
                        Err(why) => outputs.push(Output::Report(Event::Refused { reason: why })),
                    }
                }
                self.recovered_count += count;
                outputs.push(Output::Report(Event::SharesRecovered { database, count }));
                self.begin(now, catalog, evidence, keys, rng, &mut outputs);
            }
        }
        outputs
    }

    fn give_up(&mut self, why: &str, outputs: &mut Vec<Output>) {
        let Some(session) = self.session.take() else { return };
        let database = session.scope().database.clone();
        if let Some(shelf) = self.shelves.get_mut(&database) {
            shelf.next_sequence = session.last_sequence() + 1;
        }
        outputs.push(Output::Report(Event::ShareRecoveryFailed { database, why: why.to_owned() }));
    }

    /// Begins the next recovery that can be made, if any.
    fn begin(
        &mut self,
        now: Timestamp,
        catalog: &Catalog,
        evidence: &Evidence,
        keys: &SiteKeys,
        rng: &mut impl CryptoRng,
        outputs: &mut Vec<Output>,
    ) {
        self.distrusted.retain(|_site, until| now < *until);
        for (database, history) in catalog.histories() {
            let shelf = self.shelves.entry(database.clone()).or_default();
            if !shelf.is_due(now, history, &keys.name, self.patience_ms) {
                continue;
            }
            let distrusted = &self.distrusted;
            let trusted = |site: &SiteName| {
                *site != keys.name && catalog.charter().active_site(site).is_some() && !distrusted.contains_key(site)
            };
            match plan(database, history, shelf, catalog, evidence, &keys.name, trusted, rng) {
                Ok(Some(scope)) => {
                    let session = Session::begin(now, scope, &mut self.next_ticket, outputs);
                    self.session = Some(session);
                    return;
                }
                Ok(None) => shelf.next_sequence = 0,
                Err(why) => {
                    (shelf.next_sequence, shelf.retry_at) = (0, now.plus_ms(RETRY_MS));
                    outputs.push(Output::Report(Event::ShareRecoveryFailed { database: database.clone(), why }));
                }
            }
        }
    }
}

impl Shelf {
    /// Whether shares are missing that home has had the time to bring. Looks through the manifests only if something
    /// has changed, or is known to be missing.
    fn is_due(&mut self, now: Timestamp, history: &History, me: &SiteName, patience_ms: u64) -> bool {
        let counts = (history.head_sequence(), history.share_count());
        if self.whole_at == Some(counts) || now < self.retry_at {
            return false;
        }
        let mut missing = missing_from(history, 1, me).map(|manifest| manifest.sequence);
        let Some(first_missing) = missing.next() else {
            (self.whole_at, self.missing_since) = (Some(counts), None);
            return false;
        };
        let last_missing = missing.last().unwrap_or(first_missing);
        let (since, up_to) = *self.missing_since.get_or_insert((now, last_missing));
        if now < since.plus_ms(patience_ms) {
            return false;
        }
        if first_missing > up_to {
            // What was waited for is here; the newer ones are waited for in their turn.
            self.missing_since = Some((now, last_missing));
            return patience_ms == 0;
        }
        true
    }

    fn up_to(&self) -> u64 {
        self.missing_since.map_or(0, |(_since, up_to)| up_to)
    }
}

/// Manifests of snapshots, from this sequence on, of whose key `me` should have a share and has none.
pub(crate) fn missing_from<'a>(
    history: &'a History,
    from: u64,
    me: &'a SiteName,
) -> impl Iterator<Item = &'a Manifest> {
    let manifests = history.retained_from(from).map(Signed::document);
    manifests.filter(move |manifest| {
        let is_due = history.custody_of(manifest).index_due_at(me, history.succession()).is_some();
        is_due && history.share(manifest.sequence).is_none()
    })
}

/// The next shares to recover: missing ones of snapshots with the same custody, of which the same helpers are believed
/// to hold theirs. `None` if nothing is left behind the last one tried.
///
/// # Errors
/// Why the first of them cannot be recovered now.
#[expect(clippy::too_many_arguments, reason = "all that a choice of helpers depends on")]
fn plan(
    database: &DatabaseName,
    history: &History,
    shelf: &Shelf,
    catalog: &Catalog,
    evidence: &Evidence,
    me: &SiteName,
    trusted: impl Fn(&SiteName) -> bool,
    rng: &mut impl CryptoRng,
) -> Result<Option<RecoveryScope>, String> {
    let mut missing = missing_from(history, shelf.next_sequence.max(1), me)
        .take_while(|manifest| manifest.sequence <= shelf.up_to())
        .peekable();
    let Some(first) = missing.peek().copied() else { return Ok(None) };
    let custody = history.custody_of(first);
    let threshold = usize::from(custody.threshold);
    if threshold < 2 {
        return Err(format!("the key of snapshot {} is not shared: only home can bring it", first.sequence));
    }
    let has_share = |site: &SiteName, sequence: u64| claims_share(site, database, history, sequence, evidence);
    // Not the one whose share it is, if that is leaving: it may not help its heir.
    let own = custody.index_due_at(me, history.succession());
    let holders = custody.holders(history.succession()).filter(|(_site, index)| Some(*index) != own);
    let able = holders.map(|(site, _index)| site).filter(|site| has_share(site, first.sequence) && trusted(site));
    let mut helpers: Vec<SiteName> = able.cloned().collect();
    if helpers.len() < threshold {
        let (sequence, count) = (first.sequence, helpers.len());
        return Err(format!(
            "{count} of {threshold} sites that are needed for snapshot {sequence} hold their share and are trusted"
        ));
    }
    draw_sites(&mut helpers, threshold, rng);
    let same = |manifest: &&Manifest| {
        let other = history.custody_of(manifest);
        (other.threshold, &other.custodians) == (custody.threshold, &custody.custodians)
            && helpers.iter().all(|site| has_share(site, manifest.sequence))
    };
    let chosen = missing.filter(same).take(snapshots_max(threshold));
    let snapshots =
        chosen.filter_map(|manifest| Some((manifest.sequence, history.sharing(manifest.sequence)?))).collect();
    let (state, database, site) = (catalog.state(), database.clone(), me.clone());
    Ok(Some(RecoveryScope { state, database, site, helpers, snapshots }))
}

#[cfg(test)]
mod tests;
