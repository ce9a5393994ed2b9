//! Cases worked by hand, and the same answers by trying every set.

use super::*;

const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

fn bonds(of: &[(&str, &[usize])]) -> Vec<Bond> {
    of.iter().map(|(name, sites)| Bond { selector: (*name).to_owned(), sites: sites.to_vec() }).collect()
}

fn search(bonds: &[Bond], holders: &[usize], needed: usize) -> Smallest {
    smallest(bonds, holders, needed, &NAMES, WORK_MAX)
}

#[test]
fn the_fewest_bonds_are_found_where_taking_the_largest_first_fails() {
    // The largest bond, x, holds four; but y and z together hold all six, and x needs two more.
    let bonds = bonds(&[("x", &[0, 1, 3, 4]), ("y", &[0, 1, 2]), ("z", &[3, 4, 5]), ("same as z", &[3, 4, 5])]);
    let found = search(&bonds, &[0, 1, 2, 3, 4, 5], 6);
    assert_eq!((found.size, found.certain_below, found.sets.len(), found.more), (Some(2), 2, 1, false));
    assert_eq!(found.sets[0].bonds, ["y", "z = same as z"]);
    assert_eq!(found.sets[0].sites, ["a", "b", "c", "d", "e", "f"]);
    // Four of six: x alone.
    let found = search(&bonds, &[0, 1, 2, 3, 4, 5], 4);
    assert_eq!((found.size, found.sets[0].bonds.as_slice()), (Some(1), ["x".to_owned()].as_slice()));
    // Sites that hold nothing do not count, and seven of six is out of reach.
    assert_eq!(search(&bonds, &[0, 3], 2).size, Some(1));
    assert_eq!(search(&bonds, &[0, 1, 2, 3, 4, 5], 7).size, None);
    assert_eq!(search(&[], &[0], 1).size, None);
}

#[test]
fn every_smallest_set_is_found_as_by_trying_all() {
    let mut state = 7_u64;
    for needed in 1..=10 {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        let masks: BTreeSet<u64> = (0..9).map(|_| next() & next() & 1023).filter(|mask| *mask != 0).collect();
        let sites = |mask: u64| -> Vec<usize> { (0..10).filter(|at| mask >> at & 1 == 1).collect() };
        let masks: Vec<u64> = masks.into_iter().collect();
        let bonds: Vec<Bond> =
            masks.iter().map(|mask| Bond { selector: format!("{mask:04}"), sites: sites(*mask) }).collect();
        let union = |set: u64| (0..masks.len()).filter(|at| set >> at & 1 == 1).fold(0, |union, at| union | masks[at]);
        let reaching = (0..1_u64 << masks.len()).filter(|set| union(*set).count_ones() as usize >= needed);
        let reaching: Vec<u64> = reaching.collect();
        let size = reaching.iter().map(|set| set.count_ones()).min();
        let count = reaching.iter().filter(|set| Some(set.count_ones()) == size).count();
        let found = search(&bonds, &(0..10).collect::<Vec<_>>(), needed);
        assert_eq!(found.size, size.map(|size| size as usize));
        assert!(found.sets.len() == count.min(SETS_MAX) && found.more == (count > SETS_MAX), "{needed}: {found:?}");
        assert!(found.sets.iter().all(|set| set.reached >= needed && set.reached == set.sites.len()));
    }
}

#[test]
fn a_hundred_bonds_are_searched_and_what_is_cut_off_says_so() {
    // 100 bonds of three neighbours on a ring of 100: 34 are needed for all, more than is searched for.
    let ring: Vec<Bond> = (0..100)
        .map(|at| Bond {
            selector: format!("{at:02}"),
            sites: BTreeSet::from([at, (at + 1) % 100, (at + 2) % 100]).into_iter().collect(),
        })
        .collect();
    let holders: Vec<usize> = (0..100).collect();
    let names = vec!["site"; 100];
    let all = smallest(&ring, &holders, 100, &names, WORK_MAX);
    assert!(all.is_cut_off() && all.more && all.size >= Some(34) && all.certain_below >= 33, "{all:?}");
    // Twelve holders: four bonds that do not overlap; there are many such.
    let twelve = smallest(&ring, &holders, 12, &names, WORK_MAX);
    assert!(twelve.size == Some(4) && !twelve.is_cut_off() && twelve.more && twelve.sets.len() == SETS_MAX);
    // Without work the set found by taking the largest first stands; that three cannot do is seen without a search.
    let hurried = smallest(&ring, &holders, 12, &names, 3);
    assert!(hurried.size == Some(4) && hurried.certain_below == 4 && hurried.sets.len() == 1 && hurried.more);
}

#[test]
fn ten_thousand_sites_are_searched_too() {
    let bonds: Vec<Bond> = (0..10_000).map(|at| Bond { selector: at.to_string(), sites: vec![at] }).collect();
    let holders: Vec<usize> = (0..10_000).collect();
    let names = vec!["site"; 10_000];
    let read = smallest(&bonds, &holders, 5, &names, WORK_MAX);
    assert!(read.size == Some(5) && !read.is_cut_off() && read.more);
    let destroy = smallest(&bonds, &holders, 9_996, &names, WORK_MAX);
    assert!(destroy.size == Some(9_996) && destroy.is_cut_off());
}

#[test]
fn a_scenario_says_who_could_read_and_who_could_destroy() {
    let mut scenario = crate::scenario::read(crate::scenario::library::find("home-occupied").unwrap()).unwrap();
    let bonds = crate::scenario::select::bonds(&scenario);
    let found = coalitions(&scenario, &bonds).unwrap();
    // Five of eleven shares open: Estonia and the northern allies have two each, and one more. Of nine shards six must go:
    // the same four and two more. Software has no will of its own.
    assert_eq!((found.read.needed, found.read.size), (5, Some(3)));
    assert!(found.read.sets.iter().all(|set| set.bonds[..2] == ["alliance:northern", "jurisdiction:EE"]), "{found:?}");
    assert_eq!((found.destroy_shards.needed, found.destroy_shards.size), (6, Some(4)));
    assert_eq!((found.destroy_shares.needed, found.destroy_shares.size), (7, Some(5)));
    let largest =
        Weight { bond: "software:linux-a".to_owned(), shards: 5, shares: 5, can_read: true, can_destroy: false };
    assert_eq!(found.largest[0], largest);
    scenario.code = None;
    assert_eq!(coalitions(&scenario, &bonds), None);
}
