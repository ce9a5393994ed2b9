//! The site that leads: it has the holders deal, makes a proposal, and brings the custodians to agree. It decides nothing
//! alone and keeps nothing over a restart: another one, or itself, begins again with a higher ballot.

mod attempt;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand::CryptoRng;
use serde_bytes::ByteBuf;
use shard_codec::Digest;
use shard_codec::secret_sharing::Commitments;

use super::acceptor::{binding, read_lock, read_proposal};
use super::dealing::{combine, read_dealing};
use super::plan::{next_block, plan};
use super::{Block, CLOCKS_MS, digests, oldest_charter};
use crate::audit::schedule::below;
use crate::catalog::Catalog;
use crate::document::{Ballot, Electorate, Epoch, Instance, LockedAt, Proposal, ReshareScope, Said, Vote};
use crate::evidence::Evidence;
use crate::identifier::{DatabaseName, SiteName};
use crate::machine::{Event, Output, SiteKeys, Ticket};
use crate::signature::Signed;
use crate::timestamp::Timestamp;
use crate::wire::Refusal;
use crate::wire::resharing::{Answer, Lock, Question};
use attempt::{Attempt, Stage};

/// Time between two looks for what is due.
const LOOK_MS: u64 = 5_000;
/// What is due is led by one site after the other: each waits so much longer than the one before.
const RANK_MS: u64 = 20_000;
/// An attempt that has not ended by then is given up.
const ATTEMPT_MS: u64 = 60_000;
/// If somebody has confirmed something, so long the promises of all are waited for.
const PROMISES_MS: u64 = 5_000;
/// After a failed attempt, about so long nothing of the database is tried.
const RETRY_MS: u64 = 40_000;
/// So long a dealer is left out that does not answer: it may not have heard of the charter yet.
const ABSENT_MS: u64 = 45_000;
/// So long one is left out that handed over something wrong.
const DISTRUST_MS: u64 = 600_000;

/// The machine of the site that leads.
#[derive(Debug, Default)]
pub(super) struct Leader {
    attempt: Option<Attempt>,
    questions: VecDeque<(SiteName, Question)>,
    events: Vec<Output>,
    certificate: Option<Vec<u8>>,
    distrusted: BTreeMap<SiteName, Timestamp>,
    /// Since when something of a database is due, and when it is tried again.
    due: BTreeMap<DatabaseName, (Timestamp, Timestamp)>,
    /// The highest round met of each block.
    rounds: BTreeMap<Block, u64>,
    /// Where the next look begins: a block that fails does not hold up the rest.
    next_block: BTreeMap<DatabaseName, u64>,
    next_look: Timestamp,
}

impl Leader {
    pub(super) fn next_question(&mut self) -> Option<(SiteName, Question)> {
        self.questions.pop_front()
    }

    pub(super) fn asked(&mut self, ticket: Ticket, site: &SiteName) {
        if let Some(attempt) = &mut self.attempt {
            attempt.asked.insert(ticket, site.clone());
        }
    }

    pub(super) fn take_events(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.events)
    }

    pub(super) fn take_certificate(&mut self) -> Option<Vec<u8>> {
        self.certificate.take()
    }

    /// A block has its epoch: whatever is tried for it is over, and the next one may follow at once.
    pub(super) fn decided(&mut self, block: &Block, epoch: u64) {
        self.rounds.remove(block);
        let is_of = |attempt: &Attempt| {
            (&attempt.instance.database, attempt.instance.block) == (&block.0, block.1)
                && attempt.instance.epoch <= epoch
        };
        if self.attempt.as_ref().is_some_and(is_of) {
            (self.attempt, self.next_look) = (None, Timestamp::default());
            self.questions.clear();
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the machines that it reads, and what the host gives to all")]
    pub(super) fn tick(
        &mut self,
        now: Timestamp,
        wall: Timestamp,
        catalog: &Catalog,
        evidence: &Evidence,
        keys: &SiteKeys,
        rng: &mut impl CryptoRng,
        outputs: &mut Vec<Output>,
    ) {
        if let Some(attempt) = &mut self.attempt {
            let electorate = Electorate::of(&attempt.instance, catalog.charters());
            // One site's word for it is not enough: it may lie.
            let is_hopeless =
                electorate.is_ok_and(|all| all.sites().count() < all.quorum() + attempt.outvoted_by.len());
            if is_hopeless {
                self.give_up(now, "another site leads", rng);
            } else if attempt.begun_at.plus_ms(ATTEMPT_MS) <= now {
                let why = attempt.describe();
                self.give_up(now, &why, rng);
            } else if let Stage::Promising { since, has_waited, .. } = &mut attempt.stage {
                if !*has_waited && since.plus_ms(PROMISES_MS) <= now {
                    *has_waited = true;
                    let electorate = Electorate::of(&attempt.instance, catalog.charters());
                    electorate.into_iter().for_each(|electorate| self.advance(now, electorate, catalog, keys));
                }
            } else if let Stage::Accepting { again, .. } = &mut attempt.stage {
                for site in std::mem::take(again) {
                    if let Some(question) = self.attempt.as_ref().and_then(Attempt::accept) {
                        self.questions.push_back((site, question));
                    }
                }
            }
        }
        if self.attempt.is_none() && self.next_look <= now {
            self.next_look = now.plus_ms(LOOK_MS);
            self.begin(now, wall, catalog, evidence, keys, rng);
        }
        outputs.append(&mut self.events);
    }

    /// Begins the next attempt, if one is due.
    fn begin(
        &mut self,
        now: Timestamp,
        wall: Timestamp,
        catalog: &Catalog,
        evidence: &Evidence,
        keys: &SiteKeys,
        rng: &mut impl CryptoRng,
    ) {
        self.distrusted.retain(|_site, until| now < *until);
        for (database, history) in catalog.histories() {
            let Some(entry) = catalog.charter().database(database) else { continue };
            let Some(rank) = entry.custodians.iter().position(|site| *site == keys.name) else { continue };
            let from = self.next_block.get(database).copied().unwrap_or(0);
            let found = next_block(entry, history, from, wall).or_else(|| next_block(entry, history, 0, wall));
            let Some(block) = found else {
                self.due.remove(database);
                continue;
            };
            let (since, retry_at) = *self.due.entry(database.clone()).or_insert((now, now));
            if now < since.plus_ms(rank as u64 * RANK_MS) || now < retry_at {
                continue;
            }
            let distrusted = &self.distrusted;
            let trusted =
                |site: &SiteName| catalog.charter().active_site(site).is_some() && !distrusted.contains_key(site);
            match plan(entry, block, history, catalog, evidence, wall, trusted, rng) {
                Ok(scope) => return self.attempt(now, wall, scope, keys),
                Err(why) => {
                    self.next_block.insert(database.clone(), block + 1);
                    self.due.insert(database.clone(), (since, now.plus_ms(RETRY_MS)));
                    let database = database.clone();
                    self.events.push(Output::Report(Event::ReshareFailed { database, block, why }));
                }
            }
        }
    }

    fn attempt(&mut self, now: Timestamp, wall: Timestamp, scope: ReshareScope, keys: &SiteKeys) {
        let known = self.rounds.get(&(scope.database.clone(), scope.block)).copied().unwrap_or(0);
        let round = known.saturating_add(1).max(wall.unix_ms());
        let instance = Instance {
            state: scope.state,
            database: scope.database.clone(),
            charter: scope.charter,
            block: scope.block,
            epoch: scope.epoch,
        };
        for dealer in &scope.dealers {
            self.questions.push_back((dealer.clone(), Question::Deal { scope: scope.clone() }));
        }
        self.attempt = Some(Attempt {
            begun_at: now,
            instance,
            ballot: Ballot { round, leader: keys.name.clone() },
            scope,
            at: wall,
            dealings: Vec::new(),
            proposal: Vec::new(),
            proposed: None,
            stage: Stage::Dealing { dealt: BTreeMap::new() },
            outvoted_by: BTreeSet::new(),
            asked: BTreeMap::new(),
        });
    }

    /// What came back; `None` if nothing did.
    pub(super) fn answered(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        answer: Option<Result<Answer, Refusal>>,
        catalog: &Catalog,
        keys: &SiteKeys,
    ) {
        let Some(attempt) = &mut self.attempt else { return };
        let Some(site) = attempt.asked.remove(&ticket) else { return };
        match answer {
            Some(Ok(Answer::Decided(certificate))) => self.certificate = Some(certificate.into_vec()),
            Some(Ok(Answer::Outvoted(ballot))) => {
                let block = (attempt.instance.database.clone(), attempt.instance.block);
                let round = self.rounds.entry(block).or_default();
                // Rounds go with the clock: what is further ahead is taken by nobody, and is no reason to follow.
                *round = ballot.round.min(attempt.at.plus_ms(CLOCKS_MS / 2).unix_ms()).max(*round);
                attempt.outvoted_by.insert(site);
            }
            Some(Ok(answer)) => self.progress(now, &site, answer, catalog, keys),
            Some(Err(refusal)) if matches!(attempt.stage, Stage::Dealing { .. }) => {
                self.blame(now, &site, &format!("{site} does not deal: {refusal}"), false);
            }
            None if matches!(attempt.stage, Stage::Dealing { .. }) => {
                self.blame(now, &site, &format!("{site} does not answer"), false);
            }
            // Others may be enough.
            Some(Err(_)) | None => {}
        }
    }

    fn progress(&mut self, now: Timestamp, site: &SiteName, answer: Answer, catalog: &Catalog, keys: &SiteKeys) {
        let Some(attempt) = &mut self.attempt else { return };
        let Ok(electorate) = Electorate::of(&attempt.instance, catalog.charters()) else { return };
        let took = match (&mut attempt.stage, answer) {
            (Stage::Dealing { dealt }, Answer::Dealt(bytes)) => {
                let Some(history) = catalog.history(&attempt.scope.database) else { return };
                let Some(position) = attempt.scope.dealers.iter().position(|dealer| dealer == site) else { return };
                match read_dealing(&bytes, &attempt.scope, position, catalog, history) {
                    Ok((_signed, points)) => dealt.insert(position, (bytes.into_vec(), points)).is_none(),
                    Err(why) => {
                        return self.blame(
                            now,
                            site,
                            &format!("{site} dealt wrongly, or knows another charter: {why}"),
                            false,
                        );
                    }
                }
            }
            (Stage::Promising { promises, locks, .. }, Answer::Promised { vote, lock }) => {
                let (instance, ballot) = (&attempt.instance, &attempt.ballot);
                let named = read_vote(site, &vote, instance, ballot, electorate, |said| match said {
                    Said::Promised { locked } => Some(locked.clone()),
                    Said::Accepted { .. } | Said::Confirmed { .. } => None,
                });
                let oldest = oldest_charter(instance, catalog);
                let is_shown = |at: &LockedAt, lock: &Option<Lock>| {
                    let lock = lock.as_ref();
                    lock.is_some_and(|lock| read_lock(lock, at, instance, oldest, catalog.charters()).is_ok())
                };
                match named {
                    Some(Some(at)) if !is_shown(&at, &lock) => false,
                    Some(named) => {
                        locks.extend(named.clone().zip(lock));
                        promises.insert(site.clone(), (vote.into_vec(), named)).is_none()
                    }
                    None => false,
                }
            }
            (Stage::Accepting { votes, .. }, Answer::Voted(vote)) => {
                let digest = Digest::of(&attempt.proposal);
                read_vote(site, &vote, &attempt.instance, &attempt.ballot, electorate, |said| match said {
                    Said::Accepted { proposal, holds } => (*proposal == digest).then_some(*holds),
                    Said::Promised { .. } | Said::Confirmed { .. } => None,
                })
                .is_some_and(|holds| votes.insert(site.clone(), (vote.into_vec(), holds)).is_none())
            }
            (Stage::Accepting { again, .. }, Answer::Fetching) => {
                again.insert(site.clone());
                false
            }
            (Stage::Accepting { blamed, .. }, Answer::WrongPart(dealer)) => {
                blamed.entry(dealer).or_default().insert(site.clone());
                false
            }
            (Stage::Confirming { votes }, Answer::Voted(vote)) => {
                let digest = Digest::of(&attempt.proposal);
                read_vote(site, &vote, &attempt.instance, &attempt.ballot, electorate, |said| match said {
                    Said::Confirmed { proposal, holds } => (*proposal == digest).then_some(*holds),
                    Said::Promised { .. } | Said::Accepted { .. } => None,
                })
                .is_some_and(|holds| votes.insert(site.clone(), (vote.into_vec(), holds)).is_none())
            }
            _ => false,
        };
        if took {
            self.advance(now, electorate, catalog, keys);
        }
    }

    /// Goes on to the next stage, if this one has what it needs.
    fn advance(&mut self, now: Timestamp, electorate: Electorate<'_>, catalog: &Catalog, keys: &SiteKeys) {
        let Some(attempt) = &mut self.attempt else { return };
        let scope = attempt.proposed.as_ref().unwrap_or(&attempt.scope);
        let holding = |votes: &BTreeMap<SiteName, (Vec<u8>, bool)>| {
            let holders = votes.iter().filter(|(_site, (_vote, holds))| *holds).map(|(site, _vote)| site.clone());
            electorate.survives(scope, &holders.collect())
        };
        let bytes = |votes: &BTreeMap<SiteName, (Vec<u8>, bool)>| -> Vec<ByteBuf> {
            votes.values().map(|(vote, _holds)| vote.clone().into()).collect()
        };
        match &mut attempt.stage {
            Stage::Dealing { dealt } if dealt.len() == attempt.scope.dealers.len() => {
                let (dealings, points): (Vec<ByteBuf>, Vec<Vec<Commitments>>) =
                    std::mem::take(dealt).into_values().map(|(bytes, points)| (bytes.into(), points)).unzip();
                let Some(history) = catalog.history(&attempt.scope.database) else { return };
                let Ok(combined) = combine(&attempt.scope, &points, history) else { return };
                let commitments: Vec<u8> =
                    combined.iter().flat_map(|points| points.to_bytes().into_iter().flatten()).collect();
                let proposal = Proposal {
                    scope: attempt.scope.clone(),
                    dealings: digests(&dealings),
                    commitments: commitments.into(),
                    at: attempt.at,
                };
                (attempt.proposal, attempt.dealings) = (proposal.encode(), dealings);
                let (promises, locks) = (BTreeMap::new(), BTreeMap::new());
                attempt.stage = Stage::Promising { promises, locks, since: now, has_waited: false };
                let (instance, ballot) = (attempt.instance.clone(), attempt.ballot.clone());
                self.ask_all(electorate, keys, &Question::Promise { instance, ballot });
            }
            // The more promise, the surer it is that what one of them confirmed was never certified.
            Stage::Promising { promises, locks, has_waited, .. }
                if promises.len() >= electorate.quorum()
                    && (*has_waited || locks.is_empty() || promises.len() == electorate.sites().count()) =>
            {
                let promised: Vec<_> =
                    promises.iter().map(|(site, (_vote, named))| (site.clone(), named.clone())).collect();
                let bound = binding(&promised, &attempt.instance, catalog.charters());
                let locked = bound.and_then(|bound| locks.remove(&bound));
                let promises = std::mem::take(promises).into_values().map(|(vote, _named)| vote.into()).collect();
                if let Some(lock) = &locked {
                    let Ok((read, _digest)) = read_proposal(&lock.proposal, &attempt.instance) else { return };
                    (attempt.proposal, attempt.proposed) = (lock.proposal.to_vec(), Some(read.scope));
                    attempt.dealings.clear();
                }
                let (votes, again, blamed) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
                attempt.stage = Stage::Accepting { promises, locked, votes, again, blamed };
                if let Some(question) = attempt.accept() {
                    self.ask_all(electorate, keys, &question);
                }
            }
            Stage::Accepting { votes, .. } if votes.len() >= electorate.quorum() && holding(votes) => {
                let lock = Lock { proposal: attempt.proposal.clone().into(), accepts: bytes(votes) };
                attempt.stage = Stage::Confirming { votes: BTreeMap::new() };
                let (instance, ballot) = (attempt.instance.clone(), attempt.ballot.clone());
                self.ask_all(electorate, keys, &Question::Confirm { instance, ballot, lock });
            }
            Stage::Confirming { votes } if votes.len() >= electorate.quorum() && holding(votes) => {
                let certificate = Epoch { proposal: attempt.proposal.clone().into(), votes: bytes(votes) };
                self.certificate = Some(certificate.encode());
            }
            Stage::Dealing { .. } | Stage::Promising { .. } | Stage::Accepting { .. } | Stage::Confirming { .. } => {}
        }
    }

    /// Asks everybody who decides, this site last: what it says to itself is at once.
    fn ask_all(&mut self, electorate: Electorate<'_>, keys: &SiteKeys, question: &Question) {
        self.attempt.iter_mut().for_each(|attempt| attempt.asked.clear());
        let others = electorate.sites().filter(|site| **site != keys.name);
        self.questions.extend(others.chain([&keys.name]).map(|site| (site.clone(), question.clone())));
    }

    /// A dealer is left out for a while, and the attempt begins anew without it.
    fn blame(&mut self, now: Timestamp, site: &SiteName, why: &str, lied: bool) {
        let Some(attempt) = self.attempt.take() else { return };
        let (database, block) = (attempt.instance.database, attempt.instance.block);
        self.distrusted.insert(site.clone(), now.plus_ms(if lied { DISTRUST_MS } else { ABSENT_MS }));
        self.questions.clear();
        self.next_look = now;
        if lied {
            let (site, database) = (site.clone(), database.clone());
            self.events.push(Output::Report(Event::CustodianLied { site, database }));
        }
        self.events.push(Output::Report(Event::ReshareFailed { database, block, why: why.to_owned() }));
    }

    fn give_up(&mut self, now: Timestamp, why: &str, rng: &mut impl CryptoRng) {
        let Some(attempt) = self.attempt.take() else { return };
        self.questions.clear();
        let block = (attempt.instance.database.clone(), attempt.instance.block);
        let round = self.rounds.entry(block).or_default();
        *round = attempt.ballot.round.max(*round);
        if let Stage::Accepting { blamed, .. } = &attempt.stage {
            // Who of the two lies, nobody else can tell; the one who deals can be done without.
            for (dealer, by) in blamed {
                let is_dealer = attempt.scope.dealers.contains(dealer);
                if is_dealer && by.iter().any(|site| site != dealer) {
                    self.distrusted.insert(dealer.clone(), now.plus_ms(DISTRUST_MS));
                }
            }
        }
        let (database, block) = (attempt.instance.database, attempt.instance.block);
        self.next_block.insert(database.clone(), block + 1);
        let pause = RETRY_MS / 2 + below(RETRY_MS, rng);
        self.due.entry(database.clone()).or_insert((now, now)).1 = now.plus_ms(pause);
        self.events.push(Output::Report(Event::ReshareFailed { database, block, why: why.to_owned() }));
    }
}

/// What a vote of `site` says, if it is one in this ballot.
fn read_vote<T>(
    site: &SiteName,
    bytes: &[u8],
    instance: &Instance,
    ballot: &Ballot,
    electorate: Electorate<'_>,
    read: impl Fn(&Said) -> Option<T>,
) -> Option<T> {
    let vote = Signed::<Vote>::decode(bytes).ok()?;
    electorate.check(&vote, instance).ok()?;
    let document = vote.document();
    if document.site != *site || document.ballot != *ballot {
        return None;
    }
    read(&document.said)
}
