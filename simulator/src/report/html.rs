//! One page, one file: inline style, inline plots, no script, nothing from a network, made to be printed as well.
//!
//! Sections come in the order in which a planner asks: what was asked, is it good enough, how good, when and why does it
//! fail, who could do it, what else could be chosen, how long does a restore take, what matters, what is it based on.

mod answer;
mod basis;
mod choice;
mod comparison;
mod course;
mod protocol;
mod question;
mod service;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::number::typeset;
use super::plot::PlotError;
use super::protocol::ProtocolRun;
use super::{Provenance, Report};
use crate::analysis::compare::Comparison;

const STYLE: &str = include_str!("html/style.css");

/// The page of a plan in fate mode.
///
/// # Errors
/// When a plot cannot be drawn.
pub fn fate(report: &Report) -> Result<String, PlotError> {
    let body = html! {
        (question::section(&report.scenario))
        (answer::verdict(&report.verdict))
        (answer::figures(&report.outcome))
        (course::curves(&report.scenario, &report.outcome)?)
        (course::causes(&report.outcome))
        @if let Some(coalitions) = &report.coalitions { (choice::coalitions(coalitions)) }
        @if let Some(frontier) = &report.frontier { (choice::frontier(frontier)?) }
        (service::section(&report.scenario, &report.outcome)?)
        @if let Some(sensitivity) = &report.sensitivity { (choice::sensitivity(sensitivity)?) }
        (service::repair(&report.outcome))
        (basis::assumptions(&report.scenario, &report.outcome))
        (basis::limits())
        (basis::reproduce(&report.provenance, &report.outcome))
    };
    Ok(page(&report.scenario.title, "Plan of a data embassy, simulated", body, &report.provenance))
}

/// The page of two outcomes side by side.
pub fn comparison(comparison: &Comparison, provenance: &Provenance) -> String {
    let title = comparison.names.join(" and ");
    page(&title, "Two plans compared", comparison::section(comparison), provenance)
}

/// The page of a run of the real machines.
pub fn protocol(run: &ProtocolRun, provenance: &Provenance) -> String {
    page(&run.title, "The machines on virtual time", protocol::section(run), provenance)
}

fn page(title: &str, kicker: &str, body: Markup, provenance: &Provenance) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.kicker { (kicker) }
                    h1 { (title) }
                }
                main { (body) }
                footer { (provenance.program) " \u{b7} " (provenance.scenario_digest) }
            }
        }
    }
    .into_string()
}

/// A plot with what it shows; it was drawn by the plotting crate, which escapes its texts.
fn figure(svg: &str, what: &str, caption: Markup) -> Markup {
    html! {
        figure {
            div role="img" aria-label=(what) { (PreEscaped(svg)) }
            figcaption { (caption) }
        }
    }
}

/// A number with typographic signs.
fn set(text: &str) -> String {
    typeset(text)
}
