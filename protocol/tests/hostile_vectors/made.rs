//! How the bytes of the attacks were made. The files are the vectors; this is their recipe. What attacks the encoding
//! alone is in `forms`.

mod forms;
pub(crate) mod runs;

use protocol::armor::armor;
use protocol::catalog::fork::ForkProof;
use protocol::cbor;
use protocol::contents::{ChunkRun, ContentsRoot, Entry, EntryKind, Item, write_item};
use protocol::document::{
    Alliance, Bearer, Card, Charter, Document, JoinRequest, Receipt, ReleaseNotice, ReleaseOrder, SiteState,
};
use protocol::signature::{Keypair, PublicKey, Signature, Signed};
use protocol::wire::{Request, Response};
use serde::{Deserialize, Serialize};
use shard_codec::Digest;

use crate::fixture::{NOW, Snapshot, State, database, name, rng, sign};

/// One file.
pub(crate) struct Case {
    pub(crate) attack: &'static str,
    pub(crate) case: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// The envelope as an attacker writes it: with anything in it.
#[derive(Clone, Serialize, Deserialize)]
struct Envelope {
    kind: String,
    version: u16,
    #[serde(with = "serde_bytes")]
    payload: Vec<u8>,
    signatures: Vec<Signature>,
}

impl Envelope {
    fn of<T: Document>(signed: &Signed<T>) -> Self {
        cbor::decode(&signed.encode(), 1 << 24).unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        cbor::encode(self)
    }
}

fn receipt(state: &State, manifest: Digest) -> Signed<Receipt> {
    let receipt = Receipt {
        state: state.chain.state(),
        database: database(),
        sequence: 1,
        manifest,
        site: name("bern"),
        holds_shards: true,
        holds_share: true,
        at: NOW,
    };
    Signed::sign_new(receipt, &state.sites[4].identity).unwrap()
}

fn notice(state: &State) -> Signed<ReleaseNotice> {
    let notice = ReleaseNotice {
        state: state.chain.state(),
        order: Digest::of(b"order"),
        database: database(),
        sequence: 1,
        site: name("bern"),
        recipient: state.recipient.identity.public(),
        at: NOW,
    };
    Signed::sign_new(notice, &state.sites[4].identity).unwrap()
}

fn card(state: &State, signer: &Keypair) -> Signed<Card> {
    let key = state.officials[0].public();
    Signed::sign_new(Card { bearer: Bearer::Official, name: "official 0".to_owned(), key }, signer).unwrap()
}

fn join(state: &State, signer: &Keypair) -> Signed<JoinRequest> {
    Signed::sign_new(JoinRequest { site: state.charter().sites[4].clone() }, signer).unwrap()
}

fn publication(snapshot: &Snapshot, share: &[u8]) -> Vec<u8> {
    let manifest = snapshot.manifest.encode().into();
    cbor::encode(&Request::Publish { manifest, sealed_share: Some(share.to_vec().into()) })
}

fn stream(item: &Item) -> Vec<u8> {
    let mut stream = Vec::new();
    write_item(item, &mut stream);
    stream
}

fn root() -> ContentsRoot {
    let (version, dedup_secret, chunks) = (1, [0x5a; 32], ChunkRun::default());
    ContentsRoot { version, dedup_secret, depth: 0, chunks, entry_count: 0, plaintext_bytes: 0 }
}

fn file() -> Item {
    Item::Entry(Entry { path: "a".to_owned(), kind: EntryKind::File, mode: 0o600, modified_ms: 0 })
}

/// What every attack starts from; all of it is accepted.
pub(crate) fn good() -> Vec<(&'static str, Vec<u8>)> {
    let mut state = State::new();
    let (one, other) = (state.snapshot(None, 1), state.snapshot(None, 2));
    let next = sign(state.next_charter(|_| {}), &state.officials[..3]);
    vec![
        ("card", card(&state, &state.officials[0]).encode()),
        ("join-request", join(&state, &state.sites[4].identity).encode()),
        ("charter", state.chain.newest().encode()),
        ("next-charter", next.encode()),
        ("manifest", one.manifest.encode()),
        ("announcement", runs::announcement(&[&one.manifest])),
        ("announcement-after-a-new-writer", runs::vouched()),
        ("receipt", receipt(&state, one.manifest.digest()).encode()),
        ("release-order", state.order(3, |_| {}).encode()),
        ("release-notice", notice(&state).encode()),
        ("fork-proof", ForkProof::of(&one.manifest, &other.manifest).encode()),
        ("publish", publication(&one, &one.sealed_shares[0])),
        ("request", cbor::encode(&Request::Charters { from_version: 1 })),
        ("response", cbor::encode(&Response::Done)),
        ("contents-root", root().encode()),
        ("contents-stream", stream(&file())),
        ("armored-charter", armor("charter", &state.chain.newest().encode()).into_bytes()),
    ]
}

type Attack = (&'static str, &'static str, &'static str, Vec<u8>);

/// All of them.
pub(crate) fn made() -> Vec<Case> {
    let parts = [
        signatures(),
        windows(),
        foundings(),
        successions(),
        snapshots(),
        runs::runs(),
        forms::encodings(),
        forms::envelopes(),
        forms::contents(),
    ];
    let case = |(attack, case, kind, bytes)| Case { attack, case, kind, bytes };
    parts.into_iter().flatten().map(case).collect()
}

fn signatures() -> Vec<Attack> {
    let mut state = State::new();
    let order = |signers| Envelope::of(&state.order(signers, |_| {}));
    let mut twice = order(2);
    twice.signatures.push(twice.signatures[1].clone());
    let mut forged = order(2);
    forged.signatures.push(Signature { key: state.officials[3].public(), signature: [0x11; 64] });
    let mut borrowed = order(2);
    let official = card(&state, &state.officials[4]);
    borrowed.signatures.extend(official.signatures().iter().cloned());
    let mut strangers = state.order(2, |_| {});
    strangers.sign(&state.writer);
    strangers.sign(&state.sites[1].identity);
    let mut altered = order(3);
    let mut document = state.order(3, |_| {}).document().clone();
    document.databases = vec![name("court-files")];
    altered.payload = cbor::encode(&document);
    let mut weak = order(2);
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut trivial = [0; 64];
    trivial[0] = 1;
    weak.signatures.push(Signature { key: PublicKey::from_bytes(identity), signature: trivial });
    let (two, none) = (order(2), order(0));
    let mut amended = Envelope::of(&sign(state.next_charter(|charter| charter.quorum = 1), &state.officials[..1]));
    amended.signatures.push(amended.signatures[0].clone());
    amended.signatures.push(amended.signatures[0].clone());
    let one = state.snapshot(None, 1);
    let mut foreign = Envelope::of(&receipt(&state, one.manifest.digest()));
    foreign.signatures = Envelope::of(&notice(&state)).signatures;
    let mut longer = Envelope::of(&one.manifest);
    let mut manifest = one.manifest.document().clone();
    manifest.stripes_dropped = vec![7];
    longer.payload = cbor::encode(&manifest);
    vec![
        ("one-official-twice", "order", "release-order", twice.bytes()),
        ("one-official-twice", "next-charter", "next-charter", amended.bytes()),
        ("forged-signature", "order", "release-order", forged.bytes()),
        ("strangers-sign", "order", "release-order", strangers.encode()),
        ("strangers-sign", "card", "card", card(&state, &state.officials[1]).encode()),
        ("strangers-sign", "join-request", "join-request", join(&state, &state.sites[5].identity).encode()),
        ("too-few-signatures", "order", "release-order", two.bytes()),
        ("too-few-signatures", "order-unsigned", "release-order", none.bytes()),
        ("altered-after-signing", "order", "release-order", altered.bytes()),
        ("altered-after-signing", "manifest", "manifest", longer.bytes()),
        ("wrong-domain", "card-signature-on-order", "release-order", borrowed.bytes()),
        ("wrong-domain", "notice-signature-on-receipt", "receipt", foreign.bytes()),
        ("weak-key", "order", "release-order", weak.bytes()),
    ]
}

fn windows() -> Vec<Attack> {
    let state = State::new();
    let order = |change: &dyn Fn(&mut ReleaseOrder)| state.order(3, change).encode();
    let thief = Keypair::generate(&mut rng(66)).public();
    vec![
        (
            "expired",
            "order",
            "release-order",
            order(&|order| {
                order.not_before = protocol::timestamp::Timestamp::from_unix_ms(1);
                order.expires = NOW;
            }),
        ),
        ("not-yet", "order", "release-order", order(&|order| order.not_before = NOW.plus_ms(1))),
        ("wrong-state", "order", "release-order", order(&|order| order.state = Digest::of(b"Sylvania"))),
        ("other-recipient", "order", "release-order", order(&|order| order.recipient = thief)),
    ]
}

fn foundings() -> Vec<Attack> {
    let state = State::new();
    let mut good = Envelope::of(state.chain.newest());
    let mut founding = |change: &dyn Fn(&mut Charter)| {
        let mut charter = state.charter().clone();
        change(&mut charter);
        good.payload = cbor::encode(&charter);
        good.bytes()
    };
    let one_vendor = |charter: &mut Charter| {
        charter.sites[..3].iter_mut().for_each(|site| site.vendor = Some("Big Cloud".to_owned()));
    };
    vec![
        ("charter-coalition-reads", "vendor", "charter", founding(&one_vendor)),
        (
            "charter-coalition-reads",
            "lost-site",
            "charter",
            founding(&|charter| {
                one_vendor(charter);
                charter.sites[0].state = SiteState::Lost;
            }),
        ),
        ("charter-coalition-destroys", "shards", "charter", founding(&|charter| charter.databases[0].data_shards = 6)),
        ("charter-coalition-destroys", "shares", "charter", founding(&|charter| charter.databases[0].threshold = 6)),
        ("charter-threshold-1", "charter", "charter", founding(&|charter| charter.databases[0].threshold = 1)),
        ("charter-impossible-coding", "charter", "charter", founding(&|charter| charter.databases[0].data_shards = 8)),
        (
            "charter-two-sites-one-identity",
            "charter",
            "charter",
            founding(&|charter| {
                charter.sites[1].identity = charter.sites[0].identity;
            }),
        ),
        (
            "charter-one-official-two-seats",
            "charter",
            "charter",
            founding(&|charter| {
                charter.officials[1].key = charter.officials[0].key;
            }),
        ),
        (
            "charter-blind-alliance",
            "charter",
            "charter",
            founding(&|charter| {
                charter.alliances.push(Alliance { name: "CIS".to_owned(), jurisdictions: vec!["ru".to_owned()] });
            }),
        ),
        (
            "charter-turned-text",
            "charter",
            "charter",
            founding(&|charter| {
                charter.officials[0].name = "\u{202e}nomis".to_owned();
            }),
        ),
        (
            "weak-key",
            "charter",
            "charter",
            founding(&|charter| charter.officials[0].key = PublicKey::from_bytes([0; 32])),
        ),
    ]
}

fn successions() -> Vec<Attack> {
    let state = State::new();
    let next = |change: &dyn Fn(&mut Charter)| sign(state.next_charter(change), &state.officials[..3]).encode();
    let usurper = Keypair::generate(&mut rng(67));
    let mut cases = vec![
        ("charter-gap", "next-charter", "next-charter", next(&|charter| charter.version = 3)),
        (
            "charter-fork",
            "other-predecessor",
            "next-charter",
            next(&|charter| charter.previous = Some(Digest::of(b"other"))),
        ),
        (
            "charter-other-state",
            "next-charter",
            "next-charter",
            next(&|charter| charter.genesis = Some(Digest::of(b"other"))),
        ),
        (
            "charter-site-takes-a-name",
            "next-charter",
            "next-charter",
            next(&|charter| charter.sites[3].identity = usurper.public()),
        ),
    ];
    let usurped = state.next_charter(|charter| {
        charter.officials.truncate(1);
        (charter.officials[0].key, charter.quorum) = (usurper.public(), 1);
    });
    // Costly to judge, and worth no judgement: its signatures are looked at first.
    let breaching = |signers: usize| {
        let mut envelope = Envelope::of(&sign(state.next_charter(|_| {}), &[]));
        envelope.payload = cbor::encode(&state.next_charter(|charter| charter.databases[0].data_shards = 6));
        let mut signed = Signed::<Charter>::decode_form(&envelope.bytes()).unwrap();
        state.officials[..signers].iter().for_each(|official| signed.sign(official));
        signed.encode()
    };
    cases.push(("charter-coalition-destroys", "next-charter", "next-charter", breaching(3)));
    cases.push(("charter-coalition-destroys", "next-charter-unsigned", "next-charter", breaching(2)));
    cases.push(("charter-new-officials-alone", "next-charter", "next-charter", sign(usurped, &[usurper]).encode()));
    cases
}

fn snapshots() -> Vec<Attack> {
    let mut state = State::new();
    let (one, other) = (state.snapshot(None, 1), state.snapshot(None, 2));
    let second = state.snapshot(Some(&one.manifest), 1);
    let stranger = Keypair::generate(&mut rng(68));
    let framed = Signed::sign_new(other.manifest.document().clone(), &stranger).unwrap();
    let mismatched = {
        let named = Digest::of(&other.sealed_shares[0]);
        let snapshot = state.snapshot_with(None, 1, |manifest| manifest.custody.share_digests[0] = named);
        publication(&snapshot, &other.sealed_shares[0])
    };
    let readable = state.snapshot_with(None, 1, |manifest| {
        manifest.custody.threshold = 1;
        manifest.custody.commitments.truncate(32);
    });
    let moved = state.snapshot_with(None, 1, |manifest| manifest.placement.swap(0, 6));
    let mut identity = Envelope::of(&one.manifest);
    let mut manifest = one.manifest.document().clone();
    manifest.custody.commitments[..32].fill(0);
    identity.payload = cbor::encode(&manifest);
    let proof = |first: &Signed<_>, second: &Signed<_>| ForkProof::of(first, second).encode();
    let backwards = ForkProof::of(&one.manifest, &other.manifest);
    let backwards = ForkProof { first: backwards.second.clone(), second: backwards.first };
    vec![
        ("share-for-other-site", "publish", "publish", publication(&one, &one.sealed_shares[1])),
        ("share-of-other-snapshot", "publish", "publish", publication(&one, &other.sealed_shares[0])),
        ("share-not-of-the-commitments", "publish", "publish", mismatched),
        ("commitment-identity", "manifest", "manifest", identity.bytes()),
        ("manifest-own-threshold", "manifest", "manifest", readable.manifest.encode()),
        ("manifest-own-threshold", "publish", "publish", publication(&readable, &readable.sealed_shares[0])),
        ("manifest-own-placement", "manifest", "manifest", moved.manifest.encode()),
        ("manifest-gap", "manifest", "manifest", second.manifest.encode()),
        ("manifest-by-stranger", "manifest", "manifest", framed.encode()),
        ("fork-proof-framed", "by-stranger", "fork-proof", proof(&one.manifest, &framed)),
        ("fork-proof-framed", "two-sequences", "fork-proof", proof(&one.manifest, &second.manifest)),
        ("fork-proof-framed", "one-manifest", "fork-proof", proof(&one.manifest, &one.manifest)),
        ("fork-proof-framed", "backwards", "fork-proof", backwards.encode()),
    ]
}
