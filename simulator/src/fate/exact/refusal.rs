//! Input that describes nothing is refused with the name of what is wrong; it never becomes a number.

/// The most sites of one stripe, and the most events of one count.
pub const SITES_MAX: u32 = 1024;

/// Why there is no figure.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Impossible {
    /// No such code: `needed` must be from 1 to `sites`.
    #[error("{needed} of {sites} sites is no code: needed must be from 1 to the number of sites")]
    Code {
        /// Shards that a restore needs.
        needed: u32,
        /// Sites that hold one shard each.
        sites: u32,
    },
    /// More than this solver takes.
    #[error("{what}: {given} is above the limit of {limit}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much was given.
        given: f64,
        /// How much is taken.
        limit: f64,
    },
    /// Negative, infinite or not a number, or zero where that has no meaning.
    #[error("{what}: {value} is out of range")]
    OutOfRange {
        /// The name of the quantity.
        what: &'static str,
        /// What was given.
        value: f64,
    },
    /// A form for repaired systems was asked about one without repair.
    #[error("this form holds only with repair")]
    NoRepair,
    /// A state that the chain does not have, or a distribution over another number of states.
    #[error("the chain has no state {0}")]
    NoSuchState(usize),
    /// From some state that can be reached, no absorbing state can be.
    #[error("the chain can run for ever")]
    NeverEnds,
}

/// Finite and not negative.
pub(crate) fn not_negative(what: &'static str, value: f64) -> Result<f64, Impossible> {
    if value.is_finite() && value >= 0.0 { Ok(value) } else { Err(Impossible::OutOfRange { what, value }) }
}

/// Finite and above zero.
pub(crate) fn positive(what: &'static str, value: f64) -> Result<f64, Impossible> {
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err(Impossible::OutOfRange { what, value }) }
}

/// A probability.
pub(crate) fn probability(what: &'static str, value: f64) -> Result<f64, Impossible> {
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(Impossible::OutOfRange { what, value }) }
}

/// At most [`SITES_MAX`] sites.
pub(crate) fn countable(sites: u32) -> Result<u32, Impossible> {
    let (given, limit) = (f64::from(sites), f64::from(SITES_MAX));
    if sites <= SITES_MAX { Ok(sites) } else { Err(Impossible::TooMany { what: "sites", given, limit }) }
}

/// A code of `needed` of `sites`; returns how many losses it survives.
pub(crate) fn code(sites: u32, needed: u32) -> Result<u32, Impossible> {
    countable(sites)?;
    match sites.checked_sub(needed) {
        Some(spare) if needed > 0 => Ok(spare),
        _ => Err(Impossible::Code { needed, sites }),
    }
}
