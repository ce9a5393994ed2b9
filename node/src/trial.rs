//! `legation-trial`: a state of real processes on this machine is hurt on purpose, and measured while it heals.
//!
//! Every trial founds its state with the commands of real officials (as `legation demo` does), runs the binary `legation`
//! that lies beside this one, and ends with 0 only if every promise held. Reading order: `state` (the state and its
//! processes), `source` (what is backed up), `meter` (what the kernel says of a process), `verdict`; then one file for
//! each trial.

mod damage;
mod hostile;
mod idle;
mod line;
mod meter;
mod partition;
mod repair;
mod replace;
mod reshare;
mod siege;
mod source;
mod state;
mod verdict;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::cli::{Failure, Output};
use crate::exit_code::ExitCode;
use verdict::Verdict;

/// Hurt a real mesh on this machine, and see which promises hold.
#[derive(Debug, Parser)]
#[command(
    name = "legation-trial",
    version,
    after_help = "Everything happens on this machine, on loopback, in a temporary folder.\n\
                  Exit code 0 only if every promise held; 6 names those that were broken; 2 for wrong arguments, \
                  8 for a full disk, 10 for a machine that does not allow it."
)]
struct Trial {
    /// Print one JSON object instead of text, errors included.
    #[arg(long, global = true)]
    json: bool,
    /// Work in this new or empty folder and leave it there afterwards, with the logs of all sites.
    #[arg(long, global = true, value_name = "DIR")]
    keep: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sites lose all their shards: how long until they have them again, and what it costs.
    Repair(repair::Arguments),
    /// Backups go on while sites are killed, emptied and frozen: nothing acknowledged may be lost.
    Siege(siege::Arguments),
    /// Strangers flood one site while an honest backup runs.
    Hostile(hostile::Arguments),
    /// A register lives for a while and is then damaged: what is put in quarantine, and what is not.
    Damage(damage::Arguments),
    /// The lines between sites are cut and restored (needs root).
    Partition(partition::Arguments),
    /// Every line is long and loses packets.
    Line(line::Arguments),
    /// Sites are seized or leave, one after the other, and new ones take their places while backups go on.
    Replace(replace::Arguments),
    /// The shares of all snapshots go to other custodians, under another threshold.
    Reshare(reshare::Arguments),
    /// What a site costs while nothing happens.
    Idle(idle::Arguments),
}

/// Runs one trial and says how it went.
#[must_use]
pub fn run() -> ExitCode {
    let trial = Trial::parse();
    let output = Output::new(trial.json);
    let keep = trial.keep.as_deref();
    let tried = match trial.command {
        Command::Repair(arguments) => repair::run(&arguments, keep),
        Command::Siege(arguments) => siege::run(&arguments, keep),
        Command::Hostile(arguments) => hostile::run(&arguments, keep),
        Command::Damage(arguments) => damage::run(&arguments, keep),
        Command::Partition(arguments) => partition::run(&arguments, keep),
        Command::Line(arguments) => line::run(&arguments, keep),
        Command::Replace(arguments) => replace::run(&arguments, keep),
        Command::Reshare(arguments) => reshare::run(&arguments, keep),
        Command::Idle(arguments) => idle::run(&arguments, keep),
    };
    match tried.and_then(|verdict: Verdict| verdict.conclude(&output)) {
        Ok(()) => ExitCode::Success,
        Err(failure) => {
            output.failure(&failure);
            failure.code
        }
    }
}

/// The binary under trial: `legation`, beside this one.
fn legation() -> Result<PathBuf, Failure> {
    let binary = std::env::current_exe().map_err(Failure::unexpected)?.with_file_name("legation");
    if binary.is_file() {
        return Ok(binary);
    }
    Err(Failure::usage(format!("{} is not there: build it with 'cargo build --release -p node'", binary.display())))
}

/// Says on standard error what happens next.
fn tell(what: &str) {
    use std::io::Write as _;
    // Nobody left to tell if standard error is closed.
    let _closed = writeln!(std::io::stderr(), "{what}");
}
