//! What the ledger says.

use super::mesh::Mesh;
use crate::ledger::SmallestUnion;
use crate::placement::coalition::Bond;

#[test]
fn the_head_is_counted_against_every_coalition() {
    let mut mesh = Mesh::new();
    mesh.publish(None, 2);
    let ledger = mesh.ledger_at(0);
    let head = ledger.head.unwrap();
    // Seven sites, four data shards, threshold three; Finland and Iceland are allied.
    assert_eq!((head.shard_sites.len(), head.share_sites.len(), head.jurisdictions.len()), (7, 7, 7));
    assert_eq!((head.shards_remaining, head.shares_remaining), (5, 5));
    assert_eq!(head.weakest, Some(Bond::Alliance("Nordic mutual assistance".to_owned())));
    assert!(head.is_durable() && head.is_restorable());
    assert_eq!(head.left_to_lose(), 3);
    // Two shares lie in the alliance, one anywhere else: two coalitions read, and it takes three to take away four.
    assert_eq!(head.readers.count_at_least(), 2);
    assert_eq!(head.takers.count_at_least(), 3);
    assert!(matches!(head.takers, SmallestUnion::Of(bonds) if bonds.contains(&head.weakest.unwrap())));
}

#[test]
fn one_bad_stripe_of_an_old_snapshot_is_seen() {
    let mut mesh = Mesh::new();
    let first = mesh.publish(None, 2);
    let second = mesh.publish(Some(&first), 1);
    for index in [1, 2, 3] {
        let shard = mesh.stripes[&2][index].clone();
        mesh.nodes[index].store.remove(&shard_codec::Digest::of(&shard));
    }
    mesh.nodes.iter_mut().for_each(|node| {
        node.machines.repair = crate::repair::Repair::new(crate::repair::RepairOptions {
            jobs_max: 0,
            ..crate::repair::RepairOptions::default()
        })
    });
    mesh.run(3);
    let ledger = mesh.ledger_at(5);
    assert_eq!((ledger.snapshot_count, ledger.durable_count, ledger.newest_durable), (2, 0, None));
    assert_eq!((ledger.stripes.kept, ledger.stripes.short, ledger.stripes.lost), (3, 1, 0));
    let weakest = ledger.weakest.unwrap();
    assert_eq!((weakest.shard_sites.len(), weakest.left_to_lose()), (4, 0));
    assert!(!weakest.is_durable() && weakest.is_restorable());
    // The third snapshot drops the bad stripe: the ones before still hang on it.
    let third = mesh.state.snapshot_with(Some(&second.manifest), 0, |manifest| manifest.stripes_dropped = vec![2]);
    let writer = mesh.state.writer.public();
    for index in 0..7 {
        let (manifest, sealed_share) = (third.manifest.encode(), Some(third.sealed_shares[index].clone()));
        let ticket = crate::machine::Ticket(0);
        let input = crate::catalog::Input::Publish { ticket, caller: writer, manifest, sealed_share };
        mesh.give(index, crate::host::Input::Catalog(input));
    }
    let ledger = mesh.ledger_at(5);
    assert_eq!((ledger.snapshot_count, ledger.durable_count, ledger.newest_durable), (3, 1, Some(3)));
    assert_eq!(ledger.weakest.unwrap().sequence, 2);
}
