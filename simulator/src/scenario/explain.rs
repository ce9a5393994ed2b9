//! A scenario in words: who holds what, what may happen, and what happens when.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::file::{Effect, Kind};
use super::time::Span;
use super::{Event, Scenario, Site, Struck, When};

/// The scenario in sentences, for people who do not read TOML.
pub fn explain(scenario: &Scenario) -> String {
    let mut text = String::new();
    let mut say = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    say(scenario.title.clone());
    say("=".repeat(scenario.title.chars().count()));
    if !scenario.about.is_empty() {
        say(format!("\n{}", scenario.about));
    }
    say(format!("\nWho holds the data ({})", count(scenario.sites.len(), "site")));
    for line in sites(&scenario.sites) {
        say(format!("  {line}"));
    }
    let (shards, shares) = scenario.holders();
    if let Some(code) = &scenario.code {
        say(format!(
            "\nAny {} of {shards} sites rebuild the data; any {} of {shares} shares open it; {}.",
            code.data_shards,
            code.threshold,
            match code.refresh {
                Some(span) => format!("shares are made anew every {span}, and those stolen before are then worthless"),
                None => "shares are never made anew, so that stolen ones add up for ever".to_owned(),
            }
        ));
    }
    for database in &scenario.databases {
        say(format!(
            "  {}: {} GB, priority {}, a snapshot every {}, durable abroad {} later",
            database.name, database.size_gb, database.priority, database.snapshot_every, database.lag
        ));
    }
    say(format!("\nWhat may happen at any time, in {} years", scenario.run.years));
    for line in hazards(scenario) {
        say(format!("  {line}"));
    }
    say("\nWhat happens when".to_owned());
    for line in timeline(scenario) {
        say(format!("  {line}"));
    }
    for (title, lines) in [("Assumed", &scenario.assumptions), ("Sources", &scenario.sources)] {
        if !lines.is_empty() {
            say(format!("\n{title}"));
            lines.iter().for_each(|line| say(format!("  - {line}")));
        }
    }
    text
}

/// The fixed events in order of time, in words.
pub fn timeline(scenario: &Scenario) -> Vec<String> {
    let mut events: Vec<(Span, String)> = (scenario.events.iter())
        .filter_map(|event| match event.when {
            When::At(at) => Some((at, format!("{:<9} {}", moment(at), event_in_words(scenario, event)))),
            When::PerYear(_) => None,
        })
        .collect();
    let ends = scenario.sites.iter().filter_map(|site| Some((site.agreement_ends?, site)));
    events.extend(ends.map(|(at, site)| {
        let renewal = percent(site.renewal);
        (at, format!("{:<9} the agreement with the host of {} ends; renewed with {renewal}", moment(at), site.name))
    }));
    events.sort_by_key(|(at, _)| *at);
    if events.is_empty() {
        return vec!["nothing at a known time".to_owned()];
    }
    events.into_iter().map(|(_, line)| line).collect()
}

fn moment(at: Span) -> String {
    if at.days() < 3.0 { format!("hour {:.0}:", at.days() * 24.0) } else { format!("day {:.0}:", at.days()) }
}

fn sites(sites: &[Site]) -> Vec<String> {
    // Sites that differ in nothing but their number are one line.
    let mut lines: Vec<(Site, usize)> = Vec::new();
    for site in sites {
        let alike = |(first, _): &&mut (Site, usize)| Site { name: site.name.clone(), ..first.clone() } == *site;
        match lines.last_mut().filter(|last| alike(last)) {
            Some((_, number)) => *number += 1,
            None => lines.push((site.clone(), 1)),
        }
    }
    let line = |(site, number): (Site, usize)| {
        let kind = match site.kind {
            Kind::Home => "at home",
            Kind::Embassy => "embassy",
            Kind::DataCentre => "data centre",
            Kind::Cloud => "rented",
        };
        let holds = match (site.holds_shards, site.holds_shares) {
            (true, true) => "shards and shares",
            (true, false) => "shards only",
            (false, _) => "shares only",
        };
        let name = if number > 1 { format!("{} and {} more", site.name, number - 1) } else { site.name };
        let cold = if site.cold { ", off line" } else { "" };
        format!("{name:<14} {:<3} {kind:<12} {holds}{cold}", site.jurisdiction)
    };
    lines.into_iter().map(line).collect()
}

fn hazards(scenario: &Scenario) -> Vec<String> {
    let mut kinds: BTreeMap<(usize, &str), Vec<f64>> = BTreeMap::new();
    for site in &scenario.sites {
        let rates = [
            ("a site loses everything it holds", site.lost_per_year),
            ("a shard rots unseen", site.rot_per_year),
            ("a site is down for a while", site.down_per_year),
            ("a site is seized and read", site.seized_per_year),
            ("a site is copied and nobody knows", site.copied_per_year),
        ];
        for (place, (what, rate)) in rates.into_iter().enumerate().filter(|(_, (_, rate))| *rate > 0.0) {
            kinds.entry((place, what)).or_default().push(rate);
        }
    }
    let mut lines: Vec<String> = (kinds.into_iter())
        .map(|((_, what), rates)| {
            format!("{what}: {} in all ({})", often(rates.iter().sum()), count(rates.len(), "site"))
        })
        .collect();
    for event in &scenario.events {
        if let When::PerYear(rate) = event.when {
            lines.push(format!("{}: {}", event_in_words(scenario, event), often(rate)));
        }
    }
    let aging = scenario.sites.iter().filter_map(|site| site.lifetime);
    if let Some(lifetime) = aging.clone().next() {
        lines.push(format!(
            "a site's disks end after {lifetime} or as its entry says ({})",
            count(aging.count(), "site")
        ));
    }
    if let Some(writer) = scenario.writer {
        lines.push(format!(
            "the writer key is stolen: {}, noticed after {}; what was published since is not trusted",
            often(writer.stolen_every.per_year()),
            writer.noticed_after
        ));
    }
    if let Some(officials) = scenario.officials {
        lines.push(format!(
            "an official is captured: {} in all; {} of {} together could open everything",
            often(officials.captured_every.per_year() * f64::from(officials.total)),
            officials.quorum,
            officials.total
        ));
    }
    if lines.is_empty() { vec!["nothing".to_owned()] } else { lines }
}

fn often(per_year: f64) -> String {
    if per_year <= 0.0 {
        "never".to_owned()
    } else if per_year >= 0.95 {
        format!("{per_year:.1} times a year")
    } else {
        let years = 1.0 / per_year;
        if years < 10.0 { format!("once in {years:.1} years") } else { format!("once in {years:.0} years") }
    }
}

fn event_in_words(scenario: &Scenario, event: &Event) -> String {
    let names: Vec<&str> =
        event.hits.iter().filter_map(|&at| scenario.sites.get(at)).map(|site| site.name.as_str()).collect();
    let whom = match names.as_slice() {
        [] => "no site".to_owned(),
        [one] => (*one).to_owned(),
        names if names.len() <= 12 => names.join(", "),
        [first, .., last] => format!("{first} to {last} ({})", count(names.len(), "site")),
    };
    let whom = match event.struck {
        Struck::Each(chance) if chance < 1.0 => format!("each of {whom} with {}", percent(chance)),
        Struck::Each(_) => whom,
        Struck::Pick(number) => format!("{number} of {whom}"),
    };
    let effect = match event.effect {
        Effect::Lost => "lost, nobody reads it",
        Effect::Seized => "taken and read",
        Effect::Copied => "copied, nobody notices",
        Effect::Down => "down",
        Effect::Rotted => "rotten, until an audit finds it",
        Effect::Expelled => "expelled",
    };
    let lasts = event.lasts.map_or(String::new(), |law| format!(" for {law}"));
    let good = if event.for_good { ", for good" } else { "" };
    format!("{} -> {whom}: {effect}{lasts}{good}", event.name)
}

fn percent(chance: f64) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    _ = write!(text, "a chance of {}%", (chance * 1000.0).round() / 10.0);
    text
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
