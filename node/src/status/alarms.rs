//! What is wrong, in plain words, with what to do next. The worst comes first; the exit code of `legation doctor` is that
//! of the worst.

use serde::Serialize;

use super::text::{ago, bytes, duration};
use super::{DatabaseStatus, PeerStatus, SiteStatus, SnapshotStatus};
use super::{agreements, handovers, quarantine, retention};
use crate::exit_code::ExitCode;

/// A site that has not answered for so long is said to be silent.
const SILENT_MS: u64 = 600_000;
/// A site that has proved nothing for so long is said to be unproven.
const UNPROVEN_MS: u64 = 86_400_000;
/// Less free space than this is worth a word.
const FREE_BYTES_MIN: u64 = 1 << 30;
/// A site that has just started has heard and looked at little yet.
const SETTLED_MS: u64 = 30_000;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Data or secrecy is in danger: act now.
    Alarm,
    /// Something to look at today.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Serialize)]
pub struct Alarm {
    /// How bad it is.
    pub severity: Severity,
    /// A word for programs; never changes its meaning.
    pub code: &'static str,
    /// The database or site that it is about; empty if it is this site.
    pub subject: String,
    /// What is wrong.
    pub text: String,
    /// What to do next.
    pub next_step: String,
    /// What `legation doctor` ends with.
    #[serde(serialize_with = "as_number")]
    pub exit_code: ExitCode,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn as_number<S: serde::Serializer>(code: &ExitCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(code.number())
}

pub(super) fn alarm(code: &'static str, exit_code: ExitCode, text: String, next_step: impl Into<String>) -> Alarm {
    Alarm { severity: Severity::Alarm, code, subject: String::new(), text, next_step: next_step.into(), exit_code }
}

pub(super) fn warning(code: &'static str, exit_code: ExitCode, text: String, next_step: impl Into<String>) -> Alarm {
    Alarm { severity: Severity::Warning, ..alarm(code, exit_code, text, next_step) }
}

/// The same, about a database or a site.
fn about(subject: &str, found: Vec<Alarm>) -> impl Iterator<Item = Alarm> {
    found.into_iter().map(move |alarm| Alarm { subject: subject.to_owned(), ..alarm })
}

/// Everything that is wrong, the worst first.
pub(super) fn of(status: &SiteStatus, is_member: bool) -> Vec<Alarm> {
    let mut found = Vec::new();
    if !is_member {
        found.push(alarm(
            "not-a-member",
            ExitCode::Refused,
            format!("charter version {} has no place for this site: the others refuse it", status.charter_version),
            "ask the officials; if the site was expelled, switch it off and keep the disk for evidence",
        ));
    }
    for database in &status.databases {
        let mut of_one = Vec::new();
        of_database(database, &mut of_one);
        of_one.extend(quarantine::alarm_of(&database.database, &database.quarantine));
        of_one.extend(retention::alarms_of(&database.database, &database.retention, status.now_ms));
        found.extend(about(&database.database, of_one));
    }
    of_repair(status, &mut found);
    if status.up_ms >= SETTLED_MS {
        for site in &status.sites {
            found.extend(about(&site.site, of_site(site, status).into_iter().collect()));
        }
        let silent = status.sites.iter().filter(|site| is_silent(site, status)).count();
        if silent > 0 && silent == status.sites.len() {
            found.push(alarm(
                "alone",
                ExitCode::SitesUnreachable,
                "no other site answers: this site is cut off".to_owned(),
                "look at this site's own network first: cable, router, firewall, then the addresses in the charter",
            ));
        }
    }
    if let Some(free) = status.free_bytes.filter(|free| *free < FREE_BYTES_MIN) {
        found.push(warning(
            "disk-nearly-full",
            ExitCode::LocalStorage,
            format!("only {} are free for shards", bytes(free)),
            "make room on the disk or give the site a larger one; what is stored stays safe meanwhile",
        ));
    }
    found.extend(status.handovers.iter().map(handovers::alarm_of));
    found.extend(status.agreements.iter().filter_map(|one| agreements::alarm_of(one, status.now_ms)));
    found.sort_by_key(|alarm| alarm.severity);
    found
}

fn of_database(database: &DatabaseStatus, found: &mut Vec<Alarm>) {
    let name = &database.database;
    if database.is_forked {
        found.push(alarm(
            "fork",
            ExitCode::Fork,
            format!("{name}: two histories carry its writer's signature"),
            "stop backing it up, compare the heads at several sites, have the officials replace the writer's key",
        ));
    }
    let Some(newest) = &database.newest else {
        found.push(warning(
            "no-snapshot",
            ExitCode::NotDurable,
            format!("{name}: no snapshot is known here"),
            "run 'legation backup' at home; if that was done, look whether this site reaches the others",
        ));
        return;
    };
    if let Some(danger) = in_danger(name, "the newest snapshot", newest) {
        found.push(danger);
    } else if let Some(weakest) = database.weakest.as_ref().filter(|weakest| weakest.sequence != newest.sequence) {
        found.extend(in_danger(name, "an older snapshot", weakest));
    }
    match database.age_ms {
        Some(age) if age > database.age_max_ms => found.push(alarm(
            "late",
            ExitCode::NotDurable,
            format!(
                "{name}: no new snapshot for {}, at most {} is expected",
                duration(age),
                duration(database.age_max_ms)
            ),
            "look at home: does its timer run, does 'legation backup' succeed, is the territory reached at all?",
        )),
        Some(_) => {}
        // The alarm of quarantine says it.
        None if database.quarantine.newest_accepted.is_none() && database.quarantine.count > 0 => {}
        None => found.push(warning(
            "no-receipt",
            ExitCode::NotDurable,
            format!("{name}: no site has given a receipt for snapshot {}", newest.sequence),
            "run 'legation backup' again at home",
        )),
    }
    let due = database.reshare_due_count;
    if due > 0 {
        found.push(warning(
            "old-shares",
            ExitCode::NotDurable,
            format!("{name}: the keys of {due} snapshots wait for new shares"),
            "the custodians do this among themselves; if the number does not fall, one of them is away: start it, or have the \
             officials put it out",
        ));
    }
    let short = database.short_stripe_count;
    if short > 0 && !found.iter().any(|alarm| alarm.code == "not-durable") {
        found.push(warning(
            "short",
            ExitCode::NotDurable,
            format!("{name}: {short} of {} stripes lack a shard somewhere", database.stripe_count),
            "the sites mend this among themselves; look again in an hour, and at the sites named below",
        ));
    }
}

fn in_danger(name: &str, which: &str, snapshot: &SnapshotStatus) -> Option<Alarm> {
    let (shards, shares) = (snapshot.shard_sites.len(), snapshot.share_sites.len());
    let (data_shards, threshold, sequence) = (snapshot.data_shards, snapshot.threshold, snapshot.sequence);
    let counts = format!(
        "{shards} sites hold their shards of it ({data_shards} are needed), {shares} their share of its key ({threshold} are \
         needed)"
    );
    if !snapshot.is_restorable {
        return Some(alarm(
            "not-restorable",
            ExitCode::NotDurable,
            format!("{name}: {which} ({sequence}) could not be restored now: {counts}"),
            "bring back the sites that are down, before anything else; then run 'legation backup' at home",
        ));
    }
    let weakest = snapshot.weakest.as_deref().unwrap_or("one more site");
    (!snapshot.is_durable).then(|| {
        alarm(
            "not-durable",
            ExitCode::NotDurable,
            format!("{name}: {which} ({sequence}) would not survive the loss of {weakest}: {counts}"),
            "bring back the sites that are down or lack something (below); repair runs by itself as soon as they answer",
        )
    })
}

fn of_repair(status: &SiteStatus, found: &mut Vec<Alarm>) {
    let repair = &status.repair;
    if repair.missing_count > 0 {
        let eta = repair.eta_ms.map_or_else(String::new, |eta| format!(", about {} to go", duration(eta)));
        let stuck = repair.failed_count > 0 && repair.mended_count == 0;
        let step = if stuck {
            "too few sites help: look at the sites below that do not answer"
        } else {
            "nothing: they are remade from the other sites; leave the site running"
        };
        found.push(warning(
            "missing-here",
            ExitCode::IntegrityFault,
            format!("{} shards are missing at this site{eta}", repair.missing_count),
            step,
        ));
    }
    if status.scrub.rotten_count > 0 {
        found.push(warning(
            "rot",
            ExitCode::IntegrityFault,
            format!("the disk has lost {} shards to rot since the scrub began its pass", status.scrub.rotten_count),
            "they are remade; if the number grows, have the disk replaced (smartctl -a tells more)",
        ));
    }
}

fn is_silent(site: &PeerStatus, status: &SiteStatus) -> bool {
    let since = site.heard_ms.unwrap_or(status.now_ms.saturating_sub(status.up_ms));
    site.silent_because.is_some() && status.now_ms.saturating_sub(since) >= SILENT_MS.min(status.up_ms)
}

fn of_site(site: &PeerStatus, status: &SiteStatus) -> Option<Alarm> {
    let name = &site.site;
    if site.proven_lost_count > 0 {
        let count = site.proven_lost_count;
        return Some(alarm(
            "proven-loss",
            ExitCode::IntegrityFault,
            format!("{name} has lost {count} shards that it had promised; its own signature proves it"),
            format!("call the operator of {name}; if it goes on, the officials should replace the site"),
        ));
    }
    if is_silent(site, status) {
        let since = site
            .heard_ms
            .map_or_else(|| "since this site was started".to_owned(), |at| format!("since {}", ago(status.now_ms, at)));
        let why = site.silent_because.as_deref().unwrap_or_default();
        return Some(warning(
            "silent",
            ExitCode::SitesUnreachable,
            format!("{name} does not answer {since}: {why}"),
            format!(
                "call the operator of {name}: is the machine on, is its network up, is its address in the charter right?"
            ),
        ));
    }
    let unproven = site.skip_count > 0
        && status.up_ms >= UNPROVEN_MS
        && site.proved_ms.is_none_or(|at| status.now_ms.saturating_sub(at) >= UNPROVEN_MS);
    if unproven {
        return Some(warning(
            "unproven",
            ExitCode::IntegrityFault,
            format!("{name} answers, and has proved nothing of what it holds for a day"),
            format!("ask the operator of {name} to look into its log; silence proves nothing, and hides much"),
        ));
    }
    let missing = site.missing_shard_count;
    (missing > 0).then(|| {
        warning(
            "missing-there",
            ExitCode::NotDurable,
            format!("{name} says that it lacks {missing} shards, and remakes them"),
            "nothing, if the number falls",
        )
    })
}
