//! The whole program as its users run it: real processes, real sockets on loopback, real disks.

mod harness;
mod restore;
