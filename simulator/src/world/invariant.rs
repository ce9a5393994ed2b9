//! What must hold at every step. Each invariant lives in a file of its own, outside the system it judges: it sees facts
//! (what was synced, what left a site, what crashed), the disks, and the [`Chronicle`] of what really happened.

mod agreement;
mod audit;
mod bounded;
mod durability;
mod ledger;
pub mod liveness;
mod opened;
mod redundancy;
mod release;
mod repair;
mod retention;
mod secrecy;

use protocol::document::{AuditAnswer, Receipt, RecoveryScope};
use protocol::evidence::ShardName;
use protocol::identifier::SiteName;
use protocol::machine::Record;
use protocol::signature::{PublicKey, Signed};
use protocol::wire::RefusalCode;

use super::cast::Cast;
use super::chronicle::Chronicle;
use super::config::Config;
use super::home::Note;
use super::sim_site::{Asked, SimSite};
use super::trace::NodeId;
use super::virtual_clock::Time;

pub use opened::Opened;
pub use secrecy::Reader;

/// Something that happened at a node, as the invariants see it.
#[derive(Clone, Debug)]
pub enum Fact {
    /// A process started and has read its records.
    Started,
    /// A process died.
    Crashed,
    /// A disk lost something, or its site is gone, or lies from now on, or is copied.
    Struck,
    /// All shards of a site are gone, and with `records` all it knew.
    Emptied {
        /// The state file too.
        records: bool,
    },
    /// The machines are told that time passes.
    Ticked,
    /// A shard leaves for the repair of another.
    ColumnsLeft {
        /// To whom.
        to: SiteName,
        /// Which.
        shard: ShardName,
    },
    /// Shares leave under masks, for the recovery of those that a site lost.
    BlindedLeft {
        /// To whom.
        to: NodeId,
        /// Of which snapshots.
        scope: RecoveryScope,
        /// What leaves.
        sealed: Vec<u8>,
    },
    /// A repair has written a shard, and it is synced.
    Mended(ShardName),
    /// A signed answer to a challenge leaves.
    AnswerLeft(Box<Signed<AuditAnswer>>),
    /// The machines have taken this answer to their challenge.
    Judged(Box<Signed<AuditAnswer>>),
    /// Something that a swarm must reach now and then.
    Reached(&'static str),
    /// The machines took an input.
    Handled {
        /// How many outputs it had.
        outputs: usize,
    },
    /// A transaction was synced.
    Synced(Vec<Record>),
    /// A record was to be written over another one.
    Conflict(Record),
    /// A receipt of this site leaves it.
    ReceiptLeft(Signed<Receipt>),
    /// A released share leaves.
    ShareLeft {
        /// The key of the connection.
        caller: PublicKey,
        /// To whom.
        to: NodeId,
        /// What was asked for.
        asked: Asked,
        /// What leaves.
        sealed: Vec<u8>,
    },
    /// Somebody is refused.
    Refused(RefusalCode),
    /// A client says something.
    Noted(Note),
}

/// What there is to look at.
#[derive(Debug)]
pub struct Scene<'a> {
    /// Now.
    pub now: Time,
    /// The run.
    pub config: &'a Config,
    /// Who is who.
    pub cast: &'a Cast,
    /// All sites.
    pub sites: &'a [SimSite],
    /// What really happened.
    pub chronicle: &'a Chronicle,
    /// Shares on their disks.
    pub opened: &'a Opened,
    /// Events that wait.
    pub events_waiting: usize,
}

impl Scene<'_> {
    /// A site, if the node is one.
    #[must_use]
    pub fn site(&self, node: NodeId) -> Option<&SimSite> {
        self.sites.get(node.index())
    }

    /// A site that does what it should, if the node is one.
    #[must_use]
    pub fn honest(&self, node: NodeId) -> Option<&SimSite> {
        self.site(node).filter(|site| site.is_honest())
    }

    /// Sites that do what they should and are not gone; those that are down count, their disks are there.
    pub fn standing(&self) -> impl Iterator<Item = &SimSite> {
        self.sites.iter().filter(|site| site.is_honest() && !site.lost)
    }
}

/// One invariant.
trait Invariant: std::fmt::Debug {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Looks at one fact; the text of the error is for people.
    fn observe(&mut self, scene: &Scene<'_>, node: NodeId, fact: &Fact) -> Result<(), String>;

    /// Looks at everything once more at the end.
    fn finish(&mut self, _scene: &Scene<'_>) -> Result<(), String> {
        Ok(())
    }
}

/// An invariant does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub invariant: &'static str,
    /// Where.
    pub node: Option<NodeId>,
    /// How.
    pub why: String,
}

/// All of them.
#[derive(Debug)]
pub struct Invariants(Vec<Box<dyn Invariant>>);

impl Default for Invariants {
    fn default() -> Self {
        Self(vec![
            Box::new(agreement::Agreement::default()),
            Box::new(audit::Audit),
            Box::new(bounded::Bounded::default()),
            Box::new(durability::Durability::default()),
            Box::new(ledger::Ledger::default()),
            Box::new(redundancy::Redundancy::default()),
            Box::new(release::Release),
            Box::new(repair::Repair),
            Box::new(retention::Retention::default()),
            Box::new(secrecy::Secrecy::default()),
        ])
    }
}

impl Invariants {
    /// Shows one fact to all.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn observe(&mut self, scene: &Scene<'_>, node: NodeId, fact: &Fact) -> Result<(), Broken> {
        for invariant in &mut self.0 {
            let looked = invariant.observe(scene, node, fact);
            looked.map_err(|why| Broken { invariant: invariant.name(), node: Some(node), why })?;
        }
        Ok(())
    }

    /// Looks at everything once more.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn finish(&mut self, scene: &Scene<'_>) -> Result<(), Broken> {
        for invariant in &mut self.0 {
            let looked = invariant.finish(scene);
            looked.map_err(|why| Broken { invariant: invariant.name(), node: None, why })?;
        }
        Ok(())
    }
}

/// Who could read a snapshot, and whether it can still be restored; for reports.
pub mod verdict {
    pub use super::durability::{Standing, held_by, open_from_disks, standing};
    pub use super::secrecy::readers;
}
