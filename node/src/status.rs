//! What a site knows of itself and of the mesh, for people and for monitoring: one value, shown as text, JSON, metrics.
//!
//! Everything comes from the ledger, the evidence and the store; nothing is assumed. What is wrong is said in
//! [`alarms`], each with the next step.

pub mod agreements;
pub mod alarms;
pub mod handovers;
pub mod metrics;
mod quarantine;
mod retention;
pub mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::audit::coverage;
use protocol::document::Charter;
use protocol::host::Machines;
use protocol::identifier::{DatabaseName, SiteName};
use protocol::ledger::{DatabaseLedger, SmallestUnion, SnapshotLedger, assess};
use protocol::resharing::due_count;
use protocol::signature::Signed;
use protocol::timestamp::Timestamp;
use serde::Serialize;
use shard_codec::shard_tree::LEAF_BYTES;

use crate::heard::LastHeard;
use crate::shard_store::ScrubProgress;
pub use agreements::AgreementStatus;
pub use alarms::{Alarm, Severity};
pub use handovers::HandoverStatus;
pub use quarantine::{QuarantineStatus, QuarantinedSnapshot};
pub use retention::{PendingCharter, RetentionStatus};

const MONTH_MS: u64 = 30 * 86_400_000;
/// The loss that the audit's promise is shown for: one in a hundred of a site's shards,
const SHOWN_LOSS_PPM: u64 = 10_000;
/// seen with this probability.
const SHOWN_PROBABILITY_PPM: u64 = 990_000;

/// How old the newest snapshot of a database may become.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    /// Unless said otherwise; where it is `None`, what the charter says, or a day and two hours.
    pub everywhere: Option<Duration>,
    /// Of single databases.
    pub of_database: BTreeMap<DatabaseName, Duration>,
}

/// A snapshot a day, and two hours of grace.
const AGE_MAX: Duration = Duration::from_secs(26 * 3_600);

impl Expectations {
    /// The operator's word about the database, then about all, then the charter's.
    fn of(&self, database: &DatabaseName, charter: &Charter) -> Duration {
        let in_charter = || charter.database(database)?.rpo_seconds.map(Duration::from_secs);
        let said = self.of_database.get(database).copied().or(self.everywhere);
        said.or_else(in_charter).unwrap_or(AGE_MAX)
    }
}

/// What there is to look at.
pub struct Sources<'a> {
    /// The machines.
    pub machines: &'a Machines,
    /// This site.
    pub me: &'a SiteName,
    /// When the others were last heard.
    pub heard: &'a BTreeMap<SiteName, LastHeard>,
    /// How fresh the databases must be.
    pub expectations: &'a Expectations,
    /// The scrub.
    pub scrub: ScrubProgress,
    /// Free space for shards, in bytes, if the disk tells.
    pub free_bytes: Option<u64>,
    /// When the site was started.
    pub started_ms: u64,
    /// Now.
    pub now_ms: u64,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct SiteStatus {
    /// This site.
    pub site: String,
    /// Where it lies.
    pub jurisdiction: Option<String>,
    /// The state's name.
    pub state: String,
    /// The newest charter version known here.
    pub charter_version: u64,
    /// Milliseconds since 1970, by this site's clock.
    pub now_ms: u64,
    /// Milliseconds since the start.
    pub up_ms: u64,
    /// What is wrong, the worst first.
    pub alarms: Vec<Alarm>,
    /// Sites that leave in good order.
    pub handovers: Vec<HandoverStatus>,
    /// Agreements that end, the first one first.
    pub agreements: Vec<AgreementStatus>,
    /// Every database of the charter.
    pub databases: Vec<DatabaseStatus>,
    /// Every other active site.
    pub sites: Vec<PeerStatus>,
    /// What is missing here and is being remade.
    pub repair: RepairStatus,
    /// What the audits promise.
    pub audit: AuditStatus,
    /// The re-reading of this site's own disk.
    pub scrub: ScrubStatus,
    /// Free space for shards, in bytes.
    pub free_bytes: Option<u64>,
}

/// One database.
#[derive(Clone, Debug, Serialize)]
pub struct DatabaseStatus {
    /// Its name.
    pub database: String,
    /// The newest snapshot; absent if there is none.
    pub newest: Option<SnapshotStatus>,
    /// The snapshot with the least to lose.
    pub weakest: Option<SnapshotStatus>,
    /// Since the newest snapshot that is not in quarantine was received abroad, by the sites' clocks, in milliseconds.
    pub age_ms: Option<u64>,
    /// How old it may become.
    pub age_max_ms: u64,
    /// Snapshots kept.
    pub snapshot_count: u64,
    /// Of these, snapshots that survive the loss of any one coalition.
    pub durable_count: u64,
    /// Bytes of the stripes kept, before coding.
    pub stored_bytes: u64,
    /// Stripes kept.
    pub stripe_count: usize,
    /// Of these, stripes of which some site lacks its shard.
    pub short_stripe_count: usize,
    /// Of these, stripes that cannot be decoded.
    pub lost_stripe_count: usize,
    /// Snapshots whose keys are still to be shared anew, with the custodians of today.
    pub reshare_due_count: u64,
    /// What is let go.
    pub retention: RetentionStatus,
    /// What is suspicious.
    pub quarantine: QuarantineStatus,
    /// Its writer signed two histories.
    pub is_forked: bool,
}

/// What one snapshot reaches.
#[derive(Clone, Debug, Serialize)]
pub struct SnapshotStatus {
    /// Which.
    pub sequence: u64,
    /// Whether enough remains, whichever single coalition is lost.
    pub is_durable: bool,
    /// Whether it could be restored now.
    pub is_restorable: bool,
    /// Sites that hold their shard of its worst stripe.
    pub shard_sites: Vec<String>,
    /// Shards needed.
    pub data_shards: usize,
    /// Sites that hold their share of its key.
    pub share_sites: Vec<String>,
    /// Shares needed.
    pub threshold: usize,
    /// Jurisdictions reached.
    pub jurisdictions: Vec<String>,
    /// Sites that may still be lost.
    pub left_to_lose: usize,
    /// The coalition whose loss takes the most.
    pub weakest: Option<String>,
    /// The fewest coalitions that could read it, or how many it takes at least.
    pub readers: Vec<String>,
    /// How many those are at least.
    pub readers_count: usize,
    /// The fewest coalitions that could take it away.
    pub takers: Vec<String>,
    /// How many those are at least.
    pub takers_count: usize,
}

/// Another site.
#[derive(Clone, Debug, Serialize)]
pub struct PeerStatus {
    /// Its name.
    pub site: String,
    /// Where it lies.
    pub jurisdiction: String,
    /// When it last answered a round of questions, by this site's clock; absent if never since the start.
    pub heard_ms: Option<u64>,
    /// Why it did not answer the last time; absent if it did.
    pub silent_because: Option<String>,
    /// When it last proved to this site that it holds what it was asked for.
    pub proved_ms: Option<u64>,
    /// Answers that proved it.
    pub valid_count: u64,
    /// Challenges without an answer that proves anything.
    pub skip_count: u64,
    /// Answers that proved a loss.
    pub fault_count: u64,
    /// Shards that it says it lacks.
    pub missing_shard_count: u64,
    /// Shares that it says it lacks.
    pub missing_share_count: u64,
    /// Shards of it that were proven lost, and not proven since.
    pub proven_lost_count: usize,
}

/// Repairs at this site.
#[derive(Clone, Debug, Serialize)]
pub struct RepairStatus {
    /// Shards missing here.
    pub missing_count: usize,
    /// Shares of keys that were missing here and that the others made anew, since the start.
    pub recovered_share_count: u64,
    /// Stripes in work.
    pub in_work_count: usize,
    /// The time until nothing is missing, at the speed so far.
    pub eta_ms: Option<u64>,
    /// Shards remade since the start.
    pub mended_count: u64,
    /// Attempts that failed since the start.
    pub failed_count: u64,
    /// Bytes fetched from others since the start.
    pub fetched_bytes: u64,
    /// Bytes written since the start.
    pub written_bytes: u64,
    /// Whether the whole store was looked through since the start.
    pub has_looked: bool,
}

/// What the schedule of audits promises, for the largest site.
#[derive(Clone, Debug, Serialize)]
pub struct AuditStatus {
    /// Sites that audit each other.
    pub auditor_count: u64,
    /// Mean time between two challenges of one auditor to one site.
    pub interval_ms: u64,
    /// Time until the loss of 1 % of a site's shards is seen with a probability of 99 %.
    pub find_one_percent_ms: Option<u64>,
    /// The share of this site's bytes that the others are expected to have had proven in 30 days, in parts per million.
    pub proven_in_a_month_ppm: u64,
}

/// The scrub.
#[derive(Clone, Debug, Serialize)]
pub struct ScrubStatus {
    /// How far it has come, 0 to 1.
    pub position: f64,
    /// Rotten shards found in this pass.
    pub rotten_count: u64,
    /// When the last whole pass ended.
    pub last_pass_ended_ms: Option<u64>,
}

/// Looks.
#[must_use]
pub fn look(sources: &Sources<'_>) -> SiteStatus {
    let machines = sources.machines;
    let charter = machines.catalog.charter();
    let databases = charter.databases.iter().map(|database| of_database(&database.name, sources)).collect();
    let others = charter.active_sites().filter(|site| site.name != *sources.me);
    let mut status = SiteStatus {
        site: sources.me.to_string(),
        jurisdiction: charter.site(sources.me).map(|site| site.jurisdiction.clone()),
        state: charter.state_name.clone(),
        charter_version: charter.version,
        now_ms: sources.now_ms,
        up_ms: sources.now_ms.saturating_sub(sources.started_ms),
        alarms: Vec::new(),
        agreements: agreements::of(charter),
        handovers: handovers::of(sources),
        databases,
        sites: others.map(|site| of_peer(&site.name, &site.jurisdiction, sources)).collect(),
        repair: of_repair(sources),
        audit: of_audit(charter, sources),
        scrub: ScrubStatus {
            position: sources.scrub.position(),
            rotten_count: sources.scrub.rotten_count,
            last_pass_ended_ms: sources.scrub.last_pass_ended_ms,
        },
        free_bytes: sources.free_bytes,
    };
    status.alarms = alarms::of(&status, charter.active_site(sources.me).is_some());
    status
}

fn of_database(database: &DatabaseName, sources: &Sources<'_>) -> DatabaseStatus {
    let machines = sources.machines;
    let DatabaseLedger { head, weakest, snapshot_count, durable_count, stripes, .. } =
        assess(database, &machines.catalog, &machines.evidence);
    let history = machines.catalog.history(database);
    // The sites' clocks count, never the writer's: the middle one of those that gave a receipt.
    let quarantined = machines.catalog.quarantined(database);
    let quarantine = history.map(|history| quarantine::of(history, &quarantined)).unwrap_or_default();
    let received = history.zip(quarantine.newest_accepted).and_then(|(history, accepted)| {
        let mut times: Vec<Timestamp> = history.receipts(accepted).map(|receipt| receipt.document().at).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    });
    let age_max = sources.expectations.of(database, machines.catalog.charter());
    DatabaseStatus {
        database: database.to_string(),
        newest: head.as_ref().map(of_snapshot),
        weakest: weakest.as_ref().map(of_snapshot),
        age_ms: received.map(|at| sources.now_ms.saturating_sub(at.unix_ms())),
        age_max_ms: u64::try_from(age_max.as_millis()).unwrap_or(u64::MAX),
        snapshot_count,
        durable_count,
        stored_bytes: stripes.bytes,
        stripe_count: stripes.kept,
        short_stripe_count: stripes.short,
        lost_stripe_count: stripes.lost,
        reshare_due_count: due_count(&machines.catalog, database, Timestamp::from_unix_ms(sources.now_ms)),
        retention: retention::of(database, machines),
        quarantine,
        is_forked: history.is_some_and(|history| history.forks().next().is_some()),
    }
}

fn of_snapshot(ledger: &SnapshotLedger) -> SnapshotStatus {
    let names = |sites: &std::collections::BTreeSet<SiteName>| sites.iter().map(ToString::to_string).collect();
    let bonds = |union: &SmallestUnion| match union {
        SmallestUnion::Of(bonds) => bonds.iter().map(ToString::to_string).collect(),
        SmallestUnion::MoreThan(_) => Vec::new(),
    };
    SnapshotStatus {
        sequence: ledger.sequence,
        is_durable: ledger.is_durable(),
        is_restorable: ledger.is_restorable(),
        shard_sites: names(&ledger.shard_sites),
        data_shards: ledger.data_shards,
        share_sites: names(&ledger.share_sites),
        threshold: ledger.threshold,
        jurisdictions: ledger.jurisdictions.iter().cloned().collect(),
        left_to_lose: ledger.left_to_lose(),
        weakest: ledger.weakest.as_ref().map(ToString::to_string),
        readers: bonds(&ledger.readers),
        readers_count: ledger.readers.count_at_least(),
        takers: bonds(&ledger.takers),
        takers_count: ledger.takers.count_at_least(),
    }
}

fn of_peer(site: &SiteName, jurisdiction: &str, sources: &Sources<'_>) -> PeerStatus {
    let (audit, evidence) = (&sources.machines.audit, &sources.machines.evidence);
    let tally = audit.tallies().find(|tally| tally.site == *site);
    let heard = sources.heard.get(site);
    let charter = sources.machines.catalog.charter();
    let said = charter.databases.iter().filter_map(|database| evidence.inventory(&database.name, site));
    let (mut shards, mut shares) = (0, 0);
    for inventory in said.map(Signed::document) {
        shards += inventory.missing_stripes.count();
        shares += inventory.missing_shares.count();
    }
    let lost = evidence.faults().filter(|(_shard, fault)| fault.is_open && fault.evidence.document().site == *site);
    PeerStatus {
        site: site.to_string(),
        jurisdiction: jurisdiction.to_owned(),
        heard_ms: heard.and_then(|heard| heard.answered_ms),
        silent_because: heard.and_then(|heard| heard.failure.clone()),
        proved_ms: tally.as_ref().and_then(|tally| tally.last_valid).map(Timestamp::unix_ms),
        valid_count: tally.as_ref().map_or(0, |tally| tally.valid_count),
        skip_count: tally.as_ref().map_or(0, |tally| tally.skip_count),
        fault_count: tally.as_ref().map_or(0, |tally| tally.fault_count),
        missing_shard_count: shards,
        missing_share_count: shares,
        proven_lost_count: lost.count(),
    }
}

fn of_repair(sources: &Sources<'_>) -> RepairStatus {
    let repair = &sources.machines.repair;
    let totals = repair.totals();
    RepairStatus {
        missing_count: repair.queue().len(),
        recovered_share_count: sources.machines.share_recovery.recovered_count(),
        in_work_count: repair.queue().in_work(),
        eta_ms: repair.eta_ms(Timestamp::from_unix_ms(sources.now_ms)),
        mended_count: totals.mended_count,
        failed_count: totals.failed_count,
        fetched_bytes: totals.fetched_bytes,
        written_bytes: totals.written_bytes,
        has_looked: repair.has_looked(&sources.machines.catalog),
    }
}

fn of_audit(charter: &Charter, sources: &Sources<'_>) -> AuditStatus {
    let interval_ms = sources.machines.audit.options().interval_ms;
    let auditors = (charter.active_sites().count() as u64).saturating_sub(1);
    let leaves: u64 = sources
        .machines
        .catalog
        .histories()
        .map(|(_database, history)| {
            let mine = history.kept_stripes().iter().filter(|stripe| stripe.live.shard_at(sources.me).is_some());
            mine.map(|stripe| (stripe.live.layout.shard_bytes() as u64).div_ceil(LEAF_BYTES)).sum::<u64>()
        })
        .sum();
    let needed = coverage::challenges_to_find(SHOWN_LOSS_PPM, SHOWN_PROBABILITY_PPM);
    AuditStatus {
        auditor_count: auditors,
        interval_ms,
        find_one_percent_ms: needed.map(|needed| coverage::time_for_ms(needed, interval_ms, auditors)),
        proven_in_a_month_ppm: coverage::expected_share_ppm(
            leaves,
            coverage::challenges_in(MONTH_MS, interval_ms, auditors),
        ),
    }
}

#[cfg(test)]
mod tests;
