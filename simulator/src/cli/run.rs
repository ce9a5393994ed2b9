//! What becomes of a scenario.

mod fate;
mod protocol;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Failure, input};
use crate::scenario::check::MISSIONS_MAX;
use crate::scenario::{Code, Scenario, When};

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = "Example: legation-sim run home-occupied --report report.html")]
pub(super) struct RunArguments {
    /// A scenario file, or the name of a ready-made one.
    scenario: String,
    /// Estimate fates, or run the real machines on virtual time.
    #[arg(long, value_enum, default_value_t = Mode::Fate)]
    mode: Mode,
    /// Of all chance, instead of the file's.
    #[arg(long)]
    seed: Option<u64>,
    /// Length of a mission in years, instead of the file's.
    #[arg(long)]
    years: Option<f64>,
    /// Missions of the Monte Carlo, instead of the file's.
    #[arg(long)]
    missions: Option<u64>,
    /// Write a page with plots to this file; it also tries other codes and what matters.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Protocol mode: write the run itself to this file, for `replay --config`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The two fidelities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// A Monte Carlo of what befalls sites.
    Fate,
    /// The real machines, with modelled links, disks and enemies.
    Protocol,
}

pub(super) fn run(arguments: &RunArguments, json: bool) -> Result<(), Failure> {
    let (scenario, text) = input::scenario(&arguments.scenario)?;
    let scenario = changed(scenario, arguments)?;
    let code = code(&scenario)?;
    match arguments.mode {
        Mode::Fate => fate::run(scenario, &text, code, arguments, json),
        Mode::Protocol => protocol::run(&scenario, &text, code, arguments, json),
    }
}

fn changed(mut scenario: Scenario, arguments: &RunArguments) -> Result<Scenario, Failure> {
    if let Some(seed) = arguments.seed {
        scenario.run.seed = seed;
    }
    if let Some(years) = arguments.years {
        if !(years > 0.0 && years <= 10_000.0) {
            return Err(Failure::usage(format!("--years {years}: must be above 0 and at most 10000")));
        }
        let late = scenario.events.iter().find(|event| matches!(event.when, When::At(at) if at.years() >= years));
        if let Some(event) = late {
            return Err(Failure::usage(format!(
                "--years {years}: the event '{}' would come after the end",
                event.name
            )));
        }
        scenario.run.years = years;
    }
    if let Some(missions) = arguments.missions {
        scenario.run.missions = checked_missions(missions)?;
    }
    Ok(scenario)
}

/// At least one.
pub(super) fn checked_missions(missions: u64) -> Result<u64, Failure> {
    if (1..=MISSIONS_MAX).contains(&missions) {
        Ok(missions)
    } else {
        Err(Failure::usage(format!("--missions {missions}: must be from 1 to {MISSIONS_MAX}")))
    }
}

/// The code of a scenario that is not a search.
pub(super) fn code(scenario: &Scenario) -> Result<Code, Failure> {
    scenario.code.ok_or_else(|| Failure::usage("the scenario has no [code]; `legation-sim plan` looks for one"))
}
