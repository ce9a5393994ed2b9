//! Attacks on the form: encodings, envelopes, contents and armour.

use protocol::armor::armor;
use protocol::cbor;
use protocol::contents::{ChunkPlace, ChunkRun, ContentsRoot, Item};
use protocol::wire::summary::Part;
use protocol::wire::{Request, Response};
use serde::Serialize;
use serde_bytes::ByteBuf;
use shard_codec::Digest;

use super::{Attack, Envelope, file, root, stream};
use crate::fixture::{State, database};

/// Takes `from` out of the bytes, once, and puts `to` in.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

pub(super) fn encodings() -> Vec<Attack> {
    let mut state = State::new();
    let order = state.order(3, |_| {}).encode();
    let one = state.snapshot(None, 1);
    let head = cbor::encode(&Request::Head { database: database() });
    let charters = cbor::encode(&Request::Charters { from_version: 1 });
    let digest = Digest::from_bytes([7; 32]);
    let summary = cbor::encode(&Response::Summary(vec![(Part::Charters, digest)]));
    let trailing = |bytes: &[u8]| [bytes, &[0]].concat();
    let deep = |kind| ("deep-nesting", kind, kind, vec![0x81; 20_000]);
    let giant = |case, kind, header: u8| {
        ("giant-length", case, kind, vec![header, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
    };
    vec![
        ("trailing-bytes", "order", "release-order", trailing(&order)),
        ("trailing-bytes", "manifest", "manifest", trailing(&one.manifest.encode())),
        ("trailing-bytes", "request", "request", trailing(&head)),
        ("trailing-bytes", "response", "response", trailing(&cbor::encode(&Response::Done))),
        ("trailing-bytes", "contents-root", "contents-root", trailing(&root().encode())),
        deep("release-order"),
        deep("charter"),
        deep("request"),
        deep("response"),
        deep("fork-proof"),
        ("deep-nesting", "tags", "request", vec![0xc6; 20_000]),
        ("deep-nesting", "maps", "release-order", b"\xa1dkind".repeat(4_000)),
        ("overlong-integers", "order", "release-order", replaced(&order, b"gversion\x01", b"gversion\x18\x01")),
        (
            "overlong-integers",
            "request",
            "request",
            replaced(&charters, b"from_version\x01", b"from_version\x19\x00\x01"),
        ),
        ("overlong-integers", "length", "request", replaced(&head, b"dhead", b"\x78\x04head")),
        (
            "indefinite-length",
            "request",
            "request",
            replaced(&head, b"\xa1hdatabasemland-register", b"\xbfhdatabasemland-register\xff"),
        ),
        ("tagged", "request", "request", replaced(&head, b"mland-register", b"\xc1mland-register")),
        ("array-for-struct", "request", "request", replaced(&charters, b"\xa1lfrom_version\x01", b"\x81\x01")),
        ("fields-out-of-order", "order", "release-order", swapped(&order)),
        (
            "field-twice",
            "request",
            "request",
            replaced(&charters, b"\xa1lfrom_version\x01", b"\xa2lfrom_version\x01lfrom_version\x02"),
        ),
        (
            "unknown-field",
            "request",
            "request",
            replaced(&charters, b"\xa1lfrom_version\x01", b"\xa2lfrom_version\x01eadmin\xf5"),
        ),
        ("unknown-variant", "part", "response", replaced(&summary, b"hcharters", b"hcharterz")),
        ("truncated", "digest", "response", replaced(&summary, b"X\x20\x07", b"X\x1f")),
        ("unknown-variant", "request", "request", b"\xa1fdelete\xa0".to_vec()),
        ("name-with-a-slash", "request", "request", replaced(&head, b"land-register", b"../../etc/pwd")),
        giant("order", "release-order", 0x5b),
        giant("charter", "charter", 0xbb),
        giant("request", "request", 0x9b),
        giant("response", "response", 0x7b),
        ("truncated", "order", "release-order", order[..order.len() - 1].to_vec()),
        ("truncated", "empty", "release-order", Vec::new()),
    ]
}

/// The envelope with its first two fields exchanged.
fn swapped(order: &[u8]) -> Vec<u8> {
    replaced(order, b"dkindmrelease-ordergversion\x01", b"gversion\x01dkindmrelease-order")
}

pub(super) fn envelopes() -> Vec<Attack> {
    let mut state = State::new();
    let order = Envelope::of(&state.order(3, |_| {}));
    let with = |change: &dyn Fn(&mut Envelope)| {
        let mut envelope = order.clone();
        change(&mut envelope);
        envelope.bytes()
    };
    let unknown = replaced(&order.payload, b"gpurpose", b"epower\x01gpurpose");
    let unknown = replaced(&unknown, b"\xaa", b"\xab");
    let one = state.snapshot(None, 1);
    let mut crowded = Envelope::of(&one.manifest);
    crowded.signatures.push(crowded.signatures[0].clone());
    vec![
        ("unknown-version", "order", "release-order", with(&|envelope| envelope.version = 2)),
        ("unknown-version", "order-0", "release-order", with(&|envelope| envelope.version = 0)),
        ("wrong-kind", "order-as-card", "card", with(&|_| {})),
        (
            "wrong-kind",
            "relabelled",
            "card",
            with(&|envelope| {
                envelope.kind = "card".to_owned();
                envelope.signatures.truncate(1);
            }),
        ),
        ("wrong-kind", "terminal-codes", "release-order", with(&|envelope| envelope.kind = "\u{1b}[2J".to_owned())),
        ("unknown-field", "order", "release-order", with(&|envelope| envelope.payload = unknown.clone())),
        (
            "too-many-signatures",
            "order",
            "release-order",
            with(&|envelope| {
                envelope.signatures = vec![envelope.signatures[0].clone(); 511];
            }),
        ),
        ("too-many-signatures", "manifest", "manifest", crowded.bytes()),
        ("too-long", "order", "release-order", with(&|envelope| envelope.payload = vec![0; (64 << 10) + 1])),
    ]
}

#[derive(Serialize)]
enum Raw {
    #[serde(rename = "chunks")]
    Chunks { hashes: ByteBuf, places: ByteBuf },
}

pub(super) fn contents() -> Vec<Attack> {
    let framed = |body: Vec<u8>| [u32::try_from(body.len()).unwrap().to_be_bytes().as_slice(), &body].concat();
    let columns = |hashes, places| {
        let raw = Raw::Chunks { hashes: vec![1; hashes].into(), places: vec![0; places].into() };
        framed(cbor::encode(&raw))
    };
    let mut long = ChunkRun::default();
    let place = ChunkPlace { hash: [1; 32], stripe_number: 1, offset: 0, sealed_bytes: 1, plaintext_bytes: u32::MAX };
    long.push(&place);
    let state = State::new();
    let armored = armor("charter", &state.chain.newest().encode());
    let cut = armored[..armored.len() / 2].trim_end().to_owned();
    vec![
        ("contents-columns", "hashes-longer", "contents-stream", columns(64, 20)),
        ("contents-columns", "half-a-hash", "contents-stream", columns(33, 20)),
        ("contents-columns", "run-too-long", "contents-stream", columns(1_025 * 32, 1_025 * 20)),
        ("contents-giant-chunk", "stream", "contents-stream", stream(&Item::Chunks(long))),
        ("giant-length", "contents-stream", "contents-stream", vec![0xff; 4]),
        ("truncated", "contents-stream", "contents-stream", stream(&file())[..9].to_vec()),
        ("unknown-version", "contents-root", "contents-root", ContentsRoot { version: 2, ..root() }.encode()),
        ("contents-deep-lists", "contents-root", "contents-root", ContentsRoot { depth: 5, ..root() }.encode()),
        ("too-long", "contents-root", "contents-root", vec![0; (192 << 10) + 1]),
        ("armor-digit-changed", "charter", "armored-charter", armored.replacen("a4", "a5", 1).into_bytes()),
        ("armor-cut-off", "charter", "armored-charter", cut.into_bytes()),
        ("wrong-kind", "armored-order", "armored-charter", armor("release-order", &[1]).into_bytes()),
    ]
}
