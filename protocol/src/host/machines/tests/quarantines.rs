//! Suspicious snapshots are stored, and no good one goes for their sake; the attacks first.

use super::mesh::Mesh;
use super::reshares::amend;
use super::retains::{agreed, gone, mesh, publish, short};
use crate::document::{Quarantine, Retention, Span, Suspicion};
use crate::fixture::{Snapshot, database};

fn quarantined(mesh: &Mesh, index: usize) -> Vec<u64> {
    mesh.nodes[index].machines.catalog.quarantined(&database()).into_keys().collect()
}

fn accept(first: u64, last: u64) -> Option<Quarantine> {
    let accepted = vec![Span { first, last, reason: "a year-end batch, seen by the registrar".to_owned() }];
    Some(Quarantine { accepted, ..Quarantine::default() })
}

/// Three good ones, and then ten minutes of what home itself finds suspicious.
fn damaged(retention: Retention) -> (Mesh, Snapshot) {
    let mut mesh = mesh(Some(retention));
    let good = publish(&mut mesh, 3, None);
    mesh.suspicions = vec![Suspicion::Entropy];
    let bad = publish(&mut mesh, 30, Some(good));
    mesh.run(60);
    (mesh, bad)
}

/// Attack: ransomware at home; snapshot after snapshot of what it made of the register.
#[test]
fn suspicious_snapshots_displace_nothing() {
    let (mut mesh, last) = damaged(short());
    for index in 0..7 {
        assert_eq!(quarantined(&mesh, index), (4..=33).collect::<Vec<u64>>(), "site {index}");
        assert_eq!((agreed(&mesh, index), gone(&mesh, index)), (0, Vec::new()), "site {index}");
    }
    // The register is restored at home: one good snapshot, and the rules go on.
    mesh.suspicions = Vec::new();
    publish(&mut mesh, 1, Some(last));
    mesh.run(60);
    let kept: Vec<u64> = (1..=34).filter(|sequence| !gone(&mesh, 0).contains(sequence)).collect();
    assert!(kept.contains(&34) && !kept.contains(&1), "{kept:?}");
    // Of what is kept by the minute, nothing suspicious stands for it.
    assert_eq!(mesh.ledger_at(0).newest_durable, Some(34));
}

#[test]
fn officials_accept_by_charter_and_the_delay_counts() {
    let (mut mesh, _last) = damaged(Retention { delay_seconds: 300, ..short() });
    amend(&mut mesh, |charter| charter.databases[0].quarantine = accept(4, 33));
    mesh.run(250);
    for index in 0..7 {
        assert_eq!(quarantined(&mesh, index), [0_u64; 0]);
        assert_eq!(agreed(&mesh, index), 0, "an older charter still holds them for suspicious");
    }
    let machines = &mesh.nodes[0].machines;
    assert_eq!(machines.retention.pending_charters(&machines.catalog, &database()).len(), 1);
    mesh.run(120);
    assert!((0..7).all(|index| gone(&mesh, index).contains(&3) && !gone(&mesh, index).contains(&33)));
}

/// Attack: the writer's key is stolen, and the thief says nothing of suspicion; sizes are what the sites see.
#[test]
fn a_snapshot_of_another_size_is_suspicious_whatever_its_writer_says() {
    let mut mesh = mesh(Some(short()));
    amend(&mut mesh, |charter| {
        let (shrunk_percent, grown_percent) = (Some(50), Some(300));
        charter.databases[0].quarantine = Some(Quarantine { shrunk_percent, grown_percent, ..Quarantine::default() });
    });
    let good = mesh.publish(None, 8);
    mesh.run(20);
    // All but one stripe is dropped, again and again.
    let numbers = good.manifest.document().stripes_added.iter().map(|stripe| stripe.number).collect();
    let thief = mesh.publish_dropping(Some(&good), 1, numbers);
    mesh.run(20);
    publish(&mut mesh, 30, Some(thief));
    mesh.run(60);
    assert!((0..7).all(|index| quarantined(&mesh, index) == (2..=32).collect::<Vec<u64>>()));
    assert!((0..7).all(|index| agreed(&mesh, index) == 0));
    let reasons = mesh.nodes[0].machines.catalog.quarantined(&database()).remove(&2).unwrap().words();
    assert!(reasons[0].contains("beyond the charter's bounds") && reasons.len() == 1, "{reasons:?}");
}

mod sizes {
    use super::*;
    use crate::catalog::{Catalog, Jump};
    use crate::fixture::{State, stripe};
    use crate::machine::RecordKind;

    /// A history of snapshots that refer to so many stripes of 100,000 bytes; the second figure says whether home is
    /// suspicious of it.
    fn history(sizes: &[(u64, bool)]) -> Catalog {
        let mut state = State::new();
        let mut catalog = Catalog::new(state.chain.clone());
        let mut last: Option<Snapshot> = None;
        let mut live: Vec<u64> = Vec::new();
        for (size, is_suspicious) in sizes {
            let next = live.last().map_or(1, |last| last + 1);
            let before = live.clone();
            live = (next..next + size).collect();
            let (added, dropped) = (live.iter().map(|number| stripe(*number, 7)).collect(), before);
            let snapshot = state.snapshot_with(last.as_ref().map(|last| &last.manifest), 0, |manifest| {
                (manifest.stripes_added, manifest.stripes_dropped) = (added, dropped);
                manifest.suspicions = if *is_suspicious { vec![Suspicion::Size] } else { Vec::new() };
            });
            catalog.learn(RecordKind::Manifest, &snapshot.manifest.encode()).unwrap();
            last = Some(snapshot);
        }
        catalog
    }

    fn found(sizes: &[(u64, bool)], bounds: Option<&Quarantine>) -> Vec<u64> {
        history(sizes).history(&database()).unwrap().quarantined(bounds).into_keys().collect()
    }

    #[test]
    fn each_is_held_against_the_newest_accepted_one() {
        let bounds = Quarantine { shrunk_percent: Some(50), grown_percent: Some(300), accepted: Vec::new() };
        let plain = |sizes: &[u64]| -> Vec<(u64, bool)> { sizes.iter().map(|size| (*size, false)).collect() };
        // At the bounds, and beyond them; what follows is no less suspicious, until it is as before.
        assert_eq!(found(&plain(&[40, 20, 60]), Some(&bounds)), [0_u64; 0]);
        assert_eq!(found(&plain(&[40, 18, 18, 122, 40]), Some(&bounds)), [2, 3, 4]);
        assert_eq!(found(&plain(&[40, 18, 18, 122, 40]), None), [0_u64; 0]);
        // Accepted, it is what the next ones are held against.
        let accepting = Quarantine { accepted: accept(2, 2).unwrap().accepted, ..bounds.clone() };
        assert_eq!(found(&plain(&[40, 18, 18, 122, 40]), Some(&accepting)), [4]);
        // What was accepted in between does not make those suspicious that are as before it.
        assert_eq!(
            found(&plain(&[60, 12, 60, 60]), Some(&Quarantine { grown_percent: Some(300), ..accepting })),
            [0_u64; 0]
        );
        // A first load, after a try: there was too little to compare with.
        assert_eq!(found(&plain(&[3, 600, 600]), Some(&bounds)), [0_u64; 0]);
        // Below a MiB sizes jump by themselves.
        assert_eq!(found(&plain(&[10, 1, 10]), Some(&bounds)), [0_u64; 0]);
        assert_eq!(found(&plain(&[11, 1, 11, 0]), Some(&bounds)), [2, 4]);
    }

    #[test]
    fn what_home_says_counts_without_bounds_and_is_not_compared_with() {
        let sizes = [(20, false), (2, true), (20, false)];
        assert_eq!(found(&sizes, None), [2]);
        let bounds = Quarantine { grown_percent: Some(300), ..Quarantine::default() };
        assert_eq!(found(&sizes, Some(&bounds)), [2]);
        let reasons = history(&sizes).quarantined(&database()).remove(&2).unwrap();
        assert_eq!((reasons.by_home, reasons.by_size), (vec![Suspicion::Size], None::<Jump>));
    }
}
