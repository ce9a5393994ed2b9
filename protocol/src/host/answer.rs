//! Answers to what can be read from the machines; who may ask is decided before, in [`crate::wire::access`].

mod page;

use crate::catalog::Catalog;
use crate::catalog::fork::ForkProof;
use crate::release::Release;
use crate::signature::Signed;
use crate::wire::{Request, Response};

/// The answer to `request`, or `None` if it needs the store or changes something.
#[must_use]
pub fn answer(catalog: &Catalog, release: &Release, request: &Request) -> Option<Response> {
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
        Request::Forks { database } => {
            let history = catalog.history(database).into_iter();
            page::page(history.flat_map(|history| history.forks()).map(ForkProof::encode))
        }
        Request::ReleaseLog { from } => {
            let skip = usize::try_from(*from).unwrap_or(usize::MAX);
            page::log_page(release.log().iter().skip(skip))
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
        | Request::Announce(_) => return None,
    })
}
