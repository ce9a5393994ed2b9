//! A site is put out and another one takes its place: what was said of the one is not said of the other.

use super::mesh::Mesh;
use crate::document::{AuditAnswer, Challenge, Charter, Site, SiteState};
use crate::fixture::{SITES, database, name, rng};
use crate::host::Input;
use crate::machine::Announcement;
use crate::signature::{Keypair, Signed};
use shard_codec::{Digest, SealingSecretKey};

const GONE: usize = 3;

fn admit_oslo(charter: &mut Charter) {
    charter.sites[GONE].state = SiteState::Lost;
    let gone = charter.sites[GONE].name.clone();
    let site = Site {
        name: name("oslo"),
        identity: Keypair::generate(&mut rng(1)).public(),
        sealing_key: SealingSecretKey::generate(&mut rng(2)).public().as_bytes().to_vec(),
        state: SiteState::Active,
        succeeds: Some(gone.clone()),
        ..charter.sites[GONE].clone()
    };
    let lists = charter.databases.iter_mut().flat_map(|entry| [&mut entry.placement, &mut entry.custodians]);
    lists.flatten().filter(|named| **named == gone).for_each(|named| *named = name("oslo"));
    charter.sites.push(site);
}

/// A proof, signed by the site that will be put out, that it lost its shard of the first stripe.
fn proven_loss(mesh: &Mesh) -> Announcement {
    let shard = &mesh.stripes[&1][GONE];
    let challenge = Challenge {
        database: database(),
        stripe_number: 1,
        shard_index: 3,
        root: Digest::of(shard),
        leaf: 1,
        nonce: [1; 32],
    };
    let (state, at) = (mesh.state.chain.state(), mesh.now);
    let answer = AuditAnswer { state, site: name(SITES[GONE].0), challenge, proof: vec![0].into(), at };
    let keys = &mesh.state.sites[GONE].identity;
    Announcement::Fault(Signed::sign_new(answer, keys).unwrap().encode().into())
}

#[test]
fn the_successor_holds_the_place_and_none_of_the_blame() {
    let mut mesh = Mesh::new();
    mesh.publish(None, 2);
    let loss = proven_loss(&mesh);
    mesh.give(0, Input::announced(None, loss.clone()));
    let evidence = &mesh.nodes[0].machines.evidence;
    assert_eq!(evidence.open_faults(&database()).count(), 1);

    mesh.nodes[GONE].is_up = false;
    let charter = mesh.state.amend(admit_oslo);
    mesh.give(0, Input::announced(None, Announcement::Charter(charter.encode().into())));
    let check = |mesh: &Mesh| {
        let machines = &mesh.nodes[0].machines;
        let history = machines.catalog.history(&database()).unwrap();
        let manifest = history.manifest(1).unwrap().document();
        for stripe in history.kept_stripes().iter() {
            let placed = stripe.live.shard_at(&name("oslo")).map(|(index, _root)| index.get());
            assert_eq!(placed, Some(3), "it stands where the other stood");
            assert_eq!(stripe.live.shard_at(&name(SITES[GONE].0)), None);
        }
        let live: Vec<_> = history.live_stripes().iter().collect();
        assert!(live.iter().all(|live| live.placement[GONE] == name("oslo")));
        assert!(
            std::sync::Arc::ptr_eq(&live[0].placement, &live[1].placement),
            "kept once, however many stripes there are"
        );
        assert_eq!(manifest.custody.index_at(&name("oslo"), history.succession()).unwrap().get(), 4);
        assert_eq!(manifest.custody.index_at(&name(SITES[GONE].0), history.succession()), None);
        assert!(history.is_placed(manifest, &name("oslo")));
        assert_eq!(machines.evidence.faults().count(), 0, "the loss was the other's");
        assert!(!machines.evidence.is_distrusted(&database(), &name("oslo")));
    };
    check(&mesh);
    // A restart finds the record of the loss on its disk, and starts.
    mesh.restart(0);
    check(&mesh);
    // Who brings the old proof again changes nothing.
    mesh.give(0, Input::announced(None, loss));
    check(&mesh);
}
