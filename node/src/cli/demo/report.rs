//! What the demo proved, on one screen or as one object.

use std::collections::BTreeMap;

use serde::Serialize;

use super::plan::{OFFICIALS, QUORUM};
use crate::cli::backup::human;
use crate::cli::{Failure, Output};
use crate::exit_code::ExitCode;

/// What the search of one lost disk found.
#[derive(Debug, Serialize)]
pub(super) struct SearchedDisk {
    pub(super) searched_bytes: u64,
    pub(super) plaintext_found: u64,
    /// By file.
    pub(super) files: BTreeMap<String, u64>,
}

/// The figures of one demo.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) sites: usize,
    pub(super) data_shards: usize,
    pub(super) threshold: usize,
    pub(super) lost_sites: Vec<String>,
    pub(super) surviving_sites: Vec<String>,
    pub(super) rows: u64,
    pub(super) parcels: u64,
    pub(super) database_bytes: u64,
    pub(super) rows_written_during_backup: u64,
    pub(super) rows_changed_before_second_backup: u64,
    pub(super) durable: bool,
    pub(super) backup_seconds: f64,
    pub(super) incremental_seconds: f64,
    pub(super) stored_bytes: u64,
    /// Shard bytes of all sites after the first snapshot, for each byte of the database.
    pub(super) stored_ratio: f64,
    pub(super) incremental_stored_bytes: u64,
    /// Shard bytes that the second snapshot added, for each that the first one did.
    pub(super) incremental_bytes_ratio: f64,
    pub(super) needles: usize,
    /// Hits of the same needles in the database itself: the search does find what is there.
    pub(super) plaintext_found_in_database: u64,
    pub(super) plaintext_found_on_lost_sites: u64,
    pub(super) lost_disks: BTreeMap<String, SearchedDisk>,
    pub(super) shares_on_lost_sites: usize,
    pub(super) opening_attempts: u64,
    pub(super) opened_below_threshold: bool,
    /// The same attempt with `threshold` shares: it must open, or the attempts were none.
    pub(super) opened_at_threshold: bool,
    pub(super) refused_with_two_signatures: bool,
    pub(super) refusal_exit_code: Option<i32>,
    pub(super) restore_seconds: f64,
    pub(super) restored_rows: u64,
    pub(super) differing_rows: u64,
    /// Every row of every table, and the integrity of the file.
    pub(super) restored_identical: bool,
    /// The restored file is the same, byte for byte, as the copy made when the snapshot was.
    pub(super) restored_same_bytes: bool,
    /// The snapshot that was made while rows were written, restored too: no half transaction in it.
    pub(super) first_snapshot_consistent: bool,
    pub(super) contradictions: Vec<String>,
    pub(super) release_logged_at: Vec<String>,
    pub(super) total_seconds: f64,
    pub(super) broken_promises: Vec<&'static str>,
}

impl Report {
    /// Every promise, and whether it held.
    fn promises(&self) -> [(&'static str, bool); 9] {
        [
            ("both snapshots are durable", self.durable),
            ("rows were written while the first backup ran", self.rows_written_during_backup > 0),
            (
                "no plaintext on the disks of the lost sites",
                self.plaintext_found_on_lost_sites == 0 && self.plaintext_found_in_database > 0,
            ),
            ("the lost sites' keys together open nothing", !self.opened_below_threshold && self.opened_at_threshold),
            ("two signatures are not enough", self.refused_with_two_signatures),
            ("the restored register is identical", self.restored_identical),
            ("the restored file has the same bytes", self.restored_same_bytes),
            ("the snapshot taken under writes is consistent", self.first_snapshot_consistent),
            ("every surviving site logged the release", self.release_logged_at == self.surviving_sites),
        ]
    }

    /// Prints the report.
    ///
    /// # Errors
    /// A promise did not hold; the failure names it and carries the report.
    pub(super) fn conclude(mut self, output: &Output) -> Result<(), Failure> {
        let broken: Vec<&'static str> =
            self.promises().into_iter().filter(|(_, held)| !held).map(|(name, _)| name).collect();
        self.broken_promises.clone_from(&broken);
        let value = serde_json::to_value(&self).map_err(Failure::unexpected)?;
        if broken.is_empty() {
            output.result(&value, || self.words());
            return Ok(());
        }
        let message = format!("{}\n\nBROKEN PROMISE: {}", self.words(), broken.join("; "));
        let mut failure = Failure::new(ExitCode::IntegrityFault, message);
        failure.report = Some(value);
        Err(failure)
    }

    fn words(&self) -> String {
        let (sites, shares, threshold) = (self.sites, self.shares_on_lost_sites, self.threshold);
        let found = |found: u64| if found == 0 { "nothing".to_owned() } else { format!("{found} HITS") };
        let disk = |(name, disk): (&String, &SearchedDisk)| {
            format!("read at          {name}: {} in {}", found(disk.plaintext_found), human(disk.searched_bytes))
        };
        let mut lines = vec![
            format!("A state lost {} of its {sites} sites, its home among them.", self.lost_sites.len()),
            format!(
                "code             any {} of {sites} sites rebuild, {threshold} of {sites} shares open, {QUORUM} of {} officials \
                 decide",
                self.data_shards,
                OFFICIALS.len()
            ),
            format!(
                "register         {} rows, {} of SQLite; {} rows written during the first backup",
                self.rows,
                human(self.database_bytes),
                self.rows_written_during_backup
            ),
            format!("lost             {} (home wiped: keys, database, index)", self.lost_sites.join(", ")),
        ];
        lines.extend(self.lost_disks.iter().map(disk));
        lines.extend([
            format!(
                "                 {} needles were looked for; the same search of the database hits {} times",
                self.needles, self.plaintext_found_in_database
            ),
            format!(
                "opened with all  {}: {shares} of {threshold} shares, {} attempts; with {threshold} shares: {}",
                if self.opened_below_threshold { "YES" } else { "no" },
                self.opening_attempts,
                if self.opened_at_threshold { "yes" } else { "NO" }
            ),
            format!(
                "2 signatures     {}; with {QUORUM} released, and logged at {} of {} remaining sites",
                if self.refused_with_two_signatures { "refused" } else { "NOT REFUSED" },
                self.release_logged_at.len(),
                self.surviving_sites.len()
            ),
            format!(
                "restored         {}: {} rows compared, {} differ; {} bytes; first snapshot {}",
                if self.restored_identical { "identical" } else { "NOT IDENTICAL" },
                self.restored_rows,
                self.differing_rows,
                if self.restored_same_bytes { "the same" } else { "OTHER" },
                if self.first_snapshot_consistent { "consistent" } else { "TORN" }
            ),
            format!("restore          {:.1} s", self.restore_seconds),
            format!(
                "first backup     {:.1} s; {:.2} bytes stored at all sites for each byte (compressed; the code costs {:.2})",
                self.backup_seconds,
                self.stored_ratio,
                ratio(sites as u64, self.data_shards as u64)
            ),
            format!(
                "second backup    {:.1} s; {:.0} % of the first one's bytes for {:.1} % of the rows",
                self.incremental_seconds,
                self.incremental_bytes_ratio * 100.0,
                ratio(self.rows_changed_before_second_backup, self.rows) * 100.0
            ),
            "Not promised: whoever takes the home reads the live database that stands there. The promise is about the"
                .to_owned(),
            "sites' disks, and about the home's own files: nothing of any snapshot lies readable in them.".to_owned(),
        ]);
        let held = self.promises().iter().filter(|(_, held)| *held).count();
        lines.push(format!("{held} of {} promises held, in {:.0} s.", self.promises().len(), self.total_seconds));
        lines.join("\n")
    }
}

/// For people: two counts as one number.
#[expect(clippy::cast_precision_loss, reason = "counts of rows and bytes are far below 2^52")]
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Report, SearchedDisk};
    use crate::cli::Output;
    use crate::exit_code::ExitCode;

    fn good() -> Report {
        Report {
            durable: true,
            rows_written_during_backup: 4,
            plaintext_found_in_database: 9,
            opened_at_threshold: true,
            refused_with_two_signatures: true,
            restored_identical: true,
            restored_same_bytes: true,
            first_snapshot_consistent: true,
            ..Report::default()
        }
    }

    #[test]
    fn one_broken_promise_is_named_and_fails() {
        let output = Output::new(true);
        assert!(good().conclude(&output).is_ok());
        let failure = Report { plaintext_found_on_lost_sites: 1, ..good() }.conclude(&output).unwrap_err();
        assert_eq!(failure.code, ExitCode::IntegrityFault);
        assert!(failure.message.contains("BROKEN PROMISE: no plaintext on the disks"));
        assert!(failure.report.is_some());
        // A search that finds nothing anywhere, and attempts that open nothing ever, prove nothing.
        assert!(Report { plaintext_found_in_database: 0, ..good() }.conclude(&output).is_err());
        assert!(Report { opened_at_threshold: false, ..good() }.conclude(&output).is_err());
        assert!(Report { opened_below_threshold: true, ..good() }.conclude(&output).is_err());
        assert!(Report { surviving_sites: vec!["lu".to_owned()], ..good() }.conclude(&output).is_err());
    }

    #[test]
    fn the_summary_fits_one_screen() {
        let disk = || SearchedDisk { searched_bytes: 1, plaintext_found: 0, files: BTreeMap::new() };
        let lost_disks = ["home", "ee-home", "fr-embassy", "pt-centre"].map(|name| (name.to_owned(), disk()));
        let words = Report { lost_disks: lost_disks.into(), ..good() }.words();
        assert!(words.lines().count() <= 24, "{words}");
        assert!(words.lines().all(|line| line.len() <= 120), "{words}");
    }
}
