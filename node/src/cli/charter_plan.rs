//! The TOML file that a charter is drafted from.

use std::path::{Path, PathBuf};

use protocol::document::{
    Agreement, Alliance, Bearer, Card, Charter, Database, JoinRequest, Official, Site, SiteState,
};
use protocol::identifier::{DatabaseName, SiteName};
use protocol::signature::{PublicKey, Signed};
use protocol::timestamp::Timestamp;
use serde::Deserialize;

use super::quarantine_plan::QuarantinePlan;
use super::retention_plan::{RetentionPlan, seconds};
use super::{Failure, documents};
use crate::clock;

/// The whole plan. Paths are relative to the plan's own folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    state: String,
    quorum: u16,
    officials: Vec<PathBuf>,
    sites: Vec<SitePlan>,
    #[serde(default)]
    alliances: Vec<AlliancePlan>,
    databases: Vec<DatabasePlan>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum SitePlan {
    Active(PathBuf),
    WithState(SiteWithState),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteWithState {
    join_request: PathBuf,
    #[serde(default = "active")]
    state: SiteState,
    /// The lost or expelled site whose place it takes.
    succeeds: Option<SiteName>,
    agreement: Option<AgreementPlan>,
}

/// Dates as in `2027-06-20`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AgreementPlan {
    reference: String,
    in_force: Option<toml::value::Datetime>,
    expires: Option<toml::value::Datetime>,
    #[serde(default)]
    inviolable: bool,
    #[serde(default)]
    emergency_entry: bool,
    distance_km: Option<u32>,
}

impl AgreementPlan {
    fn agreement(&self) -> Result<Agreement, Failure> {
        let moment = |date: &Option<toml::value::Datetime>| date.as_ref().map(begin_of).transpose();
        Ok(Agreement {
            reference: self.reference.clone(),
            in_force: moment(&self.in_force)?,
            expires: moment(&self.expires)?,
            inviolable: self.inviolable,
            emergency_entry: self.emergency_entry,
            distance_km: self.distance_km,
        })
    }
}

/// The first moment of a day, UTC.
fn begin_of(date: &toml::value::Datetime) -> Result<Timestamp, Failure> {
    let usage = || Failure::usage(format!("'{date}' is not a date such as 2027-06-20, from 1970 on"));
    if date.time.is_some() || date.offset.is_some() {
        return Err(usage());
    }
    let begin = humantime::parse_rfc3339(&format!("{date}T00:00:00Z")).map_err(|_date| usage())?;
    let since = begin.duration_since(std::time::UNIX_EPOCH).map_err(|_earlier| usage())?;
    Ok(Timestamp::from_unix_ms(since.as_secs() * 1_000))
}

const fn active() -> SiteState {
    SiteState::Active
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AlliancePlan {
    name: String,
    jurisdictions: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DatabasePlan {
    name: DatabaseName,
    data_shards: u8,
    threshold: u8,
    writers: Vec<PathBuf>,
    placement: Option<Vec<SiteName>>,
    custodians: Option<Vec<SiteName>>,
    #[serde(default = "default_stripe_mib")]
    stripe_mib: u32,
    #[serde(default = "default_quota_gib")]
    quota_gib: u64,
    /// As in `2h`.
    rpo: Option<String>,
    /// After so many days shares are dealt anew, though nothing has changed.
    refresh_days: Option<u16>,
    /// How long snapshots are kept; for ever if absent.
    retention: Option<RetentionPlan>,
    /// Which snapshots are suspicious by their size, and which of the suspicious ones are accepted.
    quarantine: Option<QuarantinePlan>,
}

const fn default_stripe_mib() -> u32 {
    16
}

const fn default_quota_gib() -> u64 {
    1_024
}

/// Drafts the charter that follows `previous`, or the first one.
pub(super) fn draft(path: &Path, previous: Option<&[Signed<Charter>]>) -> Result<Charter, Failure> {
    let text = documents::read_text(path)?;
    let plan: Plan = toml::from_str(&text).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let card = |file: &PathBuf, bearer: Bearer| -> Result<(String, PublicKey), Failure> {
        let file = folder.join(file);
        let signed = documents::read::<Card>(&file)?;
        let card = signed.verify()?;
        if card.bearer != bearer {
            return Err(Failure::usage(format!("{}: is the card of a {:?}", file.display(), card.bearer)));
        }
        Ok((card.name.clone(), card.key))
    };
    let officials = plan.officials.iter().map(|file| {
        let (name, key) = card(file, Bearer::Official)?;
        Ok(Official { name, key })
    });
    let sites: Vec<Site> = plan.sites.iter().map(|site| read_site(folder, site)).collect::<Result<_, _>>()?;
    let in_place = in_order_of_places(&sites);
    let databases = plan.databases.iter().map(|database| {
        let names = |holds: fn(&Site) -> bool| {
            let holders = in_place.iter().filter(|site| site.state == SiteState::Active && holds(site));
            holders.map(|site| site.name.clone()).collect::<Vec<_>>()
        };
        let writers = database.writers.iter().map(|file| card(file, Bearer::Writer).map(|(_name, key)| key));
        Ok(Database {
            name: database.name.clone(),
            data_shards: database.data_shards,
            threshold: database.threshold,
            placement: database.placement.clone().unwrap_or_else(|| names(|site| site.roles.shards)),
            custodians: database.custodians.clone().unwrap_or_else(|| names(|site| site.roles.shares)),
            writers: writers.collect::<Result<_, Failure>>()?,
            stripe_bytes: database.stripe_mib.saturating_mul(1 << 20),
            quota_bytes: database.quota_gib.saturating_mul(1 << 30),
            rpo_seconds: database
                .rpo
                .as_deref()
                .map(|rpo| seconds(&format!("database {}: rpo", database.name), rpo, "2h or 1day"))
                .transpose()?,
            refresh_days: database.refresh_days,
            retention: database.retention.as_ref().map(RetentionPlan::retention).transpose()?,
            quarantine: database.quarantine.as_ref().map(QuarantinePlan::quarantine),
        })
    });
    let newest = previous.and_then(<[_]>::last);
    Ok(Charter {
        state_name: plan.state,
        version: newest.map_or(1, |newest| newest.document().version + 1),
        genesis: previous.and_then(<[_]>::first).map(Signed::digest),
        previous: newest.map(Signed::digest),
        drafted: Timestamp::from_unix_ms(clock::now_ms()),
        officials: officials.collect::<Result<_, Failure>>()?,
        quorum: plan.quorum,
        alliances: plan
            .alliances
            .into_iter()
            .map(|plan| Alliance { name: plan.name, jurisdictions: plan.jurisdictions })
            .collect(),
        databases: databases.collect::<Result<_, Failure>>()?,
        sites,
    })
}

fn read_site(folder: &Path, plan: &SitePlan) -> Result<Site, Failure> {
    let read = |file: &PathBuf| -> Result<Site, Failure> {
        let signed = documents::read::<JoinRequest>(&folder.join(file))?;
        Ok(Site { state: SiteState::Active, succeeds: None, agreement: None, ..signed.verify()?.clone() })
    };
    match plan {
        SitePlan::Active(file) => read(file),
        SitePlan::WithState(site) => {
            let agreement = site.agreement.as_ref().map(AgreementPlan::agreement).transpose()?;
            let (state, succeeds) = (site.state, site.succeeds.clone());
            Ok(Site { state, succeeds, agreement, ..read(&site.join_request)? })
        }
    }
}

/// Each site where its first predecessor stood: the shards that lie at a place stay at that place.
fn in_order_of_places(sites: &[Site]) -> Vec<&Site> {
    let successor = |site: &Site| sites.iter().find(|later| later.succeeds.as_ref() == Some(&site.name));
    let first = sites.iter().filter(|site| site.succeeds.is_none());
    first
        .filter_map(|site| std::iter::successors(Some(site), |site| successor(site)).take(sites.len()).last())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{SitePlan, SiteWithState};

    fn agreement(text: &str) -> Result<protocol::document::Agreement, String> {
        let plan = format!("join_request = 'x.txt'\nagreement = {{ {text} }}");
        let plan: SiteWithState = toml::from_str(&plan).map_err(|error| error.message().to_owned())?;
        let made = plan.agreement.unwrap().agreement().map_err(|failure| failure.message)?;
        made.validate().map(|()| made)
    }

    #[test]
    fn dates_are_days_and_ends_come_after_beginnings() {
        let made =
            agreement("reference = 'treaty', in_force = 2017-06-20, expires = 2027-06-20, inviolable = true").unwrap();
        assert_eq!(made.in_force.unwrap().to_string(), "2017-06-20T00:00:00Z");
        assert_eq!(made.expires.unwrap().to_string(), "2027-06-20T00:00:00Z");
        assert!(made.inviolable && !made.emergency_entry);
        assert_eq!(agreement("reference = 'contract'").unwrap().expires, None);
        for (text, refused) in [
            ("reference = 'a', in_force = 2027-06-20, expires = 2017-06-20", "the agreement ends before it begins"),
            ("reference = 'a', expires = 12:00:00", "is not a date such as 2027-06-20"),
            ("reference = 'a', expires = 1812-06-24", "is not a date such as 2027-06-20"),
            ("reference = ''", "the agreement's reference must be"),
            ("reference = 'a', distance_km = 40000", "distance_km is at most 20100"),
            ("reference = 'a', until = 2027-06-20", "unknown field `until`"),
        ] {
            let error = agreement(text).unwrap_err();
            assert!(error.contains(refused), "{text}: {error}");
        }
    }

    #[test]
    fn a_site_is_a_file_or_a_table() {
        let plan: SiteWithState = toml::from_str("join_request = 'x.txt'\nsucceeds = 'xx-old'").unwrap();
        assert_eq!(plan.state, protocol::document::SiteState::Active);
        assert!(matches!(SitePlan::WithState(plan), SitePlan::WithState(site) if site.succeeds.is_some()));
    }
}
