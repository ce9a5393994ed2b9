//! The swarm and the task that drives it. Everything else talks to it through the cheap, cloneable [`Mesh`].

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use futures::StreamExt as _;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, connection_limits, identify, memory_connection_limits, ping,
};
use protocol::signature::{Keypair, PublicKey};
use protocol::wire::STREAM_PROTOCOL;
use tokio::sync::{mpsc, oneshot};

use super::admission::{Admission, ip_of};
use super::identity::{libp2p_keypair, peer_id, public_key};

/// Connections that the whole process may hold.
const CONNECTIONS_MAX: u32 = 1_024;
/// Connections of one peer.
const CONNECTIONS_PER_PEER_MAX: u32 = 8;
/// Dialling one site, all its addresses tried at once.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the mesh does not come up, or a site is not reached.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// With this variable set the TLS library writes every session's secrets to a file.
    #[error("SSLKEYLOGFILE is set: it would write the secrets of every connection to a file; unset it and start again")]
    KeyLog,
    /// The transport could not be built.
    #[error("cannot start the network: {0}")]
    Start(String),
    /// A listen address is taken or malformed.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The multiaddr.
        address: String,
        /// Why.
        reason: String,
    },
    /// An address of a site is malformed.
    #[error("'{address}' is not an address such as /ip4/192.0.2.1/tcp/7000")]
    Address {
        /// The text.
        address: String,
    },
    /// No address of the site answered.
    #[error("not reached at {addresses}: {reason}")]
    Dial {
        /// What was tried.
        addresses: String,
        /// Why not.
        reason: String,
    },
    /// Not one address of the site answered in time.
    #[error("not reached at {addresses}: no answer in time")]
    Silent {
        /// What was tried.
        addresses: String,
    },
    /// The driving task is gone: the process is shutting down.
    #[error("the network has stopped")]
    Stopped,
}

impl MeshError {
    /// Whether the failure came at once: trying again soon costs little.
    #[must_use]
    pub fn is_quick(&self) -> bool {
        matches!(self, Self::Dial { .. })
    }
}

/// How the mesh is set up.
#[derive(Clone, Debug, Default)]
pub struct MeshOptions {
    /// Multiaddrs to listen on; none for a client.
    pub listen: Vec<String>,
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    admission: Admission,
    limits: connection_limits::Behaviour,
    memory: memory_connection_limits::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    stream: libp2p_stream::Behaviour,
}

enum Command {
    Connect { peer: PeerId, addresses: Vec<Multiaddr>, reply: oneshot::Sender<Result<(), String>> },
    Disconnect { peer: PeerId },
    Know { ip: IpAddr },
}

/// What the daemon wants to hear.
#[derive(Clone, Copy, Debug)]
pub enum PeerEvent {
    /// A first connection stands, from this address if that is an IP address.
    Connected(PublicKey, Option<IpAddr>),
    /// The last connection is gone.
    Disconnected(PublicKey),
}

/// Handle to the swarm.
#[derive(Clone)]
pub struct Mesh {
    me: PeerId,
    commands: mpsc::Sender<Command>,
    control: libp2p_stream::Control,
}

impl Mesh {
    /// Starts the swarm on the current runtime and, if asked, listens. Events are dropped when nobody reads them.
    ///
    /// # Errors
    /// `SSLKEYLOGFILE` is set, or an address cannot be listened on.
    #[expect(clippy::wildcard_enum_match_arm, reason = "libp2p adds events; these are the ones that matter here")]
    pub async fn start(
        keypair: &Keypair,
        options: &MeshOptions,
    ) -> Result<(Self, mpsc::Receiver<PeerEvent>), MeshError> {
        if std::env::var_os("SSLKEYLOGFILE").is_some() {
            return Err(MeshError::KeyLog);
        }
        let mut swarm = build(keypair)?;
        let mut waiting = 0;
        for address in &options.listen {
            let multiaddr = parse_address(address)?;
            refuse_a_shared_port(&multiaddr, address)?;
            let listening = swarm.listen_on(multiaddr);
            listening.map_err(|error| MeshError::Listen { address: address.clone(), reason: error.to_string() })?;
            waiting += 1;
        }
        while waiting > 0 {
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { address, .. } => {
                    tracing::info!(%address, "listening");
                    waiting -= 1;
                }
                SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                    let reason = format!("{reason:?}");
                    return Err(MeshError::Listen { address: join(&addresses), reason });
                }
                _ => {}
            }
        }
        let control = swarm.behaviour().stream.new_control();
        let me = *swarm.local_peer_id();
        let (commands, receive_commands) = mpsc::channel(64);
        let (events, receive_events) = mpsc::channel(256);
        tokio::spawn(drive(swarm, receive_commands, events));
        Ok((Self { me, commands, control }, receive_events))
    }

    /// This peer.
    #[must_use]
    pub fn me(&self) -> PeerId {
        self.me
    }

    /// Connects to `key` at any of `addresses`; at once if it is connected already.
    ///
    /// # Errors
    /// A malformed address, or none answered in time.
    pub async fn connect(&self, key: PublicKey, addresses: &[String]) -> Result<PeerId, MeshError> {
        let failed = |reason: String| MeshError::Dial { addresses: addresses.join(", "), reason };
        let peer = peer_id(key).ok_or_else(|| failed("the identity is not a usable key".to_owned()))?;
        let parsed = addresses.iter().map(|text| parse_address(text)).collect::<Result<Vec<_>, _>>()?;
        let (reply, answer) = oneshot::channel();
        let command = Command::Connect { peer, addresses: parsed, reply };
        self.commands.send(command).await.map_err(|_closed| MeshError::Stopped)?;
        match tokio::time::timeout(DIAL_TIMEOUT, answer).await {
            Ok(Ok(Ok(()))) => Ok(peer),
            Ok(Ok(Err(reason))) => Err(failed(reason)),
            Ok(Err(_dropped)) => Err(MeshError::Stopped),
            Err(_elapsed) => Err(MeshError::Silent { addresses: addresses.join(", ") }),
        }
    }

    /// Closes all connections to `key`.
    pub async fn disconnect(&self, key: PublicKey) {
        if let Some(peer) = peer_id(key) {
            // A stopped mesh has no connections left to close.
            let _stopped = self.commands.send(Command::Disconnect { peer }).await;
        }
    }

    /// Keeps places for those who begin a handshake from this address: a member came from there.
    pub async fn know(&self, ip: IpAddr) {
        // A stopped mesh shakes no hands.
        let _stopped = self.commands.send(Command::Know { ip }).await;
    }

    /// Keeps places for those who begin a handshake from these multiaddrs, as far as they are IP addresses.
    pub async fn know_all(&self, addresses: impl IntoIterator<Item = &String>) {
        for ip in addresses.into_iter().filter_map(|text| ip_of(&text.parse().ok()?)) {
            self.know(ip).await;
        }
    }

    /// Opens a stream to a connected peer.
    ///
    /// # Errors
    /// Not connected, or the peer does not speak the protocol.
    pub async fn open_stream(&self, peer: PeerId) -> Result<libp2p::Stream, String> {
        let mut control = self.control.clone();
        control.open_stream(peer, StreamProtocol::new(STREAM_PROTOCOL)).await.map_err(|error| error.to_string())
    }

    /// The streams that peers open to this one; once per process.
    ///
    /// # Errors
    /// Asked for twice.
    pub fn accept(&self) -> Result<libp2p_stream::IncomingStreams, MeshError> {
        let mut control = self.control.clone();
        control.accept(StreamProtocol::new(STREAM_PROTOCOL)).map_err(|error| MeshError::Start(error.to_string()))
    }
}

fn build(keypair: &Keypair) -> Result<Swarm<Behaviour>, MeshError> {
    let start = |error: String| MeshError::Start(error);
    let identity = libp2p_keypair(keypair).map_err(|error| start(error.to_string()))?;
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_established(Some(CONNECTIONS_MAX))
        .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX));
    let tcp = libp2p::tcp::Config::default().nodelay(true);
    let builder = SwarmBuilder::with_existing_identity(identity)
        .with_tokio()
        .with_tcp(tcp, libp2p::tls::Config::new, libp2p::yamux::Config::default)
        .map_err(|error| start(error.to_string()))?
        .with_quic()
        .with_dns()
        .map_err(|error| start(error.to_string()))?
        .with_behaviour(|key| Behaviour {
            admission: Admission::default(),
            limits: connection_limits::Behaviour::new(limits),
            memory: memory_connection_limits::Behaviour::with_max_percentage(0.5),
            identify: identify::Behaviour::new(identify::Config::new("/legation/identify/1".to_owned(), key.public())),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(Duration::from_secs(20))),
            stream: libp2p_stream::Behaviour::new(),
        })
        .map_err(|error| start(error.to_string()))?
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(120)));
    Ok(builder.build())
}

/// The transport sets `SO_REUSEPORT`: two sites at one port would both start, and each get half of the other's peers.
fn refuse_a_shared_port(multiaddr: &Multiaddr, address: &str) -> Result<(), MeshError> {
    let mut parts = multiaddr.iter();
    let (Some(ip), Some(Protocol::Tcp(port))) = (ip_of(multiaddr), parts.nth(1)) else { return Ok(()) };
    // Bound without that option, and let go at once.
    let bound = std::net::TcpListener::bind((ip, port)).map(drop);
    bound.map_err(|error| MeshError::Listen { address: address.to_owned(), reason: error.to_string() })
}

fn parse_address(text: &str) -> Result<Multiaddr, MeshError> {
    text.parse().map_err(|_multiaddr| MeshError::Address { address: text.to_owned() })
}

fn join(addresses: &[Multiaddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

type Waiting = HashMap<PeerId, Vec<oneshot::Sender<Result<(), String>>>>;

async fn drive(mut swarm: Swarm<Behaviour>, mut commands: mpsc::Receiver<Command>, events: mpsc::Sender<PeerEvent>) {
    let mut waiting: Waiting = HashMap::new();
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                None => return,
                Some(Command::Know { ip }) => swarm.behaviour_mut().admission.know(ip),
                Some(Command::Disconnect { peer }) => drop(swarm.disconnect_peer_id(peer)),
                Some(Command::Connect { peer, reply, .. }) if swarm.is_connected(&peer) => drop(reply.send(Ok(()))),
                Some(Command::Connect { peer, addresses, reply }) => {
                    waiting.entry(peer).or_default().push(reply);
                    let options = DialOpts::peer_id(peer).addresses(addresses);
                    let options = options.condition(PeerCondition::DisconnectedAndNotDialing).build();
                    // A dial that is under way already answers this waiter too.
                    if let Err(error) = swarm.dial(options)
                        && !matches!(error, libp2p::swarm::DialError::DialPeerConditionFalse(_))
                    {
                        answer(&mut waiting, &peer, &Err(dial_reason(&error)));
                    }
                }
            },
            event = swarm.select_next_some() => on_event(event, &mut waiting, &events),
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "libp2p adds events; these are the ones that matter here")]
fn on_event<E>(event: SwarmEvent<E>, waiting: &mut Waiting, events: &mpsc::Sender<PeerEvent>) {
    match event {
        SwarmEvent::ConnectionEstablished { peer_id, num_established, endpoint, .. } => {
            answer(waiting, &peer_id, &Ok(()));
            if num_established.get() == 1
                && let Some(key) = public_key(&peer_id)
            {
                // A client reads no events: a full queue is no fault.
                let from = ip_of(endpoint.get_remote_address());
                let _unread = events.try_send(PeerEvent::Connected(key, from));
            }
        }
        SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
            if let Some(key) = public_key(&peer_id) {
                let _unread = events.try_send(PeerEvent::Disconnected(key));
            }
        }
        SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. } => {
            answer(waiting, &peer, &Err(dial_reason(&error)));
        }
        _ => {}
    }
}

/// What was at the bottom of it: libp2p wraps "connection refused" into four layers of its own words.
fn dial_reason(error: &libp2p::swarm::DialError) -> String {
    let libp2p::swarm::DialError::Transport(failures) = error else { return error.to_string() };
    let mut reasons: Vec<String> = Vec::new();
    for (_address, failure) in failures {
        let mut cause: &dyn std::error::Error = failure;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        // The innermost error repeats itself once for every transport that was tried.
        let text = cause.to_string();
        let last = text.rsplit(": ").next().unwrap_or(&text).trim_end_matches([')', ']']).to_owned();
        let plain = if last.matches('(').count() > last.matches(')').count() { format!("{last})") } else { last };
        if !reasons.contains(&plain) {
            reasons.push(plain);
        }
    }
    reasons.join("; ")
}

fn answer(waiting: &mut Waiting, peer: &PeerId, result: &Result<(), String>) {
    for reply in waiting.remove(peer).unwrap_or_default() {
        // Whoever waited may have given up.
        let _gone = reply.send(result.clone());
    }
}
