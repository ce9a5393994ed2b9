//! `legation home`: the place that writes snapshots.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use protocol::document::{Bearer, Card, CharterChain};
use protocol::signature::Signed;
use serde_json::json;

use super::keys::{HomeKeys, Passphrases};
use super::{Failure, Output, documents};
use crate::keystore::read_key_header;

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum HomeCommand {
    /// Make a home: DIR/home.key stays here, DIR/writer.card goes to whoever drafts the charter.
    #[command(after_help = "Example: legation home init --dir /var/lib/legation --name 'Land Board'")]
    Init {
        /// Where the home keeps its key, its charter and its index.
        #[arg(long, env = "LEGATION_DIR")]
        dir: PathBuf,
        /// Who writes, in words.
        #[arg(long)]
        name: String,
    },
    /// Show the home's public key and charter.
    #[command(after_help = "Example: legation home show --dir /var/lib/legation")]
    Show {
        /// The home.
        #[arg(long, env = "LEGATION_DIR")]
        dir: PathBuf,
    },
}

/// Arguments of every command that works from a home.
#[derive(Debug, clap::Args)]
pub(super) struct HomeArguments {
    /// The home: see `legation home init`.
    #[arg(long, env = "LEGATION_DIR")]
    pub(super) dir: PathBuf,
    /// The charter, needed once; the home keeps it, and learns of newer ones from the sites.
    #[arg(long, value_name = "FILE")]
    pub(super) charter: Option<PathBuf>,
}

impl HomeArguments {
    pub(super) fn open(&self, passphrases: &Passphrases) -> Result<(HomeKeys, CharterChain), Failure> {
        let key_path = key_path(&self.dir);
        if !key_path.exists() {
            let dir = self.dir.display();
            return Err(Failure::usage(format!("{dir} is not a home: make one with legation home init --dir {dir}")));
        }
        let charters = documents::charter_of(&self.dir, self.charter.as_deref())?;
        Ok((passphrases.home(&key_path)?, charters))
    }

    /// Keeps a charter that the sites know and this home did not.
    pub(super) fn keep_charter(&self, charters: &CharterChain) -> Result<(), Failure> {
        let path = documents::charter_path(&self.dir);
        let kept = documents::read_chain(&path, Some(charters.state()))?;
        if charters.charter().version > kept.charter().version {
            documents::write_charters(&path, &charters.iter().cloned().collect::<Vec<_>>())?;
        }
        Ok(())
    }
}

fn key_path(dir: &Path) -> PathBuf {
    dir.join("home.key")
}

pub(super) fn run(command: HomeCommand, passphrases: &Passphrases, output: &Output) -> Result<(), Failure> {
    match command {
        HomeCommand::Init { dir, name } => {
            std::fs::create_dir_all(&dir).map_err(|error| Failure::file(&dir, &error))?;
            let keys = passphrases.new_home(&key_path(&dir), &name)?;
            let key = keys.writer.public();
            let card = Signed::sign_new(Card { bearer: Bearer::Writer, name: name.clone(), key }, &keys.writer)?;
            let card_path = dir.join("writer.card");
            documents::write(&card_path, &card, &format!("Writer {name}, key {key}"))?;
            let value = json!({ "name": name, "key": key.to_string(), "card_file": card_path });
            output.result(&value, || {
                format!("home of {name}\n  writer key {key}\n  send {} to whoever drafts the charter", card_path.display())
            });
            Ok(())
        }
        HomeCommand::Show { dir } => {
            let header = read_key_header(&key_path(&dir))?;
            let charter = documents::charter_path(&dir);
            let version = if charter.exists() {
                Some(documents::read_chain(&charter, None)?.charter().version)
            } else {
                None
            };
            let value = json!({ "public": header.public, "charter_version": version });
            output.result(&value, || {
                let name = header.public.get("Name").cloned().unwrap_or_default();
                let key = header.public.get("Key").cloned().unwrap_or_default();
                let charter = version.map_or_else(|| "none yet".to_owned(), |version| format!("version {version}"));
                format!("home of {name}\n  writer key {key}\n  charter {charter}")
            });
            Ok(())
        }
    }
}
