//! Dealing: a holder splits its old shares among the next custodians. What it dealt stays in its memory until they have
//! fetched it, each its own part: no other disk ever holds it, not even sealed.

use std::collections::VecDeque;

use shard_codec::secret_sharing::{Commitments, Share, check_dealing, combine_commitments, redeal};
use shard_codec::share_sealing::{SealingPublicKey, open_sealed, seal_to};
use shard_codec::{Digest, ShareIndex};

use super::plan::is_due;
use crate::catalog::publish::open_share;
use crate::catalog::{Catalog, History};
use crate::cbor;
use crate::document::{Custody, Manifest, ReshareScope, ShareDealing};
use crate::identifier::{DatabaseName, SiteName};
use crate::machine::SiteKeys;
use crate::signature::Signed;
use crate::signature::quorum::verify_single;
use crate::timestamp::Timestamp;
use crate::wire::{Refusal, RefusalCode};

/// Dealings kept at the most; the oldest gives way.
const DEALT_MAX: usize = 64;
/// Clocks of two sites may differ so much about whether shares are old.
const DUE_EARLY_MS: u64 = 3_600_000;
/// So long a dealing is kept.
const DEALT_MS: u64 = 600_000;

/// What was dealt and not fetched by everybody yet.
#[derive(Debug)]
struct Dealt {
    /// Who asked for it, and for which block: the next time takes the place of the last.
    leader: (SiteName, DatabaseName, u64),
    dealing: Digest,
    custodians: Vec<SiteName>,
    parts: Vec<Vec<u8>>,
    at: Timestamp,
}

/// The holder's side.
#[derive(Debug, Default)]
pub(super) struct Dealer {
    dealt: VecDeque<Dealt>,
}

impl Dealer {
    /// Deals this site's shares; the signed dealing.
    ///
    /// # Errors
    /// The refusal to send: another charter, epoch or sharing is known here, this site is no dealer, or holds no share.
    pub(super) fn deal(
        &mut self,
        (now, wall): (Timestamp, Timestamp),
        caller: &SiteName,
        scope: ReshareScope,
        catalog: &Catalog,
        keys: &SiteKeys,
        rng: &mut impl rand::CryptoRng,
    ) -> Result<Vec<u8>, Refusal> {
        let history = check_scope(&scope, wall, catalog)?;
        if !scope.custodians.contains(caller) {
            return Err(Refusal::new(RefusalCode::NotAllowed, "only a custodian may lead"));
        }
        if !scope.dealers.contains(&keys.name) {
            return Err(Refusal::new(RefusalCode::NotAllowed, "this site is not among the dealers"));
        }
        let internal = |error: &dyn std::fmt::Display| Refusal::new(RefusalCode::Internal, error);
        let indices: Vec<ShareIndex> = (1..=u8::MAX).filter_map(ShareIndex::new).take(scope.custodians.len()).collect();
        let mut commitments = Vec::new();
        let mut parts: Vec<Vec<Share>> = scope.custodians.iter().map(|_custodian| Vec::new()).collect();
        for snapshot in &scope.snapshots {
            let old = OldSharing::of(&scope, snapshot, history)?;
            let held = history.share(snapshot.0).ok_or_else(|| {
                Refusal::new(RefusalCode::NotFound, format!("no share of snapshot {} is here", snapshot.0))
            })?;
            let share =
                open_share(old.manifest, old.custody.epoch, &keys.name, held, keys).map_err(|why| internal(&why))?;
            let dealt = redeal(&share, usize::from(scope.threshold), &indices, rng);
            let (shares, points) = dealt.map_err(|error| internal(&error))?;
            commitments.extend(points.to_bytes().into_iter().flatten());
            parts.iter_mut().zip(shares).for_each(|(part, share)| part.push(share));
        }
        let mut sealed = Vec::new();
        for (custodian, part) in scope.custodians.iter().zip(&parts) {
            // Nothing is dealt to who is no member any more.
            let Some(site) = catalog.charter().active_site(custodian) else {
                sealed.push(Vec::new());
                continue;
            };
            let key = SealingPublicKey::from_bytes(&site.sealing_key).map_err(|error| internal(&error))?;
            let info = part_context(&scope, &keys.name, custodian);
            sealed.push(seal_to(&key, &info, &Share::join(part), rng).map_err(|error| internal(&error))?);
        }
        let leader = (caller.clone(), scope.database.clone(), scope.block);
        let custodians = scope.custodians.clone();
        let part_digests = sealed.iter().map(|part| Digest::of(part)).collect();
        let dealing = ShareDealing { scope, dealer: keys.name.clone(), commitments: commitments.into(), part_digests };
        let signed = Signed::sign_new(dealing, &keys.identity).map_err(|error| internal(&error))?;
        let bytes = signed.encode();
        self.dealt.retain(|dealt| dealt.leader != leader);
        if self.dealt.len() == DEALT_MAX {
            self.dealt.pop_front();
        }
        self.dealt.push_back(Dealt { leader, dealing: Digest::of(&bytes), custodians, parts: sealed, at: now });
        Ok(bytes)
    }

    /// What was dealt to `custodian`.
    ///
    /// # Errors
    /// No such dealing is here any more, or nothing of it is for this site.
    pub(super) fn part(&self, dealing: Digest, custodian: &SiteName) -> Result<Vec<u8>, Refusal> {
        let dealt = self.dealt.iter().find(|dealt| dealt.dealing == dealing);
        let dealt = dealt.ok_or_else(|| Refusal::new(RefusalCode::NotFound, "that dealing is not here any more"))?;
        let mut parts = dealt.custodians.iter().zip(&dealt.parts);
        let part = parts.find(|(site, _part)| *site == custodian).map(|(_site, part)| part.clone());
        part.ok_or_else(|| Refusal::new(RefusalCode::NotAllowed, "nothing of that dealing is for this site"))
    }

    pub(super) fn tick(&mut self, now: Timestamp) {
        self.dealt.retain(|dealt| now < dealt.at.plus_ms(DEALT_MS));
    }
}

/// What binds a sealed part to its place: label, scope, and who sealed it for whom.
pub(super) fn part_context(scope: &ReshareScope, from: &SiteName, to: &SiteName) -> Vec<u8> {
    cbor::encode(&("legation v1 resharing", scope, from, to))
}

/// Opens a part: one share of a share for each snapshot.
pub(super) fn open_part(scope: &ReshareScope, dealer: &SiteName, keys: &SiteKeys, sealed: &[u8]) -> Option<Vec<Share>> {
    let info = part_context(scope, dealer, &keys.name);
    Share::split(&open_sealed(&keys.sealing, &info, sealed).ok()?, scope.snapshots.len())
}

/// Whether a new proposal of this scope may be made now: by the newest charter, for the block's next epoch, of snapshots whose
/// keys are due. `wall` is the clock on the wall.
pub(super) fn check_scope<'a>(
    scope: &ReshareScope,
    wall: Timestamp,
    catalog: &'a Catalog,
) -> Result<&'a History, Refusal> {
    scope.validate().map_err(|why| Refusal::new(RefusalCode::Malformed, why))?;
    let newest = catalog.charters().newest();
    if scope.state != catalog.state() || scope.charter != newest.digest() {
        return Err(Refusal::new(RefusalCode::Charter, "another charter holds here"));
    }
    let behind = |why: &str| Refusal::new(RefusalCode::Behind, why);
    let database = newest.document().database(&scope.database).ok_or_else(|| behind("no such database"))?;
    if (database.threshold, &database.custodians) != (scope.threshold, &scope.custodians) {
        return Err(Refusal::new(RefusalCode::Charter, "the charter names other custodians"));
    }
    let history = catalog.history(&scope.database).ok_or_else(|| behind("nothing of the database is known here"))?;
    if history.epochs().newest(scope.block).checked_add(1) != Some(scope.epoch) {
        return Err(behind("another epoch is the next one here"));
    }
    let is_due = |(sequence, _sharing): &(u64, Digest)| {
        let manifest = history.manifest(*sequence).map(Signed::document);
        manifest.is_none_or(|manifest| is_due(database, history, manifest, wall.plus_ms(DUE_EARLY_MS)))
    };
    if !scope.snapshots.iter().all(is_due) {
        return Err(behind("the shares are not old by this site's clock"));
    }
    Ok(history)
}

/// The sharing that is given on, as it is known here.
pub(super) struct OldSharing<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) custody: &'a Custody,
    /// Index of each dealer's share.
    pub(super) dealers: Vec<ShareIndex>,
}

impl<'a> OldSharing<'a> {
    /// That of a snapshot of the scope.
    ///
    /// # Errors
    /// Another sharing is known here, or the dealers are not as many holders as reconstruct its key.
    pub(super) fn of(scope: &ReshareScope, snapshot: &(u64, Digest), history: &'a History) -> Result<Self, Refusal> {
        let (sequence, sharing) = *snapshot;
        let known = history.manifest(sequence).filter(|_manifest| history.sharing(sequence) == Some(sharing));
        let manifest = known.map(Signed::document).ok_or_else(|| {
            Refusal::new(RefusalCode::Behind, format!("snapshot {sequence} has another sharing here, or is not known"))
        })?;
        let custody = history.custody_of(manifest);
        let holders = scope.dealers.iter().map(|dealer| custody.index_at(dealer, history.succession()));
        let dealers: Option<Vec<ShareIndex>> = holders.collect();
        let dealers = dealers.filter(|dealers| dealers.len() == usize::from(custody.threshold));
        let dealers = dealers.ok_or_else(|| {
            let why = format!("the dealers are not as many holders of snapshot {sequence} as reconstruct its key");
            Refusal::new(RefusalCode::NotAllowed, why)
        })?;
        Ok(Self { manifest, custody, dealers })
    }
}

/// Reads the dealing of the dealer at `position`: signed by it, for this scope, and of its own shares.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read_dealing(
    bytes: &[u8],
    scope: &ReshareScope,
    position: usize,
    catalog: &Catalog,
    history: &History,
) -> Result<(Signed<ShareDealing>, Vec<Commitments>), String> {
    let dealer = scope.dealers.get(position).ok_or("no such dealer")?;
    let signed = Signed::<ShareDealing>::decode(bytes).map_err(|error| error.to_string())?;
    let site = catalog.charter().active_site(dealer).ok_or("the dealer is not a member")?;
    if signed.document().scope != *scope || signed.document().dealer != *dealer {
        return Err("a dealing for something else".to_owned());
    }
    verify_single(&signed, site.identity).map_err(|error| error.to_string())?;
    let dealt = scope.read_commitments(&signed.document().commitments)?;
    for (snapshot, dealing) in scope.snapshots.iter().zip(&dealt) {
        let old = OldSharing::of(scope, snapshot, history).map_err(|refusal| refusal.message)?;
        let index = old.dealers.get(position).copied().ok_or("no such dealer")?;
        check_dealing(&old.custody.commitments()?, index, usize::from(scope.threshold), dealing)
            .map_err(|error| error.to_string())?;
    }
    Ok((signed, dealt))
}

/// The commitments to the new shares, from the dealings of all dealers in their order; each was read before.
///
/// # Errors
/// They do not make new commitments.
pub(super) fn combine(
    scope: &ReshareScope,
    dealings: &[Vec<Commitments>],
    history: &History,
) -> Result<Vec<Commitments>, String> {
    let mut combined = Vec::new();
    for (at, snapshot) in scope.snapshots.iter().enumerate() {
        let old = OldSharing::of(scope, snapshot, history).map_err(|refusal| refusal.message)?;
        let of_snapshot = dealings.iter().filter_map(|dealing| dealing.get(at).cloned());
        let dealings: Vec<(ShareIndex, Commitments)> = old.dealers.iter().copied().zip(of_snapshot).collect();
        let old = old.custody.commitments()?;
        let new = combine_commitments(&old, usize::from(scope.threshold), &dealings);
        combined.push(new.map_err(|error| error.to_string())?);
    }
    Ok(combined)
}
