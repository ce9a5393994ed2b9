//! Attacks on availability: nothing is lost, but a read needs k sites at once.

use super::chance::Chance;
use super::count::Count;
use super::refusal::{Impossible, code, not_negative};

/// Attacks that come by themselves and last a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attacks {
    /// Per year of quiet.
    pub per_year: f64,
    /// Mean length in years.
    pub years: f64,
    /// Each site is down during an attack with this chance.
    pub downs: Chance,
}

/// Share of time in which fewer than `needed` of `sites` answer, each with the chance `up` outside attacks.
pub fn unavailability(sites: u32, needed: u32, up: Chance, attacks: Attacks) -> Result<f64, Impossible> {
    code(sites, needed)?;
    let load = not_negative("attack rate", attacks.per_year)? * not_negative("attack length", attacks.years)?;
    let quiet = Count::alike(sites, up)?.fewer_than(needed);
    let attacked = Count::alike(sites, up.and(attacks.downs.inverse()))?.fewer_than(needed);
    Ok((quiet + load * attacked) / (1.0 + load))
}

/// Probability that a read fails while an attacker holds `budget` sites down and each other one is up with the chance
/// `up`.
pub fn unavailable_against_budget(sites: u32, needed: u32, budget: u32, up: Chance) -> Result<f64, Impossible> {
    code(sites, needed)?;
    Ok(Count::alike(sites.saturating_sub(budget), up)?.fewer_than(needed))
}
