//! The thread that owns the machines and carries out what they say, in order.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use protocol::catalog;
use protocol::document::CharterChain;
use protocol::evidence::ShardName;
use protocol::host::{Input, Machines, Pace};
use protocol::machine::{Announcement, Output, Record, RecordKind, SiteKeys, Ticket};
use protocol::repair;
use protocol::retention;
use protocol::signature::{PublicKey, Signed};
use protocol::timestamp::Timestamp;
use protocol::wire::access::{self, Caller};
use protocol::wire::{Refusal, RefusalCode, Response};
use shard_codec::Digest;
use tokio::sync::{mpsc, oneshot};

use super::work::Work;
use crate::machine_state::{self, MachineState};
use crate::redb_file::RedbFileError;
use crate::shard_store::collect::Collected;
use crate::shard_store::{ShardStore, StoredShard};
use crate::{clock, entropy};

/// Inputs that may wait; a peer that sends more waits for its turn.
const QUEUE: usize = 256;
/// How often the machines are told that time has passed.
const TICK: std::time::Duration = std::time::Duration::from_secs(1);

/// Why the machines do not start.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The state file.
    #[error(transparent)]
    State(#[from] RedbFileError),
    /// The charter could not be kept.
    #[error(transparent)]
    Append(#[from] machine_state::AppendError),
    /// The state file holds something else than what was put there.
    #[error(
        "the state file does not replay ({kind:?}): {reason}; restore this site's directory or have the site replaced"
    )]
    Replay {
        /// The kind of record.
        kind: RecordKind,
        /// What is wrong.
        reason: String,
    },
    /// The charter given does not go with the one this site began with.
    #[error("this site belongs to another state or history: {0}")]
    Charter(#[from] protocol::document::CharterError),
    /// No thread to be had.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

type Reply = oneshot::Sender<Result<Response, Refusal>>;

struct Job {
    make: Box<dyn FnOnce(Ticket) -> Input + Send>,
    reply: Option<Reply>,
}

/// Handle to the thread; cheap to clone.
#[derive(Clone)]
pub struct Driver {
    machines: Arc<RwLock<Machines>>,
    jobs: mpsc::Sender<Job>,
}

impl Driver {
    /// Replays the state file at `path` and starts the thread. `charters` founds a new state file, and extends an
    /// old one.
    ///
    /// # Errors
    /// As [`DriverError`].
    pub fn start(
        path: &Path,
        charters: CharterChain,
        keys: Arc<SiteKeys>,
        store: ShardStore,
        pace: Pace,
    ) -> Result<(Self, Outlets), DriverError> {
        let state = MachineState::open(path)?;
        let machines = replay(&state, charters, pace)?;
        let machines = Arc::new(RwLock::new(machines));
        let (jobs, receive_jobs) = mpsc::channel(QUEUE);
        let (announce, announcements) = mpsc::channel(QUEUE * 4);
        let (work, receive_work) = mpsc::unbounded_channel();
        let worker = Worker { machines: machines.clone(), state, keys, store, announce, work };
        let builder = std::thread::Builder::new().name("machines".to_owned());
        let run = move || {
            // Without its machines a site would go on answering from what it knew: it must not.
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| worker.run(receive_jobs))).is_err() {
                tracing::error!("a machine failed: stopping, nothing was acknowledged");
                std::process::exit(crate::exit_code::ExitCode::Unexpected.number().into());
            }
        };
        drop(builder.spawn(run).map_err(DriverError::Thread)?);
        Ok((Self { machines, jobs }, Outlets { announcements, work: receive_work }))
    }

    /// Looks at the machines. What is seen is on disk already.
    pub fn read<R>(&self, look: impl FnOnce(&Machines) -> R) -> R {
        look(&self.machines.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What `key` is to this site now.
    #[must_use]
    pub fn identify(&self, key: PublicKey) -> Caller {
        let now = Timestamp::from_unix_ms(clock::now_ms());
        self.read(|machines| access::identify(machines.catalog.charter(), key, machines.release.ordered_for(key, now)))
    }

    /// Gives an input to the machines that nobody waits for.
    pub async fn tell(&self, input: Input) {
        // A thread that is gone has said why; nothing waits here.
        let _stopped = self.jobs.send(Job { make: Box::new(move |_ticket| input), reply: None }).await;
    }

    /// Lets time pass for the machines, for ever.
    pub(super) async fn keep_time(self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.tell(Input::Tick).await;
        }
    }

    /// Gives an input to the machines and waits for the answer.
    ///
    /// # Errors
    /// What the machine refuses; `Internal` when the thread is gone.
    pub async fn ask(&self, make: impl FnOnce(Ticket) -> Input + Send + 'static) -> Result<Response, Refusal> {
        let stopped = || Refusal::new(RefusalCode::Internal, "the site is shutting down");
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job { make: Box::new(make), reply: Some(reply) }).await.map_err(|_closed| stopped())?;
        answer.await.map_err(|_dropped| stopped())?
    }
}

/// What comes out of the machines besides answers.
pub struct Outlets {
    /// Documents for the other sites.
    pub announcements: mpsc::Receiver<Announcement>,
    /// Things to do beside the loop.
    pub work: mpsc::UnboundedReceiver<Work>,
}

fn replay(state: &MachineState, charters: CharterChain, pace: Pace) -> Result<Machines, DriverError> {
    let broken = |kind, reason: String| DriverError::Replay { kind, reason };
    let stored = state.load(machine_state::RecordKind::Charter)?;
    let mut chain = match stored.first() {
        None => charters.clone(),
        Some((_key, genesis)) => {
            let genesis = Signed::decode(genesis).map_err(|error| broken(RecordKind::Charter, error.to_string()))?;
            CharterChain::found(genesis, Some(charters.state()))?
        }
    };
    for (_key, bytes) in stored.iter().skip(1) {
        let next = Signed::decode(bytes).map_err(|error| broken(RecordKind::Charter, error.to_string()))?;
        chain.extend(next)?;
    }
    for charter in charters.iter().skip(1) {
        chain.extend(charter.clone())?;
    }
    for charter in chain.iter() {
        let (key, value) = (charter.document().version.to_be_bytes(), charter.encode());
        let record = machine_state::Record { kind: machine_state::RecordKind::Charter, key: &key, value: &value };
        if stored.len() < usize::try_from(charter.document().version).unwrap_or(usize::MAX) {
            state.append(&[record])?;
        }
    }
    let mut machines = Machines::new(chain, pace);
    // The charters are here already.
    for kind in RecordKind::REPLAY_ORDER.into_iter().filter(|kind| *kind != RecordKind::Charter) {
        for (key, value) in state.load(stored_kind(kind))? {
            machines.replay(&Record { kind, key, value }).map_err(|reason| broken(kind, reason))?;
        }
    }
    Ok(machines)
}

const fn stored_kind(kind: RecordKind) -> machine_state::RecordKind {
    match kind {
        RecordKind::Charter => machine_state::RecordKind::Charter,
        RecordKind::Manifest => machine_state::RecordKind::Manifest,
        RecordKind::Share => machine_state::RecordKind::Share,
        RecordKind::Receipt => machine_state::RecordKind::Receipt,
        RecordKind::Order => machine_state::RecordKind::Order,
        RecordKind::Notice => machine_state::RecordKind::Notice,
        RecordKind::Fork => machine_state::RecordKind::Fork,
        RecordKind::Inventory => machine_state::RecordKind::Inventory,
        RecordKind::AuditReport => machine_state::RecordKind::AuditReport,
        RecordKind::Fault => machine_state::RecordKind::Fault,
        RecordKind::Epoch => machine_state::RecordKind::Epoch,
        RecordKind::Agreement => machine_state::RecordKind::Agreement,
        RecordKind::Expiry => machine_state::RecordKind::Expiry,
        RecordKind::Retention => machine_state::RecordKind::Retention,
        RecordKind::Veto => machine_state::RecordKind::Veto,
    }
}

struct Worker {
    machines: Arc<RwLock<Machines>>,
    state: MachineState,
    keys: Arc<SiteKeys>,
    store: ShardStore,
    announce: mpsc::Sender<Announcement>,
    /// Unbounded here, because the machines bound it: one question a site, a few repairs.
    work: mpsc::UnboundedSender<Work>,
}

impl Worker {
    fn run(self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(job) = jobs.blocking_recv() {
            // One job at a time, handled to its end: one ticket is enough.
            let mut reply = job.reply;
            self.step((job.make)(Ticket(0)), &mut reply);
        }
    }

    /// Handles one input to its end. The write lock is held until what was decided is on disk, so that no reader
    /// sees more than a restart would bring back.
    fn step(&self, input: Input, reply: &mut Option<Reply>) {
        // Time passes from the first moment on; the fault is to come with a request.
        #[cfg(feature = "test-hooks")]
        if !matches!(input, Input::Tick) {
            crate::fault_point::FaultPoint::Machines.panic();
        }
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut machines = self.machines.write().unwrap_or_else(PoisonError::into_inner);
            let now = Timestamp::from_unix_ms(clock::now_ms());
            let outputs = machines.handle(now, input, &self.keys, &mut entropy::rng());
            self.persist(&outputs);
            drop(machines);
            for output in outputs {
                inputs.extend(self.carry_out(output, reply));
            }
        }
    }

    /// Failing to persist stops the process: its memory would know more than its disk.
    fn persist(&self, outputs: &[Output]) {
        let records: Vec<machine_state::Record<'_>> = (outputs.iter())
            .filter_map(|output| match output {
                Output::Persist(record) => {
                    let kind = stored_kind(record.kind);
                    Some(machine_state::Record { kind, key: &record.key, value: &record.value })
                }
                Output::CheckShards { .. }
                | Output::Sweep { .. }
                | Output::ListShards { .. }
                | Output::Collect { .. }
                | Output::Ask { .. }
                | Output::Repair(_)
                | Output::Announce(_)
                | Output::Reply(..)
                | Output::Report(_) => None,
            })
            .collect();
        if let Err(error) = self.state.append(&records) {
            tracing::error!(%error, "cannot keep the site's state: stopping, nothing was acknowledged");
            std::process::exit(crate::exit_code::ExitCode::LocalStorage.number().into());
        }
    }

    fn rely_on(&self, roots: Vec<Digest>) -> Vec<Digest> {
        self.store.rely_on(&roots).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read the shard index");
            roots // what cannot be checked is not promised
        })
    }

    fn missing(&self, roots: Vec<Digest>) -> Vec<Digest> {
        self.store.missing(&roots).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read the shard index");
            roots // what cannot be checked is not promised
        })
    }

    /// Shards of the store by what they were first stored for; none if the index cannot be read, or names a database that
    /// cannot be one.
    fn list(&self, after: Option<&Digest>, limit: usize) -> Vec<ShardName> {
        let listed = self.store.indexed(after, limit).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read the shard index");
            Vec::new()
        });
        let name = |shard: StoredShard| {
            let StoredShard { root, database, stripe_number, shard_index, .. } = shard;
            let database = database.parse().ok()?;
            Some(ShardName { database, stripe_number, shard_index: shard_index.get(), root })
        };
        listed.into_iter().filter_map(name).collect()
    }

    fn work(&self, work: Work) {
        // Whoever does the work is gone only when the site stops.
        let _stopping = self.work.send(work);
    }

    fn carry_out(&self, output: Output, reply: &mut Option<Reply>) -> Option<Input> {
        match output {
            Output::Persist(_) => {}
            Output::CheckShards { ticket, roots } => {
                let missing = self.rely_on(roots);
                return Some(Input::Catalog(catalog::Input::ShardsChecked { ticket, missing }));
            }
            Output::Sweep { ticket, roots } => {
                let missing = self.missing(roots);
                return Some(Input::Repair(repair::Input::Swept { ticket, missing }));
            }
            Output::ListShards { ticket, after, limit } => {
                let shards = self.list(after.as_ref(), limit);
                return Some(Input::Retention(retention::Input::Listed { ticket, shards }));
            }
            Output::Collect { unreferenced, referenced, at, grace_ms } => {
                match self.store.collect(&unreferenced, &referenced, at.unix_ms(), grace_ms) {
                    Ok(Collected { count: 0, .. }) => {}
                    Ok(Collected { count, bytes }) => {
                        tracing::info!("{count} shards ({bytes} bytes) that nothing refers to any more are removed");
                    }
                    Err(error) => tracing::error!(%error, "not all shards could be collected: the next round goes on"),
                }
            }
            Output::Ask { ticket, site, request } => self.work(Work::Ask { ticket, site, request }),
            Output::Repair(job) => self.work(Work::Repair(job)),
            Output::Announce(announcement) => {
                // A full queue loses nothing: the other sites ask for what they missed.
                if self.announce.try_send(announcement).is_err() {
                    tracing::debug!("announcement left to the next round of questions");
                }
            }
            Output::Reply(_ticket, result) => {
                if let Some(reply) = reply.take() {
                    // The peer may be gone; what was decided stands.
                    let _gone = reply.send(*result);
                }
            }
            Output::Report(event) => tracing::info!("{event}"),
        }
        None
    }
}
