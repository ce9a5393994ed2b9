//! What has a range of its own, whatever else the file says.

use super::super::file::{File, Target};
use super::*;

/// The most data shards and shares: one byte numbers them.
const SHARDS_MAX: u32 = 255;
/// The most captures and replacements of officials that a chain follows through a mission.
const ROLL_CHANGES_MAX: f64 = 1e6;
/// The longest mission.
const YEARS_MAX: f64 = 10_000.0;

pub(super) fn check(file: &File, gathered: &mut Gathered<'_>) {
    if file.schema != SCHEMA {
        gathered.add(&[Key("schema")], format!("{} is not known here; this program reads {SCHEMA}", file.schema));
    }
    if file.title.trim().is_empty() {
        gathered.add(&[Key("title")], "must not be empty");
    }
    let counts = [
        ("databases", file.databases.len(), ENTRIES_MAX),
        ("alliances", file.alliances.len(), ENTRIES_MAX),
        ("events", file.events.len(), ENTRIES_MAX),
        ("sites", file.sites.len(), SITES_MAX),
    ];
    for (key, count, max) in counts {
        if count > max {
            gathered.add(&[Key(key)], format!("{count} entries; at most {max}"));
        }
    }
    alliances(file, gathered);
    run(file, gathered);
    databases(file, gathered);
    people(file, gathered);
    targets(&file.target, gathered);
    search(file, gathered);
    if let Some(speed) = file.restore.ingress_mbit_s {
        above_zero(speed, &[Key("restore"), Key("ingress_mbit_s")], gathered);
    }
}

fn above_zero(value: f64, path: &[Step], gathered: &mut Gathered<'_>) {
    if !(value.is_finite() && value > 0.0) {
        gathered.add(path, format!("{value} must be above zero"));
    }
}

fn run(file: &File, gathered: &mut Gathered<'_>) {
    above_zero(file.run.years, &[Key("run"), Key("years")], gathered);
    if file.run.years > YEARS_MAX {
        gathered.add(&[Key("run"), Key("years")], format!("at most {YEARS_MAX}"));
    }
    if file.run.missions == 0 || file.run.missions > MISSIONS_MAX {
        gathered.add(&[Key("run"), Key("missions")], format!("must be from 1 to {MISSIONS_MAX}"));
    }
    for (key, span) in
        [("audit", Some(file.policy.audit)), ("down_counts_as_lost_after", file.policy.down_counts_as_lost_after)]
    {
        if span.is_some_and(|span| span.ms() == 0) {
            gathered.add(&[Key("policy"), Key(key)], "must be above zero");
        }
    }
    if file.policy.uplink_share.is_some_and(|share| !(share > 0.0 && share <= 1.0)) {
        gathered.add(&[Key("policy"), Key("uplink_share")], "must be above 0 and at most 1");
    }
    if file.policy.crews == Some(0) {
        gathered.add(&[Key("policy"), Key("crews")], "must be at least 1; leave it out for as many as needed");
    }
    let data_shards = file.code.as_ref().map_or(0, |code| code.data_shards);
    if file.policy.repair_at.is_some_and(|at| at < data_shards) {
        let message = format!("repair that waits until fewer than {data_shards} shards are left comes too late");
        gathered.add(&[Key("policy"), Key("repair_at")], message);
    }
}

/// A misspelt alliance would be a coalition that nobody looks at.
fn alliances(file: &File, gathered: &mut Gathered<'_>) {
    let mut names = std::collections::BTreeSet::new();
    for (at, alliance) in file.alliances.iter().enumerate() {
        if alliance.name.is_empty() || !names.insert(&alliance.name) {
            let message = format!("'{}' must be there once", alliance.name);
            gathered.add(&[Key("alliances"), Entry(at), Key("name")], message);
        }
        for (place, code) in alliance.jurisdictions.iter().enumerate() {
            if !entries::is_jurisdiction(code) {
                let message = format!("'{code}' is no jurisdiction: two capital letters (ISO 3166)");
                gathered.add(&[Key("alliances"), Entry(at), Key("jurisdictions"), Entry(place)], message);
            }
        }
    }
}

fn databases(file: &File, gathered: &mut Gathered<'_>) {
    let mut names = std::collections::BTreeSet::new();
    for (at, database) in file.databases.iter().enumerate() {
        let path = |key| [Key("databases"), Entry(at), Key(key)];
        if !names.insert(&database.name) || database.name.is_empty() {
            gathered.add(&path("name"), format!("'{}' must be there once", database.name));
        }
        above_zero(database.size_gb, &path("size_gb"), gathered);
        if database.snapshot_every.ms() == 0 {
            gathered.add(&path("snapshot_every"), "must be above zero");
        }
    }
}

fn people(file: &File, gathered: &mut Gathered<'_>) {
    if let Some(officials) = file.officials
        && (officials.quorum == 0 || officials.quorum > officials.total || officials.total > SHARDS_MAX)
    {
        let message = format!("a quorum of {} of {} officials is none", officials.quorum, officials.total);
        gathered.add(&[Key("officials"), Key("quorum")], message);
    }
    if let Some(officials) = file.officials
        && officials.replaced_after.ms() == 0
    {
        gathered.add(&[Key("officials"), Key("replaced_after")], "must be above zero");
    }
    if let Some(officials) = file.officials {
        let changes = f64::from(officials.total)
            * (officials.captured_every.per_year() + 1.0 / officials.replaced_after.years().max(1e-12))
            * file.run.years;
        if changes > ROLL_CHANGES_MAX {
            let message =
                "so short against the mission that it cannot be followed: one day or more is enough to plan with";
            gathered.add(&[Key("officials"), Key("replaced_after")], message);
        }
    }
    if let Some(code) = &file.code {
        for (key, value) in [("data_shards", code.data_shards), ("threshold", code.threshold)] {
            if value > SHARDS_MAX {
                gathered.add(&[Key("code"), Key(key)], format!("{value} is more than {SHARDS_MAX}"));
            }
        }
    }
}

fn targets(target: &Target, gathered: &mut Gathered<'_>) {
    let chances = [
        ("loss_per_year", target.loss_per_year),
        ("disclosure_per_year", target.disclosure_per_year),
        ("unavailability", target.unavailability),
    ];
    for (key, chance) in chances {
        if chance.is_some_and(|chance| !(chance > 0.0 && chance <= 1.0)) {
            gathered.add(&[Key("target"), Key(key)], "must be above 0 and at most 1");
        }
    }
    if let Some(cost) = target.cost_per_year {
        above_zero(cost, &[Key("target"), Key("cost_per_year")], gathered);
    }
}

fn search(file: &File, gathered: &mut Gathered<'_>) {
    let Some(search) = &file.search else { return };
    if search.sites_min == 0 || search.sites_min > search.sites_max || search.sites_max > SHARDS_MAX {
        let message = format!(
            "{} to {} sites: must be from 1 to {SHARDS_MAX}, the fewer first",
            search.sites_min, search.sites_max
        );
        gathered.add(&[Key("search"), Key("sites_min")], message);
    }
}
