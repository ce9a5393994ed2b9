//! Answers to what can be read from the machines; who may ask is decided before, in [`crate::wire::access`].

mod page;

pub(crate) use page::Kind;

use shard_codec::Digest;

use crate::catalog::fork::ForkProof;
use crate::catalog::{History, SPAN};
use crate::host::Machines;
use crate::limits::PAGE_ENTRIES_MAX;
use crate::signature::Signed;
use crate::wire::{Request, Response};

/// The answer to `request`, or `None` if it needs the store or changes something.
#[must_use]
pub fn answer(machines: &Machines, request: &Request) -> Option<Response> {
    let Machines { catalog, release, .. } = machines;
    Some(match request {
        Request::Charters { from_version } => {
            let charters = catalog.charters().iter();
            page::page(charters.filter(|charter| charter.document().version >= *from_version).map(Signed::encode))
        }
        Request::Head { database } => {
            let head = catalog.history(database).and_then(|history| history.head());
            Response::Head(head.map(|head| (head.document().sequence, head.digest())))
        }
        Request::Manifests { database, from_sequence } => {
            let history = catalog.history(database).into_iter();
            page::page(history.flat_map(|history| history.manifests_from(*from_sequence)).map(Signed::encode))
        }
        Request::Receipts { database, sequence } => {
            let history = catalog.history(database).into_iter();
            page::page(history.flat_map(|history| history.receipts(*sequence)).map(Signed::encode))
        }
        Request::Epochs { database, from_block, from_epoch } => {
            epochs(catalog.history(database), *from_block, *from_epoch)
        }
        Request::Forks { database } => {
            let history = catalog.history(database).into_iter();
            page::page(history.flat_map(|history| history.forks()).map(ForkProof::encode))
        }
        Request::ReleaseLog { from } => {
            let skip = usize::try_from(*from).unwrap_or(usize::MAX);
            page::log_page(release.log().iter().skip(skip))
        }
        Request::Evidence { database, from } => {
            let skip = usize::try_from(*from).unwrap_or(usize::MAX);
            page::announcements(machines.evidence.documents(database.as_ref()).skip(skip))
        }
        Request::Summary { database, digest } => {
            if machines.digest(database.as_ref()) == *digest {
                Response::Same
            } else {
                Response::Summary(machines.summary(database.as_ref()))
            }
        }
        Request::ReceiptSpans { database, from_span } => {
            let receipts = catalog.history(database).map(History::all_receipts);
            let digests = receipts
                .into_iter()
                .flat_map(|receipts| (*from_span..receipts.span_count()).map(|span| receipts.digest_of_span(span)));
            Response::Digests(digests.take(PAGE_ENTRIES_MAX).collect())
        }
        Request::ReceiptSpan { database, span } => {
            Response::Digests(catalog.history(database).map(|history| receipt_span(history, *span)).unwrap_or_default())
        }
        Request::ReceiptsOf { database, sequences } => {
            let history = catalog.history(database).into_iter();
            let receipts =
                history.flat_map(|history| sequences.iter().flat_map(|sequence| history.receipts(*sequence)));
            page::page(receipts.map(Signed::encode))
        }
        Request::PutShard { .. }
        | Request::Shard { .. }
        | Request::ShardRange { .. }
        | Request::Columns { .. }
        | Request::Audit(_)
        | Request::MissingShards { .. }
        | Request::Publish { .. }
        | Request::PresentOrder { .. }
        | Request::Share { .. }
        | Request::DealMasks { .. }
        | Request::BlindShares { .. }
        | Request::Reshare(_)
        | Request::Announce(_) => return None,
    })
}

/// Certificates from this block and epoch on.
fn epochs(history: Option<&History>, block: u64, epoch: u64) -> Response {
    let certificates = history.into_iter().flat_map(|history| history.epochs().certificates_from(block, epoch));
    page::page(certificates.map(<[u8]>::to_vec))
}

/// Digests of the receipts of each snapshot of a span; none if it begins after the head.
fn receipt_span(history: &History, span: u64) -> Vec<Digest> {
    let first = span.saturating_mul(SPAN);
    let sequences = if first <= history.head_sequence() { first..first.saturating_add(SPAN) } else { 0..0 };
    sequences.map(|sequence| history.all_receipts().digest_of(sequence)).collect()
}
