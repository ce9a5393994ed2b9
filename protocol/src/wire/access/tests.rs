//! The whole table: every caller times every request.

use serde_bytes::ByteBuf;
use shard_codec::Digest;

use super::{Caller, allows, identify};
use crate::document::{Challenge, RecoveryScope, SiteState};
use crate::fixture::{State, database, name};
use crate::machine::Announcement;
use crate::signature::Keypair;
use crate::wire::resharing::Question;
use crate::wire::{HandedMask, Request};

fn challenge() -> Challenge {
    let (root, nonce) = (Digest::of(b"shard"), [7; 32]);
    Challenge { database: database(), stripe_number: 1, shard_index: 0, root, leaf: 0, nonce }
}

fn scope() -> RecoveryScope {
    let (helpers, snapshots) = (vec![name("lisbon"), name("tokyo")], vec![(1, Digest::of(b"manifest"))]);
    RecoveryScope { state: Digest::of(b"state"), database: database(), site: name("bern"), helpers, snapshots }
}

/// Every request, about `land-register` where it is about a database.
fn requests() -> Vec<(&'static str, Request)> {
    let (root, order) = (Digest::of(b"shard"), Digest::of(b"order"));
    let bytes = || ByteBuf::from(vec![1]);
    let all = vec![
        Request::Charters { from_version: 1 },
        Request::Head { database: database() },
        Request::Manifests { database: database(), from_sequence: 1 },
        Request::Receipts { database: database(), sequence: 1 },
        Request::PutShard { database: database(), stripe_number: 1, shard_index: 0, root, bytes: 64 },
        Request::Shard { root },
        Request::ShardRange { root, offset: 0, bytes: 1 },
        Request::Columns { database: database(), stripe_number: 1, shard_index: 0, root, columns: None },
        Request::Audit(challenge()),
        Request::Evidence { database: Some(database()), from: 0 },
        Request::MissingShards { roots: vec![root] },
        Request::Publish { manifest: bytes(), sealed_share: None },
        Request::PresentOrder { order: bytes() },
        Request::Share { order, database: database(), sequence: 1 },
        Request::DealMasks { scope: scope() },
        Request::BlindShares { masks: vec![HandedMask { dealing: bytes(), part: bytes() }] },
        Request::ReleaseLog { from: 0 },
        Request::Forks { database: database() },
        Request::Epochs { database: database(), from_block: 0, from_epoch: 0 },
        Request::Reshare(Box::new(Question::Part { dealing: root })),
        Request::Announce(Announcement::Manifests(vec![bytes()])),
        Request::Summary { database: Some(database()), digest: root },
        Request::ReceiptSpans { database: database(), from_span: 0 },
        Request::ReceiptSpan { database: database(), span: 0 },
        Request::ReceiptsOf { database: database(), sequences: vec![1] },
    ];
    all.into_iter().map(|request| (request.name(), request)).collect()
}

#[test]
fn the_table() {
    let other = vec![name("court-files")];
    let callers = [
        Caller::Site(name("bern")),
        Caller::Writer(vec![database()]),
        Caller::Writer(other.clone()),
        Caller::Recipient(vec![database()]),
        Caller::Recipient(other),
        Caller::Stranger,
    ];
    // Columns: a site, a writer of the database, a writer of another, a recipient of it, of another, a stranger.
    let table = [
        ("charters", "yes yes yes yes yes yes"),
        ("head", "yes yes no yes no no"),
        ("manifests", "yes yes no yes no no"),
        ("receipts", "yes yes no yes no no"),
        ("put-shard", "no yes no no no no"),
        ("shard", "no yes yes yes yes no"),
        ("shard-range", "no yes yes yes yes no"),
        ("columns", "yes no no no no no"),
        ("audit", "yes no no no no no"),
        ("evidence", "yes yes no yes no no"),
        ("missing-shards", "yes yes yes no no no"),
        ("publish", "no yes yes no no no"),
        ("present-order", "yes yes yes yes yes yes"),
        ("share", "no no no yes no no"),
        ("deal-masks", "yes no no no no no"),
        ("blind-shares", "yes no no no no no"),
        ("release-log", "yes no no no no no"),
        ("forks", "yes yes no yes no no"),
        ("epochs", "yes yes no yes no no"),
        ("reshare-part", "yes no no no no no"),
        ("announce", "yes yes yes no no no"),
        ("summary", "yes no no no no no"),
        ("receipt-spans", "yes no no no no no"),
        ("receipt-span", "yes no no no no no"),
        ("receipts-of", "yes no no no no no"),
    ];
    let requests = requests();
    assert_eq!(requests.len(), table.len());
    for ((word, request), (row, expected)) in requests.iter().zip(table) {
        assert_eq!(*word, row);
        let allowed: Vec<&str> =
            callers.iter().map(|caller| if allows(caller, request) { "yes" } else { "no" }).collect();
        assert_eq!(allowed.join(" "), expected, "{word}");
    }
}

#[test]
fn who_is_who() {
    let mut state = State::new();
    state.amend(|charter| {
        charter.databases[0].data_shards = 3;
        charter.sites[5].state = SiteState::Lost;
        charter.sites[6].state = SiteState::Expelled;
    });
    let charter = state.charter();
    let who = |key| identify(charter, key, Vec::new());
    assert_eq!(who(state.sites[0].identity.public()), Caller::Site(name("tallinn")));
    assert_eq!(who(state.sites[5].identity.public()), Caller::Stranger);
    assert_eq!(who(state.sites[6].identity.public()), Caller::Stranger);
    assert_eq!(who(state.writer.public()), Caller::Writer(vec![database()]));
    assert_eq!(who(state.officials[0].public()), Caller::Stranger, "an official signs, and asks nothing");
    let anybody = Keypair::generate(&mut crate::fixture::rng(1)).public();
    assert_eq!(who(anybody), Caller::Stranger);
    assert_eq!(identify(charter, anybody, vec![database()]), Caller::Recipient(vec![database()]));
    // Standing in the charter comes first: no order makes a site of a writer, or a recipient of a site.
    let ordered = identify(charter, state.sites[0].identity.public(), vec![database()]);
    assert_eq!(ordered, Caller::Site(name("tallinn")));
}
