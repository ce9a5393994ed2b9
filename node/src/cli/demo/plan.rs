//! How large the state is, what it loses, and whether a code and a sharing exist that survive it.

use crate::cli::Failure;

/// Sites that a demo can have.
pub(crate) const SITES_MIN: usize = 4;
const SITES_MAX: usize = 30;
const LOST_MAX: usize = 3;
/// Officials of the state, and how many of them decide.
pub(crate) const OFFICIALS: [&str; 5] =
    ["President", "Prime Minister", "Minister of Justice", "Chancellor of Justice", "Speaker of Parliament"];
pub(crate) const QUORUM: usize = 3;
const SIZE_MIB_MAX: u64 = 4_096;
/// Rows of the parcels table at the least.
pub(crate) const PARCELS_MIN: u64 = 200_000;
/// What one parcel takes in the database file, with its part of the owners and the indexes.
const BYTES_PER_PARCEL: u64 = 386;

/// One place a site can stand at.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) jurisdiction: &'static str,
}

const fn place(name: &'static str, kind: &'static str, jurisdiction: &'static str) -> Place {
    Place { name, kind, jurisdiction }
}

/// Home first; no two under one law.
const PLACES: [Place; 50] = [
    place("ee-home", "home", "EE"),
    place("lu-vault", "data-centre", "LU"),
    place("fr-embassy", "embassy", "FR"),
    place("fi-centre", "data-centre", "FI"),
    place("ca-cloud", "cloud", "CA"),
    place("jp-embassy", "embassy", "JP"),
    place("pt-centre", "data-centre", "PT"),
    place("is-centre", "data-centre", "IS"),
    place("no-embassy", "embassy", "NO"),
    place("ch-vault", "data-centre", "CH"),
    place("se-embassy", "embassy", "SE"),
    place("ie-cloud", "cloud", "IE"),
    place("dk-embassy", "embassy", "DK"),
    place("nl-centre", "data-centre", "NL"),
    place("be-embassy", "embassy", "BE"),
    place("de-centre", "data-centre", "DE"),
    place("au-embassy", "embassy", "AU"),
    place("es-centre", "data-centre", "ES"),
    place("it-embassy", "embassy", "IT"),
    place("at-vault", "data-centre", "AT"),
    place("gb-embassy", "embassy", "GB"),
    place("nz-cloud", "cloud", "NZ"),
    place("kr-embassy", "embassy", "KR"),
    place("pl-centre", "data-centre", "PL"),
    place("cz-embassy", "embassy", "CZ"),
    place("si-centre", "data-centre", "SI"),
    place("lv-embassy", "embassy", "LV"),
    place("us-cloud", "cloud", "US"),
    place("cl-embassy", "embassy", "CL"),
    place("sg-cloud", "cloud", "SG"),
    place("hu-centre", "data-centre", "HU"),
    place("sk-embassy", "embassy", "SK"),
    place("hr-centre", "data-centre", "HR"),
    place("gr-embassy", "embassy", "GR"),
    place("cy-cloud", "cloud", "CY"),
    place("mt-embassy", "embassy", "MT"),
    place("ro-centre", "data-centre", "RO"),
    place("bg-embassy", "embassy", "BG"),
    place("mx-embassy", "embassy", "MX"),
    place("br-cloud", "cloud", "BR"),
    place("uy-centre", "data-centre", "UY"),
    place("cr-embassy", "embassy", "CR"),
    place("in-cloud", "cloud", "IN"),
    place("tw-centre", "data-centre", "TW"),
    place("th-embassy", "embassy", "TH"),
    place("za-centre", "data-centre", "ZA"),
    place("ke-embassy", "embassy", "KE"),
    place("il-embassy", "embassy", "IL"),
    place("ae-cloud", "cloud", "AE"),
    place("li-vault", "data-centre", "LI"),
];

/// A demo that can hold its promises.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) sites: &'static [Place],
    pub(crate) data_shards: usize,
    /// Shares that open a snapshot: more than the lost sites hold, no more than the others do.
    pub(crate) threshold: usize,
    /// The first so many sites hold shares.
    pub(crate) custodians: usize,
    /// Positions in `sites`; home is the first.
    lost: Vec<usize>,
    pub(crate) parcels: u64,
}

/// Sites that can be lost and still be fewer than those that remain.
fn lost_count(sites: usize) -> usize {
    LOST_MAX.min(sites.saturating_sub(1) / 2)
}

impl Plan {
    /// Checks the wish before anything is started.
    ///
    /// # Errors
    /// What is wrong with it, and what would work.
    pub(crate) fn new(sites: usize, data_shards: usize, size_mib: u64) -> Result<Self, Failure> {
        let sites_max = SITES_MAX;
        if !(SITES_MIN..=sites_max).contains(&sites) {
            return Err(Failure::usage(format!("--sites {sites}: the demo founds {SITES_MIN} to {sites_max} sites")));
        }
        if !(1..=SIZE_MIB_MAX).contains(&size_mib) {
            return Err(Failure::usage(format!("--size-mib {size_mib}: give 1 to {SIZE_MIB_MAX}")));
        }
        let lost_count = lost_count(sites);
        let remaining = sites - lost_count;
        if !(1..=remaining).contains(&data_shards) {
            let enough = (SITES_MIN..=sites_max).find(|sites| sites - self::lost_count(*sites) >= data_shards);
            let more_sites = enough.filter(|_| data_shards > 0);
            let more_sites = more_sites.map_or_else(String::new, |sites| format!(", or --sites {sites} or more"));
            return Err(Failure::usage(format!(
                "--data-shards {data_shards} with --sites {sites}: the demo loses {lost_count} sites (home among them) \
                 and {remaining} remain, so 1 to {remaining} data shards can be rebuilt from them. \
                 Use --data-shards {remaining} or fewer{more_sites}"
            )));
        }
        let lost = [0, 2, sites - 1];
        Ok(Self {
            sites: PLACES.get(..sites).unwrap_or(&PLACES),
            data_shards,
            threshold: data_shards.max(lost_count + 1),
            custodians: sites,
            lost: lost.into_iter().take(lost_count).collect(),
            parcels: (size_mib.saturating_mul(1 << 20) / BYTES_PER_PARCEL).max(PARCELS_MIN),
        })
    }

    /// A state of which nothing is lost on purpose, for `source_bytes` to be backed up.
    ///
    /// # Errors
    /// Fewer or more sites than there are places, or a code that one lost site breaks.
    pub(crate) fn for_trial(sites: usize, data_shards: usize, source_bytes: u64) -> Result<Self, Failure> {
        let sites_max = PLACES.len();
        if !(SITES_MIN..=sites_max).contains(&sites) {
            return Err(Failure::usage(format!("--sites {sites}: give {SITES_MIN} to {sites_max}")));
        }
        if !(2..sites).contains(&data_shards) {
            let why = format!("--data-shards {data_shards} with --sites {sites}: give 2 to {}", sites - 1);
            return Err(Failure::usage(why));
        }
        let parcels = source_bytes / BYTES_PER_PARCEL;
        let (custodians, sites) = (sites, PLACES.get(..sites).unwrap_or(&PLACES));
        Ok(Self { sites, data_shards, threshold: data_shards, custodians, lost: Vec::new(), parcels })
    }

    /// Places of sites that come later, so many, after the first `sites`.
    ///
    /// # Errors
    /// There are no more.
    pub(crate) fn places_after(sites: usize, count: usize) -> Result<&'static [Place], Failure> {
        let further = PLACES.get(sites..sites.saturating_add(count));
        further.ok_or_else(|| Failure::usage(format!("{sites} sites and {count} new ones: {} are known", PLACES.len())))
    }

    /// The sites that are lost, home first.
    pub(crate) fn lost(&self) -> impl Iterator<Item = &'static Place> {
        self.lost.iter().filter_map(|position| self.sites.get(*position))
    }

    /// The sites that remain.
    pub(crate) fn surviving(&self) -> impl Iterator<Item = &'static Place> {
        let remains = |(position, _): &(usize, &Place)| !self.lost.contains(position);
        self.sites.iter().enumerate().filter(remains).map(|(_, place)| place)
    }

    /// Room that the files of a demo take at their most, in bytes.
    pub(crate) fn room_bytes(&self) -> u64 {
        let database_bytes = self.parcels * BYTES_PER_PARCEL;
        // Database, its log, the private copy, the reference and two restored copies; then the shards of two snapshots.
        let coded = database_bytes * 3 / 2 * self.sites.len() as u64 / self.data_shards as u64;
        database_bytes * 7 + coded + (64 << 20) * self.sites.len() as u64 + (256 << 20)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{PARCELS_MIN, PLACES, Plan};

    #[test]
    fn every_plan_survives_and_keeps_the_secret() {
        for sites in 4..=super::SITES_MAX {
            for data_shards in 1..=sites {
                let Ok(plan) = Plan::new(sites, data_shards, 100) else { continue };
                let (lost, remaining) = (plan.lost().count(), plan.surviving().count());
                assert_eq!(lost + remaining, sites);
                assert!(lost < plan.threshold && plan.threshold <= remaining, "{sites}/{data_shards}");
                assert!(data_shards <= remaining);
                assert_eq!(plan.lost().next().map(|place| place.kind), Some("home"));
                assert_eq!(lost, if sites >= 7 { 3 } else { (sites - 1) / 2 });
            }
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_would() {
        let error = |sites, data_shards, mib| Plan::new(sites, data_shards, mib).unwrap_err().message;
        assert!(error(3, 2, 100).contains("4 to 30 sites"));
        assert!(error(31, 2, 100).contains("4 to 30 sites"));
        let too_many = error(7, 5, 100);
        assert!(too_many.contains("Use --data-shards 4 or fewer, or --sites 8 or more"), "{too_many}");
        let none = error(7, 0, 100);
        assert!(none.contains("1 to 4 data shards") && !none.contains("or --sites"), "{none}");
        assert!(!error(30, 28, 100).contains("or --sites"));
        assert!(error(7, 3, 0).contains("--size-mib 0"));
    }

    #[test]
    fn places_have_names_and_laws_of_their_own() {
        let names: BTreeSet<_> = PLACES.iter().map(|place| place.name).collect();
        let laws: BTreeSet<_> = PLACES.iter().map(|place| place.jurisdiction).collect();
        assert_eq!((names.len(), laws.len()), (PLACES.len(), PLACES.len()));
    }

    #[test]
    fn a_small_register_still_has_its_rows() {
        assert_eq!(Plan::new(7, 3, 1).unwrap().parcels, PARCELS_MIN);
    }
}
