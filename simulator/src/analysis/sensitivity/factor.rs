//! What can be halved and doubled in a model.

use crate::fate::model::{Hits, Law, Model, Outage, Site};

/// Groups and events of the timeline that are scaled one by one; of more, all together.
const APART_MAX: usize = 12;

/// One assumption of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Factor {
    /// How often sites are lost.
    Loss,
    /// How often shards rot.
    Rot,
    /// How often sites are down.
    Outage,
    /// How long they are down.
    OutageLength,
    /// How often sites are seized.
    Seizure,
    /// How often they are copied in silence.
    Copying,
    /// How long a repair takes.
    Repair,
    /// Time between audits.
    Audit,
    /// Time until a loud loss is noticed.
    Notice,
    /// Time between refreshes of the shares.
    Refresh,
    /// Speed of the uplinks, where repair has to move the bytes.
    Uplinks,
    /// Rate of one group's event.
    Group(usize),
    /// Rates of all groups' events.
    Groups,
    /// Chance that a target of one event of the timeline is hit.
    Timed(usize),
    /// Chances of all events of the timeline.
    Timeline,
}

impl Factor {
    /// Those that a model has.
    pub fn of(model: &Model) -> Vec<Self> {
        let any = |has: fn(&Site) -> bool| model.sites.iter().any(has);
        let plain = [
            (Self::Loss, any(|site| site.loss.is_some())),
            (Self::Rot, any(|site| site.rot_per_year > 0.0)),
            (Self::Outage, any(|site| site.outage.is_some())),
            (Self::OutageLength, any(|site| site.outage.is_some())),
            (Self::Seizure, any(|site| site.seized_per_year > 0.0)),
            (Self::Copying, any(|site| site.copied_per_year > 0.0)),
            (Self::Repair, any(|site| site.repair.is_some_and(|law| !law.is_instant()))),
            (Self::Audit, model.policy.audit_years.is_some() && any(|site| site.rot_per_year > 0.0)),
            (Self::Notice, model.policy.detect_years > 0.0),
            (Self::Refresh, model.code.refresh_years.is_some()),
            (Self::Uplinks, model.policy.uplink_share.is_some()),
        ];
        let mut factors: Vec<Self> = plain.into_iter().filter_map(|(factor, has)| has.then_some(factor)).collect();
        let groups = model.groups.iter().enumerate().filter(|(_, group)| group.per_year > 0.0);
        let groups: Vec<Self> = groups.map(|(at, _)| Self::Group(at)).collect();
        let timed = model.timeline.iter().enumerate().filter(|(_, timed)| is_open(timed.blow.hits));
        let timed: Vec<Self> = timed.map(|(at, _)| Self::Timed(at)).collect();
        factors.extend(if groups.len() > APART_MAX { vec![Self::Groups] } else { groups });
        factors.extend(if timed.len() > APART_MAX { vec![Self::Timeline] } else { timed });
        factors
    }

    /// In words; those of the model's own groups and events by their names.
    pub fn name(self, model: &Model) -> String {
        let plain = match self {
            Self::Loss => "losses of a site, per year",
            Self::Rot => "silent rot, per year",
            Self::Outage => "outages, per year",
            Self::OutageLength => "length of an outage",
            Self::Seizure => "seizures of a site, per year",
            Self::Copying => "silent copies, per year",
            Self::Repair => "time to repair",
            Self::Audit => "time between audits",
            Self::Notice => "time until a loss is noticed",
            Self::Refresh => "time between refreshes",
            Self::Uplinks => "speed of the uplinks",
            Self::Groups => "all correlated events, per year",
            Self::Timeline => "chances of all dated events",
            Self::Group(at) => {
                return model.groups.get(at).map_or_else(String::new, |group| format!("{}, per year", group.name));
            }
            Self::Timed(at) => {
                return model.timeline.get(at).map_or_else(String::new, |timed| format!("{}, chance", timed.name));
            }
        };
        plain.to_owned()
    }

    /// The model with the factor multiplied by `by`.
    pub fn scaled(self, model: &Model, by: f64) -> Model {
        let mut scaled = model.clone();
        match self {
            Self::Audit => scaled.policy.audit_years = model.policy.audit_years.map(|years| years * by),
            Self::Notice => scaled.policy.detect_years *= by,
            Self::Refresh => scaled.code.refresh_years = model.code.refresh_years.map(|years| years * by),
            Self::Group(at) => scaled.groups.iter_mut().skip(at).take(1).for_each(|group| group.per_year *= by),
            Self::Groups => scaled.groups.iter_mut().for_each(|group| group.per_year *= by),
            Self::Timed(at) => {
                scaled.timeline.iter_mut().skip(at).take(1).for_each(|t| t.blow.hits = likelier(t.blow.hits, by));
            }
            Self::Timeline => scaled.timeline.iter_mut().for_each(|t| t.blow.hits = likelier(t.blow.hits, by)),
            Self::Loss
            | Self::Rot
            | Self::Outage
            | Self::OutageLength
            | Self::Seizure
            | Self::Copying
            | Self::Repair
            | Self::Uplinks => scaled.sites.iter_mut().for_each(|site| self.scale_site(site, by)),
        }
        scaled
    }

    fn scale_site(self, site: &mut Site, by: f64) {
        match self {
            Self::Loss => site.loss = site.loss.map(|law| stretched(law, 1.0 / by)),
            Self::Rot => site.rot_per_year *= by,
            Self::Outage => {
                site.outage = site.outage.map(|outage| Outage { every: stretched(outage.every, 1.0 / by), ..outage });
            }
            Self::OutageLength => {
                site.outage = site.outage.map(|outage| Outage { lasts: stretched(outage.lasts, by), ..outage });
            }
            Self::Seizure => site.seized_per_year *= by,
            Self::Copying => site.copied_per_year *= by,
            Self::Repair => {
                site.repair = site.repair.map(|law| stretched(law, by));
                site.remake = stretched(site.remake, by);
            }
            Self::Uplinks => site.up_bytes_per_s *= by,
            Self::Audit
            | Self::Notice
            | Self::Refresh
            | Self::Group(_)
            | Self::Groups
            | Self::Timed(_)
            | Self::Timeline => {}
        }
    }
}

/// The same law with every time multiplied by `by`.
fn stretched(law: Law, by: f64) -> Law {
    match law {
        Law::Exponential { mean_years } => Law::Exponential { mean_years: mean_years * by },
        Law::Weibull { shape, scale_years } => Law::Weibull { shape, scale_years: scale_years * by },
        Law::LogNormal { mean_years, cv } => Law::LogNormal { mean_years: mean_years * by, cv },
        Law::Constant { years } => Law::Constant { years: years * by },
        Law::Uniform { low_years, high_years } => {
            Law::Uniform { low_years: low_years * by, high_years: high_years * by }
        }
    }
}

/// A chance that is neither zero nor certain.
fn is_open(hits: Hits) -> bool {
    match hits {
        Hits::Each { chance } => chance > 0.0 && chance < 1.0,
        Hits::AtRandom { .. } => false,
    }
}

fn likelier(hits: Hits, by: f64) -> Hits {
    match hits {
        Hits::Each { chance } if is_open(hits) => Hits::Each { chance: (chance * by).min(1.0) },
        Hits::Each { .. } | Hits::AtRandom { .. } => hits,
    }
}
