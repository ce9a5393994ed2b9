//! Long lists come in pages that fit a frame.

use crate::cbor;
use crate::document::{Purpose, ReleaseOrder, Selector};
use crate::signature::{Keypair, Signed};
use crate::timestamp::Timestamp;
use shard_codec::Digest;

use super::*;

/// An order as large as one may be: it opens very many databases.
fn large_order() -> Signed<ReleaseOrder> {
    let key = Keypair::generate(&mut crate::fixture::rng(3));
    let name = |number: usize| format!("{}{number:04}", "d".repeat(40)).parse().unwrap();
    let order = ReleaseOrder {
        state: Digest::of(b"a state"),
        nonce: [1; 16],
        databases: (0..1_000).map(name).collect(),
        selector: Selector::Latest,
        recipient: key.public(),
        recipient_sealing_key: vec![1; 1_216],
        purpose: Purpose::Drill,
        reason: "a drill".to_owned(),
        not_before: Timestamp::from_unix_ms(1),
        expires: Timestamp::from_unix_ms(2),
    };
    Signed::sign_new(order, &key).unwrap()
}

#[test]
fn a_page_of_the_release_log_fits_a_frame_however_large_its_entries_are() {
    let log: Vec<LogEntry> = std::iter::repeat_n(LogEntry::Order(large_order()), 1_000).collect();
    let mut read = 0;
    while read < log.len() {
        let answer = log_page(log.iter().skip(read));
        let bytes = cbor::encode(&answer).len();
        assert!(bytes <= FRAME_BYTES_MAX, "{bytes} bytes after {read} entries");
        let Response::Announcements(entries) = answer else { panic!("something else") };
        assert!(!entries.is_empty(), "a reader would never come to the end");
        read += entries.len();
    }
    assert_eq!(read, log.len());
}

#[test]
fn a_page_has_a_first_document_and_not_too_many() {
    let Response::Documents(one) = page(std::iter::repeat_n(vec![1; ANSWER_BYTES_MAX + 1], 2)) else { panic!() };
    assert_eq!(one.len(), 1);
    let Response::Documents(many) = page(std::iter::repeat_n(vec![1], PAGE_ENTRIES_MAX + 1)) else { panic!() };
    assert_eq!(many.len(), PAGE_ENTRIES_MAX);
}
