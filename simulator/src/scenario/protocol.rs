//! From a scenario to a run of protocol mode: the timeline as it stands, everything else drawn from the seed, and all of it
//! in compressed time.
//!
//! What takes days in the world takes seconds here, so that the machines' own rounds (every few seconds) stay what
//! they are. A shard that rots is remade by its site; a lost site is not replaced, whatever `repair` says, and its shards
//! are gone. What is more than a code promises to stand is not asserted, but reported.

use std::collections::BTreeSet;

use protocol::identifier::{DatabaseName, SiteName};

use super::file::{Effect, Officials};
use super::time::{Law, Span};
use super::{Code, Event, Scenario, Struck, When};
use crate::world::config::{
    Abuse, Action, AllianceConfig, Asserted, ClockConfig, Config, DatabaseConfig, DiskConfig, Happening, NetworkConfig,
    PaceConfig, SITES_MAX, SiteConfig, Theft,
};
use crate::world::random::{Purpose, Stream};

/// A day of the scenario takes at most so long, in milliseconds: one minute.
const DAY_MS_MAX: f64 = 60_000.0;
/// The whole mission takes at most so long: one hour.
const MISSION_MS_MAX: f64 = 3_600_000.0;
/// The state is founded and makes its first snapshots before anything happens.
const QUIET_MS: u64 = 30_000;
/// Snapshots of each database over the mission.
const SNAPSHOTS: u64 = 12;
/// New plaintext of one snapshot.
const CHANGE_BYTES: u32 = 4_000;
/// Everybody must know the same so long after the end.
const CONVERGE_MS: u64 = 300_000;
/// Shards that rot at once.
const ROTTEN_SHARDS: u16 = 4;
/// Of random events of one kind no more than so many are drawn.
const DRAWN_MAX: usize = 100_000;

/// Why protocol mode cannot run a scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRun {
    /// A name that no charter takes.
    #[error("{what} '{name}' cannot stand in a charter: {why}")]
    Name {
        /// Site or database.
        what: &'static str,
        /// The name.
        name: String,
        /// What a charter says of it.
        why: String,
    },
    /// Nothing to publish.
    #[error("protocol mode needs at least one [[databases]] entry")]
    NoDatabase,
    /// More than the machines are run with here.
    #[error("protocol mode runs at most {SITES_MAX} sites, not {0}")]
    Sites(usize),
    /// More than one byte counts.
    #[error("protocol mode takes codes of at most 255, not {0}")]
    Code(u32),
}

/// A scenario as a run, and how it was compressed.
#[derive(Clone, Debug)]
pub struct Run {
    /// The run.
    pub config: Config,
    /// Milliseconds of the run for a day of the scenario.
    pub day_ms: f64,
}

/// The run of `scenario` with this code and seed.
///
/// # Errors
/// Protocol mode cannot run it; see [`NoRun`].
pub fn config(scenario: &Scenario, code: Code, seed: u64) -> Result<Run, NoRun> {
    if scenario.sites.len() > SITES_MAX {
        return Err(NoRun::Sites(scenario.sites.len()));
    }
    let small = |number: u32| u8::try_from(number).map_err(|_large| NoRun::Code(number));
    let (data_shards, threshold) = (small(code.data_shards)?, small(code.threshold)?);
    let databases = scenario.databases.iter().map(|database| {
        let name = name::<DatabaseName>("database", &database.name)?;
        let suspicious = BTreeSet::new();
        Ok(DatabaseConfig { name, data_shards, threshold, change_bytes: CHANGE_BYTES, retention: None, suspicious })
    });
    let databases: Vec<DatabaseConfig> = databases.collect::<Result<_, _>>()?;
    let first = databases.first().ok_or(NoRun::NoDatabase)?.name.clone();
    let sites = scenario.sites.iter().map(|site| {
        let name = name::<SiteName>("site", &site.name)?;
        let (shards, shares) = (site.holds_shards, site.holds_shares);
        Ok(SiteConfig { name, jurisdiction: site.jurisdiction.clone(), shards, shares, spare: false })
    });
    let sites: Vec<SiteConfig> = sites.collect::<Result<_, _>>()?;
    let day_ms = (MISSION_MS_MAX / (scenario.run.years * 365.25)).min(DAY_MS_MAX);
    let mut staged = Staged {
        scenario,
        sites: &sites,
        day_ms,
        chance: Stream::new(seed, Purpose::Config, 0),
        timeline: Vec::new(),
        gone: BTreeSet::new(),
        cut_off: BTreeSet::new(),
        read: BTreeSet::new(),
    };
    staged.publish(&databases);
    staged.happen();
    staged.people(&first);
    let heal_at_ms = staged.at(Span::from_ms(0), scenario.run.years * 365.25);
    let Officials { total, quorum, .. } = scenario.officials.unwrap_or(Officials {
        total: 5,
        quorum: 3,
        captured_every: super::time::Every::Never,
        replaced_after: Span::from_days(30),
    });
    let asserted = staged.asserted(code);
    let officials = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
    let config = Config {
        seed,
        officials: officials(total),
        quorum: officials(quorum),
        heal_at_ms,
        converge_within_ms: CONVERGE_MS,
        encode_messages: false,
        asserted,
        planted_bug: None,
        network: NetworkConfig::default(),
        disk: DiskConfig::default(),
        clock: ClockConfig::default(),
        pace: PaceConfig::default(),
        timeline: staged.timeline,
        sites,
        alliances: (scenario.alliances.iter())
            .map(|alliance| AllianceConfig {
                name: alliance.name.clone(),
                jurisdictions: alliance.jurisdictions.clone(),
            })
            .collect(),
        databases,
    };
    Ok(Run { config, day_ms })
}

fn name<T: std::str::FromStr>(what: &'static str, name: &str) -> Result<T, NoRun>
where
    T::Err: std::fmt::Display,
{
    name.parse().map_err(|why: T::Err| NoRun::Name { what, name: name.to_owned(), why: why.to_string() })
}

struct Staged<'a> {
    scenario: &'a Scenario,
    sites: &'a [SiteConfig],
    day_ms: f64,
    chance: Stream,
    timeline: Vec<Happening>,
    /// Sites that lost everything.
    gone: BTreeSet<usize>,
    /// Sites that were out of reach at some time: a snapshot of that time may not lie there.
    cut_off: BTreeSet<usize>,
    /// Sites whose shares others have read.
    read: BTreeSet<usize>,
}

impl Staged<'_> {
    /// Milliseconds of the run at this time of the scenario, so many days later.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most an hour, not negative")]
    fn at(&self, span: Span, days: f64) -> u64 {
        QUIET_MS + ((span.days() + days) * self.day_ms) as u64
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, bounded by the mission")]
    fn lasting(&self, years: f64) -> u64 {
        ((years * 365.25 * self.day_ms) as u64).max(1)
    }

    fn days(&self) -> f64 {
        self.scenario.run.years * 365.25
    }

    fn push(&mut self, at_ms: u64, action: Action) {
        self.timeline.push(Happening { at_ms, action });
    }

    fn publish(&mut self, databases: &[DatabaseConfig]) {
        let step = self.days() / (SNAPSHOTS as f64);
        for database in databases {
            self.push(1_000, Action::Publish { database: database.name.clone() });
            for number in 0..SNAPSHOTS {
                let at = self.at(Span::from_ms(0), step * (number as f64 + 0.5));
                self.push(at, Action::Publish { database: database.name.clone() });
            }
        }
    }

    /// Fixed events, random events and what befalls single sites, in the order of time.
    fn happen(&mut self) {
        let mut due: Vec<(f64, Event)> = Vec::new();
        for event in &self.scenario.events {
            match event.when {
                When::At(span) => due.push((span.days(), event.clone())),
                When::PerYear(rate) => due.extend(self.drawn(rate).into_iter().map(|day| (day, event.clone()))),
            }
        }
        for (at, site) in self.scenario.sites.iter().enumerate() {
            let lasts = Some(site.down_for);
            let alone = [
                (Effect::Lost, site.lost_per_year, None),
                (Effect::Rotted, site.rot_per_year, None),
                (Effect::Down, site.down_per_year, lasts),
                (Effect::Seized, site.seized_per_year, None),
                (Effect::Copied, site.copied_per_year, None),
            ];
            for (effect, rate, lasts) in alone {
                let days = self.drawn(rate);
                due.extend(days.into_iter().map(|day| (day, single(at, effect, lasts))));
            }
        }
        for (at, site) in self.scenario.sites.iter().enumerate() {
            if let Some(lifetime) = site.lifetime {
                let day = self.long(lifetime) * 365.25;
                due.extend((day < self.days()).then(|| (day, single(at, Effect::Lost, None))));
            }
            if let Some(ends) = site.agreement_ends
                && self.part() >= site.renewal
                && ends.days() < self.days()
            {
                due.push((ends.days(), single(at, Effect::Lost, None)));
            }
        }
        due.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (day, event) in due {
            self.strike(day, &event);
        }
    }

    /// Days at which a Poisson process of this rate strikes.
    fn drawn(&mut self, per_year: f64) -> Vec<f64> {
        let mut days = Vec::new();
        let mut day = 0.0;
        while per_year > 0.0 && days.len() < DRAWN_MAX {
            day += -libm::log1p(-self.part()) / per_year * 365.25;
            if day >= self.days() {
                break;
            }
            days.push(day);
        }
        days
    }

    /// One duration of this law, in years.
    fn long(&mut self, law: Law) -> f64 {
        let drawn = self.part();
        let waited = -libm::log1p(-drawn);
        match law {
            Law::Constant { mean } => mean.years(),
            Law::Exponential { mean } => mean.years() * waited,
            Law::Weibull { mean, shape } => {
                mean.years() / libm::tgamma(1.0 + 1.0 / shape) * libm::pow(waited, 1.0 / shape)
            }
            Law::Lognormal { mean, cv } => {
                // Box and Muller, Annals of Mathematical Statistics 29, 1958.
                let normal = (2.0 * waited).sqrt() * libm::cos(2.0 * std::f64::consts::PI * self.part());
                let spread = libm::log1p(cv * cv);
                mean.years() * libm::exp(spread.sqrt() * normal - spread / 2.0)
            }
            Law::Uniform { from, to } => from.years() + (to.years() - from.years()) * drawn,
        }
    }

    /// Evenly from 0 to below 1, in steps of 2^-30.
    fn part(&mut self) -> f64 {
        self.chance.below(1 << 30) as f64 / f64::from(1_u32 << 30)
    }

    fn strike(&mut self, day: f64, event: &Event) {
        let at_ms = self.at(Span::from_ms(0), day);
        let mut hit = event.hits.clone();
        match event.struck {
            Struck::Each(chance) => hit.retain(|_| self.chance.chance(chance)),
            Struck::Pick(count) => {
                while hit.len() > count as usize {
                    let out = self.chance.below(hit.len() as u64);
                    hit.remove(usize::try_from(out).unwrap_or(0));
                }
            }
        }
        hit.retain(|site| !self.gone.contains(site));
        let names = |sites: &[usize]| -> Vec<SiteName> {
            sites.iter().filter_map(|&at| self.sites.get(at)).map(|site| site.name.clone()).collect()
        };
        match event.effect {
            Effect::Down if !hit.is_empty() => {
                self.cut_off.extend(&hit);
                let years = event.lasts.map_or(0.0, Law::mean_years);
                let (sites, for_ms) = (names(&hit), self.lasting(years));
                self.push(at_ms, Action::Partition { sites, for_ms });
            }
            Effect::Down => {}
            Effect::Rotted => {
                for site in names(&hit) {
                    self.push(at_ms, Action::Rot { site, shards: ROTTEN_SHARDS });
                }
            }
            Effect::Lost => self.lose(at_ms, &hit),
            Effect::Copied => self.copy(at_ms, &hit),
            Effect::Seized => {
                self.copy(at_ms, &hit);
                self.lose(at_ms, &hit);
            }
            Effect::Expelled => {
                for site in hit {
                    let drawn = self.part();
                    if drawn < event.raided {
                        self.copy(at_ms, &[site]);
                    }
                    if drawn < event.raided || drawn >= event.raided + event.moved {
                        self.lose(at_ms, &[site]);
                    }
                }
            }
        }
    }

    fn lose(&mut self, at_ms: u64, hit: &[usize]) {
        for &at in hit {
            if let Some(site) = self.sites.get(at)
                && self.gone.insert(at)
            {
                let site = site.name.clone();
                self.timeline.push(Happening { at_ms, action: Action::Lose { site } });
            }
        }
        let home = self.scenario.home();
        if !home.is_empty() && home.iter().all(|at| self.gone.contains(at)) && hit.iter().any(|at| home.contains(at)) {
            self.push(at_ms, Action::LoseHome);
        }
    }

    /// Whoever takes a site copies all that its jurisdiction hosts.
    fn copy(&mut self, at_ms: u64, hit: &[usize]) {
        let places: BTreeSet<String> =
            hit.iter().filter_map(|&at| self.sites.get(at)).map(|site| site.jurisdiction.clone()).collect();
        for jurisdiction in places {
            let there = |(at, site): (usize, &SiteConfig)| (site.jurisdiction == jurisdiction).then_some(at);
            self.read.extend(self.sites.iter().enumerate().filter_map(there));
            self.push(at_ms, Action::Copy { jurisdiction });
        }
    }

    /// Thieves of the writer key and captors of officials, if the scenario has them.
    fn people(&mut self, database: &DatabaseName) {
        let half = self.at(Span::from_ms(0), self.days() / 2.0);
        if self.scenario.writer.is_some() {
            self.push(half, Action::StealWriter { database: database.clone(), theft: Theft::Fork });
        }
        if let Some(officials) = self.scenario.officials {
            let count = u16::try_from(officials.quorum.saturating_sub(1)).unwrap_or(u16::MAX);
            for abuse in [Abuse::Order, Abuse::Charter] {
                self.push(half, Action::CaptureOfficials { count, abuse, database: database.clone() });
            }
        }
    }

    /// What the code promises of what was drawn.
    fn asserted(&self, code: Code) -> Asserted {
        let left = |holds: fn(&super::Site) -> bool| {
            let sites = self.scenario.sites.iter().enumerate();
            let standing = sites.filter(|(at, _)| !self.gone.contains(at) && !self.cut_off.contains(at));
            standing.filter(|(_, site)| holds(site)).count()
        };
        let read = self.read.iter().filter_map(|&at| self.scenario.sites.get(at)).filter(|site| site.holds_shares);
        let enough = left(|site| site.holds_shards) >= code.data_shards as usize
            && left(|site| site.holds_shares) >= code.threshold as usize;
        // In compressed time rot may strike again before the scrub has found the last: one shard too many.
        let rots = self.timeline.iter().any(|happening| matches!(happening.action, Action::Rot { .. }));
        let enough = enough || self.gone.is_empty();
        let secrecy = read.count() < code.threshold as usize;
        Asserted { durability: enough && !rots, secrecy, liveness: enough && !rots }
    }
}

fn single(site: usize, effect: Effect, lasts: Option<Law>) -> Event {
    Event {
        name: String::new(),
        when: When::PerYear(0.0),
        effect,
        hits: vec![site],
        selectors: Vec::new(),
        struck: Struck::Each(1.0),
        lasts,
        moved: 0.0,
        raided: 0.0,
        for_good: false,
    }
}
