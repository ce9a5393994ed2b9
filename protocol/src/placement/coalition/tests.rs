//! Charters that one coalition could read or destroy, refused by name; and durability against brute force.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::document::charter::succession::tests::admit;
use crate::document::{Charter, Document as _, Manifest, Receipt, SiteState};
use crate::fixture::{NOW, SITES, State, database, name};
use crate::identifier::SiteName;
use crate::placement::coalition::{Bond, check, coalitions};
use crate::placement::durability::assess;

/// The text that an official reads.
fn breach(change: impl FnOnce(&mut Charter)) -> String {
    let mut charter = State::new().charter().clone();
    change(&mut charter);
    let text = check(&charter).unwrap_err().to_string();
    assert_eq!(charter.validate_costly(), Err(text.clone()), "the charter itself must be refused");
    text
}

#[test]
fn a_good_charter_passes() {
    assert_eq!(check(State::new().charter()), Ok(()));
}

#[test]
fn each_bond_that_could_read_is_refused_by_name() {
    let reads =
        "holds 3 shares and could read it (threshold 3): raise the threshold or move custodians to other domains";
    assert_eq!(
        breach(|charter| charter.sites[..3].iter_mut().for_each(|site| site.jurisdiction = "RU".to_owned())),
        format!("database land-register: jurisdiction RU (helsinki, luxembourg, tallinn) {reads}")
    );
    assert_eq!(
        breach(|charter| charter.alliances[0].jurisdictions.push("EE".to_owned())),
        format!("database land-register: alliance 'Nordic mutual assistance' (helsinki, reykjavik, tallinn) {reads}")
    );
    assert_eq!(
        breach(|charter| charter.sites[4..].iter_mut().for_each(|site| site.owner = Some("Landlord".to_owned()))),
        format!("database land-register: building owner 'Landlord' (bern, ottawa, tokyo) {reads}")
    );
    assert_eq!(
        breach(|charter| charter.sites[4..].iter_mut().for_each(|site| site.vendor = Some("Big Cloud".to_owned()))),
        format!("database land-register: vendor 'Big Cloud' (bern, ottawa, tokyo) {reads}")
    );
    assert_eq!(
        breach(|charter| charter.sites[4..].iter_mut().for_each(|site| site.network = Some("AS64500".to_owned()))),
        format!("database land-register: network 'AS64500' (bern, ottawa, tokyo) {reads}")
    );
}

#[test]
fn a_coalition_that_takes_too_much_is_refused_by_name() {
    assert_eq!(
        breach(|charter| charter.databases[0].data_shards = 6),
        "database land-register: without alliance 'Nordic mutual assistance' (helsinki, reykjavik) only 5 shards remain \
         of 6 needed: add sites in other domains or lower data_shards"
    );
    assert_eq!(
        breach(|charter| charter.databases[0].threshold = 6),
        "database land-register: without alliance 'Nordic mutual assistance' (helsinki, reykjavik) only 5 shares remain \
         of 6 needed: add custodians in other domains or lower the threshold"
    );
    assert_eq!(
        breach(|charter| {
            charter.alliances.clear();
            charter.databases[0].data_shards = 7;
        }),
        "database land-register: without jurisdiction CA (ottawa) only 6 shards remain of 7 needed: add sites in other \
         domains or lower data_shards"
    );
    assert_eq!(
        breach(|charter| charter.sites[..4].iter_mut().for_each(|site| site.state = SiteState::Lost)),
        "database land-register: without the sites that are no longer active only 3 shards remain of 4 needed: add \
         sites in other domains or lower data_shards"
    );
}

/// Whoever took a site may hold its shares: losing it does not make its jurisdiction weaker.
#[test]
fn the_shares_of_a_lost_site_still_count_for_who_took_it() {
    for state in [SiteState::Lost, SiteState::Expelled] {
        let text = breach(|charter| {
            charter.sites[4..].iter_mut().for_each(|site| site.jurisdiction = "XX".to_owned());
            charter.sites[6].state = state;
        });
        assert!(
            text.starts_with("database land-register: jurisdiction XX (bern, ottawa, tokyo) holds 3 shares"),
            "{text}"
        );
    }
}

/// The attack: a country takes one site, waits until its place is given to another country, and is given one more site
/// than it could have had before. It holds the share of the first for ever.
#[test]
fn the_share_of_a_site_that_was_succeeded_still_counts_for_who_took_it() {
    let next = |later: &'static str| {
        let state = State::new();
        let mut next = state.next_charter(|charter| {
            charter.sites[5..].iter_mut().for_each(|site| site.jurisdiction = "XX".to_owned());
            admit(charter, "ottawa", "oslo", 1);
            charter.sites[7].jurisdiction = "NO".to_owned();
        });
        admit(&mut next, "bern", "lagos", 2);
        next.sites[8].jurisdiction = later.to_owned();
        check(&next).map_err(|breach| breach.to_string())
    };
    assert_eq!(next("NG"), Ok(()), "oslo's share, which ottawa had, and tokyo's are two of three");
    let text = next("XX").unwrap_err();
    assert!(text.contains("jurisdiction XX") && text.contains("holds 3 shares"), "{text}");
    // In the same country a site and its successor have one share between them.
    let mut same = State::new().charter().clone();
    same.sites[5..].iter_mut().for_each(|site| site.jurisdiction = "XX".to_owned());
    admit(&mut same, "ottawa", "oslo", 1);
    assert_eq!(check(&same), Ok(()));
}

fn receipts(holders: &[usize]) -> Vec<Receipt> {
    let state = State::new();
    let receipt = |index: &usize| Receipt {
        state: state.chain.state(),
        database: database(),
        sequence: 1,
        manifest: state.chain.state(),
        site: name(SITES[*index].0),
        holds_shards: true,
        holds_share: true,
        at: NOW,
    };
    holders.iter().map(receipt).collect()
}

/// What the manifest of a snapshot made under `charter` says.
fn manifest_under(charter: &Charter) -> Manifest {
    let entry = &charter.databases[0];
    let mut manifest = SNAPSHOT.with(Clone::clone);
    (manifest.data_shards, manifest.placement) = (entry.data_shards, entry.placement.clone());
    (manifest.custody.threshold, manifest.custody.custodians) = (entry.threshold, entry.custodians.clone());
    manifest
}

thread_local! {
    static SNAPSHOT: Manifest = State::new().snapshot(None, 0).manifest.document().clone();
}

#[test]
fn durable_means_after_the_worst_coalition() {
    let charter = State::new().charter().clone();
    let made = &manifest_under(&charter);
    // Six sites, both Nordic ones among them: four remain of four needed.
    let six = assess(&charter, made, None, &receipts(&[0, 1, 2, 3, 4, 5]));
    assert!(six.is_durable());
    assert_eq!(six.weakest, Some(Bond::Alliance("Nordic mutual assistance".to_owned())));
    assert_eq!((six.shards_remaining, six.data_shards, six.shares_remaining, six.threshold), (4, 4, 4, 3));
    assert_eq!(six.missing, BTreeSet::from([name("ottawa")]));
    // Five with both Nordic ones: a plain count of five would say durable.
    assert!(!assess(&charter, made, None, &receipts(&[0, 1, 2, 3, 4])).is_durable());
    // Five with one of them.
    assert!(assess(&charter, made, None, &receipts(&[0, 1, 2, 4, 5])).is_durable());
    // The same receipt six times is one.
    assert!(!assess(&charter, made, None, &receipts(&[0; 6])).is_durable());
}

#[test]
fn receipts_of_removed_sites_and_strangers_do_not_count() {
    let mut charter = State::new().charter().clone();
    let mut given = receipts(&[0, 1, 2, 4, 5]);
    charter.sites[0].state = SiteState::Expelled;
    let made = manifest_under(&charter);
    let assessed = assess(&charter, &made, None, &given);
    assert!(!assessed.is_durable());
    assert_eq!(assessed.shard_sites.len(), 4);
    given[0].site = name("atlantis");
    assert!(!assess(&charter, &made, None, &given).is_durable());
}

/// A charter that asks for less does not make durable what was made under one that asked for more, nor the reverse.
#[test]
fn what_a_snapshot_needs_was_settled_when_it_was_made() {
    type Change = fn(&mut Charter);
    let old = State::new().charter().clone();
    // Five with both Nordic ones: three remain of four.
    let given = receipts(&[0, 1, 2, 3, 4]);
    let lower: [Change; 3] = [
        |charter| charter.databases[0].data_shards = 2,
        |charter| charter.databases[0].threshold = 2,
        |charter| (charter.databases[0].data_shards, charter.databases[0].threshold) = (2, 2),
    ];
    for change in lower {
        let mut newest = old.clone();
        change(&mut newest);
        assert!(!assess(&newest, &manifest_under(&old), None, &given).is_durable());
    }
    let mut low = old.clone();
    low.databases[0].data_shards = 2;
    let mut lowest = low.clone();
    lowest.databases[0].threshold = 2;
    // Four with both Nordic ones: two shares remain of three.
    assert!(!assess(&lowest, &manifest_under(&low), None, &receipts(&[0, 1, 2, 3])).is_durable());
    assert!(assess(&low, &manifest_under(&lowest), None, &receipts(&[0, 1, 2, 3])).is_durable());
    let assessed = assess(&old, &manifest_under(&low), None, &given);
    assert!(assessed.is_durable());
    assert_eq!((assessed.shards_remaining, assessed.data_shards, assessed.threshold), (3, 2, 3));
    // A site that joined later holds nothing of it, whatever it says; and it is not missed.
    let mut without_ottawa = old.clone();
    without_ottawa.databases[0].placement.truncate(6);
    without_ottawa.databases[0].custodians.truncate(6);
    let made = manifest_under(&without_ottawa);
    let assessed = assess(&old, &made, None, &receipts(&[0, 1, 2, 4, 6]));
    assert!(!assessed.shard_sites.contains(&name("ottawa")) && !assessed.share_sites.contains(&name("ottawa")));
    assert_eq!(assessed.missing, BTreeSet::from([name("reykjavik"), name("tokyo")]));
    assert!(!assessed.is_durable());
    // Who may act together, and who is gone, is what the newest charter says.
    let mut newest = old.clone();
    newest.sites[4].jurisdiction = "LU".to_owned();
    newest.sites[5].jurisdiction = "LU".to_owned();
    let all_but_one = receipts(&[0, 1, 2, 4, 5, 6]);
    assert!(assess(&old, &manifest_under(&old), None, &all_but_one).is_durable());
    assert!(!assess(&newest, &manifest_under(&old), None, &all_but_one).is_durable());
}

fn site_changes() -> impl Strategy<Value = Vec<(u8, Option<u8>, bool)>> {
    proptest::collection::vec((0_u8..4, proptest::option::of(0_u8..3), proptest::bool::weighted(0.85)), 7)
}

fn changed(changes: &[(u8, Option<u8>, bool)], data_shards: u8, threshold: u8) -> Charter {
    let mut charter = State::new().charter().clone();
    for (site, (jurisdiction, vendor, active)) in charter.sites.iter_mut().zip(changes) {
        site.jurisdiction = ["EE", "FI", "IS", "LU"][usize::from(*jurisdiction)].to_owned();
        site.vendor = vendor.map(|vendor| format!("vendor {vendor}"));
        site.state = if *active { SiteState::Active } else { SiteState::Lost };
    }
    (charter.databases[0].data_shards, charter.databases[0].threshold) = (data_shards, threshold);
    charter
}

/// Every subset of sites in which one bond holds them all together, from the definition and without the bonds' index.
fn bound_together(charter: &Charter, members: &[usize]) -> bool {
    let sites: Vec<_> = members.iter().map(|index| &charter.sites[*index]).collect();
    let same = |of: &dyn Fn(&crate::document::Site) -> Option<String>| {
        of(sites[0]).is_some() && sites.iter().all(|site| of(site) == of(sites[0]))
    };
    same(&|site| Some(site.jurisdiction.clone()))
        || same(&|site| site.vendor.clone())
        || charter
            .alliances
            .iter()
            .any(|alliance| sites.iter().all(|s| alliance.jurisdictions.contains(&s.jurisdiction)))
}

fn subsets() -> impl Iterator<Item = Vec<usize>> {
    (1_u32..1 << 7).map(|bits| (0..7).filter(|index| bits >> index & 1 == 1).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// No subset that is bound together reads or destroys a charter that passes; one does if it fails.
    #[test]
    fn check_agrees_with_brute_force(changes in site_changes(), data in 1_u8..8, threshold in 2_u8..8) {
        let charter = changed(&changes, data, threshold);
        let (data, threshold) = (usize::from(data), usize::from(threshold));
        let active = |index: usize| charter.sites[index].state == SiteState::Active;
        let left = |members: &[usize]| (0..7).filter(|index| active(*index) && !members.contains(index)).count();
        let harms = |members: &[usize]| {
            members.len() >= threshold || left(members) < data || left(members) < threshold
        };
        let harmed = left(&[]) < data.max(threshold)
            || subsets().any(|members| bound_together(&charter, &members) && harms(&members));
        prop_assert_eq!(check(&charter).is_err(), harmed);
    }

    /// Durable is: take away any subset that is bound together, and enough is left.
    #[test]
    fn durable_agrees_with_brute_force(
        changes in site_changes(), data in 1_u8..5, threshold in 2_u8..5,
        held in proptest::collection::vec((any::<bool>(), any::<bool>()), 7),
    ) {
        let charter = changed(&changes, data, threshold);
        let mut given = receipts(&[0, 1, 2, 3, 4, 5, 6]);
        for (receipt, (shards, share)) in given.iter_mut().zip(&held) {
            (receipt.holds_shards, receipt.holds_share) = (*shards, *share);
        }
        let left = |members: &[usize], of: &dyn Fn(usize) -> bool| {
            let counts = |index: &usize| charter.sites[*index].state == SiteState::Active && of(*index);
            (0..7).filter(counts).filter(|index| !members.contains(index)).count()
        };
        let enough = |members: &[usize]| {
            left(members, &|index| held[index].0) >= usize::from(data)
                && left(members, &|index| held[index].1) >= usize::from(threshold)
        };
        let durable = subsets().filter(|members| bound_together(&charter, members)).all(|members| enough(&members));
        prop_assert_eq!(assess(&charter, &manifest_under(&charter), None, &given).is_durable(), durable);
    }
}

#[test]
fn coalitions_list_every_bond_once() {
    let charter = State::new().charter().clone();
    let listed = coalitions(&charter);
    assert_eq!(listed.len(), 8); // seven jurisdictions and the alliance
    let nordic = listed.iter().find(|coalition| matches!(coalition.bond, Bond::Alliance(_))).unwrap();
    assert_eq!(nordic.sites, BTreeSet::<SiteName>::from([name("helsinki"), name("reykjavik")]));
}
