//! The command line: commands read like sentences, every one has `--json`, a documented exit code and an example.

mod backup;
mod charter;
mod charter_changes;
mod charter_plan;
pub mod demo;
pub(crate) mod documents;
mod expel;
mod failure;
mod fingerprint;
mod home;
mod keys;
mod move_store;
mod official;
mod order;
mod output;
mod pace;
mod quarantine_plan;
mod restore;
mod retention_plan;
mod scrub;
mod site;
mod site_request;
mod snapshots;
mod veto;
pub(crate) mod watch;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use failure::Failure;
pub use output::Output;

use crate::exit_code::ExitCode;

/// Keep a state's databases alive outside its territory.
#[derive(Debug, Parser)]
#[command(name = "legation", version, about, long_about = None, after_help = EXIT_CODES)]
pub struct Cli {
    /// Print one JSON object instead of text, errors included.
    #[arg(long, global = true)]
    json: bool,
    /// Read the passphrase from the first line of this file (mode 0600) instead of asking for it.
    #[arg(long, global = true, env = "LEGATION_PASSPHRASE_FILE", value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Log more: -v for events, -vv for everything. RUST_LOG overrides.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 unexpected, 2 usage, 3 refused by charter, order or quorum, 4 not durable, \
5 not enough sites, 6 integrity fault, 7 fork, 8 local storage, 9 wrong passphrase or key, 11 stored in quarantine.\n\
This software has had no external audit.";

#[derive(Debug, Subcommand)]
enum Command {
    /// An official's signing key.
    #[command(subcommand)]
    Official(official::OfficialCommand),
    /// The founding document: draft, sign, show, verify, publish.
    #[command(subcommand)]
    Charter(charter::CharterCommand),
    /// A site: a machine that holds shards and shares.
    #[command(subcommand)]
    Site(site::SiteCommand),
    /// The home: the place that writes snapshots.
    #[command(subcommand)]
    Home(home::HomeCommand),
    /// Make the next snapshot of a database.
    Backup(backup::BackupArguments),
    /// List the snapshots of a database and how safe each one is.
    Snapshots(snapshots::SnapshotsArguments),
    /// Read every shard of a database at its site and check it. Needs no key to the data.
    Verify(snapshots::VerifyArguments),
    /// The officials' permission to open data: draft, sign, merge, show.
    #[command(subcommand)]
    Order(order::OrderCommand),
    /// Restore a database under a release order.
    Restore(restore::RestoreArguments),
    /// How it stands, on one screen: every database, every site, what is being mended.
    #[command(after_help = "Example: legation status --dir /var/lib/legation")]
    Status(watch::WatchArguments),
    /// What is wrong and what to do next, in plain words; the exit code is that of the worst.
    #[command(after_help = "Example: legation doctor --dir /var/lib/legation")]
    Doctor(watch::WatchArguments),
    /// Found a state on this machine, lose its home and two more sites, and restore.
    Demo(demo::DemoArguments),
}

/// Runs one command and says how it went.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    start_logging(cli.verbose, matches!(cli.command, Command::Site(_)));
    let output = Output::new(cli.json);
    let passphrases = keys::Passphrases::new(cli.passphrase_file);
    let result = match cli.command {
        Command::Official(command) => official::run(command, &passphrases, &output),
        Command::Charter(command) => charter::run(command, &passphrases, &output),
        Command::Site(command) => site::run(command, &passphrases, &output),
        Command::Home(command) => home::run(command, &passphrases, &output),
        Command::Backup(arguments) => backup::run(&arguments, &passphrases, &output),
        Command::Snapshots(arguments) => snapshots::run(&arguments, &passphrases, &output),
        Command::Verify(arguments) => snapshots::run_verify(&arguments, &passphrases, &output),
        Command::Order(command) => order::run(command, &passphrases, &output),
        Command::Restore(arguments) => restore::run(&arguments, &passphrases, &output),
        Command::Status(arguments) => watch::status(&arguments, &output),
        Command::Doctor(arguments) => watch::doctor(&arguments, &output),
        Command::Demo(arguments) => demo::run(&arguments, &output),
    };
    match result {
        Ok(()) => ExitCode::Success,
        Err(failure) => {
            output.failure(&failure);
            failure.code
        }
    }
}

fn start_logging(verbose: u8, is_daemon: bool) {
    let level = match (verbose, is_daemon) {
        (0, false) => "error",
        (0, true) => "info,libp2p=warn",
        (1, _) => "info,libp2p=warn",
        _ => "debug,libp2p=info",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_unset| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
}

/// The runtime for commands that use the mesh.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::unexpected)
}
