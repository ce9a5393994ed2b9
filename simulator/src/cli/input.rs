//! Scenarios by file or by name.

use std::io::Read as _;
use std::path::Path;

use super::Failure;
use crate::scenario::check::FILE_BYTES_MAX;
use crate::scenario::{Scenario, library, read};

/// The scenario of this file, or the ready-made one of this name, with the text it was read from.
pub(super) fn scenario(name: &str) -> Result<(Scenario, String), Failure> {
    let path = Path::new(name);
    let mut text = String::new();
    let open = std::fs::OpenOptions::new().read(true).open(path);
    let taken = open.and_then(|file| file.take(FILE_BYTES_MAX as u64 + 1).read_to_string(&mut text));
    let text = match taken.map(|_bytes| text) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => match library::find(name) {
            Some(text) => text.to_owned(),
            None => return Err(unknown(name)),
        },
        Err(error) => return Err(Failure::file(path, &error)),
    };
    let scenario = read(&text).map_err(|problems| Failure::scenario(name, &problems))?;
    Ok((scenario, text))
}

fn unknown(name: &str) -> Failure {
    let names: Vec<&str> = library::ALL.iter().map(|(name, _)| *name).collect();
    Failure::usage(format!("no file '{name}' and no ready-made scenario of that name; those are: {}", names.join(", ")))
}
