//! `legation order`: the officials' permission to open data.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use protocol::document::{Purpose, ReleaseOrder, Selector};
use protocol::identifier::DatabaseName;
use protocol::signature::{Signed, quorum};
use protocol::timestamp::Timestamp;
use rand::Rng as _;
use serde_json::json;

use super::keys::Passphrases;
use super::{Failure, Output, documents};
use crate::{clock, entropy};

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum OrderCommand {
    /// Draft an order for a recipient; the recipient's key is made here if it does not exist yet.
    #[command(after_help = "Example: legation order draft --charter charter.txt --database land-register \
                            --recipient exile.key --reason 'Tallinn is lost' --valid-for 2days --out order.txt")]
    Draft(DraftArguments),
    /// Sign an order in place. Read what it opens, and to whom, first.
    #[command(after_help = "Example: legation order sign order.txt --key minister.key")]
    Sign {
        /// The order.
        file: PathBuf,
        /// The official's key.
        #[arg(long)]
        key: PathBuf,
    },
    /// Put the signatures of several copies together.
    #[command(after_help = "Example: legation order merge from-paris.txt from-oslo.txt --out order.txt")]
    Merge {
        /// Copies of the same order.
        #[arg(required = true, num_args = 2..)]
        files: Vec<PathBuf>,
        /// Where to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// Show an order in words, and whether its signatures are enough.
    #[command(after_help = "Example: legation order show order.txt --charter charter.txt")]
    Show {
        /// The order.
        file: PathBuf,
        /// Check the signatures against this charter; exit code 3 if they are not enough.
        #[arg(long)]
        charter: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PurposeArgument {
    Restore,
    Drill,
}

/// What the order says.
#[derive(Debug, clap::Args)]
pub(super) struct DraftArguments {
    /// The charter; the order is for its state.
    #[arg(long)]
    charter: PathBuf,
    /// A database to open; may be given several times.
    #[arg(long = "database", required = true)]
    databases: Vec<DatabaseName>,
    /// Only this snapshot; the newest durable one if absent.
    #[arg(long)]
    sequence: Option<u64>,
    /// Key file of whoever will restore.
    #[arg(long, value_name = "FILE")]
    recipient: PathBuf,
    /// What for.
    #[arg(long, value_enum, default_value = "restore")]
    purpose: PurposeArgument,
    /// In words, for the log of every site.
    #[arg(long)]
    reason: String,
    /// From now, as in 12h or 2days.
    #[arg(long, default_value = "2days", value_parser = humantime::parse_duration)]
    valid_for: Duration,
    /// Where to write.
    #[arg(long)]
    out: PathBuf,
}

/// Sites' clocks may be a little behind the drafter's.
const CLOCK_SLACK_MS: u64 = 10 * 60 * 1_000;

pub(super) fn run(command: OrderCommand, passphrases: &Passphrases, output: &Output) -> Result<(), Failure> {
    match command {
        OrderCommand::Draft(arguments) => draft(arguments, passphrases, output),
        OrderCommand::Sign { file, key } => {
            let mut signed = documents::read::<ReleaseOrder>(&file)?;
            signed.sign(&passphrases.official(&key)?);
            write(&file, &signed)?;
            show(&signed, None, output)
        }
        OrderCommand::Merge { files, out } => merge(&files, &out, output),
        OrderCommand::Show { file, charter } => show(&documents::read(&file)?, charter.as_deref(), output),
    }
}

fn draft(arguments: DraftArguments, passphrases: &Passphrases, output: &Output) -> Result<(), Failure> {
    let chain = documents::read_chain(&arguments.charter, None)?;
    for database in &arguments.databases {
        if chain.charter().database(database).is_none() {
            return Err(Failure::usage(format!("the charter knows no database {database}")));
        }
    }
    let key_file = &arguments.recipient;
    let (identity, sealing) = if key_file.exists() {
        passphrases.recipient(key_file)?
    } else {
        passphrases.new_recipient(key_file)?
    };
    let mut nonce = [0; 16];
    entropy::rng().fill_bytes(&mut nonce);
    let now = clock::now_ms();
    let valid_ms = u64::try_from(arguments.valid_for.as_millis()).unwrap_or(u64::MAX);
    let order = ReleaseOrder {
        state: chain.state(),
        nonce,
        databases: arguments.databases,
        selector: arguments.sequence.map_or(Selector::Latest, Selector::Sequence),
        recipient: identity.public(),
        recipient_sealing_key: sealing.public().as_bytes().to_vec(),
        purpose: match arguments.purpose {
            PurposeArgument::Restore => Purpose::Restore,
            PurposeArgument::Drill => Purpose::Drill,
        },
        reason: arguments.reason,
        not_before: Timestamp::from_unix_ms(now.saturating_sub(CLOCK_SLACK_MS)),
        expires: Timestamp::from_unix_ms(now).plus_ms(valid_ms),
    };
    let signed = Signed::draft(order)?;
    write(&arguments.out, &signed)?;
    show(&signed, None, output)
}

fn write(path: &Path, signed: &Signed<ReleaseOrder>) -> Result<(), Failure> {
    documents::write(path, signed, &words(signed, &[]))
}

fn merge(files: &[PathBuf], out: &Path, output: &Output) -> Result<(), Failure> {
    let first = files.first().ok_or_else(|| Failure::usage("no files"))?;
    let mut merged = documents::read::<ReleaseOrder>(first)?;
    for file in files.iter().skip(1) {
        if !merged.merge(&documents::read(file)?) {
            return Err(Failure::refused(format!("{}: is another order than {}", file.display(), first.display())));
        }
    }
    write(out, &merged)?;
    show(&merged, None, output)
}

fn words(signed: &Signed<ReleaseOrder>, signers: &[String]) -> String {
    let order = signed.document();
    let databases: Vec<&str> = order.databases.iter().map(DatabaseName::as_str).collect();
    let which = match order.selector {
        Selector::Latest => "the latest snapshot".to_owned(),
        Selector::Sequence(sequence) => format!("snapshot {sequence}"),
    };
    let mut lines = vec![
        format!("Release order {}", signed.digest()),
        format!("  opens      {which} of {}", databases.join(", ")),
        format!("  to         {}", order.recipient),
        format!("  purpose    {:?}: {}", order.purpose, order.reason),
        format!("  valid      {} to {}", order.not_before, order.expires),
        format!("  state      {}", order.state),
        format!("  signatures {}", signed.signatures().len()),
    ];
    lines.extend(signers.iter().map(|name| format!("    {name}")));
    lines.join("\n")
}

fn show(signed: &Signed<ReleaseOrder>, charter: Option<&Path>, output: &Output) -> Result<(), Failure> {
    let order = signed.document();
    let chain = charter.map(|path| documents::read_chain(path, Some(order.state))).transpose()?;
    let mut signers = Vec::new();
    let mut enough = None;
    if let Some(chain) = &chain {
        let charter = chain.charter();
        signers = documents::signers_of(signed, charter);
        enough = Some(quorum::verify(signed, &charter.roll(), charter.quorum.into()));
    }
    let value = json!({
        "digest": signed.digest().to_string(), "state": order.state.to_string(), "databases": order.databases,
        "selector": order.selector, "recipient": order.recipient.to_string(), "purpose": order.purpose,
        "reason": order.reason, "not_before": order.not_before.to_string(), "expires": order.expires.to_string(),
        "signatures": signed.signatures().len(), "signed_by": signers, "quorum_reached": enough.as_ref().map(Result::is_ok),
    });
    if let Some(Err(error)) = enough {
        let mut failure = Failure::refused(format!("{}\n  NOT ENOUGH: {error}", words(signed, &signers)));
        failure.report = Some(value);
        return Err(failure);
    }
    output.result(&value, || words(signed, &signers));
    Ok(())
}
