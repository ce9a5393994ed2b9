//! Other codes for the sites of a scenario, and two scenarios side by side.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, estimate, files, input, print, progress, run};
use crate::analysis::compare::compare;
use crate::analysis::sweep::{Frontier, Grid, counts, refreshes, sweep};
use crate::report::{html, text};
use crate::scenario::fate;

/// Arguments of `sweep`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: legation-sim sweep home-occupied --data-shards 3..=6 --threshold 4..=7 --refresh 30d,never"
)]
pub(super) struct SweepArguments {
    /// A scenario file, or the name of a ready-made one.
    scenario: String,
    /// Shards that rebuild: 4, 3..=7 or 3,5,7. Left out: all that the sites allow.
    #[arg(long)]
    data_shards: Option<String>,
    /// Shares that open, likewise.
    #[arg(long)]
    threshold: Option<String>,
    /// Times between refreshes: 30d,90d,never. Left out: that of the scenario.
    #[arg(long)]
    refresh: Option<String>,
    /// Missions for each code.
    #[arg(long, default_value_t = 20_000)]
    missions: u64,
    /// Of all chance, instead of the file's.
    #[arg(long)]
    seed: Option<u64>,
}

pub(super) fn run_sweep(arguments: &SweepArguments, json: bool) -> Result<(), Failure> {
    let (mut scenario, _text) = input::scenario(&arguments.scenario)?;
    scenario.run.seed = arguments.seed.unwrap_or(scenario.run.seed);
    let model = fate::model(&scenario, run::code(&scenario)?);
    let mut grid = Grid::around(&model);
    if let Some(given) = &arguments.data_shards {
        grid.data_shards = counts(given).map_err(|why| Failure::usage(format!("--data-shards {given}: {why}")))?;
    }
    if let Some(given) = &arguments.threshold {
        grid.threshold = counts(given).map_err(|why| Failure::usage(format!("--threshold {given}: {why}")))?;
    }
    if let Some(given) = &arguments.refresh {
        grid.refresh_years = refreshes(given).map_err(|why| Failure::usage(format!("--refresh {given}: {why}")))?;
    }
    let options = estimate::variant(&scenario, run::checked_missions(arguments.missions)?);
    let bar = progress::bar("codes");
    let estimate = |model: &_| estimate::of_model(&scenario, model, &options, &|_, _| ());
    let seen = |done: usize, of: usize| progress::at(&bar, done as u64, of as u64);
    let frontier: Frontier = sweep(&model, &grid, &scenario.target, estimate, seen)?;
    bar.finish_and_clear();
    print(json, &frontier, || text::frontier(&frontier))
}

/// Arguments of `compare`.
#[derive(Debug, Args)]
#[command(after_help = "Example: legation-sim compare quiet-decade home-occupied --missions 20000")]
pub(super) struct CompareArguments {
    /// A scenario file, or the name of a ready-made one.
    first: String,
    /// Another.
    second: String,
    /// Of all chance, instead of the files'.
    #[arg(long)]
    seed: Option<u64>,
    /// Missions of both, instead of the files'.
    #[arg(long)]
    missions: Option<u64>,
    /// Write a page with the table to this file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

pub(super) fn run_compare(arguments: &CompareArguments, json: bool) -> Result<(), Failure> {
    let mut texts = String::new();
    let mut outcome = |name: &str| {
        let (mut scenario, text) = input::scenario(name)?;
        texts.push_str(&text);
        scenario.run.seed = arguments.seed.unwrap_or(scenario.run.seed);
        if let Some(missions) = arguments.missions {
            scenario.run.missions = run::checked_missions(missions)?;
        }
        let code = run::code(&scenario)?;
        estimate::outcome(&scenario, code)
    };
    let (first, second) = (outcome(&arguments.first)?, outcome(&arguments.second)?);
    let comparison = compare([arguments.first.clone(), arguments.second.clone()], &first, &second);
    if let Some(path) = &arguments.report {
        let mut command = format!("legation-sim compare {} {}", arguments.first, arguments.second);
        for (flag, given) in [("seed", arguments.seed), ("missions", arguments.missions)] {
            command.extend(given.map(|given| format!(" --{flag} {given}")));
        }
        files::write(path, &html::comparison(&comparison, &estimate::provenance(&texts, command)))?;
    }
    print(json, &comparison, || text::comparison(&comparison))
}
