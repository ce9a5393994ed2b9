//! The whole program as its users run it: real processes, real sockets on loopback, real disks.

mod backup_crash;
mod evidence;
mod forks;
mod full_disk;
mod harness;
mod hostile;
mod intruders;
mod key_search;
mod lies;
mod orders;
mod peer;
mod postgres;
mod refused_charters;
mod restore;
mod restore_crash;
mod rot;
mod site_crash;
mod sources;
