//! What sites say to each other while nothing happens.

use super::*;
use crate::fixture::{SITES, name};
use crate::host::PAUSE_MAX_MS;

const DATABASES: [usize; 2] = [1, 100];
const STATES: [u64; 2] = [5, 50];

/// Two sites that know the same of so many databases.
fn idle_round(databases: usize) -> Said {
    let mut state = State::founded(|charter| {
        let first = charter.databases[0].clone();
        let entry =
            |number: usize| crate::document::Database { name: name(&format!("register-{number}")), ..first.clone() };
        charter.databases = std::iter::once(first.clone()).chain((1..databases).map(entry)).collect();
    });
    let document = state.snapshot(None, 1).manifest.document().clone();
    let (mut site, mut peer) = (state.site(0), state.site(1));
    for entry in &state.charter().databases {
        let manifest = crate::document::Manifest { database: entry.name.clone(), ..document.clone() };
        let manifest = Signed::sign_new(manifest, &state.writer).unwrap().encode();
        for at in [&mut site, &mut peer] {
            at.hear(Announcement::Manifests(vec![manifest.clone().into()])).unwrap();
        }
    }
    assert_eq!((site.catalog.histories().count(), SITES.len()), (databases, 7));
    ask_once(&mut site, &peer)
}

#[test]
fn an_idle_hour_costs_next_to_nothing() {
    for databases in DATABASES {
        let said = idle_round(databases);
        assert_eq!(said.words(), ["Summary"]);
        for sites in STATES {
            // A site asks each other one and is asked by it.
            let rounds = 2 * (sites - 1) * 3_600_000 / PAUSE_MAX_MS;
            let bytes = rounds * (said.asked_bytes + said.answered_bytes) as u64;
            println!("{sites} sites, {databases} databases: {} messages, {bytes} bytes per site and hour", 2 * rounds);
            assert!(bytes < 1_000_000);
        }
    }
}
