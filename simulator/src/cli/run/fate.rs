//! The fates of a plan, in words.

use super::super::{Failure, print, progress};
use crate::fate::engine::{Options, run as simulate};
use crate::scenario::fate::model;
use crate::scenario::{Code, Scenario};

pub(super) fn run(scenario: &Scenario, code: Code, json: bool) -> Result<(), Failure> {
    let model = model(scenario, code);
    let bar = progress::bar("missions");
    let options = Options { seed: scenario.run.seed, replications: scenario.run.missions, ..Options::default() };
    let outcome = simulate(&model, &options, &|seen| progress::at(&bar, seen.done, seen.total));
    bar.finish_and_clear();
    let outcome = outcome.map_err(Failure::usage)?;
    print(json, &outcome, || format!("{outcome:#?}"))
}
