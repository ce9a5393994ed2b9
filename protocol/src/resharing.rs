//! Resharing: the shares of snapshot keys go to the custodians that the charter names now, or to the same ones anew, and
//! what was captured before is worth nothing beside what is captured later. Without home, without any key, and without
//! anybody ever holding a secret.
//!
//! Snapshots change their epoch block by block. Any custodian may lead: it has the holders deal (`dealing`), makes a
//! proposal of it, and brings the custodians to agree on it (`leader`); each keeps its new shares on disk before it
//! votes (`acceptor`). The agreement is a single-decree Paxos with signed votes, as in PBFT: a promise to take no part
//! in lower ballots, acceptance by a quorum, confirmation by a quorum. The votes that confirm are the certificate
//! ([`crate::document::Epoch`]); with it the old shares are erased, and not before: it also proves that enough custodians
//! hold the new ones, whichever coalition is lost.
//!
//! # Security
//! Fewer than `threshold` lying custodians neither bring two proposals through nor learn anything. Two charters after each
//! other may agree on the same block: as long as the sites that changed between them and twice those that lie are fewer
//! than both thresholds together, their quorums have an honest site in common. A leader can waste time, and nothing else:
//! whoever votes has computed everything for itself.
//!
//! # Source
//! M. Castro, B. Liskov, *Practical Byzantine fault tolerance*, OSDI '99; [`shard_codec::secret_sharing::resharing`].

mod acceptor;
mod agreement;
mod dealing;
mod leader;
mod parts;
mod plan;

use std::collections::BTreeMap;

use rand::CryptoRng;
use shard_codec::{Digest, Share};

use crate::catalog::Catalog;
use crate::document::{Ballot, Instance, ReshareScope, Said, Vote};
use crate::evidence::Evidence;
use crate::identifier::{DatabaseName, SiteName};
use crate::machine::{Event, Output, Record, RecordKind, SiteKeys, Ticket};
use crate::signature::Signed;
use crate::timestamp::Timestamp;
use crate::wire::resharing::{Answer, Lock, Question};
use crate::wire::{Refusal, RefusalCode, Response};
use acceptor::Acceptor;
use agreement::{Asked, oldest_charter};
use dealing::Dealer;
use leader::Leader;
use parts::Fetch;
pub use plan::due_count;

/// Tickets from here on are of this machine.
const FIRST_TICKET: u64 = 1 << 63;
/// Parts that have not come by then are asked for anew.
const FETCH_MS: u64 = 60_000;

/// Clocks of two sites differ by less.
const CLOCKS_MS: u64 = 86_400_000;
/// The same site begins to lead at a block only so often: who outbids all others must leave them time between.
const LEADS_MS: u64 = 20_000;

/// One block of one database.
type Block = (DatabaseName, u64);

/// What the host tells.
#[derive(Clone, Debug)]
pub enum Input {
    /// Another site asks for a step.
    Asked {
        /// Who waits.
        ticket: Ticket,
        /// Which site.
        caller: SiteName,
        /// What.
        question: Box<Question>,
    },
    /// Somebody spreads a certificate.
    Epoch {
        /// Who waits, if anybody.
        ticket: Option<Ticket>,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// The machine.
#[derive(Debug)]
pub struct Resharing {
    dealer: Dealer,
    acceptors: BTreeMap<Block, Acceptor>,
    fetches: BTreeMap<Block, Fetch>,
    leader: Leader,
    /// When a site was last promised something as a leader, and in which ballot.
    led: BTreeMap<(Block, SiteName), (Timestamp, Ballot)>,
    next_ticket: u64,
}

impl Default for Resharing {
    fn default() -> Self {
        Self {
            dealer: Dealer::default(),
            acceptors: BTreeMap::new(),
            fetches: BTreeMap::new(),
            leader: Leader::default(),
            led: BTreeMap::new(),
            next_ticket: FIRST_TICKET,
        }
    }
}

impl Resharing {
    /// Whether an answer is for this machine.
    #[must_use]
    pub const fn is_own(ticket: Ticket) -> bool {
        ticket.0 >= FIRST_TICKET
    }

    /// Takes one input; the database of which shares have changed, if any did. `now` is the steady clock and the one on the
    /// wall.
    pub fn handle(
        &mut self,
        now: (Timestamp, Timestamp),
        input: Input,
        catalog: &mut Catalog,
        keys: &SiteKeys,
        rng: &mut impl CryptoRng,
        outputs: &mut Vec<Output>,
    ) -> Option<DatabaseName> {
        match input {
            Input::Asked { ticket, caller, question } => {
                let answer = self.answer(now, &caller, *question, catalog, keys, rng, outputs);
                if let Err(refusal) = &answer {
                    outputs.push(Output::Report(Event::Refused { reason: refusal.message.clone() }));
                }
                outputs.push(Output::Reply(ticket, Box::new(answer.map(Response::Reshared))));
                None
            }
            Input::Epoch { ticket, bytes } => {
                let taken = self.take_epoch(&bytes, catalog, keys, rng, outputs);
                if let Err(refusal) = &taken {
                    outputs.push(Output::Report(Event::Refused { reason: refusal.message.clone() }));
                }
                let changed = taken.as_ref().ok().cloned().flatten();
                if let Some(ticket) = ticket {
                    outputs.push(Output::Reply(ticket, Box::new(taken.map(|_changed| Response::Done))));
                }
                changed
            }
        }
    }

    /// Time has passed: leads what is due. The host calls it every second or so.
    pub fn tick(
        &mut self,
        (now, wall): (Timestamp, Timestamp),
        catalog: &mut Catalog,
        evidence: &Evidence,
        keys: &SiteKeys,
        rng: &mut impl CryptoRng,
        outputs: &mut Vec<Output>,
    ) -> Option<DatabaseName> {
        self.dealer.tick(now);
        self.led.retain(|_leader, (at, _ballot)| now < at.plus_ms(LEADS_MS));
        self.fetches.retain(|_block, fetch| now < fetch.begun_at().plus_ms(FETCH_MS));
        self.leader.tick(now, wall, catalog, evidence, keys, rng, outputs);
        self.lead((now, wall), catalog, keys, rng, outputs)
    }

    /// What came back for [`Output::Ask`]; `None` if nothing did.
    #[expect(clippy::too_many_arguments, reason = "what the host gives to all, and where to put what follows")]
    pub fn answered(
        &mut self,
        now: (Timestamp, Timestamp),
        ticket: Ticket,
        response: Option<Response>,
        catalog: &mut Catalog,
        keys: &SiteKeys,
        rng: &mut impl CryptoRng,
        outputs: &mut Vec<Output>,
    ) -> Option<DatabaseName> {
        let of_fetch = self.fetches.iter().find(|(_block, fetch)| fetch.waits_for(ticket));
        if let Some(block) = of_fetch.map(|(block, _fetch)| block.clone()) {
            let part = match response {
                Some(Response::Reshared(Answer::Part(sealed))) => Some(sealed.into_vec()),
                _ => None,
            };
            self.part_came(&block, ticket, part, catalog, keys, rng, outputs);
            return None;
        }
        let answer = match response {
            Some(Response::Reshared(answer)) => Some(Ok(answer)),
            Some(Response::Refused(refusal)) => Some(Err(refusal)),
            _ => None,
        };
        self.leader.answered(now.0, ticket, answer, catalog, keys);
        self.lead(now, catalog, keys, rng, outputs)
    }

    /// Puts back what this site said before.
    ///
    /// # Errors
    /// The record was damaged.
    pub fn replay(&mut self, record: &Record) -> Result<(), String> {
        if !record.value.is_empty() {
            let block = crate::catalog::split_key(&record.key)?;
            self.acceptors.insert(block, Acceptor::decode(&record.value)?);
        }
        Ok(())
    }

    /// Puts the questions of the leader: to the others, and to this site itself.
    fn lead(
        &mut self,
        now: (Timestamp, Timestamp),
        catalog: &mut Catalog,
        keys: &SiteKeys,
        rng: &mut impl CryptoRng,
        outputs: &mut Vec<Output>,
    ) -> Option<DatabaseName> {
        while let Some((site, question)) = self.leader.next_question() {
            let ticket = Ticket(self.next_ticket);
            self.next_ticket += 1;
            self.leader.asked(ticket, &site);
            if site == keys.name {
                let answer = self.answer(now, &keys.name, question, catalog, keys, rng, outputs);
                self.leader.answered(now.0, ticket, Some(answer), catalog, keys);
            } else {
                outputs.push(Output::Ask {
                    ticket,
                    site,
                    request: Box::new(crate::wire::Request::Reshare(Box::new(question))),
                });
            }
        }
        outputs.append(&mut self.leader.take_events());
        let certificate = self.leader.take_certificate()?;
        match self.take_epoch(&certificate, catalog, keys, rng, outputs) {
            Ok(changed) => changed,
            Err(refusal) => {
                outputs.push(Output::Report(Event::Refused { reason: refusal.message }));
                None
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what the host gives to all, and where to put what follows")]
    fn answer(
        &mut self,
        (now, wall): (Timestamp, Timestamp),
        caller: &SiteName,
        question: Question,
        catalog: &Catalog,
        keys: &SiteKeys,
        rng: &mut impl CryptoRng,
        outputs: &mut Vec<Output>,
    ) -> Result<Answer, Refusal> {
        let asked = Asked { now, wall, caller, catalog, keys };
        match question {
            Question::Deal { scope } => {
                let dealt = self.dealer.deal((now, wall), caller, scope, catalog, keys, rng);
                dealt.map(|bytes| Answer::Dealt(bytes.into()))
            }
            Question::Part { dealing } => self.dealer.part(dealing, caller).map(|part| Answer::Part(part.into())),
            Question::Promise { instance, ballot } => self.promise(asked, instance, ballot, outputs),
            Question::Accept { instance, ballot, proposal, promises, accepts, dealings } => {
                let lock = Lock { proposal, accepts };
                self.take(asked, instance, ballot, lock, &promises, &dealings, rng, outputs)
            }
            Question::Confirm { instance, ballot, lock } => self.confirm(asked, instance, ballot, lock, outputs),
        }
    }

    /// Signs a vote, once what it says is on disk.
    fn vote(
        &self,
        instance: &Instance,
        ballot: Ballot,
        said: Said,
        keys: &SiteKeys,
        outputs: &mut Vec<Output>,
    ) -> Result<Vec<u8>, Refusal> {
        self.persist(&(instance.database.clone(), instance.block), outputs);
        let vote = Vote { instance: instance.clone(), site: keys.name.clone(), ballot, said };
        let signed = Signed::sign_new(vote, &keys.identity);
        signed.map(|signed| signed.encode()).map_err(|error| Refusal::new(RefusalCode::Internal, error))
    }

    fn persist(&self, block: &Block, outputs: &mut Vec<Output>) {
        let value = self.acceptors.get(block).map(Acceptor::encode).unwrap_or_default();
        let key = crate::catalog::key(&block.0, block.1);
        outputs.push(Output::Persist(Record { kind: RecordKind::Agreement, key, value }));
    }

    /// Takes a certificate: the new shares take the place of the old ones, which are erased in the same transaction.
    fn take_epoch(
        &mut self,
        bytes: &[u8],
        catalog: &mut Catalog,
        keys: &SiteKeys,
        rng: &mut impl CryptoRng,
        outputs: &mut Vec<Output>,
    ) -> Result<Option<DatabaseName>, Refusal> {
        let Some((certified, changed)) = catalog.take_epoch(bytes, outputs)? else { return Ok(None) };
        let scope = &certified.proposal.scope;
        let block = (scope.database.clone(), scope.block);
        let of_epoch = self.acceptors.get(&block).filter(|acceptor| acceptor.epoch <= scope.epoch);
        if let Some(acceptor) = of_epoch {
            let shares = acceptor.open(scope, certified.digest, keys).unwrap_or_default();
            for ((sequence, _sharing), share) in scope.snapshots.iter().zip(shares) {
                if changed.contains(sequence)
                    && let Err(reason) =
                        catalog.keep_recovered_share(&scope.database, *sequence, &share, keys, rng, outputs)
                {
                    outputs.push(Output::Report(Event::Refused { reason }));
                }
            }
            self.acceptors.remove(&block);
            self.persist(&block, outputs);
        }
        self.fetches.remove(&block);
        self.leader.decided(&block, scope.epoch);
        Ok(Some(scope.database.clone()))
    }
}

/// The proposal of which a site keeps its new shares ready, by its record of the agreement: for whoever judges by disks.
#[must_use]
pub fn ready_for(record: &[u8]) -> Option<Digest> {
    Acceptor::decode(record).ok()?.pending.map(|pending| pending.proposal)
}

/// The new shares of a proposal that a site keeps ready, by its record of the agreement, for each snapshot of the scope.
#[must_use]
pub fn ready_shares(record: &[u8], proposal: Digest, scope: &ReshareScope, keys: &SiteKeys) -> Option<Vec<Share>> {
    Acceptor::decode(record).ok()?.open(scope, proposal, keys)
}

/// What identifies a dealing.
fn digests(dealings: &[serde_bytes::ByteBuf]) -> Vec<Digest> {
    dealings.iter().map(|bytes| Digest::of(bytes)).collect()
}
