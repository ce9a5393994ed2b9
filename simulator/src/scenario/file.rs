//! The file as a person writes it. What is left out stays open until [`super::check`] fills it in.

use serde::{Deserialize, Serialize};

use super::time::{Every, Law, Span};

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Of this format: 1.
    pub schema: u32,
    /// What it is called.
    pub title: String,
    /// What it is about.
    #[serde(default)]
    pub about: String,
    /// Where its facts come from.
    #[serde(default)]
    pub sources: Vec<String>,
    /// What was assumed.
    #[serde(default)]
    pub assumptions: Vec<String>,
    /// How long and how often.
    #[serde(default)]
    pub run: Run,
    /// The code; a search for one has none.
    pub code: Option<CodeEntry>,
    /// Detection and repair.
    #[serde(default)]
    pub policy: Policy,
    /// What a restore meets.
    #[serde(default)]
    pub restore: RestoreEntry,
    /// What is kept.
    #[serde(default)]
    pub databases: Vec<Database>,
    /// What a site has that does not say otherwise.
    #[serde(default)]
    pub site_defaults: SiteEntry,
    /// Who holds it.
    #[serde(default)]
    pub sites: Vec<SiteEntry>,
    /// Jurisdictions that may act as one.
    #[serde(default)]
    pub alliances: Vec<Alliance>,
    /// What may happen.
    #[serde(default)]
    pub events: Vec<EventEntry>,
    /// The officials.
    pub officials: Option<Officials>,
    /// The writer key.
    pub writer: Option<Writer>,
    /// What the planner wants.
    #[serde(default)]
    pub target: Target,
    /// Where a search looks.
    pub search: Option<Search>,
}

/// How long and how often.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Run {
    /// Years of one mission.
    pub years: f64,
    /// Of all chance.
    pub seed: u64,
    /// Missions of a Monte Carlo.
    pub missions: u64,
}

impl Default for Run {
    fn default() -> Self {
        Self { years: 10.0, seed: 1, missions: 100_000 }
    }
}

/// Shards and shares.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeEntry {
    /// Shards that rebuild.
    pub data_shards: u32,
    /// Shares that open.
    pub threshold: u32,
    /// How often the shares are made anew.
    pub refresh: Option<Span>,
    /// Who has enough shares is taken to have the sealed data too; if not, enough shards must be captured as well.
    pub ciphertext_is_public: Option<bool>,
}

/// Detection and repair.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// A loss that shows by itself is noticed after this.
    pub notice: Span,
    /// A silent loss is found by the next audit.
    pub audit: Span,
    /// How many sites are repaired at once; absent: all.
    pub crews: Option<u32>,
    /// Repair begins when no more than this many shards are left; absent: at once.
    pub repair_at: Option<u32>,
    /// A site down for longer counts as lost; absent: never.
    pub down_counts_as_lost_after: Option<Span>,
    /// A repair also takes the time to move the bytes over this part of the uplinks, 0 to 1; absent: the law says it all.
    pub uplink_share: Option<f64>,
}

impl Default for Policy {
    fn default() -> Self {
        let (notice, audit) = (Span::from_ms(3_600_000), Span::from_days(7));
        Self { notice, audit, crews: None, repair_at: None, down_counts_as_lost_after: None, uplink_share: None }
    }
}

/// What a restore meets.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestoreEntry {
    /// From the disaster until the order carries a quorum.
    pub order_takes: Option<Law>,
    /// Until one site has answered.
    pub answer_takes: Option<Law>,
    /// What the place of the restore can take in, in Mbit/s.
    pub ingress_mbit_s: Option<f64>,
}

/// What is kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// How much, in gigabytes.
    pub size_gb: f64,
    /// 1 is restored first.
    #[serde(default = "first")]
    pub priority: u32,
    /// Time between two snapshots.
    pub snapshot_every: Span,
    /// From the snapshot until it is durable abroad.
    #[serde(default = "no_time")]
    pub lag: Span,
}

fn first() -> u32 {
    1
}

fn no_time() -> Span {
    Span::from_ms(0)
}

/// What kind of place a site is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// On the state's own ground.
    Home,
    /// In an embassy.
    Embassy,
    /// A data centre of the state, or of an ally under treaty.
    DataCentre,
    /// Rented.
    Cloud,
}

/// What a site holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Shards.
    Shards,
    /// Shares.
    Shares,
}

/// A site, or the defaults of all.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteEntry {
    /// Its name; with `count`, the beginning of the names.
    pub name: Option<String>,
    /// As many alike, `name-1` and on.
    pub count: Option<u32>,
    /// What kind of place.
    pub kind: Option<Kind>,
    /// ISO 3166 code.
    pub jurisdiction: Option<String>,
    /// The building it stands in.
    pub building: Option<String>,
    /// Who owns the ground.
    pub owner: Option<String>,
    /// Who sells the service.
    pub vendor: Option<String>,
    /// The line it hangs on.
    pub network: Option<String>,
    /// What it runs.
    pub software: Option<String>,
    /// What it holds.
    pub roles: Option<Vec<Role>>,
    /// Not on line.
    pub cold: Option<bool>,
    /// Mean time between losses of everything it holds.
    pub lost_every: Option<Every>,
    /// How long its disks live, instead of `lost_every`.
    pub lifetime: Option<Law>,
    /// Mean time between silent losses of its shard.
    pub rot_every: Option<Every>,
    /// Mean time between two outages.
    pub down_every: Option<Every>,
    /// How long an outage lasts.
    pub down_for: Option<Law>,
    /// Mean time between seizures.
    pub seized_every: Option<Every>,
    /// Mean time between silent copies.
    pub copied_every: Option<Every>,
    /// From the order to replace it until it is whole again.
    pub repair: Option<Law>,
    /// From the audit that finds its shard rotten until the shard is made anew.
    pub remake: Option<Law>,
    /// When its agreement ends.
    pub agreement_ends: Option<Span>,
    /// The chance that the agreement is renewed.
    pub renewal: Option<f64>,
    /// What it can send, in Mbit/s.
    pub uplink_mbit_s: Option<f64>,
    /// What it costs per year.
    pub cost_per_year: Option<f64>,
}

/// Jurisdictions that may act as one.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Alliance {
    /// Its name.
    pub name: String,
    /// ISO 3166 codes.
    pub jurisdictions: Vec<String>,
}

/// What an event does to a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Everything on it is gone; nobody read it.
    Lost,
    /// Taken away and read.
    Seized,
    /// Read, and nobody knows.
    Copied,
    /// Not reachable for a while.
    Down,
    /// Its shard rots; the next audit finds it.
    Rotted,
    /// Must leave: moved in time, raided, or erased in time.
    Expelled,
}

/// Something that hits several sites at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventEntry {
    /// What it is called.
    pub name: String,
    /// Once, after this time.
    pub at: Option<Span>,
    /// Or at random, once in this time on average.
    pub every: Option<Every>,
    /// What it does to a site.
    pub effect: Effect,
    /// Whom it may hit.
    pub hits: Vec<String>,
    /// The chance of each of them to be hit.
    pub chance: Option<f64>,
    /// Instead of a chance: how many of them, at random.
    pub pick: Option<u32>,
    /// Of an expelled site: the chance that it is moved before, with nothing lost.
    pub moved: Option<f64>,
    /// Of an expelled site: the chance that it is taken and read instead.
    pub raided: Option<f64>,
    /// How long sites are down.
    pub lasts: Option<Law>,
    /// Sites hit are not rebuilt.
    pub for_good: Option<bool>,
    /// Sites that are not on line are spared.
    pub spares_cold: Option<bool>,
}

/// The officials.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Officials {
    /// How many.
    pub total: u32,
    /// How many decide.
    pub quorum: u32,
    /// Mean time until one of them is captured with the key.
    pub captured_every: Every,
    /// From the capture until a new charter has replaced the official, on average.
    pub replaced_after: Span,
}

/// The writer key.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Writer {
    /// Mean time between thefts.
    pub stolen_every: Every,
    /// Until somebody notices; snapshots made since are not trusted.
    pub noticed_after: Span,
}

/// What the planner wants, per year; what is left out is not judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Target {
    /// Chance of data loss.
    pub loss_per_year: Option<f64>,
    /// Chance of disclosure.
    pub disclosure_per_year: Option<f64>,
    /// Share of time.
    pub unavailability: Option<f64>,
    /// 95 of 100 restores are done in this time.
    pub rto_p95: Option<Span>,
    /// 95 of 100 disasters lose no more than this.
    pub rpo_p95: Option<Span>,
    /// What all sites may cost per year.
    pub cost_per_year: Option<f64>,
}

/// Where a search for a plan looks.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Fewest sites.
    pub sites_min: u32,
    /// Most sites.
    pub sites_max: u32,
    /// Times between refreshes that are tried; `"never"` for none.
    #[serde(default)]
    pub refresh: Vec<Every>,
    /// Sites that every plan has.
    #[serde(default)]
    pub must_have: Vec<String>,
}
