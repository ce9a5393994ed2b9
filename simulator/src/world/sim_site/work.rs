//! What a site does by itself as time passes: ticks for the machines, a scrub, challenges to others; and what it answers
//! to theirs.

use protocol::audit::answer;
use protocol::document::{AuditAnswer, Challenge};
use protocol::evidence::ShardName;
use protocol::host::Input;
use protocol::identifier::SiteName;
use protocol::machine::Ticket;
use protocol::repair::{self, Helper, helper_read};
use protocol::share_recovery::help;
use protocol::signature::{PublicKey, Signed};
use protocol::wire::{Refusal, RefusalCode, Request, Response};
use shard_codec::shard_tree::prove_range;
use shard_codec::{Digest, ShardIndex};

use super::mend::Purpose;
use super::serve::Answer;
use super::{Effect, Job, Origin, SimSite, Wake};
use crate::world::invariant::Fact;
use crate::world::sim_disk::{Bytes, ReadFault};
use crate::world::sim_network::{Call, Message, Owner};
use crate::world::trace::NodeId;
use crate::world::virtual_clock::Time;

/// Questions to one site that wait for their answers at the most.
const ASKING_MAX: usize = 64;

/// A question that waits for its answer.
#[derive(Debug)]
pub(super) struct Asking {
    ticket: Ticket,
    /// If it is one, and no step of what is done with shares.
    challenge: Option<Challenge>,
}

impl SimSite {
    /// The first tick comes at random: sites that start together do not work together.
    pub(super) fn begin_ticking(&mut self, now: Time, out: &mut Vec<Effect>) {
        let at = now.plus_ms(self.stream.between(1, self.pace.tick_ms.into()));
        out.push(Effect::Wake { at, wake: Wake::Tick });
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Time, out: &mut Vec<Effect>) {
        out.push(Effect::Wake { at: now.plus_ms(self.pace.tick_ms.into()), wake: Wake::Tick });
        out.push(Effect::Fact(Fact::Ticked));
        self.scrub(now);
        let Some(process) = &mut self.process else { return };
        let waits = process.queue.iter().any(|(_origin, job)| matches!(job, Job::Handle(Input::Tick)));
        if !waits {
            process.queue.push_back((Origin::Nobody, Job::Handle(Input::Tick)));
        }
    }

    /// Reads some shards again, in turn.
    fn scrub(&mut self, now: Time) {
        let Some(process) = &mut self.process else { return };
        while process.scrub_due <= now {
            process.scrub_due = process.scrub_due.plus_ms(self.pace.scrub_interval_ms.max(1).into());
            let Some(root) = self.disk.claimed_after(process.scrubbed.as_ref()) else { return };
            process.scrubbed = Some(root);
            if self.disk.read(&root) == Err(ReadFault::Rotten) {
                return self.found_missing(&root);
            }
        }
    }

    /// A shard turned out not to be what it was: the machine learns it before anything else.
    pub(super) fn found_missing(&mut self, root: &Digest) {
        let Some(process) = &mut self.process else { return };
        let me = &self.keys.name;
        let named = process.machines.catalog.histories().find_map(|(database, history)| {
            let is_it = |live: &protocol::document::LiveStripe| live.shard_at(me).filter(|(_index, own)| own == root);
            let mut stripes = history.kept_stripes().iter();
            let (index, number) =
                stripes.find_map(|stripe| Some((is_it(&stripe.live)?.0, stripe.live.stripe.number)))?;
            let (database, stripe_number) = (database.clone(), number);
            Some(ShardName { database, stripe_number, shard_index: index.get(), root: *root })
        });
        // A shard that came before its manifest is missed when that comes.
        if let Some(shard) = named {
            let input = Input::Repair(repair::Input::Missing { shard });
            process.queue.push_front((Origin::Nobody, Job::Handle(input)));
        }
    }

    /// Sends a question. Silence needs no timer: the machine has its own patience.
    pub(super) fn ask(&mut self, ticket: Ticket, site: &SiteName, request: Request, out: &mut Vec<Effect>) {
        let Some(to) = self.nodes.get(site).copied() else { return };
        let number = self.number_of_call();
        let challenge = if let Request::Audit(challenge) = &request { Some(challenge.clone()) } else { None };
        if let Some(process) = &mut self.process {
            process.asking.insert((to, number), Asking { ticket, challenge });
            // What was never answered is forgotten in time.
            let of_site = (to, 0)..=(to, u64::MAX);
            while process.asking.range(of_site.clone()).count() > ASKING_MAX {
                let oldest = process.asking.range(of_site.clone()).next().map(|(key, _asking)| *key);
                oldest.into_iter().for_each(|key| drop(process.asking.remove(&key)));
            }
        }
        let call = Call { owner: Owner::Peer(self.node), number };
        let caller = self.keys.identity.public();
        out.push(Effect::Send { to, message: Message::Request { call, caller, request, body: None } });
    }

    /// The question that a call was.
    pub(super) fn asked_by(&mut self, peer: NodeId, number: u64) -> Option<Asking> {
        self.process.as_mut()?.asking.remove(&(peer, number))
    }

    /// The answer to a question has come; a refusal proves nothing.
    pub(super) fn challenged_answers(&mut self, asking: Asking, response: Response) {
        let answer = if let Response::Audited(bytes) = &response {
            Signed::<AuditAnswer>::decode(bytes)
                .ok()
                .filter(|signed| Some(&signed.document().challenge) == asking.challenge.as_ref())
        } else {
            None
        };
        let response = Some(response).filter(|response| !matches!(response, Response::Refused(_)));
        // It waits its turn like everything else, and is judged when the machine has taken it.
        let input = Input::Answered { ticket: asking.ticket, response };
        if let Some(process) = &mut self.process {
            process.queue.push_back((Origin::Audit(answer.map(Box::new)), Job::Handle(input)));
        }
    }

    /// Masks, or shares under the masks of all helpers.
    pub(super) fn help_with_shares(
        &mut self,
        site: &SiteName,
        to: NodeId,
        request: &Request,
        out: &mut Vec<Effect>,
    ) -> Option<Result<Answer, Refusal>> {
        let (catalog, rng) = (&self.process.as_ref()?.machines.catalog, self.stream.crypto());
        let response = if let Request::DealMasks { scope } = request {
            help::deal_masks(site, scope.clone(), catalog, &self.keys, rng)
        } else if let Request::BlindShares { masks } = request {
            help::blind_shares(site, masks, catalog, &self.keys, rng)
        } else {
            return None;
        };
        if let (Request::BlindShares { masks }, Ok(Response::BlindedShares { sealed })) = (request, &response)
            && let Some(scope) = help::scope_of(masks)
        {
            out.push(Effect::Fact(Fact::BlindedLeft { to, scope, sealed: sealed.to_vec() }));
        }
        Some(response.map(|response| Answer::Now(response, None)))
    }

    /// Bytes for the repair of another site.
    pub(super) fn give_columns(
        &mut self,
        now: Time,
        caller: &SiteName,
        shard: &ShardName,
        columns: Option<(u64, u64)>,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, Refusal> {
        if columns.is_some() {
            return Err(Refusal::new(RefusalCode::Internal, "ranges are not modelled"));
        }
        let Some(process) = &self.process else { return Ok(Answer::Later) };
        let machines = &process.machines;
        let allowed = helper_read(caller, shard, &machines.catalog, &machines.evidence, &self.keys);
        allowed.inspect_err(|_refusal| out.push(Effect::Fact(Fact::Reached("help was refused"))))?;
        let answer = self.read_shard(now, &shard.root)?;
        out.push(Effect::Fact(Fact::ColumnsLeft { to: caller.clone(), shard: shard.clone() }));
        Ok(answer)
    }

    /// Answers a challenge: with a proof, with a refusal if there is none, or as liars do.
    pub(super) fn answer_challenge(
        &mut self,
        now: Time,
        origin: (NodeId, Call, PublicKey),
        challenge: Challenge,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, Refusal> {
        let Some(process) = &self.process else { return Ok(Answer::Later) };
        answer::range_of(&challenge, &process.machines.catalog, &self.keys)?;
        if self.liar.as_ref().is_some_and(|liar| liar.freeloads(now)) {
            if let Some(job) = self.stolen_job(&challenge) {
                let (node, call, caller) = origin;
                self.mend(now, Box::new(job), Purpose::Answer { node, call, caller, challenge }, out);
            }
            return Ok(Answer::Later);
        }
        let gone = || Refusal::new(RefusalCode::NotFound, "the shard is not here");
        if self.liar.as_ref().is_some_and(|liar| liar.denies(now)) {
            return Err(gone());
        }
        let bytes = match self.disk.read(&challenge.root) {
            Ok(bytes) => self.liar.as_ref().map_or(bytes.clone(), |liar| liar.alter(now, bytes)),
            // Something must be said by who says that it holds all: made-up bytes.
            Err(_fault) if self.liar.as_ref().is_some_and(|liar| liar.hides(now)) => Bytes::from([]),
            Err(fault) => {
                self.found_missing(&challenge.root);
                return Err(match fault {
                    ReadFault::Absent => gone(),
                    ReadFault::Rotten => Refusal::new(RefusalCode::Corrupt, "the shard has rotted"),
                });
            }
        };
        self.answer_audit(now, origin, challenge, &bytes, out);
        Ok(Answer::Later)
    }

    /// Signs and sends what is said to a challenge.
    pub(super) fn answer_audit(
        &mut self,
        now: Time,
        (node, call, caller): (NodeId, Call, PublicKey),
        challenge: Challenge,
        shard: &Bytes,
        out: &mut Vec<Effect>,
    ) {
        let Some(process) = &self.process else { return };
        let catalog = &process.machines.catalog;
        let Ok(range) = answer::range_of(&challenge, catalog, &self.keys) else { return };
        let proof = prove_range(shard, range).unwrap_or_default();
        let response = match answer::sign(self.clock.read(now), challenge, proof, catalog, &self.keys) {
            Ok(signed) => {
                let bytes = signed.encode();
                out.push(Effect::Fact(Fact::AnswerLeft(Box::new(signed))));
                Response::Audited(bytes.into())
            }
            Err(refusal) => Response::Refused(refusal),
        };
        self.respond(node, call, caller, response, None, out);
    }

    /// What a site would have to fetch to answer for a shard that it has thrown away.
    fn stolen_job(&self, challenge: &Challenge) -> Option<repair::Job> {
        let history = self.process.as_ref()?.machines.catalog.history(&challenge.database)?;
        let found = history.kept_stripes().find(challenge.stripe_number, challenge.shard_index, &challenge.root);
        let live = &found?.1.live;
        let others = (0..=u8::MAX).zip(live.placement.iter()).filter(|(_index, site)| **site != self.keys.name);
        let helper = |(index, site): (u8, &SiteName)| {
            let shard_index = ShardIndex::new(index);
            Some(Helper { site: site.clone(), shard_index, root: live.stripe.root(shard_index)? })
        };
        let shard = ShardName::from(challenge);
        Some(repair::Job { shard, layout: live.layout, helpers: others.filter_map(helper).collect() })
    }
}
