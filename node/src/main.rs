//! Legation.
fn main() {}
