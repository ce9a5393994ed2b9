//! Who could act together, which other codes there are, and what matters.

use maud::{Markup, html};

use super::{figure, set};
use crate::analysis::coalition::{Coalitions, Smallest, Weight};
use crate::analysis::sensitivity::Sensitivity;
use crate::analysis::sweep::{Frontier, Point};
use crate::analysis::verdict::Standing;
use crate::fate::outcome::Estimate;
use crate::report::number::{self, best, number, percent};
use crate::report::plot::{self, PlotError};
use crate::report::words;

/// Sets of one size that are listed.
const SETS_MAX: usize = 4;
/// Codes that are listed.
const CODES_MAX: usize = 12;

pub(super) fn coalitions(coalitions: &Coalitions) -> Markup {
    html! {
        h2 { "Smallest coalitions" }
        p {
            "Jurisdictions, alliances, owners, vendors, networks and buildings: the fewest that together hold enough shares to "
            "read, or without which too little is left to restore."
        }
        table {
            thead { tr { th { "" } th { "Together" } th.number { "Sites" } } }
            tbody {
                (sets("Read", "read", &coalitions.read))
                (sets("Destroy", "destroy", coalitions.destroy()))
            }
        }
        @if !coalitions.largest.is_empty() {
            h3 { "The largest" }
            table {
                thead { tr { th { "" } th.number { "Shares" } th.number { "Shards" } th { "Alone" } } }
                tbody {
                    @for weight in coalitions.largest.iter().filter(|weight| weight.shards.max(weight.shares) > 1) {
                        tr {
                            th { (weight.bond.replace(':', " ")) }
                            td.number { (weight.shares) }
                            td.number { (weight.shards) }
                            td { (alone(weight)) }
                        }
                    }
                }
            }
            p.note {
                (words::counted(coalitions.read.needed, "share")) " read; without "
                (words::counted(coalitions.destroy_shards.needed, "shard")) " or "
                (words::counted(coalitions.destroy_shares.needed, "share")) " nothing is restored. Software is weighed, and not "
                "among those who act together: what a fault in it does is an event of the scenario."
            }
        }
    }
}

const fn alone(weight: &Weight) -> &'static str {
    match (weight.can_read, weight.can_destroy) {
        (true, true) => "reads and destroys",
        (true, false) => "reads",
        (false, true) => "destroys",
        (false, false) => "",
    }
}

fn sets(name: &str, does: &str, smallest: &Smallest) -> Markup {
    let shown = smallest.sets.len().min(SETS_MAX);
    let more = smallest.more || shown < smallest.sets.len();
    html! {
        tr { th { (name) } td colspan="2" { (words::fewest(smallest, does)) } }
        @for set in smallest.sets.iter().take(SETS_MAX) {
            tr.sub { th {} td { (words::set(set)) } td.number { (set.reached) } }
        }
        @if more { tr.sub { th {} td colspan="2" { "and others of that size" } } }
    }
}

pub(super) fn frontier(frontier: &Frontier) -> Result<Markup, PlotError> {
    let svg = plot::frontier::frontier(frontier)?;
    let refreshes = plot::frontier::refreshes(frontier);
    let every = |years: Option<f64>| years.map_or("never".to_owned(), number::years);
    let caption = html! {
        "Each dot is a code, data_shards/threshold, at the upper ends of its 95 % intervals: in the shaded region the targets are "
        "met for certain. Filled: no other code has less loss without more disclosure. Ringed: the code of the scenario."
        @if refreshes.len() > 1 {
            " Shares made anew every: "
            @for (at, years) in refreshes.iter().enumerate() {
                span.swatch style={ "background:" (plot::css(plot::colour(1 + at))) } {} (every(*years)) " "
            }
        }
    };
    let best = frontier.points.iter().filter(|point| point.is_best && !point.is_current).take(CODES_MAX);
    let mut shown: Vec<&Point> = frontier.points.iter().filter(|point| point.is_current).chain(best).collect();
    shown.sort_by(|a, b| a.figures.loss.high95.total_cmp(&b.figures.loss.high95));
    let met = frontier.points.iter().filter(|point| point.standing == Standing::Met).count();
    let target = &frontier.target;
    let judged =
        target.loss_per_year.is_some() || target.disclosure_per_year.is_some() || target.unavailability.is_some();
    Ok(html! {
        h2 { "Other codes" }
        p {
            (words::counted(frontier.points.len(), "code")) " for the same sites"
            @if judged { (meets(met)) }
            "."
        }
        @if let Some(svg) = &svg { (figure(svg, "Losses per year against disclosures per year, by code", caption)) }
        table {
            thead {
                tr {
                    th { "Code" } th { "Shares anew after" } th.number { "Stored per byte" } th.number { "Losses per year" }
                    th.number { "Disclosures per year" } th.number { "Without service" }
                    @if judged { th { "Targets" } }
                }
            }
            tbody { @for point in shown { (code(point, &every(point.refresh_years), judged)) } }
        }
    })
}

fn share(estimate: &Estimate) -> String {
    if estimate.estimate > 0.0 { percent(estimate.estimate, number::digits(estimate)) } else { best(estimate) }
}

fn meets(met: usize) -> String {
    match met {
        0 => ", none of which meets the targets for certain".to_owned(),
        1 => ", of which one meets the targets for certain".to_owned(),
        met => format!(", of which {} meet the targets for certain", words::thousands(met)),
    }
}

fn code(point: &Point, refresh: &str, judged: bool) -> Markup {
    let (standing, class) = match point.standing {
        Standing::Met => ("met", "met"),
        Standing::Undecided => ("not decided", "open"),
        Standing::Missed => ("missed", "missed"),
    };
    html! {
        tr {
            th { (point.data_shards) "/" (point.threshold) @if point.is_current { " (now)" } }
            td.fixed { (refresh) }
            td.number { (number(point.overhead, 2)) }
            td.number { (set(&best(&point.figures.loss))) }
            td.number { (set(&best(&point.figures.disclosure))) }
            td.number { (set(&share(&point.figures.unavailability))) }
            @if judged { td { span class=(class) { (standing) } } }
        }
    }
}

pub(super) fn sensitivity(sensitivity: &Sensitivity) -> Result<Markup, PlotError> {
    if sensitivity.swings.is_empty() {
        return Ok(html! {});
    }
    let Some(svg) = plot::tornado::tornado(sensitivity)? else {
        return Ok(html! {
            h2 { "What matters" }
            p {
                "Each of " (words::counted(sensitivity.swings.len(), "assumption")) " was halved and doubled by itself, and still "
                "nothing was seen: so many missions do not tell."
            }
        });
    };
    let caption = html! {
        "What becomes of each figure, as a multiple of what it is, when one assumption is halved (light) or doubled (dark) and all "
        "others stay. Pale where the 95 % intervals of both overlap, so that the missions do not tell them apart. Of a figure "
        "that was not seen the upper end is taken."
    };
    Ok(html! {
        h2 { "What matters" }
        (figure(&svg, "Each assumption halved and doubled", caption))
    })
}
