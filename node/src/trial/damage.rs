//! `legation-trial damage`: a register lives for a while, and then it is damaged in every way we can think of.
//!
//! Counted are snapshots of ordinary days that were put in quarantine, and damages that were not. The ransomware is our own
//! and small ([`harm`]); the life is that of a land register with batches, purges, rebuilt indexes and scanned documents
//! ([`life`]).

mod harm;
mod life;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::state::State;
use super::tell;
use super::verdict::{Verdict, rounded};
use crate::cli::Failure;
use crate::cli::demo::plan::Plan;
use crate::exit_code::ExitCode;
use harm::{HARMS, Harm, LIMITS, copy_folder};
use life::{Day, Life};

const SITES: usize = 4;

/// How long, and how large.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: legation-trial damage --days 60 --mib 48")]
pub(super) struct Arguments {
    /// Days of ordinary life, a backup each.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_650))]
    days: u64,
    /// The register in the beginning, scanned documents besides.
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u64).range(8..=1_024))]
    mib: u64,
}

pub(super) fn run(arguments: &Arguments, keep: Option<&Path>) -> Result<Verdict, Failure> {
    let plan = Plan::for_trial(SITES, 2, arguments.mib << 20)?;
    let parcels = plan.parcels;
    let state = State::start(plan, keep, &[])?;
    let (mut verdict, source) = (Verdict::default(), state.folder.at("source"));
    let mut life = Life::begin(&source, parcels, arguments.mib / 4)?;
    tell(&format!("a register of {} MiB lives for {} days", arguments.mib, arguments.days));
    state.backup_durably(&source)?;
    let mut alarms: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for day in (1..=arguments.days).map(Day::of) {
        life.live(day)?;
        let (is_alarm, _why) = backup(&state, &source)?;
        let (days, alarmed) = alarms.entry(day.name()).or_default();
        (*days, *alarmed) = (*days + 1, *alarmed + u64::from(is_alarm));
    }
    drop(life);
    let false_alarms: u64 = alarms.values().map(|(_days, alarmed)| alarmed).sum();
    for (kind, (days, alarmed)) in &alarms {
        verdict.figure(&format!("{kind}_days"), json!({ "days": days, "false_alarms": alarmed }));
    }
    verdict.figure("false_alarms", false_alarms);
    verdict.figure("false_alarms_percent", percent(false_alarms, arguments.days));
    verdict.promise("no ordinary day was taken for damage", false_alarms == 0);

    let before = state.folder.at("before");
    copy_folder(&source, &before)?;
    let (mut seen, mut recovered) = (0_u64, true);
    for (name, harm) in HARMS {
        let (is_seen, is_mended) = damage(&state, &before, (name, harm), &mut verdict)?;
        (seen, recovered) = (seen + u64::from(is_seen), recovered && is_mended);
    }
    for (name, harm) in LIMITS {
        recovered &= damage(&state, &before, (name, harm), &mut verdict)?.1;
    }
    verdict.figure("damages_seen_percent", percent(seen, HARMS.len() as u64));
    verdict.promise("every damage that is not beyond the limits was seen", seen == HARMS.len() as u64);
    verdict.promise("it is seen again the day after, and mended it is accepted again", recovered);
    Ok(verdict)
}

/// Damages the register, backs it up twice, and puts it back as it was. Whether the damage was seen; and whether it was seen
/// again, and what was put back was accepted.
fn damage(
    state: &State,
    before: &Path,
    (name, harm): (&str, Harm),
    verdict: &mut Verdict,
) -> Result<(bool, bool), Failure> {
    let source = state.folder.at("source");
    tell(&format!("harm: {name}"));
    harm(&source)?;
    let (is_seen, why) = backup(state, &source)?;
    verdict.figure(name, if is_seen { json!(why) } else { json!("NOT SEEN") });
    let is_seen_again = backup(state, &source)?.0 == is_seen;
    std::fs::remove_dir_all(&source).map_err(|error| Failure::file(&source, &error))?;
    copy_folder(before, &source)?;
    let (is_alarm, why) = backup(state, &source)?;
    if !is_seen_again || is_alarm {
        tell(&format!(
            "  the day after: {}; put back: {why:?}",
            if is_seen_again { "the same" } else { "another verdict" }
        ));
    }
    // What was not seen has become what the rest is held against.
    Ok((is_seen, !is_seen || is_seen_again && !is_alarm))
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn percent(part: u64, of: u64) -> f64 {
    rounded(part as f64 * 100.0 / of.max(1) as f64)
}

/// Whether the snapshot was put in quarantine, and why.
fn backup(state: &State, source: &Path) -> Result<(bool, Vec<String>), Failure> {
    let ended = state.backup_with(source, &[])?;
    let reasons = ended.value.pointer("/report/findings").and_then(Value::as_array).into_iter().flatten();
    let reasons = reasons.filter_map(|finding| Some(finding.get("suspicion")?.as_str()?.to_owned())).collect();
    match ended.code {
        Some(0) => Ok((false, Vec::new())),
        Some(code) if code == i32::from(ExitCode::Quarantined.number()) => Ok((true, reasons)),
        _ => Err(Failure::unexpected(format!("the backup failed: {}", ended.message()))),
    }
}
