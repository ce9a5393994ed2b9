//! From a scenario to the model of fate mode: names become positions, durations become years.

use crate::fate::model::{self, Agreement, Blow, Departure, Group, GroupKind, Hits, Model, Outage, Timed};

use super::file::{Effect, Kind};
use super::time::{Law, Span};
use super::{Code, Event, Scenario, Site, Struck, When};

/// Bytes per second of one Mbit/s.
const BYTES_PER_MBIT: f64 = 125_000.0;
/// Bytes of one gigabyte.
const BYTES_PER_GB: f64 = 1e9;

/// The model of a scenario with this code.
pub fn model(scenario: &Scenario, code: Code) -> Model {
    let mut groups = Vec::new();
    let mut timeline = Vec::new();
    for event in &scenario.events {
        match event.when {
            When::At(span) => timeline.push(Timed {
                name: event.name.clone(),
                at_years: span.years(),
                targets: event.hits.clone(),
                blow: blow(event),
            }),
            When::PerYear(per_year) if per_year > 0.0 && !event.hits.is_empty() => groups.push(Group {
                name: event.name.clone(),
                kind: kind(event),
                members: event.hits.clone(),
                per_year,
                blow: blow(event),
            }),
            When::PerYear(_) => {}
        }
    }
    let policy = &scenario.policy;
    Model {
        horizon_years: scenario.run.years,
        sites: scenario.sites.iter().map(site).collect(),
        groups,
        timeline,
        code: model::Code {
            data_shards: code.data_shards,
            threshold: code.threshold,
            refresh_years: code.refresh.map(Span::years),
            ciphertext_is_public: code.ciphertext_is_public,
        },
        policy: model::Policy {
            audit_years: Some(policy.audit.years()),
            detect_years: policy.notice.years(),
            crews: policy.crews,
            repair_at: policy.repair_at,
            write_off_years: policy.down_counts_as_lost_after.map(Span::years),
            uplink_share: policy.uplink_share,
        },
        databases: scenario.databases.iter().map(database).collect(),
        restore: model::Restore {
            decision: law(scenario.restore.order_takes),
            answer: law(scenario.restore.answer_takes),
            ingress_bytes_per_s: scenario.restore.ingress_mbit_s * BYTES_PER_MBIT,
        },
        writer: scenario.writer.map(|writer| model::Writer {
            stolen_per_year: writer.stolen_every.per_year(),
            noticed_after: model::Law::Constant { years: writer.noticed_after.years() },
        }),
    }
}

fn site(site: &Site) -> model::Site {
    let constant_rate =
        |per_year: f64| (per_year > 0.0).then(|| model::Law::Exponential { mean_years: 1.0 / per_year });
    let outage = constant_rate(site.down_per_year).map(|every| Outage { every, lasts: law(site.down_for) });
    let agreement = site
        .agreement_ends
        .map(|ends| Agreement { ends_years: ends.years(), departure: Departure { moved: site.renewal, raided: 0.0 } });
    model::Site {
        name: site.name.clone(),
        holds_shard: site.holds_shards,
        holds_share: site.holds_shares,
        is_home: site.kind == Kind::Home,
        is_cold: site.cold,
        loss: site.lifetime.map(law).or_else(|| constant_rate(site.lost_per_year)),
        rot_per_year: site.rot_per_year,
        outage,
        seized_per_year: site.seized_per_year,
        copied_per_year: site.copied_per_year,
        repair: Some(law(site.repair)),
        remake: law(site.remake),
        agreement,
        up_bytes_per_s: site.uplink_mbit_s * BYTES_PER_MBIT,
        down_bytes_per_s: site.uplink_mbit_s * BYTES_PER_MBIT,
    }
}

fn database(database: &super::file::Database) -> model::Database {
    model::Database {
        name: database.name.clone(),
        bytes: database.size_gb * BYTES_PER_GB,
        priority: database.priority,
        snapshot_years: database.snapshot_every.years(),
        lag_years: database.lag.years(),
    }
}

fn blow(event: &Event) -> Blow {
    let effect = match event.effect {
        Effect::Lost => model::Effect::Lost,
        Effect::Seized => model::Effect::Seized,
        Effect::Copied => model::Effect::Copied,
        Effect::Rotted => model::Effect::Rotted,
        Effect::Down => model::Effect::Down(event.lasts.map_or(model::Law::Constant { years: 0.0 }, law)),
        Effect::Expelled => model::Effect::Expelled(Departure { moved: event.moved, raided: event.raided }),
    };
    let hits = match event.struck {
        Struck::Each(chance) => Hits::Each { chance },
        Struck::Pick(count) => Hits::AtRandom { count },
    };
    // Cold sites that are spared are not among the members.
    Blow { effect, hits, for_good: event.for_good, spares_cold: false }
}

/// What ties the sites of an event, if all its selectors are of one kind.
fn kind(event: &Event) -> GroupKind {
    let of = |selector: &String| match selector.split_once(':').map(|(kind, _)| kind) {
        Some("jurisdiction") => GroupKind::Jurisdiction,
        Some("alliance") => GroupKind::Alliance,
        Some("building" | "owner") => GroupKind::Building,
        Some("software") => GroupKind::Software,
        Some("network") => GroupKind::Network,
        Some("vendor") => GroupKind::Vendor,
        Some(_) | None => GroupKind::Other,
    };
    let kinds: std::collections::BTreeSet<GroupKind> = event.selectors.iter().map(of).collect();
    if kinds.len() == 1 { kinds.first().copied().unwrap_or(GroupKind::Other) } else { GroupKind::Other }
}

/// The same law in years.
fn law(law: Law) -> model::Law {
    match law {
        Law::Constant { mean } => model::Law::Constant { years: mean.years() },
        Law::Exponential { mean } => model::Law::Exponential { mean_years: mean.years() },
        Law::Weibull { mean, shape } => {
            model::Law::Weibull { shape, scale_years: mean.years() / libm::tgamma(1.0 + 1.0 / shape) }
        }
        Law::Lognormal { mean, cv } => model::Law::LogNormal { mean_years: mean.years(), cv },
        Law::Uniform { from, to } => model::Law::Uniform { low_years: from.years(), high_years: to.years() },
    }
}
