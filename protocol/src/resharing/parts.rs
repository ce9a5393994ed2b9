//! A custodian fetches what was dealt to it, checks it, and makes its new shares of it.

use std::collections::BTreeMap;

use rand::CryptoRng;
use serde_bytes::ByteBuf;
use shard_codec::secret_sharing::{Commitments, ReshareError, Share, combine_parts};
use shard_codec::{Digest, ShareIndex};

use super::dealing::{OldSharing, combine, open_part, read_dealing};
use super::{Block, Resharing, digests};
use crate::catalog::{Catalog, History};
use crate::document::{Ballot, Proposal, ShareDealing};
use crate::identifier::SiteName;
use crate::machine::{Output, SiteKeys, Ticket};
use crate::signature::Signed;
use crate::timestamp::Timestamp;
use crate::wire::resharing::Question;
use crate::wire::{Refusal, RefusalCode, Request};

/// Parts that are on their way.
#[derive(Debug)]
pub(super) struct Fetch {
    begun_at: Timestamp,
    ballot: Ballot,
    proposal: Proposal,
    digest: Digest,
    dealings: Vec<(Signed<ShareDealing>, Vec<Commitments>)>,
    /// Position of the dealer that each open question is for.
    asked: BTreeMap<Ticket, usize>,
    parts: BTreeMap<usize, Vec<u8>>,
    /// A dealer that handed over something wrong.
    wrong: Option<SiteName>,
}

/// A proposal that this site is to take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proposed<'a> {
    pub(super) ballot: &'a Ballot,
    pub(super) proposal: &'a Proposal,
    pub(super) digest: Digest,
    pub(super) dealings: &'a [ByteBuf],
}

/// How far it is.
pub(super) enum Progress {
    /// The new shares are here.
    Here,
    /// Parts are waited for.
    Fetching,
    /// This dealer's part is wrong.
    Wrong(SiteName),
}

impl Fetch {
    pub(super) const fn begun_at(&self) -> Timestamp {
        self.begun_at
    }

    pub(super) fn waits_for(&self, ticket: Ticket) -> bool {
        self.asked.contains_key(&ticket)
    }
}

impl Resharing {
    /// Begins to fetch the parts of a proposal, or says how far that is. The proposal is checked before anybody is asked:
    /// everything public in it is computed again.
    pub(super) fn fetch(
        &mut self,
        now: Timestamp,
        Proposed { ballot, proposal, digest, dealings }: Proposed<'_>,
        catalog: &Catalog,
        keys: &SiteKeys,
        rng: &mut impl CryptoRng,
        outputs: &mut Vec<Output>,
    ) -> Result<Progress, Refusal> {
        let scope = &proposal.scope;
        let block = (scope.database.clone(), scope.block);
        let refuse = |why: String| Refusal::new(RefusalCode::Share, why);
        if let Some(fetch) = self.fetches.get(&block).filter(|fetch| fetch.ballot == *ballot) {
            // One proposal a ballot: everything in it is computed again, which costs.
            if fetch.digest != digest {
                return Err(refuse("another proposal of this ballot is looked at here".to_owned()));
            }
            return Ok(fetch.wrong.clone().map_or(Progress::Fetching, Progress::Wrong));
        }
        let history = catalog.history(&scope.database).ok_or_else(|| refuse("no such database".to_owned()))?;
        if digests(dealings) != proposal.dealings {
            return Err(refuse("the proposal is made of other dealings".to_owned()));
        }
        let mut read = Vec::new();
        for (position, bytes) in dealings.iter().enumerate() {
            read.push(read_dealing(bytes, scope, position, catalog, history).map_err(refuse)?);
        }
        let points: Vec<Vec<Commitments>> = read.iter().map(|(_signed, points)| points.clone()).collect();
        let combined = combine(scope, &points, history).map_err(refuse)?;
        if scope.read_commitments(&proposal.commitments).map_err(refuse)? != combined {
            return Err(refuse("the commitments of the proposal are not those of its dealings".to_owned()));
        }
        let mut fetch = Fetch {
            begun_at: now,
            ballot: ballot.clone(),
            proposal: proposal.clone(),
            digest,
            dealings: read,
            asked: BTreeMap::new(),
            parts: BTreeMap::new(),
            wrong: None,
        };
        for (position, (dealer, dealing)) in scope.dealers.iter().zip(&proposal.dealings).enumerate() {
            if *dealer == keys.name {
                fetch.parts.insert(position, self.dealer.part(*dealing, &keys.name)?);
                continue;
            }
            let ticket = Ticket(self.next_ticket);
            self.next_ticket += 1;
            fetch.asked.insert(ticket, position);
            let request = Request::Reshare(Box::new(Question::Part { dealing: *dealing }));
            outputs.push(Output::Ask { ticket, site: dealer.clone(), request: Box::new(request) });
        }
        let is_whole = fetch.asked.is_empty();
        self.fetches.insert(block.clone(), fetch);
        if is_whole {
            self.conclude(&block, catalog, keys, rng);
        }
        let here = self.acceptors.get(&block).is_some_and(|acceptor| acceptor.holds(digest));
        Ok(if here { Progress::Here } else { Progress::Fetching })
    }

    /// One part has come, or will not.
    #[expect(clippy::too_many_arguments, reason = "what the host gives to all, and where to put what follows")]
    pub(super) fn part_came(
        &mut self,
        block: &Block,
        ticket: Ticket,
        part: Option<Vec<u8>>,
        catalog: &Catalog,
        keys: &SiteKeys,
        rng: &mut impl CryptoRng,
        outputs: &mut Vec<Output>,
    ) {
        let Some(fetch) = self.fetches.get_mut(block) else { return };
        let (Some(position), Some(part)) = (fetch.asked.remove(&ticket), part) else {
            // The dealer does not answer: the next time it is asked anew.
            self.fetches.remove(block);
            return;
        };
        fetch.parts.insert(position, part);
        if fetch.asked.is_empty() {
            self.conclude(block, catalog, keys, rng);
            self.persist(block, outputs);
        }
    }

    /// All parts are here: makes the new shares and keeps them, or names the dealer that cheated.
    fn conclude(&mut self, block: &Block, catalog: &Catalog, keys: &SiteKeys, rng: &mut impl CryptoRng) {
        let Some(fetch) = self.fetches.get_mut(block) else { return };
        let scope = &fetch.proposal.scope;
        let Some(history) = catalog.history(&scope.database) else { return };
        match combine_all(fetch, history, keys) {
            Ok(shares) => {
                let acceptor = self.acceptors.entry(block.clone()).or_default();
                // Not if a higher ballot has begun since: it may be bound to what is kept now.
                let is_kept = acceptor.epoch == scope.epoch
                    && acceptor.is_in(&fetch.ballot)
                    && acceptor.keep(scope, fetch.digest, &shares, keys, rng).is_ok();
                if is_kept {
                    self.fetches.remove(block);
                }
            }
            Err(dealer) => fetch.wrong = dealer,
        }
    }
}

/// This site's new shares, one a snapshot.
///
/// # Errors
/// The dealer whose part is not what it signed, if it is one dealer's fault.
fn combine_all(fetch: &Fetch, history: &History, keys: &SiteKeys) -> Result<Vec<Share>, Option<SiteName>> {
    let scope = &fetch.proposal.scope;
    let position = scope.custodians.iter().position(|custodian| *custodian == keys.name).ok_or(None)?;
    let own = u8::try_from(position + 1).ok().and_then(ShareIndex::new).ok_or(None)?;
    let new = scope.read_commitments(&fetch.proposal.commitments).map_err(|_why| None)?;
    let mut opened = Vec::new();
    for (at, (signed, points)) in fetch.dealings.iter().enumerate() {
        let dealer = &signed.document().dealer;
        let sealed = fetch.parts.get(&at).ok_or(None)?;
        let is_signed = signed.document().part_digests.get(position) == Some(&Digest::of(sealed));
        let shares = open_part(scope, dealer, keys, sealed).filter(|_shares| is_signed);
        let shares = shares.ok_or_else(|| Some(dealer.clone()))?;
        opened.push((shares.into_iter(), points.iter()));
    }
    let mut combined = Vec::new();
    for (snapshot, new) in scope.snapshots.iter().zip(&new) {
        let old = OldSharing::of(scope, snapshot, history).map_err(|_refusal| None)?;
        let of_snapshot =
            opened.iter_mut().filter_map(|(shares, points)| Some((shares.next()?, points.next()?.clone())));
        let parts = old.dealers.iter().zip(of_snapshot).map(|(dealer, (share, points))| (*dealer, share, points));
        let parts: Vec<(ShareIndex, Share, Commitments)> = parts.collect();
        let old_points = old.custody.commitments().map_err(|_why| None)?;
        let share = combine_parts(own, &old_points, new, &parts).map_err(|error| match error {
            ReshareError::Part { dealer, .. } | ReshareError::Dealing { dealer } => {
                let position = old.dealers.iter().position(|index| *index == dealer);
                position.and_then(|position| scope.dealers.get(position)).cloned()
            }
            ReshareError::Dealers { .. } | ReshareError::Secret => None,
        })?;
        combined.push(share);
    }
    Ok(combined)
}
