//! The whole program as its users run it: real processes, real sockets on loopback, real disks.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on must stop loudly"
)]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers of the tests' own making")]

mod backup_crash;
mod bucket;
mod charter_changes;
mod evidence;
mod forgotten;
mod forks;
mod full_disk;
mod greedy;
mod harness;
mod heal;
mod hostile;
mod intruders;
mod key_search;
mod late_shares;
mod lies;
mod lost_stripes;
mod new_placement;
mod new_writer;
mod object_storage;
mod orders;
mod outbox;
mod peer;
mod postgres;
mod pretender;
mod pretenders;
mod quarantine;
mod quota;
mod refused_charters;
mod restore;
mod restore_crash;
mod retention;
mod rot;
mod shaky_line;
mod siege;
mod signed_once;
mod site_crash;
mod site_failure;
mod sources;
mod succession;
mod watch;
