//! The command line: commands read like sentences, every one has `--json`, a documented exit code and an example.
//!
//! The only place of the crate that reads a file, writes one, or shows progress.

mod estimate;
mod explain;
mod failure;
mod files;
mod input;
mod machines;
mod plan;
mod progress;
mod run;
mod sweep;

use clap::{Parser, Subcommand};

pub use failure::Failure;

/// Ask what becomes of a state's data when sites, hosts and officials are lost.
#[derive(Debug, Parser)]
#[command(name = "legation-sim", version, about, long_about = None, after_help = AFTER_HELP)]
struct Cli {
    /// Print one JSON object instead of text, errors included.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "A SCENARIO is a TOML file or the name of a ready-made one (`legation-sim scenarios`).\n\
Exit codes: 0 done, 1 unexpected, 2 usage or scenario, 3 no plan reaches the targets, 6 an invariant is broken, 8 local \
files.\n\
The results hold under the assumptions printed beside them. This software has had no external audit.";

#[derive(Debug, Subcommand)]
enum Command {
    /// List the ready-made scenarios.
    Scenarios,
    /// Tell a scenario in words: who holds what, what may happen, what happens when.
    Explain(explain::ExplainArguments),
    /// Estimate what becomes of the data, or run the real machines through it.
    Run(run::RunArguments),
    /// Estimate other codes for the same sites: loss against disclosure.
    Sweep(sweep::SweepArguments),
    /// Put two scenarios side by side.
    Compare(sweep::CompareArguments),
    /// Try the machines in many drawn runs: faults, liars, thieves; every failure is printed with its replay.
    Swarm(machines::SwarmArguments),
    /// Step through one run of the machines, with what each step changed.
    Replay(machines::ReplayArguments),
    /// Recommend sites, data shards, threshold and refresh for given candidates and targets.
    Plan(plan::PlanArguments),
}

/// Runs one command and says how it went.
#[must_use]
pub fn run() -> std::process::ExitCode {
    let cli = Cli::parse();
    let json = cli.json;
    let result = match cli.command {
        Command::Scenarios => explain::scenarios(json),
        Command::Explain(arguments) => explain::run(&arguments, json),
        Command::Run(arguments) => run::run(&arguments, json),
        Command::Sweep(arguments) => sweep::run_sweep(&arguments, json),
        Command::Compare(arguments) => sweep::run_compare(&arguments, json),
        Command::Swarm(arguments) => machines::run_swarm(&arguments, json),
        Command::Replay(arguments) => machines::run_replay(&arguments, json),
        Command::Plan(arguments) => plan::run(&arguments, json),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

/// Prints a result: `text` for people, `value` for programs.
fn print(json: bool, value: &impl serde::Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
    use std::io::Write as _;
    // Control characters of a scenario's texts must not reach a terminal.
    let tame = |sign: char| if sign.is_control() && sign != '\n' { ' ' } else { sign };
    let line = if json {
        serde_json::to_string(value).map_err(Failure::unexpected)?
    } else {
        text().chars().map(tame).collect()
    };
    // A reader that went away has what it wanted.
    let _closed = writeln!(std::io::stdout(), "{}", line.trim_end());
    Ok(())
}
