//! The other end of an audit: what a site that is asked looks up, and what it signs.

use crate::catalog::Catalog;
use crate::document::{AuditAnswer, Challenge};
use crate::machine::SiteKeys;
use crate::signature::Signed;
use crate::timestamp::Timestamp;
use crate::wire::{Refusal, RefusalCode};

/// The bytes of its shard that a challenge asks this site for.
///
/// # Errors
/// No manifest here gives this site such a shard, or the shard has no such leaf: nothing is signed then.
pub fn range_of(challenge: &Challenge, catalog: &Catalog, keys: &SiteKeys) -> Result<std::ops::Range<u64>, Refusal> {
    let not_found = || Refusal::new(RefusalCode::NotFound, "no manifest known here gives this site such a shard");
    let history = catalog.history(&challenge.database).ok_or_else(not_found)?;
    let stripes = history.kept_stripes();
    let found = stripes.find(challenge.stripe_number, challenge.shard_index, &challenge.root);
    let (_position, stripe) = found.ok_or_else(not_found)?;
    if stripe.site_of(challenge.shard_index) != Some(&keys.name) {
        return Err(not_found());
    }
    let range = challenge.range(stripe.live.layout.shard_bytes() as u64);
    if range.is_empty() {
        return Err(Refusal::new(RefusalCode::Malformed, "the shard has no such leaf"));
    }
    Ok(range)
}

/// The signed answer. A site that does not hold the shard signs nothing: it names the shard in its inventory and refuses.
///
/// # Errors
/// The proof is longer than a document may be.
pub fn sign(
    now: Timestamp,
    challenge: Challenge,
    proof: Vec<u8>,
    catalog: &Catalog,
    keys: &SiteKeys,
) -> Result<Signed<AuditAnswer>, Refusal> {
    let (state, site) = (catalog.state(), keys.name.clone());
    let answer = AuditAnswer { state, site, challenge, proof: proof.into(), at: now };
    Signed::sign_new(answer, &keys.identity).map_err(|error| Refusal::new(RefusalCode::Internal, error))
}
