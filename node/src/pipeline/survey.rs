//! What the sites know, seen from a client: charters, heads, manifests, receipts, forks.
//!
//! Every document is verified here again, so a lying site can at most be silent or behind, and is named.

use std::collections::BTreeMap;

use futures::future::join_all;
use protocol::catalog::{Catalog, History};
use protocol::document::{CharterChain, Database, LiveStripes, Manifest, ReleaseOrder, Site, block_of};
use protocol::identifier::{DatabaseName, SiteName};
use protocol::machine::{Announcement, RecordKind};
use protocol::placement::durability::{self, Durability};
use protocol::retention;
use protocol::signature::Signed;
use protocol::wire::{RefusalCode, Request, Response};
use serde_bytes::ByteBuf;
use shard_codec::Digest;

use crate::network::{CallError, Link, Mesh};

/// What one site turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteCondition {
    /// It answers, and agrees with the others.
    Good,
    /// It does not answer.
    Unreachable(String),
    /// It refuses this caller.
    Refuses(String),
    /// It shows an older head than others.
    Behind {
        /// Its head.
        head: u64,
        /// The newest head known.
        newest: u64,
    },
    /// It shows another snapshot of this number than other sites, and a writer signed both.
    Forked(u64),
    /// What it shows does not hold.
    Faulty(String),
}

impl std::fmt::Display for SiteCondition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Good => write!(f, "good"),
            Self::Unreachable(why) => write!(f, "unreachable: {why}"),
            Self::Refuses(why) => write!(f, "refuses: {why}"),
            Self::Behind { head, newest } => write!(f, "shows snapshot {head} as its newest, others have {newest}"),
            Self::Forked(sequence) => {
                write!(f, "FORK: shows another snapshot {sequence} than other sites, and a writer signed both")
            }
            Self::Faulty(why) => write!(f, "faulty: {why}"),
        }
    }
}

/// Why there is nothing to work with.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// Not one site answered.
    #[error("no site answers this: {}", list(.sites))]
    NobodyThere {
        /// Each site and why.
        sites: Vec<(SiteName, SiteCondition)>,
    },
    /// Not in the charter.
    #[error("the charter knows no database {database}; it has: {known}")]
    NoDatabase {
        /// What was asked for.
        database: DatabaseName,
        /// What there is.
        known: String,
    },
    /// A writer signed two histories.
    #[error(
        "FORK: two manifests of {database} carry sequence {sequence} ({first} and {second}). Somebody misused its \
         writer key. Nothing is chosen for you: decide which history is true, and name it with an order for one sequence \
         before the fork"
    )]
    Fork {
        /// The database.
        database: DatabaseName,
        /// The number used twice.
        sequence: u64,
        /// Digest of one manifest.
        first: Digest,
        /// Digest of the other.
        second: Digest,
    },
}

/// Names sites with their conditions, for errors and reports.
#[must_use]
pub fn list(sites: &[(SiteName, SiteCondition)]) -> String {
    sites.iter().map(|(name, condition)| format!("{name} ({condition})")).collect::<Vec<_>>().join("; ")
}

/// The sites as they are now.
pub struct Survey {
    /// Everything verified.
    pub catalog: Catalog,
    /// One link for each site that answers.
    pub links: BTreeMap<SiteName, Link>,
    /// What each active site turned out to be.
    pub conditions: BTreeMap<SiteName, SiteCondition>,
}

/// Calls every active site of the newest charter. With an order, each site is shown the order first.
///
/// # Errors
/// Not one site answers.
pub async fn survey(
    mesh: &Mesh,
    charters: CharterChain,
    order: Option<&Signed<ReleaseOrder>>,
) -> Result<Survey, SurveyError> {
    let mut catalog = Catalog::new(charters);
    loop {
        let version = catalog.charter().version;
        let sites: Vec<Site> = catalog.charter().active_sites().cloned().collect();
        let visits = join_all(sites.iter().map(|site| visit(Link::new(mesh.clone(), site), version, order))).await;
        let mut survey = Survey { catalog, links: BTreeMap::new(), conditions: BTreeMap::new() };
        for (link, result) in visits {
            let name = link.name().clone();
            let condition = survey.take_visit(link, result);
            survey.conditions.insert(name, condition);
        }
        if survey.catalog.charter().version > version {
            catalog = survey.catalog; // there is a newer charter: see its sites instead
            continue;
        }
        if survey.links.is_empty() {
            return Err(SurveyError::NobodyThere { sites: survey.conditions.into_iter().collect() });
        }
        return Ok(survey);
    }
}

type Visit = Result<Vec<ByteBuf>, CallError>;

async fn visit(mut link: Link, version: u64, order: Option<&Signed<ReleaseOrder>>) -> (Link, Visit) {
    let result = async {
        if let Some(order) = order {
            link.call(&Request::PresentOrder { order: order.encode().into() }).await?;
        }
        documents(&mut link, &Request::Charters { from_version: version + 1 }).await
    };
    let result = result.await;
    (link, result)
}

/// The documents that answer `request`.
///
/// # Errors
/// As [`Link::call`].
pub async fn documents(link: &mut Link, request: &Request) -> Result<Vec<ByteBuf>, CallError> {
    let Response::Documents(documents) = link.call(request).await? else { return Err(link.unexpected()) };
    Ok(documents)
}

fn condition_of(error: &CallError) -> SiteCondition {
    match error {
        CallError::Refused { refusal, .. } => SiteCondition::Refuses(refusal.message.clone()),
        CallError::Unreachable { error, .. } => SiteCondition::Unreachable(error.to_string()),
        CallError::Stream { error, .. } => SiteCondition::Unreachable(error.to_string()),
        CallError::Unexpected { .. } => SiteCondition::Faulty(error.to_string()),
    }
}

impl Survey {
    fn take_visit(&mut self, link: Link, result: Visit) -> SiteCondition {
        let charters = match result {
            Ok(charters) => charters,
            Err(error) => return condition_of(&error),
        };
        for bytes in charters {
            if let Err(refusal) = self.catalog.learn(RecordKind::Charter, &bytes) {
                return SiteCondition::Faulty(refusal.message);
            }
        }
        self.links.insert(link.name().clone(), link);
        SiteCondition::Good
    }

    /// The charter's entry of a database.
    ///
    /// # Errors
    /// There is none.
    pub fn database(&self, name: &DatabaseName) -> Result<Database, SurveyError> {
        let charter = self.catalog.charter();
        charter.database(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = charter.databases.iter().map(|database| database.name.as_str()).collect();
            SurveyError::NoDatabase { database: name.clone(), known: known.join(", ") }
        })
    }

    /// Reads the history of one database from all sites that answer.
    ///
    /// # Errors
    /// A fork. Sites that lie or lag are named in [`Survey::conditions`].
    pub async fn read_history(&mut self, database: &DatabaseName) -> Result<(), SurveyError> {
        self.read_history_until(database, u64::MAX).await
    }

    /// As [`Survey::read_history`], for one who needs nothing newer than `sequence`: a fork after it does not stand
    /// in the way.
    ///
    /// # Errors
    /// A fork at `sequence` or before.
    pub async fn read_history_until(&mut self, database: &DatabaseName, sequence: u64) -> Result<(), SurveyError> {
        let mut heads = Vec::new();
        let ask = self.links.values_mut().map(|link| async { (link.name().clone(), head_of(link, database).await) });
        for (name, result) in join_all(ask).await {
            match result {
                Ok((head, forks)) => {
                    for proof in forks {
                        // A proof that proves nothing is no fork; its site is not worth a fight.
                        let _unproven = self.catalog.learn(RecordKind::Fork, &proof);
                    }
                    heads.push((name, head));
                }
                Err(error) => self.drop_site(&name, condition_of(&error)),
            }
        }
        heads.sort_by_key(|(_, head)| std::cmp::Reverse(head.map_or(0, |(sequence, _)| sequence)));
        for (name, head) in heads {
            if let Err(condition) = self.compare(&name, database, head).await {
                // A site that lags, or was lied to by the writer, still holds what is older.
                if matches!(condition, SiteCondition::Behind { .. } | SiteCondition::Forked(_)) {
                    self.conditions.insert(name, condition);
                } else {
                    self.drop_site(&name, condition);
                }
            }
        }
        self.check_forks(database, sequence)
    }

    fn drop_site(&mut self, name: &SiteName, condition: SiteCondition) {
        self.links.remove(name);
        self.conditions.insert(name.clone(), condition);
    }

    /// The first fork up to `until` is an error.
    ///
    /// # Errors
    /// The fork.
    pub(super) fn check_forks(&self, database: &DatabaseName, until: u64) -> Result<(), SurveyError> {
        let forks = self.catalog.history(database).into_iter().flat_map(History::forks);
        let proven = forks.filter_map(|proof| proof.verify(self.catalog.charters()).ok());
        let first = proven.min_by_key(|fork| fork.sequence);
        first.filter(|fork| fork.sequence <= until).map_or(Ok(()), |fork| {
            let [first, second] = fork.digests;
            Err(SurveyError::Fork { database: fork.database, sequence: fork.sequence, first, second })
        })
    }

    /// Takes what this site knows and others did not, and checks that it agrees on the rest.
    async fn compare(
        &mut self,
        name: &SiteName,
        database: &DatabaseName,
        head: Option<(u64, Digest)>,
    ) -> Result<(), SiteCondition> {
        let newest = self.head_sequence(database);
        let Some((sequence, digest)) = head else {
            return if newest == 0 { Ok(()) } else { Err(SiteCondition::Behind { head: 0, newest }) };
        };
        let Some(link) = self.links.get_mut(name) else { return Ok(()) };
        let mut from_sequence = self.catalog.history(database).map_or(0, History::head_sequence) + 1;
        while from_sequence <= sequence {
            let request = Request::Manifests { database: database.clone(), from_sequence };
            let manifests = documents(link, &request).await.map_err(|error| condition_of(&error))?;
            if manifests.is_empty() {
                let why = format!("claims snapshot {sequence} as its newest, but does not show {from_sequence}");
                return Err(SiteCondition::Faulty(why));
            }
            for bytes in manifests {
                match self.catalog.learn(RecordKind::Manifest, &bytes) {
                    Ok(()) => {}
                    Err(refusal) if refusal.code == RefusalCode::Fork => {
                        return Err(self.find_fork(name, database, sequence).await);
                    }
                    Err(refusal) => return Err(SiteCondition::Faulty(refusal.message)),
                }
            }
            // A site that shows old manifests again and again must not keep its visitor for ever.
            let reached = self.catalog.history(database).map_or(0, History::head_sequence);
            if reached < from_sequence {
                let why = format!(
                    "claims snapshot {sequence} as its newest, but shows others when asked for {from_sequence}"
                );
                return Err(SiteCondition::Faulty(why));
            }
            from_sequence = reached + 1;
        }
        let ours = self.catalog.history(database).and_then(|history| history.manifest(sequence)).map(Signed::digest);
        if ours != Some(digest) {
            return Err(self.find_fork(name, database, sequence).await);
        }
        if sequence < newest { Err(SiteCondition::Behind { head: sequence, newest }) } else { Ok(()) }
    }

    /// The site's history is not ours: either it lies, or its first other manifest proves that the writer forked.
    async fn find_fork(&mut self, name: &SiteName, database: &DatabaseName, shown: u64) -> SiteCondition {
        let ours = self.head_sequence(database);
        let lies = || SiteCondition::Faulty(format!("shows another snapshot {shown} than the other sites"));
        let Some(link) = self.links.get_mut(name) else { return lies() };
        let mut from_sequence = 1;
        while from_sequence <= ours {
            let request = Request::Manifests { database: database.clone(), from_sequence };
            let manifests = match documents(link, &request).await {
                Ok(manifests) if manifests.is_empty() => return lies(),
                Ok(manifests) => manifests,
                Err(error) => return condition_of(&error),
            };
            for bytes in manifests {
                match self.catalog.learn(RecordKind::Manifest, &bytes) {
                    Ok(()) => from_sequence += 1,
                    Err(refusal) if refusal.code == RefusalCode::Fork => return SiteCondition::Forked(from_sequence),
                    Err(refusal) => return SiteCondition::Faulty(refusal.message),
                }
            }
        }
        lies()
    }

    /// Sequence of the newest snapshot known, 0 if there is none.
    #[must_use]
    pub fn head_sequence(&self, database: &DatabaseName) -> u64 {
        self.catalog.history(database).map_or(0, History::head_sequence)
    }

    /// Reads the receipts of one snapshot from all sites.
    pub async fn read_receipts(&mut self, database: &DatabaseName, sequence: u64) {
        let request = Request::Receipts { database: database.clone(), sequence };
        let ask = self.links.values_mut().map(|link| documents(link, &request));
        for bytes in join_all(ask).await.into_iter().flatten().flatten() {
            // A receipt that does not verify does not count, whoever brought it.
            let _unverified = self.catalog.learn(RecordKind::Receipt, &bytes);
        }
    }

    /// Reads from all sites whose shares of one snapshot's key hold now: they may have been given on since it was made.
    pub async fn read_epochs(&mut self, database: &DatabaseName, sequence: u64) {
        let request = Request::Epochs { database: database.clone(), from_block: block_of(sequence), from_epoch: 0 };
        let ask = self.links.values_mut().map(|link| documents(link, &request));
        for bytes in join_all(ask).await.into_iter().flatten().flatten() {
            // A certificate that does not verify changes nothing, whoever brought it.
            let _unverified = self.catalog.learn(RecordKind::Epoch, &bytes);
        }
    }

    /// Reads from all sites which snapshots they have let go.
    pub async fn read_retention(&mut self, database: &DatabaseName) {
        let ask = self.links.values_mut().map(|link| inventories(link, database));
        let said: Vec<Vec<u8>> = join_all(ask).await.into_iter().flatten().flatten().collect();
        retention::learn(&mut self.catalog, database, said);
    }

    /// The stripes that one snapshot refers to, by the manifests known.
    ///
    /// # Errors
    /// Manifests do not fit together.
    pub fn live_stripes_at(&self, database: &DatabaseName, sequence: u64) -> Result<LiveStripes, String> {
        let Some(history) = self.catalog.history(database) else { return Ok(LiveStripes::default()) };
        if sequence == history.head_sequence() {
            return Ok(history.live_stripes().clone());
        }
        let mut live = LiveStripes::default();
        let manifests = history.manifests_from(1).map(Signed::document);
        for manifest in manifests.take_while(|manifest| manifest.sequence <= sequence) {
            live.apply(manifest, self.catalog.succession())?;
        }
        Ok(live)
    }

    /// What the verified receipts of one snapshot promise.
    #[must_use]
    pub fn durability(&self, manifest: &Manifest) -> Durability {
        let history = self.catalog.history(&manifest.database);
        let receipts =
            history.into_iter().flat_map(|history| history.receipts(manifest.sequence)).map(Signed::document);
        durability::assess(self.catalog.charter(), manifest, history, receipts)
    }

    /// Sites that are not good, for a report.
    #[must_use]
    pub fn troubles(&self) -> Vec<(SiteName, SiteCondition)> {
        let troubled = self.conditions.iter().filter(|(_, condition)| **condition != SiteCondition::Good);
        troubled.map(|(name, condition)| (name.clone(), condition.clone())).collect()
    }
}

/// What is read of one site at the most.
const EVIDENCE_MAX: u64 = 16_384;

/// The inventories that a site knows.
async fn inventories(link: &mut Link, database: &DatabaseName) -> Result<Vec<Vec<u8>>, CallError> {
    let (mut said, mut from) = (Vec::new(), 0);
    // Few pages: one inventory of each site, and proven losses.
    while from < EVIDENCE_MAX {
        let request = Request::Evidence { database: Some(database.clone()), from };
        let Response::Announcements(entries) = link.call(&request).await? else { return Err(link.unexpected()) };
        if entries.is_empty() {
            break;
        }
        from += entries.len() as u64;
        said.extend(entries.into_iter().filter_map(|entry| {
            if let Announcement::Inventory(bytes) = entry { Some(bytes.into_vec()) } else { None }
        }));
    }
    Ok(said)
}

type Head = Option<(u64, Digest)>;

async fn head_of(link: &mut Link, database: &DatabaseName) -> Result<(Head, Vec<ByteBuf>), CallError> {
    let Response::Head(head) = link.call(&Request::Head { database: database.clone() }).await? else {
        return Err(link.unexpected());
    };
    // A site that cannot show its proofs is still good for everything else.
    let forks = documents(link, &Request::Forks { database: database.clone() }).await.unwrap_or_default();
    Ok((head, forks))
}
