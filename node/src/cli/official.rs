//! `legation official`: keys of the people who decide.

use std::path::PathBuf;

use clap::Subcommand;
use protocol::document::{Bearer, Card};
use protocol::signature::Signed;
use serde_json::json;

use super::keys::Passphrases;
use super::{Failure, Output, documents};
use crate::keystore::read_key_header;

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum OfficialCommand {
    /// Make a signing key: PREFIX.key stays with the official, PREFIX.card goes to whoever drafts the charter.
    #[command(after_help = "Example: legation official new --name 'Minister of Justice' --out minister")]
    New {
        /// The person or office, as it will stand in the charter.
        #[arg(long)]
        name: String,
        /// Where to write: PREFIX.key and PREFIX.card.
        #[arg(long, value_name = "PREFIX")]
        out: PathBuf,
    },
    /// Show a key file or a card, without its passphrase.
    #[command(after_help = "Example: legation official show minister.card")]
    Show {
        /// A .key or .card file.
        file: PathBuf,
    },
}

pub(super) fn run(command: OfficialCommand, passphrases: &Passphrases, output: &Output) -> Result<(), Failure> {
    match command {
        OfficialCommand::New { name, out } => {
            let (key_path, card_path) = (out.with_extension("key"), out.with_extension("card"));
            let card = |key| Card { bearer: Bearer::Official, name: name.clone(), key };
            let keypair = passphrases.new_official(&key_path, &name)?;
            let signed = Signed::sign_new(card(keypair.public()), &keypair)?;
            documents::write(&card_path, &signed, &format!("Official {name}, key {}", keypair.public()))?;
            let value = json!({ "name": name, "key": keypair.public().to_string(),
                                "key_file": key_path, "card_file": card_path });
            output.result(&value, || {
                format!(
                    "{name}\n  key   {}\n  keep  {} (secret; back it up on paper or a second medium)\n  send  {}",
                    keypair.public(),
                    key_path.display(),
                    card_path.display()
                )
            });
            Ok(())
        }
        OfficialCommand::Show { file } => show(&file, output),
    }
}

fn show(file: &std::path::Path, output: &Output) -> Result<(), Failure> {
    if file.extension().is_some_and(|extension| extension == "key") {
        let header = read_key_header(file)?;
        let value = json!({ "kind": header.kind, "public": header.public });
        output.result(&value, || {
            let lines = header.public.iter().map(|(name, text)| format!("  {name}: {text}"));
            format!("{} key file (nothing in it is checked without its passphrase)\n{}", header.kind, lines.collect::<Vec<_>>().join("\n"))
        });
        return Ok(());
    }
    let signed = documents::read::<Card>(file)?;
    let card = signed.verify()?;
    let value = json!({ "bearer": card.bearer, "name": card.name, "key": card.key.to_string() });
    output.result(&value, || format!("{:?} {}\n  key {}\n  signed by this key: yes", card.bearer, card.name, card.key));
    Ok(())
}
