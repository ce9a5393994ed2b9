//! One snapshot of one database, from its source to receipts in several jurisdictions.

mod publish;
mod screen;
mod seal;
mod served_wrongly;
mod undelivered;
mod usable;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use protocol::contents::ContentsRoot;
use protocol::document::{CharterChain, Database, LiveStripes, Stripe};
use protocol::identifier::{DatabaseName, SiteName};
use protocol::placement::durability::Durability;
use protocol::signature::Keypair;
use screen::Screen;
use serde::Serialize;
use shard_codec::sealing::DedupSecret;
use tokio::sync::mpsc;

use super::pack::{self, InFlight, PackCounts, PackError, Packer, PackerParts, Piece};
use super::reach::Reach;
use super::survey::{Survey, SurveyError, list, survey};
use super::upload::{self, Sites, UploadError};
use crate::buffers::BufferPool;
use crate::chunk_index::{ChunkIndex, ChunkIndexError};
use crate::clock::Monotonic;
use crate::connector::{CaptureOptions, CaptureSummary, Source, open_capture};
use crate::machine_state::{AppendError, MachineState};
use crate::network::Mesh;
use crate::progress::Progress;
use crate::redb_file::RedbFileError;
use crate::screening::{Finding, Profiler};

/// Batches between reader and packer.
const BATCHES_MAX: usize = 1;
/// Bytes of stripe buffers that are kept for the next stripes.
const STRIPES_KEPT_BYTES_MAX: usize = 128 << 20;
/// Full stripes between packer and coder.
const FULL_STRIPES_MAX: usize = 1;

/// What a backup needs of the home.
pub struct BackupContext {
    /// Signs the manifest; also the identity on the mesh.
    pub writer: Keypair,
    /// Keys and names the chunks.
    pub dedup_secret: DedupSecret,
    /// Where chunks of this database lie already.
    pub index: Arc<ChunkIndex>,
    /// Keeps what is not delivered yet.
    pub state: MachineState,
    /// For consistent copies.
    pub capture: CaptureOptions,
    /// What is suspicious in the next snapshot was meant: it is shown, and not signed into the manifest.
    pub expects_change: bool,
}

/// Why there is no durable snapshot.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The mesh.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// The writer's key is not the database's.
    #[error("the key of this home may not write {database}: its charter entry names other writers")]
    NotWriter {
        /// The database.
        database: DatabaseName,
    },
    /// The source, or packing it.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// Too few sites.
    #[error("{error}; sites in trouble: {troubles}. What is stored stays: run the same command again to go on")]
    Upload {
        /// What happened.
        error: UploadError,
        /// Sites that were not good from the start.
        troubles: String,
    },
    /// Home's own files.
    #[error(transparent)]
    Index(#[from] ChunkIndexError),
    /// Home's own files.
    #[error(transparent)]
    State(#[from] AppendError),
    /// Home's own files.
    #[error(transparent)]
    File(#[from] RedbFileError),
    /// Sharing or sealing failed.
    #[error("cannot seal the snapshot: {0}")]
    Seal(String),
    /// The sites that answer do not show what this home signed last.
    #[error(
        "this home signed snapshot {sequence} of {database} before, but no site that answers shows it: signing another one \
         would fork the history. Bring the sites back that hold it and run the same command again. In trouble: {troubles}"
    )]
    NotShown {
        /// The database.
        database: DatabaseName,
        /// The snapshot that was signed last.
        sequence: u64,
        /// Sites in trouble.
        troubles: String,
    },
    /// A site holds another history.
    #[error("site {site} refuses the manifest: {why}")]
    Fork {
        /// The site.
        site: SiteName,
        /// Its words.
        why: String,
    },
    /// Not enough receipts.
    #[error("{}", not_durable(.0))]
    NotDurable(Box<BackupReport>),
    /// It looks as if its source was damaged.
    #[error("{}", quarantined(.0))]
    Quarantined(Box<BackupReport>),
    /// A thread died.
    #[error("a worker of the backup failed: {0}")]
    Worker(String),
}

fn not_durable(report: &BackupReport) -> String {
    let missing: Vec<String> = report.missing.iter().map(|(site, why)| format!("{site} ({why})")).collect();
    format!(
        "snapshot {} of {} is NOT DURABLE: {}. Missing: {}. What is stored stays; bring the missing sites back and run the \
         same command again{}",
        report.sequence,
        report.database,
        report.reach,
        missing.join("; "),
        in_quarantine(report).map_or_else(String::new, |why| format!(". And it is {why}"))
    )
}

fn quarantined(report: &BackupReport) -> String {
    format!(
        "snapshot {} of {} is stored and durable, but {}",
        report.sequence,
        report.database,
        in_quarantine(report).unwrap_or_default()
    )
}

/// Why, and what to do; `None` if it is not.
fn in_quarantine(report: &BackupReport) -> Option<String> {
    let figures: Vec<&str> = report.findings.iter().map(|finding| finding.figures.as_str()).collect();
    let figures = if figures.is_empty() { String::new() } else { format!(" ({})", figures.join("; ")) };
    let is_by_home = report.quarantine.iter().any(|reason| reason.starts_with("home says"));
    let meant = if is_by_home { "run the next backup with --expect-change, or " } else { "" };
    (!report.quarantine.is_empty()).then(|| {
        format!(
            "in QUARANTINE: {}{figures}. No earlier snapshot goes for its sake, and a restore of the latest passes it over. Look \
             at the source first: is it whole, can it be read? If the change was meant, {meant}have the officials accept this \
             one (quarantine.accepted in the charter)",
            report.quarantine.join("; ")
        )
    })
}

/// What a backup did.
#[derive(Clone, Debug, Serialize)]
pub struct BackupReport {
    /// The database.
    pub database: String,
    /// The snapshot.
    pub sequence: u64,
    /// Digest of its manifest.
    pub manifest: String,
    /// Who holds it by receipt.
    #[serde(flatten)]
    pub reach: Reach,
    /// Sites that gave no full receipt, and why.
    pub missing: BTreeMap<String, String>,
    /// What was packed.
    #[serde(flatten)]
    pub counts: PackCounts,
    /// New shards that this run brought to all sites together, in bytes; what it remade for a site is not counted.
    pub sent_bytes: u64,
    /// From start to last receipt.
    pub seconds: f64,
    /// Why it is in quarantine; empty if it is not.
    pub quarantine: Vec<String>,
    /// What home finds suspicious in it, expected or not.
    pub findings: Vec<Finding>,
    /// What the connector noticed.
    pub notes: Vec<String>,
}

/// Makes the next snapshot of `database` from `source`.
///
/// # Errors
/// As [`BackupError`]; `NotDurable` when it is stored, but not widely enough, `Quarantined` when it is, and suspicious.
pub async fn backup(
    context: &BackupContext,
    mesh: &Mesh,
    charters: CharterChain,
    database: &DatabaseName,
    source: &Source,
    progress: &Progress,
) -> Result<BackupReport, BackupError> {
    let started = Monotonic::start();
    let mut survey = survey(mesh, charters, None).await?;
    let entry = survey.database(database)?;
    if !entry.writers.contains(&context.writer.public()) {
        return Err(BackupError::NotWriter { database: database.clone() });
    }
    survey.read_history(database).await?;
    let published = publish::deliver_outbox(context, &mut survey, &entry).await?;
    publish::check_last_signed(context, &survey, database)?;
    undelivered::deliver(context, &mut survey, database, published).await?;
    let live = survey.catalog.history(database).map(|history| history.live_stripes().clone()).unwrap_or_default();
    let screen = Screen::prepare(context, &survey, database)?;
    let usable = usable::usable_stripes(context, &entry, &mut survey, (&live, &screen.accepted_stripes)).await?;

    let sites = Arc::new(Sites::new(&survey.links));
    let stripes = Known { usable: &usable.numbers, accepted: &screen.accepted_stripes };
    let packed = pack_and_upload(context, &entry, source, stripes, sites.clone(), progress);
    let packed = packed.map_err(|error| name_troubles(error, &survey))?;
    progress.say("sharing the key");

    let change = changes(&context.index, &live, packed.stripes, &packed.referenced)?;
    let before = publish::not_durable(&mut survey, database).await;
    let screened = screen.judge(&packed.profiler);
    let suspicions = if context.expects_change { Vec::new() } else { screened.suspicions.clone() };
    let sealed = seal::seal(context, &survey, &entry, change, (&packed.root, suspicions))?.after(before);
    let (findings, note) = screened.keep(context, database, &sealed)?;
    #[cfg(feature = "test-hooks")]
    {
        crate::fault_point::FaultPoint::Seal.pass();
        crate::entropy::wait_for_search("sealed");
    }
    let numbers = sealed.stripe_numbers();
    let published = publish::publish(context, &mut survey, &entry, &sealed, sites.failures()).await?;
    #[cfg(feature = "test-hooks")]
    crate::fault_point::FaultPoint::Published.pass();
    context.index.publish(&numbers, sealed.sequence())?;

    let mut report =
        report(database, &published, packed.counts, sites.stored_bytes(), &packed.summary, started.elapsed_ms());
    report.notes.extend(usable.note(&entry).into_iter().chain(note));
    let quarantined = survey.catalog.quarantined(database).remove(&published.sequence);
    report.quarantine = quarantined.map(|reasons| reasons.words()).unwrap_or_default();
    report.findings = findings;
    progress.finish();
    match (report.reach.durable, report.quarantine.is_empty()) {
        (true, true) => Ok(report),
        (true, false) => Err(BackupError::Quarantined(Box::new(report))),
        (false, _) => Err(BackupError::NotDurable(Box::new(report))),
    }
}

fn name_troubles(error: BackupError, survey: &Survey) -> BackupError {
    if let BackupError::Upload { error, .. } = error {
        return BackupError::Upload { error, troubles: list(&survey.troubles()) };
    }
    error
}

struct Packed {
    root: ContentsRoot,
    stripes: Vec<Stripe>,
    referenced: BTreeSet<u64>,
    counts: PackCounts,
    profiler: Profiler,
    summary: CaptureSummary,
}

/// Stripes of before.
#[derive(Clone, Copy)]
struct Known<'a> {
    /// That may be referred to.
    usable: &'a BTreeSet<u64>,
    /// Of the last accepted snapshot.
    accepted: &'a BTreeSet<u64>,
}

fn pack_and_upload(
    context: &BackupContext,
    entry: &Database,
    source: &Source,
    known: Known<'_>,
    sites: Arc<Sites>,
    progress: &Progress,
) -> Result<Packed, BackupError> {
    let (in_flight, buffers) = (InFlight::default(), BufferPool::new(STRIPES_KEPT_BYTES_MAX));
    let (send_stripes, stripes) = mpsc::channel(FULL_STRIPES_MAX);
    let parts = PackerParts {
        secret: &context.dedup_secret,
        index: &context.index,
        usable: known.usable,
        accepted: known.accepted,
        coding: entry.coding().map_err(BackupError::Seal)?,
        stripe_bytes: usize::try_from(entry.stripe_bytes).unwrap_or(usize::MAX),
        in_flight: in_flight.clone(),
        stripes: buffers.clone(),
        send: send_stripes,
    };
    let upload = upload::run(stripes, sites, entry, context.index.clone(), in_flight, buffers);
    // Two plain threads inside a scope may borrow; the runtime is told that this one blocks.
    let pack = || pack_source(parts, &context.capture, source, progress);
    let (packed, uploaded) = std::thread::scope(|scope| {
        let packing = scope.spawn(pack);
        let uploaded = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(upload));
        (packing.join(), uploaded)
    });
    let packed = packed.map_err(|_panic| BackupError::Worker("packing".to_owned()))?;
    let stripes = uploaded.map_err(|error| BackupError::Upload { error, troubles: String::new() })?;
    let Packing { root, referenced, counts, profiler, summary } = packed?;
    Ok(Packed { root, stripes, referenced, counts, profiler, summary })
}

struct Packing {
    root: ContentsRoot,
    referenced: BTreeSet<u64>,
    counts: PackCounts,
    profiler: Profiler,
    summary: CaptureSummary,
}

fn pack_source(
    parts: PackerParts<'_>,
    options: &CaptureOptions,
    source: &Source,
    progress: &Progress,
) -> Result<Packing, PackError> {
    let capture = open_capture(source, options)?;
    let (send, receive) = sync_channel::<Result<Piece, PackError>>(BATCHES_MAX);
    let stripe_bytes = parts.stripe_bytes;
    std::thread::scope(|scope| {
        // Owned in here: whichever way this ends, the reader's next send fails and it ends too.
        let receive = receive;
        let reader = scope.spawn(move || {
            if let Err(error) = pack::read_source(capture, stripe_bytes, progress, &send) {
                // The packer is waiting: it passes the error on.
                let _gone = send.send(Err(error));
            }
        });
        let mut packer = Packer::new(parts)?;
        let mut summary = None;
        while let Ok(piece) = receive.recv() {
            summary = packer.take(piece?)?.or(summary);
        }
        drop(reader.join());
        let summary = summary.ok_or(PackError::Stopped)?;
        let root = packer.finish()?;
        let (referenced, profiler) = (std::mem::take(&mut packer.referenced), std::mem::take(&mut packer.profiler));
        Ok(Packing { root, referenced, counts: packer.counts, profiler, summary })
    })
}

/// What the manifest says against the one before.
struct Change {
    added: Vec<Stripe>,
    dropped: Vec<u64>,
}

fn changes(
    index: &ChunkIndex,
    live: &LiveStripes,
    stored_now: Vec<Stripe>,
    referenced: &BTreeSet<u64>,
) -> Result<Change, BackupError> {
    let mut added: BTreeMap<u64, Stripe> = stored_now.into_iter().map(|stripe| (stripe.number, stripe)).collect();
    // Stripes of an interrupted run that turned out to be useful.
    for number in referenced.iter().filter(|number| live.get(**number).is_none()) {
        if added.contains_key(number) {
            continue;
        }
        let record = index.stripe(*number)?.ok_or(ChunkIndexError::UnknownStripe { stripe_number: *number })?;
        let roots = record.shards.iter().flat_map(|shard| shard.root).collect();
        added.insert(*number, Stripe { number: *number, payload_bytes: record.payload_bytes, roots });
    }
    let dropped = live.iter().map(|live| live.stripe.number).filter(|number| !referenced.contains(number)).collect();
    Ok(Change { added: added.into_values().collect(), dropped })
}

/// What publishing came to.
struct Published {
    sequence: u64,
    manifest: shard_codec::Digest,
    durability: Durability,
    missing: BTreeMap<SiteName, String>,
}

fn report(
    database: &DatabaseName,
    published: &Published,
    counts: PackCounts,
    sent_bytes: u64,
    summary: &CaptureSummary,
    elapsed_ms: u64,
) -> BackupReport {
    BackupReport {
        database: database.to_string(),
        sequence: published.sequence,
        manifest: published.manifest.to_string(),
        reach: (&published.durability).into(),
        missing: published.missing.iter().map(|(site, why)| (site.to_string(), why.clone())).collect(),
        counts,
        sent_bytes,
        seconds: crate::clock::seconds(elapsed_ms),
        quarantine: Vec::new(),
        findings: Vec::new(),
        notes: summary.notes.iter().map(ToString::to_string).collect(),
    }
}
