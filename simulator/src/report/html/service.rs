//! How long a restore takes, how much data it lacks, and what repair moves.

use maud::{Markup, html};

use super::{figure, set};
use crate::analysis::quantile::quantile;
use crate::fate::outcome::{DatabaseOutcome, Distribution, Outcome};
use crate::report::number::{self, percent};
use crate::report::plot::exceedance::exceedance;
use crate::report::plot::{PlotError, SERIES, colour, css};
use crate::report::words;
use crate::scenario::Scenario;
use crate::scenario::time::Span;

/// Databases that are listed.
const DATABASES_MAX: usize = 20;

type Hours = fn(&DatabaseOutcome) -> &Distribution;

pub(super) fn section(scenario: &Scenario, outcome: &Outcome) -> Result<Markup, PlotError> {
    let target = &scenario.target;
    let restores = part(outcome, |database| &database.rto_hours, target.rto_p95, "Not yet restored")?;
    let gaps = part(outcome, |database| &database.rpo_hours, target.rpo_p95, "Lost more than")?;
    if restores.is_none() && gaps.is_none() {
        return Ok(html! {});
    }
    Ok(html! {
        h2 { "After the loss of home" }
        @if let Some(restores) = restores {
            h3 { "Time until each database is restored (RTO)" }
            (restores)
        }
        @if let Some(gaps) = gaps {
            h3 { "Data lost, as time before the loss of home (RPO)" }
            (gaps)
        }
    })
}

fn part(outcome: &Outcome, of: Hours, wanted: Option<Span>, what: &str) -> Result<Option<Markup>, PlotError> {
    let shown: Vec<&DatabaseOutcome> =
        outcome.databases.iter().filter(|database| of(database).samples > 0).take(DATABASES_MAX).collect();
    if shown.is_empty() {
        return Ok(None);
    }
    let distributions: Vec<&Distribution> = shown.iter().map(|database| of(database)).collect();
    let svg = exceedance(&distributions, wanted.map(|span| span.days() * 24.0), what)?;
    let samples = distributions.iter().map(|distribution| distribution.samples).max().unwrap_or(0);
    Ok(Some(html! {
        @if let Some(svg) = svg {
            (figure(&svg, what, html! {
                "Share of the losses of home, by time. Where a line crosses 5 %, 95 of 100 are done."
            }))
        }
        table {
            thead {
                tr {
                    th { "Database" } th.number { "Half within" } th.number { "95 of 100" } th.number { "95 % interval" }
                    th.number { "99 of 100" } th.number { "Never" }
                }
            }
            tbody { @for (at, database) in shown.iter().enumerate() { (row(at, &database.name, of(database))) } }
        }
        p.note {
            "From " (words::thousands(usize::try_from(samples).unwrap_or(usize::MAX))) " losses of home."
            @if shown.len() < outcome.databases.len() {
                " " (words::counted(outcome.databases.len() - shown.len(), "more database")) " not shown."
            }
        }
    }))
}

fn row(at: usize, name: &str, distribution: &Distribution) -> Markup {
    let shown = |hours: Option<f64>| hours.map_or("never".to_owned(), number::hours);
    let interval = quantile(distribution, 0.95).filter(|p95| p95.high95 > p95.low95 && p95.high95 < f64::MAX);
    let interval = interval.map(|p95| (number::hours(p95.low95), number::hours(p95.high95)));
    html! {
        tr {
            th {
                @if at < SERIES.len() { span.swatch style={ "background:" (css(colour(at))) } {} }
                (name)
            }
            td.number { (shown(distribution.p50)) }
            td.number { (shown(distribution.p95)) }
            td.number {
                @if let Some((low, high)) = &interval {
                    @if low == high { "about " (low) } @else { (low) " to " (high) }
                }
            }
            td.number { (shown(distribution.p99)) }
            td.number { (set(&percent(distribution.never, 2))) }
        }
    }
}

pub(super) fn repair(outcome: &Outcome) -> Markup {
    let repair = &outcome.repair;
    if repair.repairs_per_year.estimate <= 0.0 {
        return html! {};
    }
    let digits = number::digits(&repair.bytes_per_year);
    html! {
        h2 { "Repair" }
        p {
            (set(&number::best(&repair.repairs_per_year))) " repairs a year"
            @if repair.bytes_per_year.estimate > 0.0 {
                ", which read " (set(&number::bytes(repair.bytes_per_year.estimate, digits))) " a year from the other sites"
            }
            "."
        }
    }
}
