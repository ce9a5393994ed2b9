//! What the release log says, as a set: each order with the newest charter whose officials stand behind it, and each release.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde::Serialize;
use shard_codec::Digest;

use crate::catalog::Catalog;
use crate::document::{CharterChain, ReleaseOrder};
use crate::identifier::{DatabaseName, SiteName};
use crate::release::{LogEntry, Release, Released, order_refusal};
use crate::signature::{Signed, quorum};
use crate::wire::Refusal;
use crate::wire::summary::known;

/// All that is compared. Two notices of one release say the same, and so do two envelopes of an order by one roll.
#[derive(Serialize)]
struct Known<'a> {
    orders: Vec<(&'a Digest, u64)>,
    notices: Vec<(&'a SiteName, &'a Digest, &'a DatabaseName, u64)>,
    vetoed: &'a BTreeSet<Digest>,
}

impl Release {
    /// The digest of all that the log says; the order of its entries makes no difference.
    #[must_use]
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| {
            let orders = self.vouchers.iter().map(|(order, voucher)| (order, *voucher)).collect();
            let notices = self.noticed.iter().map(of_notice).collect();
            known("releases", &Known { orders, notices, vetoed: &self.vetoed })
        })
    }

    /// A new charter may have officials who signed what is here already.
    pub(crate) fn follow_charter(&mut self, catalog: &Catalog) {
        if self.charter_version == catalog.charter().version {
            return;
        }
        self.charter_version = catalog.charter().version;
        self.digest = OnceLock::new();
        for entry in &self.log {
            let LogEntry::Order(signed) = entry else { continue };
            let held = self.vouchers.entry(signed.digest()).or_default();
            if let Ok(newer) = voucher(signed, catalog.charters(), *held) {
                *held = newer;
            }
        }
    }
}

fn of_notice((site, order, database, sequence): &Released) -> (&SiteName, &Digest, &DatabaseName, u64) {
    (site, order, database, *sequence)
}

/// The newest charter version after `above` of which a quorum signed.
///
/// # Errors
/// No such version; what is wrong by the newest one.
pub(super) fn voucher(signed: &Signed<ReleaseOrder>, charters: &CharterChain, above: u64) -> Result<u64, Refusal> {
    let mut verdict = Err(order_refusal("no charter"));
    for charter in charters.iter().map(Signed::document).rev().take_while(|charter| charter.version > above) {
        match quorum::verify(signed, &charter.roll(), charter.quorum.into()) {
            Ok(_signers) => return Ok(charter.version),
            Err(error) if charter.version == charters.charter().version => verdict = Err(order_refusal(error)),
            Err(_by_an_older_one) => {}
        }
    }
    verdict
}
