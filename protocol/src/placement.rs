//! Which sites hold what, and who could take it: coalitions and durability.

pub mod coalition;
pub mod durability;
pub mod nearest;
