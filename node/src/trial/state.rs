//! The state under trial: its sites, its home, and what happens to them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::legation;
use crate::cli::demo::founding::{DATABASE, Folder, found, loopback, start_sites};
use crate::cli::demo::plan::{Place, Plan, QUORUM};
use crate::cli::demo::processes::{Ended, Legation, words};
use crate::cli::{Failure, watch};
use crate::clock::{Monotonic, seconds};
use crate::exit_code::ExitCode;

const POLL: Duration = Duration::from_millis(50);

/// A founded state whose sites run. Its processes end and its folder goes when it is dropped, in this order.
pub(super) struct State {
    pub(super) legation: Legation,
    pub(super) folder: Folder,
    pub(super) plan: Plan,
}

impl State {
    /// Founds a state and starts its sites, each with `site_words` as further arguments.
    pub(super) fn start(plan: Plan, keep: Option<&Path>, site_words: &[OsString]) -> Result<Self, Failure> {
        let folder = Folder::open(keep, &plan)?;
        let legation = Legation::new(legation()?, &folder, site_words)?;
        let addresses = loopback(plan.sites.len())?;
        Self::start_at(&addresses, Self { legation, folder, plan })
    }

    /// The same with sites at these addresses.
    pub(super) fn start_at(addresses: &[String], state: Self) -> Result<Self, Failure> {
        found(&state.plan, &state.folder, &state.legation, addresses)?;
        state.start_sites(&state.names())?;
        Ok(state)
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.plan.sites.iter().map(|place| place.name).collect()
    }

    /// Starts these sites and waits until they serve.
    pub(super) fn start_sites(&self, names: &[&str]) -> Result<(), Failure> {
        let places: Vec<&Place> = self.plan.sites.iter().filter(|place| names.contains(&place.name)).collect();
        start_sites(&places, &self.folder, &self.legation).map(drop)
    }

    /// The shards of a site that does not run are gone; with `everything`, so is what it knew, but for its keys.
    pub(super) fn empty(&self, name: &str, everything: bool) -> Result<(), Failure> {
        let (dir, store) = (self.folder.site(name), self.folder.site(name).join("store"));
        fs::remove_dir_all(&store).map_err(|error| Failure::file(&store, &error))?;
        if everything {
            let path = dir.join("state.redb");
            fs::remove_file(&path).map_err(|error| Failure::file(&path, &error))?;
        }
        Ok(())
    }

    /// The shard files of a site, with their sizes.
    pub(super) fn shards(&self, name: &str) -> Result<BTreeMap<OsString, u64>, Failure> {
        let mut shards = BTreeMap::new();
        let dir = self.folder.site(name).join("store/shards");
        for entry in walkdir::WalkDir::new(dir) {
            // A file that was renamed while the folder was read comes with the next look.
            let Ok(metadata) = entry
                .as_ref()
                .map_err(ToString::to_string)
                .and_then(|entry| entry.metadata().map_err(|error| error.to_string()))
            else {
                continue;
            };
            if let Ok(entry) = entry
                && metadata.is_file()
            {
                shards.insert(entry.file_name().to_owned(), metadata.len());
            }
        }
        Ok(shards)
    }

    /// What a running site says of itself.
    pub(super) fn status(&self, name: &str) -> Result<Value, Failure> {
        watch::ask(&self.folder.site(name)).map(|(status, _text)| status)
    }

    /// Whether this site lacks nothing, and counts every stripe as complete at all sites.
    pub(super) fn is_whole(&self, name: &str) -> bool {
        let Ok(status) = self.status(name) else { return false };
        let stripes = || status.get("databases").and_then(Value::as_array).into_iter().flatten();
        number(&status, "/repair/missing_count") == Some(0)
            && status.pointer("/repair/has_looked").and_then(Value::as_bool) == Some(true)
            && stripes().all(|database| number(database, "/short_stripe_count") == Some(0))
            && stripes().any(|database| number(database, "/stripe_count") > Some(0))
    }

    /// Whether `teller` knows of nothing that `name` lacks, shares of keys included.
    pub(super) fn lacks_nothing(&self, name: &str, teller: &str) -> bool {
        let Ok(status) = self.status(teller) else { return false };
        let sites = status.get("sites").and_then(Value::as_array).into_iter().flatten();
        let mut about = sites.filter(|site| site.get("site").and_then(Value::as_str) == Some(name));
        let none = |site: &Value, what| number(site, what) == Some(0);
        about.any(|site| none(site, "/missing_shard_count") && none(site, "/missing_share_count"))
    }

    /// The next charter, drafted by this command, signed by a quorum and brought to the sites by home.
    pub(super) fn amend(&self, command: &[OsString]) -> Result<(), Failure> {
        let (folder, legation) = (&self.folder, &self.legation);
        let (charter, next): (PathBuf, PathBuf) = (folder.charter(), folder.at("next-charter.txt"));
        let draft = [command, &words!["--out", next]].concat();
        legation.run(&draft)?;
        for number in 0..QUORUM {
            let key = folder.official(number).with_extension("key");
            legation.run(&words!["charter", "sign", next, "--key", key])?;
        }
        fs::rename(&next, &charter).map_err(|error| Failure::file(&charter, &error))?;
        legation.run(&words!["charter", "publish", "--dir", folder.home(), "--charter", charter])?;
        Ok(())
    }

    /// One backup by the home, under a name of its own so that it can be killed. Trials rewrite what they back up, and mean it.
    pub(super) fn backup(&self, source: &Path) -> Result<Ended, Failure> {
        self.backup_with(source, &words!["--expect-change"])
    }

    /// One backup with these arguments besides.
    pub(super) fn backup_with(&self, source: &Path, more: &[OsString]) -> Result<Ended, Failure> {
        let mut from = OsString::from("dir:");
        from.push(source);
        let (home, charter) = (self.folder.home(), self.folder.charter());
        let command = words!["backup", DATABASE, "--from", from, "--dir", home, "--charter", charter];
        self.legation.attempt_as("backup", &[command.as_slice(), more].concat())
    }

    /// A backup that must be durable.
    pub(super) fn backup_durably(&self, source: &Path) -> Result<Value, Failure> {
        let ended = self.backup(source)?;
        if ended.code == Some(0) {
            return Ok(ended.value);
        }
        Err(Failure::new(ExitCode::NotDurable, format!("the backup failed: {}", ended.message())))
    }

    /// Restores a snapshot, the newest if none is named, under an order made for it; gives the folder.
    pub(super) fn restore(&self, name: &str, sequence: Option<u64>) -> Result<PathBuf, Failure> {
        let exile = self.folder.at("exile");
        let (order, to, key) = (exile.join(format!("{name}.txt")), exile.join(name), exile.join(format!("{name}.key")));
        let charter = self.folder.charter();
        let mut draft =
            words!["order", "draft", "--charter", charter, "--database", DATABASE, "--recipient", key].to_vec();
        draft.extend(words!["--reason", "a trial", "--valid-for", "1h", "--out", order]);
        draft.extend(sequence.into_iter().flat_map(|sequence| words!["--sequence", sequence.to_string()]));
        self.legation.run(&draft)?;
        for number in 0..QUORUM {
            let official = self.folder.official(number).with_extension("key");
            self.legation.run(&words!["order", "sign", order, "--key", official])?;
        }
        self.legation.run(&words!["restore", "--order", order, "--key", key, "--charter", charter, "--to", to])?;
        Ok(to)
    }
}

/// A whole number in a JSON object.
pub(super) fn number(value: &Value, pointer: &str) -> Option<u64> {
    value.pointer(pointer).and_then(Value::as_u64)
}

/// Seconds until it holds; `None` if it does not within the limit.
pub(super) fn until(
    limit_seconds: u64,
    mut holds: impl FnMut() -> Result<bool, Failure>,
) -> Result<Option<f64>, Failure> {
    let waiting = Monotonic::start();
    loop {
        if holds()? {
            return Ok(Some(seconds(waiting.elapsed_ms())));
        }
        if waiting.elapsed_ms() > limit_seconds.saturating_mul(1_000) {
            return Ok(None);
        }
        std::thread::sleep(POLL);
    }
}
