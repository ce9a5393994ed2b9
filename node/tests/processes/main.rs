//! The whole program as its users run it: real processes, real sockets on loopback, real disks.

mod backup_crash;
mod evidence;
mod full_disk;
mod harness;
mod key_search;
mod restore;
mod restore_crash;
mod site_crash;
mod sources;
