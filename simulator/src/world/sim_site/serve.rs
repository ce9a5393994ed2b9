//! Answering peers: who asks, whether they may, and the answer from the machines, the store, or both.

use protocol::catalog;
use protocol::document::Receipt;
use protocol::evidence::ShardName;
use protocol::host::Input;
use protocol::host::answer::answer;
use protocol::limits::PAGE_ENTRIES_MAX;
use protocol::machine::Ticket;
use protocol::release;
use protocol::repair;
use protocol::resharing;
use protocol::signature::{PublicKey, Signed};
use protocol::wire::access::{self, Caller};
use protocol::wire::{Refusal, RefusalCode, Request, Response};
use shard_codec::Digest;

use super::{Asked, Effect, Origin, SimSite, Wake, Write};
use crate::world::invariant::Fact;
use crate::world::sim_disk::{Bytes, ReadFault};
use crate::world::sim_network::{Call, Message};
use crate::world::trace::{NodeId, TraceEvent};
use crate::world::virtual_clock::Time;

/// One job at a time, handled to its end: one ticket is enough.
const TICKET: Ticket = Ticket(0);

impl SimSite {
    /// What `key` is to this site now.
    fn identify(&self, now: Time, key: PublicKey) -> Caller {
        let Some(process) = &self.process else { return Caller::Stranger };
        let machines = &process.machines;
        let charter = machines.catalog.charter();
        // Most who ask are sites: what was ordered does not matter then.
        if let Some(site) = charter.active_site_by_identity(key) {
            return Caller::Site(site.name.clone());
        }
        access::identify(charter, key, machines.release.ordered_for(key, self.clock.read(now)))
    }

    pub(super) fn serve(
        &mut self,
        now: Time,
        origin: Origin,
        request: Request,
        body: Option<Bytes>,
        out: &mut Vec<Effect>,
    ) {
        let Origin::Caller { node, call, caller } = origin else { return };
        if self.liar.as_ref().is_some_and(|liar| liar.withholds(now)) {
            return;
        }
        let role = self.identify(now, caller);
        let result = if access::allows(&role, &request) {
            match self
                .answer_now(now, (node, call), &request, body, out)
                .or_else(|| self.help(now, (node, call, caller), &role, &request, out))
            {
                Some(result) => result,
                None => return self.handle_request(now, origin, role, (caller, request), out),
            }
        } else {
            Err(Refusal::new(RefusalCode::NotAllowed, format!("{caller} may not ask this")))
        };
        match result {
            Ok(Answer::Later) => {}
            Ok(Answer::Now(response, body)) => self.respond(node, call, caller, response, body, out),
            Err(refusal) => self.respond(node, call, caller, Response::Refused(refusal), None, out),
        }
    }

    /// Whatever needs no input to the machines.
    fn answer_now(
        &mut self,
        now: Time,
        (node, call): (NodeId, Call),
        request: &Request,
        body: Option<Bytes>,
        out: &mut Vec<Effect>,
    ) -> Option<Result<Answer, Refusal>> {
        let machines = &self.process.as_ref()?.machines;
        if let Some(lie) = self.liar.as_ref().and_then(|liar| liar.shows(now, node, machines, request)) {
            return Some(Ok(Answer::Now(lie, None)));
        }
        if let Some(response) = answer(machines, request) {
            return Some(Ok(Answer::Now(response, None)));
        }
        if let Request::PutShard { database, stripe_number, shard_index, root, .. } = request {
            let (database, stripe_number) = (database.clone(), *stripe_number);
            let shard = ShardName { database, stripe_number, shard_index: *shard_index, root: *root };
            return Some(self.put_shard(now, (node, call), shard, body, out));
        }
        if let Request::Shard { root } = request {
            return Some(self.read_shard(now, root));
        }
        if let Request::MissingShards { roots } = request {
            if roots.len() > PAGE_ENTRIES_MAX {
                return Some(Err(Refusal::new(RefusalCode::Malformed, "too many shards in one question")));
            }
            let missing = roots.iter().filter(|root| !self.disk.rely_on(root)).copied().collect();
            return Some(Ok(Answer::Now(Response::Missing(missing), None)));
        }
        if let Request::ShardRange { .. } = request {
            return Some(Err(Refusal::new(RefusalCode::Internal, "ranges are not modelled")));
        }
        None
    }

    /// What sites do for each other, so that none loses anything.
    fn help(
        &mut self,
        now: Time,
        origin: (NodeId, Call, PublicKey),
        role: &Caller,
        request: &Request,
        out: &mut Vec<Effect>,
    ) -> Option<Result<Answer, Refusal>> {
        if let Request::Audit(challenge) = request {
            return Some(self.answer_challenge(now, origin, challenge.clone(), out));
        }
        let Caller::Site(site) = role else {
            let helps =
                matches!(request, Request::Columns { .. } | Request::DealMasks { .. } | Request::BlindShares { .. });
            return helps.then(|| Err(Refusal::new(RefusalCode::NotAllowed, "only sites help each other")));
        };
        if let Request::DealMasks { .. } | Request::BlindShares { .. } = request {
            return self.help_with_shares(site, origin.0, request, out);
        }
        let Request::Columns { database, stripe_number, shard_index, root, columns } = request else { return None };
        let (database, stripe_number) = (database.clone(), *stripe_number);
        let shard = ShardName { database, stripe_number, shard_index: *shard_index, root: *root };
        Some(self.give_columns(now, site, &shard, *columns, out))
    }

    fn put_shard(
        &mut self,
        now: Time,
        origin: (NodeId, Call),
        shard: ShardName,
        body: Option<Bytes>,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, Refusal> {
        let ShardName { database, shard_index, root, .. } = &shard;
        let charter = self.process.as_ref().map(|process| process.machines.catalog.charter());
        let placed = charter.and_then(|charter| charter.database(database)?.shard_index_of(&self.keys.name));
        if placed.is_none_or(|index| index.get() != *shard_index) {
            let why = format!("the charter does not place shard {shard_index} of {database} at this site");
            return Err(Refusal::new(RefusalCode::NotAllowed, why));
        }
        let body = body.ok_or_else(|| Refusal::new(RefusalCode::Malformed, "no shard follows"))?;
        if Digest::of(&body) != *root {
            return Err(Refusal::new(RefusalCode::Corrupt, "another root"));
        }
        if self.disk.rely_on(root) || self.liar.as_ref().is_some_and(|liar| liar.discards(now)) {
            return Ok(Answer::Now(Response::Done, None));
        }
        if self.disk.full {
            return Err(Refusal::new(RefusalCode::DiskFull, "no room"));
        }
        self.next_write += 1;
        self.disk.begin_shard(self.next_write, shard, body);
        if let Some(process) = &mut self.process {
            process.shard_writes.insert(self.next_write, Write::Put(origin.0, origin.1));
        }
        let at = now.plus_us(self.sync_us * self.disk.slowness);
        out.push(Effect::Wake { at, wake: Wake::ShardSynced(self.next_write) });
        Ok(Answer::Later)
    }

    pub(super) fn shard_synced(&mut self, write: u64, out: &mut Vec<Effect>) {
        let Some(waits) = self.process.as_mut().and_then(|process| process.shard_writes.remove(&write)) else {
            return;
        };
        self.disk.sync_shard(write);
        out.push(Effect::Trace(TraceEvent::ShardSynced { write }));
        match waits {
            Write::Put(to, call) => {
                let message = Message::Response { call, response: Response::Done, body: None };
                out.push(Effect::Send { to, message });
            }
            Write::Mended { shard, outcome } => {
                out.push(Effect::Fact(Fact::Mended(shard.clone())));
                self.tell_machine(Input::Repair(repair::Input::Ended { shard, outcome }));
            }
        }
    }

    pub(super) fn read_shard(&mut self, now: Time, root: &Digest) -> Result<Answer, Refusal> {
        let read = self.disk.read(root).map_err(|fault| match fault {
            ReadFault::Absent => Refusal::new(RefusalCode::NotFound, "no such shard here"),
            ReadFault::Rotten => Refusal::new(RefusalCode::Corrupt, "the shard has rotted"),
        });
        if read.as_ref().is_err_and(|refusal| refusal.code == RefusalCode::Corrupt) {
            self.found_missing(root);
        }
        let mut bytes = read?;
        if let Some(liar) = &self.liar {
            bytes = liar.alter(now, bytes);
        }
        Ok(Answer::Now(Response::Body { bytes: bytes.len() as u64 }, Some(bytes)))
    }

    fn handle_request(
        &mut self,
        now: Time,
        origin: Origin,
        role: Caller,
        (caller, request): (PublicKey, Request),
        out: &mut Vec<Effect>,
    ) {
        let ticket = TICKET;
        let input = match request {
            Request::Publish { manifest, sealed_share } => {
                let sealed_share = sealed_share.map(serde_bytes::ByteBuf::into_vec);
                let manifest = manifest.into_vec();
                Input::Catalog(catalog::Input::Publish { ticket, caller, manifest, sealed_share })
            }
            Request::PresentOrder { order } => {
                Input::Release(release::Input::PresentOrder { ticket, caller, order: order.into_vec() })
            }
            Request::Share { order, database, sequence } => {
                if let Some(process) = &mut self.process {
                    process.asked = Some(Asked { order, database: database.clone(), sequence });
                }
                Input::Release(release::Input::Share { ticket, caller, order, database, sequence })
            }
            Request::Reshare(question) => {
                let Caller::Site(caller) = role else { return };
                Input::Resharing(resharing::Input::Asked { ticket, caller, question })
            }
            Request::Announce(announcement) => {
                self.liar.iter_mut().for_each(|liar| liar.hears(&announcement));
                Input::announced(Some(ticket), announcement)
            }
            Request::Charters { .. }
            | Request::Head { .. }
            | Request::Manifests { .. }
            | Request::Receipts { .. }
            | Request::PutShard { .. }
            | Request::Shard { .. }
            | Request::ShardRange { .. }
            | Request::Columns { .. }
            | Request::Audit(_)
            | Request::DealMasks { .. }
            | Request::BlindShares { .. }
            | Request::Evidence { .. }
            | Request::MissingShards { .. }
            | Request::ReleaseLog { .. }
            | Request::Epochs { .. }
            | Request::Forks { .. }
            | Request::Summary { .. }
            | Request::ReceiptSpans { .. }
            | Request::ReceiptSpan { .. }
            | Request::ReceiptsOf { .. } => return, // answered before
        };
        self.handle(now, origin, input, out);
    }

    /// Sends an answer, and says to the invariants what leaves with it.
    pub(super) fn respond(
        &mut self,
        node: NodeId,
        call: Call,
        caller: PublicKey,
        response: Response,
        body: Option<Bytes>,
        out: &mut Vec<Effect>,
    ) {
        let mut response = response;
        if let Some(liar) = &mut self.liar
            && let Some(process) = &self.process
        {
            response = liar.answers(&self.keys, &process.machines.catalog, &mut self.disk, response);
        }
        match &response {
            Response::Published { receipt: Some(receipt), .. } => {
                if let Ok(receipt) = Signed::<Receipt>::decode(receipt) {
                    out.push(Effect::Fact(Fact::ReceiptLeft(receipt)));
                }
            }
            Response::Share { sealed, .. } => {
                if let Some(asked) = self.process.as_mut().and_then(|process| process.asked.take()) {
                    out.push(Effect::Fact(Fact::ShareLeft { caller, to: node, asked, sealed: sealed.to_vec() }));
                }
            }
            Response::Refused(refusal) => out.push(Effect::Fact(Fact::Refused(refusal.code))),
            Response::Published { receipt: None, .. }
            | Response::Done
            | Response::Documents(_)
            | Response::Announcements(_)
            | Response::Head(_)
            | Response::Body { .. }
            | Response::Missing(_)
            | Response::Masks { .. }
            | Response::BlindedShares { .. }
            | Response::WrongMask { .. }
            | Response::Reshared(_)
            | Response::Audited(_)
            | Response::Same
            | Response::Summary(_)
            | Response::Digests(_) => {}
        }
        out.push(Effect::Send { to: node, message: Message::Response { call, response, body } });
    }
}

/// What is answered at once, and what is answered later.
pub(super) enum Answer {
    Now(Response, Option<Bytes>),
    Later,
}
