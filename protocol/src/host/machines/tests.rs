//! All machines of seven sites together: losses are found, told, proven and mended.

mod audits;
mod floods;
mod ledgers;
mod mesh;
mod quarantines;
mod repairs;
mod reshare_attacks;
mod reshares;
mod retains;
mod shares;
mod successions;
