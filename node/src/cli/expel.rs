//! `legation site expel`: the charter that puts a site out, and the site that takes its place.

use std::path::PathBuf;

use protocol::document::{Charter, CharterChain, JoinRequest, Site, SiteState};
use protocol::identifier::SiteName;
use protocol::signature::Signed;
use protocol::timestamp::Timestamp;
use serde_json::json;

use super::{Failure, Output, documents};
use crate::clock;
use crate::status::HandoverStatus;

/// Whom, why, and who comes instead.
#[derive(Debug, clap::Args)]
pub(super) struct ExpelArguments {
    /// The site.
    name: SiteName,
    /// The charter as it is now.
    #[arg(long, value_name = "FILE")]
    charter: PathBuf,
    /// Where to write the draft that officials sign.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Somebody else has it, disks and keys; otherwise it counts as lost.
    #[arg(long, conflicts_with = "leaving")]
    seized: bool,
    /// It leaves in good order: it stays a member and keeps its places until its successor has taken over.
    #[arg(long, requires = "successor")]
    leaving: bool,
    /// For a site that leaves: what `legation status --json` said at another site, as proof that its successor has all.
    #[arg(long, value_name = "FILE")]
    status: Option<PathBuf>,
    /// The join request of the site that takes its place: it remakes what the other held from the remaining sites.
    #[arg(long, value_name = "JOIN_REQUEST")]
    successor: Option<PathBuf>,
}

pub(super) fn run(arguments: &ExpelArguments, output: &Output) -> Result<(), Failure> {
    let chain = documents::read_chain(&arguments.charter, None)?;
    let successor = arguments.successor.as_ref().map(|file| read_successor(file, &arguments.name)).transpose()?;
    let before = chain.charter();
    let is_vacant = |site: &Site| !before.sites.iter().any(|later| later.succeeds.as_ref() == Some(&site.name));
    let gone = before.site(&arguments.name);
    let gone = gone.filter(|site| site.is_member() || successor.is_some() && is_vacant(site));
    let gone = gone.ok_or_else(|| {
        let known: Vec<&str> = before.active_sites().map(|site| site.name.as_str()).collect();
        Failure::usage(format!("{} is no site that can be put out; these are: {}", arguments.name, known.join(", ")))
    })?;
    let state = match (arguments.seized, arguments.leaving) {
        (true, _) => SiteState::Expelled,
        (false, true) => SiteState::Draining,
        (false, false) => SiteState::Lost,
    };
    if state == SiteState::Lost && gone.state == SiteState::Draining {
        check_taken_over(&gone.name, before, arguments.status.as_deref())?;
    }
    let draft = draft(&chain, &gone.name, state, successor.as_ref());
    let signed = Signed::draft(draft).map_err(Failure::refused)?;
    let mut charters: Vec<_> = chain.iter().cloned().collect();
    charters.push(signed.clone());
    documents::write_charters(&arguments.out, &charters)?;
    let places = places(before, &gone.name);
    let by = successor.as_ref().map(|site| &site.name);
    let value = json!({ "version": signed.document().version, "digest": signed.digest().to_string(), "draft": arguments.out,
                        "expelled": gone.name, "seized": arguments.seized, "successor": by, "places": places });
    output.result(&value, || words(&signed, arguments, by, &places));
    Ok(())
}

/// The part of a status that is looked at.
#[derive(serde::Deserialize)]
struct SeenStatus {
    site: String,
    charter_version: u64,
    handovers: Vec<HandoverStatus>,
    databases: Vec<SeenDatabase>,
}

/// Whether a database has a snapshot there.
#[derive(serde::Deserialize)]
struct SeenDatabase {
    database: String,
    newest: Option<serde_json::Value>,
}

/// Nothing that a site holds is let go before another site is seen to have it.
fn check_taken_over(leaving: &SiteName, charter: &Charter, status: Option<&std::path::Path>) -> Result<(), Failure> {
    let file = status.ok_or_else(|| {
        Failure::refused(format!(
            "{leaving} is leaving: show that its successor has all, with --status FILE from 'legation status --json' at \
             another site; or say --seized if it cannot be waited for"
        ))
    })?;
    let seen: SeenStatus = documents::read_status(file)?;
    let handover = seen.handovers.iter().find(|handover| handover.site == leaving.as_str());
    let handover = handover.ok_or_else(|| {
        Failure::refused(format!("{} at {} does not know that {leaving} is leaving", file.display(), seen.site))
    })?;
    if seen.site == leaving.as_str() || seen.site == handover.successor {
        let why = format!("{leaving} does not speak for its successor, nor does that for itself: ask another site");
        return Err(Failure::refused(why));
    }
    if seen.charter_version != charter.version {
        let (seen_version, version) = (seen.charter_version, charter.version);
        return Err(Failure::refused(format!(
            "a status under charter version {seen_version}, not {version}: ask again"
        )));
    }
    if let Some(unknown) = seen.databases.iter().find(|one| one.newest.is_none()) {
        let (site, database) = (&seen.site, &unknown.database);
        return Err(Failure::refused(format!("{site} knows no snapshot of {database}: ask a site that does")));
    }
    if handover.is_whole() {
        return Ok(());
    }
    let HandoverStatus { successor, missing_shard_count, missing_share_count, .. } = handover;
    Err(Failure::refused(format!(
        "{successor} has still to take over {missing_shard_count} shards and {missing_share_count} shares: wait"
    )))
}

fn read_successor(file: &std::path::Path, gone: &SiteName) -> Result<Site, Failure> {
    let signed = documents::read::<JoinRequest>(file)?;
    let site = signed.verify()?.clone();
    Ok(Site { state: SiteState::Active, succeeds: Some(gone.clone()), agreement: None, ..site })
}

fn draft(chain: &CharterChain, gone: &SiteName, state: SiteState, successor: Option<&Site>) -> Charter {
    let before = chain.charter();
    let mut next = Charter {
        version: before.version + 1,
        genesis: Some(chain.state()),
        previous: Some(chain.newest().digest()),
        drafted: Timestamp::from_unix_ms(clock::now_ms()),
        ..before.clone()
    };
    next.sites.iter_mut().filter(|site| site.name == *gone).for_each(|site| site.state = state);
    if let Some(successor) = successor {
        let lists = next.databases.iter_mut().flat_map(|entry| [&mut entry.placement, &mut entry.custodians]);
        lists.flatten().filter(|name| *name == gone).for_each(|name| name.clone_from(&successor.name));
        next.sites.push(successor.clone());
    }
    next
}

/// What a site holds of a database.
#[derive(Debug, serde::Serialize)]
struct Place {
    database: protocol::identifier::DatabaseName,
    holds_shards: bool,
    holds_shares: bool,
    /// Sites whose shards are enough, of so many that remain.
    data_shards: u8,
    shard_sites_left: usize,
    /// Shares that are enough, of so many that remain.
    threshold: u8,
    share_sites_left: usize,
}

fn places(charter: &Charter, site: &SiteName) -> Vec<Place> {
    let left =
        |names: &[SiteName]| names.iter().filter(|name| *name != site && charter.active_site(name).is_some()).count();
    let places = charter.databases.iter().map(|entry| Place {
        database: entry.name.clone(),
        holds_shards: entry.placement.contains(site),
        holds_shares: entry.custodians.contains(site),
        data_shards: entry.data_shards,
        shard_sites_left: left(&entry.placement),
        threshold: entry.threshold,
        share_sites_left: left(&entry.custodians),
    });
    places.filter(|place| place.holds_shards || place.holds_shares).collect()
}

fn words(signed: &Signed<Charter>, arguments: &ExpelArguments, by: Option<&SiteName>, places: &[Place]) -> String {
    let (name, version, out) = (&arguments.name, signed.document().version, arguments.out.display());
    let what = if arguments.leaving { "is leaving" } else { "is put out" };
    let mut lines = vec![format!("Charter {version}, digest {}: {name} {what}", signed.digest())];
    for place in places {
        lines.push(format!(
            "  {}: {} other sites hold shards and {} are enough; {} hold shares and {} are enough",
            place.database, place.shard_sites_left, place.data_shards, place.share_sites_left, place.threshold
        ));
    }
    lines.push(match by {
        Some(by) => format!(
            "  {by} takes its place in every snapshot there is: it remakes those shards and shares from the other sites, \
             without home and without a key"
        ),
        None if signed.document().sites.iter().any(|site| site.succeeds.as_ref() == Some(name)) => {
            "  its successor has taken over".to_owned()
        }
        None => "  nobody takes its place: what it held stays missing until this command is run again with --successor"
            .to_owned(),
    });
    if arguments.seized {
        lines.push(format!(
            "  whoever has {name} has one share of each snapshot made so far, and goes on having it: it counts for every \
             coalition he is in. Later snapshots are shared without it"
        ));
    }
    lines.push(format!("  next: officials sign it (legation charter sign {out}); then one site that runs is given it"));
    lines.push(format!(
        "    legation site run --charter {out}, or legation charter publish from home; it tells the others"
    ));
    if let Some(by) = by {
        lines.push(format!("  and {by} is started with it; legation status at any site shows it become whole"));
    }
    lines.join("\n")
}
