//! `legation charter plan`: what the next charter changes, step by step, before anybody signs it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use protocol::document::{Charter, Database, Site, SiteState};
use protocol::identifier::SiteName;
use protocol::placement::nearest::nearest;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::backup::human;
use super::{Failure, Output, charter_plan, documents};
use crate::status::text::duration;

/// Measured on two cores for five of nine that hand over to seven of thirteen: so long a snapshot, in milliseconds.
const RESHARE_MS: u64 = 115;
/// Shares that were checked for each of those: threshold times custodians.
const RESHARE_SHARES: u64 = 7 * 13;

/// What is to come, and what there is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: legation status --dir /var/lib/legation --json > status.json\n         \
                        legation charter plan --plan next.toml --previous charter.txt --status status.json\n\
                        Draws nothing up and changes nothing: legation charter draft does that.")]
pub(super) struct ChangesArguments {
    /// The plan of the next charter (TOML).
    #[arg(long)]
    plan: PathBuf,
    /// The charter as it is.
    #[arg(long, value_name = "FILE")]
    previous: PathBuf,
    /// What 'legation status --json' says at a site: without it nothing is known of bytes and snapshots.
    #[arg(long, value_name = "FILE")]
    status: Option<PathBuf>,
    /// What a site may fetch for repairs in a second, in MiB (site run --repair-rate).
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
    repair_rate: u64,
}

/// The part of a status that is looked at.
#[derive(Debug, Default, Deserialize)]
struct Seen {
    databases: Vec<SeenDatabase>,
}

#[derive(Debug, Deserialize)]
struct SeenDatabase {
    database: String,
    snapshot_count: u64,
    stored_bytes: u64,
}

/// One thing that happens when the charter holds.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Step {
    /// What.
    what: String,
    /// Bytes that move.
    bytes: Option<u64>,
    /// How long that takes, about.
    seconds: Option<u64>,
    /// What may go wrong meanwhile.
    risk: Option<String>,
}

impl Step {
    fn of(what: String) -> Self {
        Self { what, bytes: None, seconds: None, risk: None }
    }
}

pub(super) fn run(arguments: &ChangesArguments, output: &Output) -> Result<(), Failure> {
    let chain = documents::read_chain(&arguments.previous, None)?;
    let versions: Vec<_> = chain.iter().cloned().collect();
    let next = charter_plan::draft(&arguments.plan, Some(&versions))?;
    refuse(&next)?;
    let seen: Option<Seen> = arguments.status.as_ref().map(|file| documents::read_status(file)).transpose()?;
    let changes = Changes { before: chain.charter(), next: &next, seen, bytes_per_second: arguments.repair_rate << 20 };
    let steps = changes.steps();
    let value = json!({ "from_version": changes.before.version, "to_version": next.version, "steps": steps });
    output.result(&value, || words(&changes, &steps));
    Ok(())
}

/// Refuses a charter under which a coalition could read or take a database away, with the nearest that would do.
pub(super) fn refuse(charter: &Charter) -> Result<(), Failure> {
    let Err(breach) = protocol::placement::coalition::check(charter) else { return Ok(()) };
    let remedies = nearest(charter).into_iter().map(|(database, remedy)| {
        remedy.map_or_else(
            || format!("database {database}: no numbers would do with these sites: add sites in other domains"),
            |remedy| remedy.to_string(),
        )
    });
    let remedies: Vec<String> = remedies.collect();
    Err(Failure::refused(format!("{breach}. The nearest that would work: {}", remedies.join("; "))))
}

struct Changes<'a> {
    before: &'a Charter,
    next: &'a Charter,
    seen: Option<Seen>,
    bytes_per_second: u64,
}

impl Changes<'_> {
    fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = self.people().into_iter().collect();
        self.next.sites.iter().for_each(|site| steps.extend(self.site(site)));
        for after in &self.next.databases {
            match self.before.database(&after.name) {
                Some(before) => steps.extend(self.database(before, after)),
                None => steps.push(Step::of(format!("database {} is new: home backs it up", after.name))),
            }
        }
        let gone = self.before.databases.iter().filter(|before| self.next.database(&before.name).is_none());
        steps.extend(gone.map(|before| Step {
            risk: Some("what is stored of it stays, and nobody repairs or opens it under this charter".to_owned()),
            ..Step::of(format!("database {} is in the charter no more", before.name))
        }));
        steps
    }

    fn people(&self) -> Option<Step> {
        let (before, next) = (self.before, self.next);
        let is_other = before.roll() != next.roll() || before.quorum != next.quorum;
        is_other.then(|| Step {
            risk: Some("from then on they decide, and nobody else".to_owned()),
            ..Step::of(format!(
                "officials: {} of {} decide, where {} of {} did; a quorum of both signs",
                next.quorum,
                next.officials.len(),
                before.quorum,
                before.officials.len()
            ))
        })
    }

    fn stored(&self, database: &Database) -> Option<&SeenDatabase> {
        self.seen.as_ref()?.databases.iter().find(|seen| seen.database == database.name.as_str())
    }

    /// Bytes that lie at one site of a database.
    fn at_one_site(&self, database: &Database) -> Option<u64> {
        self.stored(database).map(|seen| seen.stored_bytes.div_ceil(u64::from(database.data_shards.max(1))))
    }

    fn site(&self, site: &Site) -> Vec<Step> {
        let mut steps = Vec::new();
        let was = self.before.site(&site.name);
        if was.is_none() {
            steps.push(Step::of(format!("site {} joins, in {}", site.name, site.jurisdiction)));
        }
        if let Some(gone) = site.succeeds.as_ref().filter(|_gone| was.is_none()) {
            steps.push(self.take_over(site, gone));
        }
        let state = was.map(|was| was.state);
        let successor = self.next.sites.iter().find(|later| later.succeeds.as_ref() == Some(&site.name));
        if state == Some(SiteState::Active) && matches!(site.state, SiteState::Lost | SiteState::Expelled) {
            let what = format!("site {} is put out: every site refuses it from then on", site.name);
            steps.push(Step { risk: self.without(&site.name, successor.is_some()), ..Step::of(what) });
        }
        steps
    }

    /// A successor remakes what its predecessor held from the others: a shard from as many as decode one.
    fn take_over(&self, site: &Site, gone: &SiteName) -> Step {
        let held = || self.before.databases.iter().filter(|database| database.placement.contains(gone));
        let fetched: Option<u64> = held().map(|database| self.stored(database).map(|seen| seen.stored_bytes)).sum();
        let written: Option<u64> = held().map(|database| self.at_one_site(database)).sum();
        let kept = written.map_or_else(String::new, |bytes| format!(", {} of them its own", human(bytes)));
        Step {
            bytes: fetched,
            seconds: fetched.map(|bytes| bytes.div_ceil(self.bytes_per_second)),
            risk: Some(format!("until it has them, its places count as missing{kept}")),
            ..Step::of(format!("site {} takes over every shard and share of {gone} from the other sites", site.name))
        }
    }

    /// What is left without a site that nobody has succeeded yet.
    fn without(&self, gone: &SiteName, has_successor: bool) -> Option<String> {
        let left = |names: &[SiteName]| {
            names.iter().filter(|name| *name != gone && self.next.active_site(name).is_some()).count()
        };
        let of_database = |database: &Database| {
            let is_held = database.placement.contains(gone) || database.custodians.contains(gone);
            is_held.then(|| {
                format!(
                    "{}: {} shards of {} needed and {} shares of {} are left",
                    database.name,
                    left(&database.placement),
                    database.data_shards,
                    left(&database.custodians),
                    database.threshold
                )
            })
        };
        let held: Vec<String> = self.before.databases.iter().filter_map(of_database).collect();
        let until = if has_successor { "until its successor has taken over" } else { "for good: nobody succeeds it" };
        (!held.is_empty()).then(|| format!("{} {until}", held.join("; ")))
    }

    fn database(&self, before: &Database, after: &Database) -> Vec<Step> {
        let mut steps = Vec::new();
        let name = &after.name;
        let moved = self.moved(&before.placement, &after.placement);
        if moved || before.data_shards != after.data_shards {
            let sites = u64::try_from(after.placement.len()).unwrap_or(u64::MAX);
            let bytes = self
                .stored(after)
                .map(|seen| seen.stored_bytes.saturating_mul(sites).div_ceil(u64::from(after.data_shards.max(1))));
            steps.push(Step {
                bytes,
                risk: Some("older snapshots stay where and as they lie, for as long as they are kept".to_owned()),
                ..Step::of(format!(
                    "{name}: the next backup stores everything anew, {} of {} sites rebuild it; at the most that much",
                    after.data_shards,
                    after.placement.len()
                ))
            });
        }
        if self.moved(&before.custodians, &after.custodians) || before.threshold != after.threshold {
            let shares = u64::from(after.threshold) * u64::try_from(after.custodians.len()).unwrap_or(u64::MAX);
            let seconds = self
                .stored(after)
                .map(|seen| (seen.snapshot_count * RESHARE_MS).saturating_mul(shares).div_ceil(RESHARE_SHARES * 1_000));
            steps.push(Step {
                seconds,
                risk: Some(
                    "until it is done the shares of before open it; a custodian that is away holds it up".to_owned(),
                ),
                ..Step::of(format!(
                    "{name}: the keys of all its snapshots are shared anew, {} of {} open them where {} of {} did",
                    after.threshold,
                    after.custodians.len(),
                    before.threshold,
                    before.custodians.len()
                ))
            });
        }
        if before.writers != after.writers {
            steps.push(Step::of(format!(
                "{name}: other keys may write; whoever has an old one publishes nothing any more"
            )));
        }
        if before.retention != after.retention || before.quarantine != after.quarantine {
            let delay = before.retention.as_ref().map_or(14 * 86_400, |rules| rules.delay_seconds);
            steps.push(Step {
                seconds: Some(delay),
                risk: Some("in this time any one official can veto it: legation charter veto".to_owned()),
                ..Step::of(format!(
                    "{name}: other rules of what is kept; nothing goes by them before the delay is over"
                ))
            });
        }
        steps
    }

    /// Whether other sites hold something, those aside who take over what others held.
    fn moved(&self, before: &[SiteName], after: &[SiteName]) -> bool {
        let predecessor = |name: &SiteName| {
            let site = self.next.site(name).filter(|_site| self.before.site(name).is_none());
            site.and_then(|site| site.succeeds.clone()).unwrap_or_else(|| name.clone())
        };
        let after: Vec<SiteName> = after.iter().map(predecessor).collect();
        before != after
    }
}

fn words(changes: &Changes<'_>, steps: &[Step]) -> String {
    let mut lines = vec![format!(
        "charter {} follows {}; no coalition could read a database or take it away",
        changes.next.version, changes.before.version
    )];
    if changes.seen.is_none() {
        lines.push("  without --status nothing is known of bytes and times".to_owned());
    }
    if steps.is_empty() {
        lines.push("  nothing changes but its number".to_owned());
    }
    for (number, step) in steps.iter().enumerate() {
        let bytes = step.bytes.map(|bytes| format!("{} move", human(bytes)));
        let time = step.seconds.map(|seconds| format!("about {}", duration(seconds.saturating_mul(1_000))));
        let cost: Vec<String> = bytes.into_iter().chain(time).collect();
        let cost = if cost.is_empty() { String::new() } else { format!(" ({})", cost.join(", ")) };
        lines.push(format!("  {}. {}{cost}", number + 1, step.what));
        lines.extend(step.risk.iter().map(|risk| format!("     risk: {risk}")));
    }
    let joining: BTreeSet<&SiteName> =
        changes.next.sites.iter().map(|site| &site.name).filter(|name| changes.before.site(name).is_none()).collect();
    if !joining.is_empty() {
        lines.push("  compare the words of those who join over the phone: legation site request FILE".to_owned());
    }
    lines.join("\n")
}
