//! Pinned encodings: every kind of document, every request and response, a contents root.
//!
//! What stands in `tests/vectors` has been written to disks. A change of these bytes breaks every state that runs; a new
//! layout is a new version beside the old one, and the old vectors stay.

#[cfg(test)]
#[path = "../src/fixture.rs"]
mod fixture;

#[cfg(test)]
mod vectors {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use protocol::armor::{armor, dearmor};
    use protocol::catalog::fork::ForkProof;
    use protocol::cbor;
    use protocol::contents::{ChunkPlace, ChunkRun, ContentsRoot, Entry, EntryKind, Item, ROOT_VERSION};
    use protocol::document::{
        AuditAnswer, AuditReport, Ballot, Bearer, Card, Challenge, Document, Instance, Inventory, JoinRequest, Keep,
        MaskDealing, Period, Receipt, RecoveryScope, ReleaseNotice, ReshareScope, Retention, Said, ShareDealing, Span,
        Tally, Veto, Vote,
    };
    use protocol::limits::{FRAME_BYTES_MAX, MANIFEST_BYTES_MAX};
    use protocol::machine::Announcement;
    use protocol::number_set::NumberSet;
    use protocol::signature::Signed;
    use protocol::wire::resharing::{Answer, Lock, Question};
    use protocol::wire::summary::Part;
    use protocol::wire::{HandedMask, Refusal, RefusalCode, Request, Response};
    use serde_bytes::ByteBuf;
    use shard_codec::Digest;

    use crate::fixture::{NOW, State, database, name};

    fn folder() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
    }

    /// One file of the folder: its name and its text.
    type Files = BTreeMap<String, String>;

    fn signed<T: Document>(document: &Signed<T>) -> (String, String) {
        let text = format!("digest: {}\n\n{}", document.digest(), armor(T::KIND, &document.encode()));
        (format!("{}.txt", T::KIND), text)
    }

    fn line<T: serde::Serialize>(word: &str, value: &T) -> String {
        format!("{word} {}\n", hex::encode(cbor::encode(value)))
    }

    fn root() -> ContentsRoot {
        let mut chunks = ChunkRun::default();
        let place = |index: u8| ChunkPlace {
            hash: [index; 32],
            stripe_number: u64::from(index) << 40,
            offset: 0x0102_0304,
            sealed_bytes: 1_029,
            plaintext_bytes: 1_000,
        };
        (1..=3).for_each(|index| chunks.push(&place(index)));
        let (dedup_secret, entry_count, plaintext_bytes) = ([0x5a; 32], 12, 1 << 40);
        ContentsRoot { version: ROOT_VERSION, dedup_secret, depth: 1, chunks, entry_count, plaintext_bytes }
    }

    fn entry(kind: EntryKind) -> Item {
        Item::Entry(Entry { path: "base/16384/2619".to_owned(), kind, mode: 0o600, modified_ms: -1 })
    }

    fn challenge() -> Challenge {
        let (root, nonce) = (Digest::of(b"shard"), [7; 32]);
        Challenge { database: database(), stripe_number: 1 << 40, shard_index: 6, root, leaf: 300, nonce }
    }

    fn columns(columns: Option<(u64, u64)>) -> Request {
        let root = Digest::of(b"shard");
        Request::Columns { database: database(), stripe_number: 1 << 40, shard_index: 6, root, columns }
    }

    fn scope(about: Digest) -> RecoveryScope {
        let (site, helpers) = (name("tokyo"), vec![name("bern"), name("lisbon"), name("oslo")]);
        let snapshots = vec![(7, Digest::of(b"manifest 7")), (70_000, Digest::of(b"manifest 70000"))];
        RecoveryScope { state: about, database: database(), site, helpers, snapshots }
    }

    /// What sites say of themselves and each other.
    fn evidence(state: &State) -> [(String, String); 8] {
        let (bern, about) = (&state.sites[4].identity, state.chain.state());
        let inventory = Inventory {
            state: about,
            site: name("bern"),
            database: database(),
            sequence: 12,
            missing_stripes: NumberSet::covering([1, 2, 3, 70_000], 8),
            missing_shares: NumberSet::default(),
            epochs: Vec::new(),
            expired: NumberSet::default(),
            let_go: NumberSet::default(),
            at: NOW,
        };
        let (expired, let_go) = (NumberSet::covering([70_000], 8), NumberSet::covering([1, 2, 3, 5], 8));
        let later = Inventory { expired, let_go, epochs: vec![(1, 2), (7, 1)], ..inventory.clone() };
        let (_name, later) = signed(&Signed::sign_new(later, bern).unwrap());
        let answer = AuditAnswer {
            state: about,
            site: name("bern"),
            challenge: challenge(),
            proof: ByteBuf::from(vec![1, 2, 3]),
            at: NOW,
        };
        let tally = Tally {
            site: name("tokyo"),
            valid_count: 300,
            skip_count: 2,
            fault_count: 1,
            proven_bytes: 300 << 14,
            last_valid: Some(NOW),
        };
        let report = AuditReport {
            state: about,
            auditor: name("bern"),
            since: NOW,
            at: NOW.plus_ms(60_000),
            tallies: vec![tally],
        };
        let point = shard_codec::secret_sharing::deal_mask(
            3,
            &[1, 2, 3].map(|index| shard_codec::ShareIndex::new(index).unwrap()),
            &mut crate::fixture::rng(21),
        );
        let points = point.unwrap().1.to_bytes().concat();
        let dealing = MaskDealing {
            scope: scope(about),
            dealer: name("bern"),
            commitments: [points.as_slice(), &points].concat().into(),
            part_digests: vec![Digest::of(b"part"); 3],
        };
        let reshared = ShareDealing {
            scope: reshare_scope(about),
            dealer: name("bern"),
            commitments: [points.as_slice(), &points].concat().into(),
            part_digests: vec![Digest::of(b"part"); 3],
        };
        let (proposal, ballot) = (Digest::of(b"proposal"), Ballot { round: 300, leader: name("tokyo") });
        let said = Said::Confirmed { proposal, holds: true };
        let vote = Vote { instance: instance(about), site: name("bern"), ballot, said };
        [
            signed(&Signed::sign_new(reshared, bern).unwrap()),
            signed(&Signed::sign_new(vote, bern).unwrap()),
            signed(&Signed::sign_new(dealing, bern).unwrap()),
            signed(&Signed::sign_new(inventory, bern).unwrap()),
            signed(&Signed::sign_new(answer, bern).unwrap()),
            signed(&Signed::sign_new(report, bern).unwrap()),
            ("inventory-later.txt".to_owned(), later),
            ("charter-retention.txt".to_owned(), charter_with_retention(state)),
        ]
    }

    fn veto(state: &State) -> (String, String) {
        let (about, charter) = (state.chain.state(), Digest::of(b"charter"));
        let veto = Veto { state: about, charter, reason: "signed under duress".to_owned() };
        signed(&Signed::sign_new(veto, &state.officials[4]).unwrap())
    }

    /// A later charter with everything that may be said of retention.
    fn charter_with_retention(state: &State) -> String {
        let keep = [(Period::Snapshot, Some(86_400)), (Period::Day, Some(90 * 86_400)), (Period::Year, None)];
        let keep = keep.map(|(one_per, for_seconds)| Keep { one_per, for_seconds }).to_vec();
        let span = |first, last| vec![Span { first, last, reason: "court order 7/2026".to_owned() }];
        let retention =
            Retention { keep, delay_seconds: 14 * 86_400, holds: span(1, 12), deletions: span(300, 70_000) };
        let charter = state.next_charter(|charter| charter.databases[0].retention = Some(retention));
        signed(&Signed::sign_new(charter, &state.officials[0]).unwrap()).1
    }

    fn reshare_scope(state: Digest) -> ReshareScope {
        ReshareScope {
            state,
            database: database(),
            charter: Digest::of(b"charter"),
            block: 2_187,
            epoch: 7,
            threshold: 2,
            custodians: vec![name("tokyo"), name("bern"), name("ottawa")],
            dealers: vec![name("bern"), name("tokyo")],
            snapshots: vec![(70_000, Digest::of(b"sharing")), (70_001, Digest::of(b"another"))],
        }
    }

    fn instance(state: Digest) -> Instance {
        Instance { state, database: database(), charter: Digest::of(b"charter"), block: 2_187, epoch: 7 }
    }

    fn steps() -> [(&'static str, Question); 5] {
        let (about, bytes) = (Digest::of(b"state"), || ByteBuf::from(vec![1, 2, 3]));
        let ballot = || Ballot { round: 300, leader: name("tokyo") };
        let accept = Question::Accept {
            instance: instance(about),
            ballot: ballot(),
            proposal: bytes(),
            promises: vec![bytes()],
            accepts: Vec::new(),
            dealings: vec![bytes(), bytes()],
        };
        let lock = Lock { proposal: bytes(), accepts: vec![bytes()] };
        [
            ("reshare-deal", Question::Deal { scope: reshare_scope(about) }),
            ("reshare-part", Question::Part { dealing: Digest::of(b"dealing") }),
            ("reshare-promise", Question::Promise { instance: instance(about), ballot: ballot() }),
            ("reshare-accept", accept),
            ("reshare-confirm", Question::Confirm { instance: instance(about), ballot: ballot(), lock }),
        ]
    }

    fn requests() -> String {
        let steps = steps().map(|(word, step)| line(word, &Request::Reshare(Box::new(step)))).concat();
        let (root, bytes) = (Digest::of(b"shard"), || ByteBuf::from(vec![1, 2, 3]));
        let order = Digest::of(b"order");
        [
            line("charters", &Request::Charters { from_version: 1 }),
            line("head", &Request::Head { database: database() }),
            line("manifests", &Request::Manifests { database: database(), from_sequence: 300 }),
            line("receipts", &Request::Receipts { database: database(), sequence: 70_000 }),
            line(
                "put-shard",
                &Request::PutShard { database: database(), stripe_number: 1 << 40, shard_index: 6, root, bytes: 64 },
            ),
            line("shard", &Request::Shard { root }),
            line("shard-range", &Request::ShardRange { root, offset: 16_384, bytes: 1 }),
            line("columns", &columns(None)),
            line("columns-range", &columns(Some((16_384, 1)))),
            line("audit", &Request::Audit(challenge())),
            line("evidence", &Request::Evidence { database: Some(database()), from: 70_000 }),
            line("evidence-reports", &Request::Evidence { database: None, from: 0 }),
            line("missing-shards", &Request::MissingShards { roots: vec![root, order] }),
            line("publish", &Request::Publish { manifest: bytes(), sealed_share: Some(bytes()) }),
            line("publish-without-share", &Request::Publish { manifest: bytes(), sealed_share: None }),
            line("present-order", &Request::PresentOrder { order: bytes() }),
            line("share", &Request::Share { order, database: database(), sequence: 1 }),
            line("deal-masks", &Request::DealMasks { scope: scope(root) }),
            line("blind-shares", &Request::BlindShares { masks: vec![HandedMask { dealing: bytes(), part: bytes() }] }),
            line("release-log", &Request::ReleaseLog { from: 0 }),
            line("forks", &Request::Forks { database: database() }),
            line("announce-charter", &Request::Announce(Announcement::Charter(bytes()))),
            line("announce-manifests", &Request::Announce(Announcement::Manifests(vec![bytes(), bytes()]))),
            line("announce-receipt", &Request::Announce(Announcement::Receipt(bytes()))),
            line("announce-order", &Request::Announce(Announcement::Order(bytes()))),
            line("announce-notice", &Request::Announce(Announcement::Notice(bytes()))),
            line("announce-veto", &Request::Announce(Announcement::Veto(bytes()))),
            line("announce-fork", &Request::Announce(Announcement::Fork(bytes()))),
            line("announce-inventory", &Request::Announce(Announcement::Inventory(bytes()))),
            line("announce-audit-report", &Request::Announce(Announcement::AuditReport(bytes()))),
            line("announce-fault", &Request::Announce(Announcement::Fault(bytes()))),
            line("summary", &Request::Summary { database: None, digest: root }),
            line("summary-of-database", &Request::Summary { database: Some(database()), digest: root }),
            line("receipt-spans", &Request::ReceiptSpans { database: database(), from_span: 4_096 }),
            line("receipt-span", &Request::ReceiptSpan { database: database(), span: 341 }),
            line("receipts-of", &Request::ReceiptsOf { database: database(), sequences: vec![1, 70_000] }),
            line("epochs", &Request::Epochs { database: database(), from_block: 2_187, from_epoch: 7 }),
            line("announce-epoch", &Request::Announce(Announcement::Epoch(bytes()))),
            steps,
        ]
        .concat()
    }

    fn answers() -> [(&'static str, Answer); 8] {
        let bytes = || ByteBuf::from(vec![1, 2, 3]);
        let lock = Lock { proposal: bytes(), accepts: vec![bytes()] };
        [
            ("reshared-dealt", Answer::Dealt(bytes())),
            ("reshared-part", Answer::Part(bytes())),
            ("reshared-promised", Answer::Promised { vote: bytes(), lock: Some(lock) }),
            ("reshared-voted", Answer::Voted(bytes())),
            ("reshared-outvoted", Answer::Outvoted(Ballot { round: 300, leader: name("tokyo") })),
            ("reshared-fetching", Answer::Fetching),
            ("reshared-wrong-part", Answer::WrongPart(name("oslo"))),
            ("reshared-decided", Answer::Decided(bytes())),
        ]
    }

    fn responses() -> String {
        let reshared = answers().map(|(word, answer)| line(word, &Response::Reshared(answer))).concat();
        let (root, bytes) = (Digest::of(b"shard"), || ByteBuf::from(vec![1, 2, 3]));
        let codes = [
            RefusalCode::Malformed,
            RefusalCode::NotAllowed,
            RefusalCode::NotFound,
            RefusalCode::Order,
            RefusalCode::Charter,
            RefusalCode::Manifest,
            RefusalCode::Share,
            RefusalCode::Fork,
            RefusalCode::Behind,
            RefusalCode::DiskFull,
            RefusalCode::Quota,
            RefusalCode::Corrupt,
            RefusalCode::Busy,
            RefusalCode::Internal,
        ];
        let parts = [
            Part::Charters,
            Part::Database(database()),
            Part::Manifests(database()),
            Part::Epochs(database()),
            Part::Forks(database()),
            Part::Receipts(database()),
            Part::Releases,
        ];
        let refused = codes.map(|code| line("refused", &Response::Refused(Refusal::new(code, "why")))).concat();
        [
            line("done", &Response::Done),
            line("documents", &Response::Documents(vec![bytes(), bytes()])),
            line("announcements", &Response::Announcements(vec![Announcement::Order(bytes())])),
            line("head", &Response::Head(Some((7, root)))),
            line("head-none", &Response::Head(None)),
            line("body", &Response::Body { bytes: 1 << 33 }),
            line("missing", &Response::Missing(vec![root])),
            line("published", &Response::Published { receipt: Some(bytes()), missing: vec![] }),
            line("published-nothing", &Response::Published { receipt: None, missing: vec![root] }),
            line("share", &Response::Share { index: 3, sealed: bytes() }),
            line("masks", &Response::Masks { dealing: bytes(), parts: vec![bytes(), bytes()] }),
            line("blinded-shares", &Response::BlindedShares { sealed: bytes() }),
            line("wrong-mask", &Response::WrongMask { dealer: name("oslo") }),
            line("audited", &Response::Audited(bytes())),
            reshared,
            refused,
            line("same", &Response::Same),
            line("summary", &Response::Summary(parts.map(|part| (part, root)).to_vec())),
            line("digests", &Response::Digests(vec![root, root])),
        ]
        .concat()
    }

    fn made() -> Files {
        let mut state = State::new();
        let snapshot = state.snapshot(None, 2);
        let rival = state.snapshot(None, 1);
        let official = &state.officials[0];
        let card = Card { bearer: Bearer::Official, name: "The Chief Justice".to_owned(), key: official.public() };
        let join = JoinRequest { site: state.charter().sites[4].clone() };
        let receipt = Receipt {
            state: state.chain.state(),
            database: database(),
            sequence: 1,
            manifest: snapshot.manifest.digest(),
            site: name("bern"),
            holds_shards: true,
            holds_share: false,
            at: NOW,
        };
        let order = state.order(3, |_| {});
        let notice = ReleaseNotice {
            state: state.chain.state(),
            order: order.digest(),
            database: database(),
            sequence: 1,
            site: name("bern"),
            recipient: state.recipient.identity.public(),
            at: NOW,
        };
        let bern = &state.sites[4].identity;
        let fork = ForkProof::of(&snapshot.manifest, &rival.manifest).encode();
        let items = [
            entry(EntryKind::File),
            entry(EntryKind::Directory),
            entry(EntryKind::Symlink { target: "..".to_owned() }),
        ];
        let mut contents = line("root", &root());
        contents.push_str(&items.iter().map(|item| line("item", item)).collect::<String>());
        contents.push_str(&line("item", &Item::Chunks(root().chunks)));
        let mut files = Files::from(evidence(&state));
        files.extend([
            veto(&state),
            signed(state.chain.newest()),
            signed(&Signed::sign_new(card, official).unwrap()),
            signed(&Signed::sign_new(join, bern).unwrap()),
            signed(&snapshot.manifest),
            signed(&Signed::sign_new(receipt, bern).unwrap()),
            signed(&order),
            signed(&Signed::sign_new(notice, bern).unwrap()),
            ("fork-proof.txt".to_owned(), armor("fork-proof", &fork)),
            ("requests.txt".to_owned(), requests()),
            ("responses.txt".to_owned(), responses()),
            ("contents.txt".to_owned(), contents),
        ]);
        files
    }

    fn pinned(file: &str) -> String {
        std::fs::read_to_string(folder().join(file)).unwrap()
    }

    #[test]
    fn what_is_written_today_is_what_was_pinned() {
        for (file, text) in made() {
            assert_eq!(pinned(&file), text, "{file}");
        }
    }

    fn check<T: Document>() {
        let text = pinned(&format!("{}.txt", T::KIND));
        let bytes = dearmor(T::KIND, &text, MANIFEST_BYTES_MAX).unwrap();
        let document = Signed::<T>::decode(&bytes).unwrap();
        assert_eq!(document.encode(), bytes, "{}", T::KIND);
        assert_eq!(text.lines().next().unwrap(), format!("digest: {}", document.digest()), "{}", T::KIND);
        // Nobody takes it for a document of another kind, and no byte of it can be spared or added.
        assert!(Signed::<T>::decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(Signed::<T>::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
        assert!(T::KIND == "card" || Signed::<Card>::decode(&bytes).is_err());
        assert!(T::KIND == "receipt" || Signed::<Receipt>::decode(&bytes).is_err());
    }

    #[test]
    fn documents_decode_to_their_bytes_and_digests() {
        check::<protocol::document::Charter>();
        check::<Card>();
        check::<JoinRequest>();
        check::<protocol::document::Manifest>();
        check::<Receipt>();
        check::<protocol::document::ReleaseOrder>();
        check::<ReleaseNotice>();
        check::<MaskDealing>();
        check::<ShareDealing>();
        check::<Vote>();
        check::<Inventory>();
        check::<AuditAnswer>();
        check::<AuditReport>();
    }

    fn check_lines<T: serde::Serialize + serde::de::DeserializeOwned>(file: &str, words: &[&str]) {
        let text = pinned(file);
        let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once(' ')).collect();
        for (word, digits) in lines.into_iter().filter(|(word, _)| words.is_empty() || words.contains(word)) {
            let bytes = hex::decode(digits).unwrap();
            let value: T = cbor::decode(&bytes, FRAME_BYTES_MAX).unwrap();
            assert_eq!(cbor::encode(&value), bytes, "{file} {word}");
        }
    }

    #[test]
    fn messages_and_contents_decode_to_their_bytes() {
        check_lines::<Request>("requests.txt", &[]);
        check_lines::<Response>("responses.txt", &[]);
        check_lines::<Item>("contents.txt", &["item"]);
        let text = pinned("contents.txt");
        let digits = text.lines().find_map(|line| line.strip_prefix("root ")).unwrap();
        let bytes = hex::decode(digits).unwrap();
        let decoded = ContentsRoot::decode(&bytes).unwrap();
        assert_eq!((decoded.encode(), decoded.clone()), (bytes, root()));
        let shown = format!("{decoded:?}");
        assert!(!shown.contains("90, 90") && shown.contains("dedup secret redacted"), "{shown}");
    }

    #[test]
    fn a_fork_proof_decodes_and_proves() {
        let bytes = dearmor("fork-proof", &pinned("fork-proof.txt"), 2 * FRAME_BYTES_MAX).unwrap();
        let proof: ForkProof = cbor::decode(&bytes, 2 * FRAME_BYTES_MAX).unwrap();
        assert_eq!(proof.encode(), bytes);
        assert_eq!(proof.verify(&State::new().chain).unwrap().sequence, 1);
    }

    /// Running this is the explicit approval of other bytes on disks and wires. Run it for a *new* kind or variant, see
    /// with `git diff` that no line that was there has changed, and commit the files with the reason.
    #[test]
    #[ignore = "regenerates the pinned vectors: an explicit approval"]
    #[expect(clippy::disallowed_methods, reason = "writes the vectors that the other tests read")]
    fn regenerate() {
        for (file, text) in made() {
            std::fs::write(folder().join(file), text).unwrap();
        }
    }
}
