//! Home: the databases, the writer keys, an outbox on a disk of its own, and the program that makes a snapshot. It goes
//! the way of the node's backup, step by step, because a simulated writer that is wiser than the real one proves nothing.

mod hand_over;
mod seal;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use protocol::catalog::fork::ForkProof;
use protocol::document::{CharterChain, Database, LiveStripe, LiveStripes, Manifest};
use protocol::identifier::DatabaseName;
use protocol::limits::PAGE_ENTRIES_MAX;
use protocol::machine::{Announcement, RecordKind};
use protocol::signature::{Keypair, PublicKey, Signed};
use protocol::wire::{Request, Response};
use shard_codec::{Digest, ShardIndex};

use super::client::survey::{Nodes, Survey};
use super::client::{CallError, Port, join_all};
use super::config::DatabaseConfig;
use super::random::Stream;
use super::sim_disk::Bytes;
use super::trace::NodeId;
use super::virtual_clock::Time;
use super::workload::{Packed, Source};
use hand_over::{not_durable, publish_kept};
pub(super) use seal::deal_and_seal;
use seal::{SealedSnapshot, Waiting};

/// Pause before a snapshot that is not durable is tried again.
const RETRY_MS: u64 = 15_000;
/// The real program makes a new snapshot on every run; here only every so many runs, when the last one is still not durable.
/// Its stripes may be lost at too many sites, and then the plaintext at home is the last copy.
const RUNS_OF_ONE_SNAPSHOT: u32 = 3;

/// What clients tell the world.
#[derive(Clone, Debug)]
pub enum Note {
    /// Home signed a manifest; nobody has heard of it yet.
    Signed {
        /// Of which database.
        database: DatabaseName,
        /// Which snapshot.
        sequence: u64,
        /// Its digest.
        manifest: Digest,
        /// Digest over the plaintext.
        plaintext: Digest,
        /// When its making began.
        begun: Time,
    },
    /// Home's verdict on a snapshot.
    Published {
        /// Of which database.
        database: DatabaseName,
        /// Which snapshot.
        sequence: u64,
        /// Its digest.
        manifest: Digest,
        /// By the receipts.
        durable: bool,
    },
    /// Home has found that somebody forked its history.
    Forked {
        /// Of which database.
        database: DatabaseName,
    },
    /// A recipient has the plaintext.
    Restored {
        /// Of which database.
        database: DatabaseName,
        /// Which snapshot.
        sequence: u64,
        /// Digest of the manifest.
        manifest: Digest,
        /// Digest over the plaintext.
        plaintext: Digest,
        /// When it began.
        begun: Time,
    },
    /// A recipient gave up.
    RestoreFailed {
        /// Of which database.
        database: DatabaseName,
        /// Why.
        why: String,
    },
    /// Something happened that a swarm must reach now and then.
    Reached(&'static str),
    /// For the trace.
    Said(String),
}

/// One database and what home keeps of its snapshots.
#[derive(Debug)]
pub(super) struct HomeDatabase {
    pub(super) source: Source,
    /// Snapshots that it finds suspicious.
    suspicious: BTreeSet<u64>,
    /// It changed since the last manifest was signed.
    dirty: bool,
    outbox: Option<SealedSnapshot>,
    /// Runs that could not make the snapshot in the outbox durable.
    failed_runs: u32,
    last_signed: Option<(u64, Digest)>,
    waiting: BTreeMap<u64, Waiting>,
    /// Shards that a site served wrongly: its word that it holds them counts for nothing.
    served_wrongly: BTreeSet<Digest>,
    next_stripe: u64,
}

/// What lies on home's disk.
#[derive(Debug)]
pub struct HomeDisk {
    pub(super) databases: BTreeMap<DatabaseName, HomeDatabase>,
    /// The newest charters home knows.
    pub chain: CharterChain,
    /// The key of each database's writer.
    pub writers: BTreeMap<DatabaseName, Rc<Keypair>>,
    /// Databases that are to be published.
    pub queue: VecDeque<DatabaseName>,
    pub(super) stream: Stream,
}

/// Home, as its programs know it.
#[derive(Clone, Debug)]
pub struct Home {
    /// Its disk.
    pub disk: Rc<RefCell<HomeDisk>>,
    /// Its end of the world.
    pub port: Port<Note>,
    /// Node of every site by name.
    pub nodes: Nodes,
    /// From writing to fsync done.
    pub sync_ms: u64,
    /// Its own clock is right: nothing relies on it.
    pub clock: super::virtual_clock::Clock,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Durable,
    NotYet(String),
    /// It will never be: officials must decide.
    Never,
}

fn not_yet(why: impl std::fmt::Display) -> Outcome {
    Outcome::NotYet(why.to_string())
}

impl HomeDisk {
    /// A home with these databases.
    #[must_use]
    pub fn new(
        databases: impl IntoIterator<Item = DatabaseConfig>,
        chain: CharterChain,
        writers: BTreeMap<DatabaseName, Rc<Keypair>>,
        mut stream: Stream,
    ) -> Self {
        let databases = databases
            .into_iter()
            .map(|database| {
                let source = Source::new(database.change_bytes, &mut stream);
                let waiting = BTreeMap::new();
                (
                    database.name,
                    HomeDatabase {
                        source,
                        suspicious: database.suspicious,
                        dirty: false,
                        outbox: None,
                        failed_runs: 0,
                        last_signed: None,
                        waiting,
                        served_wrongly: BTreeSet::new(),
                        next_stripe: 1,
                    },
                )
            })
            .collect();
        Self { databases, chain, writers, queue: VecDeque::new(), stream }
    }

    /// The database changes, and a snapshot of it is due.
    pub fn change(&mut self, database: &DatabaseName) {
        let Self { databases, stream, queue, .. } = self;
        if let Some(home) = databases.get_mut(database) {
            home.source.change(stream);
            home.dirty = true;
        }
        if !queue.contains(database) {
            queue.push_back(database.clone());
        }
    }
}

/// Publishes whatever is due, one after the other, until nothing is.
pub async fn run(home: Home) {
    while let Some(database) = home.next_due() {
        let outcome = home.publish(&database).await;
        if let Some(why) = home.take_outcome(database, outcome) {
            home.port.note(Note::Said(why));
            home.port.sleep_ms(RETRY_MS).await;
        }
    }
}

impl Home {
    fn next_due(&self) -> Option<DatabaseName> {
        self.disk.borrow().queue.front().cloned()
    }

    /// Strikes a run off, or puts it at the end of the queue; returns why a pause is better first.
    fn take_outcome(&self, database: DatabaseName, outcome: Outcome) -> Option<String> {
        let mut disk = self.disk.borrow_mut();
        disk.queue.pop_front();
        let is_dirty = disk.databases.get(&database).is_some_and(|home| home.dirty);
        match outcome {
            Outcome::Durable if !is_dirty => None,
            Outcome::Durable => {
                disk.queue.push_back(database);
                None
            }
            Outcome::Never => {
                self.port.note(Note::Forked { database });
                None
            }
            Outcome::NotYet(why) => {
                let why = format!("snapshot of {database} is not durable yet: {why}");
                disk.queue.push_back(database);
                Some(why)
            }
        }
    }

    fn writer(&self, database: &DatabaseName) -> Option<Rc<Keypair>> {
        self.disk.borrow().writers.get(database).cloned()
    }

    fn with<R>(&self, database: &DatabaseName, look: impl FnOnce(&mut HomeDatabase) -> R) -> Option<R> {
        self.disk.borrow_mut().databases.get_mut(database).map(look)
    }

    /// One transaction on home's disk: what a crash interrupts has not happened.
    async fn keep<R>(&self, database: &DatabaseName, change: impl FnOnce(&mut HomeDatabase) -> R) -> Option<R> {
        self.port.sleep_ms(self.sync_ms).await;
        self.with(database, change)
    }

    /// One run of `legation backup`.
    async fn publish(&self, database: &DatabaseName) -> Outcome {
        let begun = self.port.now();
        let Some(writer) = self.writer(database) else { return not_yet("no writer key") };
        let chain = self.disk.borrow().chain.clone();
        let mut survey = Survey::take(&self.port, writer.public(), chain, &self.nodes, None).await;
        if survey.links.is_empty() {
            return not_yet("no site answers");
        }
        self.disk.borrow_mut().chain = survey.catalog.charters().clone();
        let Some(entry) = survey.catalog.charter().database(database).cloned() else {
            return not_yet("no such database");
        };
        if !entry.writers.contains(&writer.public()) {
            return not_yet("this home's key is not the writer's");
        }
        if survey.read_history(database).await.is_err() {
            return Outcome::Never;
        }
        if let Some(outcome) = self.deliver_outbox(&mut survey, &entry).await {
            return outcome;
        }
        if !self.last_signed_is_shown(&survey, database) {
            return not_yet("no site shows what home signed last: signing on would fork the history");
        }
        hand_over::deliver_waiting(self, &mut survey, database).await;
        self.make_next(&mut survey, &entry, &writer, begun).await
    }

    /// A snapshot whose publication was interrupted goes out before a new one is begun. `None`: go on with a new one.
    async fn deliver_outbox(&self, survey: &mut Survey, entry: &Database) -> Option<Outcome> {
        let outbox = self.with(&entry.name, |home| home.outbox.clone()).flatten()?;
        let sequence = outbox.sequence();
        if sequence > survey.head_sequence(&entry.name) {
            for before in &outbox.before {
                // What the sites show is known; what does not follow it leaves a gap, and then nothing is published.
                let _known = survey.catalog.learn(RecordKind::Manifest, before);
            }
        }
        if fork_with(survey, &outbox).await {
            return Some(Outcome::Never);
        }
        let head = survey.head_sequence(&entry.name);
        if sequence != head && sequence != head + 1 {
            if sequence < head {
                self.keep(&entry.name, |home| home.outbox = None).await;
            }
            return None;
        }
        let outcome = publish_kept(self, survey, entry, &outbox).await;
        let is_dirty = self.with(&entry.name, |home| home.dirty).unwrap_or(false);
        // Under a newer charter nobody gives receipts for it any more: the next snapshot takes it along.
        let is_of_today = outbox.charter() == survey.catalog.charters().newest().digest();
        let failed_runs = self.with(&entry.name, |home| {
            home.failed_runs = if outcome == Outcome::Durable { 0 } else { home.failed_runs + 1 };
            home.failed_runs
        });
        let is_stuck = failed_runs.is_some_and(|runs| runs > 0 && runs.is_multiple_of(RUNS_OF_ONE_SNAPSHOT));
        match outcome {
            Outcome::Never => Some(Outcome::Never),
            Outcome::Durable | Outcome::NotYet(_) if is_dirty => None,
            Outcome::NotYet(_) if !is_of_today || is_stuck => None,
            Outcome::Durable | Outcome::NotYet(_) => Some(outcome),
        }
    }

    /// A home never signs a sequence number twice: what it signed last is shown, or follows what is from the outbox.
    fn last_signed_is_shown(&self, survey: &Survey, database: &DatabaseName) -> bool {
        let Some((sequence, digest)) = self.with(database, |home| home.last_signed).flatten() else { return true };
        let history = survey.catalog.history(database);
        history.and_then(|history| history.manifest(sequence)).map(Signed::digest) == Some(digest)
    }

    async fn make_next(&self, survey: &mut Survey, entry: &Database, writer: &Keypair, begun: Time) -> Outcome {
        let history = survey.catalog.history(&entry.name);
        let live = history.map(|history| history.live_stripes().clone()).unwrap_or_default();
        let used = history.into_iter().flat_map(|history| history.manifests_from(1));
        let newest = used.flat_map(|manifest| &manifest.document().stripes_added).map(|stripe| stripe.number).max();
        let usable = self.usable_stripes(survey, entry, &live).await;
        let packed = match self.pack(entry, &usable, newest.unwrap_or(0)) {
            Ok(packed) => packed,
            Err(why) => return not_yet(why),
        };
        if let Some((stripe, encoded)) = &packed.stripe {
            let stored = upload(self, survey, entry, stripe, encoded).await;
            if stored < usize::from(entry.data_shards) {
                self.with(&entry.name, |home| home.source.unpack(stripe.number));
                return not_yet(format!("only {stored} sites took their shard"));
            }
        }
        let plaintext = packed.plaintext;
        let before = not_durable(survey, &entry.name).await;
        let snapshot = match seal::seal(self, survey, entry, writer, &live, packed) {
            Ok(snapshot) => SealedSnapshot { before, ..snapshot },
            Err(why) => return not_yet(why),
        };
        let (sequence, manifest) = (snapshot.sequence(), snapshot.digest());
        // Before any site hears of it: that it was signed, what was signed, and the shares.
        let waiting = Waiting::of(&snapshot);
        let kept = snapshot.clone();
        self.keep(&entry.name, |home| {
            home.outbox = Some(kept);
            home.last_signed = Some((sequence, manifest));
            home.waiting.insert(sequence, waiting);
            home.dirty = false;
        })
        .await;
        self.port.note(Note::Signed { database: entry.name.clone(), sequence, manifest, plaintext, begun });
        publish_kept(self, survey, entry, &snapshot).await
    }

    fn pack(&self, entry: &Database, usable: &BTreeSet<u64>, newest_used: u64) -> Result<Packed, String> {
        let coding = entry.coding()?;
        let mut disk = self.disk.borrow_mut();
        let HomeDisk { databases, stream, .. } = &mut *disk;
        let home = databases.get_mut(&entry.name).ok_or("no such database at home")?;
        let number = home.next_stripe.max(newest_used + 1);
        home.next_stripe = number + 1;
        home.source.stripes.insert(number, entry.data_shards);
        home.source.pack(coding, usable, number, stream)
    }

    /// Stripes that new contents may refer to: stored by this home, lying as the charter wants now, and not lost at so many
    /// sites that they cannot be put together.
    async fn usable_stripes(&self, survey: &Survey, entry: &Database, live: &LiveStripes) -> BTreeSet<u64> {
        let stored = self.with(&entry.name, |home| home.source.stripes.clone()).unwrap_or_default();
        let lies_well = |live: &&LiveStripe| {
            let stripe = stored.get(&live.stripe.number);
            stripe.is_some_and(|data_shards| *data_shards == entry.data_shards) && live.lies_at(&entry.placement)
        };
        let candidates: Vec<_> = live.iter().filter(lies_well).collect();
        let asks = entry.placement.iter().enumerate().filter_map(|(position, site)| {
            let index = ShardIndex::new(u8::try_from(position).ok()?);
            let node = *survey.links.get(site)?;
            let roots: Vec<Digest> = candidates.iter().filter_map(|live| live.stripe.root(index)).collect();
            Some(lacks(survey, node, roots))
        });
        let mut lacking: BTreeSet<Digest> = join_all(asks).await.into_iter().flatten().collect();
        lacking.extend(self.with(&entry.name, |home| home.served_wrongly.clone()).unwrap_or_default());
        let total = entry.placement.len();
        let can_be_put_together = |live: &&&LiveStripe| {
            let roots = live.stripe.roots.chunks_exact(32).filter_map(|root| root.try_into().ok());
            let lost = roots.map(Digest::from_bytes).filter(|root| lacking.contains(root)).count();
            total.saturating_sub(lost) >= usize::from(entry.data_shards)
        };
        candidates.iter().filter(can_be_put_together).map(|live| live.stripe.number).collect()
    }
}

/// Whether the sites show another manifest than home has signed, of this snapshot or of one before it that is not durable;
/// they all learn of it then.
async fn fork_with(survey: &mut Survey, outbox: &SealedSnapshot) -> bool {
    let before = outbox.before.iter().filter_map(|bytes| Signed::<Manifest>::decode(bytes).ok());
    let proofs = before.chain([outbox.manifest.clone()]).filter_map(|signed| {
        let of_home = signed.document();
        let shown = survey.catalog.history(&of_home.database)?.manifest(of_home.sequence)?;
        (shown.digest() != signed.digest()).then(|| ForkProof::of(shown, &signed).encode())
    });
    let proofs: Vec<Vec<u8>> = proofs.collect();
    let Some(proof) = proofs.into_iter().find(|proof| survey.catalog.learn(RecordKind::Fork, proof).is_ok()) else {
        return false;
    };
    let request = Request::Announce(Announcement::Fork(proof.into()));
    // What is not spread is asked for.
    let _told = join_all(survey.links.values().map(|node| survey.call(*node, request.clone()))).await;
    true
}

async fn lacks(survey: &Survey, node: NodeId, roots: Vec<Digest>) -> Vec<Digest> {
    let roots: Vec<Digest> = roots.into_iter().take(PAGE_ENTRIES_MAX).collect();
    match survey.call(node, Request::MissingShards { roots }).await {
        Ok(Response::Missing(missing)) => missing,
        Ok(_) | Err(_) => Vec::new(), // not known what it lacks
    }
}

/// Brings each site its shard; returns how many took it.
async fn upload(
    home: &Home,
    survey: &Survey,
    entry: &Database,
    stripe: &protocol::document::Stripe,
    encoded: &shard_codec::EncodedStripe,
) -> usize {
    let Some(writer) = home.writer(&entry.name) else { return 0 };
    let puts = (0..=u8::MAX).zip(&entry.placement).filter_map(|(position, site)| {
        let index = ShardIndex::new(position);
        let bytes: Bytes = encoded.shard(index)?.into();
        let root = stripe.root(index)?;
        let place = Place { database: &entry.name, stripe_number: stripe.number, index };
        Some(put(home, writer.public(), *survey.links.get(site)?, place, root, bytes))
    });
    join_all(puts).await.into_iter().filter(Result::is_ok).count()
}

/// Where a shard belongs.
struct Place<'a> {
    database: &'a DatabaseName,
    stripe_number: u64,
    index: ShardIndex,
}

async fn put(
    home: &Home,
    caller: PublicKey,
    node: NodeId,
    place: Place<'_>,
    root: Digest,
    bytes: Bytes,
) -> Result<(), CallError> {
    let request = Request::PutShard {
        database: place.database.clone(),
        stripe_number: place.stripe_number,
        shard_index: place.index.get(),
        root,
        bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
    };
    home.port.call_with(node, caller, request, Some(bytes)).await.map(drop)
}
