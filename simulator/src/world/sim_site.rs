//! A site as its host runs it: all machines behind one queue, records and shards on a modelled disk, a conversation
//! with every other site. What the daemon of the node does with threads and sockets is done here on virtual time:
//!
//! - one input at a time; what it persists is one transaction, and nothing else is done until that is synced,
//! - then its outputs are carried out in order,
//! - reading waits its turn, so no peer sees more than a restart would bring back.

mod conversation;
mod mend;
mod reached;
mod serve;
mod work;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use protocol::catalog;
use protocol::document::{AuditAnswer, CharterChain, Receipt};
use protocol::evidence::ShardName;
use protocol::host::{Input, Machines};
use protocol::machine::{Announcement, Event, Output, Record, RecordKind, SiteKeys};
use protocol::repair::{self, Outcome};
use protocol::retention;
use protocol::signature::{PublicKey, Signed};
use protocol::wire::{Refusal, Request, Response};
use shard_codec::Digest;

use super::adversary::Liar;
use super::config::PaceConfig;
use super::invariant::Fact;
use super::random::Stream;
use super::sim_disk::{Bytes, Disk};
use super::sim_network::{Call, Message};
use super::trace::{NodeId, TraceEvent};
use super::virtual_clock::{Clock, Time};
use conversation::Conversation;
use mend::{Mending, Purpose};
use reached::reached_by;
use work::Asking;

/// What a site does to the world.
#[derive(Debug)]
pub enum Effect {
    /// A message leaves.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Something comes back to this process at this time.
    Wake {
        /// When.
        at: Time,
        /// What.
        wake: Wake,
    },
    /// For the trace.
    Trace(TraceEvent),
    /// For the invariants.
    Fact(Fact),
    /// The process stops itself.
    Exit(&'static str),
}

/// What comes back to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The transaction is synced.
    Synced,
    /// A shard is synced.
    ShardSynced(u64),
    /// The time of a conversation has come.
    Peer(NodeId),
    /// Time passes.
    Tick,
    /// A helper has had its time.
    Helper {
        /// For which repair.
        id: u64,
        /// Which call.
        number: u64,
    },
}

/// Who waits for the outcome of a job.
#[derive(Clone, Debug)]
enum Origin {
    Caller {
        node: NodeId,
        call: Call,
        caller: PublicKey,
    },
    Conversation(NodeId),
    /// An answer to a challenge; absent if it is none.
    Audit(Option<Box<Signed<AuditAnswer>>>),
    Nobody,
}

/// Who waits for a shard to be synced.
#[derive(Debug)]
enum Write {
    Put(NodeId, Call),
    Mended { shard: ShardName, outcome: Outcome },
}

#[derive(Debug)]
enum Job {
    Serve { request: Request, body: Option<Bytes> },
    Handle(Input),
}

/// Outputs that wait for their transaction.
#[derive(Debug)]
struct Syncing {
    outputs: Vec<Output>,
    origin: Origin,
}

/// What is in memory, and gone after a crash.
#[derive(Debug)]
pub struct Process {
    /// The machines.
    pub machines: Machines,
    queue: VecDeque<(Origin, Job)>,
    syncing: Option<Syncing>,
    /// The share that the request under way asks for.
    asked: Option<Asked>,
    shard_writes: BTreeMap<u64, Write>,
    mendings: BTreeMap<u64, Mending>,
    /// Questions under way to each site, by number.
    asking: BTreeMap<(NodeId, u64), Asking>,
    /// The shard read last, and when the next is due.
    scrubbed: Option<Digest>,
    scrub_due: Time,
    conversations: BTreeMap<NodeId, Conversation>,
    charter_version: u64,
}

/// A request for a share, as the invariants want to know it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Under which order.
    pub order: Digest,
    /// Of which database.
    pub database: protocol::identifier::DatabaseName,
    /// Of which snapshot.
    pub sequence: u64,
}

/// One site.
#[derive(Debug)]
pub struct SimSite {
    /// Its node.
    pub node: NodeId,
    /// Its keys.
    pub keys: Rc<SiteKeys>,
    /// Its disk.
    pub disk: Disk,
    /// Its clock.
    pub clock: Clock,
    /// What runs, unless it is down.
    pub process: Option<Process>,
    /// Counts starts: what was under way in an earlier life does not come back.
    pub incarnation: u32,
    /// If its operator lies.
    pub liar: Option<Liar>,
    /// Gone for ever.
    pub lost: bool,
    /// The charters its operator gave it.
    founding: CharterChain,
    /// Node of every site by name.
    nodes: Rc<BTreeMap<protocol::identifier::SiteName, NodeId>>,
    stream: Stream,
    sync_us: u64,
    timeout_ms: u64,
    next_call: u64,
    next_write: u64,
    next_mending: u64,
    pace: PaceConfig,
}

/// What a site is made of.
#[derive(Debug)]
pub struct SiteParts {
    /// Its node.
    pub node: NodeId,
    /// Its keys.
    pub keys: Rc<SiteKeys>,
    /// The charters its operator gave it.
    pub founding: CharterChain,
    /// Node of every site by name.
    pub nodes: Rc<BTreeMap<protocol::identifier::SiteName, NodeId>>,
    /// Its entropy.
    pub stream: Stream,
    /// Its clock.
    pub clock: Clock,
    /// From writing to fsync done.
    pub sync_us: u64,
    /// A caller gives up after this.
    pub timeout_ms: u64,
    /// How often it looks after what it holds.
    pub pace: PaceConfig,
}

impl SimSite {
    /// A site that has not started yet.
    #[must_use]
    pub fn new(parts: SiteParts) -> Self {
        let SiteParts { node, keys, founding, nodes, stream, clock, sync_us, timeout_ms, pace } = parts;
        Self {
            node,
            keys,
            disk: Disk::new(),
            clock,
            process: None,
            incarnation: 0,
            liar: None,
            lost: false,
            founding,
            nodes,
            stream,
            sync_us,
            timeout_ms,
            next_call: 0,
            next_write: 0,
            next_mending: 0,
            pace,
        }
    }

    /// Its operator gives it a newer chain before its first start.
    pub fn give_charters(&mut self, chain: CharterChain) {
        self.founding = chain;
    }

    /// Whether it does what it should.
    #[must_use]
    pub const fn is_honest(&self) -> bool {
        self.liar.is_none()
    }

    /// Puts the machines together again from the records, as a start does.
    ///
    /// # Errors
    /// A record does not fit: the site does not start any more.
    pub fn replayed(&self) -> Result<Machines, String> {
        let mut machines = Machines::new(self.founding.clone(), self.pace.machines());
        for kind in RecordKind::REPLAY_ORDER {
            for (key, value) in self.disk.records(kind) {
                let record = Record { kind, key: key.to_vec(), value: value.to_vec() };
                machines.replay(&record).map_err(|why| format!("{kind:?}: {why}"))?;
            }
        }
        Ok(machines)
    }

    /// Starts the process.
    ///
    /// # Errors
    /// Its records do not replay.
    pub fn start(&mut self, now: Time, out: &mut Vec<Effect>) -> Result<(), String> {
        if self.process.is_some() || self.lost {
            return Ok(());
        }
        let machines = self.replayed()?;
        self.incarnation += 1;
        self.process = Some(Process {
            machines,
            queue: VecDeque::new(),
            syncing: None,
            asked: None,
            shard_writes: BTreeMap::new(),
            mendings: BTreeMap::new(),
            asking: BTreeMap::new(),
            scrubbed: None,
            scrub_due: now,
            conversations: BTreeMap::new(),
            charter_version: 0,
        });
        out.push(Effect::Trace(TraceEvent::Started));
        out.push(Effect::Fact(Fact::Started));
        self.follow_charter(now, out);
        self.begin_ticking(now, out);
        Ok(())
    }

    /// The process dies; what was not synced is there or not.
    pub fn crash(&mut self, torn: f64, stream: &mut Stream, why: &'static str, out: &mut Vec<Effect>) {
        if self.process.take().is_some() {
            let synced = self.disk.crash(torn, stream);
            out.push(Effect::Trace(TraceEvent::Crashed { why }));
            // The site will find it on its disk: whoever judges must know of it as of everything else that is there.
            if !synced.is_empty() {
                out.push(Effect::Fact(Fact::Synced(synced)));
            }
            out.push(Effect::Fact(Fact::Crashed));
        }
    }

    /// Something that the process waited for.
    pub fn wake(&mut self, now: Time, wake: Wake, out: &mut Vec<Effect>) {
        match wake {
            Wake::Synced => self.synced(now, out),
            Wake::ShardSynced(write) => self.shard_synced(write, out),
            Wake::Peer(peer) => self.peer_time(now, peer, out),
            Wake::Tick => self.tick(now, out),
            Wake::Helper { id, number } => self.helper_is_late(now, id, number, out),
        }
        self.run(now, out);
    }

    /// A message arrives.
    pub fn receive(&mut self, now: Time, from: NodeId, message: Message, out: &mut Vec<Effect>) {
        let Some(process) = &mut self.process else { return };
        match message {
            Message::Request { call, caller, request, body } => {
                let origin = Origin::Caller { node: from, call, caller };
                process.queue.push_back((origin, Job::Serve { request, body }));
            }
            Message::Response { call, response, body } => {
                if let Some(asking) = self.asked_by(from, call.number) {
                    self.challenged_answers(asking, response);
                } else if let Some(id) = self.mending_of(call.number) {
                    self.helper_answers(now, id, call.number, (response, body), out);
                } else {
                    self.peer_answers(now, from, call, response, out);
                }
            }
        }
        self.run(now, out);
    }

    /// An operator hands over a document, as with `legation site adopt`.
    pub fn hand_over(&mut self, now: Time, announcement: Announcement, out: &mut Vec<Effect>) {
        if let Some(process) = &mut self.process {
            process.queue.push_back((Origin::Nobody, Job::Handle(Input::announced(None, announcement))));
        }
        self.run(now, out);
    }

    /// Sends documents to all others, as a site does that means ill.
    pub fn send_around(&mut self, now: Time, documents: Vec<Announcement>, out: &mut Vec<Effect>) {
        documents.into_iter().for_each(|document| self.announce(now, document, out));
    }

    /// Inputs that wait, and shards being written.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        self.process.as_ref().map_or((0, 0), |process| (process.queue.len(), process.shard_writes.len()))
    }

    /// Works through the queue until something must be waited for.
    fn run(&mut self, now: Time, out: &mut Vec<Effect>) {
        while let Some(process) = &mut self.process
            && process.syncing.is_none()
            && let Some((origin, job)) = process.queue.pop_front()
        {
            match job {
                Job::Serve { request, body } => self.serve(now, origin, request, body, out),
                Job::Handle(input) => self.handle(now, origin, input, out),
            }
        }
    }

    /// Gives an input to the machines and begins the transaction that they ask for.
    fn handle(&mut self, now: Time, origin: Origin, input: Input, out: &mut Vec<Effect>) {
        let Some(process) = &mut self.process else { return };
        let outputs = process.machines.handle(self.clock.read(now), input, &self.keys, self.stream.crypto());
        out.push(Effect::Fact(Fact::Handled { outputs: outputs.len() }));
        if let Origin::Audit(Some(answer)) = &origin {
            out.push(Effect::Fact(Fact::Judged(answer.clone())));
        }
        let records: Vec<Record> = (outputs.iter())
            .filter_map(|output| if let Output::Persist(record) = output { Some(record.clone()) } else { None })
            .collect();
        if records.is_empty() {
            return self.carry_out(now, origin, outputs, out);
        }
        if !self.disk.begin(records) {
            process.queue.clear(); // nothing more is done on what is not kept
            return out.push(Effect::Exit("cannot keep the site's state: disk full"));
        }
        let at = now.plus_us(self.sync_us * self.disk.slowness);
        out.push(Effect::Wake { at, wake: Wake::Synced });
        #[cfg(feature = "planted-bugs")]
        if protocol::planted::is_planted(protocol::planted::Bug::ReplyBeforeSync) {
            process.syncing = Some(Syncing { outputs: Vec::new(), origin: Origin::Nobody });
            return self.carry_out(now, origin, outputs, out);
        }
        process.syncing = Some(Syncing { outputs, origin });
    }

    fn synced(&mut self, now: Time, out: &mut Vec<Effect>) {
        let Some(Syncing { outputs, origin }) = self.process.as_mut().and_then(|p| p.syncing.take()) else {
            return;
        };
        let records = match self.disk.sync() {
            Ok(records) => records,
            Err(record) => {
                out.push(Effect::Fact(Fact::Conflict(record)));
                return out.push(Effect::Exit("a record exists with other bytes"));
            }
        };
        out.push(Effect::Trace(TraceEvent::synced(&records)));
        out.push(Effect::Fact(Fact::Synced(records)));
        self.carry_out(now, origin, outputs, out);
    }

    /// Carries out what the machines said, in order.
    fn carry_out(&mut self, now: Time, origin: Origin, outputs: Vec<Output>, out: &mut Vec<Effect>) {
        let mut next = Vec::new();
        for output in outputs {
            match output {
                Output::Persist(_) => {}
                Output::CheckShards { ticket, roots } => {
                    let missing = roots.into_iter().filter(|root| !self.disk.rely_on(root)).collect();
                    next.push(Input::Catalog(catalog::Input::ShardsChecked { ticket, missing }));
                }
                Output::Sweep { ticket, roots } => {
                    let hides = self.liar.as_ref().is_some_and(|liar| liar.hides(now));
                    let missing = roots.into_iter().filter(|root| !hides && !self.disk.claims(root)).collect();
                    next.push(Input::Repair(repair::Input::Swept { ticket, missing }));
                }
                Output::ListShards { ticket, after, limit } => {
                    let shards = self.disk.listed(after.as_ref(), limit);
                    next.push(Input::Retention(retention::Input::Listed { ticket, shards }));
                }
                Output::Collect { unreferenced, referenced, at, grace_ms } => {
                    let removed = self.disk.collect(&unreferenced, &referenced, at, grace_ms);
                    out.extend(removed.then_some(Effect::Fact(Fact::Reached("shards were collected"))));
                }
                Output::Ask { ticket, site, request } => self.ask(ticket, &site, *request, out),
                Output::Repair(job) => self.mend(now, job, Purpose::Store, out),
                Output::Announce(announcement) => self.announce(now, announcement, out),
                Output::Reply(_ticket, result) => self.finish(now, &origin, *result, out),
                Output::Report(event) => {
                    out.extend(reached_by(&event).map(|what| Effect::Fact(Fact::Reached(what))));
                    if !matches!(event, Event::Refused { .. }) {
                        out.push(Effect::Trace(TraceEvent::Said(event.to_string())));
                    }
                }
            }
        }
        self.follow_charter(now, out);
        // Before anything that waits: the first at once, and those after it in their turn.
        let mut next = next.into_iter();
        let first = next.next();
        if let Some(process) = &mut self.process {
            next.rev().for_each(|input| process.queue.push_front((Origin::Nobody, Job::Handle(input))));
        }
        if let Some(input) = first {
            self.handle(now, origin, input, out);
        }
    }

    /// Tells who waits.
    fn finish(&mut self, now: Time, origin: &Origin, result: Result<Response, Refusal>, out: &mut Vec<Effect>) {
        match *origin {
            Origin::Caller { node, call, caller } => {
                let response = result.unwrap_or_else(Response::Refused);
                self.respond(node, call, caller, response, None, out);
            }
            Origin::Conversation(peer) => self.told(now, peer, result.map(drop), out),
            Origin::Audit(_) | Origin::Nobody => {
                out.extend(result.err().map(|refusal| Effect::Fact(Fact::Refused(refusal.code))));
            }
        }
    }

    fn announce(&mut self, now: Time, announcement: Announcement, out: &mut Vec<Effect>) {
        if let Announcement::Receipt(bytes) = &announcement
            && let Ok(receipt) = Signed::<Receipt>::decode(bytes)
            && receipt.document().site == self.keys.name
        {
            out.push(Effect::Fact(Fact::ReceiptLeft(receipt)));
        }
        let Some(process) = &mut self.process else { return };
        let peers: Vec<NodeId> = process.conversations.keys().copied().collect();
        for peer in peers {
            self.news(now, peer, announcement.clone(), out);
        }
    }
}
