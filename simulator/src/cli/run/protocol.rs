//! A scenario against the real machines, in words.

use std::fmt::Write as _;

use serde::Serialize;

use super::super::{Failure, files, print};
use super::RunArguments;
use crate::scenario::protocol::{Run, config};
use crate::scenario::{Code, Scenario};
use crate::world::{self, Report};

/// What is printed for programs.
#[derive(Serialize)]
struct Answer<'a> {
    /// Seconds of the run for a day of the scenario.
    day_seconds: f64,
    asserted: world::config::Asserted,
    report: &'a Report,
}

pub(super) fn run(scenario: &Scenario, code: Code, arguments: &RunArguments, json: bool) -> Result<(), Failure> {
    let Run { config, day_ms } = config(scenario, code, scenario.run.seed).map_err(Failure::usage)?;
    if let Some(path) = &arguments.config {
        let text = toml::to_string(&config).map_err(Failure::unexpected)?;
        files::write(path, &text)?;
    }
    let report = world::run(&config, &mut ()).map_err(Failure::usage)?;
    let answer = Answer { day_seconds: day_ms / 1_000.0, asserted: config.asserted, report: &report };
    print(json, &answer, || in_words(scenario, &answer))?;
    match &report.violation {
        None => Ok(()),
        Some(violation) => Err(Failure::broken(format!("an invariant is broken: {violation}"))),
    }
}

fn in_words(scenario: &Scenario, answer: &Answer<'_>) -> String {
    let report = answer.report;
    let mut text = format!("{}: the machines on virtual time, seed {}\n", scenario.title, report.seed);
    // Writing to a string cannot fail.
    let mut say = |line: String| _ = writeln!(text, "{line}");
    say(format!(
        "  one day of the scenario took {:.1} s; {} messages, {:.0} virtual minutes, trace {}",
        answer.day_seconds,
        report.messages,
        report.ended_ms as f64 / 60_000.0,
        report.trace_digest.get(..16).unwrap_or(&report.trace_digest),
    ));
    let durable = report.snapshots.iter().filter(|snapshot| snapshot.durable_after_ms.is_some());
    let (durable, restorable) =
        durable.fold((0, 0), |(all, good), snapshot| (all + 1, good + u32::from(snapshot.restorable)));
    say(format!(
        "  snapshots: {} made, {durable} durable by their receipts; {restorable} of those can be restored at the end",
        report.snapshots.len()
    ));
    let restored = report.restores.iter().filter(|restore| restore.took_ms.is_some()).count();
    say(format!("  restores: {restored} of {} succeeded", report.restores.len()));
    for restore in report.restores.iter().filter(|restore| restore.took_ms.is_none()) {
        say(format!("    {} failed: {}", restore.database, restore.why.as_deref().unwrap_or("no reason given")));
    }
    match report.readers.as_slice() {
        [] => say("  read without an order: nothing".to_owned()),
        readers => readers.iter().for_each(|reader| say(format!("  READ WITHOUT AN ORDER: {reader:?}"))),
    }
    match report.converged_after_ms {
        Some(after) => say(format!("  all honest sites knew the same {:.1} s after the end", after as f64 / 1_000.0)),
        None => say("  the sites did not come to know the same".to_owned()),
    }
    let held = |asserted: bool| {
        if asserted {
            "asserted and held"
        } else {
            "more befell the state than its code promises to stand: only reported"
        }
    };
    if report.violation.is_none() {
        say(format!("  durability: {}", held(answer.asserted.durability)));
        say(format!("  secrecy: {}", held(answer.asserted.secrecy)));
    }
    text
}
