//! The whole program as its users run it: real processes, real sockets on loopback, real disks.

mod forks;
mod harness;
mod hostile;
mod intruders;
mod lies;
mod orders;
mod peer;
mod postgres;
mod refused_charters;
mod restore;
mod rot;
