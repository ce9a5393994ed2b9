//! From a release order to a database on a clean machine. Needs nothing but the order, its recipient's key, the
//! charter (or its digest, which the order carries) and one address.

mod contents;
mod shares;
mod windows;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream;
use protocol::contents::{ContentsError, ContentsRoot, root_context};
use protocol::document::{CharterChain, Manifest, ReleaseOrder, Selector};
use protocol::identifier::{DatabaseName, SiteName};
use protocol::signature::Signed;
use serde::Serialize;
use shard_codec::sealing::{DedupSecret, open_root};
use shard_codec::share_sealing::SealingSecretKey;

use super::fetch::{FetchError, Fetcher};
use super::survey::{Survey, SurveyError, survey};
use crate::clock::Monotonic;
use crate::connector::{RestoreError as TargetError, RestoreTarget, Restorer};
use crate::network::Mesh;
use crate::progress::Progress;
use contents::ContentsReader;
use windows::{Opener, Windows};

/// Windows fetched and opened at once.
const WINDOWS_AT_ONCE: usize = 2;

/// Why nothing (or not all) was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The mesh.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// The order does not name the database.
    #[error("the order opens {ordered}, not {database}")]
    NotOrdered {
        /// What was asked for.
        database: DatabaseName,
        /// What the order opens.
        ordered: String,
    },
    /// There is no such snapshot.
    #[error("no site that answers knows {what}; sites in trouble: {troubles}")]
    NoSnapshot {
        /// What was looked for.
        what: String,
        /// Sites that did not answer well.
        troubles: String,
    },
    /// Too few good shares.
    #[error("only {found} of {threshold} shares needed for {database} snapshot {sequence}: {}", .missing.join("; "))]
    TooFewShares {
        /// The database.
        database: DatabaseName,
        /// The snapshot.
        sequence: u64,
        /// Good shares.
        found: usize,
        /// Shares needed.
        threshold: usize,
        /// Each custodian that gave none, and why.
        missing: Vec<String>,
        /// Whether every one of them said no because of the order.
        refused: bool,
    },
    /// The key does not open the root: shares or manifest are not what they seem.
    #[error("the snapshot's root does not open: {0}")]
    Root(String),
    /// The inner tree.
    #[error(transparent)]
    Contents(#[from] ContentsError),
    /// Too few good shards.
    #[error("{0}")]
    Fetch(#[from] FetchError),
    /// A chunk that is not what its hash says: the writer lied, or this program errs.
    #[error("a chunk of {path} does not open: {reason}")]
    Chunk {
        /// The file, or the contents.
        path: String,
        /// Why.
        reason: String,
    },
    /// The target.
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// Who restores, and under which order.
pub struct RestoreContext {
    /// The signed order.
    pub order: Signed<ReleaseOrder>,
    /// Opens what is sealed to the order's recipient.
    pub sealing: SealingSecretKey,
}

/// What a restore did.
#[derive(Clone, Debug, Serialize)]
pub struct RestoreReport {
    /// The database.
    pub database: String,
    /// The snapshot.
    pub sequence: u64,
    /// Digest of its manifest.
    pub manifest: String,
    /// Files written.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes that an interrupted run had written already.
    pub resumed_bytes: u64,
    /// Sites whose share was used or at least good.
    pub share_sites: Vec<String>,
    /// Bytes that each site served.
    pub served_bytes: BTreeMap<String, u64>,
    /// Sites that were unreachable, behind, slow or wrong, and how.
    pub faults: BTreeMap<String, Vec<String>>,
    /// Newer snapshots in quarantine, and why they are.
    pub passed_over: BTreeMap<u64, Vec<String>>,
    /// From start to last fsync.
    pub seconds: f64,
}

/// What to restore.
pub struct RestoreRequest<'a> {
    /// The database.
    pub database: &'a DatabaseName,
    /// Only entries at or below this path; everything if `None`.
    pub only: Option<&'a str>,
    /// Where to.
    pub target: &'a RestoreTarget,
}

/// Restores one database.
///
/// # Errors
/// As [`RestoreError`]; what was written stays as `.partial` files, and the same command goes on from there.
pub async fn restore(
    context: &RestoreContext,
    mesh: &Mesh,
    charters: CharterChain,
    request: &RestoreRequest<'_>,
    progress: &Progress,
) -> Result<RestoreReport, RestoreError> {
    let started = Monotonic::start();
    let order = context.order.document();
    let database = request.database;
    if !order.databases.contains(database) {
        let ordered: Vec<&str> = order.databases.iter().map(DatabaseName::as_str).collect();
        return Err(RestoreError::NotOrdered { database: database.clone(), ordered: ordered.join(", ") });
    }
    let mut survey = survey(mesh, charters, Some(&context.order)).await?;
    let needed = match order.selector {
        Selector::Latest => u64::MAX,
        Selector::Sequence(sequence) => sequence,
    };
    survey.read_history_until(database, needed).await?;
    let opened = open_newest(context, &mut survey, database, order.selector).await?;

    let fetcher = Arc::new(Fetcher::new(&survey.links));
    let tag = opened.manifest.digest();
    let restorer = Restorer::open(request.target, &tag)?;
    progress.expect(opened.root.plaintext_bytes);
    let written = write_all(&opened, &survey, fetcher.clone(), restorer, request.only, progress).await?;
    progress.finish();

    let mut faults: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let troubles = survey.troubles().into_iter().map(|(site, condition)| (site, vec![condition.to_string()]));
    for (site, words) in troubles.chain(opened.share_faults).chain(fetcher.faults()) {
        faults.entry(site.to_string()).or_default().extend(words);
    }
    Ok(RestoreReport {
        database: database.to_string(),
        sequence: opened.manifest.document().sequence,
        manifest: tag.to_string(),
        files: written.files,
        bytes: written.bytes,
        resumed_bytes: written.resumed_bytes,
        share_sites: opened.share_sites.iter().map(ToString::to_string).collect(),
        served_bytes: fetcher.served_bytes().into_iter().map(|(site, bytes)| (site.to_string(), bytes)).collect(),
        faults,
        passed_over: opened.passed_over.clone(),
        seconds: crate::clock::seconds(started.elapsed_ms()),
    })
}

/// Snapshots in quarantine that an error names.
const NAMED_MAX: usize = 4;

/// A snapshot whose root is open.
struct Opened {
    manifest: Signed<Manifest>,
    root: ContentsRoot,
    share_sites: Vec<SiteName>,
    share_faults: BTreeMap<SiteName, Vec<String>>,
    passed_over: BTreeMap<u64, Vec<String>>,
}

/// Opens the snapshot the order selects; for `latest`, the newest that enough custodians hold and that is not in
/// quarantine. A newer one that was only half published is passed over, and the log says so.
async fn open_newest(
    context: &RestoreContext,
    survey: &mut Survey,
    database: &DatabaseName,
    selector: Selector,
) -> Result<Opened, RestoreError> {
    let head = survey.head_sequence(database);
    let no_snapshot = |survey: &Survey, what: String| RestoreError::NoSnapshot {
        what,
        troubles: super::survey::list(&survey.troubles()),
    };
    let (newest, oldest) = match selector {
        Selector::Latest => (head, 1),
        Selector::Sequence(sequence) => (sequence, sequence),
    };
    if head == 0 || newest > head {
        return Err(no_snapshot(survey, format!("snapshot {newest} of {database}")));
    }
    let mut quarantined = match selector {
        Selector::Latest => survey.catalog.quarantined(database),
        Selector::Sequence(_) => BTreeMap::new(),
    };
    let mut first_error = None;
    for sequence in (oldest..=newest).rev().filter(|sequence| !quarantined.contains_key(sequence)) {
        let history = survey.catalog.history(database);
        let manifest = history.and_then(|history| history.manifest(sequence)).cloned();
        let manifest = manifest.ok_or_else(|| no_snapshot(survey, format!("snapshot {sequence} of {database}")))?;
        match shares::collect(context, survey, &manifest).await {
            Ok(collected) => {
                let root = open_snapshot(&manifest, &collected)?;
                let (share_sites, share_faults) = (collected.sites, collected.faults);
                let newer = quarantined.split_off(&sequence);
                let passed_over = newer.into_iter().map(|(sequence, reasons)| (sequence, reasons.words())).collect();
                return Ok(Opened { manifest, root, share_sites, share_faults, passed_over });
            }
            Err(error) => {
                tracing::warn!(%error, "passed over");
                first_error.get_or_insert(error);
            }
        }
    }
    if !quarantined.is_empty() {
        let reasons =
            quarantined.iter().rev().map(|(sequence, reasons)| format!("{sequence}: {}", reasons.words().join(", ")));
        let reasons: Vec<String> = reasons.take(NAMED_MAX).collect();
        let error = first_error.map_or_else(String::new, |error| format!(" ({error})"));
        return Err(no_snapshot(
            survey,
            format!(
                "a snapshot of {database} that is not in quarantine{error}; an order with --sequence opens one that is, {}",
                reasons.join("; ")
            ),
        ));
    }
    Err(first_error.unwrap_or_else(|| no_snapshot(survey, format!("any snapshot of {database}"))))
}

fn open_snapshot(manifest: &Signed<Manifest>, collected: &shares::Collected) -> Result<ContentsRoot, RestoreError> {
    let document = manifest.document();
    let place = root_context(&document.state, &document.database, document.sequence);
    let key = collected.secret.snapshot_key(&place);
    let root = open_root(&key, &place, &document.sealed_root).map_err(|error| RestoreError::Root(error.to_string()))?;
    Ok(ContentsRoot::decode(&root)?)
}

struct Written {
    files: u64,
    bytes: u64,
    resumed_bytes: u64,
}

async fn write_all(
    opened: &Opened,
    survey: &Survey,
    fetcher: Arc<Fetcher>,
    restorer: Restorer,
    only: Option<&str>,
    progress: &Progress,
) -> Result<Written, RestoreError> {
    let document = opened.manifest.document();
    let live = survey.live_stripes_at(&document.database, document.sequence).map_err(RestoreError::Root)?;
    let opener = Arc::new(Opener::new(fetcher, live));
    let secret = DedupSecret::copy_from(&opened.root.dedup_secret)
        .ok_or_else(|| RestoreError::Root("no dedup secret in it".to_owned()))?;
    let reader = ContentsReader::open(&opened.root, opener.clone()).await?;
    let windows = Windows::new(reader, restorer, secret, only.map(ToOwned::to_owned));
    let restorer = windows.restorer();
    let fetched = stream::unfold(Some(windows), |windows| async move {
        let mut windows = windows?;
        match windows.next_window().await {
            Ok(Some(window)) => Some((Ok(window), Some(windows))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
    .map(|window| {
        let opener = opener.clone();
        async move { opener.open(window?).await }
    })
    .buffered(WINDOWS_AT_ONCE);
    let mut fetched = std::pin::pin!(fetched);
    let mut written = Written { files: 0, bytes: 0, resumed_bytes: 0 };
    while let Some(window) = fetched.next().await {
        let window = window?;
        written.resumed_bytes += window.resumed_bytes;
        progress.advance(window.plaintext_bytes());
        windows::write(&restorer, window)?;
    }
    let summary = windows::finish(&restorer)?;
    written.files = summary.files;
    written.bytes = summary.bytes;
    Ok(written)
}
