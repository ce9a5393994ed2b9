//! `legation-trial idle`: what a site costs while nothing happens.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::meter::{cpu_seconds, loopback_bytes, resident_kib};
use super::source::write_folder;
use super::state::{State, until};
use super::tell;
use super::verdict::{Verdict, rounded};
use crate::cli::Failure;
use crate::cli::demo::plan::Plan;
use crate::cli::demo::report::ratio;
use crate::clock::{Monotonic, seconds};

/// Pauses between questions grow to a minute: so long the sites are left alone first.
const SETTLE_SECONDS: u64 = 120;

/// How many, how long.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: unshare -n sh -c 'ip link set lo up; legation-trial idle --sites 10,20 --minutes 5'\n\
                        The bytes are those of all of loopback: alone in a network namespace they are the sites' own."
)]
pub(super) struct Arguments {
    /// Sites of the state; several numbers are tried one after the other.
    #[arg(long, default_values_t = [10, 20], value_delimiter = ',')]
    sites: Vec<usize>,
    /// How long each is measured.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1_440))]
    minutes: u64,
    /// Before that, so long they are left alone.
    #[arg(long, default_value_t = SETTLE_SECONDS)]
    settle: u64,
}

pub(super) fn run(arguments: &Arguments, keep: Option<&Path>) -> Result<Verdict, Failure> {
    let mut verdict = Verdict::default();
    let (mut all_whole, mut figures) = (true, Vec::new());
    for sites in &arguments.sites {
        let keep = keep.map(|dir| dir.join(sites.to_string()));
        let (whole, measured) = measure(*sites, arguments, keep.as_deref())?;
        all_whole &= whole;
        verdict.figure(&format!("sites_{sites}"), &measured);
        figures.push(measured);
    }
    if let [first, .., last] = figures.as_slice() {
        let growth = |field: &str| {
            let of = |value: &Value| value.get(field).and_then(Value::as_f64).unwrap_or_default();
            rounded(of(last) / of(first).max(0.001))
        };
        for field in ["sites", "rss_mib_per_site", "cpu_seconds_per_site_and_hour", "bytes_per_site_and_hour"] {
            verdict.figure(&format!("growth_of_{field}"), growth(field));
        }
    }
    verdict.promise("every site was whole when it was measured", all_whole);
    Ok(verdict)
}

fn measure(sites: usize, arguments: &Arguments, keep: Option<&Path>) -> Result<(bool, Value), Failure> {
    let data_shards = (sites / 2).max(2);
    let state = State::start(Plan::for_trial(sites, data_shards, 8 << 20)?, keep, &[])?;
    let names = state.names();
    let source = state.folder.at("source");
    write_folder(&source, 4, 1)?;
    state.backup_durably(&source)?;
    let whole = until(120, || Ok(names.iter().all(|name| state.is_whole(name))))?.is_some();
    tell(&format!("{sites} sites run and are left alone"));
    std::thread::sleep(Duration::from_secs(arguments.settle));
    let pids: Vec<_> = names.iter().filter_map(|name| state.legation.pid(name)).collect();
    let cpu = || pids.iter().copied().map(cpu_seconds).sum::<Result<f64, Failure>>();
    let (cpu_before, bytes_before, measuring) = (cpu()?, loopback_bytes()?, Monotonic::start());
    std::thread::sleep(Duration::from_secs(arguments.minutes * 60));
    let (cpu_used, bytes) = (cpu()? - cpu_before, loopback_bytes()?.saturating_sub(bytes_before));
    let hours = seconds(measuring.elapsed_ms()) / 3_600.0;
    let resident: u64 = pids.iter().copied().map(resident_kib).sum::<Result<u64, Failure>>()?;
    let per_site = |number: f64| rounded(number / ratio(sites as u64, 1));
    // What one site sends, another one receives: loopback counts it once, and it is told once.
    Ok((
        whole && pids.len() == sites,
        json!({
            "sites": sites,
            "rss_mib_per_site": per_site(ratio(resident, 1_024)),
            "cpu_seconds_per_site_and_hour": per_site(cpu_used / hours),
            "bytes_per_site_and_hour": per_site(ratio(bytes, 1) / hours).round(),
        }),
    ))
}
