//! Remaking shards that a site lacks, from `data_shards` others, without any key.

use std::collections::BTreeSet;

use protocol::document::LiveStripe;
use protocol::identifier::{DatabaseName, SiteName};
use protocol::wire::Request;
use shard_codec::Digest;

use super::fetch::{FetchError, Fetcher};
use super::survey::Survey;
use crate::network::{CallError, Link};

/// Why a shard could not be remade.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The other sites.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The site that lacks it.
    #[error(transparent)]
    Call(#[from] CallError),
    /// What was remade is not what was lost: a defect of this program.
    #[error("the shard remade for stripe {0} has another root")]
    Root(u64),
    /// The site has gone.
    #[error("site {0} is not reached")]
    Gone(SiteName),
}

/// Remakes and stores at `site` those of `roots` that its placement gives it. Returns the bytes stored; the fetcher
/// knows who served wrong bytes.
///
/// # Errors
/// As [`RepairError`]; what was stored before stays.
pub async fn remake_at(
    survey: &Survey,
    fetcher: &Fetcher,
    database: &DatabaseName,
    site: &SiteName,
    roots: &[Digest],
) -> Result<u64, RepairError> {
    let wanted: BTreeSet<Digest> = roots.iter().copied().collect();
    let link = survey.links.get(site).ok_or_else(|| RepairError::Gone(site.clone()))?;
    let mut link = link.dialer().link();
    let history = survey.catalog.history(database);
    let stripes: Vec<LiveStripe> =
        history.into_iter().flat_map(|history| history.live_stripes().iter()).cloned().collect();
    let mut stored = 0;
    for live in stripes {
        let lacks = live.shard_due_at(site).is_some_and(|(_index, root)| wanted.contains(&root));
        if lacks {
            stored += remake_one(fetcher, &mut link, database, &live).await?;
        }
    }
    Ok(stored)
}

async fn remake_one(
    fetcher: &Fetcher,
    link: &mut Link,
    database: &DatabaseName,
    live: &LiveStripe,
) -> Result<u64, RepairError> {
    let site = link.name().clone();
    let Some((index, root)) = live.shard_due_at(&site) else { return Ok(0) };
    let shard = fetcher.remake(live, &site, index).await?;
    if Digest::of(&shard) != root {
        return Err(RepairError::Root(live.stripe.number));
    }
    let request = Request::PutShard {
        database: database.clone(),
        stripe_number: live.stripe.number,
        shard_index: index.get(),
        root,
        bytes: u32::try_from(shard.len()).unwrap_or(u32::MAX),
    };
    link.put(&request, &shard).await?;
    Ok(shard.len() as u64)
}
