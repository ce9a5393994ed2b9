//! Remaking one shard from those of any `data_shards` other sites, as the daemon of the node does: fetch, check each
//! against its root, remake, check, store. A site that lies about what it holds does the same to answer an audit.

use std::collections::{BTreeMap, VecDeque};

use protocol::document::Challenge;
use protocol::host::Input;
use protocol::machine::Announcement;
use protocol::repair::{self, Helper, Job as RepairJob, Outcome};
use protocol::signature::{PublicKey, Signed};
use protocol::wire::{RefusalCode, Request, Response};
use shard_codec::stripe::remake_shard;
use shard_codec::{Digest, Reference, ShardIndex, UncheckedShard, VerifiedShard};

use super::{Effect, Job, Origin, SimSite, Wake, Write};
use crate::world::invariant::Fact;
use crate::world::sim_disk::Bytes;
use crate::world::sim_network::{Call, Message, Owner};
use crate::world::trace::{NodeId, TraceEvent};
use crate::world::virtual_clock::Time;

/// What the remade shard is for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// The store.
    Store,
    /// The answer to a challenge, by a site that has thrown the shard away and says nothing of it.
    Answer { node: NodeId, call: Call, caller: PublicKey, challenge: Challenge },
}

/// What one helper was asked last.
#[derive(Debug)]
struct Fetch {
    helper: Helper,
    /// It is being told what this site lacks.
    is_telling: bool,
    was_told: bool,
}

/// One shard being remade.
#[derive(Debug)]
pub(super) struct Mending {
    job: Box<RepairJob>,
    purpose: Purpose,
    waiting: VecDeque<Helper>,
    running: BTreeMap<u64, Fetch>,
    good: Vec<VerifiedShard>,
    liars: Vec<protocol::identifier::SiteName>,
    missing: Vec<String>,
    fetched_bytes: u64,
}

impl SimSite {
    /// Begins; how it ends comes back to the machine as an input.
    pub(super) fn mend(&mut self, now: Time, job: Box<RepairJob>, purpose: Purpose, out: &mut Vec<Effect>) {
        let (needed, waiting) = (job.layout.parameters().data_shards(), job.helpers.clone().into());
        let (running, good) = (BTreeMap::new(), Vec::new());
        let (liars, missing, fetched_bytes) = (Vec::new(), Vec::new(), 0);
        let mending = Mending { job, purpose, waiting, running, good, liars, missing, fetched_bytes };
        self.next_mending += 1;
        let id = self.next_mending;
        if let Some(process) = &mut self.process {
            process.mendings.insert(id, mending);
        }
        for _ in 0..needed {
            self.fetch_from_next(now, id, out);
        }
        self.go_on(now, id, out);
    }

    fn mending(&mut self, id: u64) -> Option<&mut Mending> {
        self.process.as_mut()?.mendings.get_mut(&id)
    }

    fn fetch_from_next(&mut self, now: Time, id: u64, out: &mut Vec<Effect>) {
        let Some(helper) = self.mending(id).and_then(|mending| mending.waiting.pop_front()) else { return };
        self.fetch(now, id, Fetch { helper, is_telling: false, was_told: false }, out);
    }

    fn fetch(&mut self, now: Time, id: u64, fetch: Fetch, out: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get(&fetch.helper.site).copied() else { return };
        let Some(mending) = self.mending(id) else { return };
        let (shard, helper) = (&mending.job.shard, &fetch.helper);
        let database = shard.database.clone();
        let request = Request::Columns {
            database,
            stripe_number: shard.stripe_number,
            shard_index: helper.shard_index.get(),
            root: helper.root,
            columns: None,
        };
        self.ask_helper(now, id, node, request, fetch, out);
    }

    fn ask_helper(&mut self, now: Time, id: u64, to: NodeId, request: Request, fetch: Fetch, out: &mut Vec<Effect>) {
        let number = self.number_of_call();
        let (caller, timeout_ms) = (self.keys.identity.public(), self.timeout_ms);
        let call = Call { owner: Owner::Peer(self.node), number };
        let Some(mending) = self.mending(id) else { return };
        mending.running.insert(number, fetch);
        out.push(Effect::Send { to, message: Message::Request { call, caller, request, body: None } });
        out.push(Effect::Wake { at: now.plus_ms(timeout_ms), wake: Wake::Helper { id, number } });
    }

    /// The mending that waits for the answer to a call.
    pub(super) fn mending_of(&self, number: u64) -> Option<u64> {
        let mut mendings = self.process.as_ref()?.mendings.iter();
        mendings.find(|(_id, mending)| mending.running.contains_key(&number)).map(|(id, _mending)| *id)
    }

    /// A helper has answered.
    pub(super) fn helper_answers(
        &mut self,
        now: Time,
        id: u64,
        number: u64,
        answer: (Response, Option<Bytes>),
        out: &mut Vec<Effect>,
    ) {
        let Some(mending) = self.mending(id) else { return };
        let Some(mut fetch) = mending.running.remove(&number) else { return };
        let confesses = matches!(mending.purpose, Purpose::Store);
        match answer {
            (Response::Body { .. }, Some(body)) if !fetch.is_telling => {
                mending.take(fetch.helper, &body, out);
            }
            (Response::Done, _) if fetch.is_telling => {
                (fetch.is_telling, fetch.was_told) = (false, true);
                return self.fetch(now, id, fetch, out);
            }
            (Response::Refused(refusal), _)
                if refusal.code == RefusalCode::NotAllowed && confesses && !fetch.was_told && !fetch.is_telling =>
            {
                out.push(Effect::Fact(Fact::Reached("a helper was told what is lacking")));
                return self.tell_helper(now, id, fetch, out);
            }
            (Response::Refused(refusal), _) => {
                mending.missing.push(format!("{} refuses: {refusal}", fetch.helper.site));
            }
            (other, _) => {
                let what = crate::world::trace::name_of_response(&other);
                mending.missing.push(format!("{} answers {what}", fetch.helper.site));
            }
        }
        self.go_on(now, id, out);
    }

    /// A helper that has not heard yet what this site lacks is told, and asked again.
    fn tell_helper(&mut self, now: Time, id: u64, fetch: Fetch, out: &mut Vec<Effect>) {
        let Some(process) = &self.process else { return };
        let database = process.mendings.get(&id).map(|mending| mending.job.shard.database.clone());
        let own = database.and_then(|database| process.machines.evidence.inventory(&database, &self.keys.name));
        let own = own.map(Signed::encode);
        match (own, self.nodes.get(&fetch.helper.site).copied()) {
            (Some(inventory), Some(node)) => {
                let request = Request::Announce(Announcement::Inventory(inventory.into()));
                self.ask_helper(now, id, node, request, Fetch { is_telling: true, ..fetch }, out);
            }
            (None, _) | (_, None) => self.go_on(now, id, out),
        }
    }

    /// A helper has had its time.
    pub(super) fn helper_is_late(&mut self, now: Time, id: u64, number: u64, out: &mut Vec<Effect>) {
        let Some(mending) = self.mending(id) else { return };
        let Some(fetch) = mending.running.remove(&number) else { return };
        mending.missing.push(format!("{} does not answer", fetch.helper.site));
        out.push(Effect::Trace(TraceEvent::TimedOut));
        self.go_on(now, id, out);
    }

    /// Asks others for what did not come, or ends.
    fn go_on(&mut self, now: Time, id: u64, out: &mut Vec<Effect>) {
        loop {
            let Some(mending) = self.mending(id) else { return };
            let needed = mending.job.layout.parameters().data_shards();
            if mending.good.len() >= needed {
                return self.end(now, id, out);
            }
            if mending.good.len() + mending.running.len() >= needed {
                return;
            }
            if mending.waiting.is_empty() {
                if mending.running.is_empty() {
                    self.end(now, id, out);
                }
                return;
            }
            self.fetch_from_next(now, id, out);
        }
    }

    fn end(&mut self, now: Time, id: u64, out: &mut Vec<Effect>) {
        let Some(mending) = self.process.as_mut().and_then(|process| process.mendings.remove(&id)) else { return };
        let remade = mending.remade();
        if let Purpose::Answer { node, call, caller, challenge } = mending.purpose {
            // Whoever got nothing from the others is silent: that proves nothing.
            if let Ok(bytes) = remade {
                out.push(Effect::Fact(Fact::Reached("a freeloader answered an audit")));
                self.answer_audit(now, (node, call, caller), challenge, &bytes, out);
            }
            return;
        }
        let (shard, fetched_bytes, liars) = (mending.job.shard, mending.fetched_bytes, mending.liars);
        let outcome = match remade {
            Ok(_bytes) if self.disk.claims(&shard.root) => Outcome::Mended { fetched_bytes, written_bytes: 0, liars },
            Ok(bytes) if !self.disk.full => {
                self.next_write += 1;
                let written_bytes = bytes.len() as u64;
                self.disk.begin_shard(self.next_write, shard.clone(), bytes);
                let outcome = Outcome::Mended { fetched_bytes, written_bytes, liars };
                if let Some(process) = &mut self.process {
                    process.shard_writes.insert(self.next_write, Write::Mended { shard, outcome });
                }
                let at = now.plus_us(self.sync_us * self.disk.slowness);
                return out.push(Effect::Wake { at, wake: Wake::ShardSynced(self.next_write) });
            }
            Ok(_bytes) => Outcome::Failed { liars, why: "no room on the disk".to_owned() },
            Err(why) => Outcome::Failed { liars, why },
        };
        self.tell_machine(Input::Repair(repair::Input::Ended { shard, outcome }));
    }

    /// An input that nobody waits for.
    pub(super) fn tell_machine(&mut self, input: Input) {
        if let Some(process) = &mut self.process {
            process.queue.push_back((Origin::Nobody, Job::Handle(input)));
        }
    }
}

impl Mending {
    fn take(&mut self, helper: Helper, body: &Bytes, out: &mut Vec<Effect>) {
        self.fetched_bytes += body.len() as u64;
        match UncheckedShard::new(helper.shard_index, body.to_vec()).verify(&helper.root) {
            Ok(shard) => self.good.push(shard),
            Err(_mismatch) => {
                out.push(Effect::Fact(Fact::Reached("a helper lied")));
                self.missing.push(format!("{} sent wrong bytes", helper.site));
                self.liars.push(helper.site);
            }
        }
    }

    fn remade(&self) -> Result<Bytes, String> {
        let (layout, shard) = (&self.job.layout, &self.job.shard);
        let (good, needed) = (self.good.len(), layout.parameters().data_shards());
        if good < needed {
            return Err(format!("{good} good shards of {needed} needed; missing: {}", self.missing.join("; ")));
        }
        let code = Reference::new(layout.parameters()).map_err(|error| error.to_string())?;
        let index = ShardIndex::new(shard.shard_index);
        let remade = remake_shard(&code, layout, &self.good, index).map_err(|error| error.to_string())?;
        if Digest::of(&remade) != shard.root {
            return Err("the shards of the others do not belong together".to_owned());
        }
        Ok(remade.into())
    }
}
