//! How much one answer holds: a peer that wants more asks from where it stands.

use crate::limits::{FRAME_BYTES_MAX, PAGE_ENTRIES_MAX};
use crate::machine::Announcement;
use crate::release::LogEntry;
use crate::wire::Response;
use serde_bytes::ByteBuf;

/// Documents of one answer, in bytes.
const ANSWER_BYTES_MAX: usize = FRAME_BYTES_MAX / 2;

/// As many documents as one answer may hold.
pub(super) fn page(documents: impl Iterator<Item = Vec<u8>>) -> Response {
    Response::Documents(fitting(documents.map(ByteBuf::from), |document| document.len()))
}

/// As many entries of the release log as one answer may hold.
pub(super) fn log_page<'a>(entries: impl Iterator<Item = &'a LogEntry>) -> Response {
    announcements(entries.map(|entry| match entry {
        LogEntry::Order(order) => (Announcement::Order as Kind, order.encode()),
        LogEntry::Notice(notice) => (Announcement::Notice as Kind, notice.encode()),
        LogEntry::Veto(veto) => (Announcement::Veto as Kind, veto.encode()),
    }))
}

/// Makes an announcement of a document.
pub(crate) type Kind = fn(ByteBuf) -> Announcement;

/// As many documents of several kinds as one answer may hold.
pub(super) fn announcements(documents: impl Iterator<Item = (Kind, Vec<u8>)>) -> Response {
    let fitting = fitting(documents, |(_kind, document)| document.len());
    Response::Announcements(fitting.into_iter().map(|(kind, document)| kind(document.into())).collect())
}

/// The first of `items`, and those after it while their number and bytes stay within one answer.
fn fitting<T>(items: impl Iterator<Item = T>, bytes_of: impl Fn(&T) -> usize) -> Vec<T> {
    let mut bytes = 0;
    let fits = items.take(PAGE_ENTRIES_MAX).take_while(|item| {
        let is_first = bytes == 0;
        bytes += bytes_of(item);
        is_first || bytes <= ANSWER_BYTES_MAX
    });
    fits.collect()
}

#[cfg(test)]
mod tests;
