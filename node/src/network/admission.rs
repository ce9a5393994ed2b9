//! Who may begin a handshake: places are kept for addresses from which a member came before, so that a flood from
//! elsewhere does not shut the members out.
//!
//! A handshake costs memory and processor time before anybody has shown a key, so only few may be under way at once.
//! Were there one number for all, whoever opens connections and says nothing would use it up. An address proves nothing
//! and gives no right but to shake hands: keys decide afterwards.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::behaviour::ListenFailure;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    dummy,
};
use libp2p::{Multiaddr, PeerId};

/// Handshakes under way with members' addresses: in all, and with one of them.
const KNOWN: Places = Places { total: 256, each: 64 };
/// The same with all other addresses.
const UNKNOWN: Places = Places { total: 64, each: 8 };
/// Addresses remembered; the oldest is forgotten first.
const ADDRESSES_MAX: usize = 4_096;

struct Places {
    total: usize,
    each: usize,
}

/// No place is free.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("too many handshakes are under way")]
struct Full;

/// The behaviour.
#[derive(Debug, Default)]
pub(super) struct Admission {
    known: VecDeque<IpAddr>,
    pending: HashMap<ConnectionId, Pending>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pending {
    network: Option<IpAddr>,
    is_known: bool,
}

/// The address, or the part of it that one customer of a provider gets: 64 bits of IPv6.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

/// The IP address that a multiaddr begins with.
pub(super) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    let first = address.iter().next()?;
    if let Protocol::Ip4(ip) = first {
        return Some(ip.into());
    }
    if let Protocol::Ip6(ip) = first { Some(ip.into()) } else { None }
}

impl Admission {
    /// A member came from there, or is said to be there by the charter.
    pub(super) fn know(&mut self, ip: IpAddr) {
        let network = network(ip);
        if self.known.contains(&network) {
            return;
        }
        if self.known.len() == ADDRESSES_MAX {
            self.known.pop_front();
        }
        self.known.push_back(network);
    }

    fn begin(&mut self, id: ConnectionId, remote: &Multiaddr) -> Result<(), Full> {
        let network = ip_of(remote).map(network);
        let is_known = network.is_some_and(|network| self.known.contains(&network));
        let asked = Pending { network, is_known };
        let places = if is_known { KNOWN } else { UNKNOWN };
        let alike = self.pending.values().filter(|pending| pending.is_known == is_known);
        if alike.clone().count() >= places.total || alike.filter(|pending| **pending == asked).count() >= places.each {
            return Err(Full);
        }
        self.pending.insert(id, asked);
        Ok(())
    }
}

impl NetworkBehaviour for Admission {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = std::convert::Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.begin(id, remote).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        _peer: PeerId,
        _local: &Multiaddr,
        _remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending.remove(&id);
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _id: ConnectionId,
        _peer: PeerId,
        _address: &Multiaddr,
        _role: Endpoint,
        _port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        if let FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) = event {
            self.pending.remove(&connection_id);
        }
    }

    fn on_connection_handler_event(&mut self, _peer: PeerId, _id: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _context: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(ip: &str) -> Multiaddr {
        let ip: IpAddr = ip.parse().unwrap();
        let kind = if ip.is_ipv4() { "ip4" } else { "ip6" };
        format!("/{kind}/{ip}/tcp/7000").parse().unwrap()
    }

    fn begins(admission: &mut Admission, number: &mut usize, ip: &str) -> bool {
        *number += 1;
        admission.begin(ConnectionId::new_unchecked(*number), &address(ip)).is_ok()
    }

    #[test]
    fn a_flood_from_elsewhere_takes_no_place_of_a_member() {
        let (mut admission, mut number) = (Admission::default(), 0);
        admission.know("192.0.2.7".parse().unwrap());
        let taken = (0..2_000)
            .filter(|from| begins(&mut admission, &mut number, &format!("198.51.{}.{}", from / 250, from % 250)));
        assert_eq!(taken.count(), UNKNOWN.total);
        let member = (0..100).filter(|_| begins(&mut admission, &mut number, "192.0.2.7")).count();
        assert_eq!(member, KNOWN.each);
    }

    #[test]
    fn one_address_does_not_take_all_places_of_strangers() {
        let (mut admission, mut number) = (Admission::default(), 0);
        assert_eq!((0..100).filter(|_| begins(&mut admission, &mut number, "198.51.100.1")).count(), UNKNOWN.each);
        assert!(begins(&mut admission, &mut number, "198.51.100.2"));
        // A whole network of IPv6 is one customer, and an IPv4 address is the same one however it is written.
        let of_one = |host: u32| format!("2001:db8:1:2::{host:x}");
        assert_eq!((1..100).filter(|host| begins(&mut admission, &mut number, &of_one(*host))).count(), UNKNOWN.each);
        assert!(!begins(&mut admission, &mut number, "::ffff:198.51.100.1"));
    }

    #[test]
    fn a_place_is_free_again_when_the_handshake_ends() {
        let (mut admission, mut number) = (Admission::default(), 0);
        while begins(&mut admission, &mut number, "198.51.100.1") {}
        let (id, peer) = (ConnectionId::new_unchecked(1), PeerId::random());
        let (local, remote) = (address("192.0.2.1"), address("198.51.100.1"));
        admission.handle_established_inbound_connection(id, peer, &local, &remote).unwrap();
        assert!(begins(&mut admission, &mut number, "198.51.100.1"));
        let id = ConnectionId::new_unchecked(2);
        let error = &libp2p::swarm::ListenError::Aborted;
        let failure =
            ListenFailure { local_addr: &local, send_back_addr: &remote, error, connection_id: id, peer_id: None };
        admission.on_swarm_event(FromSwarm::ListenFailure(failure));
        assert!(begins(&mut admission, &mut number, "198.51.100.1"));
    }

    #[test]
    fn as_many_addresses_as_anybody_likes_are_not_remembered() {
        let mut admission = Admission::default();
        for from in 0..10_000_u32 {
            admission.know(std::net::Ipv4Addr::from_bits(from).into());
        }
        assert_eq!(admission.known.len(), ADDRESSES_MAX);
    }
}
