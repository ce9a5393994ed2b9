//! One attempt to bring a proposal through.

use std::collections::{BTreeMap, BTreeSet};

use serde_bytes::ByteBuf;
use shard_codec::secret_sharing::Commitments;

use crate::document::{Ballot, Instance, LockedAt, ReshareScope};
use crate::identifier::SiteName;
use crate::machine::Ticket;
use crate::timestamp::Timestamp;
use crate::wire::resharing::{Lock, Question};

/// How far the attempt is.
#[derive(Debug)]
pub(super) enum Stage {
    Dealing {
        dealt: BTreeMap<usize, (Vec<u8>, Vec<Commitments>)>,
    },
    Promising {
        promises: BTreeMap<SiteName, (Vec<u8>, Option<LockedAt>)>,
        /// What was confirmed before.
        locks: BTreeMap<LockedAt, Lock>,
        since: Timestamp,
        /// Whether the others have had their time.
        has_waited: bool,
    },
    Accepting {
        promises: Vec<ByteBuf>,
        locked: Option<Lock>,
        votes: BTreeMap<SiteName, (Vec<u8>, bool)>,
        /// Whose parts are on their way.
        again: BTreeSet<SiteName>,
        /// Dealers that are said to have handed over something wrong, by whom.
        blamed: BTreeMap<SiteName, BTreeSet<SiteName>>,
    },
    Confirming {
        votes: BTreeMap<SiteName, (Vec<u8>, bool)>,
    },
}

/// One attempt.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) begun_at: Timestamp,
    pub(super) instance: Instance,
    pub(super) ballot: Ballot,
    /// What this site would propose.
    pub(super) scope: ReshareScope,
    pub(super) at: Timestamp,
    pub(super) dealings: Vec<ByteBuf>,
    /// What is proposed: its own, or what was confirmed before.
    pub(super) proposal: Vec<u8>,
    pub(super) proposed: Option<ReshareScope>,
    pub(super) stage: Stage,
    /// Sites that say that another one leads with a higher ballot.
    pub(super) outvoted_by: BTreeSet<SiteName>,
    pub(super) asked: BTreeMap<Ticket, SiteName>,
}

impl Attempt {
    /// How far it has come, for people.
    pub(super) fn describe(&self) -> String {
        let names = |sites: &mut dyn Iterator<Item = &SiteName>| {
            let names: Vec<&str> = sites.map(SiteName::as_str).collect();
            if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
        };
        let holding = |votes: &BTreeMap<SiteName, (Vec<u8>, bool)>| {
            names(&mut votes.iter().filter(|(_site, (_vote, holds))| *holds).map(|(site, _vote)| site))
        };
        match &self.stage {
            Stage::Dealing { dealt } => {
                format!("{} of {} holders have dealt in time", dealt.len(), self.scope.dealers.len())
            }
            Stage::Promising { promises, .. } => {
                format!("too few custodians answer in time: {}", names(&mut promises.keys()))
            }
            Stage::Accepting { votes, .. } => {
                format!("too few custodians have their new shares in time: {}", holding(votes))
            }
            Stage::Confirming { votes } => {
                format!("too few custodians confirm that they hold theirs: {}", holding(votes))
            }
        }
    }

    /// The question of the stage of acceptance.
    pub(super) fn accept(&self) -> Option<Question> {
        let Stage::Accepting { promises, locked, .. } = &self.stage else { return None };
        Some(Question::Accept {
            instance: self.instance.clone(),
            ballot: self.ballot.clone(),
            proposal: self.proposal.clone().into(),
            promises: promises.clone(),
            accepts: locked.as_ref().map(|lock| lock.accepts.clone()).unwrap_or_default(),
            dealings: self.dealings.clone(),
        })
    }
}
