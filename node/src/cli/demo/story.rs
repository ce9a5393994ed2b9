//! The story, step by step. Every step uses the commands that an operator would use.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::comparison::{compare, contradictions};
use super::founding::{DATABASE, Folder, found, loopback, start_sites, stored_bytes, text};
use super::occupier::Occupier;
use super::plan::{OFFICIALS, Place, Plan, QUORUM};
use super::processes::{Legation, words};
use super::register::Register;
use super::report::{Report, SearchedDisk, ratio};
use super::search::{Needles, page_fragments};
use crate::cli::Failure;
use crate::clock::Monotonic;

const STEPS: usize = 11;
/// Rows of a thousand that change between the two snapshots.
const CHANGED_PER_MILLE: u64 = 16;
/// Texts of each kind that are looked for.
const SAMPLE: i64 = 80;
/// Exit code of what charter, order or quorum refuse.
const REFUSED: i32 = 3;
/// Every site asks every other one for news at least this often.
const NEWS_ROUND: Duration = Duration::from_secs(6);

/// Where the story stands.
pub(super) struct Story<'a> {
    plan: &'a Plan,
    folder: &'a Folder,
    legation: &'a Legation,
    started: Monotonic,
    step: usize,
    /// Addresses with identities, in the order of the plan.
    addresses: Vec<String>,
    report: Report,
}

impl<'a> Story<'a> {
    pub(super) fn new(plan: &'a Plan, folder: &'a Folder, legation: &'a Legation) -> Self {
        let names = |place: &Place| place.name.to_owned();
        let report = Report {
            sites: plan.sites.len(),
            data_shards: plan.data_shards,
            threshold: plan.threshold,
            parcels: plan.parcels,
            lost_sites: plan.lost().map(names).collect(),
            surviving_sites: plan.surviving().map(names).collect(),
            ..Report::default()
        };
        Self { plan, folder, legation, started: Monotonic::start(), step: 0, addresses: Vec::new(), report }
    }

    /// Says on standard error what happens next.
    fn tell(&mut self, what: &str) {
        self.step += 1;
        let seconds = seconds(&self.started);
        say(&format!("[{:>2}/{STEPS}] {seconds:>5.1} s  {what}", self.step));
    }

    /// Tells all of it.
    pub(super) fn run(mut self) -> Result<Report, Failure> {
        self.found()?;
        let register = self.invent()?;
        self.first_backup(&register)?;
        self.second_backup(&register)?;
        let mut occupier = self.lose(register)?;
        let refused = self.order("restore", None, QUORUM - 1)?;
        self.refuse(&refused)?;
        let order = self.sign(refused)?;
        self.restore(&order)?;
        self.restore_first()?;
        self.look_back(&order, &mut occupier)?;
        self.report.total_seconds = seconds(&self.started);
        Ok(self.report)
    }

    fn found(&mut self) -> Result<(), Failure> {
        let (sites, lost) = (self.plan.sites.len(), self.plan.lost().count());
        self.tell(&format!(
            "{} officials found a state with {sites} sites under {sites} laws; it will lose {lost} of them",
            OFFICIALS.len()
        ));
        let addresses = loopback(sites)?;
        found(self.plan, self.folder, self.legation, &addresses)?;
        let all: Vec<&Place> = self.plan.sites.iter().collect();
        let peers = start_sites(&all, self.folder, self.legation)?;
        self.addresses = addresses.iter().zip(peers).map(|(address, peer)| format!("{address}/p2p/{peer}")).collect();
        Ok(())
    }

    fn invent(&mut self) -> Result<Register, Failure> {
        self.tell(&format!("a land register of {} parcels is invented", self.plan.parcels));
        Register::create(&self.folder.at("register").join("land.db"), self.plan.parcels)
    }

    fn backup(&self, register: &Register) -> Result<(Value, f64), Failure> {
        let mut source = std::ffi::OsString::from("sqlite:");
        source.push(register.path());
        let (home, charter) = (self.folder.home(), self.folder.charter());
        let started = Monotonic::start();
        let words = words!["backup", DATABASE, "--from", source, "--dir", home, "--charter", charter];
        let value = self.legation.run(&words)?;
        Ok((value, seconds(&started)))
    }

    fn first_backup(&mut self, register: &Register) -> Result<(), Failure> {
        self.tell("the first snapshot is made while notaries go on writing");
        let notaries = register.start_notaries()?;
        let backed_up = self.backup(register);
        self.report.rows_written_during_backup = notaries.stop()?;
        let (value, seconds) = backed_up?;
        (self.report.rows, self.report.database_bytes) = register.size()?;
        self.report.backup_seconds = seconds;
        self.report.stored_bytes = stored_bytes(self.plan, self.folder)?;
        self.report.stored_ratio = ratio(self.report.stored_bytes, self.report.database_bytes);
        self.report.durable = is_durable(&value);
        Ok(())
    }

    fn second_backup(&mut self, register: &Register) -> Result<(), Failure> {
        self.tell("scattered rows change, and the second snapshot is made");
        let written = self.report.rows_written_during_backup;
        let rows = (self.report.rows * CHANGED_PER_MILLE / 1_000).saturating_sub(written);
        self.report.rows_changed_before_second_backup = register.change(rows)? + written;
        let (value, seconds) = self.backup(register)?;
        register.copy_to(&self.witness())?;
        (self.report.rows, self.report.database_bytes) = register.size()?;
        self.report.incremental_seconds = seconds;
        self.report.incremental_stored_bytes =
            stored_bytes(self.plan, self.folder)?.saturating_sub(self.report.stored_bytes);
        self.report.incremental_bytes_ratio = ratio(self.report.incremental_stored_bytes, self.report.stored_bytes);
        self.report.durable &= is_durable(&value);
        Ok(())
    }

    /// A copy of the register, kept out of the state's reach, to compare with.
    fn witness(&self) -> PathBuf {
        self.folder.at("witness").join("land.db")
    }

    /// Sites are killed, searched and robbed of their keys; then nothing of the home is left.
    fn lose(&mut self, register: Register) -> Result<Occupier, Failure> {
        self.tell(&format!("{} are killed without warning", self.report.lost_sites.join(", ")));
        for place in self.plan.lost() {
            self.legation.kill(place.name);
        }
        let texts = register.sample(SAMPLE)?;
        drop(register);
        let needles = Needles::new(&texts, page_fragments(&self.witness())?)?;
        self.report.needles = needles.count();
        self.tell(&format!("their disks are searched for {} pieces of plaintext", needles.count()));
        self.report.plaintext_found_in_database = needles.search_folder(&self.folder.at("witness"))?.hits;
        let disks = self.plan.lost().map(|place| (place.name.to_owned(), self.folder.site(place.name)));
        for (name, dir) in disks.chain([("home's own files".to_owned(), self.folder.home())]) {
            let found = needles.search_folder(&dir)?;
            self.report.plaintext_found_on_lost_sites += found.hits;
            let disk = SearchedDisk { searched_bytes: found.bytes, plaintext_found: found.hits, files: found.files };
            self.report.lost_disks.insert(name, disk);
        }

        self.tell("whoever holds them tries to open the snapshots with all their keys");
        let passphrase = self.folder.passphrase_file();
        let mut occupier = Occupier::default();
        for place in self.plan.lost() {
            occupier.take_site(&self.folder.site(place.name), &passphrase)?;
        }
        occupier.take_home(&self.folder.home(), &passphrase, DATABASE)?;
        let attempts = occupier.try_all();
        self.report.shares_on_lost_sites = attempts.shares;
        self.report.opening_attempts = attempts.count;
        self.report.opened_below_threshold = attempts.opened > 0;

        let home_site = self.plan.lost().next().map(|place| self.folder.site(place.name));
        for dir in home_site.into_iter().chain([self.folder.home(), self.folder.at("register")]) {
            fs::remove_dir_all(&dir).map_err(|error| Failure::file(&dir, &error))?;
        }
        Ok(occupier)
    }

    /// An order for a fresh key on the clean machine, signed by so many officials.
    fn order(&self, name: &str, sequence: Option<&str>, signatures: usize) -> Result<PathBuf, Failure> {
        let exile = self.folder.at("exile");
        let order = exile.join(format!("{name}-order.txt"));
        let (charter, recipient) = (self.folder.charter(), exile.join("exile.key"));
        let mut draft =
            words!["order", "draft", "--charter", charter, "--database", DATABASE, "--recipient", recipient].to_vec();
        draft.extend(words!["--reason", "The home is lost", "--valid-for", "1h", "--out", order]);
        draft.extend(sequence.into_iter().flat_map(|sequence| words!["--sequence", sequence]));
        self.legation.run(&draft)?;
        (0..signatures).try_for_each(|number| self.sign_with(&order, number))?;
        Ok(order)
    }

    fn sign_with(&self, order: &Path, official: usize) -> Result<(), Failure> {
        let key = self.folder.official(official).with_extension("key");
        self.legation.run(&words!["order", "sign", order, "--key", key]).map(|_shown| ())
    }

    /// The clean machine knows the order, its own key and the address of one site that is left.
    fn restore_words(&self, order: &Path, to: &Path) -> Vec<std::ffi::OsString> {
        let last = self.plan.surviving().last().map_or("", |place| place.name);
        let known = self.plan.sites.iter().zip(&self.addresses).find(|(place, _)| place.name == last);
        let address = known.map_or("", |(_, address)| address.as_str());
        let key = self.folder.at("exile").join("exile.key");
        words!["restore", "--order", order, "--key", key, "--site", address, "--to", to].to_vec()
    }

    fn refuse(&mut self, order: &Path) -> Result<(), Failure> {
        let to = self.folder.at("exile").join("refused");
        self.tell("a restore with two signatures is tried");
        let ended = self.legation.attempt(&self.restore_words(order, &to))?;
        let nothing_there = !to.join("land.db").exists();
        self.report.refusal_exit_code = ended.code;
        self.report.refused_with_two_signatures = ended.code == Some(REFUSED) && nothing_there;
        if !self.report.refused_with_two_signatures {
            say(&format!("        not refused as it should be: {}", ended.message()));
        }
        Ok(())
    }

    fn sign(&self, order: PathBuf) -> Result<PathBuf, Failure> {
        self.sign_with(&order, QUORUM - 1)?;
        Ok(order)
    }

    fn restore(&mut self, order: &Path) -> Result<(), Failure> {
        self.tell("a third official signs, and a clean machine restores and compares every row");
        let to = self.folder.at("exile").join("restored");
        let started = Monotonic::start();
        self.legation.run(&self.restore_words(order, &to))?;
        self.report.restore_seconds = seconds(&started);
        let restored = to.join("land.db");
        self.report.restored_same_bytes = same_bytes(&self.witness(), &restored)?;
        let compared = compare(&self.witness(), &restored)?;
        self.report.restored_rows = compared.rows;
        self.report.differing_rows = compared.differences;
        let contradictions = contradictions(&restored)?;
        self.report.restored_identical = compared.is_identical() && contradictions.is_empty();
        self.report.contradictions.extend(contradictions);
        Ok(())
    }

    fn restore_first(&mut self) -> Result<(), Failure> {
        self.tell("the first snapshot, made under writes, is restored and checked for half transactions");
        let order = self.order("first", Some("1"), QUORUM)?;
        let to = self.folder.at("exile").join("first");
        self.legation.run(&self.restore_words(&order, &to))?;
        let contradictions = contradictions(&to.join("land.db"))?;
        self.report.first_snapshot_consistent = contradictions.is_empty();
        self.report.contradictions.extend(contradictions);
        Ok(())
    }

    /// The sites that are left stop, and their logs are read.
    fn look_back(&mut self, order: &Path, occupier: &mut Occupier) -> Result<(), Failure> {
        self.tell("the remaining sites stop, and their release logs are read");
        let shown = self.legation.run(&words!["order", "show", order])?;
        let digest = text(&shown, "digest");
        self.report.release_logged_at = self.read_logs(digest)?;
        if self.report.release_logged_at != self.report.surviving_sites {
            // News was on its way when they were stopped: sites that are back ask each other.
            let surviving: Vec<&Place> = self.plan.surviving().collect();
            start_sites(&surviving, self.folder, self.legation)?;
            std::thread::sleep(NEWS_ROUND);
            self.report.release_logged_at = self.read_logs(digest)?;
        }
        let passphrase = self.folder.passphrase_file();
        let more = self.plan.threshold.saturating_sub(self.report.shares_on_lost_sites);
        for place in self.plan.surviving().take(more) {
            occupier.take_site(&self.folder.site(place.name), &passphrase)?;
        }
        self.report.opened_at_threshold = occupier.opens_with_enough();
        Ok(())
    }

    /// Stops the remaining sites and names those that know the order and every release under it.
    fn read_logs(&self, order: &str) -> Result<Vec<String>, Failure> {
        let (presented, released) = (format!("order {order}"), format!("under order {order}"));
        self.plan.surviving().try_for_each(|place| self.legation.stop(place.name))?;
        let mut logged = Vec::new();
        for place in self.plan.surviving() {
            let shown = self.legation.run(&words!["site", "show", "--dir", self.folder.site(place.name)])?;
            let log = shown.get("release_log").and_then(Value::as_array);
            let lines: Vec<&str> = log.into_iter().flatten().filter_map(Value::as_str).collect();
            let has_order = lines.iter().any(|line| line.starts_with(&presented));
            let releases = lines.iter().filter(|line| line.ends_with(&released)).count();
            if has_order && releases >= self.plan.surviving().count() {
                logged.push(place.name.to_owned());
            }
        }
        Ok(logged)
    }
}

fn say(line: &str) {
    // Nobody left to tell if standard error is closed.
    let _closed = writeln!(std::io::stderr(), "{line}");
}

fn seconds(started: &Monotonic) -> f64 {
    ratio(started.elapsed_ms(), 1_000)
}

fn is_durable(report: &Value) -> bool {
    report.get("durable").and_then(Value::as_bool).unwrap_or_default()
}

fn same_bytes(one: &Path, other: &Path) -> Result<bool, Failure> {
    let hash = |path: &Path| {
        let mut hasher = blake3::Hasher::new();
        let mut file = fs::File::open(path).map_err(|error| Failure::file(path, &error))?;
        hasher.update_reader(&mut file).map_err(|error| Failure::file(path, &error))?;
        Ok::<_, Failure>(hasher.finalize())
    };
    Ok(hash(one)? == hash(other)?)
}
