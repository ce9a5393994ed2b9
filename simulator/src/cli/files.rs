//! Where the crate writes.

use std::path::Path;

use super::Failure;

/// Writes a whole file, beside first and then in place: a killed process leaves the old one.
#[expect(clippy::disallowed_methods, reason = "the command line is the host")]
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    let failed = |error: &std::io::Error| Failure::file(path, error);
    std::fs::write(&beside, text).map_err(|error| failed(&error))?;
    std::fs::rename(&beside, path).map_err(|error| failed(&error))
}
