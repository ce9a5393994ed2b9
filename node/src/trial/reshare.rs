//! `legation-trial reshare`: shares of all snapshots go to more custodians, under a higher threshold.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::meter::{cpu_seconds, loopback_bytes};
use super::source::{read_folder, write_file, write_folder};
use super::state::{State, number, until};
use super::tell;
use super::verdict::{Verdict, rounded};
use crate::cli::Failure;
use crate::cli::demo::founding::charter_plan;
use crate::cli::demo::plan::Plan;
use crate::cli::demo::processes::words;
use crate::cli::demo::report::ratio;

/// From how many to how many.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: unshare -n sh -c 'ip link set lo up; legation-trial reshare --snapshots 96'\n\
                  The bytes are those of all of loopback: alone in a network namespace they are the sites' own.")]
pub(super) struct Arguments {
    /// Snapshots whose keys are shared anew.
    #[arg(long, default_value_t = 64)]
    snapshots: u64,
    /// Custodians before.
    #[arg(long, default_value_t = 9)]
    from: usize,
    /// Their threshold.
    #[arg(long, default_value_t = 5)]
    from_threshold: usize,
    /// Custodians afterwards, and sites of the state.
    #[arg(long, default_value_t = 13)]
    to: usize,
    /// Their threshold.
    #[arg(long, default_value_t = 7)]
    to_threshold: usize,
    /// All must have their new shares within so many seconds.
    #[arg(long, default_value_t = 900)]
    limit: u64,
}

pub(super) fn run(arguments: &Arguments, keep: Option<&Path>) -> Result<Verdict, Failure> {
    let mut plan = Plan::for_trial(arguments.to, arguments.from_threshold, arguments.snapshots << 20)?;
    plan.custodians = arguments.from;
    let mut state = State::start(plan, keep, &[])?;
    let source = state.folder.at("source");
    write_folder(&source, 1, 1)?;
    tell(&format!("{} snapshots are made", arguments.snapshots));
    for round in 0..arguments.snapshots {
        write_file(&source.join("entry.bin"), 1, round)?;
        state.backup_durably(&source)?;
    }
    let written = read_folder(&source)?;
    let mut verdict = Verdict::default();
    let names = state.names();
    let settled = until(120, || Ok(names.iter().all(|name| state.is_whole(name))))?;
    verdict.promise("every site was whole before", settled.is_some());

    (state.plan.custodians, state.plan.threshold) = (arguments.to, arguments.to_threshold);
    let plan = state.folder.at("next-plan.toml");
    fs::write(&plan, charter_plan(&state.plan)).map_err(|error| Failure::file(&plan, &error))?;
    let cpu = || {
        let pids = names.iter().filter_map(|name| state.legation.pid(name));
        pids.map(cpu_seconds).sum::<Result<f64, Failure>>()
    };
    let (cpu_before, bytes_before) = (cpu()?, loopback_bytes()?);
    state.amend(&words!["charter", "draft", "--plan", plan, "--previous", state.folder.charter()])?;
    let taken = until(arguments.limit, || Ok(names.iter().all(|name| is_given_on(&state, name))))?;
    let (cpu_used, bytes) = (cpu()? - cpu_before, loopback_bytes()?.saturating_sub(bytes_before));
    let of_each = |figure: f64| rounded(figure / ratio(arguments.snapshots, 1));
    verdict.figure("seconds", taken.map(rounded));
    verdict.figure("seconds_per_snapshot", taken.map(of_each));
    verdict.figure("cpu_seconds_per_snapshot", of_each(cpu_used));
    verdict.figure("bytes_per_snapshot", of_each(ratio(bytes, 1)).round());
    verdict.promise("every site knows of the new shares of every snapshot", taken.is_some());

    let all_hold = || Ok(names.iter().all(|name| share_sites(&state, name) == Some(arguments.to)));
    verdict.promise("all custodians hold theirs", until(120, all_hold)?.is_some());
    let stopped = names.iter().take(arguments.to - arguments.to_threshold);
    stopped.for_each(|name| state.legation.kill(name));
    tell(&format!("the newest snapshot is restored from the last {} sites", arguments.to_threshold));
    let restored = state.restore("restored", None)?;
    verdict.promise("what is restored is what was backed up", read_folder(&restored)? == written);
    Ok(verdict)
}

/// Whether a site knows the new charter, and no snapshot waits for new shares there.
fn is_given_on(state: &State, name: &str) -> bool {
    let Ok(status) = state.status(name) else { return false };
    let mut databases = status.get("databases").and_then(Value::as_array).into_iter().flatten();
    number(&status, "/charter_version") == Some(2)
        && databases.all(|database| number(database, "/reshare_due_count") == Some(0))
}

/// Custodians that a site believes to hold their share of the newest snapshot.
fn share_sites(state: &State, name: &str) -> Option<usize> {
    let status = state.status(name).ok()?;
    status.pointer("/databases/0/newest/share_sites").and_then(Value::as_array).map(Vec::len)
}
