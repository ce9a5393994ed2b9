//! Stepping through a trace: every event in words, and what it changed at the site.

use std::fmt::Write as _;

use protocol::machine::RecordKind;
use protocol::signature::Signed;

use super::Config;
use super::config::ConfigError;
use super::engine::{Observer, run};
use super::report::Report;
use super::sim_site::SimSite;
use super::trace::{NodeId, TraceEvent};
use super::virtual_clock::Time;

/// What can be seen of a site, one fact a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteView(Vec<String>);

impl SiteView {
    /// Looks at a site.
    #[must_use]
    pub fn of(site: &SimSite) -> Self {
        let mut facts = Vec::new();
        facts.push(format!("process: {}", if site.process.is_some() { "up" } else { "down" }));
        for kind in RecordKind::REPLAY_ORDER {
            let count = site.disk.records(kind).count();
            if count > 0 {
                facts.push(format!("records {kind:?}: {count}"));
            }
        }
        facts.push(format!("shards: {}", site.disk.shard_count()));
        if let Some(process) = &site.process {
            let (catalog, release) = (&process.machines.catalog, &process.machines.release);
            facts.push(format!("charter: version {}", catalog.charter().version));
            for (name, history) in catalog.histories() {
                let head = history.head().map(|head| head.digest().short()).unwrap_or_default();
                let sequence = history.head_sequence();
                facts.push(format!("{name} head: {sequence} ({head})"));
                for receipt in history.receipts(sequence).map(Signed::document) {
                    let (shards, share) = (receipt.holds_shards, receipt.holds_share);
                    facts
                        .push(format!("{name} {sequence} receipt of {}: shards {shards}, share {share}", receipt.site));
                }
                let lacking = history.live_stripes().iter().filter_map(|live| live.shard_at(&site.keys.name));
                let lacking = lacking.filter(|(_index, root)| !site.disk.claims(root)).count();
                facts.push(format!("{name} shards missing: {lacking}"));
                facts.push(format!("{name} forks: {}", history.forks().count()));
            }
            facts.push(format!("release log: {} entries", release.log().len()));
        }
        Self(facts)
    }

    /// Lines that are only in one of two views: `-` before, `+` after.
    #[must_use]
    pub fn difference(&self, after: &Self) -> Vec<String> {
        let gone = self.0.iter().filter(|fact| !after.0.contains(fact)).map(|fact| format!("- {fact}"));
        let new = after.0.iter().filter(|fact| !self.0.contains(fact)).map(|fact| format!("+ {fact}"));
        gone.chain(new).collect()
    }
}

/// Writes a trace in words.
struct Writer<'a> {
    config: &'a Config,
    line: u64,
    from_line: u64,
    write: &'a mut dyn FnMut(&str),
}

impl Writer<'_> {
    fn name(&self, node: NodeId) -> String {
        let name = self.config.sites.get(node.index()).map(|site| site.name.to_string());
        name.unwrap_or_else(|| {
            if node.index() == self.config.sites.len() { "home".to_owned() } else { format!("client {}", node.0) }
        })
    }
}

impl Observer for Writer<'_> {
    fn line(&mut self, at: Time, node: NodeId, event: &TraceEvent) {
        self.line += 1;
        if self.line < self.from_line {
            return;
        }
        let mut text = String::new();
        let (number, name) = (self.line, self.name(node));
        // Writing to a string cannot fail.
        let _infallible = write!(text, "{number:>7} {at} {name:<16} {event}");
        if let TraceEvent::Action { line } = event {
            let mut timeline: Vec<_> = self.config.timeline.iter().collect();
            timeline.sort_by_key(|happening| happening.at_ms);
            if let Some(happening) = timeline.get(*line) {
                let _infallible = write!(text, ": {:?}", happening.action);
            }
        }
        (self.write)(&text);
    }

    fn wants_views(&self) -> bool {
        self.line + 1 >= self.from_line
    }

    fn changed(&mut self, _at: Time, node: NodeId, before: &SiteView, after: &SiteView) {
        let name = self.name(node);
        for line in before.difference(after) {
            (self.write)(&format!("{:>7} {:<31} {name:<16}   {line}", "", ""));
        }
    }
}

/// Runs `config` and writes every line of its trace from `from_line` on (the first is 1), each followed by what it changed
/// at the site.
///
/// # Errors
/// As [`run`].
pub fn replay(config: &Config, from_line: u64, mut write: impl FnMut(&str)) -> Result<Report, ConfigError> {
    let mut writer = Writer { config, line: 0, from_line, write: &mut write };
    run(config, &mut writer)
}
