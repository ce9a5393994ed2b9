//! `legation-trial replace`: sites go, one after the other, and new ones take their places while backups go on.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::source::{read_folder, write_file, write_folder};
use super::state::{State, number, until};
use super::tell;
use super::verdict::Verdict;
use crate::cli::Failure;
use crate::cli::demo::founding::{init_site, loopback, start_sites};
use crate::cli::demo::plan::{Place, Plan};
use crate::cli::demo::processes::words;
use crate::clock::{Monotonic, seconds};

const PAUSE: Duration = Duration::from_millis(200);
/// A site that is told of a charter tells the others at once; those that were away ask within a minute.
const TOLD_SECONDS: u64 = 90;

/// Who goes, and how.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: legation-trial replace --mib 256 --sites 7 --data-shards 3 --gone 3")]
pub(super) struct Arguments {
    /// How much is backed up before; it does not compress.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=16_384))]
    mib: u64,
    /// Sites of the state.
    #[arg(long, default_value_t = 7)]
    sites: usize,
    /// Sites whose shards are enough.
    #[arg(long, default_value_t = 3)]
    data_shards: usize,
    /// Sites that go, one after the other.
    #[arg(long, default_value_t = 3)]
    gone: usize,
    /// They leave in good order; otherwise they are seized.
    #[arg(long)]
    leaving: bool,
    /// Each successor must have taken over within so many seconds.
    #[arg(long, default_value_t = 600)]
    limit: u64,
}

pub(super) fn run(arguments: &Arguments, keep: Option<&Path>) -> Result<Verdict, Failure> {
    let most = arguments.sites.saturating_sub(arguments.data_shards + 1);
    if arguments.gone == 0 || arguments.gone > most {
        return Err(Failure::usage(format!(
            "--gone {}: give 1 to {most}, so that a backup stays durable",
            arguments.gone
        )));
    }
    let plan = Plan::for_trial(arguments.sites, arguments.data_shards, arguments.mib << 20)?;
    let successors = Plan::places_after(arguments.sites, arguments.gone)?;
    let state = State::start(plan, keep, &words!["--repair-patience", "0", "--repair-rate", "4096"])?;
    let source = state.folder.at("source");
    write_folder(&source, arguments.mib, 1)?;
    tell(&format!("{} MiB are backed up to {} sites", arguments.mib, arguments.sites));
    state.backup_durably(&source)?;

    let is_over = AtomicBool::new(false);
    let mut verdict = Verdict::default();
    let (backed_up, replaced) = std::thread::scope(|scope| {
        let home = scope.spawn(|| keep_backing_up(&state, &source, &is_over));
        let replaced = replace_all(&state, successors, arguments);
        is_over.store(true, Ordering::Relaxed);
        (home.join(), replaced)
    });
    let backed_up = backed_up.map_err(|_panic| Failure::unexpected("the home of the trial failed by a defect"))??;
    let waited = replaced?;
    verdict.figure(
        "seconds_until_taken_over",
        waited.iter().map(|waited| waited.map(super::verdict::rounded)).collect::<Vec<_>>(),
    );
    verdict.figure("backups_acknowledged", backed_up.acknowledged);
    verdict.figure("backups_not_durable", backed_up.not_durable);
    verdict.promise("each successor took over all that the other held", waited.iter().all(Option::is_some));
    verdict.promise("no backup failed but for too few receipts", backed_up.failed.is_empty());
    verdict.figure("backups_failed", backed_up.failed);
    conclude(&state, &source, successors, arguments, &mut verdict)?;
    Ok(verdict)
}

#[derive(Default)]
struct BackedUp {
    acknowledged: usize,
    not_durable: usize,
    failed: Vec<String>,
}

fn keep_backing_up(state: &State, source: &Path, is_over: &AtomicBool) -> Result<BackedUp, Failure> {
    let mut log = BackedUp::default();
    let mut round = 0;
    while !is_over.load(Ordering::Relaxed) {
        round += 1;
        write_file(&source.join(format!("entry-{}.bin", round % 5)), 1, round)?;
        let ended = state.backup(source)?;
        match ended.code {
            Some(0) => log.acknowledged += 1,
            Some(4) => log.not_durable += 1,
            code => log.failed.push(format!("{code:?}: {}", ended.message())),
        }
        std::thread::sleep(PAUSE);
    }
    Ok(log)
}

fn replace_all(state: &State, successors: &[Place], arguments: &Arguments) -> Result<Vec<Option<f64>>, Failure> {
    let gone = state.plan.sites.iter().skip(1).zip(successors);
    gone.map(|(gone, by)| replace(state, gone.name, by, arguments)).collect()
}

/// Seconds from the charter to the moment from which nothing depends on `gone`; `None` if it did not come in time.
fn replace(state: &State, gone: &str, by: &Place, arguments: &Arguments) -> Result<Option<f64>, Failure> {
    tell(&format!("{} takes the place of {gone}", by.name));
    let folder = &state.folder;
    let address = loopback(1)?;
    init_site(by, address.first().map(String::as_str).unwrap_or_default(), folder, &state.legation)?;
    let request = folder.site(by.name).join("join-request.txt");
    let how = if arguments.leaving { "--leaving" } else { "--seized" };
    if !arguments.leaving {
        state.legation.kill(gone);
    }
    let taking_over = Monotonic::start();
    state.amend(&words!["site", "expel", gone, how, "--successor", request, "--charter", folder.charter()])?;
    start_sites(&[by], folder, &state.legation)?;
    let teller = state.plan.sites.first().map(|place| place.name).unwrap_or_default();
    let has_all = || {
        let Ok(status) = state.status(teller) else { return false };
        let handovers = status.get("handovers").and_then(Value::as_array).into_iter().flatten();
        let mut left = handovers.map(|one| {
            number(one, "/missing_shard_count") == Some(0) && number(one, "/missing_share_count") == Some(0)
        });
        let is_handed_over = !arguments.leaving || left.next() == Some(true);
        is_handed_over && state.is_whole(by.name) && state.lacks_nothing(by.name, teller) && state.is_whole(teller)
    };
    let waited = until(arguments.limit, || Ok(has_all()))?.map(|_waited| seconds(taking_over.elapsed_ms()));
    if arguments.leaving && waited.is_some() {
        let seen = folder.at("status.json");
        let text = state.status(teller)?.to_string();
        std::fs::write(&seen, text).map_err(|error| Failure::file(&seen, &error))?;
        state.amend(&words!["site", "expel", gone, "--status", seen, "--charter", folder.charter()])?;
        state.legation.kill(gone);
    }
    Ok(waited)
}

/// A last backup; then only as many sites stay as are needed, the successors among them, and they restore it.
fn conclude(
    state: &State,
    source: &Path,
    successors: &[Place],
    arguments: &Arguments,
    verdict: &mut Verdict,
) -> Result<(), Failure> {
    let is_durable = until(TOLD_SECONDS, || Ok(state.backup(source)?.code == Some(0)))?.is_some();
    verdict.promise("the backup afterwards is durable", is_durable);
    let written = read_folder(source)?;
    let founders = arguments.data_shards.saturating_sub(successors.len());
    let stopped = state.plan.sites.iter().skip(successors.len() + 1).chain(state.plan.sites.first());
    stopped.skip(founders).for_each(|place| state.legation.kill(place.name));
    tell(&format!(
        "the newest snapshot is restored from {} sites, the successors among them",
        arguments.data_shards.max(successors.len())
    ));
    let restored = state.restore("restored", None)?;
    verdict.promise("what is restored is what was backed up", read_folder(&restored)? == written);
    Ok(())
}
