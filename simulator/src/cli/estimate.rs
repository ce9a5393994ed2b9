//! From a scenario to an outcome, with progress.

use super::{Failure, progress};
use crate::fate;
use crate::fate::engine::Options;
use crate::fate::model::Model;
use crate::fate::outcome::Outcome;
use crate::report::Provenance;
use crate::scenario::{self, Code, Scenario, officials};

/// The outcome of `scenario`, with a bar.
pub(super) fn outcome(scenario: &Scenario, code: Code) -> Result<Outcome, Failure> {
    let bar = progress::bar("missions");
    let model = scenario::fate::model(scenario, code);
    let options = Options {
        seed: scenario.run.seed,
        replications: scenario.run.missions,
        relative_error: 0.02,
        rare_replications_max: (scenario.run.missions / 10).max(1_000),
        ..Options::default()
    };
    let outcome = of_model(scenario, &model, &options, &|done, of| {
        progress::at(&bar, done, of);
        if done == of {
            bar.set_message("rare events");
        }
    });
    bar.finish_and_clear();
    outcome
}

/// What a variant of a plan is asked: fewer missions than the plan itself, and rare events to within a tenth.
pub(super) fn variant(scenario: &Scenario, missions: u64) -> Options {
    let seed = scenario.run.seed;
    Options { seed, replications: missions, relative_error: 0.1, rare_replications_max: 200, ..Options::default() }
}

/// The outcome of a model made from `scenario`.
pub(super) fn of_model(
    scenario: &Scenario,
    model: &Model,
    options: &Options,
    watch: &(dyn Fn(u64, u64) + Sync),
) -> Result<Outcome, Failure> {
    let watched = |progress: fate::engine::Progress| watch(progress.done, progress.total);
    let mut outcome = fate::estimate(model, options, &watched).map_err(Failure::usage)?;
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
