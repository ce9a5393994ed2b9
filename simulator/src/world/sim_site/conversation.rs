//! What a site says to one other site: a round of questions, then the news of the next seconds, and again. Who does not
//! answer is left alone for a while. The daemon of the node keeps the same times.

use std::collections::VecDeque;

use protocol::host::{Brought, Dialogue, Input, PAUSE_MIN_MS, Round};
use protocol::machine::Announcement;
use protocol::wire::{Refusal, Request, Response};

use super::{Effect, Job, Origin, SimSite, Wake};
use crate::world::sim_network::{Call, Message, Owner};
use crate::world::trace::{NodeId, TraceEvent};
use crate::world::virtual_clock::Time;

/// Announcements that wait for one slow site; beyond them it asks.
const BACKLOG: usize = 1_024;
/// Pause before a site that did not answer is called again.
const PAUSE_AFTER_FAILURE_MS: u64 = 2_000;

#[derive(Debug)]
enum Stage {
    /// A question is under way.
    Asking(Round),
    /// The machines take what an answer brought.
    Telling { round: Round, rest: VecDeque<Brought> },
    /// News is waited for until the next round.
    Listening { until: Time },
    /// News is under way.
    Announcing { until: Time },
    /// It did not answer.
    Pausing { then_listen: bool },
    /// Between two of these; never seen outside a function.
    Moving,
}

/// One conversation.
#[derive(Debug)]
pub(super) struct Conversation {
    stage: Stage,
    news: VecDeque<Announcement>,
    dialogue: Dialogue,
    /// The call under way.
    number: u64,
    /// When something must happen.
    deadline: Time,
    /// When this conversation is woken next.
    armed: Option<Time>,
}

impl SimSite {
    /// Begins all conversations anew when the charter says that the sites are others.
    pub(super) fn follow_charter(&mut self, now: Time, out: &mut Vec<Effect>) {
        let Some(process) = &mut self.process else { return };
        let charter = process.machines.catalog.charter();
        if charter.version == process.charter_version {
            return;
        }
        process.charter_version = charter.version;
        let others = charter.active_sites().filter(|site| site.name != self.keys.name);
        let peers: Vec<NodeId> = others.filter_map(|site| self.nodes.get(&site.name)).copied().collect();
        process.conversations.clear();
        for peer in peers {
            let conversation = Conversation {
                stage: Stage::Moving,
                news: VecDeque::new(),
                dialogue: Dialogue::default(),
                number: 0,
                deadline: now,
                armed: None,
            };
            if let Some(process) = &mut self.process {
                process.conversations.insert(peer, conversation);
            }
            self.begin_round(now, peer, out);
        }
    }

    fn conversation(&mut self, peer: NodeId) -> Option<&mut Conversation> {
        self.process.as_mut()?.conversations.get_mut(&peer)
    }

    fn set_stage(&mut self, peer: NodeId, stage: Stage, deadline: Time, out: &mut Vec<Effect>) {
        let Some(conversation) = self.conversation(peer) else { return };
        conversation.stage = stage;
        conversation.deadline = deadline;
        if deadline < Time(u64::MAX) && conversation.armed.is_none_or(|armed| deadline < armed) {
            conversation.armed = Some(deadline);
            out.push(Effect::Wake { at: deadline, wake: Wake::Peer(peer) });
        }
    }

    fn begin_round(&mut self, now: Time, peer: NodeId, out: &mut Vec<Effect>) {
        let Some(process) = &mut self.process else { return };
        let Some(conversation) = process.conversations.get_mut(&peer) else { return };
        let round = conversation.dialogue.begin(&process.machines);
        self.ask_on(now, peer, round, out);
    }

    fn ask_on(&mut self, now: Time, peer: NodeId, round: Round, out: &mut Vec<Effect>) {
        let Some(process) = &mut self.process else { return };
        match round.next(&process.machines) {
            Some(request) => {
                let deadline = self.call(now, peer, request, out);
                self.set_stage(peer, Stage::Asking(round), deadline, out);
            }
            None => {
                let Some(conversation) = process.conversations.get_mut(&peer) else { return };
                let until = now.plus_ms(conversation.dialogue.ended(&process.machines, round));
                self.listen(now, peer, until, out);
            }
        }
    }

    fn listen(&mut self, now: Time, peer: NodeId, until: Time, out: &mut Vec<Effect>) {
        let Some(conversation) = self.conversation(peer) else { return };
        match conversation.news.pop_front() {
            Some(announcement) if now < until => {
                let deadline = self.call(now, peer, Request::Announce(announcement), out);
                self.set_stage(peer, Stage::Announcing { until }, deadline, out);
            }
            Some(announcement) => {
                conversation.news.push_front(announcement);
                self.begin_round(now, peer, out);
            }
            None => self.set_stage(peer, Stage::Listening { until }, until, out),
        }
    }

    /// Never used before, in this life or an earlier one.
    pub(super) fn number_of_call(&mut self) -> u64 {
        self.next_call += 1;
        (u64::from(self.incarnation) << 40) + self.next_call
    }

    fn call(&mut self, now: Time, peer: NodeId, request: Request, out: &mut Vec<Effect>) -> Time {
        let number = self.number_of_call();
        if let Some(conversation) = self.conversation(peer) {
            conversation.number = number;
        }
        let call = Call { owner: Owner::Peer(self.node), number };
        let caller = self.keys.identity.public();
        out.push(Effect::Send { to: peer, message: Message::Request { call, caller, request, body: None } });
        now.plus_ms(self.timeout_ms)
    }

    /// News for one peer; when too much waits, the oldest is left to its questions.
    pub(super) fn news(&mut self, now: Time, peer: NodeId, announcement: Announcement, out: &mut Vec<Effect>) {
        let Some(conversation) = self.conversation(peer) else { return };
        if conversation.news.len() == BACKLOG {
            conversation.news.pop_front();
        }
        conversation.news.push_back(announcement);
        if let Stage::Listening { until } = conversation.stage {
            self.listen(now, peer, until, out);
        }
    }

    pub(super) fn peer_answers(
        &mut self,
        now: Time,
        peer: NodeId,
        call: Call,
        response: Response,
        out: &mut Vec<Effect>,
    ) {
        let Some(conversation) = self.conversation(peer) else { return };
        if conversation.number != call.number {
            return; // given up, or arrived twice
        }
        conversation.number = 0;
        match std::mem::replace(&mut conversation.stage, Stage::Moving) {
            Stage::Asking(round) => self.take(now, peer, round, response, out),
            Stage::Announcing { until } => self.listen(now, peer, until, out),
            other @ (Stage::Telling { .. } | Stage::Listening { .. } | Stage::Pausing { .. } | Stage::Moving) => {
                conversation.stage = other;
            }
        }
    }

    fn take(&mut self, now: Time, peer: NodeId, mut round: Round, response: Response, out: &mut Vec<Effect>) {
        let Some(process) = &mut self.process else { return };
        let Ok(brought) = round.take(&process.machines, response) else {
            // It is over: there is no next question.
            return self.ask_on(now, peer, round, out);
        };
        let mut rest: VecDeque<Brought> = brought.into();
        match rest.pop_front() {
            Some(first) => {
                self.set_stage(peer, Stage::Telling { round, rest }, Time(u64::MAX), out);
                self.tell(peer, first);
            }
            None => self.ask_on(now, peer, round, out),
        }
    }

    fn tell(&mut self, peer: NodeId, brought: Brought) {
        if let Some(process) = &mut self.process {
            let input = Input::brought(Some(protocol::machine::Ticket(0)), brought);
            process.queue.push_back((Origin::Conversation(peer), Job::Handle(input)));
        }
    }

    /// The machines have taken one document.
    pub(super) fn told(&mut self, now: Time, peer: NodeId, told: Result<(), Refusal>, out: &mut Vec<Effect>) {
        let Some(conversation) = self.conversation(peer) else { return };
        match std::mem::replace(&mut conversation.stage, Stage::Moving) {
            Stage::Telling { mut round, mut rest } => match rest.pop_front() {
                Some(next) => {
                    conversation.stage = Stage::Telling { round, rest };
                    self.tell(peer, next);
                }
                None => {
                    let Some(process) = &self.process else { return };
                    round.told(&process.machines, told.as_ref().copied());
                    self.ask_on(now, peer, round, out);
                }
            },
            // It began anew meanwhile.
            other @ (Stage::Asking(_)
            | Stage::Listening { .. }
            | Stage::Announcing { .. }
            | Stage::Pausing { .. }
            | Stage::Moving) => conversation.stage = other,
        }
    }

    fn pause(&mut self, now: Time, peer: NodeId, then_listen: bool, out: &mut Vec<Effect>) {
        let until = now.plus_ms(PAUSE_AFTER_FAILURE_MS);
        self.set_stage(peer, Stage::Pausing { then_listen }, until, out);
    }

    /// The conversation is woken: perhaps too early, then it goes on sleeping.
    pub(super) fn peer_time(&mut self, now: Time, peer: NodeId, out: &mut Vec<Effect>) {
        let Some(conversation) = self.conversation(peer) else { return };
        if conversation.armed != Some(now) {
            return; // an earlier one was set meanwhile
        }
        conversation.armed = None;
        if now < conversation.deadline {
            if conversation.deadline < Time(u64::MAX) {
                conversation.armed = Some(conversation.deadline);
                out.push(Effect::Wake { at: conversation.deadline, wake: Wake::Peer(peer) });
            }
            return;
        }
        match std::mem::replace(&mut conversation.stage, Stage::Moving) {
            Stage::Asking(round) => {
                conversation.number = 0;
                conversation.dialogue.failed(Some(round));
                out.push(Effect::Trace(TraceEvent::TimedOut));
                self.pause(now, peer, true, out);
            }
            Stage::Announcing { .. } => {
                conversation.number = 0;
                conversation.dialogue.failed(None);
                out.push(Effect::Trace(TraceEvent::TimedOut));
                self.pause(now, peer, false, out);
            }
            Stage::Pausing { then_listen: true } => {
                let until = now.plus_ms(PAUSE_MIN_MS);
                self.listen(now, peer, until, out);
            }
            Stage::Pausing { then_listen: false } | Stage::Listening { .. } | Stage::Moving => {
                self.begin_round(now, peer, out);
            }
            telling @ Stage::Telling { .. } => conversation.stage = telling,
        }
    }
}
