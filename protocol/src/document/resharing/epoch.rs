//! What is agreed on, and the certificate that it is.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use shard_codec::Digest;
use shard_codec::limits::SHARES_MAX;

use super::{Instance, ReshareScope, Said, Vote};
use crate::cbor;
use crate::document::{Charter, CharterChain, Custody, Database};
use crate::identifier::SiteName;
use crate::limits::RESHARING_BYTES_MAX;
use crate::placement::durability::shares_survive;
use crate::signature::Signed;
use crate::signature::quorum::verify_single;
use crate::timestamp::Timestamp;

/// Votes of a quorum among `count` custodians under `threshold`: two quorums have at least `threshold` sites in common,
/// so an honest one, as long as fewer than `threshold` lie.
#[must_use]
pub const fn quorum(count: usize, threshold: usize) -> usize {
    (count + threshold).div_ceil(2)
}

/// A new sharing of the keys of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// Of what, by whom, to whom.
    pub scope: ReshareScope,
    /// Digest of each dealer's signed dealing, in the order of the dealers.
    #[serde(deserialize_with = "crate::wire::page::deserialize")]
    pub dealings: Vec<Digest>,
    /// For each snapshot the commitments to the new shares: `threshold` points of 32 bytes.
    pub commitments: ByteBuf,
    /// When, by the clock of the site that proposes it.
    pub at: Timestamp,
}

impl Proposal {
    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Decodes and checks what can be seen in the bytes alone.
    ///
    /// # Errors
    /// What is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let proposal: Self = cbor::decode(bytes, RESHARING_BYTES_MAX).map_err(|error| error.to_string())?;
        proposal.scope.validate()?;
        if proposal.dealings.len() != proposal.scope.dealers.len() {
            return Err("one dealing of each dealer".to_owned());
        }
        proposal.scope.read_commitments(&proposal.commitments)?;
        Ok(proposal)
    }

    /// The new sharing of each snapshot.
    pub fn custodies(&self) -> impl Iterator<Item = (u64, Custody)> {
        let ReshareScope { epoch, threshold, custodians, snapshots, .. } = &self.scope;
        let commitments = self.commitments.chunks_exact(usize::from(*threshold).max(1) * 32);
        snapshots.iter().zip(commitments).map(|((sequence, _sharing), commitments)| {
            let (epoch, threshold, custodians) = (*epoch, *threshold, custodians.clone());
            let commitments = commitments.to_vec();
            (*sequence, Custody { epoch, threshold, custodians, commitments, share_digests: Vec::new() })
        })
    }

    /// The charter version that names the custodians.
    ///
    /// # Errors
    /// It is not known here, or names others.
    pub fn charter<'a>(&self, charters: &'a CharterChain) -> Result<&'a Charter, String> {
        let scope = &self.scope;
        let version = charters.iter().find(|version| version.digest() == scope.charter);
        let charter = version.ok_or("the charter of the epoch is not known here")?.document();
        let database = charter.database(&scope.database).ok_or("no such database in the charter of the epoch")?;
        if database.custodians != scope.custodians || database.threshold != scope.threshold {
            return Err("the charter of the epoch names other custodians".to_owned());
        }
        Ok(charter)
    }
}

/// The certificate: a proposal, and the votes that confirm it. Anybody who has the charter can check it; it needs no
/// signature of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// The bytes of the proposal.
    pub proposal: ByteBuf,
    /// The signed votes, by site.
    #[serde(deserialize_with = "crate::wire::page::deserialize")]
    pub votes: Vec<ByteBuf>,
}

/// What a certificate says that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// The proposal.
    pub proposal: Proposal,
    /// Its digest.
    pub digest: Digest,
    /// Custodians that said, signed, that they hold their new shares.
    pub holders: BTreeSet<SiteName>,
    /// Version of the charter whose custodians decided.
    pub version: u64,
}

impl Epoch {
    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Decodes a certificate.
    ///
    /// # Errors
    /// What is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let epoch: Self = cbor::decode(bytes, 2 * RESHARING_BYTES_MAX).map_err(|error| error.to_string())?;
        if epoch.votes.len() > SHARES_MAX { Err("more votes than custodians".to_owned()) } else { Ok(epoch) }
    }

    /// The proposal, whether it is certified or not.
    ///
    /// # Errors
    /// It does not decode.
    pub fn proposal(&self) -> Result<Proposal, String> {
        Proposal::decode(&self.proposal)
    }

    /// Checks it, with the charter versions that it names. That the new shares are of the same secrets is seen by whoever
    /// has the manifests: the first commitment is the same.
    ///
    /// # Errors
    /// It certifies nothing.
    pub fn verify(&self, charters: &CharterChain) -> Result<Certified, String> {
        let proposal = self.proposal()?;
        proposal.charter(charters)?;
        let digest = Digest::of(&self.proposal);
        let mut votes = Vec::new();
        for bytes in &self.votes {
            votes.push(Signed::<Vote>::decode(bytes).map_err(|error| error.to_string())?);
        }
        let first = votes.first().ok_or("a certificate without votes")?.document().clone();
        let (instance, ballot) = (first.instance, first.ballot);
        if !instance.is_of(&proposal.scope) {
            return Err("the votes are of another agreement".to_owned());
        }
        let electorate = Electorate::of(&instance, charters)?;
        let mut sites: BTreeSet<&SiteName> = BTreeSet::new();
        let mut holders = BTreeSet::new();
        for vote in &votes {
            electorate.check(vote, &instance)?;
            let document = vote.document();
            let Said::Confirmed { proposal: confirmed, holds } = &document.said else {
                return Err("a vote that confirms nothing".to_owned());
            };
            if *confirmed != digest || document.ballot != ballot {
                return Err("a vote for another proposal or in another ballot".to_owned());
            }
            if !sites.insert(&document.site) {
                return Err("one site votes twice".to_owned());
            }
            if *holds {
                holders.insert(document.site.clone());
            }
        }
        if sites.len() < electorate.quorum() {
            return Err(format!("{} of {} votes that are needed", sites.len(), electorate.quorum()));
        }
        if !electorate.survives(&proposal.scope, &holders) {
            return Err("too few custodians hold their new shares".to_owned());
        }
        Ok(Certified { proposal, digest, holders, version: electorate.version() })
    }
}

/// Those who decide in one agreement: the custodians of the charter version that it names, as far as they are members.
#[derive(Clone, Copy, Debug)]
pub struct Electorate<'a> {
    charter: &'a Charter,
    database: &'a Database,
}

impl<'a> Electorate<'a> {
    /// The one of `instance`.
    ///
    /// # Errors
    /// The charter version is not known here, or knows no such database.
    pub fn of(instance: &Instance, charters: &'a CharterChain) -> Result<Self, String> {
        let version = charters.iter().find(|version| version.digest() == instance.charter);
        let charter = version.ok_or("the charter of the agreement is not known here")?.document();
        let database =
            charter.database(&instance.database).ok_or("no such database in the charter of the agreement")?;
        Ok(Self { charter, database })
    }

    /// The charter's version.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.charter.version
    }

    /// The sites.
    pub fn sites(&self) -> impl Iterator<Item = &'a SiteName> {
        let charter = self.charter;
        self.database.custodians.iter().filter(move |name| charter.active_site(name).is_some())
    }

    /// Votes that decide.
    #[must_use]
    pub fn quorum(&self) -> usize {
        #[cfg(feature = "planted-bugs")]
        if crate::planted::is_planted(crate::planted::Bug::EpochByMinority) {
            return 1;
        }
        quorum(self.database.custodians.len(), usize::from(self.database.threshold))
    }

    /// Whether a proposal can have been certified, or still be, if of those who decide so many at least have not confirmed it in
    /// any ballot and never will in a lower one; fewer than the threshold of them lie.
    #[must_use]
    pub fn may_be_certified(&self, unconfirmed_count: usize) -> bool {
        let liars_max = usize::from(self.database.threshold).saturating_sub(1);
        self.sites().count() + liars_max >= self.quorum() + unconfirmed_count
    }

    /// Whether enough new shares stand whichever coalition is lost, if `sites` hold theirs.
    #[must_use]
    pub fn survives(&self, scope: &ReshareScope, sites: &BTreeSet<SiteName>) -> bool {
        #[cfg(feature = "planted-bugs")]
        if crate::planted::is_planted(crate::planted::Bug::EpochByMinority) {
            return true;
        }
        let holders = sites.iter().filter(|site| scope.custodians.contains(site)).cloned().collect();
        shares_survive(self.charter, &holders, usize::from(scope.threshold))
    }

    /// Whether a vote is one in this agreement, signed by one who decides.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, vote: &Signed<Vote>, instance: &Instance) -> Result<(), String> {
        let document = vote.document();
        let site =
            self.charter.active_site(&document.site).filter(|site| self.database.custodians.contains(&site.name));
        let site = site.ok_or_else(|| format!("{} does not decide in this agreement", document.site))?;
        if document.instance != *instance {
            return Err("a vote in another agreement".to_owned());
        }
        verify_single(vote, site.identity).map_err(|error| error.to_string())
    }
}
