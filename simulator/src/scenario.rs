//! One scenario file (TOML) for both modes: sites, the code, policy, databases, and what may happen.
//!
//! The file is read in two steps: [`mod@file`] holds what a person may write, with every default still open; [`Scenario`] is
//! the same with every default filled in and every rule checked. Each thing that is wrong is named with its line
//! and field, all at once. The fields are explained in `docs/simulator/scenarios.md`.
//!
//! | module | holds |
//! | --- | --- |
//! | [`mod@file`] | the file as written |
//! | [`time`] | durations, and laws of random durations |
//! | [`select`] | which sites an event hits: `jurisdiction:EE`, `kind:embassy`, `all` |
//! | [`check`] | from the file to the scenario: defaults, limits, rules |
//! | [`fate`], [`protocol`] | from the scenario to the model of fate mode, and to a run of protocol mode |
//! | [`officials`] | capture of officials, put together with what befalls the sites |
//! | [`explain`] | the scenario in words |
//! | [`problem`] | what is wrong, with line and field |
//! | [`library`] | the ready-made scenarios |

pub mod check;
pub mod explain;
pub mod fate;
pub mod file;
pub mod library;
pub mod officials;
pub mod problem;
pub mod protocol;
pub mod select;
pub mod time;

use serde::Serialize;

pub use check::read;
pub use file::{Effect, Kind, Role};
use time::{Law, Span};

/// The one version of the file format.
pub const SCHEMA: u32 = 1;
/// The most sites of a scenario.
pub const SITES_MAX: usize = 100_000;
/// The most events, databases and alliances, each.
pub const ENTRIES_MAX: usize = 10_000;

/// A scenario that makes sense.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scenario {
    /// What it is called.
    pub title: String,
    /// What it is about, in sentences.
    pub about: String,
    /// Where its facts come from.
    pub sources: Vec<String>,
    /// What was assumed; printed beside every result.
    pub assumptions: Vec<String>,
    /// How long and how often.
    pub run: file::Run,
    /// The code; absent in a search for one.
    pub code: Option<Code>,
    /// Detection and repair.
    pub policy: file::Policy,
    /// What a restore meets.
    pub restore: Restore,
    /// What is kept.
    pub databases: Vec<file::Database>,
    /// Who holds it.
    pub sites: Vec<Site>,
    /// Jurisdictions that may act as one.
    pub alliances: Vec<file::Alliance>,
    /// What may happen, or does at a known time.
    pub events: Vec<Event>,
    /// The officials, if their capture is modelled.
    pub officials: Option<file::Officials>,
    /// The writer key, if its theft is modelled.
    pub writer: Option<file::Writer>,
    /// What the planner wants.
    pub target: file::Target,
    /// Where a search looks.
    pub search: Option<file::Search>,
}

/// Shards and shares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Code {
    /// Shards that rebuild.
    pub data_shards: u32,
    /// Shares that open.
    pub threshold: u32,
    /// How often the shares are made anew; what was captured before is then worth nothing.
    pub refresh: Option<Span>,
    /// Who has enough shares is taken to have the sealed data too.
    pub ciphertext_is_public: bool,
}

/// What a restore meets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Restore {
    /// From the disaster until the order carries a quorum.
    pub order_takes: Law,
    /// Until one site has answered.
    pub answer_takes: Law,
    /// What the place of the restore can take in, in Mbit/s.
    pub ingress_mbit_s: f64,
}

/// One site, with the defaults filled in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// What kind of place.
    pub kind: Kind,
    /// ISO 3166 code.
    pub jurisdiction: String,
    /// The building it stands in; sites of one building burn together.
    pub building: Option<String>,
    /// Who owns the ground.
    pub owner: Option<String>,
    /// Who sells the service.
    pub vendor: Option<String>,
    /// The line it hangs on.
    pub network: Option<String>,
    /// What it runs; one fault may stop all that run it.
    pub software: Option<String>,
    /// Holds shards.
    pub holds_shards: bool,
    /// Holds shares.
    pub holds_shares: bool,
    /// Not on line: a worm does not reach it.
    pub cold: bool,
    /// Losses of everything it holds, per year.
    pub lost_per_year: f64,
    /// Instead of a constant rate: how long its disks live.
    pub lifetime: Option<Law>,
    /// Silent losses of its shard, per year.
    pub rot_per_year: f64,
    /// Times per year that it is down with nothing lost.
    pub down_per_year: f64,
    /// How long it is then down.
    pub down_for: Law,
    /// Seizures per year: everything on it is taken away and read.
    pub seized_per_year: f64,
    /// Silent copies per year: read, and nobody knows.
    pub copied_per_year: f64,
    /// From the order to replace it until it is whole again.
    pub repair: Law,
    /// From the audit that finds its shard rotten until the shard is made anew.
    pub remake: Law,
    /// When its agreement ends.
    pub agreement_ends: Option<Span>,
    /// The chance that the agreement is renewed.
    pub renewal: f64,
    /// What it can send, in Mbit/s.
    pub uplink_mbit_s: f64,
    /// What it costs per year, in the planner's own unit.
    pub cost_per_year: f64,
}

/// When an event happens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Once, after this time.
    At(Span),
    /// At random, so many times per year.
    PerYear(f64),
}

/// Which of the sites that an event may hit are hit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Struck {
    /// Each by itself, with this chance.
    Each(f64),
    /// So many of them, at random.
    Pick(u32),
}

/// Something that hits several sites at once.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// What it is called.
    pub name: String,
    /// When.
    pub when: When,
    /// What it does to a site.
    pub effect: Effect,
    /// The sites it may hit, by position.
    pub hits: Vec<usize>,
    /// The selectors they came from.
    pub selectors: Vec<String>,
    /// Which of them are hit.
    pub struck: Struck,
    /// How long sites are down, for [`Effect::Down`].
    pub lasts: Option<Law>,
    /// Chance to be moved in time, for [`Effect::Expelled`].
    pub moved: f64,
    /// Chance to be raided, for [`Effect::Expelled`].
    pub raided: f64,
    /// Sites hit are not rebuilt.
    pub for_good: bool,
}

impl Scenario {
    /// Positions of the sites on the state's own ground.
    pub fn home(&self) -> Vec<usize> {
        self.sites.iter().enumerate().filter(|(_, site)| site.kind == Kind::Home).map(|(at, _)| at).collect()
    }

    /// How many sites hold a shard, and how many a share.
    pub fn holders(&self) -> (usize, usize) {
        let shards = self.sites.iter().filter(|site| site.holds_shards).count();
        (shards, self.sites.iter().filter(|site| site.holds_shares).count())
    }
}

#[cfg(test)]
mod tests;
