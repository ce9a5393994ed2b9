//! From a run that fails to the smallest one found that fails in the same way: fewer lines, fewer sites, fewer kinds of
//! trouble, less time.
//!
//! Whatever is taken out leaves the chance of everything else as it was: one stream for each purpose, one line of the
//! timeline for each thing that happens.

use serde::Serialize;

use super::Config;
use super::config::{Action, ConfigError, NetworkConfig};
use super::engine::run;
use super::report::Violation;

/// What shrinking came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shrunk {
    /// The smallest config found.
    pub config: Config,
    /// How it fails.
    pub violation: Violation,
    /// Runs it took.
    pub runs: u32,
}

impl Shrunk {
    /// The config as TOML that can be run again, with a comment that says how it fails.
    ///
    /// # Errors
    /// What cannot be written as TOML.
    pub fn to_text(&self) -> Result<String, toml::ser::Error> {
        Ok(format!("# Fails: {}\n{}", self.violation, toml::to_string(&self.config)?))
    }
}

/// Shrinks `config` with at most `runs_max` runs; `None` if it does not fail.
///
/// # Errors
/// The config cannot be run.
pub fn shrink(config: &Config, runs_max: u32) -> Result<Option<Shrunk>, ConfigError> {
    let Some(violation) = run(config, &mut ())?.violation else { return Ok(None) };
    let mut shrinking = Shrinking { best: config.clone(), violation, runs: 1, runs_max };
    loop {
        let before = shrinking.best.clone();
        shrinking.drop_lines();
        shrinking.drop_sites();
        shrinking.simplify();
        if shrinking.best == before || shrinking.runs >= runs_max {
            break;
        }
    }
    let Shrinking { best, violation, runs, .. } = shrinking;
    Ok(Some(Shrunk { config: best, violation, runs }))
}

struct Shrinking {
    best: Config,
    violation: Violation,
    runs: u32,
    runs_max: u32,
}

impl Shrinking {
    /// Keeps `candidate` if it fails by the same invariant.
    fn try_it(&mut self, candidate: Config) -> bool {
        if candidate == self.best || self.runs >= self.runs_max {
            return false;
        }
        self.runs += 1;
        // A config that cannot be run is not smaller, it is none.
        let violation = run(&candidate, &mut ()).ok().and_then(|report| report.violation);
        let same = violation.filter(|violation| violation.invariant == self.violation.invariant);
        let Some(violation) = same else { return false };
        (self.best, self.violation) = (candidate, violation);
        true
    }

    fn try_change(&mut self, change: impl FnOnce(&mut Config)) -> bool {
        let mut candidate = self.best.clone();
        change(&mut candidate);
        self.try_it(candidate)
    }

    /// Halves first, then quarters, down to single lines.
    fn drop_lines(&mut self) {
        let mut size = self.best.timeline.len().div_ceil(2);
        while size > 0 {
            let mut start = 0;
            while start < self.best.timeline.len() {
                let end = (start + size).min(self.best.timeline.len());
                let dropped = self.try_change(|config| drop(config.timeline.drain(start..end)));
                if !dropped {
                    start = end;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    /// A site goes with every line that names it, and the code shrinks with it.
    fn drop_sites(&mut self) {
        for position in (0..self.best.sites.len()).rev() {
            let Some(name) = self.best.sites.get(position).map(|site| site.name.clone()) else { continue };
            let without = |config: &mut Config| {
                config.sites.remove(position);
                config.timeline.iter_mut().for_each(|line| {
                    if let Action::Partition { sites, .. } = &mut line.action {
                        sites.retain(|site| *site != name);
                    }
                });
                config.timeline.retain(|line| !names(&line.action, &name));
            };
            let smaller_code = |config: &mut Config| {
                for database in &mut config.databases {
                    database.data_shards = database.data_shards.saturating_sub(1).max(1);
                    database.threshold = database.threshold.saturating_sub(1).max(2);
                }
            };
            if !self.try_change(without) {
                self.try_change(|config| {
                    without(config);
                    smaller_code(config);
                });
            }
        }
        for position in (1..self.best.databases.len()).rev() {
            self.try_change(|config| {
                let gone = config.databases.remove(position).name;
                config.timeline.retain(|line| !line.action.is_about(&gone));
            });
        }
    }

    fn simplify(&mut self) {
        self.try_change(|config| config.network = NetworkConfig { jitter_ms: 0, ..NetworkConfig::default() });
        self.try_change(|config| config.network.loss = 0.0);
        self.try_change(|config| config.network.duplication = 0.0);
        self.try_change(|config| config.network.jitter_ms = 0);
        self.try_change(|config| (config.clock.offset_ms_max, config.clock.drift_ppm_max) = (0, 0));
        self.try_change(|config| config.encode_messages = false);
        self.try_change(|config| config.sites.iter_mut().for_each(|site| (site.shards, site.shares) = (true, true)));
        self.try_change(|config| config.databases.iter_mut().for_each(|database| database.change_bytes = 100));
        for _ in 0..4 {
            // Everything happens in half the time.
            self.try_change(|config| {
                config.heal_at_ms /= 2;
                config.timeline.iter_mut().for_each(|line| line.at_ms /= 2);
            });
        }
        let last_ms = self.best.timeline.iter().map(|line| line.at_ms).max().unwrap_or(0);
        self.try_change(|config| config.heal_at_ms = last_ms + 1_000);
    }
}

/// Whether a line is about one site.
fn names(action: &Action, name: &protocol::identifier::SiteName) -> bool {
    match action {
        Action::Crash { site, .. }
        | Action::Lose { site }
        | Action::Rot { site, .. }
        | Action::Empty { site, .. }
        | Action::FullDisk { site, .. }
        | Action::SlowDisk { site, .. }
        | Action::StepClock { site, .. }
        | Action::Lie { site, .. } => site == name,
        Action::Replace { site, by } => site == name || by == name,
        Action::OneWay { from, to, .. } => from == name || to == name,
        Action::Publish { .. }
        | Action::Restore { .. }
        | Action::ReplaceWriter { .. }
        | Action::TurnCustodians { .. }
        | Action::CrashHome { .. }
        | Action::LoseHome
        | Action::Partition { .. }
        | Action::Copy { .. }
        | Action::StealWriter { .. }
        | Action::CaptureOfficials { .. } => false,
    }
}
