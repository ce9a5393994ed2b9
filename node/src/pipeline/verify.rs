//! Reading every shard at its site and checking it against the manifest. Needs no key and learns nothing.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream;
use protocol::document::{LiveStripe, Manifest, Receipt};
use protocol::identifier::SiteName;
use protocol::placement::durability;
use protocol::signature::Signed;
use serde::Serialize;

use super::fetch::Fetcher;
use super::reach::Reach;
use super::survey::Survey;
use crate::progress::Progress;

/// Shards read from one site at once.
const READ_AHEAD: usize = 2;
/// Faults that one site's report lists in full.
const FAULTS_LISTED_MAX: usize = 10;

/// What one site holds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SiteVerification {
    /// Its jurisdiction.
    pub jurisdiction: String,
    /// Whether it answers, in words.
    pub condition: String,
    /// Shards it should hold.
    pub shards: u64,
    /// Shards that were read and are right.
    pub good: u64,
    /// Bytes read.
    pub bytes: u64,
    /// What is wrong; the first ten.
    pub faults: Vec<String>,
}

/// What all sites together hold of the newest snapshot.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// The database.
    pub database: String,
    /// The snapshot.
    pub sequence: u64,
    /// Who holds it by what was *read*; shares by receipt, because a share cannot be read without an order.
    #[serde(flatten)]
    pub reach: Reach,
    /// Each site of the placement.
    pub sites: BTreeMap<String, SiteVerification>,
}

/// Reads all shards of the head, whose manifest this is, at all its sites. [`Survey::read_history`] and
/// [`Survey::read_receipts`] come first.
pub async fn verify(survey: &Survey, head: &Manifest, progress: &Progress) -> Verification {
    let fetcher = Fetcher::new(&survey.links);
    let history = survey.catalog.history(&head.database);
    let stripes: Vec<LiveStripe> =
        history.into_iter().flat_map(|history| history.live_stripes().iter()).cloned().collect();
    let per_site: u64 = stripes.iter().map(|live| live.layout.shard_bytes() as u64).sum();
    progress.expect(per_site * survey.links.len() as u64);
    let reads = head.placement.iter().map(|site| read_site(survey, &fetcher, &stripes, site, progress));
    let sites: BTreeMap<SiteName, SiteVerification> = join_all(reads).await.into_iter().collect();
    let proven = |site: &SiteName| sites.get(site).is_some_and(|found| found.shards > 0 && found.good == found.shards);
    let receipts: Vec<Receipt> = (history.into_iter())
        .flat_map(|history| history.receipts(head.sequence))
        .map(Signed::document)
        .map(|receipt| Receipt { holds_shards: receipt.holds_shards && proven(&receipt.site), ..receipt.clone() })
        .collect();
    let durability = durability::assess(survey.catalog.charter(), head, history, &receipts);
    progress.finish();
    Verification {
        database: head.database.to_string(),
        sequence: head.sequence,
        reach: (&durability).into(),
        sites: sites.into_iter().map(|(name, found)| (name.to_string(), found)).collect(),
    }
}

async fn read_site(
    survey: &Survey,
    fetcher: &Fetcher,
    stripes: &[LiveStripe],
    site: &SiteName,
    progress: &Progress,
) -> (SiteName, SiteVerification) {
    let condition = survey.conditions.get(site).map_or_else(|| "not active".to_owned(), ToString::to_string);
    let jurisdiction = survey.catalog.charter().site(site).map(|site| site.jurisdiction.clone()).unwrap_or_default();
    let mut found = SiteVerification { jurisdiction, condition, ..SiteVerification::default() };
    let expected: Vec<&LiveStripe> = stripes.iter().filter(|live| live.shard_at(site).is_some()).collect();
    found.shards = expected.len() as u64;
    if !survey.links.contains_key(site) {
        return (site.clone(), found);
    }
    let reads = stream::iter(expected).map(|live| fetcher.shard_of(live, site)).buffered(READ_AHEAD);
    let mut reads = std::pin::pin!(reads);
    while let Some(result) = reads.next().await {
        match result {
            Ok(shard) => {
                found.good += 1;
                found.bytes += shard.bytes().len() as u64;
                progress.advance(shard.bytes().len() as u64);
            }
            // Waiting as long again for every shard of a large database would take days.
            Err(fault) if fetcher.is_silent(site) => {
                found.faults.push(format!("{fault}: given up after {} shards", found.good));
                break;
            }
            Err(fault) if found.faults.len() < FAULTS_LISTED_MAX => found.faults.push(fault),
            Err(_more) => {}
        }
    }
    (site.clone(), found)
}
