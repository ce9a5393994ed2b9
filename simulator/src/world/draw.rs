//! A configuration drawn from a seed: how many sites, where, which code, which links and disks, and a timeline of work,
//! faults and enemies.
//!
//! What is drawn never goes beyond what is promised, as in a fault atlas: whatever destroys, lies or copies is in one
//! jurisdiction, which the charter's own check sized threshold and parity for. Everything else may happen anywhere.

use std::collections::BTreeSet;

use protocol::document::{Keep, Period};
use protocol::identifier::{DatabaseName, SiteName};

use super::Config;
use super::config::{
    Abuse, Action, Asserted, ClockConfig, DatabaseConfig, DiskConfig, Happening, Lie, NetworkConfig, PaceConfig,
    RetentionConfig, SiteConfig, Theft,
};
use super::random::{Purpose, Stream};

/// Number of sites. Small ones find most, and every signature is verified everywhere: cost grows with the square.
#[rustfmt::skip]
const SITE_COUNTS: [u64; 32] =
    [3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 7, 11];
const JURISDICTIONS: [&str; 8] = ["EE", "LU", "FI", "IS", "CH", "JP", "CA", "NZ"];
const CONVERGE_WITHIN_MS: u64 = 240_000;

impl Config {
    /// The configuration of one run of a swarm.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut draw = Draw { stream: Stream::new(seed, Purpose::Config, 0), chaos_ms: 0 };
        draw.config(seed)
    }
}

struct Draw {
    stream: Stream,
    chaos_ms: u64,
}

/// How many of `members` are in the jurisdiction that has the most of them.
fn most_in_one(members: &[&SiteConfig]) -> usize {
    let count = |code: &str| members.iter().filter(|site| site.jurisdiction == code).count();
    members.iter().map(|site| count(&site.jurisdiction)).max().unwrap_or(0)
}

impl Draw {
    fn config(&mut self, seed: u64) -> Config {
        let sites = self.sites();
        let officials = self.stream.between(2, 7);
        let quorum = self.stream.between(officials.div_ceil(2).max(2), officials);
        self.chaos_ms = self.stream.between(40, 150) * 1_000;
        let databases = self.databases(&sites);
        let spare = self.spare(&sites);
        let mut config = Config {
            seed,
            officials: small(officials),
            quorum: small(quorum),
            heal_at_ms: self.chaos_ms,
            converge_within_ms: CONVERGE_WITHIN_MS,
            encode_messages: self.stream.chance(0.2),
            asserted: Asserted::default(),
            planted_bug: None,
            network: self.network(),
            disk: DiskConfig { sync_ms: small(self.stream.between(1, 20)), torn: 0.5 },
            clock: ClockConfig {
                offset_ms_max: small(self.stream.between(0, 60_000)),
                drift_ppm_max: small(self.stream.between(0, 200)),
            },
            pace: self.pace(),
            sites,
            alliances: Vec::new(),
            databases,
            timeline: Vec::new(),
        };
        self.work(&mut config);
        self.break_things(&mut config);
        self.enemies(&mut config);
        if let Some((gone, spare)) = spare {
            let by = spare.name.clone();
            config.sites.push(spare);
            self.add(&mut config, Action::Replace { site: gone, by });
        }
        if self.stream.chance(0.3) {
            let database = config.databases.first().map(|database| database.name.clone());
            database.into_iter().for_each(|database| self.add(&mut config, Action::TurnCustodians { database }));
        }
        if self.stream.chance(0.3) {
            self.retention(&mut config);
        }
        config
    }

    /// Snapshots that go while the run lasts: more of them, clocks that are nearly right, and short rules.
    fn retention(&mut self, config: &mut Config) {
        let stream = &mut self.stream;
        let keep = |one_per, seconds| Keep { one_per, for_seconds: Some(seconds) };
        let mut rules = vec![keep(Period::Snapshot, stream.between(5, 40))];
        if stream.chance(0.5) {
            rules.push(keep(Period::Minute, stream.between(60, 120)));
        }
        let delay_seconds = stream.between(5, 60);
        let is_damaged = stream.chance(0.5);
        let suspicious = (2..12).filter(|_sequence| is_damaged && stream.chance(0.4)).collect();
        config.pace.retention_interval_ms = small(stream.between(3_000, 15_000));
        config.pace.retention_grace_ms = small(stream.between(2_000, 60_000));
        config.clock.offset_ms_max = small(stream.between(0, 2_000));
        let Some(database) = config.databases.first_mut() else { return };
        database.suspicious = suspicious;
        database.retention = Some(RetentionConfig { keep: rules, delay_seconds });
        let name = database.name.clone();
        for _ in 0..self.stream.between(4, 9) {
            self.add(config, Action::Publish { database: name.clone() });
        }
        // Who lies anyway, lies about this; wrong bytes are needed elsewhere.
        for happening in &mut config.timeline {
            if let Action::Lie { lie, .. } = &mut happening.action
                && *lie != Lie::WrongBytes
                && self.stream.chance(0.8)
            {
                *lie = Lie::LetGo;
            }
        }
    }

    fn sites(&mut self) -> Vec<SiteConfig> {
        let count = self.stream.pick(&SITE_COUNTS).copied().unwrap_or(3);
        // With at most (n - 1) / 2 sites in one jurisdiction a threshold can be found.
        let most = count.saturating_sub(1) / 2;
        let at_least = count.div_ceil(most.max(1)).max(3);
        let jurisdictions = self.stream.between(at_least, at_least.max(JURISDICTIONS.len() as u64).min(count));
        let site = |index: u64| SiteConfig {
            name: named(&format!("site-{index}")),
            jurisdiction: code(index % jurisdictions),
            shards: true,
            shares: true,
            spare: false,
        };
        let mut sites: Vec<SiteConfig> = (0..count).map(site).collect();
        for index in 0..sites.len() {
            if !self.stream.chance(0.15) {
                continue;
            }
            let only_shards = self.stream.chance(0.5);
            let mut other = sites.clone();
            if let Some(site) = other.get_mut(index) {
                (site.shards, site.shares) = (only_shards, !only_shards);
            }
            if thresholds(&other).is_some() {
                sites = other;
            }
        }
        sites
    }

    fn databases(&mut self, sites: &[SiteConfig]) -> Vec<DatabaseConfig> {
        let count = if self.stream.chance(0.15) { 2 } else { 1 };
        // Every set of sites that is drawn has at least one.
        let Bounds { data_shards, threshold } =
            thresholds(sites).unwrap_or(Bounds { data_shards: 1, threshold: (2, 2) });
        let names = ["land-register", "state-gazette"];
        let database = |name: &&str| DatabaseConfig {
            name: named(name),
            data_shards: small(self.stream.between(1, data_shards)),
            threshold: small(self.stream.between(threshold.0, threshold.1)),
            change_bytes: small(self.stream.between(100, 2_000)),
            retention: None,
            suspicious: BTreeSet::new(),
        };
        names.iter().take(count).map(database).collect()
    }

    /// A spare site in the jurisdiction of the one it will replace, so that no coalition grows.
    fn spare(&mut self, sites: &[SiteConfig]) -> Option<(SiteName, SiteConfig)> {
        if !self.stream.chance(0.25) {
            return None;
        }
        let gone = self.stream.pick(sites)?.clone();
        let spare = SiteConfig { name: named("spare-0"), spare: true, ..gone.clone() };
        Some((gone.name, spare))
    }

    fn network(&mut self) -> NetworkConfig {
        let stream = &mut self.stream;
        NetworkConfig {
            latency_ms: small(stream.between(2, 100)),
            jitter_ms: small(stream.between(0, 200)),
            bandwidth_bytes_per_s: stream.between(200_000, 20_000_000),
            loss: if stream.chance(0.5) { f64::from(small::<u8>(stream.between(1, 10))) / 100.0 } else { 0.0 },
            duplication: if stream.chance(0.4) { f64::from(small::<u8>(stream.between(1, 20))) / 100.0 } else { 0.0 },
            timeout_ms: 2_000,
        }
    }

    /// Fast enough that runs stay short.
    fn pace(&mut self) -> PaceConfig {
        let stream = &mut self.stream;
        PaceConfig {
            tick_ms: small(stream.between(1_500, 3_000)),
            audit_interval_ms: small(stream.between(20_000, 60_000)),
            audit_patience_ms: small(stream.between(5_000, 20_000)),
            repair_patience_ms: small(stream.between(2_000, 20_000)),
            sweep_interval_ms: small(stream.between(10_000, 40_000)),
            ..PaceConfig::default()
        }
    }

    /// A line at a moment of the chaos.
    fn add(&mut self, config: &mut Config, action: Action) {
        let at_ms = self.stream.below(self.chaos_ms);
        config.timeline.push(Happening { at_ms, action });
    }

    fn work(&mut self, config: &mut Config) {
        for database in config.databases.clone() {
            for _ in 0..self.stream.between(1, 3) {
                self.add(config, Action::Publish { database: database.name.clone() });
            }
            for _ in 0..self.stream.below(2) {
                self.add(config, Action::Restore { database: database.name.clone() });
            }
            if self.stream.chance(0.15) {
                self.add(config, Action::ReplaceWriter { database: database.name.clone() });
            }
        }
    }

    fn break_things(&mut self, config: &mut Config) {
        let sites: Vec<SiteName> = config.sites.iter().map(|site| site.name.clone()).collect();
        for _ in 0..self.stream.below(5) {
            let (site, down_ms) = (self.site(&sites), self.stream.between(50, 30_000));
            self.add(config, Action::Crash { site, down_ms });
        }
        for _ in 0..self.stream.below(3) {
            let down_ms = self.stream.between(50, 20_000);
            self.add(config, Action::CrashHome { down_ms });
        }
        for _ in 0..self.stream.below(3) {
            let cut: Vec<SiteName> = sites.iter().filter(|_site| self.stream.chance(0.4)).cloned().collect();
            let for_ms = self.stream.between(1_000, 60_000);
            self.add(config, Action::Partition { sites: cut, for_ms });
        }
        if self.stream.chance(0.3) {
            let (from, to, for_ms) = (self.site(&sites), self.site(&sites), self.stream.between(1_000, 60_000));
            self.add(config, Action::OneWay { from, to, for_ms });
        }
        if self.stream.chance(0.2) {
            let (site, for_ms) = (self.site(&sites), self.stream.between(1_000, 60_000));
            self.add(config, Action::FullDisk { site, for_ms });
        }
        if self.stream.chance(0.2) {
            let (site, factor) = (self.site(&sites), small(self.stream.between(10, 100)));
            let for_ms = self.stream.between(1_000, 60_000);
            self.add(config, Action::SlowDisk { site, factor, for_ms });
        }
        if self.stream.chance(0.3) {
            let step = i64::try_from(self.stream.between(0, 1_200_000)).unwrap_or(0);
            let site = self.site(&sites);
            self.add(config, Action::StepClock { site, by_ms: step - 600_000 });
        }
        if self.stream.chance(0.05) {
            self.add(config, Action::LoseHome);
        }
    }

    /// Whatever destroys, lies or copies is in one jurisdiction.
    fn enemies(&mut self, config: &mut Config) {
        let doomed = self.stream.pick(&config.sites).map(|site| site.jurisdiction.clone()).unwrap_or_default();
        let in_it = config.sites.iter().filter(|site| site.jurisdiction == doomed);
        let sites: Vec<SiteName> = in_it.map(|site| site.name.clone()).collect();
        if self.stream.chance(0.45) {
            let site = self.site(&sites);
            self.turn(config, site);
            let others: Vec<SiteName> = sites.iter().filter(|_site| self.stream.chance(0.2)).cloned().collect();
            others.into_iter().for_each(|site| self.turn(config, site));
        }
        if self.stream.chance(0.3) {
            let (site, shards) = (self.site(&sites), small(self.stream.between(1, 4)));
            self.add(config, Action::Rot { site, shards });
        }
        if self.stream.chance(0.3) {
            let (site, records) = (self.site(&sites), self.stream.chance(0.4));
            let down_ms = self.stream.between(50, 30_000);
            self.add(config, Action::Empty { site, records, down_ms });
        }
        if self.stream.chance(0.25) {
            let site = self.site(&sites);
            self.add(config, Action::Lose { site });
        }
        if self.stream.chance(0.3) {
            self.add(config, Action::Copy { jurisdiction: doomed });
        }
        let database = self.stream.pick(&config.databases).map(|database| database.name.clone());
        let Some(database) = database else { return };
        if self.stream.chance(0.4) {
            // Of two branches one often dies by itself, with its site or behind a partition: forks more often than the rest.
            let thefts = [Theft::Fork, Theft::Fork, Theft::Publish, Theft::BackDate];
            let theft = self.stream.pick(&thefts).copied().unwrap_or(Theft::Fork);
            self.add(config, Action::StealWriter { database: database.clone(), theft });
        }
        if self.stream.chance(0.25) {
            self.capture(config, &database);
        }
    }

    /// A site's operator turns against the state.
    fn turn(&mut self, config: &mut Config, site: SiteName) {
        // Wrong bytes show only when somebody needs them: more often than the rest.
        let lies = [
            Lie::WrongBytes,
            Lie::WrongBytes,
            Lie::WrongBytes,
            Lie::FalseMissing,
            Lie::FalseReceipts,
            Lie::Withhold,
            Lie::Equivocate,
            Lie::Replay,
            Lie::Freeload,
            Lie::LetGo,
        ];
        let lie = self.stream.pick(&lies).copied().unwrap_or(Lie::Withhold);
        let least_ms = if lie == Lie::WrongBytes { 100_000 } else { 5_000 };
        let for_ms = self.stream.between(least_ms, 300_000);
        self.add(config, Action::Lie { site, lie, for_ms });
    }

    fn capture(&mut self, config: &mut Config, database: &DatabaseName) {
        let count = small(self.stream.between(1, u64::from(config.quorum) - 1));
        let abuse = if self.stream.chance(0.5) { Abuse::Order } else { Abuse::Charter };
        self.add(config, Action::CaptureOfficials { count, abuse, database: database.clone() });
    }

    fn site(&mut self, sites: &[SiteName]) -> SiteName {
        self.stream.pick(sites).cloned().unwrap_or_else(|| named("site-0"))
    }
}

/// The numbers a charter allows.
struct Bounds {
    /// From 1 to this.
    data_shards: u64,
    threshold: (u64, u64),
}

/// What the charter's own check allows: no jurisdiction reaches the threshold, or takes away so much that too little is
/// left.
fn thresholds(sites: &[SiteConfig]) -> Option<Bounds> {
    let placed: Vec<&SiteConfig> = sites.iter().filter(|site| site.shards).collect();
    let custodians: Vec<&SiteConfig> = sites.iter().filter(|site| site.shares).collect();
    let data_shards = placed.len().checked_sub(most_in_one(&placed))?;
    let (low, high) = (most_in_one(&custodians) + 1, custodians.len().checked_sub(most_in_one(&custodians))?);
    let low = low.max(2);
    (data_shards > 0 && low <= high)
        .then_some(Bounds { data_shards: data_shards as u64, threshold: (low as u64, high as u64) })
}

fn code(index: u64) -> String {
    let position = usize::try_from(index).unwrap_or(0);
    (*JURISDICTIONS.get(position % JURISDICTIONS.len()).unwrap_or(&"EE")).to_owned()
}

/// Names written in this file.
fn named<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("letters, digits and '-'")
}

/// Numbers drawn here are small enough for the field they are for.
fn small<T: TryFrom<u64> + Default>(number: u64) -> T {
    T::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Config;
    use crate::world::cast::Cast;

    #[test]
    fn every_seed_gives_a_config_that_can_be_founded() {
        for seed in 0..300 {
            let config = Config::from_seed(seed);
            config.validate().unwrap();
            Cast::found(&config).map(drop).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert_eq!(config, Config::from_seed(seed));
        }
    }
}
