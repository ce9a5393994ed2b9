//! `legation site move-store`: the shards of a site go to another place.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::backup::human;
use super::{Failure, Output};
use crate::exit_code::ExitCode;
use crate::keystore::read_key_header;
use crate::progress::Progress;
use crate::shard_store::{Move, MoveError, StorePlace};

/// From where, and where to.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: legation site move-store --dir /var/lib/legation --to s3://state-shards/lu-vault\n\
                        Shows the plan; --yes carries it out. The site must not run meanwhile. Interrupted, it goes on where it \
                        stopped: run it again.")]
pub(super) struct MoveStoreArguments {
    /// The site.
    #[arg(long, env = "LEGATION_DIR")]
    dir: PathBuf,
    /// files, or s3://BUCKET/PREFIX (keys and region from the environment, as for site run).
    #[arg(long, value_name = "PLACE")]
    to: StorePlace,
    /// Carry it out.
    #[arg(long)]
    yes: bool,
}

fn failed(error: MoveError) -> Failure {
    Failure::new(ExitCode::LocalStorage, error)
}

/// Whose store it is, by its key file.
pub(super) fn owner(dir: &Path) -> Result<String, Failure> {
    let header = read_key_header(&dir.join("site.key"))?;
    header.public.get("Key").cloned().ok_or_else(|| Failure::new(ExitCode::WrongKey, "the key file names no key"))
}

pub(super) fn run(arguments: &MoveStoreArguments, output: &Output) -> Result<(), Failure> {
    let to = &arguments.to;
    let moving = Move::prepare(&arguments.dir.join("store"), to.clone(), &owner(&arguments.dir)?).map_err(failed)?;
    let (from, (count, bytes)) = (moving.former().to_string(), moving.size());
    let plan = json!({ "from": from, "to": to.to_string(), "shards": count, "bytes": bytes });
    if moving.is_done() {
        output.result(&plan, || format!("the {count} shards ({}) lie in {to} already", human(bytes)));
        return Ok(());
    }
    if !arguments.yes {
        output.result(&plan, || {
            format!(
                "plan: {count} shards ({}) go from {from} to {to}; each is checked against its root. When all are there, that is \
                 where they count, and they are removed from {from}. Nothing is done yet: add --yes",
                human(bytes)
            )
        });
        return Ok(());
    }
    let progress = if output.is_json() { Progress::hidden() } else { Progress::bytes("move", Some(bytes)) };
    let moved = moving.run(|bytes| progress.advance(bytes)).map_err(failed)?;
    progress.finish();
    let value = json!({ "from": from, "to": to.to_string(), "shards": moved.count, "bytes": moved.bytes,
                        "already_there": moved.already_count, "lacking": moved.lacking_count });
    output.result(&value, || {
        let mut text = format!("{count} shards ({}) lie in {to} now", human(bytes));
        if moved.lacking_count > 0 {
            text.push_str(&format!(
                "; {} were lacking before: the site remakes them when it runs",
                moved.lacking_count
            ));
        }
        text
    });
    Ok(())
}
