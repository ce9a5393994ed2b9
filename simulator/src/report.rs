//! What a planner is shown.

#[cfg(test)]
pub(crate) mod example;
pub mod number;
