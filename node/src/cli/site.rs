//! `legation site`: a machine that holds shards and shares.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use protocol::document::{JoinRequest, Roles, Site, SiteKind, SiteState, Veto};
use protocol::identifier::{DatabaseName, SiteName};
use protocol::signature::Signed;
use serde_json::json;

use super::expel::ExpelArguments;
use super::keys::Passphrases;
use super::move_store::{self, MoveStoreArguments};
use super::pace::PaceArguments;
use super::site_request::{self, RequestArguments};
use super::{Failure, Output, documents, expel, fingerprint, runtime, scrub};
use crate::daemon::{self, SiteOptions};
use crate::keystore::read_key_header;
use crate::shard_store::{ScrubOptions, StoreOptions, StorePlace};
use crate::status::Expectations;

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum SiteCommand {
    /// Make a site: DIR/site.key stays here, DIR/join-request.txt goes to whoever drafts the charter.
    #[command(after_help = "Example: legation site init --dir /var/lib/legation --name lu-vault --kind data-centre \
                            --jurisdiction LU --address /dns4/vault.example.lu/tcp/7000")]
    Init(InitArguments),
    /// Join the mesh and serve until stopped.
    #[command(after_help = "Example: legation site run --dir /var/lib/legation --charter charter.txt")]
    Run(RunArguments),
    /// Show a join request, its fingerprint in words, and as a QR code.
    Request(RequestArguments),
    /// Move all shards to another place: from files to object storage, back, or to another bucket.
    MoveStore(MoveStoreArguments),
    /// Read every shard now and compare it with its root. The site must not be running; while it runs, it does this
    /// itself, slowly, about once in 30 days.
    #[command(after_help = "Example: legation site scrub --dir /var/lib/legation\n\
                            Ends with 6 when a shard is rotten or missing.")]
    Scrub {
        /// The site.
        #[arg(long, env = "LEGATION_DIR")]
        dir: PathBuf,
    },
    /// Draft the charter that puts a site out, seized or lost, and names the one that takes its place.
    #[command(after_help = "Example: legation site expel fr-embassy --seized --successor pt-centre/join-request.txt \
                            --charter charter.txt --out charter-2.txt\n\
                            Nothing changes before a quorum of officials has signed it.")]
    Expel(ExpelArguments),
    /// Show the site's identity, what it holds and the release log it keeps. The site must not be running.
    #[command(after_help = "Example: legation site show --dir /var/lib/legation")]
    Show {
        /// The site.
        #[arg(long, env = "LEGATION_DIR")]
        dir: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Home,
    Embassy,
    DataCentre,
    Cloud,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    Shards,
    Shares,
}

/// How to make a site.
#[derive(Debug, clap::Args)]
pub(super) struct InitArguments {
    /// Where the site keeps its key, state and shards.
    #[arg(long, env = "LEGATION_DIR")]
    dir: PathBuf,
    /// Its name in the charter, for ever: a-z, 0-9 and '-'.
    #[arg(long)]
    name: SiteName,
    /// What kind of place it is.
    #[arg(long, value_enum)]
    kind: Kind,
    /// Whose law holds there: two capital letters (ISO 3166).
    #[arg(long)]
    jurisdiction: String,
    /// Multiaddr where others reach it; may be given several times.
    #[arg(long = "address", required = true)]
    addresses: Vec<String>,
    /// What it will hold.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["shards", "shares"])]
    roles: Vec<Role>,
    /// Who owns the building.
    #[arg(long)]
    owner: Option<String>,
    /// The cloud vendor.
    #[arg(long)]
    vendor: Option<String>,
    /// The network.
    #[arg(long)]
    network: Option<String>,
}

/// How to run a site.
#[derive(Debug, clap::Args)]
pub(super) struct RunArguments {
    /// The site.
    #[arg(long, env = "LEGATION_DIR")]
    dir: PathBuf,
    /// The charter, needed once.
    #[arg(long, value_name = "FILE")]
    charter: Option<PathBuf>,
    /// A veto against what a charter lets go, for this site and all others; may be given several times.
    #[arg(long = "veto", value_name = "FILE")]
    vetoes: Vec<PathBuf>,
    /// Listen here instead of at the charter's addresses; may be given several times.
    #[arg(long)]
    listen: Vec<String>,
    /// The most that shards may take, in MiB.
    #[arg(long)]
    capacity_mib: Option<u64>,
    /// Where the shards are to lie, for a site that has none yet: files, or s3://BUCKET/PREFIX (keys and region from AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL). Later starts know it.
    #[arg(long, value_name = "PLACE")]
    store: Option<StorePlace>,
    /// Read the whole store through once in so many days, looking for rot; a small store faster, at 1 MiB/s.
    #[arg(long, default_value_t = 30, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=3650))]
    scrub_days: u64,
    #[command(flatten)]
    pace: PaceArguments,
    /// Serve /status, /metrics (Prometheus) and /healthz here, as in 127.0.0.1:9640. Whoever reaches it may read it.
    #[arg(long, value_name = "ADDRESS")]
    http: Option<std::net::SocketAddr>,
    /// How old the newest snapshot of a database may become before it is an alarm, as in 26h or land-register=2h; may be
    /// given several times. Otherwise the charter's RPO holds, or 26h.
    #[arg(long, value_name = "[DATABASE=]TIME", value_parser = parse_age)]
    age_max: Vec<(Option<DatabaseName>, Duration)>,
}

fn key_path(dir: &Path) -> PathBuf {
    dir.join("site.key")
}

pub(super) fn run(command: SiteCommand, passphrases: &Passphrases, output: &Output) -> Result<(), Failure> {
    match command {
        SiteCommand::Init(arguments) => init(arguments, passphrases, output),
        SiteCommand::Run(arguments) => serve(&arguments, passphrases, output),
        SiteCommand::Scrub { dir } => scrub::run(&dir, output),
        SiteCommand::Request(arguments) => site_request::run(&arguments, output),
        SiteCommand::MoveStore(arguments) => move_store::run(&arguments, output),
        SiteCommand::Expel(arguments) => expel::run(&arguments, output),
        SiteCommand::Show { dir } => show(&dir, output),
    }
}

fn init(arguments: InitArguments, passphrases: &Passphrases, output: &Output) -> Result<(), Failure> {
    let dir = &arguments.dir;
    std::fs::create_dir_all(dir).map_err(|error| Failure::file(dir, &error))?;
    let keys = passphrases.new_site(&key_path(dir), &arguments.name)?;
    let site = Site {
        name: arguments.name,
        kind: match arguments.kind {
            Kind::Home => SiteKind::Home,
            Kind::Embassy => SiteKind::Embassy,
            Kind::DataCentre => SiteKind::DataCentre,
            Kind::Cloud => SiteKind::Cloud,
        },
        jurisdiction: arguments.jurisdiction,
        owner: arguments.owner,
        vendor: arguments.vendor,
        network: arguments.network,
        roles: Roles {
            shards: arguments.roles.contains(&Role::Shards),
            shares: arguments.roles.contains(&Role::Shares),
        },
        identity: keys.identity.public(),
        sealing_key: keys.sealing.public().as_bytes().to_vec(),
        addresses: arguments.addresses,
        state: SiteState::Active,
        succeeds: None,
        agreement: None,
    };
    let path = dir.join("join-request.txt");
    let name = site.name.clone();
    let signed = Signed::sign_new(JoinRequest { site }, &keys.identity)?;
    let (fingerprint, words) = (signed.digest(), fingerprint::words(&signed.digest()));
    documents::write(&path, &signed, &format!("Site {name} asks to join\nFingerprint {fingerprint}"))?;
    let value = json!({ "name": name, "identity": keys.identity.public().to_string(),
                        "fingerprint": fingerprint.to_string(), "fingerprint_words": words, "join_request": path });
    output.result(&value, || {
        format!(
            "site {name}\n  identity    {}\n  fingerprint {fingerprint}\n  in words    {words}\n  send {} to whoever drafts the \
             charter, and read the words to them over the phone",
            keys.identity.public(),
            path.display()
        )
    });
    Ok(())
}

fn serve(arguments: &RunArguments, passphrases: &Passphrases, output: &Output) -> Result<(), Failure> {
    let dir = &arguments.dir;
    let charters = documents::charter_of(dir, arguments.charter.as_deref())?;
    let keys = passphrases.site(&key_path(dir))?;
    let capacity_bytes = arguments.capacity_mib.map(|mib| mib.saturating_mul(1 << 20));
    let store = StoreOptions {
        capacity_bytes,
        place: arguments.store.clone(),
        owner: Some(move_store::owner(dir)?),
        ..StoreOptions::default()
    };
    let veto = |file: &PathBuf| documents::read::<Veto>(file).map(|signed| signed.encode());
    let options = SiteOptions {
        vetoes: arguments.vetoes.iter().map(veto).collect::<Result<_, Failure>>()?,
        listen: arguments.listen.clone(),
        store,
        pace: arguments.pace.pace(),
        http: arguments.http,
        expectations: expectations(&arguments.age_max),
        scrub: ScrubOptions::once_in_days(arguments.scrub_days),
        #[cfg(feature = "test-hooks")]
        lie: daemon::Lie::from_environment(),
    };
    let name = keys.name.clone();
    runtime()?.block_on(async {
        let mut site = daemon::Site::start(dir, charters, keys, options).await?;
        let value = json!({ "serving": name, "peer": site.mesh().me().to_string() });
        output.result(&value, || format!("site {name} is serving as {}", site.mesh().me()));
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map_err(Failure::unexpected)?;
        tokio::select! {
            _interrupt = tokio::signal::ctrl_c() => Ok(()),
            _terminate = terminate.recv() => Ok(()),
            () = site.failed() => Err(Failure::unexpected("a task of the site ended; see the log")),
        }
    })
}

fn parse_age(text: &str) -> Result<(Option<DatabaseName>, Duration), String> {
    let (database, age) = match text.split_once('=') {
        Some((name, age)) => (Some(name.parse::<DatabaseName>().map_err(|error| error.to_string())?), age),
        None => (None, text),
    };
    let age = humantime::parse_duration(age).map_err(|error| format!("{error}; write 26h or land-register=2h"))?;
    Ok((database, age))
}

fn expectations(ages: &[(Option<DatabaseName>, Duration)]) -> Expectations {
    let mut expectations = Expectations::default();
    for (database, age) in ages {
        match database {
            Some(database) => drop(expectations.of_database.insert(database.clone(), *age)),
            None => expectations.everywhere = Some(*age),
        }
    }
    expectations
}

fn show(dir: &Path, output: &Output) -> Result<(), Failure> {
    let header = read_key_header(&key_path(dir))?;
    let records = daemon::inspect::inspect(dir)?;
    let mut value = json!({ "public": header.public });
    if let (Some(object), Ok(serde_json::Value::Object(more))) = (value.as_object_mut(), serde_json::to_value(&records))
    {
        object.extend(more);
    }
    output.result(&value, || {
        let name = header.public.get("Name").cloned().unwrap_or_default();
        let mut lines = vec![
            format!("site {name}"),
            format!("  identity  {}", header.public.get("Key").cloned().unwrap_or_default()),
            format!("  shards    {} in {} bytes", records.shard_count, records.shard_bytes),
            format!("  snapshots {} known, {} shares held", records.manifest_count, records.share_count),
            format!("  release log: {} entries", records.release_log.len()),
        ];
        lines.extend(records.release_log.iter().map(|entry| format!("    {entry}")));
        lines.join("\n")
    });
    Ok(())
}
