//! The helper's side: it deals masks, and gives its shares under the masks of all helpers. It keeps nothing between the
//! two, for what it dealt to itself comes back sealed like all the rest.

use serde::Serialize;
use shard_codec::secret_sharing::{BlindError, Commitments, Share, blind_share, deal_mask};
use shard_codec::share_sealing::{SealingPublicKey, open_sealed, seal_to};
use shard_codec::{Digest, ShareIndex};

use crate::catalog::Catalog;
use crate::catalog::publish::open_share;
use crate::cbor;
use crate::document::{Custody, Manifest, MaskDealing, RecoveryScope};
use crate::identifier::SiteName;
use crate::machine::SiteKeys;
use crate::signature::Signed;
use crate::signature::quorum::verify_single;
use crate::wire::{HandedMask, Refusal, RefusalCode, Response};

/// What is sealed.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Purpose {
    /// Parts of masks, from one helper to another.
    Mask,
    /// Blinded shares, from a helper to the site that lost its own.
    Answer,
}

/// What binds something sealed to its place: label, purpose, scope, and who sealed it for whom.
fn context(purpose: Purpose, scope: &RecoveryScope, from: &SiteName, to: &SiteName) -> Vec<u8> {
    cbor::encode(&("legation v1 share recovery", purpose, scope, from, to))
}

/// The sealing key of an active site.
fn sealing_key(catalog: &Catalog, site: &SiteName) -> Option<SealingPublicKey> {
    SealingPublicKey::from_bytes(&catalog.charter().active_site(site)?.sealing_key).ok()
}

/// The manifest of a snapshot of the scope and its sharing, if the scope fits that.
fn sharing_of<'a>(
    scope: &RecoveryScope,
    snapshot: &(u64, Digest),
    catalog: &'a Catalog,
) -> Result<(&'a Manifest, &'a Custody), Refusal> {
    let (sequence, sharing) = snapshot;
    let history = catalog.history(&scope.database);
    let known = history.filter(|history| history.sharing(*sequence) == Some(*sharing));
    let known = known.and_then(|history| {
        let manifest = history.manifest(*sequence)?.document();
        Some((manifest, history.custody_of(manifest)))
    });
    let (manifest, custody) = known.ok_or_else(|| {
        Refusal::new(RefusalCode::NotFound, format!("snapshot {sequence} is shared otherwise here, or not known yet"))
    })?;
    // A site that leaves and its heir have one share between them: only the one that holds it may help, and not the heir,
    // for a helper at the lost index sees what every other one hides behind its mask.
    let lost = custody.index_due_at(&scope.site, catalog.succession());
    let may_help = |site: &SiteName| {
        let index = custody.index_at(site, catalog.succession());
        index.is_some() && index != lost
    };
    if usize::from(custody.threshold) != scope.threshold() || lost.is_none() || !scope.helpers.iter().all(may_help) {
        let why = format!("these sites are not the custody of snapshot {sequence}, or not as many as its threshold");
        return Err(Refusal::new(RefusalCode::NotAllowed, why));
    }
    Ok((manifest, custody))
}

/// What the scope says must be true before anything is done for it: it is asked by the site that lost its shares, and
/// this site is one of the helpers.
fn admit(caller: &SiteName, scope: &RecoveryScope, catalog: &Catalog, keys: &SiteKeys) -> Result<(), Refusal> {
    scope.validate().map_err(|why| Refusal::new(RefusalCode::Malformed, why))?;
    if *caller != scope.site || scope.state != catalog.state() {
        return Err(Refusal::new(RefusalCode::NotAllowed, "a site recovers its own shares and no others"));
    }
    if !scope.helpers.contains(&keys.name) {
        return Err(Refusal::new(RefusalCode::NotAllowed, "this site is not among the helpers"));
    }
    Ok(())
}

/// Deals masks to all helpers.
///
/// # Errors
/// The refusal to send: `caller` is not the site of the scope, this site is no helper, holds no share, or knows another
/// snapshot.
pub fn deal_masks(
    caller: &SiteName,
    scope: RecoveryScope,
    catalog: &Catalog,
    keys: &SiteKeys,
    rng: &mut impl rand::CryptoRng,
) -> Result<Response, Refusal> {
    admit(caller, &scope, catalog, keys)?;
    let mut commitments = Vec::new();
    let mut parts: Vec<Vec<Share>> = scope.helpers.iter().map(|_helper| Vec::new()).collect();
    for snapshot in &scope.snapshots {
        let (_manifest, custody) = sharing_of(&scope, snapshot, catalog)?;
        if catalog.history(&scope.database).and_then(|history| history.share(snapshot.0)).is_none() {
            return Err(Refusal::new(RefusalCode::NotFound, format!("no share of snapshot {} is here", snapshot.0)));
        }
        let indices: Vec<ShareIndex> =
            scope.helpers.iter().filter_map(|helper| custody.index_at(helper, catalog.succession())).collect();
        let (dealt, points) =
            deal_mask(scope.threshold(), &indices, rng).map_err(|error| Refusal::new(RefusalCode::Internal, error))?;
        commitments.extend(points.to_bytes().into_iter().flatten());
        parts.iter_mut().zip(dealt).for_each(|(part, share)| part.push(share));
    }
    let mut sealed = Vec::new();
    for (helper, part) in scope.helpers.iter().zip(&parts) {
        let key = sealing_key(catalog, helper)
            .ok_or_else(|| Refusal::new(RefusalCode::NotAllowed, format!("{helper} is not an active site")))?;
        let info = context(Purpose::Mask, &scope, &keys.name, helper);
        let bytes = seal_to(&key, &info, &Share::join(part), rng);
        sealed.push(bytes.map_err(|error| Refusal::new(RefusalCode::Internal, error))?);
    }
    let part_digests = sealed.iter().map(|part| Digest::of(part)).collect();
    let dealing = MaskDealing { scope, dealer: keys.name.clone(), commitments: commitments.into(), part_digests };
    let signed = Signed::sign_new(dealing, &keys.identity);
    let signed = signed.map_err(|error| Refusal::new(RefusalCode::Internal, error))?;
    Ok(Response::Masks { dealing: signed.encode().into(), parts: sealed.into_iter().map(Into::into).collect() })
}

/// What one helper dealt to this one, opened.
struct OpenedMask {
    dealer: SiteName,
    commitments: Vec<Commitments>,
    parts: Option<Vec<Share>>,
}

/// The scope of the masks and their dealings: one of every helper, in their order, each signed by it.
fn read_masks(masks: &[HandedMask], catalog: &Catalog) -> Result<(RecoveryScope, Vec<Signed<MaskDealing>>), Refusal> {
    let malformed = |why: &dyn std::fmt::Display| Refusal::new(RefusalCode::Malformed, why);
    let mut dealings = Vec::new();
    for (position, mask) in masks.iter().enumerate() {
        let signed = Signed::<MaskDealing>::decode(&mask.dealing).map_err(|error| malformed(&error))?;
        let dealing = signed.document();
        let dealer = catalog.charter().active_site(&dealing.dealer);
        let key = dealer.ok_or_else(|| malformed(&"dealt by a site that is not active"))?.identity;
        verify_single(&signed, key).map_err(|error| malformed(&error))?;
        if dealing.scope.helpers.get(position) != Some(&dealing.dealer) {
            return Err(malformed(&"one mask of every helper, in their order"));
        }
        dealings.push(signed);
    }
    let scope = dealings.first().map(|signed| signed.document().scope.clone());
    let scope = scope.ok_or_else(|| malformed(&"no masks"))?;
    let is_whole = dealings.len() == scope.helpers.len();
    if !is_whole || dealings.iter().any(|signed| signed.document().scope != scope) {
        return Err(malformed(&"one mask of every helper, all for the same shares"));
    }
    Ok((scope, dealings))
}

/// The scope of what was handed to a helper.
#[must_use]
pub fn scope_of(masks: &[HandedMask]) -> Option<RecoveryScope> {
    Some(Signed::<MaskDealing>::decode(&masks.first()?.dealing).ok()?.document().scope.clone())
}

/// Opens what a helper answered to the site that lost its shares.
#[must_use]
pub fn open_answer(scope: &RecoveryScope, helper: &SiteName, keys: &SiteKeys, sealed: &[u8]) -> Option<Vec<Share>> {
    let info = context(Purpose::Answer, scope, helper, &keys.name);
    Share::split(&open_sealed(&keys.sealing, &info, sealed).ok()?, scope.snapshots.len())
}

/// Gives this site's shares under the masks of all helpers, sealed to the site that lost its own; or names a helper whose
/// mask is not what it signed.
///
/// # Errors
/// The refusal to send: not one mask of every helper, all signed and for the same shares, this site's own among them; or
/// what [`deal_masks`] refuses.
pub fn blind_shares(
    caller: &SiteName,
    masks: &[HandedMask],
    catalog: &Catalog,
    keys: &SiteKeys,
    rng: &mut impl rand::CryptoRng,
) -> Result<Response, Refusal> {
    let (scope, dealings) = read_masks(masks, catalog)?;
    admit(caller, &scope, catalog, keys)?;
    let own = scope.helpers.iter().position(|helper| *helper == keys.name);
    let mut opened = Vec::new();
    for (signed, mask) in dealings.iter().zip(masks) {
        let dealing = signed.document();
        let digest = own.and_then(|own| dealing.part_digests.get(own));
        if digest != Some(&Digest::of(&mask.part)) {
            return Err(Refusal::new(RefusalCode::Malformed, "a part is not the one that its dealer signed"));
        }
        let info = context(Purpose::Mask, &scope, &dealing.dealer, &keys.name);
        let parts = open_sealed(&keys.sealing, &info, &mask.part).ok();
        let parts = parts.and_then(|bytes| Share::split(&bytes, scope.snapshots.len()));
        let commitments = dealing.commitments().map_err(|why| Refusal::new(RefusalCode::Malformed, why))?;
        opened.push(OpenedMask { dealer: dealing.dealer.clone(), commitments, parts });
    }
    let blinded = match blind_all(&scope, opened, catalog, keys) {
        Ok(blinded) => blinded,
        Err(Unblinded::Refused(refusal)) => return Err(refusal),
        Err(Unblinded::Wrong(dealer)) => return Ok(Response::WrongMask { dealer }),
    };
    let key =
        sealing_key(catalog, caller).ok_or_else(|| Refusal::new(RefusalCode::NotAllowed, "not an active site"))?;
    let info = context(Purpose::Answer, &scope, &keys.name, caller);
    let sealed = seal_to(&key, &info, &Share::join(&blinded), rng);
    let sealed = sealed.map_err(|error| Refusal::new(RefusalCode::Internal, error))?;
    Ok(Response::BlindedShares { sealed: sealed.into() })
}

enum Unblinded {
    Refused(Refusal),
    Wrong(SiteName),
}

impl From<Refusal> for Unblinded {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

fn blind_all(
    scope: &RecoveryScope,
    opened: Vec<OpenedMask>,
    catalog: &Catalog,
    keys: &SiteKeys,
) -> Result<Vec<Share>, Unblinded> {
    let mut masks = Vec::new();
    for mask in opened {
        let parts = mask.parts.ok_or_else(|| Unblinded::Wrong(mask.dealer.clone()))?;
        masks.push((mask.dealer, parts.into_iter().zip(mask.commitments)));
    }
    let mut blinded = Vec::new();
    for snapshot in &scope.snapshots {
        let (manifest, custody) = sharing_of(scope, snapshot, catalog)?;
        let lost = custody
            .index_due_at(&scope.site, catalog.succession())
            .ok_or_else(|| Refusal::new(RefusalCode::NotAllowed, "the site is not a custodian"))?;
        let held = catalog.history(&scope.database).and_then(|history| history.share(snapshot.0));
        let held = held.ok_or_else(|| Refusal::new(RefusalCode::NotFound, "the share is not here"))?;
        let share = open_share(manifest, custody.epoch, &keys.name, held, keys);
        let share = share.map_err(|why| Refusal::new(RefusalCode::Internal, why))?;
        let of_snapshot: Vec<(Share, Commitments)> =
            masks.iter_mut().filter_map(|(_dealer, parts)| parts.next()).collect();
        // Under one mask less than there are helpers the share is not hidden from those who dealt the others.
        if of_snapshot.len() != scope.threshold() {
            return Err(Unblinded::Refused(Refusal::new(RefusalCode::Internal, "a mask is missing")));
        }
        #[cfg(feature = "planted-bugs")]
        if crate::planted::is_planted(crate::planted::Bug::ShareWithoutMask) {
            blinded.push(share);
            continue;
        }
        let answer = blind_share(&share, scope.threshold(), lost, &of_snapshot).map_err(|error| match error {
            BlindError::OwnShare => Unblinded::Refused(Refusal::new(RefusalCode::NotAllowed, error)),
            BlindError::Mask { position, .. } => masks.get(position).map_or_else(
                || Unblinded::Refused(Refusal::new(RefusalCode::Internal, "a mask of nobody")),
                |(dealer, _parts)| Unblinded::Wrong(dealer.clone()),
            ),
        })?;
        blinded.push(answer);
    }
    Ok(blinded)
}
