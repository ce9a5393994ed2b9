//! What can be known without chance: the figures a Monte Carlo is held against, and an answer by themselves for sites
//! that fail at constant rates.
//!
//! A loss of 1e-20 per year is a difference of two numbers near 1 in most textbook forms, and double precision then
//! returns noise, even a negative lifetime. So everything here is sums, products and quotients of numbers that are not
//! negative: each keeps about 15 correct digits however rare the event. Logarithms and exponentials come from `libm`,
//! so that a report has the same digits on every machine.
//!
//! | module | holds |
//! | --- | --- |
//! | [`refusal`] | the input that describes nothing |
//! | [`chance`] | an event and its complement; waiting times; many tries |
//! | [`count`] | how many of n events happen: binomial, Poisson-binomial, hypergeometric, Poisson |
//! | [`chain`] | a Markov chain, the mean time until it ends, where it is after a time |
//! | [`stripe`] | k of n sites with repair: lifetime, loss by a date, downtime |
//! | [`departure`] | a site that is lost for good at a known date |
//! | [`bloc`] | sites that fall together: a shock takes a whole bloc |
//! | [`observed`] | repair that waits until audits have seen enough losses |
//! | [`disclosure`] | silent loss between audits, capture between refreshes |
//! | [`outage`] | attacks on availability |
//! | [`recovery`] | time to restore, data not yet replicated, traffic of repair |
//! | [`scatter`] | many stripes over many sites: copysets |

pub mod bloc;
pub mod chain;
pub mod chance;
pub mod count;
pub mod departure;
pub mod disclosure;
pub mod observed;
pub mod outage;
pub mod recovery;
pub mod refusal;
pub mod scatter;
pub mod stripe;
