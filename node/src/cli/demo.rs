//! `legation demo`: the main job on one machine, with real processes, real sockets and real disks.
//!
//! Reading order: `plan` (how large, and what is lost), `story` (the steps), then what they use: `founding` and
//! `processes` (the commands), `register` and `invention` (the database), `search` and `occupier` (who tries to read
//! it), `comparison` (whether it came back), `report` (the promises).

mod comparison;
pub(crate) mod founding;
mod invention;
mod occupier;
pub(crate) mod plan;
pub(crate) mod processes;
pub(crate) mod register;
pub(crate) mod report;
mod search;
mod story;

use std::path::PathBuf;

use super::{Failure, Output};

/// How large.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  legation demo\n  legation demo --sites 9 --data-shards 4 --json\n\
                        Everything happens on this machine, in a temporary folder, without network or root. It takes \
                        under a minute.\n\
                        Exit code 0 only if every promise held; 6 names the one that was broken.")]
pub struct DemoArguments {
    /// Sites of the state, its home among them: 4 to 30.
    #[arg(long, default_value_t = 7)]
    sites: usize,
    /// Sites whose shards are enough to rebuild the data.
    #[arg(long, default_value_t = 3)]
    data_shards: usize,
    /// About how large the land register is; it has at least 200,000 parcels.
    #[arg(long, default_value_t = 100)]
    size_mib: u64,
    /// Work in this new or empty folder and leave it there afterwards.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Runs the demo.
///
/// # Errors
/// The wish cannot be fulfilled, a command failed, or a promise did not hold.
pub fn run(arguments: &DemoArguments, output: &Output) -> Result<(), Failure> {
    let plan = plan::Plan::new(arguments.sites, arguments.data_shards, arguments.size_mib)?;
    let folder = founding::Folder::open(arguments.keep.as_deref(), &plan)?;
    let binary = std::env::current_exe().map_err(Failure::unexpected)?;
    let legation = processes::Legation::new(binary, &folder, &[])?;
    let told = story::Story::new(&plan, &folder, &legation).run();
    drop(legation); // before the folder goes
    let report = told.map_err(|mut failure| {
        if arguments.keep.is_some() {
            failure.message.push_str(&format!(" (see {})", folder.at("logs").display()));
        }
        failure
    })?;
    report.conclude(output)
}
