//! The machines on virtual time: many drawn runs, and one run line by line.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;

use clap::Args;

use super::{Failure, print, progress};
use crate::world::shrink::shrink;
use crate::world::swarm::{SwarmReport, swarm};
use crate::world::{self, Config};

/// Arguments of `swarm`.
#[derive(Debug, Args)]
#[command(after_help = "Example: legation-sim swarm --seeds 0..200")]
pub(super) struct SwarmArguments {
    /// From this seed to below that one; each draws its own configuration.
    #[arg(long, value_parser = seeds, default_value = "0..200", value_name = "FROM..TO")]
    seeds: Range<u64>,
    /// Threads; what is found does not depend on it. 0: one for each core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("seeds are given as FROM..TO, as in 0..200")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("'{text}': {error}"));
    let (from, to) = (number(from)?, number(to)?);
    if from < to { Ok(from..to) } else { Err(format!("{from}..{to} is empty")) }
}

/// Runs at once between two looks at the bar.
const BATCH: u64 = 50;

pub(super) fn run_swarm(arguments: &SwarmArguments, json: bool) -> Result<(), Failure> {
    let threads = match arguments.threads {
        0 => rayon::current_num_threads(),
        threads => threads,
    };
    let bar = progress::bar("runs");
    let Range { start, end } = arguments.seeds;
    let mut sum: Option<SwarmReport> = None;
    let mut from = start;
    while from < end {
        let part = swarm(from..end.min(from.saturating_add(BATCH)), threads).map_err(Failure::usage)?;
        match &mut sum {
            None => sum = Some(part),
            Some(sum) => sum.add(part),
        }
        from = end.min(from.saturating_add(BATCH));
        progress::at(&bar, from - start, end - start);
    }
    bar.finish_and_clear();
    let report = sum.ok_or_else(|| Failure::usage("no seeds"))?;
    print(json, &report, || in_words(&report))?;
    if report.failures.is_empty() {
        Ok(())
    } else {
        Err(Failure::broken(format!("{} of {} runs broke an invariant", report.failures.len(), report.runs)))
    }
}

fn in_words(report: &SwarmReport) -> String {
    let mut text = format!(
        "{} runs, {:.1} hours of virtual time ({:.1} of sites), {} messages, {} durable snapshots, {} restores: {} failed\n",
        report.runs,
        report.virtual_ms as f64 / 3_600_000.0,
        report.site_ms as f64 / 3_600_000.0,
        report.messages,
        report.durable_snapshots,
        report.restores,
        report.failures.len(),
    );
    for failure in &report.failures {
        // Writing to a string cannot fail.
        _ = writeln!(text, "  seed {}: {}\n    see it again with: {}", failure.seed, failure.violation, failure.replay);
    }
    if !report.never_reached.is_empty() {
        _ = writeln!(text, "  never happened in these runs, so not tried: {}", report.never_reached.join(", "));
    }
    text
}

fn shrunk(config: &Config, json: bool) -> Result<(), Failure> {
    match shrink(config, SHRINK_RUNS_MAX).map_err(Failure::usage)? {
        Some(smallest) => {
            let file = smallest.to_text().map_err(Failure::unexpected)?;
            print(json, &smallest, || file)?;
            Err(Failure::broken(format!("an invariant is broken: {}", smallest.violation)))
        }
        None => Err(Failure::usage("the run breaks no invariant: there is nothing to shrink")),
    }
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
#[command(after_help = "Example: legation-sim replay --seed 17 --from-line 200")]
pub(super) struct ReplayArguments {
    /// The run of a swarm with this seed.
    #[arg(long, required_unless_present = "config", conflicts_with = "config")]
    seed: Option<u64>,
    /// Or a run from a file, as `run --mode protocol --config` writes it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The first line of the trace to print, from 1.
    #[arg(long, default_value_t = 1)]
    from_line: u64,
    /// Print no lines, only how it ended.
    #[arg(long)]
    quiet: bool,
    /// Plant this defect first (in a build with the feature `planted-bugs`), to see it found.
    #[arg(long, value_name = "DEFECT")]
    planted: Option<String>,
    /// Make a run that breaks an invariant smaller while it still breaks the same one, and print it as a file for --config.
    #[arg(long)]
    shrink: bool,
}

/// Runs that shrinking may take.
const SHRINK_RUNS_MAX: u32 = 2_000;

pub(super) fn run_replay(arguments: &ReplayArguments, json: bool) -> Result<(), Failure> {
    let mut config: Config = match (&arguments.config, arguments.seed) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
            toml::from_str(&text).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?
        }
        (None, seed) => Config::from_seed(seed.unwrap_or_default()),
    };
    if let Some(defect) = &arguments.planted {
        let named = toml::Value::String(defect.clone()).try_into();
        config.planted_bug = Some(named.map_err(|error: toml::de::Error| Failure::usage(error.message()))?);
    }
    if arguments.shrink {
        return shrunk(&config, json);
    }
    let report = if json || arguments.quiet {
        world::run(&config, &mut ())
    } else {
        let mut out = std::io::stdout().lock();
        let mut write = |line: &str| {
            use std::io::Write as _;
            // A reader that went away has what it wanted.
            let _closed = writeln!(out, "{line}");
        };
        world::replay(&config, arguments.from_line, &mut write)
    };
    let report = report.map_err(Failure::usage)?;
    print(json, &report, || {
        format!("{} lines, {} messages, trace {}", report.trace_lines, report.messages, report.trace_digest)
    })?;
    match &report.violation {
        None => Ok(()),
        Some(violation) => Err(Failure::broken(format!("an invariant is broken: {violation}"))),
    }
}
