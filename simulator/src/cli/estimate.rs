//! From a scenario to an outcome, with progress.

use super::{Failure, progress};
use crate::fate::engine::{Options, run};
use crate::fate::model::Model;
use crate::fate::outcome::Outcome;
use crate::report::Provenance;
use crate::scenario::{Code, Scenario, fate, officials};

/// The outcome of `scenario`, with a bar.
pub(super) fn outcome(scenario: &Scenario, code: Code) -> Result<Outcome, Failure> {
    let bar = progress::bar("missions");
    let model = fate::model(scenario, code);
    let outcome = of_model(scenario, &model, scenario.run.missions, &|done, of| progress::at(&bar, done, of));
    bar.finish_and_clear();
    outcome
}

/// The outcome of a model made from `scenario`, by so many missions.
pub(super) fn of_model(
    scenario: &Scenario,
    model: &Model,
    missions: u64,
    watch: &(dyn Fn(u64, u64) + Sync),
) -> Result<Outcome, Failure> {
    let options = Options { seed: scenario.run.seed, replications: missions, ..Options::default() };
    let mut outcome = run(model, &options, &|progress| watch(progress.done, progress.total)).map_err(Failure::usage)?;
    if let Some(roll) = scenario.officials {
        officials::add(&mut outcome, roll).map_err(Failure::usage)?;
    }
    Ok(outcome)
}

/// How to get the same again.
pub(super) fn provenance(text: &str, command: String) -> Provenance {
    Provenance {
        program: format!("legation-sim {}", env!("CARGO_PKG_VERSION")),
        scenario_digest: format!("blake3:{}", shard_codec::Digest::of(text.as_bytes())),
        command,
    }
}
