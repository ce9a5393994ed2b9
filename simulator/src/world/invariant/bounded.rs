//! Bounded work and memory: nobody can make a site do more, or keep more, than what was signed is worth.

use super::{Fact, Invariant, Scene};
use crate::world::trace::NodeId;

/// Outputs of one input at the most: a run of manifests with their records and announcements.
const OUTPUTS_MAX: usize = 512;
/// Inputs that wait at one site at the most.
const WAITING_MAX: usize = 4_096;
/// Events that wait at the most, for each pair of nodes.
const EVENTS_PER_PAIR_MAX: usize = 256;
/// Receipts of one site for one snapshot that may follow each other: share, shards, both.
const RECEIPTS_OF_A_SITE_MAX: usize = 3;
/// Proofs of one database at the most.
const FORKS_MAX: usize = protocol::catalog::fork::FORKS_MAX;

#[derive(Debug, Default)]
pub(super) struct Bounded {
    seen: u64,
}

impl Invariant for Bounded {
    fn name(&self) -> &'static str {
        "bounded work"
    }

    fn observe(&mut self, scene: &Scene<'_>, node: NodeId, fact: &Fact) -> Result<(), String> {
        let Fact::Handled { outputs } = fact else { return Ok(()) };
        if *outputs > OUTPUTS_MAX {
            return Err(format!("{outputs} outputs of one input"));
        }
        let (queue, writes) = scene.site(node).map_or((0, 0), |site| site.waiting());
        if queue + writes > WAITING_MAX {
            return Err(format!("{queue} inputs and {writes} shards wait at one site"));
        }
        let pairs = (scene.sites.len() + 1).pow(2);
        if scene.events_waiting > EVENTS_PER_PAIR_MAX * pairs {
            return Err(format!("{} events wait", scene.events_waiting));
        }
        self.seen += 1;
        if self.seen.is_multiple_of(256) { check_records(scene) } else { Ok(()) }
    }

    fn finish(&mut self, scene: &Scene<'_>) -> Result<(), String> {
        check_records(scene)
    }
}

fn check_records(scene: &Scene<'_>) -> Result<(), String> {
    let sites = scene.sites.len();
    let stolen = usize::try_from(scene.chronicle.stolen_manifests).unwrap_or(usize::MAX);
    let manifests = scene.chronicle.authored.len() + stolen;
    let orders = scene.chronicle.orders.len();
    let charters = scene.cast.chain.iter().count();
    let databases = scene.config.databases.len();
    // Of every site the newest inventory and the newest report; of every shard one proof that it was lost.
    let stripes: usize =
        scene.chronicle.chapters.values().map(|chapter| chapter.signed.document().stripes_added.len()).sum();
    let evidence = databases * sites + sites + stripes * sites;
    let bound = charters
        + evidence
        + manifests * (2 + RECEIPTS_OF_A_SITE_MAX * sites)
        + databases * FORKS_MAX
        + orders * charters
        + orders * sites * manifests;
    match scene.sites.iter().find(|site| site.disk.record_count() > bound) {
        Some(site) => {
            Err(format!("{} keeps {} records, {bound} at the most", site.keys.name, site.disk.record_count()))
        }
        None => Ok(()),
    }
}
