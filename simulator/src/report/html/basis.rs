//! What it is all based on, and how to get the same again.

use maud::{Markup, html};

use crate::fate::outcome::Outcome;
use crate::report::{Provenance, words};
use crate::scenario::Scenario;

pub(super) fn assumptions(scenario: &Scenario, outcome: &Outcome) -> Markup {
    html! {
        @if !scenario.assumptions.is_empty() || !outcome.assumptions.is_empty() {
            h2 { "Assumptions" }
            @if !scenario.assumptions.is_empty() {
                h3 { "Of the scenario" }
                ul.small { @for text in &scenario.assumptions { li { (text) } } }
            }
            @if !outcome.assumptions.is_empty() {
                h3 { "Of the model" }
                ul.small { @for text in &outcome.assumptions { li { (text) } } }
            }
        }
    }
}

pub(super) fn limits() -> Markup {
    html! {
        h2 { "What the figures do not say" }
        ul.small {
            li { "An interval covers the chance of the simulation alone. That a rate is wrong, it does not cover: see what matters." }
            li { "Rates of seizure and of war are nobody's measurement. A probability far below one in a million a year says that "
                 "what was modelled will not be the cause, not that nothing will." }
            li { "Faults of the program, of the ceremonies and of the people in them are not in the model." }
            li { "Events that are not in the scenario do not happen in it; two events that the scenario lists apart are independent." }
        }
    }
}

pub(super) fn reproduce(provenance: &Provenance, outcome: &Outcome) -> Markup {
    let effort = &outcome.effort;
    let count = |count: u64| words::thousands(usize::try_from(count).unwrap_or(usize::MAX));
    let terms = [
        ("Program", provenance.program.clone()),
        ("Scenario", provenance.scenario_digest.clone()),
        ("Seed", effort.seed.to_string()),
        ("Generator", effort.generator.to_owned()),
        (
            "Missions",
            format!("{} plain, {} of rare events", count(effort.replications), count(effort.rare_replications)),
        ),
        ("Events", count(effort.events)),
    ];
    html! {
        h2 { "To get the same again" }
        p.small { code { (provenance.command) } }
        dl.terms { @for (term, text) in terms { dt { (term) } dd { (text) } } }
        p.note { "The same program, scenario, seed and missions give the same bytes, on one core and on many." }
    }
}
