//! A custodian's side of the agreement: what it promised, took and confirmed, for each block.
//!
//! Everything said is on disk before it is sent, so a restart forgets nothing that others rely on. A proposal is taken only
//! when the site holds its own new shares by it, verified and sealed on its disk; or when a quorum did so before.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use shard_codec::Digest;
use shard_codec::secret_sharing::Share;
use shard_codec::share_sealing::{open_sealed, seal_to};

use crate::cbor;
use crate::document::{Ballot, CharterChain, Electorate, Instance, LockedAt, Proposal, ReshareScope, Said, Vote};
use crate::identifier::SiteName;
use crate::limits::FRAME_BYTES_MAX;
use crate::machine::SiteKeys;
use crate::signature::Signed;
use crate::wire::resharing::Lock;
use crate::wire::{Refusal, RefusalCode};

/// What was confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Locked {
    at: LockedAt,
    lock: Lock,
}

/// New shares that are not certified yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pending {
    /// Digest of the proposal that they are of.
    pub(super) proposal: Digest,
    /// All of them, sealed to this site.
    pub(super) sealed: ByteBuf,
}

/// Where this site stands in the agreement on the next epoch of one block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Acceptor {
    pub(super) epoch: u64,
    promised: Option<Ballot>,
    /// Each ballot takes one proposal.
    accepted: Option<(Ballot, Digest)>,
    locked: Option<Locked>,
    pub(super) pending: Option<Pending>,
}

impl Acceptor {
    pub(super) fn for_epoch(epoch: u64) -> Self {
        Self { epoch, ..Self::default() }
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        cbor::decode(bytes, FRAME_BYTES_MAX).map_err(|error| error.to_string())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Whether this site still waits for what it takes in this ballot.
    pub(super) fn is_in(&self, ballot: &Ballot) -> bool {
        self.promised.as_ref() == Some(ballot)
    }

    /// # Errors
    /// The higher ballot that was promised.
    fn check_promise(&self, ballot: &Ballot) -> Result<(), Ballot> {
        let higher = self.promised.as_ref().filter(|promised| *promised > ballot);
        higher.map_or(Ok(()), |promised| Err(promised.clone()))
    }

    /// Promises to take no part in lower ballots.
    ///
    /// # Errors
    /// The ballot that was promised before, if this one is lower.
    pub(super) fn promise(&mut self, ballot: &Ballot) -> Result<(Said, Option<Lock>), Ballot> {
        self.check_promise(ballot)?;
        self.promised = Some(ballot.clone());
        let locked = self.locked.as_ref();
        Ok((Said::Promised { locked: locked.map(|locked| locked.at.clone()) }, locked.map(|l| l.lock.clone())))
    }

    /// Enters a ballot in which the promises of a quorum bind the proposal to `bound`: this one may be taken in it. The
    /// promises prove that nothing else was certified, so what this site confirmed otherwise binds it no longer.
    ///
    /// # Errors
    /// The ballot that goes before, if a higher one was promised, or this one has another proposal here.
    pub(super) fn enter(&mut self, ballot: &Ballot, proposal: Digest, bound: Option<&LockedAt>) -> Result<(), Ballot> {
        self.check_promise(ballot)?;
        let taken = self.accepted.as_ref().is_some_and(|(taken, other)| taken == ballot && *other != proposal);
        let confirmed = self.locked.as_ref().map(|locked| &locked.at);
        let is_confirmed = confirmed.is_some_and(|at| at.ballot == *ballot && at.proposal != proposal);
        if taken || is_confirmed {
            return Err(ballot.clone());
        }
        if confirmed.is_some_and(|at| at.ballot < *ballot && Some(at.proposal) != bound.map(|bound| bound.proposal)) {
            self.locked = None;
        }
        self.promised = Some(ballot.clone());
        Ok(())
    }

    /// Takes a proposal in the ballot that was entered; `None` if its new shares have to be here first.
    pub(super) fn accept(&mut self, ballot: &Ballot, proposal: Digest, is_bound: bool) -> Option<Said> {
        let holds = self.holds(proposal);
        if !holds && !is_bound {
            return None;
        }
        self.accepted = Some((ballot.clone(), proposal));
        Some(Said::Accepted { proposal, holds })
    }

    /// Confirms what a quorum took in this ballot.
    ///
    /// # Errors
    /// A higher ballot was promised.
    pub(super) fn confirm(&mut self, at: LockedAt, lock: Lock) -> Result<Said, Ballot> {
        self.check_promise(&at.ballot)?;
        let proposal = at.proposal;
        self.promised = Some(at.ballot.clone());
        self.locked = Some(Locked { at, lock });
        Ok(Said::Confirmed { proposal, holds: self.holds(proposal) })
    }

    /// Whether the new shares of a proposal are here.
    pub(super) fn holds(&self, proposal: Digest) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.proposal == proposal)
    }

    /// Keeps new shares, sealed to this site.
    pub(super) fn keep(
        &mut self,
        scope: &ReshareScope,
        proposal: Digest,
        shares: &[Share],
        keys: &SiteKeys,
        rng: &mut impl rand::CryptoRng,
    ) -> Result<(), String> {
        let sealed = seal_to(&keys.sealing.public(), &pending_context(scope, proposal), &Share::join(shares), rng);
        self.pending = Some(Pending { proposal, sealed: sealed.map_err(|error| error.to_string())?.into() });
        Ok(())
    }

    /// The new shares of a proposal, if they are here.
    pub(super) fn open(&self, scope: &ReshareScope, proposal: Digest, keys: &SiteKeys) -> Option<Vec<Share>> {
        let pending = self.pending.as_ref().filter(|pending| pending.proposal == proposal)?;
        let opened = open_sealed(&keys.sealing, &pending_context(scope, proposal), &pending.sealed).ok()?;
        Share::split(&opened, scope.snapshots.len())
    }
}

fn pending_context(scope: &ReshareScope, proposal: Digest) -> Vec<u8> {
    cbor::encode(&("legation v1 pending shares", scope, proposal))
}

/// The votes of a quorum for one and the same thing: `read` says what a vote must be. They are of distinct sites that decide.
///
/// # Errors
/// What is wrong with them.
fn read_quorum<T>(
    votes: &[ByteBuf],
    instance: &Instance,
    ballot: &Ballot,
    electorate: Electorate<'_>,
    read: impl Fn(&SiteName, &Said) -> Option<T>,
) -> Result<Vec<T>, Refusal> {
    let refuse = |why: &dyn std::fmt::Display| Refusal::new(RefusalCode::Malformed, why);
    let mut sites = std::collections::BTreeSet::new();
    let mut read_votes = Vec::new();
    if votes.len() > shard_codec::limits::SHARES_MAX {
        return Err(refuse(&"more votes than custodians"));
    }
    for bytes in votes {
        let vote = Signed::<Vote>::decode(bytes).map_err(|error| refuse(&error))?;
        electorate.check(&vote, instance).map_err(|why| refuse(&why))?;
        let document = vote.document();
        let said = read(&document.site, &document.said).filter(|_said| document.ballot == *ballot);
        read_votes.push(said.ok_or_else(|| refuse(&"a vote for something else"))?);
        sites.insert(document.site.clone());
    }
    if sites.len() != votes.len() || sites.len() < electorate.quorum() {
        return Err(refuse(&format!("{} of {} votes that are needed", sites.len(), electorate.quorum())));
    }
    Ok(read_votes)
}

/// What the promises of a quorum bind the next proposal to: what was confirmed in the highest ballot of those in which
/// something may have been certified.
pub(super) fn read_promises(
    promises: &[ByteBuf],
    instance: &Instance,
    ballot: &Ballot,
    charters: &CharterChain,
) -> Result<Option<LockedAt>, Refusal> {
    let refuse = |why: String| Refusal::new(RefusalCode::Charter, why);
    let electorate = Electorate::of(instance, charters).map_err(refuse)?;
    let promised = read_quorum(promises, instance, ballot, electorate, |site, said| match said {
        Said::Promised { locked } => Some((site.clone(), locked.clone())),
        Said::Accepted { .. } | Said::Confirmed { .. } => None,
    })?;
    Ok(binding(&promised, instance, charters))
}

/// The same, of promises that were read.
///
/// A site names what it confirmed last. If it confirmed the same proposal in an earlier ballot too, or under an older charter,
/// it does not say so: who names a proposal at all may have confirmed it in any ballot, and it is counted among those who
/// decided under each charter since the one that the proposal names.
pub(super) fn binding(
    promised: &[(SiteName, Option<LockedAt>)],
    instance: &Instance,
    charters: &CharterChain,
) -> Option<LockedAt> {
    let position = |digest: Digest| charters.iter().position(|version| version.digest() == digest);
    let newest = position(instance.charter)?;
    let may_be_certified = |locked: &LockedAt| {
        let Some(oldest) = position(locked.since) else { return false };
        let mut versions = charters.iter().take(newest + 1).skip(oldest);
        versions.any(|version| {
            let then = Instance { charter: version.digest(), ..instance.clone() };
            let Ok(electorate) = Electorate::of(&then, charters) else { return false };
            let unconfirmed = promised.iter().filter(|(site, named)| {
                let names_it = named.as_ref().is_some_and(|named| named.proposal == locked.proposal);
                !names_it && electorate.sites().any(|decides| decides == site)
            });
            electorate.may_be_certified(unconfirmed.count())
        })
    };
    let locks = promised.iter().filter_map(|(_site, locked)| locked.as_ref());
    locks.filter(|locked| may_be_certified(locked)).max().cloned()
}

/// Whether enough of those who took the proposal of a lock said that they hold their new shares. A quorum took it in the ballot
/// and under the charter that are named; under no older one than `oldest`, the version by which the block got the shares that
/// it has.
///
/// # Errors
/// It shows something else.
pub(super) fn read_lock(
    lock: &Lock,
    at: &LockedAt,
    instance: &Instance,
    oldest: u64,
    charters: &CharterChain,
) -> Result<bool, Refusal> {
    let refuse = |why: String| Refusal::new(RefusalCode::Malformed, why);
    let (proposal, digest) = read_proposal(&lock.proposal, instance)?;
    if (digest, proposal.scope.charter) != (at.proposal, at.since) {
        return Err(refuse("another proposal than the one that is named".to_owned()));
    }
    let of_lock = Instance { charter: at.charter, ..instance.clone() };
    let electorate = Electorate::of(&of_lock, charters).map_err(refuse)?;
    if electorate.version() < oldest {
        return Err(refuse("votes under a charter that is past".to_owned()));
    }
    let taken = read_quorum(&lock.accepts, &of_lock, &at.ballot, electorate, |site, said| match said {
        Said::Accepted { proposal: taken, holds } => (*taken == digest).then(|| holds.then(|| site.clone())),
        Said::Promised { .. } | Said::Confirmed { .. } => None,
    })?;
    Ok(electorate.survives(&proposal.scope, &taken.into_iter().flatten().collect()))
}

/// A proposal for this agreement, with its digest.
pub(super) fn read_proposal(bytes: &[u8], instance: &Instance) -> Result<(Proposal, Digest), Refusal> {
    let refuse = |why: String| Refusal::new(RefusalCode::Malformed, why);
    let proposal = Proposal::decode(bytes).map_err(refuse)?;
    if !instance.is_of(&proposal.scope) {
        return Err(refuse("a proposal for another agreement".to_owned()));
    }
    Ok((proposal, Digest::of(bytes)))
}
