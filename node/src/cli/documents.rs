//! Armoured documents in files, and charters in particular.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use protocol::armor;
use protocol::document::{Charter, CharterChain, Document};
use protocol::signature::{PublicKey, Signed};
use shard_codec::Digest;

use super::Failure;

/// A file of armoured documents in bytes at the most.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Room for the envelope around a payload.
const ENVELOPE_BYTES: usize = 96 << 10;

/// The text of a small file.
pub(super) fn read_text(path: &Path) -> Result<String, Failure> {
    let length = fs::metadata(path).map_err(|error| Failure::file(path, &error))?.len();
    if length > FILE_BYTES_MAX {
        return Err(Failure::usage(format!("{}: {length} bytes are no document", path.display())));
    }
    fs::read_to_string(path).map_err(|error| Failure::file(path, &error))
}

/// What 'legation status --json' wrote into a file, or the part of it that is looked at.
pub(super) fn read_status<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let text = read_text(path)?;
    serde_json::from_str(&text).map_err(|error| Failure::usage(format!("{}: not a status: {error}", path.display())))
}

/// Replaces a file as a whole, durably: a crash leaves the old one or the new one.
pub(super) fn write_text(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::file(path, &error);
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(parent).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    fs::File::open(parent).and_then(|dir| dir.sync_all()).map_err(failed)
}

/// Reads one document.
pub(super) fn read<T: Document>(path: &Path) -> Result<Signed<T>, Failure> {
    parse(path, &read_text(path)?)
}

fn parse<T: Document>(path: &Path, text: &str) -> Result<Signed<T>, Failure> {
    let named = |error: String| Failure::usage(format!("{}: {error}", path.display()));
    let bytes =
        armor::dearmor(T::KIND, text, T::BYTES_MAX + ENVELOPE_BYTES).map_err(|error| named(error.to_string()))?;
    Signed::decode(&bytes).map_err(|error| named(error.to_string()))
}

/// Writes one document; `note` stands above it, for people.
pub(super) fn write<T: Document>(path: &Path, signed: &Signed<T>, note: &str) -> Result<(), Failure> {
    write_text(path, &format!("{note}\n\n{}", armor::armor(T::KIND, &signed.encode())))
}

/// All charter versions in a file, oldest first; the last one may lack signatures.
pub(super) fn read_charters(path: &Path) -> Result<Vec<Signed<Charter>>, Failure> {
    let text = read_text(path)?;
    let end = format!("-----END LEGATION {}-----", Charter::KIND.to_uppercase());
    let mut charters = Vec::new();
    for part in text.split_inclusive(&end).filter(|part| part.contains(&end)) {
        charters.push(parse::<Charter>(path, part)?);
    }
    if charters.is_empty() {
        return Err(Failure::usage(format!("{}: no charter in it", path.display())));
    }
    Ok(charters)
}

/// A verified chain from a file; `state` pins the state if it is known.
pub(crate) fn read_chain(path: &Path, state: Option<Digest>) -> Result<CharterChain, Failure> {
    let named = |error: protocol::document::CharterError| {
        let mut failure = Failure::from(error);
        failure.message = format!("{}: {}", path.display(), failure.message);
        failure
    };
    let mut charters = read_charters(path)?.into_iter();
    let genesis = charters.next().ok_or_else(|| Failure::usage("no charter"))?;
    let mut chain = CharterChain::found(genesis, state).map_err(named)?;
    for next in charters {
        chain.extend(next).map_err(named)?;
    }
    Ok(chain)
}

/// Writes charter versions one after the other.
pub(super) fn write_charters(path: &Path, charters: &[Signed<Charter>]) -> Result<(), Failure> {
    let parts = charters.iter().map(|signed| {
        let charter = signed.document();
        let signers: Vec<String> = signers_of(signed, charter);
        let note = format!(
            "Charter {} of {}, digest {}\nSigned by: {}",
            charter.version,
            charter.state_name,
            signed.digest(),
            if signers.is_empty() { "nobody yet".to_owned() } else { signers.join(", ") }
        );
        format!("{note}\n\n{}\n", armor::armor(Charter::KIND, &signed.encode()))
    });
    write_text(path, &parts.collect::<String>())
}

/// Names of the officials of `charter` whose signature `signed` carries, unverified.
pub(super) fn signers_of<T: Document>(signed: &Signed<T>, charter: &Charter) -> Vec<String> {
    let name = |key: PublicKey| {
        let official = charter.officials.iter().find(|official| official.key == key);
        official.map_or_else(|| format!("unknown key {key}"), |official| official.name.clone())
    };
    signed.signatures().iter().map(|signature| name(signature.key)).collect()
}

/// Where a directory keeps its charter.
pub(super) fn charter_path(dir: &Path) -> PathBuf {
    dir.join("charter.txt")
}

/// The charter of a directory, from `given` the first time; a longer chain that is given replaces the one kept.
pub(super) fn charter_of(dir: &Path, given: Option<&Path>) -> Result<CharterChain, Failure> {
    let kept = charter_path(dir);
    let Some(given) = given else {
        if !kept.exists() {
            let dir = dir.display();
            return Err(Failure::usage(format!("{dir} has no charter yet: give it once with --charter FILE")));
        }
        return read_chain(&kept, None);
    };
    let new = read_chain(given, None)?;
    if kept.exists() {
        let old = read_chain(&kept, None)?;
        let mut merged = old.clone();
        for charter in new.iter() {
            merged.extend(charter.clone())?;
        }
        if merged.charter().version == old.charter().version {
            return Ok(old);
        }
        write_charters(&kept, &merged.iter().cloned().collect::<Vec<_>>())?;
        return Ok(merged);
    }
    write_charters(&kept, &new.iter().cloned().collect::<Vec<_>>())?;
    Ok(new)
}
