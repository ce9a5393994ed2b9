//! What was asked.

use maud::{Markup, html};

use super::set;
use crate::report::words;
use crate::scenario::Scenario;

/// Events that are listed.
const EVENTS_MAX: usize = 40;

pub(super) fn section(scenario: &Scenario) -> Markup {
    html! {
        @for paragraph in scenario.about.split("\n\n").map(str::trim).filter(|text| !text.is_empty()) {
            p.lead { (paragraph) }
        }
        dl.terms {
            @for (term, text) in words::plan(scenario) { dt { (term) } dd { (set(&text)) } }
        }
        @if !scenario.events.is_empty() { (events(scenario)) }
        @if !scenario.sources.is_empty() {
            h3 { "Sources" }
            ul.small { @for source in &scenario.sources { li { (source) } } }
        }
    }
}

fn events(scenario: &Scenario) -> Markup {
    html! {
        table {
            thead { tr { th { "What happens" } th { "When" } th { "To whom" } } }
            tbody {
                @for event in scenario.events.iter().take(EVENTS_MAX) {
                    @let (when, what) = words::event(event);
                    tr { th { (event.name) } td { (set(&when)) } td { (set(&what)) } }
                }
            }
        }
        @if let Some(more) = scenario.events.len().checked_sub(EVENTS_MAX + 1) {
            p.note { "And " (words::counted(more + 1, "more event")) "." }
        }
    }
}
