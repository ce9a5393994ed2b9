//! `legation charter`: the founding document and its successors.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use protocol::document::{Agreement, Charter, CharterChain, Database, SiteState, Veto};
use protocol::machine::Announcement;
use protocol::placement::coalition::coalitions;
use protocol::signature::Signed;
use protocol::timestamp::Timestamp;
use protocol::wire::{Request, Response};
use serde_json::json;
use shard_codec::Digest;

use super::charter_changes::{self, ChangesArguments};
use super::home::HomeArguments;
use super::keys::Passphrases;
use super::veto::VetoArguments;
use super::{Failure, Output, charter_plan, documents, quarantine_plan, retention_plan, runtime, veto};
use crate::network::{Link, Mesh, MeshOptions};

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum CharterCommand {
    /// Draft a charter from a plan; refused if one coalition could read or destroy a database.
    #[command(after_help = "Example: legation charter draft --plan charter.toml --out charter.txt\n\
                            The plan is explained in docs/operations/charter-plan.md.")]
    Draft {
        /// The plan (TOML).
        #[arg(long)]
        plan: PathBuf,
        /// Where to write the draft.
        #[arg(long)]
        out: PathBuf,
        /// The charter that this one follows; absent for the first.
        #[arg(long, value_name = "FILE")]
        previous: Option<PathBuf>,
    },
    /// What the next charter changes: what moves, how long it takes, what each step risks.
    Plan(ChangesArguments),
    /// Sign the newest version in a file, in place. Compare the digest with the others first.
    #[command(after_help = "Example: legation charter sign charter.txt --key minister.key")]
    Sign {
        /// The charter.
        file: PathBuf,
        /// The official's key.
        #[arg(long)]
        key: PathBuf,
    },
    /// Put the signatures of several copies together.
    #[command(after_help = "Example: legation charter merge from-tallinn.txt from-paris.txt --out charter.txt")]
    Merge {
        /// Copies of the same charter.
        #[arg(required = true, num_args = 2..)]
        files: Vec<PathBuf>,
        /// Where to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// Show a charter in words: officials, sites, coalitions, databases.
    #[command(after_help = "Example: legation charter show charter.txt")]
    Show {
        /// The charter.
        file: PathBuf,
    },
    /// Verify the whole chain of signatures; exit code 3 if it does not hold.
    #[command(after_help = "Example: legation charter verify charter.txt --state 5f2a...")]
    Verify {
        /// The charter.
        file: PathBuf,
        /// The digest of the first version, if you know it from elsewhere. You should.
        #[arg(long)]
        state: Option<Digest>,
    },
    /// Bring a signed charter to the sites, and vetoes against what it lets go.
    #[command(after_help = "Example: legation charter publish --dir /var/lib/legation --charter charter.txt")]
    Publish {
        #[command(flatten)]
        home: HomeArguments,
        /// A veto to bring along; may be given several times.
        #[arg(long = "veto", value_name = "FILE")]
        vetoes: Vec<PathBuf>,
    },
    /// Veto what a charter lets go: one official is enough, best before the delay is over.
    #[command(after_help = "Example: legation charter veto --charter charter.txt --key justice.key \
                            --reason 'not what we decided' --out veto.txt")]
    Veto(VetoArguments),
}

pub(super) fn run(command: CharterCommand, passphrases: &Passphrases, output: &Output) -> Result<(), Failure> {
    match command {
        CharterCommand::Draft { plan, out, previous } => draft(&plan, &out, previous.as_deref(), output),
        CharterCommand::Plan(arguments) => charter_changes::run(&arguments, output),
        CharterCommand::Sign { file, key } => sign(&file, &key, passphrases, output),
        CharterCommand::Merge { files, out } => merge(&files, &out, output),
        CharterCommand::Show { file } => show(&documents::read_charters(&file)?, output),
        CharterCommand::Verify { file, state } => verify(&file, state, output),
        CharterCommand::Publish { home, vetoes } => publish(&home, &vetoes, passphrases, output),
        CharterCommand::Veto(arguments) => veto::run(&arguments, passphrases, output),
    }
}

fn draft(plan: &Path, out: &Path, previous: Option<&Path>, output: &Output) -> Result<(), Failure> {
    // A draft cannot follow what was never founded, or what does not hold.
    let previous = previous.map(|file| documents::read_chain(file, None)).transpose()?;
    let mut charters: Vec<_> = previous.iter().flat_map(CharterChain::iter).cloned().collect();
    let charter = charter_plan::draft(plan, (!charters.is_empty()).then_some(&charters))?;
    charter_changes::refuse(&charter)?;
    let signed = Signed::draft(charter).map_err(Failure::refused)?;
    charters.push(signed);
    documents::write_charters(out, &charters)?;
    show(&charters, output)
}

fn newest(charters: &mut [Signed<Charter>]) -> Result<&mut Signed<Charter>, Failure> {
    charters.last_mut().ok_or_else(|| Failure::usage("no charter"))
}

fn sign(file: &Path, key: &Path, passphrases: &Passphrases, output: &Output) -> Result<(), Failure> {
    let mut charters = documents::read_charters(file)?;
    let signed = newest(&mut charters)?;
    let keypair = passphrases.official(key)?;
    signed.sign(&keypair);
    documents::write_charters(file, &charters)?;
    show(&charters, output)
}

fn merge(files: &[PathBuf], out: &Path, output: &Output) -> Result<(), Failure> {
    let mut merged = documents::read_charters(files.first().ok_or_else(|| Failure::usage("no files"))?)?;
    for file in files.iter().skip(1) {
        let mut other = documents::read_charters(file)?;
        if !newest(&mut merged)?.merge(newest(&mut other)?) {
            return Err(Failure::refused(format!("{}: is another charter than the first file's", file.display())));
        }
    }
    documents::write_charters(out, &merged)?;
    show(&merged, output)
}

fn show(charters: &[Signed<Charter>], output: &Output) -> Result<(), Failure> {
    let (Some(first), Some(newest)) = (charters.first(), charters.last()) else {
        return Err(Failure::usage("no charter"));
    };
    let charter = newest.document();
    let signers = documents::signers_of(newest, charter);
    let value = json!({ "state": first.digest().to_string(), "version": charter.version,
        "digest": newest.digest().to_string(), "quorum": charter.quorum, "signed_by": signers, "charter": describe(charter) });
    output.result(&value, || words(first.digest(), newest, &signers));
    Ok(())
}

fn describe(charter: &Charter) -> serde_json::Value {
    let sites = charter.sites.iter().map(|site| {
        json!({ "name": site.name, "kind": site.kind, "jurisdiction": site.jurisdiction, "state": site.state,
                "succeeds": site.succeeds, "agreement": site.agreement, "identity": site.identity.to_string(), "addresses": site.addresses,
                "roles": site.roles })
    });
    let databases = charter.databases.iter().map(|database| {
        json!({ "name": database.name, "data_shards": database.data_shards, "total_shards": database.placement.len(),
                "threshold": database.threshold, "placement": database.placement, "custodians": database.custodians,
                "quota_bytes": database.quota_bytes, "rpo_seconds": database.rpo_seconds,
                "refresh_days": database.refresh_days, "retention": database.retention })
    });
    json!({ "state_name": charter.state_name,
            "officials": charter.officials.iter().map(|official| &official.name).collect::<Vec<_>>(),
            "sites": sites.collect::<Vec<_>>(), "databases": databases.collect::<Vec<_>>() })
}

fn words(state: Digest, newest: &Signed<Charter>, signers: &[String]) -> String {
    let charter = newest.document();
    let mut lines = vec![
        format!("Charter {} of {}", charter.version, charter.state_name),
        format!("  state   {state}"),
        format!("  digest  {}", newest.digest()),
        format!("  officials ({} of {} decide)", charter.quorum, charter.officials.len()),
    ];
    for official in &charter.officials {
        let mark = if signers.contains(&official.name) { "signed" } else { "      " };
        lines.push(format!("    {mark}  {}", official.name));
    }
    lines.push("  sites".to_owned());
    for site in &charter.sites {
        let state = if site.state == SiteState::Active { String::new() } else { format!("  {:?}", site.state) };
        let place = site.succeeds.as_ref().map_or_else(String::new, |gone| format!("  in the place of {gone}"));
        lines.push(format!("    {:<20} {:?} in {}{state}{place}", site.name, site.kind, site.jurisdiction));
        lines.extend(site.agreement.as_ref().map(words_of_agreement));
    }
    lines.push("  coalitions of more than one site".to_owned());
    for coalition in coalitions(charter).iter().filter(|coalition| coalition.sites.len() > 1) {
        let names: Vec<&str> = coalition.sites.iter().map(protocol::identifier::SiteName::as_str).collect();
        lines.push(format!("    {}: {}", coalition.bond, names.join(", ")));
    }
    for database in &charter.databases {
        lines.push(format!(
            "  database {}: any {} of {} sites rebuild it, {} of {} shares open it: up to {} sites may be lost, and fewer than \
             {} together read nothing",
            database.name,
            database.data_shards,
            database.placement.len(),
            database.threshold,
            database.custodians.len(),
            losable(database),
            database.threshold,
        ));
        if let Some(rpo) = database.rpo_seconds {
            let rpo = humantime::format_duration(std::time::Duration::from_secs(rpo));
            lines.push(format!("    a newest snapshot older than {rpo} is an alarm"));
        }
        if let Some(days) = database.refresh_days {
            lines.push(format!("    its shares are dealt anew every {days} days"));
        }
        let rules = retention_plan::words(database.retention.as_ref()).into_iter();
        let rules = rules.chain(quarantine_plan::words(database.quarantine.as_ref()));
        lines.extend(rules.map(|rule| format!("    {rule}")));
    }
    lines.join("\n")
}

fn words_of_agreement(agreement: &Agreement) -> String {
    let Agreement { reference, in_force, expires, inviolable, emergency_entry, distance_km } = agreement;
    let day = |moment: Timestamp| moment.to_string().chars().take(10).collect::<String>();
    let mut words = vec![reference.clone()];
    words.extend(in_force.map(|begins| format!("since {}", day(begins))));
    words.push(expires.map_or_else(|| "without an end".to_owned(), |ends| format!("until {}", day(ends))));
    words.push(if *inviolable { "inviolable" } else { "not inviolable" }.to_owned());
    words.extend(emergency_entry.then(|| "entry in an emergency".to_owned()));
    words.extend(distance_km.map(|km| format!("{km} km from home")));
    format!("      {}", words.join(", "))
}

/// How many sites may be lost whichever they are, by the numbers alone.
fn losable(database: &Database) -> usize {
    let shards = database.placement.len().saturating_sub(database.data_shards.into());
    shards.min(database.custodians.len().saturating_sub(database.threshold.into()))
}

fn verify(file: &Path, state: Option<Digest>, output: &Output) -> Result<(), Failure> {
    let chain = documents::read_chain(file, state)?;
    let value = json!({ "valid": true, "state": chain.state().to_string(), "version": chain.charter().version,
                        "state_pinned": state.is_some() });
    output.result(&value, || {
        let pinned = match state {
            Some(_) => "the state digest is the one you gave".to_owned(),
            None => "compare the state digest with one you got from elsewhere".to_owned(),
        };
        format!("valid: versions 1 to {}\n  state {}\n  {pinned}", chain.charter().version, chain.state())
    });
    Ok(())
}

fn publish(
    home: &HomeArguments,
    vetoes: &[PathBuf],
    passphrases: &Passphrases,
    output: &Output,
) -> Result<(), Failure> {
    let (keys, chain) = home.open(passphrases)?;
    let mut announcements = vec![Announcement::Charter(chain.newest().encode().into())];
    for file in vetoes {
        announcements.push(Announcement::Veto(documents::read::<Veto>(file)?.encode().into()));
    }
    let told = runtime()?.block_on(async {
        let (mesh, _events) = Mesh::start(&keys.writer, &MeshOptions::default()).await?;
        let mut told = Vec::new();
        for site in chain.charter().active_sites() {
            let mut link = Link::new(mesh.clone(), site);
            let mut result = Ok(Response::Done);
            for announcement in &announcements {
                if result.is_ok() {
                    result = link.call(&Request::Announce(announcement.clone())).await;
                }
            }
            told.push((
                site.name.to_string(),
                result.map_or_else(|error| error.to_string(), |_done| "has it".to_owned()),
            ));
        }
        Ok::<_, Failure>(told)
    })?;
    let value = json!({ "version": chain.charter().version, "sites": told });
    output
        .result(&value, || told.iter().map(|(site, words)| format!("{site}: {words}")).collect::<Vec<_>>().join("\n"));
    Ok(())
}
