//! A scenario against the real machines.

use serde::Serialize;

use super::super::{Failure, estimate, files, print};
use super::RunArguments;
use crate::report::protocol::{Invariant, Phase, ProtocolRun, Reader, Restored, Snapshots};
use crate::report::{html, text};
use crate::scenario::protocol::{Run, config};
use crate::scenario::time::Span;
use crate::scenario::{Code, Scenario, When};
use crate::world::config::Asserted;
use crate::world::{self, Report};

/// What is printed for programs.
#[derive(Serialize)]
struct Answer<'a> {
    /// Seconds of the run for a day of the scenario.
    day_seconds: f64,
    asserted: Asserted,
    report: &'a Report,
}

pub(super) fn run(
    scenario: &Scenario,
    file: &str,
    code: Code,
    arguments: &RunArguments,
    json: bool,
) -> Result<(), Failure> {
    let run = config(scenario, code, scenario.run.seed).map_err(Failure::usage)?;
    if let Some(path) = &arguments.config {
        files::write(path, &toml::to_string(&run.config).map_err(Failure::unexpected)?)?;
    }
    let report = world::run(&run.config, &mut ()).map_err(Failure::usage)?;
    let page = protocol_run(scenario, &run, &report);
    if let Some(path) = &arguments.report {
        let command = format!(
            "legation-sim run {} --mode protocol --seed {} --years {}",
            arguments.scenario, scenario.run.seed, scenario.run.years
        );
        files::write(path, &html::protocol(&page, &estimate::provenance(file, command)))?;
    }
    let (day_seconds, asserted) = (run.day_ms / 1_000.0, run.config.asserted);
    print(json, &Answer { day_seconds, asserted, report: &report }, || {
        format!("{}\n{}", text::protocol(&page).trim_end(), promises(asserted, day_seconds))
    })?;
    match &report.violation {
        None => Ok(()),
        Some(violation) => Err(Failure::broken(format!("an invariant is broken: {violation}"))),
    }
}

fn promises(asserted: Asserted, day_seconds: f64) -> String {
    let word = |asserted: bool| {
        if asserted {
            "asserted at every step"
        } else {
            "only reported: more befell the state than its code promises to stand"
        }
    };
    format!(
        "  durability: {}\n  secrecy: {}\n  a day of the scenario took {day_seconds:.1} s of virtual time; sites are not repaired in \
         protocol mode yet",
        word(asserted.durability),
        word(asserted.secrecy)
    )
}

fn hours(ms: u64) -> f64 {
    ms as f64 / 3_600_000.0
}

/// The run in the words of a report.
fn protocol_run(scenario: &Scenario, run: &Run, report: &Report) -> ProtocolRun {
    let names: std::collections::BTreeSet<&str> = report.snapshots.iter().map(|one| one.database.as_str()).collect();
    let snapshots = |database: &str| {
        let of = || report.snapshots.iter().filter(move |one| one.database == database);
        let durable = || of().filter(|one| one.durable_after_ms.is_some());
        let mut after: Vec<u64> = of().filter_map(|one| one.durable_after_ms).collect();
        after.sort_unstable();
        Snapshots {
            database: database.to_owned(),
            begun: of().count() as u64,
            durable: durable().count() as u64,
            lost: durable().filter(|one| !one.restorable).count() as u64,
            durable_after_hours: after.get(after.len() / 2).map(|ms| hours(*ms)),
        }
    };
    let restored = |restore: &world::report::RestoreReport| Restored {
        database: restore.database.clone(),
        place: "a clean machine".to_owned(),
        took_hours: restore.took_ms.map(hours),
        gap_hours: None,
        why_not: restore.why.clone(),
    };
    let fixed = scenario.events.iter().filter_map(|event| match event.when {
        When::At(at) => Some((at, event.name.clone())),
        When::PerYear(_) => None,
    });
    let phase = |(at, what): (Span, String)| {
        let from_hours = at.days() * run.day_ms / 3_600_000.0;
        Phase { from_hours, what, converged_after_hours: None }
    };
    let mut phases: Vec<Phase> = fixed.map(phase).collect();
    phases.push(Phase {
        from_hours: hours(run.config.heal_at_ms),
        what: "links, disks and clocks are mended; all must come to know the same".to_owned(),
        converged_after_hours: report.converged_after_ms.map(hours),
    });
    ProtocolRun {
        title: scenario.title.clone(),
        seed: report.seed,
        trace_digest: report.trace_digest.clone(),
        hours: hours(report.ended_ms),
        messages: report.messages,
        bytes: report.sent_bytes,
        phases,
        snapshots: names.into_iter().map(snapshots).collect(),
        restores: report.restores.iter().map(restored).collect(),
        readers: report
            .readers
            .iter()
            .map(|reader| Reader {
                who: "those who copied or took sites".to_owned(),
                what: format!(
                    "{} snapshot {} with {} shares of {} needed",
                    reader.database, reader.sequence, reader.shares, reader.threshold
                ),
                since_hours: None,
                by_order: false,
            })
            .collect(),
        invariants: report
            .violation
            .iter()
            .map(|violation| Invariant {
                name: violation.invariant.clone(),
                checks: report.trace_lines,
                broken: Some(violation.to_string()),
            })
            .collect(),
    }
}
