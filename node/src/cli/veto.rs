//! `legation charter veto`: one official's no to what a charter lets go.

use std::path::PathBuf;

use protocol::document::{Charter, Veto};
use protocol::signature::Signed;
use serde_json::json;

use super::keys::Passphrases;
use super::{Failure, Output, documents, retention_plan};

/// Against what.
#[derive(Debug, clap::Args)]
pub(super) struct VetoArguments {
    /// The charter.
    #[arg(long, env = "LEGATION_CHARTER", value_name = "FILE")]
    charter: PathBuf,
    /// The version that is vetoed; the newest one if absent. Of several that wait, each must be vetoed.
    #[arg(long)]
    version: Option<u64>,
    /// The official's key.
    #[arg(long)]
    key: PathBuf,
    /// Why, for the log of every site.
    #[arg(long)]
    reason: String,
    /// Where to write the veto.
    #[arg(long)]
    out: PathBuf,
}

pub(super) fn run(arguments: &VetoArguments, passphrases: &Passphrases, output: &Output) -> Result<(), Failure> {
    let chain = documents::read_chain(&arguments.charter, None)?;
    let version = arguments.version.unwrap_or_else(|| chain.charter().version);
    let newest = chain.version(version).ok_or_else(|| Failure::usage(format!("no version {version} in the file")))?;
    let (charter, before) = (newest.document(), chain.version(version.saturating_sub(1)).map(Signed::document));
    let key = passphrases.official(&arguments.key)?;
    let may_veto = |charter: &Charter| charter.roll().contains(&key.public());
    if !may_veto(charter) && !before.is_some_and(may_veto) {
        let why =
            format!("{} is no official of charter version {}, nor of the one before", key.public(), charter.version);
        return Err(Failure::refused(why));
    }
    let veto = Veto { state: chain.state(), charter: newest.digest(), reason: arguments.reason.clone() };
    let signed = Signed::sign_new(veto, &key).map_err(Failure::usage)?;
    let note = format!("Veto against what charter version {} of {} lets go", charter.version, charter.state_name);
    documents::write(&arguments.out, &signed, &note)?;
    let value = json!({ "version": charter.version, "charter": newest.digest().to_string(),
                        "veto": signed.digest().to_string(), "file": arguments.out });
    output.result(&value, || {
        let mut lines = vec![format!("{note}:")];
        for database in &charter.databases {
            let rules = retention_plan::words(database.retention.as_ref());
            lines.extend(rules.into_iter().map(|rule| format!("  {}: {rule}", database.name)));
        }
        lines.push(format!(
            "Nothing goes by these rules once a site has it. Next: legation charter publish --veto {} (at home), or \
             legation site run --veto {} (at any site)",
            arguments.out.display(),
            arguments.out.display()
        ));
        lines.join("\n")
    });
    Ok(())
}
