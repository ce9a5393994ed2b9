//! The loop of a run: takes the next event, gives it to whom it is for, carries out what comes back.

mod clients;
mod ending;
mod fault;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use protocol::wire::RefusalCode;

use super::cast::Cast;
use super::chronicle::Chronicle;
use super::client::{Task, Want};
use super::config::{Action, Config, ConfigError, Happening};
use super::debugger::SiteView;
use super::event_queue::EventQueue;
use super::home::{Home, Note};
use super::invariant::{Broken, Fact, Invariants, Opened, Scene};
use super::random::{Purpose, Stream};
use super::report::{Report, RestoreReport, Violation};
use super::sim_network::{Call, Fate, Message, Network, Owner};
use super::sim_site::{Effect, SimSite, SiteParts, Wake};
use super::trace::{NodeId, Trace, TraceEvent, name_of_response};
use super::virtual_clock::{Clock, Time};

/// Looks at a run while it goes on.
pub trait Observer {
    /// One line of the trace.
    fn line(&mut self, _at: Time, _node: NodeId, _event: &TraceEvent) {}

    /// Whether [`Observer::changed`] is wanted; costs much.
    fn wants_views(&self) -> bool {
        false
    }

    /// A site's state before and after an event that changed it.
    fn changed(&mut self, _at: Time, _node: NodeId, _before: &SiteView, _after: &SiteView) {}
}

/// Looks away.
impl Observer for () {}

/// Something that will happen.
#[derive(Debug)]
enum Event {
    Deliver { from: NodeId, to: NodeId, message: Message },
    Wake { site: NodeId, incarnation: u32, wake: Wake },
    TaskWake { task: u32, number: u64 },
    TaskTimeout { task: u32, number: u64 },
    Action(usize),
    StartSite(NodeId),
    StartHome,
    EndFullDisk(NodeId),
    EndSlowDisk(NodeId),
    Replay(NodeId),
    Heal,
    LookAround,
}

/// One run.
pub(super) struct World<'a> {
    config: &'a Config,
    /// The timeline in the order of time.
    timeline: Vec<Happening>,
    now: Time,
    queue: EventQueue<Event>,
    network: Network,
    cast: Cast,
    sites: Vec<SimSite>,
    disk_streams: Vec<Stream>,
    tasks: BTreeMap<u32, Task<Note>>,
    calls: BTreeSet<(u32, u64)>,
    next_task: u32,
    next_client: u16,
    home: Home,
    home_task: Option<u32>,
    home_down: bool,
    home_lost: bool,
    adversary: Stream,
    recipients: Stream,
    chronicle: Chronicle,
    opened: Opened,
    invariants: Invariants,
    healed_at: Option<Time>,
    ending: ending::Ending,
    effects: Vec<Effect>,
    facts: VecDeque<(NodeId, Fact)>,
    trace: Trace,
    messages: u64,
    sent_bytes: u64,
    restores: Vec<RestoreReport>,
    reached: BTreeMap<&'static str, u64>,
    broken: Option<Broken>,
    observer: &'a mut dyn Observer,
}

/// Runs `config` to its end, or to the first invariant that does not hold.
///
/// # Errors
/// The config cannot be run.
pub fn run(config: &Config, observer: &mut dyn Observer) -> Result<Report, ConfigError> {
    config.validate()?;
    #[cfg(feature = "planted-bugs")]
    let _planted = protocol::planted::plant(config.planted_bug);
    Ok(World::new(config, observer)?.run())
}

impl<'a> World<'a> {
    fn new(config: &'a Config, observer: &'a mut dyn Observer) -> Result<Self, ConfigError> {
        let cast = Cast::found(config)?;
        let mut timeline = config.timeline.clone();
        timeline.sort_by_key(|happening| happening.at_ms); // stable: equal times as they stand
        let nodes: BTreeMap<_, _> =
            config.sites.iter().filter_map(|site| Some((site.name.clone(), cast.node_of(&site.name)?))).collect();
        let nodes = Rc::new(nodes);
        // Home, a client for each line of the timeline, one for the last restore of each database.
        let clients = 2 + timeline.len() + config.databases.len();
        let network = Network::new(config.network, config.seed, config.sites.len() + clients);
        let home = clients::home_of(config, &cast, &nodes);
        let sites = cast.sites.iter().enumerate().map(|(index, keys)| {
            let node = NodeId(u16::try_from(index).unwrap_or(u16::MAX));
            let mut stream = Stream::new(config.seed, Purpose::Clock, index as u64);
            SimSite::new(SiteParts {
                node,
                keys: keys.clone(),
                founding: cast.chain.clone(),
                nodes: nodes.clone(),
                stream: Stream::new(config.seed, Purpose::Site, index as u64),
                clock: clock_of(config, &mut stream),
                sync_us: u64::from(config.disk.sync_ms) * 1_000,
                timeout_ms: network.timeout_ms(),
                pace: config.pace,
            })
        });
        let sites: Vec<SimSite> = sites.collect();
        let next_client = u16::try_from(sites.len() + 1).unwrap_or(u16::MAX);
        Ok(Self {
            disk_streams: (0..sites.len() as u64).map(|index| Stream::new(config.seed, Purpose::Disk, index)).collect(),
            config,
            timeline,
            now: Time::default(),
            queue: EventQueue::default(),
            network,
            cast,
            sites,
            tasks: BTreeMap::new(),
            calls: BTreeSet::new(),
            next_task: 0,
            next_client,
            home,
            home_task: None,
            home_down: false,
            home_lost: false,
            adversary: Stream::new(config.seed, Purpose::Adversary, 0),
            recipients: Stream::new(config.seed, Purpose::Recipient, 0),
            chronicle: Chronicle::default(),
            opened: Opened::default(),
            invariants: Invariants::default(),
            healed_at: None,
            ending: ending::Ending::default(),
            effects: Vec::new(),
            facts: VecDeque::new(),
            trace: Trace::default(),
            messages: 0,
            sent_bytes: 0,
            restores: Vec::new(),
            reached: BTreeMap::new(),
            broken: None,
            observer,
        })
    }

    fn run(mut self) -> Report {
        for index in 0..self.sites.len() {
            if self.config.sites.get(index).is_some_and(|site| !site.spare) {
                self.queue.push(Time::default(), Event::StartSite(node_id(index)));
            }
        }
        for line in 0..self.timeline.len() {
            let at = self.timeline.get(line).map_or(0, |happening| happening.at_ms);
            self.queue.push(Time::from_ms(at), Event::Action(line));
        }
        self.queue.push(Time::from_ms(self.config.heal_at_ms), Event::Heal);
        while self.broken.is_none() && !self.ending.is_over() {
            let Some((at, event)) = self.queue.pop() else { break };
            self.now = at;
            self.step(event);
            self.settle();
        }
        self.finish()
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Deliver { from, to, message } => self.deliver(from, to, message),
            Event::Wake { site, incarnation, wake } => {
                let lives = |site: &SimSite| site.process.is_some() && site.incarnation == incarnation;
                if self.sites.get(site.index()).is_some_and(lives) {
                    self.at_site(site, |site, now, out| site.wake(now, wake, out));
                }
            }
            Event::TaskWake { task, number } => {
                if let Some(client) = self.tasks.get(&task) {
                    client.wake(number);
                    self.run_task(task);
                }
            }
            Event::TaskTimeout { task, number } => self.give_up(task, number),
            Event::Action(line) => self.act(line),
            Event::StartSite(node) => self.start_site(node),
            Event::StartHome => self.start_home(),
            Event::EndFullDisk(node) => self.with_disk(node, |disk| disk.full = false),
            Event::EndSlowDisk(node) => self.with_disk(node, |disk| disk.slowness = 1),
            Event::Replay(node) => self.replay_old_documents(node),
            Event::Heal => self.heal(),
            Event::LookAround => self.look_around(),
        }
    }

    /// Calls a site and carries out what it wants; with an observer that wants them, shows its state before and after.
    fn at_site(&mut self, node: NodeId, call: impl FnOnce(&mut SimSite, Time, &mut Vec<Effect>)) {
        let Some(site) = self.sites.get_mut(node.index()) else { return };
        let before = self.observer.wants_views().then(|| SiteView::of(site));
        let mut effects = std::mem::take(&mut self.effects);
        call(site, self.now, &mut effects);
        if let Some(before) = before {
            let after = SiteView::of(site);
            if after != before {
                self.observer.changed(self.now, node, &before, &after);
            }
        }
        self.carry_out(node, &mut effects);
        self.effects = effects;
    }

    fn carry_out(&mut self, node: NodeId, effects: &mut Vec<Effect>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { to, message } => self.send(node, to, message),
                Effect::Wake { at, wake } => {
                    let incarnation = self.sites.get(node.index()).map_or(0, |site| site.incarnation);
                    self.queue.push(at, Event::Wake { site: node, incarnation, wake });
                }
                Effect::Trace(event) => self.trace(node, &event),
                // Judged when it leaves, not when the next event comes: the disk is as it is now.
                Effect::Fact(fact) => self.judge(node, &fact),
                Effect::Exit(why) => {
                    self.reach("a process stopped itself");
                    self.facts.push_back((node, Fact::Crashed));
                    self.stop_site(node, why);
                }
            }
        }
    }

    fn trace(&mut self, node: NodeId, event: &TraceEvent) {
        self.trace.add(self.now, node, event);
        self.observer.line(self.now, node, event);
    }

    /// Counts something that a swarm must reach now and then.
    fn reach(&mut self, what: &'static str) {
        *self.reached.entry(what).or_insert(0) += 1;
    }

    fn scene(&self) -> Scene<'_> {
        Scene {
            now: self.now,
            config: self.config,
            cast: &self.cast,
            sites: &self.sites,
            chronicle: &self.chronicle,
            opened: &self.opened,
            events_waiting: self.queue.len(),
        }
    }

    /// Shows one fact to the invariants.
    fn judge(&mut self, node: NodeId, fact: &Fact) {
        match fact {
            Fact::Synced(records) => self.chronicle.read(records),
            Fact::Refused(code) => self.reach(name_of_refusal(*code)),
            Fact::ShareLeft { .. } => self.reach("a share was released"),
            Fact::Reached(what) => return self.reach(what),
            Fact::Judged(_) => self.reach("an audit was answered"),
            Fact::Mended(shard) => drop(self.chronicle.rotted.remove(&(node, shard.root))),
            Fact::Started
            | Fact::Crashed
            | Fact::Struck
            | Fact::Emptied { .. }
            | Fact::Ticked
            | Fact::ColumnsLeft { .. }
            | Fact::BlindedLeft { .. }
            | Fact::AnswerLeft(_)
            | Fact::Handled { .. }
            | Fact::Conflict(_)
            | Fact::ReceiptLeft(_)
            | Fact::Noted(_) => {}
        }
        if self.broken.is_some() {
            return;
        }
        let mut invariants = std::mem::take(&mut self.invariants);
        self.broken = invariants.observe(&self.scene(), node, fact).err();
        self.invariants = invariants;
    }

    /// Facts of the world itself, after the event that brought them.
    fn settle(&mut self) {
        while let Some((node, fact)) = self.facts.pop_front() {
            self.judge(node, &fact);
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: Message) {
        let bytes = message.bytes();
        self.sent_bytes += bytes;
        let message = if self.config.encode_messages {
            match message.through_the_wire() {
                Ok(message) => message,
                Err(why) => {
                    self.broken = Some(Broken { invariant: "wire", node: Some(from), why });
                    return;
                }
            }
        } else {
            message
        };
        match self.network.route(self.now, from, to, bytes) {
            Fate::Arrives(at, None) => self.queue.push(at, Event::Deliver { from, to, message }),
            Fate::Arrives(at, Some(again)) => {
                self.reach("a message arrived twice");
                self.queue.push(at, Event::Deliver { from, to, message: message.clone() });
                self.queue.push(again, Event::Deliver { from, to, message });
            }
            Fate::Lost(why) => {
                self.reach(why);
                self.trace(from, &TraceEvent::Dropped { to, why });
            }
        }
    }

    fn deliver(&mut self, from: NodeId, to: NodeId, message: Message) {
        let is_down = self.sites.get(to.index()).is_some_and(|site| site.process.is_none());
        if is_down {
            return self.trace(from, &TraceEvent::Dropped { to, why: "down" });
        }
        self.messages += 1;
        let bytes = message.bytes();
        let event = match &message {
            Message::Request { request, .. } => TraceEvent::Asked { from, what: request.name(), bytes },
            Message::Response { response, .. } => {
                TraceEvent::Answered { from, what: name_of_response(response), bytes }
            }
        };
        self.trace(to, &event);
        if to.index() < self.sites.len() {
            return self.at_site(to, |site, now, out| site.receive(now, from, message, out));
        }
        if let Message::Response { call: Call { owner: Owner::Task(task), number }, response, body } = message
            && self.calls.remove(&(task, number))
            && let Some(client) = self.tasks.get(&task)
        {
            client.answer(number, Ok((response, body)));
            self.run_task(task);
        }
    }

    /// Lets a client run and carries out what it wants.
    fn run_task(&mut self, task: u32) {
        let mut wants = Vec::new();
        let Some(client) = self.tasks.get_mut(&task) else { return };
        let (node, progress) = (client.node, client.run(self.now, &mut wants));
        for want in wants {
            match want {
                Want::Call { number, to, caller, request, body } => {
                    self.calls.insert((task, number));
                    let call = Call { owner: Owner::Task(task), number };
                    self.send(node, to, Message::Request { call, caller, request: *request, body });
                    let at = self.now.plus_ms(self.network.timeout_ms());
                    self.queue.push(at, Event::TaskTimeout { task, number });
                }
                Want::Sleep { number, until } => self.queue.push(until, Event::TaskWake { task, number }),
                Want::Note(note) => self.take_note(node, note),
            }
        }
        if progress == super::client::Progress::Ended {
            self.end_task(task);
        }
    }

    fn give_up(&mut self, task: u32, number: u64) {
        if !self.calls.remove(&(task, number)) {
            return;
        }
        if let Some(client) = self.tasks.get(&task) {
            client.answer(number, Err(super::client::CallError::Unreachable));
            let node = client.node;
            self.trace(node, &TraceEvent::TimedOut);
            self.run_task(task);
        }
    }

    fn site_name(&self, node: NodeId) -> Option<String> {
        self.cast.name_of(node).map(ToString::to_string)
    }

    fn violation(&self) -> Option<Violation> {
        self.broken.as_ref().map(|broken| Violation {
            invariant: broken.invariant.to_owned(),
            site: broken.node.and_then(|node| self.site_name(node)),
            at_ms: self.now.as_ms(),
            line: self.trace.lines(),
            why: broken.why.clone(),
        })
    }
}

fn node_id(index: usize) -> NodeId {
    NodeId(u16::try_from(index).unwrap_or(u16::MAX))
}

fn clock_of(config: &Config, stream: &mut Stream) -> Clock {
    let mut either_way = |max: u32| {
        let drawn = stream.below(2 * u64::from(max) + 1);
        i64::try_from(drawn).unwrap_or(0) - i64::from(max)
    };
    let offset_ms = either_way(config.clock.offset_ms_max);
    Clock { offset_ms, drift_ppm: either_way(config.clock.drift_ppm_max) }
}

const fn name_of_refusal(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::Malformed => "refused: malformed",
        RefusalCode::NotAllowed => "refused: not allowed",
        RefusalCode::NotFound => "refused: not found",
        RefusalCode::Order => "refused: order",
        RefusalCode::Charter => "refused: charter",
        RefusalCode::Manifest => "refused: manifest",
        RefusalCode::Share => "refused: share",
        RefusalCode::Fork => "refused: fork",
        RefusalCode::Behind => "refused: behind",
        RefusalCode::DiskFull => "refused: disk full",
        RefusalCode::Quota => "refused: quota",
        RefusalCode::Corrupt => "refused: corrupt",
        RefusalCode::Busy => "refused: busy",
        RefusalCode::Internal => "refused: internal",
    }
}

/// The kind of a line, for counting.
const fn name_of_action(action: &Action) -> &'static str {
    match action {
        Action::Publish { .. } => "publish",
        Action::Restore { .. } => "restore",
        Action::Replace { .. } => "replace",
        Action::ReplaceWriter { .. } => "replace-writer",
        Action::TurnCustodians { .. } => "turn-custodians",
        Action::Crash { .. } => "crash",
        Action::CrashHome { .. } => "crash-home",
        Action::LoseHome => "lose-home",
        Action::Lose { .. } => "lose",
        Action::Partition { .. } => "partition",
        Action::OneWay { .. } => "one-way",
        Action::Rot { .. } => "rot",
        Action::Empty { records: false, .. } => "empty",
        Action::Empty { records: true, .. } => "empty-with-records",
        Action::FullDisk { .. } => "full-disk",
        Action::SlowDisk { .. } => "slow-disk",
        Action::StepClock { .. } => "step-clock",
        Action::Lie { .. } => "lie",
        Action::Copy { .. } => "copy",
        Action::StealWriter { .. } => "steal-writer",
        Action::CaptureOfficials { .. } => "capture-officials",
    }
}
