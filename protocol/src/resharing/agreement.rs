//! What a custodian answers to the site that leads.

use rand::CryptoRng;
use serde_bytes::ByteBuf;

use super::acceptor::{Acceptor, read_lock, read_promises, read_proposal};
use super::dealing::check_scope;
use super::parts::{Progress, Proposed};
use super::{CLOCKS_MS, LEADS_MS, Resharing};
use crate::catalog::Catalog;
use crate::document::{BLOCK_SNAPSHOTS, Ballot, Electorate, Instance, LockedAt};
use crate::identifier::SiteName;
use crate::machine::{Output, SiteKeys};
use crate::timestamp::Timestamp;
use crate::wire::resharing::{Answer, Lock};
use crate::wire::{Refusal, RefusalCode};

/// Who asks, when, and what is known here.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) now: Timestamp,
    pub(super) wall: Timestamp,
    pub(super) caller: &'a SiteName,
    pub(super) catalog: &'a Catalog,
    pub(super) keys: &'a SiteKeys,
}

impl Asked<'_> {
    /// Whether this site takes part in an agreement that the caller leads; the certificate, if it has ended.
    fn admit(self, instance: &Instance, ballot: &Ballot) -> Result<Option<Answer>, Refusal> {
        let Self { caller, catalog, keys, .. } = self;
        let not_allowed = |why: &str| Refusal::new(RefusalCode::NotAllowed, why);
        if ballot.leader != *caller {
            return Err(not_allowed("a site leads its own ballots and no others"));
        }
        let electorate = electorate(instance, catalog)?;
        if !electorate.sites().any(|site| *site == keys.name) || !electorate.sites().any(|site| site == caller) {
            return Err(not_allowed("only custodians take part in the agreement"));
        }
        let behind = || Refusal::new(RefusalCode::Behind, "another epoch is the next one here");
        let history = catalog.history(&instance.database).ok_or_else(behind)?;
        let first = instance.block.checked_mul(BLOCK_SNAPSHOTS).ok_or_else(behind)?;
        if first >= history.head_sequence() {
            return Err(behind()); // nobody makes a site keep records of blocks that are not there
        }
        let next = history.epochs().newest(instance.block).saturating_add(1);
        if instance.epoch == next {
            return Ok(None);
        }
        let decided = history.epochs().certificate(instance.block, instance.epoch);
        decided.map(|bytes| Some(Answer::Decided(bytes.to_vec().into()))).ok_or_else(behind)
    }
}

impl Resharing {
    /// Promises to take no part in lower ballots.
    pub(super) fn promise(
        &mut self,
        asked: Asked<'_>,
        instance: Instance,
        ballot: Ballot,
        outputs: &mut Vec<Output>,
    ) -> Result<Answer, Refusal> {
        if let Some(decided) = asked.admit(&instance, &ballot)? {
            return Ok(decided);
        }
        let Asked { now, wall, caller, keys, .. } = asked;
        // Who leaps to the end of the numbers would shut out all others: rounds go with the clock.
        if ballot.round > wall.plus_ms(CLOCKS_MS).unix_ms() {
            return Err(Refusal::new(RefusalCode::NotAllowed, "a ballot of tomorrow: set the clock of its leader"));
        }
        let led = ((instance.database.clone(), instance.block), caller.clone());
        if self.led.get(&led).is_some_and(|(at, before)| *before != ballot && now < at.plus_ms(LEADS_MS)) {
            return Err(Refusal::new(RefusalCode::Busy, "this site led a moment ago: others have their turn"));
        }
        match self.acceptor(&instance).promise(&ballot) {
            Ok((said, lock)) => {
                self.led.insert(led, (now, ballot.clone()));
                let vote = self.vote(&instance, ballot, said, keys, outputs)?;
                Ok(Answer::Promised { vote: vote.into(), lock })
            }
            Err(promised) => Ok(Answer::Outvoted(promised)),
        }
    }

    /// Takes a proposal: one to which the promises bind, or a free one whose new shares are here, checked.
    #[expect(clippy::too_many_arguments, reason = "all that a proposal is held against, and where to put what follows")]
    pub(super) fn take(
        &mut self,
        asked: Asked<'_>,
        instance: Instance,
        ballot: Ballot,
        lock: Lock,
        promises: &[ByteBuf],
        dealings: &[ByteBuf],
        rng: &mut impl CryptoRng,
        outputs: &mut Vec<Output>,
    ) -> Result<Answer, Refusal> {
        if let Some(decided) = asked.admit(&instance, &ballot)? {
            return Ok(decided);
        }
        let Asked { now, wall, catalog, keys, .. } = asked;
        let bound = read_promises(promises, &instance, &ballot, catalog.charters())?;
        let (read, digest) = read_proposal(&lock.proposal, &instance)?;
        if let Some(bound) = &bound {
            read_lock(&lock, bound, &instance, oldest_charter(&instance, catalog), catalog.charters())?;
        } else {
            check_scope(&read.scope, wall, catalog)?;
            check_clock(read.at, wall)?;
        }
        if let Err(higher) = self.acceptor(&instance).enter(&ballot, digest, bound.as_ref()) {
            return Ok(Answer::Outvoted(higher));
        }
        self.persist(&(instance.database.clone(), instance.block), outputs);
        if !self.acceptor(&instance).holds(digest) && bound.is_none() {
            let proposed = Proposed { ballot: &ballot, proposal: &read, digest, dealings };
            match self.fetch(now, proposed, catalog, keys, rng, outputs)? {
                Progress::Here => {}
                Progress::Fetching => return Ok(Answer::Fetching),
                Progress::Wrong(dealer) => return Ok(Answer::WrongPart(dealer)),
            }
        }
        match self.acceptor(&instance).accept(&ballot, digest, bound.is_some()) {
            Some(said) => self.vote(&instance, ballot, said, keys, outputs).map(|vote| Answer::Voted(vote.into())),
            None => Ok(Answer::Fetching),
        }
    }

    /// Confirms what a quorum took, if enough of them hold their new shares.
    pub(super) fn confirm(
        &mut self,
        asked: Asked<'_>,
        instance: Instance,
        ballot: Ballot,
        lock: Lock,
        outputs: &mut Vec<Output>,
    ) -> Result<Answer, Refusal> {
        if let Some(decided) = asked.admit(&instance, &ballot)? {
            return Ok(decided);
        }
        let (read, digest) = read_proposal(&lock.proposal, &instance)?;
        let (charter, since) = (instance.charter, read.scope.charter);
        let at = LockedAt { ballot: ballot.clone(), charter, proposal: digest, since };
        let oldest = oldest_charter(&instance, asked.catalog);
        if !read_lock(&lock, &at, &instance, oldest, asked.catalog.charters())? {
            // What cannot be certified must not bind those who come after.
            return Err(Refusal::new(RefusalCode::Share, "too few custodians hold their new shares"));
        }
        match self.acceptor(&instance).confirm(at, lock) {
            Ok(said) => self.vote(&instance, ballot, said, asked.keys, outputs).map(|vote| Answer::Voted(vote.into())),
            Err(promised) => Ok(Answer::Outvoted(promised)),
        }
    }

    /// Where this site stands in an agreement; what it said in that on an epoch before is past.
    fn acceptor(&mut self, instance: &Instance) -> &mut Acceptor {
        let acceptor = self.acceptors.entry((instance.database.clone(), instance.block)).or_default();
        if acceptor.epoch != instance.epoch {
            *acceptor = Acceptor::for_epoch(instance.epoch);
        }
        acceptor
    }
}

/// Those who decide, by the newest charter: an agreement under an older one is not gone on with.
fn electorate<'a>(instance: &Instance, catalog: &'a Catalog) -> Result<Electorate<'a>, Refusal> {
    if instance.state != catalog.state() || instance.charter != catalog.charters().newest().digest() {
        return Err(Refusal::new(RefusalCode::Charter, "another charter holds here"));
    }
    Electorate::of(instance, catalog.charters()).map_err(|why| Refusal::new(RefusalCode::Charter, why))
}

/// The version by whose custodians the block got the shares that it has: nobody before them decides anything about it.
pub(super) fn oldest_charter(instance: &Instance, catalog: &Catalog) -> u64 {
    catalog.history(&instance.database).map_or(0, |history| history.epochs().version(instance.block))
}

/// Whether a moment that another site names is one of today.
fn check_clock(at: Timestamp, wall: Timestamp) -> Result<(), Refusal> {
    let is_of_today = at <= wall.plus_ms(CLOCKS_MS) && wall <= at.plus_ms(CLOCKS_MS);
    let why = "the clock of the leader, or of this site, is a day wrong";
    if is_of_today { Ok(()) } else { Err(Refusal::new(RefusalCode::NotAllowed, why)) }
}
