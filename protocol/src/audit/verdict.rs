//! The judgement of an answer: the same for whoever holds the manifest.

use shard_codec::shard_tree::verify_range;

use crate::catalog::Catalog;
use crate::document::AuditAnswer;
use crate::signature::Signed;
use crate::signature::quorum::verify_single;

/// What a signed answer proves. Silence proves nothing and is not judged here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The site held the leaf when it was asked.
    Valid,
    /// The site signed bytes that are not the leaf: it has lost the shard and lies about it. An honest site that finds
    /// its shard gone says so in its inventory and signs no answer.
    Fault,
}

/// Judges a signed answer by the manifests held here.
///
/// # Errors
/// It proves nothing, here: not signed by the site, for a shard that no manifest here gives to the site, or for a leaf
/// that the shard does not have.
pub fn judge(answer: &Signed<AuditAnswer>, catalog: &Catalog) -> Result<Verdict, String> {
    let said = answer.document();
    let challenge = &said.challenge;
    if said.state != catalog.state() {
        return Err(format!("an answer of state {}", said.state));
    }
    let site = catalog.charter().site(&said.site).ok_or_else(|| format!("no site {}", said.site))?;
    let history = catalog.history(&challenge.database);
    let found = history.and_then(|history| {
        history.kept_stripes().find(challenge.stripe_number, challenge.shard_index, &challenge.root)
    });
    let (_position, stripe) = found.ok_or_else(|| format!("no such shard of {} is known here", challenge.database))?;
    if stripe.site_of(challenge.shard_index) != Some(&said.site) {
        return Err(format!("shard {} of the stripe does not lie at {}", challenge.shard_index, said.site));
    }
    let shard_bytes = stripe.live.layout.shard_bytes() as u64;
    let range = challenge.range(shard_bytes);
    if range.is_empty() {
        return Err("the shard has no such leaf".to_owned());
    }
    verify_single(answer, site.identity).map_err(|error| error.to_string())?;
    #[cfg(feature = "planted-bugs")]
    if crate::planted::is_planted(crate::planted::Bug::AnswerNotProven) {
        return Ok(Verdict::Valid);
    }
    let is_proven = verify_range(&challenge.root, shard_bytes, range, &said.proof).is_ok();
    Ok(if is_proven { Verdict::Valid } else { Verdict::Fault })
}
