//! What is referred to again, and what is not.

use protocol::document::Stripe;
use protocol::signature::Keypair;
use shard_codec::CodingParameters;
use shard_codec::stripe::StripeLayout;

use super::*;
use crate::chunk_index::StripeShard;

fn site(number: usize) -> SiteName {
    format!("site-{number}").parse().unwrap()
}

fn entry(sites: std::ops::Range<usize>, data_shards: u8) -> Database {
    Database {
        name: "land-register".parse().unwrap(),
        data_shards,
        threshold: 2,
        placement: sites.clone().map(site).collect(),
        custodians: sites.map(site).collect(),
        writers: vec![Keypair::generate(&mut crate::entropy::rng()).public()],
        stripe_bytes: 1 << 20,
        quota_bytes: 1 << 30,
        rpo_seconds: None,
        refresh_days: None,
        retention: None,
        quarantine: None,
    }
}

/// As home noted it, and as the manifest under `entry` has it.
fn stripe(entry: &Database) -> (StripeRecord, LiveStripe) {
    let total = entry.placement.len();
    let roots: Vec<[u8; 32]> = (0..total).map(|shard| [u8::try_from(shard).unwrap(); 32]).collect();
    let shards = roots.iter().map(|root| StripeShard { root: *root, stored: true }).collect();
    let record = StripeRecord { payload_bytes: 1_000, shards, state: StripeState::Published { sequence: 1 } };
    let data = usize::from(entry.data_shards);
    let layout = StripeLayout::new(CodingParameters::new(data, total - data).unwrap(), 1_000).unwrap();
    let stripe = Stripe { number: 7, payload_bytes: 1_000, roots: roots.concat() };
    (record, LiveStripe { stripe, layout, placement: entry.placement.clone().into(), heirs: [].into() })
}

#[test]
fn a_stripe_is_the_same_only_with_its_roots_its_places_and_its_code() {
    let charter = entry(0..5, 3);
    let (record, live) = stripe(&charter);
    assert!(is_same_stripe(&record, &live, &charter));

    let mut other_root = record.clone();
    other_root.shards[4].root[31] ^= 1;
    assert!(!is_same_stripe(&other_root, &live, &charter), "another copy of this home used the number");
    let mut fewer = record.clone();
    fewer.shards.pop();
    assert!(!is_same_stripe(&fewer, &live, &charter));
    assert!(!is_same_stripe(&record, &live, &entry(1..6, 3)), "other sites");
    let mut swapped = charter.clone();
    swapped.placement.swap(0, 1);
    assert!(!is_same_stripe(&record, &live, &swapped), "other places at the same sites");
    assert!(!is_same_stripe(&record, &live, &entry(0..5, 2)), "another code");
}

#[test]
fn a_stripe_is_lost_only_when_enough_sites_say_so() {
    let charter = entry(0..5, 3);
    let roots: Roots = (0..5_u8).map(|shard| Some(Digest::from_bytes([shard; 32]))).collect();
    let says = |sites: std::ops::Range<u8>| -> BTreeMap<SiteName, BTreeSet<Digest>> {
        sites.map(|number| (site(number.into()), BTreeSet::from([Digest::from_bytes([number; 32])]))).collect()
    };
    // Nobody answers: they may all hold theirs.
    assert!(!is_lost(&roots, &charter, &says(0..0)));
    assert!(!is_lost(&roots, &charter, &says(0..2)));
    assert!(is_lost(&roots, &charter, &says(0..3)));
    // A site can speak for its own shard only.
    let liar = BTreeMap::from([(site(0), roots.iter().flatten().copied().collect())]);
    assert!(!is_lost(&roots, &charter, &liar));
    // Of an interrupted run: two were never stored.
    let partly: Roots = [&roots[..3], &[None, None]].concat();
    assert!(!is_lost(&partly, &charter, &says(3..5)));
    assert!(is_lost(&partly, &charter, &says(0..1)));
}
