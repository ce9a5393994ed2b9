//! The status in the text format of Prometheus (OpenMetrics). `docs/operations/watching.md` lists the names.

use std::fmt;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::SiteStatus;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfDatabase {
    database: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSite {
    site: String,
    jurisdiction: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfVerdict {
    site: String,
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfAlarm {
    code: &'static str,
    severity: &'static str,
}

type Level<L> = Family<L, Gauge>;
type Total<L> = Family<L, Counter<u64, AtomicU64>>;

fn level<L>(registry: &mut Registry, name: &str, help: &str) -> Level<L>
where
    L: Clone + std::hash::Hash + Eq + EncodeLabelSet + fmt::Debug + Send + Sync + 'static,
{
    let family = Level::default();
    registry.register(name, help, family.clone());
    family
}

fn signed(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// All of it, as text.
///
/// # Errors
/// The text cannot be written: out of memory.
pub fn text(status: &SiteStatus) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("legation");
    databases(status, &mut registry);
    sites(status, &mut registry);
    own(status, &mut registry);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn databases(status: &SiteStatus, registry: &mut Registry) {
    let newest = level(registry, "snapshot_sequence", "Sequence of the newest snapshot; 0 if there is none");
    let age = level(
        registry,
        "snapshot_age_seconds",
        "Since the newest accepted snapshot was received, by the sites' clocks",
    );
    let age_max = level(registry, "snapshot_age_max_seconds", "How old the newest snapshot may become");
    let durable =
        level(registry, "snapshot_durable", "1 if the newest snapshot survives the loss of any one coalition");
    let shards = level(registry, "snapshot_shard_sites", "Sites that hold their shard of its worst stripe");
    let shares = level(registry, "snapshot_share_sites", "Sites that hold their share of its key");
    let places = level(registry, "snapshot_jurisdictions", "Jurisdictions it reaches");
    let to_lose = level(registry, "snapshot_left_to_lose", "Sites that may still be lost");
    let all = level(registry, "snapshots", "Snapshots kept");
    let all_durable = level(registry, "snapshots_durable", "Of these, durable ones");
    let short = level(registry, "stripes_short", "Stripes of which some site lacks its shard");
    let lost = level(registry, "stripes_lost", "Stripes that cannot be decoded");
    let quarantined = level(registry, "snapshots_quarantined", "Snapshots that look as if the register was damaged");
    let forked = level(registry, "forked", "1 if its writer signed two histories");
    for database in &status.databases {
        let set = |family: &Level<OfDatabase>, value: i64| {
            let _before = family.get_or_create(&OfDatabase { database: database.database.clone() }).set(value);
        };
        let head = database.newest.as_ref();
        set(&newest, head.map_or(0, |head| signed(head.sequence)));
        if let Some(age_ms) = database.age_ms {
            set(&age, signed(age_ms / 1_000));
        }
        set(&age_max, signed(database.age_max_ms / 1_000));
        set(&durable, head.map_or(0, |head| i64::from(head.is_durable)));
        set(&shards, head.map_or(0, |head| signed(head.shard_sites.len())));
        set(&shares, head.map_or(0, |head| signed(head.share_sites.len())));
        set(&places, head.map_or(0, |head| signed(head.jurisdictions.len())));
        set(&to_lose, head.map_or(0, |head| signed(head.left_to_lose)));
        set(&all, signed(database.snapshot_count));
        set(&all_durable, signed(database.durable_count));
        set(&short, signed(database.short_stripe_count));
        set(&lost, signed(database.lost_stripe_count));
        set(&quarantined, signed(database.quarantine.count));
        set(&forked, i64::from(database.is_forked));
    }
}

fn sites(status: &SiteStatus, registry: &mut Registry) {
    let reached = level(registry, "site_answers", "1 if the site answered the last round of questions");
    let lacking = level(registry, "site_missing_shards", "Shards that the site says it lacks");
    let lost = level(registry, "site_proven_losses", "Shards of it that were proven lost and not proven since");
    let answers: Total<OfVerdict> = Total::default();
    registry.register("audit_answers", "Challenges to the site, by verdict", answers.clone());
    for site in &status.sites {
        let of_site = OfSite { site: site.site.clone(), jurisdiction: site.jurisdiction.clone() };
        let set = |family: &Level<OfSite>, value: i64| {
            let _before = family.get_or_create(&of_site).set(value);
        };
        set(&reached, i64::from(site.heard_ms.is_some() && site.silent_because.is_none()));
        set(&lacking, signed(site.missing_shard_count));
        set(&lost, signed(site.proven_lost_count));
        let verdicts = [("valid", site.valid_count), ("skip", site.skip_count), ("fault", site.fault_count)];
        for (verdict, count) in verdicts {
            let _before = answers.get_or_create(&OfVerdict { site: site.site.clone(), verdict }).inc_by(count);
        }
    }
}

fn own(status: &SiteStatus, registry: &mut Registry) {
    let mut gauge = |name: &str, help: &str, value: i64| {
        let gauge = Gauge::<i64>::default();
        let _before = gauge.set(value);
        registry.register(name, help, gauge);
    };
    gauge("charter_version", "The newest charter version known here", signed(status.charter_version));
    gauge("missing_shards", "Shards missing at this site", signed(status.repair.missing_count));
    gauge("repairs_in_work", "Stripes being repaired", signed(status.repair.in_work_count));
    if let Some(free) = status.free_bytes {
        gauge("free_bytes", "Free space for shards", signed(free));
    }
    gauge("scrub_rotten_shards", "Rotten shards found in this pass of the scrub", signed(status.scrub.rotten_count));
    let mut total = |name: &str, help: &str, value: u64| {
        let counter = Counter::<u64, AtomicU64>::default();
        let _before = counter.inc_by(value);
        registry.register(name, help, counter);
    };
    total("repair_mended_shards", "Shards remade since the start", status.repair.mended_count);
    let recovered = status.repair.recovered_share_count;
    total("recovered_shares", "Shares of keys that the others made anew since the start", recovered);
    total("repair_failed", "Repairs that failed since the start", status.repair.failed_count);
    total("repair_fetched_bytes", "Bytes fetched from others for repairs", status.repair.fetched_bytes);
    total("repair_written_bytes", "Bytes written by repairs", status.repair.written_bytes);
    let alarms: Level<OfAlarm> = level(registry, "alarms", "What is wrong, by code");
    for alarm in &status.alarms {
        let severity = match alarm.severity {
            super::Severity::Alarm => "alarm",
            super::Severity::Warning => "warning",
        };
        let _before = alarms.get_or_create(&OfAlarm { code: alarm.code, severity }).inc();
    }
}
