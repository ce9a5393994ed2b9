//! `legation demo`: the main job on one machine, with real processes.

use super::{Failure, Output};

/// How large.
#[derive(Debug, clap::Args)]
pub struct DemoArguments {}

/// Runs the demo.
///
/// # Errors
/// A promise did not hold.
pub fn run(_arguments: &DemoArguments, _output: &Output) -> Result<(), Failure> {
    Ok(())
}
