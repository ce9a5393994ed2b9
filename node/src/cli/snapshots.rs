//! `legation snapshots` and `legation verify`: what there is and how safe it is.

use protocol::catalog::{History, Reasons};
use protocol::identifier::DatabaseName;
use serde::Serialize;
use serde_json::json;

use super::backup::human;
use super::home::HomeArguments;
use super::keys::Passphrases;
use super::{Failure, Output, runtime};
use crate::exit_code::ExitCode;
use crate::network::{Mesh, MeshOptions};
use crate::pipeline::reach::Reach;
use crate::pipeline::survey::{Survey, survey};
use crate::pipeline::verify::{Verification, verify};
use crate::progress::Progress;

/// Which snapshots.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: legation snapshots land-register --dir /var/lib/legation")]
pub(super) struct SnapshotsArguments {
    /// The database.
    database: DatabaseName,
    /// Only the newest so many.
    #[arg(long, default_value_t = 20)]
    newest: u64,
    #[command(flatten)]
    home: HomeArguments,
}

/// What to verify.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: legation verify land-register --dir /var/lib/legation\n\
                        Exit code 6 if a site holds something wrong, 4 if too little is held.")]
pub(super) struct VerifyArguments {
    /// The database.
    database: DatabaseName,
    #[command(flatten)]
    home: HomeArguments,
}

/// One snapshot.
#[derive(Debug, Serialize)]
struct Line {
    sequence: u64,
    created: String,
    manifest: String,
    #[serde(flatten)]
    reach: Reach,
    added_bytes: u64,
    /// The sites have let it go.
    let_go: bool,
    /// Why it is in quarantine; empty if it is not.
    quarantine: Vec<String>,
    missing: Vec<String>,
}

/// Calls the sites and reads the history of one database.
async fn look(
    home: &HomeArguments,
    passphrases: &Passphrases,
    database: &DatabaseName,
) -> Result<(Mesh, Survey), Failure> {
    let (keys, charters) = home.open(passphrases)?;
    let (mesh, _events) = Mesh::start(&keys.writer, &MeshOptions::default()).await?;
    let mut survey = survey(&mesh, charters, None).await?;
    home.keep_charter(survey.catalog.charters())?;
    survey.database(database)?;
    survey.read_history(database).await?;
    Ok((mesh, survey))
}

pub(super) fn run(arguments: &SnapshotsArguments, passphrases: &Passphrases, output: &Output) -> Result<(), Failure> {
    let database = &arguments.database;
    let (snapshots, troubles) = runtime()?.block_on(async {
        let (_mesh, mut survey) = look(&arguments.home, passphrases, database).await?;
        survey.read_retention(database).await;
        let (head, quarantined) = (survey.head_sequence(database), survey.catalog.quarantined(database));
        let mut snapshots = Vec::new();
        for sequence in (1..=head).rev().take(usize::try_from(arguments.newest).unwrap_or(usize::MAX)) {
            survey.read_receipts(database, sequence).await;
            let manifest = survey.catalog.history(database).and_then(|history| history.manifest(sequence));
            let Some(manifest) = manifest else { continue };
            let document = manifest.document();
            let durability = survey.durability(document);
            let added: u64 = document.stripes_added.iter().map(|stripe| u64::from(stripe.payload_bytes)).sum();
            snapshots.push(Line {
                sequence,
                created: document.created.to_string(),
                manifest: manifest.digest().to_string(),
                reach: (&durability).into(),
                added_bytes: added,
                let_go: survey.catalog.history(database).is_some_and(|history| history.is_let_go(sequence)),
                quarantine: quarantined.get(&sequence).map(Reasons::words).unwrap_or_default(),
                missing: durability.missing.iter().map(ToString::to_string).collect(),
            });
        }
        let troubles = survey.troubles();
        Ok::<_, Failure>((snapshots, troubles))
    })?;
    let troubles: Vec<String> = troubles.iter().map(|(site, condition)| format!("{site}: {condition}")).collect();
    let value = json!({ "database": database, "snapshots": snapshots, "troubles": troubles });
    output.result(&value, || list_words(database, &snapshots, &troubles));
    Ok(())
}

fn list_words(database: &DatabaseName, snapshots: &[Line], troubles: &[String]) -> String {
    let mut lines = vec![format!("snapshots of {database}, newest first")];
    if snapshots.is_empty() {
        lines.push("  none yet: make one with legation backup".to_owned());
    }
    lines.extend(snapshots.iter().flat_map(|snapshot| {
        let line = format!(
            "  {:>5}  {}  {:<11}  +{:<10}  {}",
            snapshot.sequence,
            snapshot.created,
            match (snapshot.let_go, snapshot.reach.durable, snapshot.quarantine.is_empty()) {
                (true, _, _) => "let go",
                (false, false, _) => "NOT DURABLE",
                (false, true, false) => "QUARANTINE",
                (false, true, true) => "durable",
            },
            human(snapshot.added_bytes),
            snapshot.reach.jurisdictions.join(" ")
        );
        let reasons = snapshot.quarantine.iter().map(|reason| format!("         quarantine: {reason}"));
        std::iter::once(line).chain(reasons)
    }));
    lines.extend(troubles.iter().map(|trouble| format!("  ! {trouble}")));
    lines.join("\n")
}

pub(super) fn run_verify(
    arguments: &VerifyArguments,
    passphrases: &Passphrases,
    output: &Output,
) -> Result<(), Failure> {
    let database = &arguments.database;
    let progress = if output.is_json() { Progress::hidden() } else { Progress::bytes("verify", Some(0)) };
    let found = runtime()?.block_on(async {
        let (_mesh, mut survey) = look(&arguments.home, passphrases, database).await?;
        let head = survey.catalog.history(database).and_then(History::head).map(|head| head.document().clone());
        let none = || Failure::usage(format!("{database} has no snapshot yet: make one with legation backup"));
        let head = head.ok_or_else(none)?;
        survey.read_receipts(database, head.sequence).await;
        Ok::<_, Failure>(verify(&survey, &head, &progress).await)
    })?;
    let value = serde_json::to_value(&found).map_err(Failure::unexpected)?;
    let faulty: Vec<&String> =
        found.sites.iter().filter(|(_, site)| !site.faults.is_empty()).map(|(name, _)| name).collect();
    let code = match (faulty.is_empty(), found.reach.durable) {
        (true, true) => {
            output.result(&value, || verify_words(&found));
            return Ok(());
        }
        (false, _) => ExitCode::IntegrityFault,
        (true, false) => ExitCode::NotDurable,
    };
    let mut failure = Failure::new(code, verify_words(&found));
    failure.report = Some(value);
    Err(failure)
}

fn verify_words(found: &Verification) -> String {
    let durable = if found.reach.durable { "durable" } else { "NOT DURABLE" };
    let mut lines = vec![format!("{} snapshot {}: {durable} by what was read", found.database, found.sequence)];
    for (name, site) in &found.sites {
        lines.push(format!(
            "  {name:<20} {:<3} {}/{} shards right, {} read; {}",
            site.jurisdiction,
            site.good,
            site.shards,
            human(site.bytes),
            site.condition
        ));
        lines.extend(site.faults.iter().map(|fault| format!("      ! {fault}")));
    }
    lines.push(format!("  reaches {}; {} (shares by receipt)", found.reach.jurisdictions.join(", "), found.reach));
    lines.join("\n")
}
