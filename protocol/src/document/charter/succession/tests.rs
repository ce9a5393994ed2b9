//! Who may take whose place.

use shard_codec::SealingSecretKey;

use super::Succession;
use crate::document::{Charter, CharterError, Site, SiteState};
use crate::fixture::{State, name, rng, sign};
use crate::signature::{Keypair, Signed};

/// Admits a new site in the place of another, which is out.
pub(crate) fn admit(charter: &mut Charter, gone: &str, new: &str, seed: u64) {
    let place = charter.sites.iter().position(|site| site.name == name(gone)).unwrap();
    charter.sites[place].state = SiteState::Expelled;
    let sealing_key = SealingSecretKey::generate(&mut rng(seed)).public().as_bytes().to_vec();
    let site = Site {
        name: name(new),
        identity: Keypair::generate(&mut rng(1_000 + seed)).public(),
        sealing_key,
        state: SiteState::Active,
        succeeds: Some(name(gone)),
        ..charter.sites[place].clone()
    };
    let lists = charter.databases.iter_mut().flat_map(|entry| [&mut entry.placement, &mut entry.custodians]);
    lists.flatten().filter(|named| **named == name(gone)).for_each(|named| *named = name(new));
    charter.sites.push(site);
}

#[test]
fn the_last_of_a_chain_stands_for_all_before_it() {
    let mut state = State::new();
    state.amend(|charter| admit(charter, "ottawa", "lisbon", 1));
    state.amend(|charter| admit(charter, "lisbon", "oslo", 2));
    state.amend(|charter| admit(charter, "bern", "vienna", 3));
    let succession = Succession::of(state.charter());
    for (named, holder) in
        [("ottawa", "oslo"), ("lisbon", "oslo"), ("oslo", "oslo"), ("bern", "vienna"), ("tallinn", "tallinn")]
    {
        assert_eq!(succession.holder(&name(named)), &name(holder), "{named}");
    }
    assert!(succession.changes(&[name("tallinn"), name("bern")]));
    assert!(!succession.changes(&[name("tallinn"), name("vienna")]));
}

#[test]
fn who_leaves_keeps_the_place_until_it_is_marked_lost() {
    let mut state = State::new();
    state.amend(|charter| admit(charter, "ottawa", "lisbon", 1));
    state.amend(|charter| {
        admit(charter, "lisbon", "oslo", 2);
        charter.sites[7].state = SiteState::Draining;
    });
    let succession = Succession::of(state.charter());
    for named in ["ottawa", "lisbon"] {
        assert_eq!(succession.holder(&name(named)), &name("lisbon"));
        assert_eq!(succession.heir(&name(named)), Some(&name("oslo")));
    }
    let line: Vec<_> = succession.line(&name("ottawa")).map(ToString::to_string).collect();
    assert_eq!(line, ["ottawa", "lisbon", "oslo"]);
    let handovers: Vec<_> = succession.handovers().map(|(from, to)| format!("{from} to {to}")).collect();
    assert_eq!(handovers, ["lisbon to oslo"], "once, not for each name in the line");

    // The heir is seized before it has taken over: the one after it is the heir now.
    let mut seized = State::new();
    seized.amend(|charter| {
        admit(charter, "ottawa", "lisbon", 1);
        charter.sites[6].state = SiteState::Draining;
    });
    seized.amend(|charter| admit(charter, "lisbon", "oslo", 2));
    let succession = Succession::of(seized.charter());
    assert_eq!(succession.holder(&name("ottawa")), &name("ottawa"));
    assert_eq!(succession.heir(&name("ottawa")), Some(&name("oslo")));

    state.amend(|charter| charter.sites[7].state = SiteState::Lost);
    let succession = Succession::of(state.charter());
    assert_eq!((succession.holder(&name("ottawa")), succession.heir(&name("ottawa"))), (&name("oslo"), None));
    assert_eq!(succession.handovers().count(), 0);
}

/// What the officials read when the next version is drafted with `change`.
fn invalid(change: impl FnOnce(&mut Charter)) -> String {
    Signed::draft(State::new().next_charter(change)).unwrap_err().to_string()
}

#[test]
fn successions_that_cannot_be() {
    let last = |charter: &mut Charter| charter.sites.len() - 1;
    let cases: [(&str, String); 6] = [
        (
            "charter: site lisbon succeeds ottawa, which is active: mark that draining, lost or expelled",
            invalid(|charter| {
                admit(charter, "ottawa", "lisbon", 1);
                charter.sites[6].state = SiteState::Active;
            }),
        ),
        (
            "charter: two sites succeed ottawa",
            invalid(|charter| {
                admit(charter, "ottawa", "lisbon", 1);
                admit(charter, "ottawa", "oslo", 2);
            }),
        ),
        (
            "charter: site lisbon succeeds atlantis, which is not before it",
            invalid(|charter| {
                admit(charter, "ottawa", "lisbon", 1);
                let last = last(charter);
                charter.sites[last].succeeds = Some(name("atlantis"));
            }),
        ),
        (
            "charter: site lisbon succeeds lisbon, which is not before it",
            invalid(|charter| {
                admit(charter, "ottawa", "lisbon", 1);
                let last = last(charter);
                charter.sites[last].succeeds = Some(name("lisbon"));
            }),
        ),
        (
            "charter: site lisbon succeeds ottawa and cannot hold what that held: give it the same roles",
            invalid(|charter| {
                admit(charter, "ottawa", "lisbon", 1);
                let last = last(charter);
                charter.sites[last].roles.shares = false;
                charter.databases[0].custodians.pop();
            }),
        ),
        (
            "charter: database land-register names site ottawa, which was succeeded: name its successor",
            invalid(|charter| {
                admit(charter, "ottawa", "lisbon", 1);
                charter.databases[0].placement[6] = name("ottawa");
            }),
        ),
    ];
    for (expected, found) in cases {
        assert_eq!(found, expected);
    }
}

/// The attack: officials are brought to sign that an old member takes the place of another, or that a place changes
/// hands again in silence. Two shards of one stripe would then lie at one site, or nobody could say where one lies.
#[test]
fn a_succession_is_said_once_by_the_version_that_admits_the_site() {
    let said_wrongly = |state: &State, change: &dyn Fn(&mut Charter)| {
        let next = sign(state.next_charter(change), &state.officials);
        state.chain.clone().extend(next).unwrap_err()
    };
    let of = |version: u64, site: &str| CharterError::Succession { version, site: name(site) };
    // A member of old.
    let state = State::new();
    let old = |charter: &mut Charter| {
        charter.sites[2].state = SiteState::Expelled;
        charter.sites[5].succeeds = Some(charter.sites[2].name.clone());
        let entry = &mut charter.databases[0];
        for list in [&mut entry.placement, &mut entry.custodians] {
            list.remove(2);
        }
        (entry.data_shards, entry.threshold) = (2, 3);
    };
    let old_name = state.charter().sites[5].name.to_string();
    assert_eq!(said_wrongly(&state, &old), of(2, &old_name));
    // A predecessor that comes with the same version: nobody knows what it ever held.
    let both = |charter: &mut Charter| {
        admit(charter, "ottawa", "lisbon", 1);
        admit(charter, "lisbon", "oslo", 2);
    };
    assert_eq!(said_wrongly(&state, &both), of(2, "oslo"));
    // Taken back, and changed.
    let mut state = State::new();
    state.amend(|charter| admit(charter, "ottawa", "lisbon", 1));
    let taken_back = |charter: &mut Charter| charter.sites[7].succeeds = None;
    assert_eq!(said_wrongly(&state, &taken_back), of(3, "lisbon"));
    // Who was succeeded comes back, as a member that is leaving.
    let back = |charter: &mut Charter| charter.sites[6].state = SiteState::Draining;
    assert_eq!(said_wrongly(&state, &back), of(3, "ottawa"));
    // A state is not founded with successors.
    let mut founding = State::new().charter().clone();
    admit(&mut founding, "ottawa", "lisbon", 1);
    let founded = crate::document::CharterChain::found(sign(founding, &State::new().officials), None);
    assert_eq!(founded.unwrap_err(), of(1, "lisbon"));
}
