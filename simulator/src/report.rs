//! What a planner is shown: a page with plots, a summary for a terminal, and, by `serde`, JSON.
//!
//! | module | holds |
//! | --- | --- |
//! | [`html`] | one file without script, network or font, readable in print |
//! | [`text`] | about 25 lines for a terminal |
//! | [`protocol`] | what a run of the real machines came to |
//! | [`number`] | numbers as people read them |
//! | [`plot`] | the plots, as SVG |
//!
//! A report is a function of what it is given: the same outcome is the same bytes. Texts of a scenario are hostile input;
//! they are escaped by the templates and by the plotting crate, never here.

#[cfg(test)]
pub(crate) mod example;
pub mod html;
pub mod number;
pub mod plot;
pub mod protocol;
pub mod text;
mod words;

use serde::Serialize;

use crate::analysis::coalition::Coalitions;
use crate::analysis::sensitivity::Sensitivity;
use crate::analysis::sweep::Frontier;
use crate::analysis::verdict::Verdict;
use crate::fate::outcome::Outcome;
use crate::scenario::Scenario;

/// Everything about one plan in fate mode. What was not asked for is `None`, and its section is left out.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How to get the same again.
    pub provenance: Provenance,
    /// What was asked.
    pub scenario: Scenario,
    /// What was found.
    pub outcome: Outcome,
    /// The targets, judged.
    pub verdict: Verdict,
    /// Who could act together.
    pub coalitions: Option<Coalitions>,
    /// Other codes.
    pub frontier: Option<Frontier>,
    /// What matters.
    pub sensitivity: Option<Sensitivity>,
}

/// How to get the same again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// Name and version of the program.
    pub program: String,
    /// Digest of the scenario file, with the name of the hash.
    pub scenario_digest: String,
    /// The command line.
    pub command: String,
}

#[cfg(test)]
mod tests;
