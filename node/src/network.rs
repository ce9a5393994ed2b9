//! The mesh: libp2p over TCP with TLS 1.3 (and QUIC beside it), and one request-response protocol on its streams.
//!
//! [`mesh`] owns the swarm; [`frame`] is the byte layout of one stream; [`link`] is what a client holds to one site;
//! [`identity`] turns our keys into PeerIds. Noise is not offered: TLS negotiates the X25519MLKEM768 hybrid, so what
//! is recorded today stays closed to a quantum computer.

mod admission;
pub mod frame;
pub mod identity;
pub mod link;
pub mod mesh;

pub use link::{CallError, Dialer, Link};
pub use mesh::{Mesh, MeshError, MeshOptions};
