//! The fates of a plan, and what could be otherwise.

use super::super::{Failure, estimate, files, print, progress};
use super::RunArguments;
use crate::analysis::coalition::coalitions;
use crate::analysis::sensitivity::sensitivity;
use crate::analysis::sweep::{Grid, sweep};
use crate::analysis::verdict::verdict;
use crate::report::{Report, html, text};
use crate::scenario::select::bonds;
use crate::scenario::{Code, Scenario, fate};

/// A page asks some hundred variants of the plan; each with so many missions at most.
const VARIANT_MISSIONS_MAX: u64 = 5_000;

pub(super) fn run(
    scenario: Scenario,
    file: &str,
    code: Code,
    arguments: &RunArguments,
    json: bool,
) -> Result<(), Failure> {
    let outcome = estimate::outcome(&scenario, code)?;
    let coalitions = coalitions(&scenario, &bonds(&scenario));
    let verdict = verdict(&scenario, &outcome, coalitions.as_ref());
    let command = format!(
        "legation-sim run {} --seed {} --years {} --missions {}",
        arguments.scenario, scenario.run.seed, scenario.run.years, scenario.run.missions
    );
    let provenance = estimate::provenance(file, command);
    let mut report = Report { provenance, scenario, outcome, verdict, coalitions, frontier: None, sensitivity: None };
    if let Some(path) = &arguments.report {
        variants(&mut report, code)?;
        files::write(path, &html::fate(&report).map_err(Failure::unexpected)?)?;
    }
    print(json, &report, || {
        let page = arguments.report.as_ref().map_or(String::new(), |path| format!("\nReport: {}\n", path.display()));
        text::fate(&report) + &page
    })
}

/// Other codes for the same sites, and every hazard halved and doubled.
fn variants(report: &mut Report, code: Code) -> Result<(), Failure> {
    let scenario = &report.scenario;
    let model = fate::model(scenario, code);
    let missions = scenario.run.missions.min(VARIANT_MISSIONS_MAX);
    let options = estimate::variant(scenario, missions);
    let estimate = |model: &_| estimate::of_model(scenario, model, &options, &|_, _| ());
    let bar = progress::bar("other codes");
    let seen = |done: usize, of: usize| progress::at(&bar, done as u64, of as u64);
    report.frontier = Some(sweep(&model, &Grid::around(&model), &scenario.target, estimate, seen)?);
    bar.set_message("what matters");
    report.sensitivity = Some(sensitivity(&model, estimate, seen)?);
    bar.finish_and_clear();
    Ok(())
}
