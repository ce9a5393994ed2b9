//! Which place a store has: decided when it is made, and by moving it. A site that was started with another one by mistake
//! would count all its shards as lost.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where a store keeps its shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePlace {
    /// In files beside the index.
    Files,
    /// In object storage: `s3://BUCKET/PREFIX`.
    Objects(String),
}

impl FromStr for StorePlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unusable = || "give 'files' or s3://BUCKET/PREFIX, without empty or odd parts".to_owned();
        if text == "files" {
            return Ok(Self::Files);
        }
        // Two spellings of one place would be two places, of which one is cleared.
        let rest =
            text.strip_prefix("s3://").map(|rest| rest.strip_suffix('/').unwrap_or(rest)).ok_or_else(unusable)?;
        let is_plain = |part: &str| {
            let mut letters = part.chars();
            letters.all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
                && !part.trim_matches('.').is_empty()
        };
        if rest.split('/').all(is_plain) { Ok(Self::Objects(format!("s3://{rest}"))) } else { Err(unusable()) }
    }
}

impl std::fmt::Display for StorePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Files => "files",
            Self::Objects(url) => url,
        })
    }
}

fn path_in(dir: &Path) -> PathBuf {
    dir.join("place")
}

/// The place that was chosen for the store in `dir`; `None` if none was.
pub(super) fn chosen(dir: &Path) -> io::Result<Option<StorePlace>> {
    read(&path_in(dir))
}

/// From the moment this returns, and not before, `place` is where the store in `dir` has its shards.
pub(super) fn choose(dir: &Path, place: &StorePlace) -> io::Result<()> {
    write(dir, &path_in(dir), place)
}

fn read(path: &Path) -> io::Result<Option<StorePlace>> {
    match fs::read_to_string(path) {
        Ok(text) => {
            text.trim().parse().map(Some).map_err(|why: String| io::Error::new(io::ErrorKind::InvalidData, why))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(dir: &Path, path: &Path, place: &StorePlace) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    writeln!(file, "{place}")?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    fs::File::open(dir)?.sync_all()
}

fn former_path(dir: &Path) -> PathBuf {
    dir.join("place.former")
}

/// The place that a move has left and not cleared.
pub(super) fn former(dir: &Path) -> io::Result<Option<StorePlace>> {
    read(&former_path(dir))
}

/// A move is about to leave `place`, which is to be cleared afterwards.
pub(super) fn keep_former(dir: &Path, place: &StorePlace) -> io::Result<()> {
    write(dir, &former_path(dir), place)
}

/// It is cleared.
pub(super) fn forget_former(dir: &Path) -> io::Result<()> {
    match fs::remove_file(former_path(dir)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::File::open(dir)?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_files_or_a_bucket_and_stays_what_was_chosen() {
        let bucket = StorePlace::Objects("s3://state-shards/lu-vault".to_owned());
        assert_eq!("s3://state-shards/lu-vault/".parse(), Ok(bucket.clone()));
        assert_eq!("files".parse(), Ok(StorePlace::Files));
        for wrong in [
            "",
            "s3://",
            "s3:///x",
            "s3://b//p",
            "s3://b/p//",
            "s3://b/../p",
            "s3://b/./p",
            "s3://b/p q",
            "http://host/x",
            "/srv/shards",
        ] {
            assert!(wrong.parse::<StorePlace>().is_err(), "{wrong}");
        }
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(chosen(dir.path()).unwrap(), None);
        for place in [StorePlace::Files, bucket] {
            choose(dir.path(), &place).unwrap();
            assert_eq!(chosen(dir.path()).unwrap(), Some(place));
        }
        fs::write(path_in(dir.path()), "ftp://elsewhere").unwrap();
        assert!(chosen(dir.path()).is_err());
    }
}
