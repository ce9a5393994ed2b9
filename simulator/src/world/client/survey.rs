//! What the sites know, seen from a client: every document is verified here again, so a lying site can at most be silent
//! or behind. The same reading as in the node's survey.

use std::collections::BTreeMap;
use std::rc::Rc;

use protocol::catalog::{Catalog, History};
use protocol::document::{CharterChain, Manifest, ReleaseOrder, block_of};
use protocol::identifier::{DatabaseName, SiteName};
use protocol::machine::RecordKind;
use protocol::placement::durability::{self, Durability};
use protocol::signature::{PublicKey, Signed};
use protocol::wire::{RefusalCode, Request, Response};
use serde_bytes::ByteBuf;
use shard_codec::Digest;

use super::{CallError, Port, join_all};
use crate::world::home::Note;
use crate::world::trace::NodeId;

/// Node of every site by name.
pub type Nodes = Rc<BTreeMap<SiteName, NodeId>>;

/// Everything verified, and who answers.
#[derive(Debug)]
pub struct Survey {
    /// What is known.
    pub catalog: Catalog,
    /// Sites that answer and do not lie.
    pub links: BTreeMap<SiteName, NodeId>,
    port: Port<Note>,
    caller: PublicKey,
}

/// The writer signed two histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forked;

/// Why a site's history is not taken.
enum Trouble {
    /// It is good for what is older.
    Behind,
    /// It is of no use.
    Faulty,
}

impl Survey {
    /// Calls every active site of the newest charter; with an order, each is shown it first.
    pub async fn take(
        port: &Port<Note>,
        caller: PublicKey,
        charters: CharterChain,
        nodes: &Nodes,
        order: Option<&Signed<ReleaseOrder>>,
    ) -> Self {
        let mut catalog = Catalog::new(charters);
        loop {
            let version = catalog.charter().version;
            let active = catalog.charter().active_sites().map(|site| site.name.clone());
            let sites: Vec<(SiteName, NodeId)> =
                active.filter_map(|name| nodes.get(&name).map(|node| (name, *node))).collect();
            let visits = join_all(sites.iter().map(|(_name, node)| visit(port, caller, *node, version, order))).await;
            let mut links = BTreeMap::new();
            for ((name, node), visit) in sites.into_iter().zip(visits) {
                let Ok(charters) = visit else { continue };
                if charters.iter().all(|bytes| catalog.learn(RecordKind::Charter, bytes).is_ok()) {
                    links.insert(name, node);
                }
            }
            if catalog.charter().version == version {
                return Self { catalog, links, port: port.clone(), caller };
            }
        }
    }

    /// Asks one site.
    ///
    /// # Errors
    /// As [`Port::call`].
    pub async fn call(&self, node: NodeId, request: Request) -> Result<Response, CallError> {
        self.port.call(node, self.caller, request).await
    }

    async fn documents(&self, node: NodeId, request: Request) -> Result<Vec<ByteBuf>, CallError> {
        documents(&self.port, self.caller, node, request).await
    }

    /// Reads the history of one database from all sites that answer.
    ///
    /// # Errors
    /// A fork.
    pub async fn read_history(&mut self, database: &DatabaseName) -> Result<(), Forked> {
        let links: Vec<(SiteName, NodeId)> = self.links.iter().map(|(name, node)| (name.clone(), *node)).collect();
        let answers =
            join_all(links.iter().map(|(_name, node)| head_of(&self.port, self.caller, *node, database))).await;
        let mut heads = Vec::new();
        for ((name, node), answer) in links.into_iter().zip(answers) {
            match answer {
                Ok((head, forks)) => {
                    for proof in forks {
                        // A proof that proves nothing is no fork; its site is not worth a fight.
                        let _unproven = self.catalog.learn(RecordKind::Fork, &proof);
                    }
                    heads.push((name, node, head));
                }
                Err(_gone) => drop(self.links.remove(&name)),
            }
        }
        heads.sort_by_key(|(_name, _node, head)| std::cmp::Reverse(head.map_or(0, |(sequence, _digest)| sequence)));
        for (name, node, head) in heads {
            if let Err(Trouble::Faulty) = self.compare(node, database, head).await {
                self.links.remove(&name);
            }
        }
        let is_forked = self.catalog.history(database).is_some_and(|history| history.forks().next().is_some());
        if is_forked { Err(Forked) } else { Ok(()) }
    }

    /// Takes what this site knows and others did not, and checks that it agrees on the rest.
    async fn compare(&mut self, node: NodeId, database: &DatabaseName, head: Head) -> Result<(), Trouble> {
        let newest = self.head_sequence(database);
        let Some((sequence, digest)) = head else { return if newest == 0 { Ok(()) } else { Err(Trouble::Behind) } };
        let mut from_sequence = newest + 1;
        while from_sequence <= sequence {
            let request = Request::Manifests { database: database.clone(), from_sequence };
            let manifests = self.documents(node, request).await.map_err(|_gone| Trouble::Faulty)?;
            for bytes in manifests {
                match self.catalog.learn(RecordKind::Manifest, &bytes) {
                    Ok(()) => {}
                    Err(refusal) if refusal.code == RefusalCode::Fork => {
                        return Err(self.find_fork(node, database).await);
                    }
                    Err(_refused) => return Err(Trouble::Faulty),
                }
            }
            let reached = self.head_sequence(database);
            if reached < from_sequence {
                return Err(Trouble::Faulty);
            }
            from_sequence = reached + 1;
        }
        let ours = self.catalog.history(database).and_then(|history| history.manifest(sequence)).map(Signed::digest);
        if ours != Some(digest) {
            return Err(self.find_fork(node, database).await);
        }
        if sequence < newest { Err(Trouble::Behind) } else { Ok(()) }
    }

    /// The site's history is not ours: either it lies, or its first other manifest proves that the writer forked.
    async fn find_fork(&mut self, node: NodeId, database: &DatabaseName) -> Trouble {
        let mut from_sequence = 1;
        while from_sequence <= self.head_sequence(database) {
            let request = Request::Manifests { database: database.clone(), from_sequence };
            let Ok(manifests) = self.documents(node, request).await else { return Trouble::Faulty };
            if manifests.is_empty() {
                return Trouble::Faulty;
            }
            for bytes in manifests {
                match self.catalog.learn(RecordKind::Manifest, &bytes) {
                    Ok(()) => from_sequence += 1,
                    Err(refusal) if refusal.code == RefusalCode::Fork => return Trouble::Behind,
                    Err(_refused) => return Trouble::Faulty,
                }
            }
        }
        Trouble::Faulty
    }

    /// Sequence of the newest snapshot known, 0 if there is none.
    #[must_use]
    pub fn head_sequence(&self, database: &DatabaseName) -> u64 {
        self.catalog.history(database).map_or(0, History::head_sequence)
    }

    /// Reads the receipts of one snapshot from all sites.
    pub async fn read_receipts(&mut self, database: &DatabaseName, sequence: u64) {
        let request = Request::Receipts { database: database.clone(), sequence };
        let answers = join_all(self.links.values().map(|node| self.documents(*node, request.clone()))).await;
        for bytes in answers.into_iter().flatten().flatten() {
            // A receipt that does not verify does not count, whoever brought it.
            let _unverified = self.catalog.learn(RecordKind::Receipt, &bytes);
        }
    }

    /// Reads from all sites whose shares of one snapshot's key hold now.
    pub async fn read_epochs(&mut self, database: &DatabaseName, sequence: u64) {
        let request = Request::Epochs { database: database.clone(), from_block: block_of(sequence), from_epoch: 0 };
        let answers = join_all(self.links.values().map(|node| self.documents(*node, request.clone()))).await;
        for bytes in answers.into_iter().flatten().flatten() {
            // A certificate that does not verify changes nothing, whoever brought it.
            let _unverified = self.catalog.learn(RecordKind::Epoch, &bytes);
        }
    }

    /// What the verified receipts of one snapshot promise.
    #[must_use]
    pub fn durability(&self, manifest: &Manifest) -> Durability {
        let history = self.catalog.history(&manifest.database);
        let receipts =
            history.into_iter().flat_map(|history| history.receipts(manifest.sequence)).map(Signed::document);
        durability::assess(self.catalog.charter(), manifest, history, receipts)
    }
}

type Head = Option<(u64, Digest)>;

async fn documents(
    port: &Port<Note>,
    caller: PublicKey,
    node: NodeId,
    request: Request,
) -> Result<Vec<ByteBuf>, CallError> {
    let Response::Documents(documents) = port.call(node, caller, request).await? else {
        return Err(CallError::Unexpected);
    };
    Ok(documents)
}

async fn visit(
    port: &Port<Note>,
    caller: PublicKey,
    node: NodeId,
    version: u64,
    order: Option<&Signed<ReleaseOrder>>,
) -> Result<Vec<ByteBuf>, CallError> {
    if let Some(order) = order {
        port.call(node, caller, Request::PresentOrder { order: order.encode().into() }).await?;
    }
    documents(port, caller, node, Request::Charters { from_version: version + 1 }).await
}

async fn head_of(
    port: &Port<Note>,
    caller: PublicKey,
    node: NodeId,
    database: &DatabaseName,
) -> Result<(Head, Vec<ByteBuf>), CallError> {
    let Response::Head(head) = port.call(node, caller, Request::Head { database: database.clone() }).await? else {
        return Err(CallError::Unexpected);
    };
    // A site that cannot show its proofs is still good for everything else.
    let forks = documents(port, caller, node, Request::Forks { database: database.clone() }).await.unwrap_or_default();
    Ok((head, forks))
}
