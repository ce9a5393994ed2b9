//! Repair: a site writes only shards that a manifest places there, whole; and it is helped only after it has said what it
//! lacks.

use protocol::document::Inventory;
use protocol::evidence::ShardName;
use protocol::identifier::{DatabaseName, SiteName};
use protocol::machine::RecordKind;
use protocol::signature::Signed;

use super::{Fact, Invariant, Scene};
use crate::world::sim_site::SimSite;
use crate::world::trace::NodeId;

#[derive(Debug)]
pub(super) struct Repair;

impl Invariant for Repair {
    fn name(&self) -> &'static str {
        "repair"
    }

    fn observe(&mut self, scene: &Scene<'_>, node: NodeId, fact: &Fact) -> Result<(), String> {
        let Some(site) = scene.honest(node) else { return Ok(()) };
        if let Fact::Mended(shard) = fact {
            return check_written(scene, site, shard);
        }
        let Fact::ColumnsLeft { to, shard } = fact else { return Ok(()) };
        let said = inventory_of(site, &shard.database, to);
        if said.is_some_and(|said| said.document().missing_stripes.contains(shard.stripe_number)) {
            return Ok(());
        }
        Err(format!("{shard} leaves for {to}, which has not said that it lacks its own"))
    }
}

/// The inventory of a site that another one keeps, synced.
pub(super) fn inventory_of(at: &SimSite, database: &DatabaseName, of: &SiteName) -> Option<Signed<Inventory>> {
    let key = [database.as_str().as_bytes(), &[0], of.as_str().as_bytes()].concat();
    Signed::decode(at.disk.record(RecordKind::Inventory, &key)?).ok()
}

fn check_written(scene: &Scene<'_>, site: &SimSite, shard: &ShardName) -> Result<(), String> {
    let is_placed = scene.chronicle.chapters.values().any(|chapter| {
        let live = chapter.live.get(shard.stripe_number);
        let placed = live.and_then(|live| scene.chronicle.shard_of(live, &site.keys.name));
        chapter.signed.document().database == shard.database
            && placed.is_some_and(|(index, root)| (index.get(), root) == (shard.shard_index, shard.root))
    });
    if !is_placed {
        return Err(format!("{shard} was written, and no manifest places it here"));
    }
    if site.disk.sound(&shard.root).is_none() {
        return Err(format!("{shard} was written with other bytes"));
    }
    Ok(())
}
