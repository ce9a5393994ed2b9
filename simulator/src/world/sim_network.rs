//! Links: delay, bandwidth, loss, duplication, partitions, and ways that are open in one direction only.

use std::collections::BTreeSet;

use protocol::cbor;
use protocol::limits::FRAME_BYTES_MAX;
use protocol::machine::Announcement;
use protocol::signature::PublicKey;
use protocol::wire::{Request, Response};

use super::config::NetworkConfig;
use super::random::{Purpose, Stream};
use super::sim_disk::Bytes;
use super::trace::NodeId;
use super::virtual_clock::Time;

/// What an answer comes back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A site's conversation with this peer.
    Peer(NodeId),
    /// A client's task.
    Task(u32),
}

/// Ties an answer to its question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Who waits.
    pub owner: Owner,
    /// Which question.
    pub number: u64,
}

/// One message.
#[derive(Clone, Debug)]
pub enum Message {
    /// A question.
    Request {
        /// To come back with.
        call: Call,
        /// The key of the connection.
        caller: PublicKey,
        /// The question.
        request: Request,
        /// The shard that follows.
        body: Option<Bytes>,
    },
    /// An answer.
    Response {
        /// Of which question.
        call: Call,
        /// The answer.
        response: Response,
        /// The shard that follows.
        body: Option<Bytes>,
    },
}

/// Bytes around every message.
const OVERHEAD_BYTES: usize = 96;

fn bytes_of_announcement(announcement: &Announcement) -> usize {
    match announcement {
        Announcement::Manifests(run) => run.iter().map(|manifest| manifest.len()).sum(),
        Announcement::Charter(bytes)
        | Announcement::Receipt(bytes)
        | Announcement::Order(bytes)
        | Announcement::Notice(bytes)
        | Announcement::Veto(bytes)
        | Announcement::Fork(bytes)
        | Announcement::Epoch(bytes)
        | Announcement::Inventory(bytes)
        | Announcement::AuditReport(bytes)
        | Announcement::Fault(bytes) => bytes.len(),
    }
}

impl Message {
    /// Its size, close enough for a bandwidth model.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let (payload, body) = match self {
            Self::Request { request, body, .. } => {
                let payload = match request {
                    Request::Publish { manifest, sealed_share } => {
                        manifest.len() + sealed_share.as_ref().map_or(0, |share| share.len())
                    }
                    Request::PresentOrder { order } => order.len(),
                    Request::MissingShards { roots } => 32 * roots.len(),
                    Request::Announce(announcement) => bytes_of_announcement(announcement),
                    Request::ReceiptsOf { sequences, .. } => 5 * sequences.len(),
                    Request::DealMasks { scope } => 40 * scope.snapshots.len(),
                    Request::BlindShares { masks } => {
                        masks.iter().map(|mask| mask.dealing.len() + mask.part.len()).sum()
                    }
                    Request::Reshare(question) => cbor::encode(question).len(),
                    Request::Charters { .. }
                    | Request::Head { .. }
                    | Request::Manifests { .. }
                    | Request::Receipts { .. }
                    | Request::PutShard { .. }
                    | Request::Shard { .. }
                    | Request::ShardRange { .. }
                    | Request::Columns { .. }
                    | Request::Audit(_)
                    | Request::Evidence { .. }
                    | Request::Share { .. }
                    | Request::ReleaseLog { .. }
                    | Request::Epochs { .. }
                    | Request::Forks { .. }
                    | Request::Summary { .. }
                    | Request::ReceiptSpans { .. }
                    | Request::ReceiptSpan { .. } => 0,
                };
                (payload, body)
            }
            Self::Response { response, body, .. } => {
                let payload = match response {
                    Response::Documents(documents) => documents.iter().map(|document| document.len()).sum(),
                    Response::Announcements(entries) => entries.iter().map(bytes_of_announcement).sum(),
                    Response::Missing(roots) | Response::Digests(roots) => 32 * roots.len(),
                    Response::Summary(parts) => 64 * parts.len(),
                    Response::Published { receipt, missing } => {
                        receipt.as_ref().map_or(0, |receipt| receipt.len()) + 32 * missing.len()
                    }
                    Response::Share { sealed, .. } => sealed.len(),
                    Response::Audited(answer) => answer.len(),
                    Response::Reshared(answer) => cbor::encode(answer).len(),
                    Response::Masks { dealing, parts } => {
                        dealing.len() + parts.iter().map(|part| part.len()).sum::<usize>()
                    }
                    Response::BlindedShares { sealed } => sealed.len(),
                    Response::Refused(refusal) => refusal.message.len(),
                    Response::Done
                    | Response::Head(_)
                    | Response::Body { .. }
                    | Response::Same
                    | Response::WrongMask { .. } => 0,
                };
                (payload, body)
            }
        };
        (OVERHEAD_BYTES + payload + body.as_ref().map_or(0, |body| body.len())) as u64
    }

    /// The same message after it went through the real wire format; what does not come back equal is an error.
    ///
    /// # Errors
    /// What does not encode and decode to itself.
    pub fn through_the_wire(self) -> Result<Self, String> {
        fn same<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq>(value: &T) -> Result<T, String> {
            let decoded: T =
                cbor::decode(&cbor::encode(value), FRAME_BYTES_MAX).map_err(|error| format!("the wire: {error}"))?;
            if decoded == *value { Ok(decoded) } else { Err("the wire changes a message".to_owned()) }
        }
        Ok(match self {
            Self::Request { call, caller, request, body } => {
                Self::Request { call, caller, request: same(&request)?, body }
            }
            Self::Response { call, response, body } => Self::Response { call, response: same(&response)?, body },
        })
    }
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives, and perhaps a second time.
    Arrives(Time, Option<Time>),
    /// It does not.
    Lost(&'static str),
}

/// All links.
#[derive(Debug)]
pub struct Network {
    config: NetworkConfig,
    streams: Vec<Stream>,
    /// When each link has sent what it was given, by (from, to).
    free_at: Vec<Time>,
    nodes: usize,
    partitions: Vec<(BTreeSet<NodeId>, Time)>,
    one_way: Vec<(NodeId, NodeId, Time)>,
}

impl Network {
    /// Links between so many nodes.
    #[must_use]
    pub fn new(config: NetworkConfig, seed: u64, nodes: usize) -> Self {
        Self {
            config,
            streams: (0..nodes as u64).map(|node| Stream::new(seed, Purpose::Link, node)).collect(),
            free_at: vec![Time::default(); nodes * nodes],
            nodes,
            partitions: Vec::new(),
            one_way: Vec::new(),
        }
    }

    /// These nodes reach each other and nobody else.
    pub fn partition(&mut self, nodes: BTreeSet<NodeId>, until: Time) {
        self.partitions.push((nodes, until));
    }

    /// Nothing passes this way.
    pub fn cut_one_way(&mut self, from: NodeId, to: NodeId, until: Time) {
        self.one_way.push((from, to, until));
    }

    /// Mends everything.
    pub fn heal(&mut self) {
        (self.config.loss, self.config.duplication) = (0.0, 0.0);
        self.partitions.clear();
        self.one_way.clear();
    }

    /// A caller gives up after this.
    #[must_use]
    pub const fn timeout_ms(&self) -> u64 {
        self.config.timeout_ms as u64
    }

    /// Sends a message of so many bytes.
    pub fn route(&mut self, now: Time, from: NodeId, to: NodeId, bytes: u64) -> Fate {
        self.partitions.retain(|(_inside, until)| now < *until);
        self.one_way.retain(|(_from, _to, until)| now < *until);
        if self.partitions.iter().any(|(inside, _until)| inside.contains(&from) != inside.contains(&to)) {
            return Fate::Lost("partition");
        }
        if self.one_way.iter().any(|(of, at, _until)| (*of, *at) == (from, to)) {
            return Fate::Lost("one way");
        }
        let NetworkConfig { latency_ms, jitter_ms, bandwidth_bytes_per_s, loss, duplication, .. } = self.config;
        let Some(stream) = self.streams.get_mut(from.index()) else { return Fate::Lost("nobody") };
        if stream.chance(loss) {
            return Fate::Lost("loss");
        }
        let mut travel_us = || u64::from(latency_ms) * 1_000 + stream.below(u64::from(jitter_ms) * 1_000 + 1);
        let (first_us, second_us) = (travel_us(), travel_us());
        let twice = stream.chance(duplication);
        let sent_at = match self.free_at.get_mut(from.index() * self.nodes + to.index()) {
            Some(free_at) => {
                let sending_us = bytes.saturating_mul(1_000_000) / bandwidth_bytes_per_s;
                *free_at = (*free_at).max(now).plus_us(sending_us);
                *free_at
            }
            None => now,
        };
        Fate::Arrives(sent_at.plus_us(first_us), twice.then(|| sent_at.plus_us(first_us + second_us)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Fate, Network, NetworkConfig};
    use crate::world::trace::NodeId;
    use crate::world::virtual_clock::Time;

    fn network(change: impl FnOnce(&mut NetworkConfig)) -> Network {
        let mut config = NetworkConfig { jitter_ms: 0, ..NetworkConfig::default() };
        change(&mut config);
        Network::new(config, 1, 3)
    }

    #[test]
    fn bandwidth_delays_what_follows() {
        let mut network = network(|config| config.bandwidth_bytes_per_s = 1_000_000);
        let route = |network: &mut Network, to| network.route(Time(0), NodeId(0), NodeId(to), 1_000_000);
        assert_eq!(route(&mut network, 1), Fate::Arrives(Time::from_ms(1_020), None));
        assert_eq!(route(&mut network, 1), Fate::Arrives(Time::from_ms(2_020), None));
        assert_eq!(route(&mut network, 2), Fate::Arrives(Time::from_ms(1_020), None), "another link");
    }

    #[test]
    fn cuts_end_by_time_and_by_the_heal() {
        let mut network = network(|config| config.loss = 1.0);
        network.partition([NodeId(0), NodeId(1)].into(), Time::from_ms(10));
        network.cut_one_way(NodeId(2), NodeId(0), Time::from_ms(20));
        let fates = |network: &mut Network, ms, from, to| network.route(Time::from_ms(ms), NodeId(from), NodeId(to), 0);
        assert_eq!(fates(&mut network, 0, 0, 2), Fate::Lost("partition"));
        assert_eq!(fates(&mut network, 0, 0, 1), Fate::Lost("loss"), "inside");
        assert_eq!(fates(&mut network, 10, 2, 0), Fate::Lost("one way"));
        assert_eq!(fates(&mut network, 10, 0, 2), Fate::Lost("loss"));
        network.heal();
        assert_eq!(fates(&mut network, 10, 2, 0), Fate::Arrives(Time::from_ms(30), None));
    }
}
