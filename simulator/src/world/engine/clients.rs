//! Clients of a run: home, recipients, and the enemies that are no sites.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use protocol::document::Selector;
use protocol::identifier::{DatabaseName, SiteName};

use super::World;
use crate::world::cast::{Cast, sign};
use crate::world::chronicle::Authored;
use crate::world::client::{Port, Task};
use crate::world::config::Config;
use crate::world::home::{self, Home, HomeDisk, Note};
use crate::world::invariant::Fact;
use crate::world::random::{Purpose, Stream};
use crate::world::recipient::{self, Recipient, Restore};
use crate::world::report::RestoreReport;
use crate::world::trace::{NodeId, TraceEvent};
use crate::world::virtual_clock::Clock;

/// Home with its databases and writer keys.
pub(super) fn home_of(config: &Config, cast: &Cast, nodes: &Rc<BTreeMap<SiteName, NodeId>>) -> Home {
    let writers = config.databases.iter().map(|database| {
        let name = &database.name;
        (name.clone(), Rc::new(cast.writer(name, 0)))
    });
    let stream = Stream::new(config.seed, Purpose::Home, 0);
    let disk = HomeDisk::new(config.databases.iter().cloned(), cast.chain.clone(), writers.collect(), stream);
    Home {
        disk: Rc::new(RefCell::new(disk)),
        port: Port::default(),
        nodes: nodes.clone(),
        sync_ms: u64::from(config.disk.sync_ms),
        clock: Clock::default(),
    }
}

impl World<'_> {
    /// Home's node comes after the sites'.
    pub(super) fn home_node(&self) -> NodeId {
        super::node_id(self.sites.len())
    }

    /// A node of its own for another client.
    pub(super) fn client_node(&mut self) -> NodeId {
        let node = NodeId(self.next_client);
        self.next_client += 1;
        node
    }

    /// Starts a program.
    pub(super) fn spawn(&mut self, node: NodeId, port: Port<Note>, program: impl Future<Output = ()> + 'static) -> u32 {
        self.next_task += 1;
        let task = self.next_task;
        self.tasks.insert(task, Task::new(node, port, program));
        self.run_task(task);
        task
    }

    pub(super) fn end_task(&mut self, task: u32) {
        self.tasks.remove(&task);
        self.calls.retain(|(of, _number)| *of != task);
        if self.home_task == Some(task) {
            self.home_task = None;
        }
    }

    /// Home publishes what is due, unless it does already.
    pub(super) fn start_home(&mut self) {
        self.home_down = false;
        self.run_home();
    }

    pub(super) fn run_home(&mut self) {
        let is_due = !self.home.disk.borrow().queue.is_empty();
        if self.home_task.is_some() || self.home_down || self.home_lost || !is_due {
            return;
        }
        let home = Home { port: Port::default(), ..self.home.clone() };
        // Known before it runs: it may end at once.
        self.home_task = Some(self.next_task + 1);
        self.spawn(self.home_node(), home.port.clone(), home::run(home));
    }

    pub(super) fn crash_home(&mut self) {
        if let Some(task) = self.home_task {
            self.end_task(task);
        }
        self.home_down = true;
        self.trace(self.home_node(), &TraceEvent::Crashed { why: "home" });
    }

    /// A quorum signs an order, and its recipient restores.
    pub(super) fn restore(&mut self, database: &DatabaseName, selector: Selector) -> Option<NodeId> {
        let recipient = Rc::new(Recipient::new(&mut self.recipients));
        let state = self.cast.chain.state();
        let order = recipient.order(state, database, selector, self.now, &mut self.recipients);
        let signed = match sign(order, self.cast.deciding()) {
            Ok(signed) => signed,
            Err(why) => {
                self.note_failed_restore(database, why);
                return None;
            }
        };
        self.chronicle.orders.insert(signed.digest(), signed.document().clone());
        let port = Port::default();
        let restore = Restore {
            recipient,
            order: signed,
            database: database.clone(),
            chain: self.cast.chain.clone(),
            nodes: self.home.nodes.clone(),
            port: port.clone(),
            comes_back: self.recipients.chance(0.3),
        };
        let node = self.client_node();
        self.spawn(node, port, recipient::run(restore));
        Some(node)
    }

    fn note_failed_restore(&mut self, database: &DatabaseName, why: String) {
        let (database, ended_ms) = (database.to_string(), self.now.as_ms());
        self.restores.push(RestoreReport { database, sequence: None, ended_ms, took_ms: None, why: Some(why) });
    }

    /// What a client says.
    pub(super) fn take_note(&mut self, node: NodeId, note: Note) {
        self.trace(node, &TraceEvent::Said(format!("{note:?}")));
        match &note {
            Note::Signed { database, sequence, manifest, plaintext, begun } => {
                let authored = Authored { plaintext: *plaintext, begun: *begun, durable_at: None };
                self.chronicle.authored.insert(*manifest, authored);
                self.chronicle.places.insert(*manifest, (database.clone(), *sequence));
            }
            Note::Published { manifest, durable, .. } => {
                self.reach(if *durable { "a snapshot was durable" } else { "a snapshot was not durable" });
                if let Some(authored) = self.chronicle.authored.get_mut(manifest).filter(|_| *durable) {
                    authored.durable_at.get_or_insert(self.now);
                }
            }
            Note::Forked { .. } => self.reach("home found a fork"),
            Note::Restored { database, sequence, manifest, plaintext, begun } => {
                let expected = self.chronicle.authored.get(manifest).map(|authored| authored.plaintext);
                if expected.is_some_and(|expected| expected != *plaintext) {
                    let why = format!("{database} {sequence} was restored to something else than it was");
                    let broken = super::Broken { invariant: "integrity", node: None, why };
                    self.broken.get_or_insert(broken);
                }
                if self.chronicle.is_suspicious(manifest) == Some(true) {
                    let why = format!("{database} {sequence}, which home found suspicious, was restored as the latest");
                    self.broken.get_or_insert(super::Broken { invariant: "quarantine", node: None, why });
                }
                self.reach("a restore succeeded");
                self.ending.note_restore(node, None);
                let took_ms = Some(self.now.as_ms() - begun.as_ms());
                let (database, sequence, ended_ms) = (database.to_string(), Some(*sequence), self.now.as_ms());
                self.restores.push(RestoreReport { database, sequence, ended_ms, took_ms, why: None });
            }
            Note::RestoreFailed { database, why } => {
                self.reach("a restore failed");
                self.ending.note_restore(node, Some(&format!("{database}: {why}")));
                self.note_failed_restore(database, why.clone());
            }
            Note::Reached(what) => self.reach(what),
            Note::Said(_) => {}
        }
        self.facts.push_back((node, Fact::Noted(note)));
    }
}
