//! `legation backup`: the next snapshot of a database.

use std::sync::Arc;

use protocol::identifier::DatabaseName;

use super::home::HomeArguments;
use super::keys::Passphrases;
use super::{Failure, Output, runtime};
use crate::chunk_index::ChunkIndex;
use crate::connector::sqlite::remove_leftover_copies;
use crate::connector::{CaptureOptions, Source};
use crate::exit_code::ExitCode;
use crate::machine_state::MachineState;
use crate::network::{Mesh, MeshOptions};
use crate::pipeline::backup::{BackupContext, BackupReport, backup};
use crate::progress::Progress;

/// What to back up.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  legation backup land-register --from sqlite:/srv/land.db --dir /var/lib/legation\n  \
                        pg_dump -Fc land | legation backup land-register --from - --dir /var/lib/legation\n\
                        An interrupted backup goes on where it stopped: run the same command again."
)]
pub(super) struct BackupArguments {
    /// The database, as the charter names it.
    database: DatabaseName,
    /// sqlite:PATH (consistent while in use), dir:PATH, file:PATH, or - for standard input.
    #[arg(long, value_name = "SOURCE")]
    from: Source,
    /// Something that looks like damage was meant, such as a purge or a batch that rewrites everything: the snapshot is
    /// not put in quarantine for it.
    #[arg(long)]
    expect_change: bool,
    #[command(flatten)]
    home: HomeArguments,
}

pub(super) fn run(arguments: &BackupArguments, passphrases: &Passphrases, output: &Output) -> Result<(), Failure> {
    let (keys, charters) = arguments.home.open(passphrases)?;
    let dir = &arguments.home.dir;
    let (database, source) = (&arguments.database, &arguments.from);
    let scratch = dir.join("scratch");
    std::fs::create_dir_all(&scratch).map_err(|error| Failure::file(&scratch, &error))?;
    let context = BackupContext {
        dedup_secret: keys.dedup_secret(database),
        writer: keys.writer,
        index: Arc::new(ChunkIndex::open(&dir.join(format!("index-{database}.redb")))?),
        state: MachineState::open(&dir.join("home.redb"))?,
        capture: CaptureOptions::new(&scratch),
        expects_change: arguments.expect_change,
    };
    // The state file is open, so no other backup of this home runs: what is left is readable and nobody's.
    remove_leftover_copies(&scratch).map_err(|error| Failure::new(ExitCode::LocalStorage, error))?;
    let progress = if output.is_json() { Progress::hidden() } else { Progress::bytes("backup", source.size_bytes()) };
    let report = runtime()?.block_on(async {
        let (mesh, _events) = Mesh::start(&context.writer, &MeshOptions::default()).await?;
        let report = backup(&context, &mesh, charters, database, source, &progress).await;
        Ok::<_, Failure>(report?)
    })?;
    let value = serde_json::to_value(&report).map_err(Failure::unexpected)?;
    output.result(&value, || words(&report));
    #[cfg(feature = "test-hooks")]
    crate::entropy::wait_for_search("finished");
    Ok(())
}

fn words(report: &BackupReport) -> String {
    let counts = &report.counts;
    let mut lines = vec![
        format!("snapshot {} of {} is durable", report.sequence, report.database),
        format!(
            "  {} entries, {}; new: {}, sealed to {}",
            counts.entries,
            human(counts.plaintext_bytes),
            human(counts.new_plaintext_bytes),
            human(counts.new_sealed_bytes)
        ),
        format!(
            "  held in {} by {} sites with shards and {} with shares",
            report.reach.jurisdictions.join(", "),
            report.reach.shard_sites.len(),
            report.reach.share_sites.len()
        ),
        format!("  {}", report.reach),
        format!("  {:.1} s", report.seconds),
    ];
    lines.extend(report.missing.iter().map(|(site, why)| format!("  without receipt: {site}: {why}")));
    let findings = report.findings.iter();
    lines.extend(findings.map(|finding| format!("  as expected: {} ({})", finding.suspicion, finding.figures)));
    lines.extend(report.notes.iter().map(|note| format!("  note: {note}")));
    lines.join("\n")
}

/// Bytes for people.
pub(super) fn human(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
