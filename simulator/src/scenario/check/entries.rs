//! Sites and events: defaults filled in, names once, numbers in range.

use std::collections::BTreeSet;

use super::super::Struck;
use super::super::file::{Effect, Kind};
use super::*;

/// The most sites that all events may hit together.
const HITS_MAX: usize = 10_000_000;
/// What a site sends if nothing is said: 1 Gbit/s.
const UPLINK_MBIT_S: f64 = 1_000.0;
const NO_JURISDICTION: &str = "a site needs its jurisdiction: two capital letters (ISO 3166)";

/// A code of ISO 3166 by its form.
pub(super) fn is_jurisdiction(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

pub(super) fn sites(file: &File, gathered: &mut Gathered<'_>) -> Vec<Site> {
    let defaults = &file.site_defaults;
    if defaults.name.is_some() || defaults.count.is_some() {
        gathered.add(&[Key("site_defaults")], "the defaults have neither name nor count");
    }
    check_given(defaults, &[Key("site_defaults")], gathered);
    let mut sites = Vec::new();
    let mut names = BTreeSet::new();
    for (at, entry) in file.sites.iter().enumerate() {
        let mut count = entry.count.unwrap_or(1);
        if count == 0 || sites.len() + count as usize > SITES_MAX {
            let message = format!("{count} sites: must be at least 1, and at most {SITES_MAX} in all");
            gathered.add(&[Key("sites"), Entry(at), Key("count")], message);
            count = 1;
        }
        check_given(entry, &[Key("sites"), Entry(at)], gathered);
        let site = checked_site(entry, defaults, at, gathered);
        for number in 1..=count {
            let name = if entry.count.is_some() { format!("{}-{number}", site.name) } else { site.name.clone() };
            if !names.insert(name.clone()) {
                gathered.add(&[Key("sites"), Entry(at), Key("name")], format!("two sites are called '{name}'"));
            }
            sites.push(Site { name, ..site.clone() });
        }
    }
    if sites.is_empty() {
        gathered.add(&[Key("sites")], "a scenario needs at least one site");
    }
    sites
}

/// What an entry says itself; a fault of the defaults is one fault, not one of every site.
fn check_given(entry: &SiteEntry, at: &[Step], gathered: &mut Gathered<'_>) {
    let mut add = |key, message: String| gathered.add(&[at, &[Key(key)]].concat(), message);
    if entry.jurisdiction.as_ref().is_some_and(|code| !is_jurisdiction(code)) {
        add("jurisdiction", NO_JURISDICTION.to_owned());
    }
    if entry.roles.as_ref().is_some_and(Vec::is_empty) {
        add("roles", "a site holds shards, shares or both".to_owned());
    }
    if entry.lifetime.is_some() && entry.lost_every.is_some() {
        add("lifetime", "a site has lifetime or lost_every, not both".to_owned());
    }
    for (key, value, least, most) in [
        ("renewal", entry.renewal, 0.0, 1.0),
        ("uplink_mbit_s", entry.uplink_mbit_s, 0.001, 1e9),
        ("cost_per_year", entry.cost_per_year, 0.0, 1e15),
    ] {
        if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
            add(key, format!("{value} must be from {least} to {most}"));
        }
    }
}

fn checked_site(entry: &SiteEntry, defaults: &SiteEntry, at: usize, gathered: &mut Gathered<'_>) -> Site {
    let path = |key| [Key("sites"), Entry(at), Key(key)];
    let rate = |own: Option<Every>, default: Option<Every>| own.or(default).map_or(0.0, Every::per_year);
    let text = |own: &Option<String>, default: &Option<String>| own.clone().or_else(|| default.clone());
    let name = entry.name.clone().unwrap_or_default();
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        gathered.add(&path("name"), "a site needs a name of lowercase letters, digits and '-'");
    }
    let jurisdiction = text(&entry.jurisdiction, &defaults.jurisdiction).unwrap_or_default();
    if entry.jurisdiction.is_none() && defaults.jurisdiction.is_none() {
        gathered.add(&path("jurisdiction"), NO_JURISDICTION);
    }
    let kind = entry.kind.or(defaults.kind).unwrap_or_else(|| {
        gathered.add(&path("kind"), "a site needs its kind: home, embassy, data-centre or cloud");
        Kind::DataCentre
    });
    let roles = entry.roles.clone().or_else(|| defaults.roles.clone()).unwrap_or(vec![Role::Shards, Role::Shares]);
    let lifetime = entry.lifetime.or(if entry.lost_every.is_some() { None } else { defaults.lifetime });
    Site {
        renewal: entry.renewal.or(defaults.renewal).unwrap_or(1.0),
        uplink_mbit_s: entry.uplink_mbit_s.or(defaults.uplink_mbit_s).unwrap_or(UPLINK_MBIT_S),
        cost_per_year: entry.cost_per_year.or(defaults.cost_per_year).unwrap_or(0.0),
        name,
        kind,
        jurisdiction,
        building: text(&entry.building, &defaults.building),
        owner: text(&entry.owner, &defaults.owner),
        vendor: text(&entry.vendor, &defaults.vendor),
        network: text(&entry.network, &defaults.network),
        software: text(&entry.software, &defaults.software),
        holds_shards: roles.contains(&Role::Shards),
        holds_shares: roles.contains(&Role::Shares),
        cold: entry.cold.or(defaults.cold).unwrap_or(false),
        lost_per_year: if lifetime.is_some() { 0.0 } else { rate(entry.lost_every, defaults.lost_every) },
        lifetime,
        rot_per_year: rate(entry.rot_every, defaults.rot_every),
        down_per_year: rate(entry.down_every, defaults.down_every),
        down_for: entry.down_for.or(defaults.down_for).unwrap_or(Law::Constant { mean: Span::from_ms(3_600_000) }),
        seized_per_year: rate(entry.seized_every, defaults.seized_every),
        copied_per_year: rate(entry.copied_every, defaults.copied_every),
        repair: entry.repair.or(defaults.repair).unwrap_or(Law::Constant { mean: Span::from_days(30) }),
        remake: entry.remake.or(defaults.remake).unwrap_or(Law::Constant { mean: Span::from_ms(3_600_000) }),
        agreement_ends: entry.agreement_ends.or(defaults.agreement_ends),
    }
}

pub(super) fn events(file: &File, sites: &[Site], gathered: &mut Gathered<'_>) -> Vec<Event> {
    let mut names = BTreeSet::new();
    let mut events: Vec<Event> = Vec::new();
    let mut hit = 0;
    for (at, entry) in file.events.iter().enumerate() {
        if !names.insert(&entry.name) {
            let message = format!("two events are called '{}': a report could not tell them apart", entry.name);
            gathered.add(&[Key("events"), Entry(at), Key("name")], message);
        }
        let event = checked_event(file, entry, at, sites, gathered);
        hit += event.hits.len();
        if hit > HITS_MAX {
            let message = format!("with this one the events hit {hit} sites in all, of {HITS_MAX} at most");
            gathered.add(&[Key("events"), Entry(at), Key("hits")], message);
            break;
        }
        events.push(event);
    }
    events
}

fn checked_event(file: &File, entry: &EventEntry, at: usize, sites: &[Site], gathered: &mut Gathered<'_>) -> Event {
    let path = |key| [Key("events"), Entry(at), Key(key)];
    let when = match (entry.at, entry.every) {
        (Some(span), None) => When::At(span),
        (None, Some(every)) => When::PerYear(every.per_year()),
        (None, None) | (Some(_), Some(_)) => {
            gathered.add(&path("at"), "an event needs `at` (once) or `every` (at random), one of them");
            When::PerYear(0.0)
        }
    };
    if let When::At(span) = when
        && span.years() >= file.run.years
    {
        gathered.add(&path("at"), format!("{span} is not before the end of the mission ({} years)", file.run.years));
    }
    match (entry.effect, entry.lasts) {
        (Effect::Down, None) => gathered.add(&path("lasts"), "an event with the effect 'down' needs `lasts`"),
        (Effect::Down, Some(_)) | (_, None) => {}
        (_, Some(_)) => {
            gathered.add(&path("lasts"), "only an event with the effect 'down' lasts; the others end with a repair");
        }
    }
    let for_good = entry.for_good.unwrap_or(false);
    if for_good && matches!(entry.effect, Effect::Down | Effect::Copied | Effect::Rotted) {
        gathered.add(&path("for_good"), "only a site that is lost, seized or expelled can be gone for good");
    }
    let struck = checked_struck(entry, at, gathered);
    if entry.hits.is_empty() {
        gathered.add(&path("hits"), "an event that hits nobody is none");
    }
    let mut hits = select::sites(&entry.hits, sites, &file.alliances).unwrap_or_else(|wrong| {
        for (selector, why) in wrong {
            gathered.add(&[Key("events"), Entry(at), Key("hits"), Entry(selector)], why);
        }
        Vec::new()
    });
    if entry.spares_cold.unwrap_or(false) {
        hits.retain(|&site| sites.get(site).is_some_and(|site| !site.cold));
    }
    Event {
        name: entry.name.clone(),
        when,
        effect: entry.effect,
        hits,
        selectors: entry.hits.clone(),
        struck,
        lasts: entry.lasts,
        moved: entry.moved.unwrap_or(0.0),
        raided: entry.raided.unwrap_or(0.0),
        for_good,
    }
}

fn checked_struck(entry: &EventEntry, at: usize, gathered: &mut Gathered<'_>) -> Struck {
    let path = |key| [Key("events"), Entry(at), Key(key)];
    let chances = [("chance", entry.chance), ("moved", entry.moved), ("raided", entry.raided)];
    for (key, chance) in chances {
        if let Some(chance) = chance
            && !(0.0..=1.0).contains(&chance)
        {
            gathered.add(&path(key), format!("{chance} must be from 0 to 1"));
        }
    }
    let leaves = entry.moved.unwrap_or(0.0) + entry.raided.unwrap_or(0.0);
    if leaves > 1.0 {
        gathered.add(&path("raided"), format!("moved and raided together are {leaves}, more than 1"));
    }
    if entry.effect != Effect::Expelled && (entry.moved.is_some() || entry.raided.is_some()) {
        gathered.add(&path("moved"), "only an event with the effect 'expelled' has moved and raided");
    }
    match (entry.chance, entry.pick) {
        (Some(_), Some(_)) => {
            gathered.add(&path("pick"), "an event has chance or pick, not both");
            Struck::Each(1.0)
        }
        (None, Some(0)) => {
            gathered.add(&path("pick"), "must be at least 1");
            Struck::Pick(1)
        }
        (None, Some(count)) => Struck::Pick(count),
        (chance, None) => Struck::Each(chance.unwrap_or(1.0)),
    }
}
