//! Seven sites with all their machines and their shards in memory, carried out one step at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use rand_chacha::ChaCha20Rng;
use shard_codec::shard_tree::prove_range;
use shard_codec::stripe::{UncheckedShard, VerifiedShard, encode_stripe, remake_shard};
use shard_codec::{CodingParameters, Digest, Reference};

use crate::audit::answer;
use crate::catalog;
use crate::document::{Ballot, Challenge, Charter, MaskDealing, Stripe, Suspicion};
use crate::evidence::ShardName;
use crate::fixture::{NOW, SITES, Snapshot, State, database, rng};
use crate::host::{Input, Machines, Pace};
use crate::ledger::{DatabaseLedger, assess};
use crate::machine::{Announcement, Event, Output, Record, SiteKeys, Ticket};
use crate::repair::{self, Job, Outcome, helper_read};
use crate::resharing;
use crate::retention;
use crate::share_recovery::help;
use crate::signature::Signed;
use crate::timestamp::Timestamp;
use crate::wire::resharing::{Answer, Question};
use crate::wire::{Refusal, RefusalCode, Request, Response};

/// What a site does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// Says that it holds what it does not, and answers challenges with other bytes.
    WrongBytes,
    /// The same, and does not answer challenges.
    Silence,
    /// Seals nonsense to the other helpers as its masks, and signs it.
    WrongMasks,
    /// Hands over other parts than it signed, when shares are given on.
    WrongParts,
    /// Says to every leader that another one leads, with the highest ballot there is.
    Outvotes,
}

pub(super) struct Node {
    pub(super) machines: Machines,
    pub(super) store: BTreeMap<Digest, Vec<u8>>,
    pub(super) events: Vec<Event>,
    pub(super) fetched_bytes: usize,
    pub(super) lie: Option<Lie>,
    pub(super) is_up: bool,
    /// Its wall clock is so much ahead of the others', or behind them.
    pub(super) ahead_ms: i64,
    /// Shards that nothing referred to, and since when.
    pub(super) noted: BTreeMap<Digest, Timestamp>,
    records: BTreeMap<(crate::machine::RecordKind, Vec<u8>), Record>,
}

pub(super) struct Mesh {
    pub(super) state: State,
    pub(super) nodes: Vec<Node>,
    pub(super) now: Timestamp,
    pub(super) pace: Pace,
    /// All shards of every stripe, by number.
    pub(super) stripes: BTreeMap<u64, Vec<Vec<u8>>>,
    /// Stripe and index of every shard.
    names: BTreeMap<Digest, (u64, u8)>,
    pub(super) rng: ChaCha20Rng,
    /// What home finds suspicious in what it publishes.
    pub(super) suspicions: Vec<Suspicion>,
    /// Questions of resharing until the site that asks the next one crashes.
    pub(super) crash_in: Option<usize>,
}

impl Mesh {
    pub(super) fn new() -> Self {
        Self::founded(|_charter| {})
    }

    /// The same, with its founding charter changed.
    pub(super) fn founded(change: impl FnOnce(&mut Charter)) -> Self {
        Self::paced(Pace::default(), change)
    }

    pub(super) fn paced(pace: Pace, change: impl FnOnce(&mut Charter)) -> Self {
        let state = State::founded(change);
        let node = |_| Node {
            machines: Machines::new(state.chain.clone(), pace),
            store: BTreeMap::new(),
            events: Vec::new(),
            fetched_bytes: 0,
            lie: None,
            is_up: true,
            ahead_ms: 0,
            noted: BTreeMap::new(),
            records: BTreeMap::new(),
        };
        let nodes = (0..SITES.len()).map(node).collect();
        Self {
            state,
            nodes,
            now: NOW,
            pace,
            stripes: BTreeMap::new(),
            names: BTreeMap::new(),
            rng: rng(5),
            suspicions: Vec::new(),
            crash_in: None,
        }
    }

    /// Publishes a snapshot of `stripe_count` stripes at every site that is up; returns it.
    pub(super) fn publish(&mut self, previous: Option<&Snapshot>, stripe_count: u64) -> Snapshot {
        self.publish_dropping(previous, stripe_count, Vec::new())
    }

    /// The same, without these stripes of earlier ones.
    pub(super) fn publish_dropping(
        &mut self,
        previous: Option<&Snapshot>,
        stripe_count: u64,
        dropped: Vec<u64>,
    ) -> Snapshot {
        let mut stripes = Vec::new();
        for _ in 0..stripe_count {
            let number = self.stripes.len() as u64 + 1;
            let mut payload = vec![0; 150_000 + 1_000 * usize::try_from(number).unwrap()];
            rand::Rng::fill_bytes(&mut self.rng, &mut payload);
            let code = Reference::new(CodingParameters::new(4, 3).unwrap()).unwrap();
            let payload_bytes = u32::try_from(payload.len()).unwrap();
            let encoded = encode_stripe(&code, payload).unwrap();
            let roots = encoded.roots().iter().flat_map(|root| *root.as_bytes()).collect();
            stripes.push(Stripe { number, payload_bytes, roots });
            let shard = |index| encoded.shard(shard_codec::ShardIndex::new(index)).unwrap().to_vec();
            self.names.extend((0..7).map(|index: u8| (encoded.roots()[usize::from(index)], (number, index))));
            self.stripes.insert(number, (0..7).map(shard).collect());
        }
        let (previous, added) = (previous.map(|snapshot| &snapshot.manifest), stripes.clone());
        let snapshot = self.state.snapshot_with(previous, 0, |manifest| {
            (manifest.stripes_added, manifest.stripes_dropped) = (added, dropped);
            manifest.suspicions.clone_from(&self.suspicions);
        });
        let writer = self.state.writer.public();
        let up: Vec<usize> = (0..SITES.len()).filter(|index| self.nodes[*index].is_up).collect();
        for index in up {
            for stripe in &stripes {
                let shard = self.stripes[&stripe.number][index].clone();
                self.nodes[index].store.insert(Digest::of(&shard), shard);
            }
            let (manifest, sealed_share) = (snapshot.manifest.encode(), Some(snapshot.sealed_shares[index].clone()));
            let ticket = Ticket(0);
            self.give(
                index,
                Input::Catalog(catalog::Input::Publish { ticket, caller: writer, manifest, sealed_share }),
            );
        }
        snapshot
    }

    /// Gives an input to a site and carries out everything that follows, at every site.
    pub(super) fn give(&mut self, index: usize, input: Input) {
        let mut inputs = VecDeque::from([(index, input)]);
        while let Some((index, input)) = inputs.pop_front() {
            if !self.nodes[index].is_up {
                continue;
            }
            let (keys, node) = (&self.state.sites[index], &mut self.nodes[index]);
            let now = Timestamp::from_unix_ms(self.now.unix_ms().saturating_add_signed(node.ahead_ms));
            let outputs = node.machines.handle(now, input, keys, &mut self.rng);
            for output in outputs {
                self.carry_out(index, output, &mut inputs);
            }
        }
    }

    fn carry_out(&mut self, index: usize, output: Output, inputs: &mut VecDeque<(usize, Input)>) {
        let node = &mut self.nodes[index];
        let absent = |node: &Node, roots: Vec<Digest>| -> Vec<Digest> {
            let hides = node.lie.is_some();
            roots.into_iter().filter(|root| !hides && !node.store.contains_key(root)).collect()
        };
        match output {
            Output::Persist(record) => {
                let earlier = node.records.insert((record.kind, record.key.clone()), record.clone());
                let may_replace = earlier.is_none_or(|earlier| earlier == record || record.kind.is_replaced());
                assert!(may_replace, "{record:?} takes the place of another");
            }
            Output::CheckShards { ticket, roots } => {
                let missing = absent(node, roots);
                inputs.push_back((index, Input::Catalog(catalog::Input::ShardsChecked { ticket, missing })));
            }
            Output::Sweep { ticket, roots } => {
                let missing = absent(node, roots);
                inputs.push_back((index, Input::Repair(repair::Input::Swept { ticket, missing })));
            }
            Output::ListShards { ticket, after, limit } => {
                let from = after.map_or(Bound::Unbounded, Bound::Excluded);
                let name = |root: &Digest| {
                    let (stripe_number, shard_index) = self.names.get(root).copied().unwrap_or((1, 0));
                    ShardName { database: database(), stripe_number, shard_index, root: *root }
                };
                let roots = node.store.range((from, Bound::Unbounded)).map(|(root, _shard)| root);
                let shards = roots.take(limit).map(name).collect();
                inputs.push_back((index, Input::Retention(retention::Input::Listed { ticket, shards })));
            }
            Output::Collect { unreferenced, referenced, at, grace_ms } => {
                referenced.iter().for_each(|root| _ = node.noted.remove(root));
                for root in unreferenced {
                    let noted = *node.noted.entry(root).or_insert(at);
                    if noted.plus_ms(grace_ms) <= at {
                        node.noted.remove(&root);
                        node.store.remove(&root);
                    }
                }
            }
            Output::Ask { ticket, site, request } => {
                let target = self.index_of(&site);
                let response = self.ask(index, target, &request);
                inputs.push_back((index, Input::Answered { ticket, response }));
            }
            Output::Repair(job) => {
                let outcome = self.repair(index, &job);
                inputs.push_back((index, Input::Repair(repair::Input::Ended { shard: job.shard, outcome })));
            }
            Output::Announce(announcement) => {
                let others = (0..SITES.len()).filter(|other| *other != index);
                inputs.extend(others.map(|other| (other, Input::announced(None, announcement.clone()))));
            }
            Output::Reply(_, reply) => drop(reply),
            Output::Report(event) => node.events.push(event),
        }
    }

    fn index_of(&self, site: &crate::identifier::SiteName) -> usize {
        SITES.iter().position(|(name, _)| *name == site.as_str()).unwrap()
    }

    /// What `target` answers to a challenge or a helper's read.
    pub(super) fn ask(&mut self, asker: usize, target: usize, request: &Request) -> Option<Response> {
        let (node, keys) = (&self.nodes[target], &self.state.sites[target]);
        if !node.is_up {
            return None;
        }
        if let Request::Audit(challenge) = request {
            return self.answer_audit(target, challenge);
        }
        if let Request::Reshare(question) = request {
            return self.reshare(asker, target, question.as_ref().clone());
        }
        if let Request::DealMasks { .. } | Request::BlindShares { .. } = request {
            return Some(self.help_with_shares(asker, target, request).unwrap_or_else(Response::Refused));
        }
        let Request::Columns { database, stripe_number, shard_index, root, .. } = request else {
            unreachable!("not asked by a machine")
        };
        let (database, stripe_number) = (database.clone(), *stripe_number);
        let shard = ShardName { database, stripe_number, shard_index: *shard_index, root: *root };
        let caller = &self.state.sites[asker].name;
        match helper_read(caller, &shard, &node.machines.catalog, &node.machines.evidence, keys) {
            Ok(()) => Some(Response::Body { bytes: node.store.get(root)?.len() as u64 }),
            Err(refusal) => Some(Response::Refused(refusal)),
        }
    }

    /// What `target` answers when it is asked to help with the recovery of shares.
    pub(super) fn help_with_shares(
        &mut self,
        asker: usize,
        target: usize,
        request: &Request,
    ) -> Result<Response, Refusal> {
        let (node, keys, rng) = (&self.nodes[target], &self.state.sites[target], &mut self.rng);
        let (caller, catalog) = (&self.state.sites[asker].name, &node.machines.catalog);
        let response = if let Request::DealMasks { scope } = request {
            help::deal_masks(caller, scope.clone(), catalog, keys, rng)
        } else {
            let Request::BlindShares { masks } = request else { panic!("{} is no help", request.name()) };
            help::blind_shares(caller, masks, catalog, keys, rng)
        }?;
        Ok(match (node.lie, response) {
            (Some(Lie::WrongMasks), Response::Masks { dealing, mut parts }) => {
                let mut dealing = Signed::<MaskDealing>::decode(&dealing).unwrap().document().clone();
                parts.iter_mut().for_each(|part| part[1_130] ^= 1);
                dealing.part_digests = parts.iter().map(|part| Digest::of(part)).collect();
                Response::Masks { dealing: Signed::sign_new(dealing, &keys.identity).unwrap().encode().into(), parts }
            }
            (Some(Lie::WrongBytes), Response::BlindedShares { mut sealed }) => {
                sealed[1_130] ^= 1;
                Response::BlindedShares { sealed }
            }
            (_, response) => response,
        })
    }

    /// The site loses its shares, and nothing else.
    pub(super) fn lose_shares(&mut self, index: usize) {
        self.nodes[index].records.retain(|(kind, _key), _record| *kind != crate::machine::RecordKind::Share);
        self.restart(index);
    }

    /// What `target` answers to a step of resharing.
    pub(super) fn reshare(&mut self, asker: usize, target: usize, question: Question) -> Option<Response> {
        if self.crash_in == Some(0) {
            (self.nodes[asker].is_up, self.crash_in) = (false, None);
        }
        if !self.nodes[asker].is_up || !self.nodes[target].is_up {
            return None;
        }
        self.crash_in = self.crash_in.map(|left| left - 1);
        if self.nodes[target].lie == Some(Lie::Outvotes) {
            let leader = self.state.sites[target].name.clone();
            return Some(Response::Reshared(Answer::Outvoted(Ballot { round: u64::MAX, leader })));
        }
        let caller = self.state.sites[asker].name.clone();
        let input =
            Input::Resharing(resharing::Input::Asked { ticket: Ticket(0), caller, question: Box::new(question) });
        let keys = &self.state.sites[target];
        let outputs = self.nodes[target].machines.handle(self.now, input, keys, &mut self.rng);
        let (mut inputs, mut response) = (VecDeque::new(), None);
        for output in outputs {
            if let Output::Reply(_, reply) = output {
                response = Some(reply.unwrap_or_else(Response::Refused));
            } else {
                self.carry_out(target, output, &mut inputs);
            }
        }
        inputs.into_iter().for_each(|(index, input)| self.give(index, input));
        if let (Some(Lie::WrongParts), Some(Response::Reshared(Answer::Part(part)))) =
            (self.nodes[target].lie, &mut response)
        {
            part[1_130] ^= 1;
        }
        response
    }

    fn answer_audit(&mut self, target: usize, challenge: &Challenge) -> Option<Response> {
        let (node, keys) = (&self.nodes[target], &self.state.sites[target]);
        let range = match answer::range_of(challenge, &node.machines.catalog, keys) {
            Ok(range) => range,
            Err(refusal) => return Some(Response::Refused(refusal)),
        };
        let proof = match node.lie {
            None => match node.store.get(&challenge.root) {
                Some(shard) => prove_range(shard, range).unwrap(),
                None => {
                    let shard = ShardName::from(challenge);
                    self.give(target, Input::Repair(repair::Input::Missing { shard }));
                    return Some(Response::Refused(Refusal::new(RefusalCode::NotFound, "not here")));
                }
            },
            Some(Lie::WrongBytes) => vec![0; 16_384],
            Some(Lie::Silence | Lie::WrongMasks | Lie::WrongParts | Lie::Outvotes) => return None,
        };
        let signed = answer::sign(self.now, challenge.clone(), proof, &node.machines.catalog, keys).unwrap();
        Some(Response::Audited(signed.encode().into()))
    }

    /// Fetches whole shards from the first helpers that give them, and remakes.
    fn repair(&mut self, index: usize, job: &Job) -> Outcome {
        let (mut verified, mut liars, mut refused): (Vec<VerifiedShard>, _, _) =
            (Vec::new(), Vec::new(), String::new());
        let parameters = job.layout.parameters();
        for helper in &job.helpers {
            if verified.len() == parameters.data_shards() {
                break;
            }
            let target = self.index_of(&helper.site);
            let shard = &job.shard;
            let request = Request::Columns {
                database: shard.database.clone(),
                stripe_number: shard.stripe_number,
                shard_index: helper.shard_index.get(),
                root: helper.root,
                columns: None,
            };
            match self.ask(index, target, &request) {
                Some(Response::Body { .. }) => {}
                other => {
                    refused = format!("{other:?}");
                    continue;
                }
            }
            let mut bytes = self.nodes[target].store.get(&helper.root).cloned().unwrap_or_default();
            if self.nodes[target].lie == Some(Lie::WrongBytes) {
                bytes[0] ^= 1;
            }
            self.nodes[index].fetched_bytes += bytes.len();
            match UncheckedShard::new(helper.shard_index, bytes).verify(&helper.root) {
                Ok(shard) => verified.push(shard),
                Err(_mismatch) => liars.push(helper.site.clone()),
            }
        }
        if verified.len() < parameters.data_shards() {
            return Outcome::Failed { liars, why: format!("too few shards: {refused}") };
        }
        let code = Reference::new(parameters).unwrap();
        let lost = shard_codec::ShardIndex::new(job.shard.shard_index);
        let shard = remake_shard(&code, &job.layout, &verified, lost).unwrap();
        assert_eq!(Digest::of(&shard), job.shard.root);
        let written_bytes = shard.len() as u64;
        self.nodes[index].store.insert(job.shard.root, shard);
        Outcome::Mended { fetched_bytes: 0, written_bytes, liars }
    }

    /// A second passes at every site, `seconds` times.
    pub(super) fn run(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now = self.now.plus_ms(1_000);
            (0..SITES.len()).for_each(|index| self.give(index, Input::Tick));
        }
    }

    /// The site forgets what was in its memory, and starts from its records.
    pub(super) fn restart(&mut self, index: usize) {
        let mut machines = Machines::new(self.state.chain.clone(), self.pace);
        for kind in crate::machine::RecordKind::REPLAY_ORDER {
            let of_kind = self.nodes[index].records.values().filter(|record| record.kind == kind);
            of_kind.for_each(|record| machines.replay(record).unwrap());
        }
        self.nodes[index].machines = machines;
    }

    pub(super) fn keys(&self, index: usize) -> &SiteKeys {
        &self.state.sites[index]
    }

    pub(super) fn ledger_at(&self, index: usize) -> DatabaseLedger {
        let machines = &self.nodes[index].machines;
        assess(&database(), &machines.catalog, &machines.evidence)
    }

    /// The names of the sites that `index` believes to hold every stripe of the head.
    pub(super) fn holders_at(&self, index: usize) -> BTreeSet<String> {
        let head = self.ledger_at(index).head.unwrap();
        head.shard_sites.iter().map(ToString::to_string).collect()
    }

    /// The records on a site's disk.
    pub(super) fn records(&self, index: usize) -> impl Iterator<Item = &Record> {
        self.nodes[index].records.values()
    }

    /// Brings documents from one site to another, as a round of questions would.
    pub(super) fn bring(&mut self, from: usize, to: usize) {
        let machines = &self.nodes[from].machines;
        let history = machines.catalog.history(&database()).unwrap();
        let run = history.manifests_from(1).map(|manifest| manifest.encode().into()).collect();
        let mut all = vec![Announcement::Manifests(run)];
        for sequence in 1..=history.head_sequence() {
            all.extend(history.receipts(sequence).map(|receipt| Announcement::Receipt(receipt.encode().into())));
        }
        all.extend(history.epochs().certificates_from(0, 0).map(|bytes| Announcement::Epoch(bytes.to_vec().into())));
        let encoded = |signed: &Signed<crate::document::Inventory>| Announcement::Inventory(signed.encode().into());
        all.extend(machines.evidence.inventories(&database()).map(encoded));
        all.into_iter().for_each(|one| self.give(to, Input::announced(None, one)));
    }
}
