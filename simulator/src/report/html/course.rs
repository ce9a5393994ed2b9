//! How it goes over time, and what makes it happen.

use maud::{Markup, html};

use super::{figure, set};
use crate::fate::outcome::{Cause, Outcome};
use crate::report::number::{self, percent};
use crate::report::plot::PlotError;
use crate::report::plot::survival::{Mark, survival};
use crate::report::words;
use crate::scenario::{Scenario, When};

/// Events of the timeline that are marked and listed.
const MARKS_MAX: usize = 24;
/// Causes that are listed, if they have this share at least; the likeliest always.
const CAUSES_MAX: usize = 5;
const SHARE_MIN: f64 = 0.005;

pub(super) fn curves(scenario: &Scenario, outcome: &Outcome) -> Result<Markup, PlotError> {
    let mut dated: Vec<(f64, &str)> = scenario
        .events
        .iter()
        .filter_map(|event| match event.when {
            When::At(at) => Some((at.years(), event.name.as_str())),
            When::PerYear(_) => None,
        })
        .collect();
    dated.sort_by(|a, b| a.0.total_cmp(&b.0));
    dated.truncate(MARKS_MAX);
    let marks: Vec<Mark> = (1..).zip(&dated).map(|(number, (years, _))| Mark { years: *years, number }).collect();
    let Some(svg) = survival(outcome, &marks)? else { return Ok(html! {}) };
    let caption = html! {
        "Share of missions. The dot and the line at the end are the estimate and its 95 % interval."
        @for (mark, (years, name)) in marks.iter().zip(&dated) {
            " " b { (mark.number) } " " (name) ", "
            @if *years > 0.0 { "after " (number::years(*years)) } @else { "at the start" }
            @if mark.number == marks.len() { "." } @else { ";" }
        }
    };
    Ok(html! {
        h2 { "Over time" }
        (figure(&svg, "Share of missions lost, disclosed and without service, over time", caption))
    })
}

pub(super) fn causes(outcome: &Outcome) -> Markup {
    let parts = [
        ("Data loss", &outcome.loss.causes),
        ("Disclosure", &outcome.disclosure.causes),
        ("First time without service", &outcome.unavailability.causes),
    ];
    if parts.iter().all(|(_, causes)| causes.is_empty()) {
        return html! {};
    }
    html! {
        h2 { "What makes it happen" }
        table {
            thead { tr { th { "" } th { "Together" } th.number { "Share" } } }
            tbody { @for (name, causes) in parts { (rows(name, causes)) } }
        }
    }
}

fn rows(name: &str, causes: &[Cause]) -> Markup {
    let shown = causes.iter().take(CAUSES_MAX).take_while(|cause| cause.share >= SHARE_MIN).count().max(1);
    let rest: f64 = causes.iter().skip(shown).map(|cause| cause.share).sum();
    let small = if rest < 0.001 { "below 0.1 %".to_owned() } else { percent(rest, 2) };
    html! {
        @for (at, cause) in causes.iter().take(shown).enumerate() {
            tr {
                th { @if at == 0 { (name) } }
                td { (words::causes(cause)) }
                td.number { (set(&percent(cause.share, 2))) }
            }
        }
        @if rest > 0.0 {
            tr { th {} td { (words::counted(causes.len() - shown, "other set")) } td.number { (small) } }
        }
    }
}
