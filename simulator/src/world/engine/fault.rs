//! Carrying out the lines of the timeline: work, faults, enemies.

use std::collections::BTreeSet;

use protocol::document::{Selector, SiteState, Succession};
use protocol::identifier::{DatabaseName, SiteName};
use protocol::machine::Announcement;
use protocol::signature::Signed;

use super::{Event, World, name_of_action};
use crate::world::adversary::Liar;
use crate::world::client::Port;
use crate::world::config::{Abuse, Action, Lie, Theft};
use crate::world::enemy::{self, Captors, Thief};
use crate::world::invariant::{Fact, liveness};
use crate::world::sim_disk::Disk;
use crate::world::trace::{NodeId, TraceEvent};

/// Pause between two rounds of a site that sends old documents around.
const REPLAY_EVERY_MS: u64 = 3_000;
/// A process that stopped itself is started again after this.
const RESTART_AFTER_EXIT_MS: u64 = 5_000;

impl World<'_> {
    pub(super) fn act(&mut self, line: usize) {
        let Some(action) = self.timeline.get(line).map(|happening| happening.action.clone()) else { return };
        self.reach(name_of_action(&action));
        self.trace(self.home_node(), &TraceEvent::Action { line });
        match action {
            Action::Publish { database } => self.publish(&database),
            Action::Restore { database } => drop(self.restore(&database, Selector::Latest)),
            Action::Replace { site, by } => self.replace_site(&site, &by),
            Action::ReplaceWriter { database } => self.replace_writer(&database),
            Action::TurnCustodians { database } => match self.cast.turn_custodians(&database) {
                Ok(_newest) => self.adopt(),
                Err(why) => self.trace(self.home_node(), &TraceEvent::Said(format!("the custodians stay: {why}"))),
            },
            Action::CrashHome { down_ms } => {
                self.crash_home();
                self.queue.push(self.now.plus_ms(down_ms), Event::StartHome);
            }
            Action::LoseHome => {
                self.crash_home();
                self.home_lost = true;
            }
            Action::Copy { jurisdiction } => self.copy(&jurisdiction),
            Action::StealWriter { database, theft } => self.steal_writer(&database, theft),
            Action::CaptureOfficials { count, abuse, database } => self.capture_officials(count, abuse, &database),
            Action::Crash { .. }
            | Action::Lose { .. }
            | Action::Partition { .. }
            | Action::OneWay { .. }
            | Action::Rot { .. }
            | Action::Empty { .. }
            | Action::FullDisk { .. }
            | Action::SlowDisk { .. }
            | Action::StepClock { .. }
            | Action::Lie { .. } => self.strike(action),
        }
    }

    /// Whatever happens to a site or a link.
    fn strike(&mut self, action: Action) {
        let until = |world: &Self, for_ms| world.now.plus_ms(for_ms);
        match action {
            Action::Crash { site, down_ms } => self.at_named(&site, |world, node| {
                world.stop_site(node, "power");
                world.queue.push(world.now.plus_ms(down_ms), Event::StartSite(node));
            }),
            Action::Lose { site } => self.at_named(&site, Self::lose_site),
            Action::Partition { sites, for_ms } => {
                let nodes: BTreeSet<NodeId> = sites.iter().filter_map(|site| self.cast.node_of(site)).collect();
                self.network.partition(nodes, until(self, for_ms));
            }
            Action::OneWay { from, to, for_ms } => {
                if let Some((from, to)) = self.cast.node_of(&from).zip(self.cast.node_of(&to)) {
                    self.network.cut_one_way(from, to, until(self, for_ms));
                }
            }
            Action::Rot { site, shards } => self.at_named(&site, |world, node| world.rot(node, shards)),
            Action::Empty { site, records, down_ms } => self.at_named(&site, |world, node| {
                world.empty(node, records);
                world.queue.push(world.now.plus_ms(down_ms), Event::StartSite(node));
            }),
            Action::FullDisk { site, for_ms } => self.at_named(&site, |world, node| {
                world.with_disk(node, |disk| disk.full = true);
                world.queue.push(world.now.plus_ms(for_ms), Event::EndFullDisk(node));
            }),
            Action::SlowDisk { site, factor, for_ms } => self.at_named(&site, |world, node| {
                world.with_disk(node, |disk| disk.slowness = u64::from(factor.max(1)));
                world.queue.push(world.now.plus_ms(for_ms), Event::EndSlowDisk(node));
            }),
            Action::StepClock { site, by_ms } => self.at_named(&site, |world, node| {
                if let Some(site) = world.sites.get_mut(node.index()) {
                    site.clock.offset_ms = site.clock.offset_ms.saturating_add(by_ms);
                }
            }),
            Action::Lie { site, lie, for_ms } => self.at_named(&site, |world, node| world.turn(node, lie, for_ms)),
            Action::Publish { .. }
            | Action::Restore { .. }
            | Action::Replace { .. }
            | Action::ReplaceWriter { .. }
            | Action::TurnCustodians { .. }
            | Action::CrashHome { .. }
            | Action::LoseHome
            | Action::Copy { .. }
            | Action::StealWriter { .. }
            | Action::CaptureOfficials { .. } => {}
        }
    }

    fn at_named(&mut self, site: &SiteName, then: impl FnOnce(&mut Self, NodeId)) {
        if let Some(node) = self.cast.node_of(site) {
            then(self, node);
        }
    }

    pub(super) fn with_disk(&mut self, node: NodeId, change: impl FnOnce(&mut Disk)) {
        if let Some(site) = self.sites.get_mut(node.index()) {
            change(&mut site.disk);
        }
    }

    fn publish(&mut self, database: &DatabaseName) {
        if !self.home_lost {
            self.home.disk.borrow_mut().change(database);
            self.run_home();
        }
    }

    /// Stops a process; it does not come back by itself, unless it stopped itself.
    pub(super) fn stop_site(&mut self, node: NodeId, why: &'static str) {
        let torn = self.config.disk.torn;
        let Some(stream) = self.disk_streams.get(node.index()).cloned() else { return };
        let mut stream = stream;
        self.at_site(node, |site, _now, out| site.crash(torn, &mut stream, why, out));
        if let Some(place) = self.disk_streams.get_mut(node.index()) {
            *place = stream;
        }
        if why != "power" {
            self.queue.push(self.now.plus_ms(RESTART_AFTER_EXIT_MS), Event::StartSite(node));
        }
    }

    pub(super) fn start_site(&mut self, node: NodeId) {
        let mut failed = None;
        self.at_site(node, |site, now, out| failed = site.start(now, out).err());
        if let Some(why) = failed {
            let is_honest = self.sites.get(node.index()).is_some_and(|site| site.is_honest());
            if is_honest {
                let why = format!("its records do not replay: {why}");
                self.broken.get_or_insert(super::Broken { invariant: "retention", node: Some(node), why });
            }
        }
    }

    fn lose_site(&mut self, node: NodeId) {
        self.stop_site(node, "power");
        if let Some(site) = self.sites.get_mut(node.index()) {
            site.lost = true;
        }
        self.facts.push_back((node, Fact::Struck));
    }

    fn rot(&mut self, node: NodeId, shards: u16) {
        let Some(site) = self.sites.get_mut(node.index()) else { return };
        let Some(stream) = self.disk_streams.get_mut(node.index()) else { return };
        let hit = site.disk.rot(shards, stream);
        self.chronicle.rotted.extend(hit.into_iter().map(|root| (node, root)));
        self.facts.push_back((node, Fact::Struck));
    }

    /// The site stops, and its disk is another one.
    fn empty(&mut self, node: NodeId, records: bool) {
        self.stop_site(node, "power");
        self.with_disk(node, |disk| disk.empty(records));
        self.facts.push_back((node, Fact::Emptied { records }));
        self.facts.push_back((node, Fact::Struck));
    }

    fn turn(&mut self, node: NodeId, lie: Lie, for_ms: u64) {
        let until = self.now.plus_ms(for_ms);
        if let Some(site) = self.sites.get_mut(node.index()) {
            site.liar = Some(Liar { lie, until, heard: Vec::new() });
            if lie == Lie::Freeload {
                site.disk.discard_all_shards();
            }
        }
        self.facts.push_back((node, Fact::Struck));
        if matches!(lie, Lie::Replay | Lie::LetGo) {
            self.queue.push(self.now.plus_ms(REPLAY_EVERY_MS), Event::Replay(node));
        }
    }

    /// Old documents go to all others, as if they were news.
    pub(super) fn replay_old_documents(&mut self, node: NodeId) {
        let now = self.now;
        let Some(site) = self.sites.get(node.index()) else { return };
        let Some(liar) = &site.liar else { return };
        let old = liar.replays(now, &site.keys, &site.disk);
        if now < liar.until {
            self.queue.push(now.plus_ms(REPLAY_EVERY_MS), Event::Replay(node));
        }
        self.at_site(node, |site, now, out| site.send_around(now, old, out));
    }

    fn copy(&mut self, jurisdiction: &str) {
        let nodes = self.sites.iter().map(|site| site.node);
        let on_soil = nodes
            .filter(|node| self.config.sites.get(node.index()).is_some_and(|site| site.jurisdiction == jurisdiction));
        let on_soil: Vec<NodeId> = on_soil.collect();
        self.chronicle.copied.extend(on_soil);
        self.facts.push_back((self.home_node(), Fact::Struck));
    }

    /// Officials sign, an operator starts the new site with the whole chain, and hands the new version to every site he
    /// reaches; the others are told by those.
    fn replace_site(&mut self, gone: &SiteName, by: &SiteName) {
        let Some(node) = self.cast.node_of(by) else { return };
        // In every other run a site that still stands leaves in good order.
        let stands = self.sites.iter().any(|site| site.keys.name == *gone && site.is_honest() && !site.lost);
        let is_leaving = stands && self.config.seed.is_multiple_of(2);
        if is_leaving {
            self.reach("a site was leaving");
        }
        let state = if is_leaving { SiteState::Draining } else { SiteState::Lost };
        match self.cast.replace_site(gone, node, state) {
            Ok(newest) => {
                self.chronicle.succeed(Succession::of(newest.document()));
                if let Some(site) = self.sites.get_mut(node.index()) {
                    site.give_charters(self.cast.chain.clone());
                }
                self.start_site(node);
                self.adopt();
            }
            Err(why) => self.trace(self.home_node(), &TraceEvent::Said(format!("{gone} is not replaced: {why}"))),
        }
    }

    fn replace_writer(&mut self, database: &DatabaseName) {
        match self.cast.replace_writer(database) {
            Ok(_newest) => {
                let key = self.cast.writer(database, self.cast.writer_number(database));
                self.home.disk.borrow_mut().writers.insert(database.clone(), key.into());
                self.adopt();
                // Only what the new writer signs vouches for what the old one did.
                self.publish(database);
            }
            Err(why) => self.trace(self.home_node(), &TraceEvent::Said(format!("the writer stays: {why}"))),
        }
    }

    /// The officials' file goes to home, and by an operator to one member; if that is down, to the next.
    fn adopt(&mut self) {
        self.home.disk.borrow_mut().chain = self.cast.chain.clone();
        // Nobody is there: it is handed over when everything is mended.
        if let Some(node) = self.member_that_is_up() {
            self.hand_chain(node);
        }
    }

    /// A charter file has every version, the oldest first: who missed one takes it with the next.
    pub(super) fn hand_chain(&mut self, node: NodeId) {
        for charter in self.cast.chain.iter().skip(1).map(Signed::encode).collect::<Vec<_>>() {
            self.hand_charter(node, &charter);
        }
    }

    /// A site that others listen to: one that was replaced can tell nobody.
    pub(super) fn member_that_is_up(&self) -> Option<NodeId> {
        let scene = self.scene();
        liveness::members(&scene).find(|site| site.process.is_some()).map(|site| site.node)
    }

    fn hand_charter(&mut self, node: NodeId, charter: &[u8]) {
        let announcement = Announcement::Charter(charter.to_vec().into());
        self.at_site(node, |site, now, out| site.hand_over(now, announcement, out));
    }

    fn steal_writer(&mut self, database: &DatabaseName, theft: Theft) {
        self.chronicle.stolen.insert(database.clone());
        self.chronicle.stolen_manifests += 2;
        let port = Port::default();
        let thief = Thief {
            writer: self.cast.writer(database, self.cast.writer_number(database)),
            database: database.clone(),
            theft,
            chain: self.cast.chain.clone(),
            nodes: self.home.nodes.clone(),
            port: port.clone(),
            stream: self.adversary.branch(),
        };
        let node = self.client_node();
        self.spawn(node, port, enemy::steal(thief));
    }

    fn capture_officials(&mut self, count: u16, abuse: Abuse, database: &DatabaseName) {
        let captured = self.cast.officials.iter().take(usize::from(count));
        match abuse {
            Abuse::Charter => {
                let key = protocol::signature::Keypair::generate(self.adversary.crypto()).public();
                let draft = self.cast.draft(|charter| {
                    charter.databases.iter_mut().for_each(|entry| entry.writers.push(key));
                });
                let Ok(forged) = enemy::padded(draft, captured, self.cast.quorum()) else { return };
                // Whoever captured officials may have an operator too, and tries it everywhere.
                for index in 0..self.sites.len() {
                    self.hand_charter(super::node_id(index), &forged);
                }
            }
            Abuse::Order => {
                let port = Port::default();
                let quorum = self.cast.quorum();
                let state = self.cast.chain.state();
                let recipient = crate::world::recipient::Recipient::new(&mut self.adversary);
                let order = recipient.order(state, database, Selector::Latest, self.now, &mut self.adversary);
                self.chronicle.pretenders.insert(recipient.identity.public());
                let digest = Signed::draft(order.clone()).map(|draft| draft.digest());
                let Ok(order) = enemy::padded(order, captured, quorum) else { return };
                let Ok(digest) = digest else { return };
                let captors = Captors {
                    identity: recipient.identity,
                    order,
                    digest,
                    database: database.clone(),
                    nodes: self.home.nodes.clone(),
                    port: port.clone(),
                };
                let node = self.client_node();
                self.spawn(node, port, enemy::demand(captors));
            }
        }
    }
}
