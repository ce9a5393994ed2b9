//! Which stripes new contents may refer to: those that this home stored, that lie where the charter wants them, and
//! that can still be put together.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use protocol::document::{Database, LiveStripe, LiveStripes};
use protocol::identifier::{DatabaseName, SiteName};
use protocol::limits::PAGE_ENTRIES_MAX;
use protocol::wire::{Request, Response};
use shard_codec::Digest;

use super::{BackupContext, BackupError, served_wrongly};
use crate::chunk_index::{StripeRecord, StripeState};
use crate::machine_state::{Record, RecordKind};
use crate::network::{CallError, Link};
use crate::pipeline::survey::Survey;

/// What there is to refer to.
pub(super) struct Usable {
    pub(super) numbers: BTreeSet<u64>,
    /// Stripes that cannot be put together any more: what the source still has of them is stored anew.
    lost_count: usize,
}

impl Usable {
    /// For the report.
    pub(super) fn note(&self, entry: &Database) -> Option<String> {
        (self.lost_count > 0).then(|| {
            format!(
                "{} stripes of earlier snapshots are lost: so many sites lack their shards that fewer than {} of {} \
                 can be left. What this snapshot needs of them was stored anew; earlier snapshots miss it",
                self.lost_count,
                entry.data_shards,
                entry.placement.len()
            )
        })
    }
}

/// The root that a stripe has at each position of the placement; `None` where none was ever stored.
type Roots = Vec<Option<Digest>>;

/// Stripes that new contents may refer to, of those that are `live` in the head and those that an interrupted run stored.
/// Numbers that any manifest ever used are never used again, even by a home that lost its index. What lies in the `accepted`
/// ones is not forgotten: the contents are held against it.
pub(super) async fn usable_stripes(
    context: &BackupContext,
    entry: &Database,
    survey: &mut Survey,
    (live, accepted): (&LiveStripes, &BTreeSet<u64>),
) -> Result<Usable, BackupError> {
    let index = &context.index;
    let history = survey.catalog.history(&entry.name);
    let used = history.into_iter().flat_map(|history| history.manifests_from(1));
    let newest_used = used.flat_map(|manifest| &manifest.document().stripes_added).map(|stripe| stripe.number).max();
    if let Some(newest_used) = newest_used {
        index.skip_past(newest_used)?;
    }
    let same_charter = begin_under_charter(context, survey, &entry.name)?;
    let (mut stored, mut stale) = (BTreeMap::new(), Vec::new());
    for (number, record) in index.stripes(0, usize::MAX)? {
        let live = live.get(number);
        let is_usable = match (live, record.state) {
            (Some(live), _) => is_same_stripe(&record, live, entry),
            (None, StripeState::Published { .. }) => false,
            (None, StripeState::Pending) => same_charter,
        };
        if is_usable {
            // Sites that lacked a shard of a live stripe may have got it since; of others home itself knows.
            let root = |stored: bool, root| (stored || live.is_some()).then(|| Digest::from_bytes(root));
            let roots: Roots = record.shards.iter().map(|shard| root(shard.stored, shard.root)).collect();
            stored.insert(number, roots);
        } else {
            stale.push(number);
        }
    }
    let mut lacking = ask_what_lacks(survey, entry, &stored).await;
    let wrong = served_wrongly::recall(context, &entry.name)?;
    for (site, roots) in &wrong {
        lacking.entry(site.clone()).or_default().extend(roots);
    }
    let lost: Vec<u64> =
        stored.iter().filter(|(_number, roots)| is_lost(roots, entry, &lacking)).map(|(number, _)| *number).collect();
    let lost_count = lost.iter().filter(|number| live.get(**number).is_some()).count();
    if lost_count > 0 {
        tracing::warn!(stripes = lost_count, "lost at too many sites: what they held is stored anew");
    }
    stored.retain(|number, _roots| !lost.contains(number));
    let forgotten: Vec<u64> = stale.into_iter().chain(lost).filter(|number| !accepted.contains(number)).collect();
    index.forget_stripes(&forgotten)?;
    let kept = stored.values().flatten().filter_map(|root| *root).collect();
    served_wrongly::forget_others(context, &entry.name, &wrong, &kept)?;
    Ok(Usable { numbers: stored.into_keys().collect(), lost_count })
}

/// A stripe of the head is referred to only if it is what this home stored, and lies as the charter wants it now:
/// another copy of this home may have used the number, and a stripe under an older placement would never come to lie
/// at the new sites.
fn is_same_stripe(record: &StripeRecord, live: &LiveStripe, entry: &Database) -> bool {
    let roots = live.stripe.roots.chunks_exact(32);
    record.shards.len() == roots.len()
        && record.shards.iter().zip(roots).all(|(shard, root)| shard.root == root)
        && live.lies_at(&entry.placement)
        && live.layout.parameters().data_shards() == usize::from(entry.data_shards)
}

/// Whether stripes that an interrupted run stored were coded and placed under the same charter as now.
fn begin_under_charter(context: &BackupContext, survey: &Survey, database: &DatabaseName) -> Result<bool, BackupError> {
    let key = [b"stored-under\0", database.as_str().as_bytes()].concat();
    let digest = survey.catalog.charters().newest().digest();
    let before = context.state.get(RecordKind::Outbox, &key)?;
    let value = digest.as_bytes();
    context.state.append(&[Record { kind: RecordKind::Outbox, key: &key, value }])?;
    Ok(before.is_some_and(|before| before == value))
}

/// Whether fewer than `data_shards` shards can be left, even if every site that did not answer holds its own. Only
/// then is the plaintext at home the last copy; a site that is merely away comes back.
fn is_lost(roots: &Roots, entry: &Database, lacking: &BTreeMap<SiteName, BTreeSet<Digest>>) -> bool {
    let may_hold = |(root, site): (&Option<Digest>, &SiteName)| {
        root.as_ref().is_some_and(|root| lacking.get(site).is_none_or(|lacking| !lacking.contains(root)))
    };
    let left = roots.iter().zip(&entry.placement).filter(|shard| may_hold(*shard)).count();
    left < usize::from(entry.data_shards)
}

/// What each site that answers says it does not hold.
async fn ask_what_lacks(
    survey: &mut Survey,
    entry: &Database,
    stored: &BTreeMap<u64, Roots>,
) -> BTreeMap<SiteName, BTreeSet<Digest>> {
    let asks = survey.links.iter_mut().filter_map(|(site, link)| {
        let position = entry.placement.iter().position(|placed| placed == site)?;
        let roots: Vec<Digest> = stored.values().filter_map(|roots| *roots.get(position)?).collect();
        Some(async move { (site.clone(), lacks(link, &roots).await) })
    });
    let mut lacking = BTreeMap::new();
    for (site, answer) in join_all(asks).await {
        match answer {
            Ok(roots) => drop(lacking.insert(site, roots)),
            Err(error) => tracing::debug!(%error, "not known what it lacks"),
        }
    }
    lacking
}

/// Those of `roots` that one site does not hold.
async fn lacks(link: &mut Link, roots: &[Digest]) -> Result<BTreeSet<Digest>, CallError> {
    let mut lacking = BTreeSet::new();
    for page in roots.chunks(PAGE_ENTRIES_MAX) {
        let request = Request::MissingShards { roots: page.to_vec() };
        let Response::Missing(missing) = link.call(&request).await? else { return Err(link.unexpected()) };
        // Only what was asked for: a list of anything else would only take memory.
        let asked: BTreeSet<&Digest> = page.iter().collect();
        lacking.extend(missing.into_iter().filter(|root| asked.contains(root)));
    }
    Ok(lacking)
}

#[cfg(test)]
mod tests;
