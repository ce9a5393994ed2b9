//! What a plan is, to fate mode: sites with their hazards, groups that are struck together, a staged timeline, the code,
//! the policy of repair, and the databases. Plain data, by index; nothing here draws a random number.
//!
//! Times are years from the start and rates are per year unless a name says otherwise. [`Model::check`] refuses what
//! describes nothing, by name.

mod check;
mod law;

use serde::Serialize;

pub use check::{ModelError, SITES_MAX};
pub use law::Law;

/// One plan over one horizon.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Model {
    /// How long the plan is followed, years.
    pub horizon_years: f64,
    /// Every place that holds something, and home.
    pub sites: Vec<Site>,
    /// Sites that are struck together at random times.
    pub groups: Vec<Group>,
    /// What happens at known times, in any order; of two at one time the first listed comes first.
    pub timeline: Vec<Timed>,
    /// How many shards restore and how many shares open.
    pub code: Code,
    /// How losses are found and put right.
    pub policy: Policy,
    /// What is kept, for data loss in time (RPO), time to service (RTO) and traffic. May be empty.
    pub databases: Vec<Database>,
    /// How a restore proceeds after home is lost.
    pub restore: Restore,
    /// Theft of the writer's key at home, or nothing.
    pub writer: Option<Writer>,
}

/// A site and what befalls it alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Site {
    /// As in the charter.
    pub name: String,
    /// It holds one shard of every stripe.
    pub holds_shard: bool,
    /// It holds one share of every snapshot key.
    pub holds_share: bool,
    /// It stands at home. Home is lost when its last intact site is.
    pub is_home: bool,
    /// It is offline between backups: no blow that spares cold sites reaches it.
    pub is_cold: bool,
    /// Lifetime until its shard and its share are lost at once (fire, flood, disks) and this is noticed.
    pub loss: Option<Law>,
    /// Its shard rots: only the next audit finds it. Its share stays.
    pub rot_per_year: f64,
    /// It is down from time to time, and nothing is lost.
    pub outage: Option<Outage>,
    /// It is captured: what it holds is disclosed and lost.
    pub seized_per_year: f64,
    /// Its host copies what it holds: disclosed, not lost, not noticed.
    pub copied_per_year: f64,
    /// From the moment a loss is noticed and a crew is free until an equivalent site holds shard and share; `None`: never.
    pub repair: Option<Law>,
    /// The same for a shard that rotted, on a site that stands.
    pub remake: Law,
    /// The agreement with its host ends within the horizon, perhaps.
    pub agreement: Option<Agreement>,
    /// What it can send, bytes per second.
    pub up_bytes_per_s: f64,
    /// What it can receive, bytes per second.
    pub down_bytes_per_s: f64,
}

impl Site {
    /// A site with a shard and a share that nothing ever befalls, on a line of 1 Gbit/s.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            holds_shard: true,
            holds_share: true,
            is_home: false,
            is_cold: false,
            loss: None,
            rot_per_year: 0.0,
            outage: None,
            seized_per_year: 0.0,
            copied_per_year: 0.0,
            repair: None,
            remake: Law::Constant { years: 0.0 },
            agreement: None,
            up_bytes_per_s: 125e6,
            down_bytes_per_s: 125e6,
        }
    }
}

/// Times up and times down, by turns, from up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Outage {
    /// Time up until the next outage.
    pub every: Law,
    /// Length of an outage.
    pub lasts: Law,
}

/// An agreement that ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// When.
    pub ends_years: f64,
    /// How the site leaves.
    pub departure: Departure,
}

/// How a site leaves its host; what remains of 1 is the chance that it is erased in time, lost but not disclosed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Departure {
    /// Chance that shard and share are moved to an equivalent site before: nothing is lost.
    pub moved: f64,
    /// Chance that it is captured instead.
    pub raided: f64,
}

/// What ties sites together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupKind {
    /// One country's law.
    Jurisdiction,
    /// Countries that may act together.
    Alliance,
    /// One building or owner of the ground.
    Building,
    /// One software, one update channel.
    Software,
    /// One cable or carrier.
    Network,
    /// One supplier.
    Vendor,
    /// Anything else.
    Other,
}

/// Sites that one event strikes, at a constant rate. Groups may overlap, and two groups may have the same members.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// For the table of causes.
    pub name: String,
    /// What ties them.
    pub kind: GroupKind,
    /// Indices of sites.
    pub members: Vec<usize>,
    /// Events per year. While one lasts ([`Effect::Down`]) the next does not begin: per year of quiet.
    pub per_year: f64,
    /// What an event does.
    pub blow: Blow,
}

/// An event at a known time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timed {
    /// For the table of causes.
    pub name: String,
    /// When.
    pub at_years: f64,
    /// Indices of sites.
    pub targets: Vec<usize>,
    /// What it does.
    pub blow: Blow,
}

/// What an event does to the sites it is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Blow {
    /// To each site that is hit.
    pub effect: Effect,
    /// Which of them are hit.
    pub hits: Hits,
    /// What is lost stays lost: no repair, no successor.
    pub for_good: bool,
    /// Cold sites are not hit.
    pub spares_cold: bool,
}

impl Blow {
    /// Every target is hit, and may be repaired.
    pub fn on_all(effect: Effect) -> Self {
        Self { effect, hits: Hits::Each { chance: 1.0 }, for_good: false, spares_cold: false }
    }
}

/// What happens to a site that is hit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Shard and share are lost, and this is noticed.
    Lost,
    /// Captured: disclosed and lost.
    Seized,
    /// Copied in silence: disclosed, not lost.
    Copied,
    /// The shard rots, in silence.
    Rotted,
    /// Down for a time that is drawn once for all that are hit; nothing is lost.
    Down(Law),
    /// Sent away by the host.
    Expelled(Departure),
    /// The writer's key at home is stolen; targets do not matter.
    WriterStolen,
}

/// Which of the targets are hit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hits {
    /// Each by itself, with this chance.
    Each {
        /// 0 to 1.
        chance: f64,
    },
    /// This many of them, at random; all, where there are fewer.
    AtRandom {
        /// How many.
        count: u32,
    },
}

/// The two thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Code {
    /// Intact shards that restore.
    pub data_shards: u32,
    /// Shares that open.
    pub threshold: u32,
    /// Years between refreshes of the shares; shares captured in different epochs do not add up. A refresh fails where
    /// fewer than `threshold` shares are up.
    pub refresh_years: Option<f64>,
    /// Whoever has `threshold` shares is taken to have the sealed data from elsewhere. Otherwise `data_shards` captured
    /// shards are needed too; those never expire.
    pub ciphertext_is_public: bool,
}

/// How losses are found and put right.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Policy {
    /// Years between audits, which find rot; `None`: never.
    pub audit_years: Option<f64>,
    /// Years from a loud loss until it is acted on.
    pub detect_years: f64,
    /// Sites repaired at a time; `None`: all.
    pub crews: Option<u32>,
    /// Lazy repair: it begins when so few shards are known to be left; then all that is missing is repaired.
    pub repair_at: Option<u32>,
    /// A site that is down for so long is written off as lost and replaced; `None`: never.
    pub write_off_years: Option<f64>,
    /// Rebuilding also takes the time to move the bytes, over this share of the uplinks (0 to 1); `None`: the law of
    /// repair says it all.
    pub uplink_share: Option<f64>,
}

/// What is kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Database {
    /// As in the charter.
    pub name: String,
    /// Size, bytes.
    pub bytes: f64,
    /// Restored in this order, lowest first; equal ones in the order listed.
    pub priority: u32,
    /// Years between snapshots.
    pub snapshot_years: f64,
    /// Years until a snapshot is durable.
    pub lag_years: f64,
}

/// A restore after home is lost: it begins when enough sites are up, after the decision.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Restore {
    /// From the loss of home until a quorum has signed and a clean machine stands.
    pub decision: Law,
    /// Until a site answers.
    pub answer: Law,
    /// What the new home can receive, bytes per second.
    pub ingress_bytes_per_s: f64,
}

impl Default for Restore {
    fn default() -> Self {
        Self {
            decision: Law::Constant { years: 0.0 },
            answer: Law::Constant { years: 0.0 },
            ingress_bytes_per_s: 125e6,
        }
    }
}

/// Theft of the writer's key: snapshots made after it are not trusted, which counts as data loss in time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Writer {
    /// Thefts per year.
    pub stolen_per_year: f64,
    /// Until it is noticed.
    pub noticed_after: Law,
}
