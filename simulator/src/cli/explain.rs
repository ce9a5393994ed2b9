//! Scenarios in words.

use clap::Args;

use super::{Failure, input, print};
use crate::scenario::{explain, library, read};

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = "Example: legation-sim explain home-occupied")]
pub(super) struct ExplainArguments {
    /// A scenario file, or the name of a ready-made one.
    scenario: String,
    /// Print the scenario file itself, to begin one of your own with.
    #[arg(long)]
    toml: bool,
}

pub(super) fn run(arguments: &ExplainArguments, json: bool) -> Result<(), Failure> {
    let (scenario, text) = input::scenario(&arguments.scenario)?;
    print(json, &scenario, || if arguments.toml { text } else { explain::explain(&scenario) })
}

pub(super) fn scenarios(json: bool) -> Result<(), Failure> {
    let mut list = Vec::new();
    for (name, text) in library::ALL {
        let scenario = read(text).map_err(|problems| Failure::scenario(name, &problems))?;
        list.push(serde_json::json!({ "name": name, "title": scenario.title }));
    }
    print(json, &list, || {
        let line = |entry: &serde_json::Value| {
            let text = |key: &str| entry.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
            format!("{:<20} {}", text("name"), text("title"))
        };
        list.iter().map(line).collect::<Vec<_>>().join("\n")
    })
}
