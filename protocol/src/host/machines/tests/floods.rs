//! A member that speaks without end.

use super::mesh::Mesh;
use crate::document::{AuditReport, Inventory};
use crate::evidence::{WORD_INTERVAL_MS, WORDS_AT_ONCE_MAX};
use crate::fixture::{database, name};
use crate::host::Input;
use crate::machine::{Announcement, Output};
use crate::number_set::NumberSet;
use crate::signature::Signed;
use crate::timestamp::Timestamp;

const FLOODER: usize = 3;

/// Gives one word to the first site and counts what it writes to its disk for it.
fn written(mesh: &mut Mesh, input: Input) -> usize {
    let keys = &mesh.state.sites[0];
    let outputs = mesh.nodes[0].machines.handle(mesh.now, input, keys, &mut mesh.rng);
    outputs.iter().filter(|output| matches!(output, Output::Persist(_))).count()
}

fn inventory(mesh: &Mesh, at: Timestamp, missing: u64) -> Announcement {
    let inventory = Inventory {
        state: mesh.state.chain.state(),
        site: name("reykjavik"),
        database: database(),
        sequence: 1,
        missing_stripes: NumberSet::covering([missing], 10),
        missing_shares: NumberSet::default(),
        epochs: Vec::new(),
        expired: NumberSet::default(),
        let_go: NumberSet::default(),
        at,
    };
    let keys = &mesh.state.sites[FLOODER].identity;
    Announcement::Inventory(Signed::sign_new(inventory, keys).unwrap().encode().into())
}

fn report(mesh: &Mesh, at: Timestamp) -> Announcement {
    let (state, auditor) = (mesh.state.chain.state(), name("reykjavik"));
    let report = AuditReport { state, auditor, since: Timestamp::default(), at, tallies: Vec::new() };
    Announcement::AuditReport(Signed::sign_new(report, &mesh.state.sites[FLOODER].identity).unwrap().encode().into())
}

/// The attack: one member signs a new inventory and a new report a hundred times a second for a minute, and every site
/// writes, syncs and spreads each of them. With turns a minute costs what two honest words a second would.
#[test]
fn a_flood_of_words_is_written_at_the_rate_of_an_honest_site() {
    const WORDS: u64 = 6_000;
    let mut mesh = Mesh::new();
    mesh.publish(None, 1);
    mesh.nodes[FLOODER].is_up = false;
    mesh.run(1);
    let begun = mesh.now;
    let mut of_inventories = 0;
    let mut of_reports = 0;
    for number in 1..=WORDS {
        mesh.now = begun.plus_ms(number * 10);
        let (inventory, report) = (inventory(&mesh, mesh.now, number), report(&mesh, mesh.now));
        of_inventories += written(&mut mesh, Input::announced(None, inventory));
        of_reports += written(&mut mesh, Input::announced(None, report));
    }
    let in_a_minute = usize::try_from(WORDS_AT_ONCE_MAX + 60_000 / WORD_INTERVAL_MS + 1).unwrap();
    assert!((60..=in_a_minute).contains(&of_inventories), "{of_inventories} inventories");
    assert!((60..=in_a_minute).contains(&of_reports), "{of_reports} reports");
    // The last word is what is known in the end, without anybody saying it again.
    mesh.run(WORD_INTERVAL_MS / 1_000 + 1);
    let evidence = &mesh.nodes[0].machines.evidence;
    assert!(evidence.lacks(&database(), &name("reykjavik"), WORDS));
    assert_eq!(evidence.reports().next().unwrap().document().at, begun.plus_ms(WORDS * 10));
}

#[test]
fn an_older_word_does_not_push_out_a_newer_one_that_waits() {
    let mut mesh = Mesh::new();
    mesh.publish(None, 1);
    mesh.nodes[FLOODER].is_up = false;
    let at = |mesh: &Mesh, number| mesh.now.plus_ms(number);
    for number in 1..=WORDS_AT_ONCE_MAX {
        let word = inventory(&mesh, at(&mesh, number), number);
        written(&mut mesh, Input::announced(None, word));
    }
    for number in [300, 200] {
        let word = inventory(&mesh, at(&mesh, number), number);
        assert_eq!(written(&mut mesh, Input::announced(None, word)), 0, "no turn");
    }
    mesh.run(WORD_INTERVAL_MS / 1_000 + 1);
    assert!(mesh.nodes[0].machines.evidence.lacks(&database(), &name("reykjavik"), 300));
}
