//! What describes nothing is refused, with the name of the site, group or quantity that is wrong.

use super::{Departure, Effect, Hits, Law, Model, Site};

/// The most sites of one model.
pub const SITES_MAX: usize = 100_000;

/// Why a model is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// Nothing to simulate.
    #[error("there are no sites")]
    NoSites,
    /// More than this engine takes.
    #[error("{what}: {given} is above the limit of {limit}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many were given.
        given: usize,
        /// How many are taken.
        limit: usize,
    },
    /// No site set can reach the number.
    #[error("{what} must be from 1 to the {holders} sites that hold one, not {needed}")]
    Code {
        /// `data_shards` or `threshold`.
        what: &'static str,
        /// What was given.
        needed: u32,
        /// How many sites hold a shard, or a share.
        holders: usize,
    },
    /// Negative, infinite, not a number, or zero where that has no meaning.
    #[error("{of}: {what} is {value}, out of range")]
    OutOfRange {
        /// The site, group, event or database.
        of: String,
        /// The name of the quantity.
        what: &'static str,
        /// What was given.
        value: f64,
    },
    /// An index of a site that does not exist.
    #[error("{of}: there is no site number {site}, only {sites}")]
    NoSuchSite {
        /// The group or event.
        of: String,
        /// The index given.
        site: usize,
        /// How many sites there are.
        sites: usize,
    },
    /// A site is named twice in one group or event.
    #[error("{of}: site {site} is named twice")]
    Twice {
        /// The group or event.
        of: String,
        /// The name of the site.
        site: String,
    },
}

impl Model {
    /// That it describes something.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self) -> Result<(), ModelError> {
        if self.sites.is_empty() {
            return Err(ModelError::NoSites);
        }
        for (what, given) in
            [("sites", self.sites.len()), ("groups", self.groups.len()), ("timed events", self.timeline.len())]
        {
            if given > SITES_MAX {
                return Err(ModelError::TooMany { what, given, limit: SITES_MAX });
            }
        }
        positive("plan", "horizon", self.horizon_years)?;
        self.check_code()?;
        self.sites.iter().try_for_each(check_site)?;
        self.check_events()?;
        self.check_policy()?;
        for database in &self.databases {
            let of = database.name.as_str();
            not_negative(of, "size", database.bytes)?;
            not_negative(of, "snapshot period", database.snapshot_years)?;
            not_negative(of, "replication lag", database.lag_years)?;
        }
        duration("restore", "decision", &self.restore.decision)?;
        duration("restore", "answer", &self.restore.answer)?;
        positive("restore", "ingress", self.restore.ingress_bytes_per_s)?;
        if let Some(writer) = &self.writer {
            not_negative("writer", "thefts", writer.stolen_per_year)?;
            duration("writer", "time to notice", &writer.noticed_after)?;
        }
        Ok(())
    }

    fn check_code(&self) -> Result<(), ModelError> {
        let shards = self.sites.iter().filter(|site| site.holds_shard).count();
        let shares = self.sites.iter().filter(|site| site.holds_share).count();
        let code = &self.code;
        for (what, needed, holders) in
            [("data_shards", code.data_shards, shards), ("threshold", code.threshold, shares)]
        {
            if needed == 0 || needed as usize > holders {
                return Err(ModelError::Code { what, needed, holders });
            }
        }
        code.refresh_years.map_or(Ok(()), |years| positive("code", "refresh period", years))
    }

    fn check_events(&self) -> Result<(), ModelError> {
        let groups = self.groups.iter().map(|group| (&group.name, &group.members, &group.blow));
        let timed = self.timeline.iter().map(|timed| (&timed.name, &timed.targets, &timed.blow));
        for (of, targets, blow) in groups.chain(timed) {
            let mut sorted = targets.clone();
            sorted.sort_unstable();
            if let Some(&site) = sorted.last().filter(|&&site| site >= self.sites.len()) {
                return Err(ModelError::NoSuchSite { of: of.clone(), site, sites: self.sites.len() });
            }
            if let Some([site, _]) = sorted.array_windows().find(|[one, next]| one == next) {
                let site = self.sites.get(*site).map(|site| site.name.clone()).unwrap_or_default();
                return Err(ModelError::Twice { of: of.clone(), site });
            }
            match &blow.effect {
                Effect::Down(law) => duration(of, "length", law)?,
                Effect::Expelled(departure) => check_departure(of, departure)?,
                Effect::Lost | Effect::Seized | Effect::Copied | Effect::Rotted | Effect::WriterStolen => {}
            }
            if let Hits::Each { chance } = blow.hits {
                probability(of, "chance for each", chance)?;
            }
        }
        for group in &self.groups {
            not_negative(&group.name, "events per year", group.per_year)?;
        }
        self.timeline.iter().try_for_each(|timed| not_negative(&timed.name, "time", timed.at_years))
    }

    fn check_policy(&self) -> Result<(), ModelError> {
        let policy = &self.policy;
        not_negative("policy", "time to detect", policy.detect_years)?;
        for (what, value) in [("audit period", policy.audit_years), ("write-off time", policy.write_off_years)] {
            value.map_or(Ok(()), |value| positive("policy", what, value))?;
        }
        if policy.crews == Some(0) {
            return Err(ModelError::OutOfRange { of: "policy".into(), what: "crews", value: 0.0 });
        }
        if let Some(at) = policy.repair_at.filter(|&at| at < self.code.data_shards) {
            return Err(ModelError::OutOfRange { of: "policy".into(), what: "repair_at", value: f64::from(at) });
        }
        match policy.uplink_share {
            Some(share) if !(share > 0.0 && share <= 1.0) => {
                Err(ModelError::OutOfRange { of: "policy".into(), what: "uplink share", value: share })
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn check_site(site: &Site) -> Result<(), ModelError> {
    let of = site.name.as_str();
    for (what, rate) in
        [("rot", site.rot_per_year), ("seizure", site.seized_per_year), ("copying", site.copied_per_year)]
    {
        not_negative(of, what, rate)?;
    }
    if let Some(law) = &site.loss {
        lifetime(of, "loss", law)?;
    }
    if let Some(outage) = &site.outage {
        lifetime(of, "time between outages", &outage.every)?;
        lifetime(of, "outage", &outage.lasts)?;
    }
    if let Some(law) = &site.repair {
        duration(of, "repair", law)?;
    }
    duration(of, "remake", &site.remake)?;
    if let Some(agreement) = &site.agreement {
        not_negative(of, "end of the agreement", agreement.ends_years)?;
        check_departure(of, &agreement.departure)?;
    }
    positive(of, "uplink", site.up_bytes_per_s)?;
    positive(of, "downlink", site.down_bytes_per_s)
}

fn check_departure(of: &str, departure: &Departure) -> Result<(), ModelError> {
    probability(of, "chance to be moved", departure.moved)?;
    probability(of, "chance of a raid", departure.raided)?;
    probability(of, "sum of the chances of departure", departure.moved + departure.raided)
}

fn lifetime(of: &str, what: &'static str, law: &Law) -> Result<(), ModelError> {
    law.fault(false).map_or(Ok(()), |(_, value)| Err(ModelError::OutOfRange { of: of.into(), what, value }))
}

fn duration(of: &str, what: &'static str, law: &Law) -> Result<(), ModelError> {
    law.fault(true).map_or(Ok(()), |(_, value)| Err(ModelError::OutOfRange { of: of.into(), what, value }))
}

fn not_negative(of: &str, what: &'static str, value: f64) -> Result<(), ModelError> {
    in_range(of, what, value, value.is_finite() && value >= 0.0)
}

fn positive(of: &str, what: &'static str, value: f64) -> Result<(), ModelError> {
    in_range(of, what, value, value.is_finite() && value > 0.0)
}

fn probability(of: &str, what: &'static str, value: f64) -> Result<(), ModelError> {
    in_range(of, what, value, (0.0..=1.0).contains(&value))
}

fn in_range(of: &str, what: &'static str, value: f64, holds: bool) -> Result<(), ModelError> {
    if holds { Ok(()) } else { Err(ModelError::OutOfRange { of: of.into(), what, value }) }
}
