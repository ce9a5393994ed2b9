//! The verdict, and the key figures.

use maud::{Markup, html};

use super::set;
use crate::analysis::figures::Figures;
use crate::analysis::verdict::{Finding, Goal, Standing, Verdict};
use crate::fate::outcome::{Estimate, EventOutcome, Outcome};
use crate::report::number::{self, best, interval, percent};
use crate::report::words;

pub(super) fn verdict(verdict: &Verdict) -> Markup {
    let Some(standing) = verdict.standing() else {
        return html! { p.note { "The scenario states no targets: nothing is judged." } };
    };
    let sentence = match standing {
        Standing::Met => "Every target is met.",
        Standing::Undecided => "No target is missed, but not all are decided: more missions would.",
        Standing::Missed => "Not every target is met.",
    };
    html! {
        h2 { "Verdict" }
        div class={ "status " (class(standing)) } {
            p { (sentence) }
            @if let Some(binding) = words::binding(verdict) { p { (set(&binding)) } }
        }
        table {
            thead { tr { th { "Target" } th.number { "Wanted" } th.number { "Found" } th.number { "95 % interval" } th { "" } } }
            tbody { @for finding in &verdict.findings { (row(finding)) } }
        }
    }
}

fn row(finding: &Finding) -> Markup {
    let (found, interval) = words::found(finding);
    let is_about =
        matches!(finding.goal, Goal::RestoreTime | Goal::DataLossTime | Goal::ReadTogether | Goal::DestroyTogether);
    html! {
        tr {
            th {
                (words::goal(finding.goal))
                @if let (true, Some(_)) = (is_about, &finding.about) { br; span.note { (words::about(finding)) } }
            }
            td.number { (set(&words::wanted(finding))) }
            td.number { (set(&found)) }
            td.number { @if let Some(interval) = &interval { (set(interval)) } }
            td { span class=(class(finding.standing)) { (words::standing(finding.standing)) } }
        }
    }
}

const fn class(standing: Standing) -> &'static str {
    match standing {
        Standing::Met => "met",
        Standing::Undecided => "open",
        Standing::Missed => "missed",
    }
}

pub(super) fn figures(outcome: &Outcome) -> Markup {
    let years = number::years(outcome.horizon_years);
    let rate = Figures::of(outcome);
    let (service, down) = (&outcome.unavailability, &rate.unavailability);
    html! {
        h2 { "Key figures" }
        table {
            thead {
                tr {
                    th { "" }
                    th.number { "Within " (years) }
                    th.number { "95 % interval" }
                    th.number { "Nines" }
                    th { "As a rate" }
                    th { "Found by" }
                }
            }
            tbody {
                (event("Data loss", &outcome.loss, &rate.loss, outcome.horizon_years))
                (event("Disclosure", &outcome.disclosure, &rate.disclosure, outcome.horizon_years))
                tr {
                    th { "Time without service" }
                    td.number { (set(&share(down))) }
                    td.number { (set(&shares(down))) }
                    td.number { (words::nines(down)) }
                    td { @if down.estimate > 0.0 { (number::time_a_year(down.estimate)) } }
                    td { (words::method(down.method)) }
                }
                tr.sub {
                    th { "any such time" }
                    td.number { (set(&best(&service.any))) }
                    td.number { (set(&interval(&service.any).unwrap_or_default())) }
                    td.number { (words::nines(&service.any)) }
                    td { (set(&number::recurrence(service.falls_per_year.estimate).unwrap_or_default())) }
                    td { (words::method(service.any.method)) }
                }
            }
        }
        p.note {
            "Nines are the negative decimal logarithm of the probability. A rate spreads the probability evenly over the time, "
            "which dated events do not do. Where nothing was seen, the upper end of the interval is given."
            @if let Some(text) = parts(outcome) { " " (set(&text)) }
        }
    }
}

fn event(name: &str, event: &EventOutcome, rate: &Estimate, years: f64) -> Markup {
    let recurrence = |rate: &Estimate| {
        if rate.estimate > 0.0 { number::recurrence(rate.estimate).unwrap_or_default() } else { String::new() }
    };
    html! {
        tr {
            th { (name) }
            td.number { (set(&best(&event.by_horizon))) }
            td.number { (set(&interval(&event.by_horizon).unwrap_or_default())) }
            td.number { (words::nines(&event.by_horizon)) }
            td { (set(&recurrence(rate))) }
            td { (words::method(event.by_horizon.method)) }
        }
        @if let Some(apart) = &event.independent {
            tr.sub {
                th { "each site by itself" }
                td.number { (set(&best(apart))) }
                td.number { (set(&interval(apart).unwrap_or_default())) }
                td.number { (words::nines(apart)) }
                td { (set(&recurrence(&apart.per_year(years)))) }
                td { (words::method(apart.method)) }
            }
        }
    }
}

/// What correlated and dated events add.
fn parts(outcome: &Outcome) -> Option<String> {
    let part = |name: &str, event: &EventOutcome| {
        let apart = event.independent.filter(|_| event.by_horizon.estimate > 0.0)?;
        let share = 1.0 - apart.estimate / event.by_horizon.estimate;
        let share = if share > 0.9995 { "nearly all".to_owned() } else { percent(share.max(0.0), 2) };
        Some(format!("{share} of the {name}"))
    };
    let found: Vec<String> =
        [part("losses", &outcome.loss), part("disclosures", &outcome.disclosure)].into_iter().flatten().collect();
    let text = format!("Events that strike several sites at once, and dated ones, make {}.", found.join(" and "));
    (!found.is_empty()).then_some(text)
}

fn share(estimate: &Estimate) -> String {
    if estimate.estimate > 0.0 { percent(estimate.estimate, number::digits(estimate)) } else { best(estimate) }
}

fn shares(estimate: &Estimate) -> String {
    let digits = (number::digits(estimate) + 1).min(3);
    if estimate.high95 <= estimate.low95 || estimate.estimate <= 0.0 {
        return interval(estimate).unwrap_or_default();
    }
    format!("{} to {}", percent(estimate.low95, digits), percent(estimate.high95, digits))
}
