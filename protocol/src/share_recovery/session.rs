//! One recovery under way: first masks from every helper, then the blinded shares of every helper, then the result.

use std::collections::BTreeMap;

use shard_codec::secret_sharing::{Commitments, RecoverError, recover_share};
use shard_codec::{Digest, Share, ShareIndex};

use crate::catalog::Catalog;
use crate::document::{Custody, MaskDealing, RecoveryScope, Succession};
use crate::identifier::SiteName;
use crate::machine::{Output, SiteKeys, Ticket};
use crate::share_recovery::help::open_answer;
use crate::signature::Signed;
use crate::signature::quorum::verify_single;
use crate::timestamp::Timestamp;
use crate::wire::{HandedMask, Request, Response};

/// What one helper dealt.
#[derive(Debug)]
struct Dealt {
    bytes: Vec<u8>,
    parts: Vec<Vec<u8>>,
    commitments: Vec<Commitments>,
}

/// The recovery.
#[derive(Debug)]
pub(super) struct Session {
    scope: RecoveryScope,
    begun_at: Timestamp,
    /// Position of the helper that each open question is for.
    asked: BTreeMap<Ticket, usize>,
    dealt: BTreeMap<usize, Dealt>,
    answers: BTreeMap<usize, Vec<Share>>,
}

/// What an answer leads to.
pub(super) enum Step {
    /// Others are waited for.
    Waiting,
    /// It fails.
    Blamed {
        /// Helpers to leave out.
        sites: Vec<SiteName>,
        /// Whether what they sent was wrong.
        lied: bool,
        /// For people.
        why: String,
    },
    /// The shares, by sequence.
    Recovered(Vec<(u64, Share)>),
}

impl Session {
    /// Asks every helper for masks.
    pub(super) fn begin(
        now: Timestamp,
        scope: RecoveryScope,
        next_ticket: &mut u64,
        outputs: &mut Vec<Output>,
    ) -> Self {
        let (dealt, answers) = (BTreeMap::new(), BTreeMap::new());
        let mut session = Self { scope, begun_at: now, asked: BTreeMap::new(), dealt, answers };
        for position in 0..session.scope.helpers.len() {
            let request = Request::DealMasks { scope: session.scope.clone() };
            session.ask(position, request, next_ticket, outputs);
        }
        session
    }

    pub(super) const fn scope(&self) -> &RecoveryScope {
        &self.scope
    }

    pub(super) const fn begun_at(&self) -> Timestamp {
        self.begun_at
    }

    pub(super) fn last_sequence(&self) -> u64 {
        self.scope.snapshots.last().map_or(0, |(sequence, _manifest)| *sequence)
    }

    /// Helpers that have not answered yet.
    pub(super) fn silent(&self) -> impl Iterator<Item = &SiteName> {
        self.asked.values().filter_map(|position| self.scope.helpers.get(*position))
    }

    fn ask(&mut self, position: usize, request: Request, next_ticket: &mut u64, outputs: &mut Vec<Output>) {
        let Some(site) = self.scope.helpers.get(position).cloned() else { return };
        let ticket = Ticket(*next_ticket);
        *next_ticket += 1;
        self.asked.insert(ticket, position);
        outputs.push(Output::Ask { ticket, site, request: Box::new(request) });
    }

    fn blame(&self, position: usize, lied: bool, why: &str) -> Step {
        let site = self.scope.helpers.get(position).cloned();
        let why = site.as_ref().map_or_else(|| why.to_owned(), |site| format!("{site} {why}"));
        Step::Blamed { sites: site.into_iter().collect(), lied, why }
    }

    pub(super) fn answered(
        &mut self,
        ticket: Ticket,
        response: Option<Response>,
        catalog: &Catalog,
        keys: &SiteKeys,
        next_ticket: &mut u64,
        outputs: &mut Vec<Output>,
    ) -> Step {
        let Some(position) = self.asked.remove(&ticket) else { return Step::Waiting };
        let Some(response) = response else { return self.blame(position, false, "does not help now") };
        if self.dealt.len() < self.scope.helpers.len() {
            let Some(dealt) = self.read_masks(position, response, catalog) else {
                return self.blame(position, true, "dealt no proper masks");
            };
            self.dealt.insert(position, dealt);
            if self.dealt.len() == self.scope.helpers.len() {
                for helper in 0..self.scope.helpers.len() {
                    let request = Request::BlindShares { masks: self.masks_for(helper) };
                    self.ask(helper, request, next_ticket, outputs);
                }
            }
            return Step::Waiting;
        }
        if let Response::WrongMask { dealer } = &response
            && self.scope.helpers.contains(dealer)
        {
            // One of the two does not tell the truth, and nobody else can tell which.
            let helper = self.scope.helpers.get(position).cloned();
            let why = format!(
                "{} says that {dealer} dealt it a wrong mask",
                helper.as_ref().map_or("", |site| site.as_str())
            );
            return Step::Blamed { sites: helper.into_iter().chain([dealer.clone()]).collect(), lied: false, why };
        }
        let Some(shares) = self.open(position, response, keys) else {
            return self.blame(position, true, "gave no proper shares");
        };
        self.answers.insert(position, shares);
        if self.answers.len() < self.scope.helpers.len() { Step::Waiting } else { self.conclude(catalog) }
    }

    /// The masks, if the helper dealt and signed them for this scope.
    fn read_masks(&self, position: usize, response: Response, catalog: &Catalog) -> Option<Dealt> {
        let Response::Masks { dealing, parts } = response else { return None };
        let helper = self.scope.helpers.get(position)?;
        let signed = Signed::<MaskDealing>::decode(&dealing).ok()?;
        let (said, identity) = (signed.document(), catalog.charter().active_site(helper)?.identity);
        verify_single(&signed, identity).ok()?;
        let parts: Vec<Vec<u8>> = parts.into_iter().map(serde_bytes::ByteBuf::into_vec).collect();
        let digests: Vec<Digest> = parts.iter().map(|part| Digest::of(part)).collect();
        if said.scope != self.scope || said.dealer != *helper || said.part_digests != digests {
            return None;
        }
        Some(Dealt { bytes: dealing.into_vec(), parts, commitments: said.commitments().ok()? })
    }

    /// What every helper dealt to one of them.
    fn masks_for(&self, helper: usize) -> Vec<HandedMask> {
        let handed = |dealt: &Dealt| {
            let part = dealt.parts.get(helper).cloned().unwrap_or_default();
            HandedMask { dealing: dealt.bytes.clone().into(), part: part.into() }
        };
        self.dealt.values().map(handed).collect()
    }

    fn open(&self, position: usize, response: Response, keys: &SiteKeys) -> Option<Vec<Share>> {
        let Response::BlindedShares { sealed } = response else { return None };
        open_answer(&self.scope, self.scope.helpers.get(position)?, keys, &sealed)
    }

    fn conclude(&mut self, catalog: &Catalog) -> Step {
        let mut recovered = Vec::new();
        let mut answers: Vec<_> = std::mem::take(&mut self.answers).into_values().map(Vec::into_iter).collect();
        for (at, (sequence, digest)) in self.scope.snapshots.iter().enumerate() {
            let of_snapshot: Vec<Share> = answers.iter_mut().filter_map(Iterator::next).collect();
            let history = catalog.history(&self.scope.database);
            let custody = history.and_then(|history| {
                // Another sharing by now: these answers are of the one before.
                let is_same = history.sharing(*sequence).is_some_and(|sharing| sharing == *digest);
                is_same.then_some(())?;
                Some(history.custody_of(history.manifest(*sequence)?.document()))
            });
            let Some(custody) = custody else { continue };
            match self.recover(at, custody, &of_snapshot, catalog.succession()) {
                Ok(share) => recovered.push((*sequence, share)),
                Err(step) => return step,
            }
        }
        Step::Recovered(recovered)
    }

    fn recover(&self, at: usize, custody: &Custody, answers: &[Share], succession: &Succession) -> Result<Share, Step> {
        let fail = |why: String| Step::Blamed { sites: Vec::new(), lied: false, why };
        let index_at = |site: &SiteName| custody.index_at(site, succession);
        let lost = custody.index_due_at(&self.scope.site, succession);
        let lost = lost.ok_or_else(|| fail("no custodian any more".to_owned()))?;
        let commitments = custody.commitments().map_err(fail)?;
        let masks: Vec<Commitments> =
            self.dealt.values().filter_map(|dealt| dealt.commitments.get(at).cloned()).collect();
        // An answer at another index is a wrong one: what is missing then is the helper's own.
        let indices: Vec<Option<ShareIndex>> = self.scope.helpers.iter().map(index_at).collect();
        let misplaced = answers.iter().zip(&indices).position(|(answer, index)| Some(answer.index()) != *index);
        if let Some(position) = misplaced {
            return Err(self.blame(position, true, "gave a share of another index"));
        }
        recover_share(lost, self.scope.threshold(), &commitments, &masks, answers).map_err(|error| match error {
            RecoverError::Wrong { indices: wrong } => {
                let is_wrong = |index: &Option<ShareIndex>| index.is_some_and(|index| wrong.contains(&index));
                let helpers = self.scope.helpers.iter().zip(&indices).filter(|(_helper, index)| is_wrong(index));
                let sites = helpers.map(|(helper, _index)| helper.clone()).collect();
                Step::Blamed { sites, lied: true, why: "wrong shares came".to_owned() }
            }
            other @ (RecoverError::Threshold | RecoverError::TooFew { .. } | RecoverError::Commitment) => {
                fail(other.to_string())
            }
        })
    }
}
