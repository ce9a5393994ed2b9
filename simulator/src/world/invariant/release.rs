//! Release: a share leaves an honest site only under an order that a quorum of officials really signed, in its window by
//! the site's own clock, to its recipient, for what it names; and not before order and notice are on the disk.

use protocol::document::{ReleaseNotice, ReleaseOrder, Selector};
use protocol::machine::RecordKind;
use protocol::signature::Signed;

use super::{Fact, Invariant, Scene};
use crate::world::trace::NodeId;

#[derive(Debug)]
pub(super) struct Release;

impl Invariant for Release {
    fn name(&self) -> &'static str {
        "release"
    }

    fn observe(&mut self, scene: &Scene<'_>, node: NodeId, fact: &Fact) -> Result<(), String> {
        let Fact::ShareLeft { caller, asked, .. } = fact else { return Ok(()) };
        let Some(site) = scene.honest(node) else { return Ok(()) };
        let what = format!("the share of {} {} leaves", asked.database, asked.sequence);
        let Some(order) = scene.chronicle.orders.get(&asked.order) else {
            return Err(format!("{what} under an order that no quorum signed"));
        };
        let now = site.clock.read(scene.now);
        let names_it = match order.selector {
            Selector::Latest => true,
            Selector::Sequence(sequence) => sequence == asked.sequence,
        };
        for (holds, why) in [
            (order.recipient == *caller, "to somebody else than its recipient"),
            (order.databases.contains(&asked.database), "of a database that the order does not name"),
            (names_it, "of another snapshot than the order names"),
            (order.not_before <= now && now < order.expires, "outside the order's window"),
        ] {
            if !holds {
                return Err(format!("{what} {why}"));
            }
        }
        let is_order = |(_key, value): (&[u8], &[u8])| {
            Signed::<ReleaseOrder>::decode(value).is_ok_and(|signed| signed.digest() == asked.order)
        };
        if !site.disk.records(RecordKind::Order).any(is_order) {
            return Err(format!("{what} before its order is on the disk"));
        }
        let is_notice = |(_key, value): (&[u8], &[u8])| {
            Signed::<ReleaseNotice>::decode(value).is_ok_and(|signed| {
                let notice = signed.document();
                let place = (&notice.site, notice.order, &notice.database, notice.sequence);
                place == (&site.keys.name, asked.order, &asked.database, asked.sequence)
            })
        };
        if !site.disk.records(RecordKind::Notice).any(is_notice) {
            return Err(format!("{what} before its notice is on the disk"));
        }
        Ok(())
    }
}
