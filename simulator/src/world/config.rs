//! What a run of protocol mode is made of: sites, links, disks, clocks, and a timeline of everything that happens.
//!
//! A [`Config`] is plain data and reads and writes as TOML. Everything that is left to chance follows from its seed, and
//! what happens when stands in the timeline: taking one line out changes nothing but that line, which is what shrinking
//! lives on. Times are milliseconds of virtual time since the founding.

mod pace;
mod validate;

use std::collections::BTreeSet;

use protocol::document::Keep;
use protocol::identifier::{DatabaseName, SiteName};
use serde::{Deserialize, Serialize};

pub use pace::PaceConfig;
pub use validate::{ConfigError, SITES_MAX};

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// All chance follows from it.
    pub seed: u64,
    /// How many officials there are.
    pub officials: u16,
    /// How many of them decide.
    pub quorum: u16,
    /// Begins the liveness phase: every link, disk and clock is mended, and whoever is down and not lost comes back.
    pub heal_at_ms: u64,
    /// All honest sites must know the same this long after `heal_at_ms`; the run ends then.
    pub converge_within_ms: u64,
    /// Every message is encoded and decoded with the real wire format; without it, typed values are handed over.
    #[serde(default)]
    pub encode_messages: bool,
    /// What must hold whatever happens. A timeline that goes beyond what is promised must not assert it.
    #[serde(default)]
    pub asserted: Asserted,
    /// A defect put in on purpose; there is none unless the crate is built with the feature `planted-bugs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planted_bug: Option<PlantedBug>,
    /// Every link.
    #[serde(default)]
    pub network: NetworkConfig,
    /// Every disk.
    #[serde(default)]
    pub disk: DiskConfig,
    /// Every clock.
    #[serde(default)]
    pub clock: ClockConfig,
    /// How often sites look after what they hold.
    #[serde(default)]
    pub pace: PaceConfig,
    /// All sites, those that come later too.
    pub sites: Vec<SiteConfig>,
    /// Jurisdictions that may act together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alliances: Vec<AllianceConfig>,
    /// What is kept.
    pub databases: Vec<DatabaseConfig>,
    /// What happens; in any order, equal times as they stand here.
    #[serde(default)]
    pub timeline: Vec<Happening>,
}

/// Promises that a run ends with an error for, when they are broken. All others are always asserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asserted {
    /// Every durable snapshot can be restored.
    pub durability: bool,
    /// Nobody reads without an order.
    pub secrecy: bool,
    /// Once healed, all converge and a restore succeeds.
    pub liveness: bool,
}

impl Default for Asserted {
    fn default() -> Self {
        Self { durability: true, secrecy: true, liveness: true }
    }
}

/// One site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteConfig {
    /// Unique.
    pub name: SiteName,
    /// Two capital letters.
    pub jurisdiction: String,
    /// Holds coded data.
    #[serde(default = "yes")]
    pub shards: bool,
    /// Holds shares of keys.
    #[serde(default = "yes")]
    pub shares: bool,
    /// Not in the founding charter: waits until [`Action::Replace`] brings it in.
    #[serde(default)]
    pub spare: bool,
}

const fn yes() -> bool {
    true
}

/// Jurisdictions that count as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllianceConfig {
    /// In words.
    pub name: String,
    /// Two capital letters each.
    pub jurisdictions: Vec<String>,
}

/// One database. Its shards lie at every site with the role, its shares likewise, in the order of the sites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// Unique.
    pub name: DatabaseName,
    /// Shards that rebuild a stripe.
    pub data_shards: u8,
    /// Shares that reconstruct a snapshot key.
    pub threshold: u8,
    /// Plaintext of one snapshot that is new against the one before, in bytes.
    pub change_bytes: u32,
    /// How long its snapshots are kept; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionConfig>,
    /// Snapshots that home finds suspicious.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub suspicious: BTreeSet<u64>,
}

/// What is kept of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// The rules.
    pub keep: Vec<Keep>,
    /// Between a charter that keeps less and the first snapshot that goes by it.
    pub delay_seconds: u64,
}

/// How messages travel. Rates are per message and hold until the heal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Least time from one site to another.
    pub latency_ms: u32,
    /// Added to it, drawn for each message: so messages overtake each other.
    pub jitter_ms: u32,
    /// Of each link, in each direction.
    pub bandwidth_bytes_per_s: u64,
    /// Part of the messages that are lost, 0 to 1.
    pub loss: f64,
    /// Part of the messages that arrive twice, 0 to 1.
    pub duplication: f64,
    /// A caller gives up after this.
    pub timeout_ms: u32,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            latency_ms: 20,
            jitter_ms: 10,
            bandwidth_bytes_per_s: 12_500_000,
            loss: 0.0,
            duplication: 0.0,
            timeout_ms: 2_000,
        }
    }
}

/// How disks behave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskConfig {
    /// From writing to fsync done.
    pub sync_ms: u32,
    /// Part of the crashes in which what was not synced is there all the same, or half of it, 0 to 1; else it is gone.
    pub torn: f64,
}

impl Default for DiskConfig {
    fn default() -> Self {
        Self { sync_ms: 4, torn: 0.5 }
    }
}

/// How far clocks are off until the heal; drawn for each site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockConfig {
    /// At the founding, ahead or behind, at the most.
    pub offset_ms_max: u32,
    /// Parts per million, fast or slow, at the most.
    pub drift_ppm_max: u32,
}

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Happening {
    /// When.
    pub at_ms: u64,
    /// What.
    pub action: Action,
}

/// What can happen. Durations begin at the line's time; the heal ends them all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// Home makes a snapshot; if it is not durable at once, it goes on trying.
    Publish {
        /// Of what.
        database: DatabaseName,
    },
    /// A quorum of officials signs an order, and its recipient restores the latest snapshot.
    Restore {
        /// Of what.
        database: DatabaseName,
    },
    /// Officials replace a site by a spare one: it takes its place in every placement and custody.
    Replace {
        /// The one that goes.
        site: SiteName,
        /// The spare one that comes.
        by: SiteName,
    },
    /// Officials give the database another writer key; home goes on with it.
    ReplaceWriter {
        /// Of what.
        database: DatabaseName,
    },
    /// Officials name the custodians of a database in another order: every share is dealt anew.
    TurnCustodians {
        /// Which database.
        database: DatabaseName,
    },
    /// The process dies and starts again with what its disk kept.
    Crash {
        /// Where.
        site: SiteName,
        /// Until it starts again.
        down_ms: u64,
    },
    /// Home's process dies and starts again.
    CrashHome {
        /// Until it starts again.
        down_ms: u64,
    },
    /// Home falls: it publishes nothing any more, and what it holds is in the hands of the occupier.
    LoseHome,
    /// The site is gone with everything on it, and nobody reads its disk.
    Lose {
        /// Which.
        site: SiteName,
    },
    /// These sites reach each other and nobody else.
    Partition {
        /// The sites cut off.
        sites: Vec<SiteName>,
        /// How long.
        for_ms: u64,
    },
    /// Nothing passes from one site to another; the other way is open.
    OneWay {
        /// Nothing from here,
        from: SiteName,
        /// to here.
        to: SiteName,
        /// How long.
        for_ms: u64,
    },
    /// A bit flips in some of the shards.
    Rot {
        /// Where.
        site: SiteName,
        /// In how many.
        shards: u16,
    },
    /// The site stops and starts again with an empty disk and its keys.
    Empty {
        /// Where.
        site: SiteName,
        /// The state file is gone too: what it knew, and its shares.
        records: bool,
        /// Until it starts again.
        down_ms: u64,
    },
    /// Nothing more fits on the disk.
    FullDisk {
        /// Where.
        site: SiteName,
        /// How long.
        for_ms: u64,
    },
    /// Every write takes longer.
    SlowDisk {
        /// Where.
        site: SiteName,
        /// How many times as long.
        factor: u16,
        /// How long.
        for_ms: u64,
    },
    /// A clock jumps.
    StepClock {
        /// Where.
        site: SiteName,
        /// Ahead, or back if negative.
        by_ms: i64,
    },
    /// A site's operator turns against the state.
    Lie {
        /// Which site.
        site: SiteName,
        /// How.
        lie: Lie,
        /// How long; the heal does not end it.
        for_ms: u64,
    },
    /// A host country copies every byte and every key on its soil, now and from now on.
    Copy {
        /// Which.
        jurisdiction: String,
    },
    /// A thief has the key of a writer and uses it.
    StealWriter {
        /// Of what.
        database: DatabaseName,
        /// For what.
        theft: Theft,
    },
    /// Fewer officials than the quorum act against the state.
    CaptureOfficials {
        /// How many.
        count: u16,
        /// What they sign.
        abuse: Abuse,
        /// The database, for an order.
        database: DatabaseName,
    },
}

impl Action {
    /// Whether it is about this database.
    #[must_use]
    pub fn is_about(&self, name: &DatabaseName) -> bool {
        match self {
            Self::Publish { database }
            | Self::Restore { database }
            | Self::ReplaceWriter { database }
            | Self::TurnCustodians { database }
            | Self::StealWriter { database, .. }
            | Self::CaptureOfficials { database, .. } => database == name,
            Self::Replace { .. }
            | Self::Crash { .. }
            | Self::CrashHome { .. }
            | Self::LoseHome
            | Self::Lose { .. }
            | Self::Partition { .. }
            | Self::OneWay { .. }
            | Self::Rot { .. }
            | Self::Empty { .. }
            | Self::FullDisk { .. }
            | Self::SlowDisk { .. }
            | Self::StepClock { .. }
            | Self::Lie { .. }
            | Self::Copy { .. } => false,
        }
    }
}

/// How a site lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lie {
    /// Serves shards with a bit flipped, and shares of its own making; audits are answered from such shards.
    WrongBytes,
    /// Says that shards are missing that it holds, to home and in audits.
    FalseMissing,
    /// Gives receipts for everything and throws the shards away.
    FalseReceipts,
    /// Takes requests and never answers.
    Withhold,
    /// Shows every other peer an older history.
    Equivocate,
    /// Sends documents of others again and again, the oldest first.
    Replay,
    /// Throws its shards away, says nothing of it, and asks others for theirs when it is audited.
    Freeload,
    /// Says in its inventories that every snapshot is at the end of its retention.
    LetGo,
}

/// What a stolen writer key is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Theft {
    /// Signs another manifest for the newest number, for half of the sites.
    Fork,
    /// Publishes a next snapshot of nothing, to all.
    Publish,
    /// Publishes a next snapshot that says it was made long ago, under the founding charter.
    BackDate,
}

/// What captured officials sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Abuse {
    /// An order to open the latest snapshot.
    Order,
    /// A charter that makes their captor a writer.
    Charter,
}

/// Defects that can be put in on purpose, to see whether the simulator finds them.
#[cfg(feature = "planted-bugs")]
pub use protocol::planted::Bug as PlantedBug;

/// A defect that can be put in on purpose: this build has none.
#[cfg(not(feature = "planted-bugs"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum PlantedBug {}

#[cfg(not(feature = "planted-bugs"))]
impl<'de> Deserialize<'de> for PlantedBug {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        let why = format!("the defect '{name}' is not in this build: it needs the feature planted-bugs");
        Err(serde::de::Error::custom(why))
    }
}
