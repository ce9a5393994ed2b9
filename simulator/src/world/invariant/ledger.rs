//! Ledger truth: an honest site does not hide for long what its store lacks, and no word of a site is replaced by an older
//! one. That all ledgers come to say the same, and no more than the disks hold, is part of [`super::liveness`].

use std::collections::BTreeMap;

use protocol::document::Inventory;
use protocol::identifier::{DatabaseName, SiteName};
use protocol::ledger::{claims_share, holders};
use protocol::machine::{Record, RecordKind};
use protocol::signature::Signed;
use protocol::timestamp::Timestamp;
use shard_codec::Digest;

use super::repair::inventory_of;
use super::{Fact, Invariant, Scene};
use crate::world::sim_site::SimSite;
use crate::world::trace::NodeId;
use crate::world::virtual_clock::Time;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Since when a site that is up lacks a shard and has not said so.
    unsaid: BTreeMap<NodeId, BTreeMap<Digest, Time>>,
    /// When the inventory was written that a site keeps of another.
    newest: BTreeMap<(NodeId, Vec<u8>), Timestamp>,
}

impl Invariant for Ledger {
    fn name(&self) -> &'static str {
        "ledger truth"
    }

    fn observe(&mut self, scene: &Scene<'_>, node: NodeId, fact: &Fact) -> Result<(), String> {
        let Some(site) = scene.honest(node) else { return Ok(()) };
        match fact {
            Fact::Ticked => self.check_said(scene, site),
            Fact::Started | Fact::Crashed => {
                self.unsaid.remove(&node);
                Ok(())
            }
            Fact::Emptied { records } => {
                self.unsaid.remove(&node);
                self.newest.retain(|(keeper, _key), _at| !*records || *keeper != node);
                Ok(())
            }
            Fact::Synced(records) => records.iter().try_for_each(|record| self.check_newer(node, record)),
            Fact::Struck
            | Fact::ColumnsLeft { .. }
            | Fact::BlindedLeft { .. }
            | Fact::Mended(_)
            | Fact::AnswerLeft(_)
            | Fact::Judged(_)
            | Fact::Reached(_)
            | Fact::Handled { .. }
            | Fact::Conflict(_)
            | Fact::ReceiptLeft(_)
            | Fact::ShareLeft { .. }
            | Fact::Refused(_)
            | Fact::Noted(_) => Ok(()),
        }
    }
}

impl Ledger {
    /// What the store has lacked for longer than it takes to look, to wait and to speak is in the site's own inventory.
    fn check_said(&mut self, scene: &Scene<'_>, site: &SimSite) -> Result<(), String> {
        let Some(process) = &site.process else { return Ok(()) };
        let before = self.unsaid.remove(&site.node).unwrap_or_default();
        let mut unsaid = BTreeMap::new();
        let bound_ms = scene.config.pace.confesses_within_ms();
        for (database, history) in process.machines.catalog.histories() {
            let lacking = history.kept_stripes().iter().filter_map(|stripe| {
                let (_index, root) = stripe.live.shard_due_at(&site.keys.name)?;
                (!site.disk.claims(&root)).then_some((stripe.live.stripe.number, root))
            });
            let mut own = None;
            for (number, root) in lacking {
                let own = own.get_or_insert_with(|| inventory_of(site, database, &site.keys.name));
                if own.as_ref().is_some_and(|own| own.document().missing_stripes.contains(number)) {
                    continue;
                }
                let since = before.get(&root).copied().unwrap_or(scene.now);
                // A slow disk makes everything wait, also what is said.
                if site.disk.slowness == 1 && scene.now > since.plus_ms(bound_ms) {
                    return Err(format!("it lacks a shard of {database} stripe {number} and does not say so"));
                }
                unsaid.insert(root, since);
            }
        }
        if !unsaid.is_empty() {
            self.unsaid.insert(site.node, unsaid);
        }
        Ok(())
    }

    fn check_newer(&mut self, node: NodeId, record: &Record) -> Result<(), String> {
        if record.kind != RecordKind::Inventory {
            return Ok(());
        }
        let said = Signed::<Inventory>::decode(&record.value).map_err(|error| error.to_string())?;
        let said = said.document();
        let newest = self.newest.entry((node, record.key.clone())).or_insert(said.at);
        if said.at < *newest {
            return Err(format!("what {} said of {} is replaced by what it said before", said.site, said.database));
        }
        *newest = said.at;
        Ok(())
    }
}

/// Once all is mended: every member holds what is placed there, as far as enough is left, and whoever counts on a member
/// counts on what it holds.
///
/// # Errors
/// Who lacks what, or who believes it.
pub(super) fn is_whole<'a>(
    scene: &Scene<'_>,
    members: &[&'a SimSite],
    databases: impl Iterator<Item = &'a DatabaseName>,
) -> Result<(), String> {
    let by_name: BTreeMap<&SiteName, &SimSite> = members.iter().map(|site| (&site.keys.name, *site)).collect();
    for database in databases {
        // They know the same history: that of the first is that of all.
        let first = members.iter().find_map(|site| site.process.as_ref()?.machines.catalog.history(database));
        for stripe in first.into_iter().flat_map(|history| history.kept_stripes().iter()) {
            let live = &stripe.live;
            let site = |name: &SiteName| by_name.get(name).copied();
            let placed = || live.placement.iter().filter_map(site);
            let heirs = || live.heirs.iter().filter_map(|(_index, name)| site(name));
            let holds = |site: &SimSite| {
                live.shard_due_at(&site.keys.name).is_some_and(|(_, root)| site.disk.sound(&root).is_some())
            };
            let sound = placed().filter(|site| holds(site)).count();
            let lacking = placed().chain(heirs()).find(|site| !holds(site));
            if sound >= live.layout.parameters().data_shards()
                && let Some(site) = lacking
            {
                let (name, number) = (&site.keys.name, live.stripe.number);
                return Err(format!("{name} lacks its shard of {database} stripe {number}, of which {sound} are left"));
            }
            let trusting = members.iter().filter_map(|site| Some((site, &site.process.as_ref()?.machines)));
            for (believer, machines) in trusting {
                let Some(history) = machines.catalog.history(database) else { continue };
                let (charter, evidence) = (machines.catalog.charter(), &machines.evidence);
                let mut believed = holders(database, history, stripe, charter, evidence);
                if let Some(name) = believed.find(|name| by_name.get(name).is_some_and(|site| !holds(site))) {
                    let (believer, number) = (&believer.keys.name, live.stripe.number);
                    return Err(format!("{believer} counts on {name} for {database} stripe {number}, which it lacks"));
                }
            }
        }
        check_shares(scene, members, &by_name, database)?;
    }
    Ok(())
}

/// Nobody counts on a share that is not on its custodian's disk.
fn check_shares(
    scene: &Scene<'_>,
    members: &[&SimSite],
    by_name: &BTreeMap<&SiteName, &SimSite>,
    database: &DatabaseName,
) -> Result<(), String> {
    for (believer, process) in members.iter().filter_map(|site| Some((site, site.process.as_ref()?))) {
        let (catalog, evidence) = (&process.machines.catalog, &process.machines.evidence);
        let Some(history) = catalog.history(database) else { continue };
        for manifest in history.retained_from(1).map(Signed::document) {
            let custody = history.custody_of(manifest);
            let custodians = custody.holders(history.succession()).filter_map(|(name, _)| by_name.get(name));
            let mut believed =
                custodians.filter(|site| claims_share(&site.keys.name, database, history, manifest.sequence, evidence));
            // One of another epoch is not the one that is counted on.
            let has_it = |site: &SimSite| {
                let held = scene.opened.share(scene.chronicle, site, manifest);
                held.is_ok_and(|(of, _share)| of.epoch == custody.epoch)
            };
            if let Some(site) = believed.find(|site| !has_it(site)) {
                let (believer, name, sequence) = (&believer.keys.name, &site.keys.name, manifest.sequence);
                return Err(format!(
                    "{believer} counts on the share of {name} for {database} {sequence}, which it lacks"
                ));
            }
        }
    }
    Ok(())
}
