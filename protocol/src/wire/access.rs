//! Who may ask what. The one place that decides it.

use crate::document::Charter;
use crate::identifier::{DatabaseName, SiteName};
use crate::signature::PublicKey;
use crate::wire::Request;

/// What a peer is to a site, found by the key of its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// An active site.
    Site(SiteName),
    /// A writer of these databases.
    Writer(Vec<DatabaseName>),
    /// The recipient of an accepted release order that has not expired, for these databases.
    Recipient(Vec<DatabaseName>),
    /// Anybody else: removed sites too.
    Stranger,
}

/// What `key` is under `charter`; `ordered` lists the databases of its accepted release orders.
#[must_use]
pub fn identify(charter: &Charter, key: PublicKey, ordered: Vec<DatabaseName>) -> Caller {
    if let Some(site) = charter.active_site_by_identity(key) {
        return Caller::Site(site.name.clone());
    }
    let written: Vec<DatabaseName> = (charter.databases.iter())
        .filter(|database| database.writers.contains(&key))
        .map(|database| database.name.clone())
        .collect();
    if !written.is_empty() {
        return Caller::Writer(written);
    }
    if ordered.is_empty() { Caller::Stranger } else { Caller::Recipient(ordered) }
}

/// Whether `caller` may ask `request`.
#[must_use]
pub fn allows(caller: &Caller, request: &Request) -> bool {
    if matches!(request, Request::Charters { .. } | Request::PresentOrder { .. }) {
        return true;
    }
    match caller {
        // A site learns and spreads; it neither writes data nor opens it, and reads shards only as a helper gives them.
        Caller::Site(_) => !matches!(
            request,
            Request::PutShard { .. }
                | Request::Publish { .. }
                | Request::Share { .. }
                | Request::Shard { .. }
                | Request::ShardRange { .. }
        ),
        Caller::Writer(databases) => reads(databases, request) || writes(databases, request),
        Caller::Recipient(databases) => {
            reads(databases, request)
                || matches!(request, Request::Share { database, .. } if databases.contains(database))
        }
        Caller::Stranger => false,
    }
}

fn reads(databases: &[DatabaseName], request: &Request) -> bool {
    if let Request::Head { database }
    | Request::Manifests { database, .. }
    | Request::Receipts { database, .. }
    | Request::Epochs { database, .. }
    | Request::Forks { database } = request
    {
        return databases.contains(database);
    }
    // What sites say of themselves tells which snapshots they have let go.
    if let Request::Evidence { database: Some(database), .. } = request {
        return databases.contains(database);
    }
    matches!(request, Request::Shard { .. } | Request::ShardRange { .. })
}

fn writes(databases: &[DatabaseName], request: &Request) -> bool {
    if let Request::PutShard { database, .. } = request {
        return databases.contains(database);
    }
    matches!(request, Request::MissingShards { .. } | Request::Publish { .. } | Request::Announce(_))
}

#[cfg(test)]
mod tests;
