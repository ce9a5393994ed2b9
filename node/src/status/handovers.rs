//! Sites that leave in good order, and how far their successors have come.

use protocol::catalog::History;
use protocol::identifier::{DatabaseName, SiteName};
use protocol::ledger::{claims_shard, claims_share};
use protocol::signature::Signed;
use serde::{Deserialize, Serialize};

use super::Sources;
use super::alarms::{Alarm, warning};
use crate::exit_code::ExitCode;

/// One site that leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HandoverStatus {
    /// The site that leaves.
    pub site: String,
    /// The one that takes over.
    pub successor: String,
    /// Shards that the successor has not said it holds.
    pub missing_shard_count: usize,
    /// Shares that it has not said it holds.
    pub missing_share_count: usize,
}

impl HandoverStatus {
    /// Whether nothing is lost when the site goes.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.missing_shard_count == 0 && self.missing_share_count == 0
    }
}

/// All of them.
pub(super) fn of(sources: &Sources<'_>) -> Vec<HandoverStatus> {
    let catalog = &sources.machines.catalog;
    let handovers = catalog.succession().handovers().map(|(site, successor)| {
        let (mut shards, mut shares) = (0, 0);
        for (database, history) in catalog.histories() {
            shards += missing_shards(database, history, successor, sources);
            shares += missing_shares(database, history, successor, sources);
        }
        HandoverStatus {
            site: site.to_string(),
            successor: successor.to_string(),
            missing_shard_count: shards,
            missing_share_count: shares,
        }
    });
    handovers.collect()
}

fn missing_shards(database: &DatabaseName, history: &History, site: &SiteName, sources: &Sources<'_>) -> usize {
    let evidence = &sources.machines.evidence;
    let due = history.kept_stripes().iter().filter(|stripe| stripe.live.shard_due_at(site).is_some());
    due.filter(|stripe| !claims_shard(site, database, history, stripe, evidence)).count()
}

fn missing_shares(database: &DatabaseName, history: &History, site: &SiteName, sources: &Sources<'_>) -> usize {
    let evidence = &sources.machines.evidence;
    let manifests = history.retained_from(1).map(Signed::document);
    let due =
        manifests.filter(|manifest| history.custody_of(manifest).index_due_at(site, history.succession()).is_some());
    due.filter(|manifest| !claims_share(site, database, history, manifest.sequence, evidence)).count()
}

/// What to say of it.
pub(super) fn alarm_of(handover: &HandoverStatus) -> Alarm {
    let HandoverStatus { site, successor, missing_shard_count, missing_share_count } = handover;
    let raised = if handover.is_whole() {
        warning(
            "may-leave",
            ExitCode::Refused,
            format!("{site} is leaving, and {successor} holds all that it holds"),
            format!(
                "the officials may now put {site} out: 'legation site expel {site} --status FILE', the file from 'legation status --json'"
            ),
        )
    } else {
        warning(
            "leaving",
            ExitCode::NotDurable,
            format!(
                "{site} is leaving, and {successor} has still to take over {missing_shard_count} shards and \
                 {missing_share_count} shares"
            ),
            format!("keep {site} running; if the numbers do not fall, look into the log of {successor}"),
        )
    };
    Alarm { subject: site.clone(), ..raised }
}
