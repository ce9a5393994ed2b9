//! Refusing a configuration that no run can be made of, with the name of what is wrong.

use std::collections::BTreeSet;

use protocol::identifier::{DatabaseName, SiteName};

use super::{Action, Config};

/// Sites of one run at the most.
pub const SITES_MAX: usize = 64;

/// Why there is no run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A number out of its range.
    #[error("{field}: {actual} is not {expected}")]
    Range {
        /// Which number.
        field: String,
        /// What it may be.
        expected: String,
        /// What it is.
        actual: String,
    },
    /// Twice the same name.
    #[error("{what} {name} is there twice")]
    Twice {
        /// Of what.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A name of nothing.
    #[error("timeline at {at_ms} ms: no {what} {name}")]
    Unknown {
        /// Of what.
        what: &'static str,
        /// The name.
        name: String,
        /// The line.
        at_ms: u64,
    },
    /// The real charter refuses it.
    #[error("no charter can be founded on this: {0}")]
    Charter(String),
}

fn range(field: impl Into<String>, holds: bool, expected: &str, actual: impl ToString) -> Result<(), ConfigError> {
    if holds {
        return Ok(());
    }
    Err(ConfigError::Range { field: field.into(), expected: expected.to_owned(), actual: actual.to_string() })
}

fn unique<T: Ord + ToString>(what: &'static str, names: impl Iterator<Item = T>) -> Result<(), ConfigError> {
    let mut seen = BTreeSet::new();
    for name in names {
        let text = name.to_string();
        if !seen.insert(name) {
            return Err(ConfigError::Twice { what, name: text });
        }
    }
    Ok(())
}

impl Config {
    /// Checks every number and name. Whether a charter can be founded is known only when the run begins.
    ///
    /// # Errors
    /// What is wrong, by its name.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_numbers()?;
        unique("site", self.sites.iter().map(|site| &site.name))?;
        unique("database", self.databases.iter().map(|database| &database.name))?;
        self.timeline.iter().try_for_each(|happening| self.validate_action(happening.at_ms, &happening.action))
    }

    fn validate_numbers(&self) -> Result<(), ConfigError> {
        let founding = self.sites.iter().filter(|site| !site.spare).count();
        range("sites", (1..=SITES_MAX).contains(&self.sites.len()), "1 to 64", self.sites.len())?;
        range("sites that are not spare", founding > 0, "1 or more", founding)?;
        range("databases", (1..=16).contains(&self.databases.len()), "1 to 16", self.databases.len())?;
        range("officials", (1..=64).contains(&self.officials), "1 to 64", self.officials)?;
        range("quorum", (1..=self.officials).contains(&self.quorum), "1 to the number of officials", self.quorum)?;
        range("converge_within_ms", self.converge_within_ms > 0, "1 or more", self.converge_within_ms)?;
        for (field, rate) in [
            ("network.loss", self.network.loss),
            ("network.duplication", self.network.duplication),
            ("disk.torn", self.disk.torn),
        ] {
            range(field, (0.0..=1.0).contains(&rate), "0 to 1", rate)?;
        }
        // At most thirty days.
        for (field, ms) in self.pace.numbers() {
            range(field, (100..=2_592_000_000).contains(&ms), "100 to 2592000000", ms)?;
        }
        let bandwidth = self.network.bandwidth_bytes_per_s;
        range("network.bandwidth_bytes_per_s", bandwidth > 0, "1 or more", bandwidth)?;
        range("network.timeout_ms", self.network.timeout_ms > 0, "1 or more", self.network.timeout_ms)?;
        for database in &self.databases {
            let (name, bytes) = (&database.name, database.change_bytes);
            range(format!("database {name}: change_bytes"), (1..=1 << 18).contains(&bytes), "1 to 262144", bytes)?;
        }
        Ok(())
    }

    fn validate_action(&self, at_ms: u64, action: &Action) -> Result<(), ConfigError> {
        let site = |name: &SiteName| self.known("site", at_ms, name, self.sites.iter().any(|one| one.name == *name));
        let database = |name: &DatabaseName| {
            self.known("database", at_ms, name, self.databases.iter().any(|one| one.name == *name))
        };
        match action {
            Action::Publish { database: name }
            | Action::Restore { database: name }
            | Action::ReplaceWriter { database: name }
            | Action::TurnCustodians { database: name }
            | Action::StealWriter { database: name, .. } => database(name),
            Action::CaptureOfficials { count, database: name, .. } => {
                let bound = if self.asserted.secrecy { self.quorum.saturating_sub(1) } else { self.officials };
                range("captured officials", *count <= bound, "fewer than the quorum (or secrecy not asserted)", count)?;
                database(name)
            }
            Action::Replace { site: name, by } => {
                site(name)?;
                let is_spare = self.sites.iter().any(|one| one.name == *by && one.spare);
                self.known("spare site", at_ms, by, is_spare)
            }
            Action::Partition { sites, .. } => sites.iter().try_for_each(site),
            Action::OneWay { from, to, .. } => site(from).and_then(|()| site(to)),
            Action::Crash { site: name, .. }
            | Action::Lose { site: name }
            | Action::Rot { site: name, .. }
            | Action::Empty { site: name, .. }
            | Action::FullDisk { site: name, .. }
            | Action::SlowDisk { site: name, .. }
            | Action::StepClock { site: name, .. }
            | Action::Lie { site: name, .. } => site(name),
            Action::Copy { jurisdiction } => {
                let holds = self.sites.iter().any(|site| site.jurisdiction == *jurisdiction);
                self.known("jurisdiction", at_ms, jurisdiction, holds)
            }
            Action::CrashHome { .. } | Action::LoseHome => Ok(()),
        }
    }

    fn known(&self, what: &'static str, at_ms: u64, name: &impl ToString, holds: bool) -> Result<(), ConfigError> {
        if holds { Ok(()) } else { Err(ConfigError::Unknown { what, name: name.to_string(), at_ms }) }
    }
}
