//! No bytes, however they came about, make a decoder panic, and what decodes encodes to the same bytes.

#[cfg(test)]
mod properties {
    use std::path::PathBuf;
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use protocol::armor::dearmor;
    use protocol::catalog::fork::ForkProof;
    use protocol::cbor;
    use protocol::contents::{ContentsRoot, ItemReader};
    use protocol::document::{Card, Charter, Document, JoinRequest, Manifest, Receipt, ReleaseNotice, ReleaseOrder};
    use protocol::limits::{FRAME_BYTES_MAX, MANIFEST_BYTES_MAX};
    use protocol::signature::Signed;
    use protocol::wire::{Request, Response};

    /// Everything that is pinned as good.
    static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
        let text = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
        let kinds =
            ["card", "charter", "join-request", "manifest", "receipt", "release-order", "release-notice", "fork-proof"];
        let armored = kinds.map(|kind| dearmor(kind, &text(&format!("{kind}.txt")), MANIFEST_BYTES_MAX).unwrap());
        let mut seeds = armored.to_vec();
        for file in ["requests.txt", "responses.txt", "contents.txt"] {
            seeds.extend(text(file).lines().map(|line| hex::decode(line.split_once(' ').unwrap().1).unwrap()));
        }
        seeds
    });

    fn document<T: Document>(bytes: &[u8]) {
        if let Ok(signed) = Signed::<T>::decode(bytes) {
            assert_eq!(signed.encode(), bytes);
            assert_eq!(signed.document().validate(), Ok(()));
        }
    }

    fn message<T: serde::Serialize + serde::de::DeserializeOwned>(bytes: &[u8]) {
        if let Ok(value) = cbor::decode::<T>(bytes, FRAME_BYTES_MAX) {
            assert_eq!(cbor::encode(&value), bytes);
        }
    }

    /// Hands `bytes` to every decoder.
    fn decode_as_everything(bytes: &[u8]) {
        document::<Card>(bytes);
        document::<Charter>(bytes);
        document::<JoinRequest>(bytes);
        document::<Manifest>(bytes);
        document::<Receipt>(bytes);
        document::<ReleaseNotice>(bytes);
        document::<ReleaseOrder>(bytes);
        message::<Request>(bytes);
        message::<Response>(bytes);
        message::<ForkProof>(bytes);
        if let Ok(root) = ContentsRoot::decode(bytes) {
            assert_eq!(root.encode(), bytes);
        }
        stream(bytes, 7);
        drop(dearmor("charter", &String::from_utf8_lossy(bytes), 1_000));
    }

    fn stream(bytes: &[u8], step: usize) {
        let mut reader = ItemReader::default();
        for piece in bytes.chunks(step) {
            reader.feed(piece);
            loop {
                match reader.next_item() {
                    Ok(Some(_item)) => {}
                    Ok(None) => break,
                    Err(_refused) => return,
                }
            }
        }
        drop(reader.finish());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            decode_as_everything(&bytes);
        }

        /// CBOR heads before anything: lengths, nesting and tags in the first bytes.
        #[test]
        fn any_head(head in any::<u8>(), length in any::<u64>(), rest in proptest::collection::vec(any::<u8>(), 0..40)) {
            decode_as_everything(&[&[head], length.to_be_bytes().as_slice(), &rest].concat());
        }

        #[test]
        fn good_vectors_with_changed_bytes(
            seed in any::<prop::sample::Index>(),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in proptest::option::of(any::<prop::sample::Index>()),
        ) {
            let mut bytes = SEEDS[seed.index(SEEDS.len())].clone();
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            decode_as_everything(&bytes);
        }

        /// A piece of one vector in the place of a piece of another.
        #[test]
        fn good_vectors_spliced(
            one in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(),
            from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), length in 0_usize..64,
        ) {
            let (mut bytes, donor) = (SEEDS[one.index(SEEDS.len())].clone(), &SEEDS[other.index(SEEDS.len())]);
            let (from, to) = (from.index(donor.len()), to.index(bytes.len()));
            let piece = &donor[from..donor.len().min(from + length)];
            let end = bytes.len().min(to + piece.len());
            bytes.splice(to..end, piece.iter().copied());
            decode_as_everything(&bytes);
        }

        #[test]
        fn any_text_in_armour(lines in proptest::collection::vec("[0-9a-fx :-]{0,70}", 0..6), end in any::<bool>()) {
            let mut text = format!("note\n-----BEGIN LEGATION CHARTER-----\n{}\n", lines.join("\n"));
            if end {
                text.push_str("-----END LEGATION CHARTER-----\n");
            }
            if let Ok(bytes) = dearmor("charter", &text, 100) {
                prop_assert!(bytes.len() <= 100);
            }
        }
    }
}
