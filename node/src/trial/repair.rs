//! `legation-trial repair`: sites lose all their shards.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::meter::cpu_seconds;
use super::source::{read_folder, write_folder};
use super::state::{State, number, until};
use super::tell;
use super::verdict::{Verdict, rounded};
use crate::cli::Failure;
use crate::cli::demo::plan::Plan;
use crate::cli::demo::processes::words;
use crate::cli::demo::report::ratio;
use crate::clock::{Monotonic, seconds};

/// How much is lost.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: legation-trial repair --mib 1024 --sites 5 --data-shards 3 --empty 2")]
pub(super) struct Arguments {
    /// How much is backed up; it does not compress.
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u64).range(1..=16_384))]
    mib: u64,
    /// Sites of the state.
    #[arg(long, default_value_t = 5)]
    sites: usize,
    /// Sites whose shards are enough.
    #[arg(long, default_value_t = 3)]
    data_shards: usize,
    /// Sites that lose their shards, at the same time.
    #[arg(long, default_value_t = 2)]
    empty: usize,
    /// They lose all but their keys: what they knew of the snapshots too.
    #[arg(long)]
    everything: bool,
    /// Stripes that each remakes at once.
    #[arg(long, default_value_t = 4)]
    repair_jobs: u64,
    /// The most that each may fetch in a second, in MiB.
    #[arg(long, default_value_t = 4_096)]
    repair_rate: u64,
    /// They must be whole again within so many seconds.
    #[arg(long, default_value_t = 600)]
    limit: u64,
}

pub(super) fn run(arguments: &Arguments, keep: Option<&Path>) -> Result<Verdict, Failure> {
    if arguments.empty == 0 || arguments.empty + arguments.data_shards > arguments.sites {
        let most = arguments.sites.saturating_sub(arguments.data_shards);
        return Err(Failure::usage(format!("--empty {}: give 1 to {most}, or the rest is lost too", arguments.empty)));
    }
    let plan = Plan::for_trial(arguments.sites, arguments.data_shards, arguments.mib << 20)?;
    let (jobs, rate) = (arguments.repair_jobs.to_string(), arguments.repair_rate.to_string());
    let words = words!["--repair-patience", "0", "--repair-rate", rate, "--repair-jobs", jobs];
    let state = State::start(plan, keep, &words)?;
    let mut verdict = Verdict::default();
    let source = state.folder.at("source");
    let written = write_folder(&source, arguments.mib, 1)?;
    tell(&format!("{} MiB are backed up to {} sites", arguments.mib, arguments.sites));
    let backing_up = Monotonic::start();
    state.backup_durably(&source)?;
    verdict.figure("backup_seconds", seconds(backing_up.elapsed_ms()));
    let names = state.names();
    let all_whole = || Ok(names.iter().all(|name| state.is_whole(name)));
    let settled = until(60, all_whole)?.is_some();
    verdict.promise("every stripe is complete at all sites before", settled);

    let emptied: Vec<&str> = names.iter().copied().skip(1).take(arguments.empty).collect();
    let healed = heal(&state, &emptied, arguments, &mut verdict)?;
    verdict.promise("the emptied sites hold all their shards again", healed);
    let settled = until(60, || Ok(names.iter().all(|name| state.is_whole(name))))?;
    verdict.figure("seconds_until_all_sites_know", settled);
    verdict.promise("every site counts every stripe as complete", settled.is_some());

    // Without what they knew, the emptied sites had no shares of the key either.
    if arguments.everything {
        let teller = names.first().copied().unwrap_or_default();
        let has_recovered = |name: &str| {
            let count =
                state.status(name).ok().and_then(|status| status.pointer("/repair/recovered_share_count")?.as_u64());
            count > Some(0) && state.lacks_nothing(name, teller)
        };
        let settled = until(120, || Ok(emptied.iter().all(|name| has_recovered(name))))?;
        verdict.figure("seconds_until_shares_are_back", settled);
        verdict.promise("the emptied sites have their shares of the key again", settled.is_some());
    }
    let kept = names.len() - arguments.data_shards;
    let stopped = names.iter().filter(|name| !emptied.contains(name)).take(kept);
    stopped.clone().for_each(|name| state.legation.kill(name));
    let stopped = stopped.count();
    tell(&format!("the newest snapshot is restored from {} sites, the emptied ones among them", names.len() - stopped));
    let restored = state.restore("restored", None)?;
    verdict.promise("what is restored is what was backed up", read_folder(&restored)? == written);
    Ok(verdict)
}

/// Takes the shards of these sites, and measures until they have them again.
fn heal(state: &State, emptied: &[&str], arguments: &Arguments, verdict: &mut Verdict) -> Result<bool, Failure> {
    let mut before = Vec::new();
    for name in emptied {
        before.push(state.shards(name)?);
        state.legation.kill(name);
        state.empty(name, arguments.everything)?;
    }
    let lost_bytes: u64 = before.iter().flat_map(|shards| shards.values()).sum();
    tell(&format!("{} lost {} MiB of shards", emptied.join(" and "), lost_bytes >> 20));
    let cpu = |state: &State| -> Result<f64, Failure> {
        state.names().into_iter().filter_map(|name| state.legation.pid(name)).map(cpu_seconds).sum()
    };
    let (cpu_before, starting) = (cpu(state)?, Monotonic::start());
    state.start_sites(emptied)?;
    verdict.figure("seconds_until_serving", seconds(starting.elapsed_ms()));
    let is_back =
        |(name, before): (&str, &BTreeMap<OsString, u64>)| state.shards(name).is_ok_and(|shards| shards == *before);
    let waited = until(arguments.limit, || Ok(emptied.iter().copied().zip(&before).all(is_back)))?;
    let healing = seconds(starting.elapsed_ms());
    let cpu_seconds = cpu(state)? - cpu_before;
    let (mut fetched, mut written, mut mended, mut failed) = (0, 0, 0, 0);
    for name in emptied {
        let status = state.status(name)?;
        let of = |field: &str| number(&status, &format!("/repair/{field}")).unwrap_or_default();
        fetched += of("fetched_bytes");
        written += of("written_bytes");
        mended += of("mended_count");
        failed += of("failed_count");
    }
    verdict.figure("lost_bytes", lost_bytes);
    verdict.figure("repair_seconds", waited.map(|_waited| healing));
    verdict.figure("repair_mb_per_second", rounded(ratio(lost_bytes / 1_000, 1_000) / healing));
    verdict.figure("cpu_seconds_of_all_sites", rounded(cpu_seconds));
    verdict.figure("shards_mended", mended);
    verdict.figure("repairs_failed", failed);
    verdict.figure("written_per_lost_byte", rounded(ratio(written, lost_bytes)));
    verdict.figure("fetched_per_lost_byte", rounded(ratio(fetched, lost_bytes)));
    verdict.figure("data_shards", arguments.data_shards);
    verdict.promise("only what was lost is written", written == lost_bytes);
    let bound = lost_bytes.saturating_mul(arguments.data_shards as u64);
    verdict.promise("no more is fetched than data_shards bytes for each lost one", fetched <= bound);
    Ok(waited.is_some())
}
