//! Collecting shares under a release order, and reconstructing the snapshot's secret from good ones only.

use std::collections::BTreeMap;

use futures::future::join_all;
use protocol::document::{Custody, Manifest};
use protocol::identifier::SiteName;
use protocol::release::release_context;
use protocol::signature::Signed;
use protocol::wire::{RefusalCode, Request, Response};
use shard_codec::ShareIndex;
use shard_codec::secret_sharing::{Share, SnapshotSecret, reconstruct, verify_share};
use shard_codec::share_sealing::open_sealed;

use super::{RestoreContext, RestoreError};
use crate::network::{CallError, Link};
use crate::pipeline::survey::Survey;

/// What the custodians gave.
pub(super) struct Collected {
    pub(super) secret: SnapshotSecret,
    pub(super) sites: Vec<SiteName>,
    pub(super) faults: BTreeMap<SiteName, Vec<String>>,
}

/// Asks every custodian that answers.
pub(super) async fn collect(
    context: &RestoreContext,
    survey: &mut Survey,
    manifest: &Signed<Manifest>,
) -> Result<Collected, RestoreError> {
    let document = manifest.document();
    survey.read_epochs(&document.database, document.sequence).await;
    let history = survey.catalog.history(&document.database);
    let custody = history.map_or(&document.custody, |history| history.custody_of(document)).clone();
    let threshold = usize::from(custody.threshold);
    let holders = custody.holders(survey.catalog.succession());
    let index_of: BTreeMap<SiteName, ShareIndex> = holders.map(|(site, index)| (site.clone(), index)).collect();
    let asks = survey.links.iter_mut().filter_map(|(site, link)| {
        let index = *index_of.get(site)?;
        let custody = &custody;
        Some(async move { (site.clone(), ask(context, link, manifest, custody, index).await) })
    });
    let answers = join_all(asks).await;
    let (mut shares, mut sites, mut faults, mut refused) = (Vec::new(), Vec::new(), BTreeMap::new(), 0);
    for (site, answer) in answers {
        match answer {
            Ok(share) => {
                shares.push(share);
                sites.push(site);
            }
            Err(fault) => {
                refused += usize::from(fault.is_order_refusal);
                faults.insert(site, vec![fault.why]);
            }
        }
    }
    if shares.len() < threshold {
        let reached = index_of.keys().filter(|site| survey.links.contains_key(*site)).count();
        let describe = |site: &SiteName| {
            let said = faults.get(site).map(|words| words.join(", "));
            let condition = || survey.conditions.get(site).map_or_else(|| "not active".to_owned(), ToString::to_string);
            format!("{site}: {}", said.unwrap_or_else(condition))
        };
        return Err(RestoreError::TooFewShares {
            database: document.database.clone(),
            sequence: document.sequence,
            found: shares.len(),
            threshold,
            missing: index_of.keys().filter(|site| !sites.contains(site)).map(describe).collect(),
            refused: reached > 0 && refused == reached,
        });
    }
    let commitments = custody.commitments().map_err(RestoreError::Root)?;
    let secret =
        reconstruct(threshold, &shares, &commitments).map_err(|error| RestoreError::Root(error.to_string()))?;
    Ok(Collected { secret, sites, faults })
}

struct ShareFault {
    why: String,
    is_order_refusal: bool,
}

fn fault(why: impl std::fmt::Display) -> ShareFault {
    ShareFault { why: why.to_string(), is_order_refusal: false }
}

/// Asks one site and checks what it gives against the public commitments.
async fn ask(
    context: &RestoreContext,
    link: &mut Link,
    manifest: &Signed<Manifest>,
    custody: &Custody,
    expected: ShareIndex,
) -> Result<Share, ShareFault> {
    let document = manifest.document();
    let order = context.order.digest();
    let (database, sequence) = (document.database.clone(), document.sequence);
    let response = link.call(&Request::Share { order, database, sequence }).await.map_err(|error: CallError| {
        let is_order_refusal = error.refusal().is_some_and(|refusal| refusal.code == RefusalCode::Order);
        ShareFault { why: error.to_string(), is_order_refusal }
    })?;
    let Response::Share { sealed, .. } = response else { return Err(fault(link.unexpected())) };
    let binding = release_context(order, document, link.name());
    let opened = open_sealed(&context.sealing, &binding, &sealed)
        .map_err(|error| fault(format!("its share does not open (another share, or altered): {error}")))?;
    let share = Share::from_bytes(&opened).map_err(|error| fault(format!("its share is malformed: {error}")))?;
    let commitments = custody.commitments().map_err(fault)?;
    let threshold = usize::from(custody.threshold);
    verify_share(&share, expected, threshold, &commitments).map_err(|error| {
        fault(format!(
            "its share does not fit the commitments: {error}; if shares were given on just now, restore again"
        ))
    })?;
    Ok(share)
}
