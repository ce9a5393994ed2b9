//! Sites in blocs that do not overlap: states that act together, or one software that fails everywhere at once.
//!
//! Beside what befalls each site alone, a shock takes every site of a bloc at once. Where a bloc holds as many sites as
//! the threshold, no number of other sites helps: the chance is at least that of its shock.

use std::collections::BTreeMap;

use super::chain::Chain;
use super::chance::Chance;
use super::count::Count;
use super::refusal::{Impossible, code, not_negative, positive};

/// How many sites are hit, of blocs of these sizes, when each site alone is hit with the chance `site` and each whole
/// bloc with the chance `shock`. A bloc's count is `(1-G) binomial + G all`; blocs are convolved.
pub fn hit(sizes: &[u32], site: Chance, shock: Chance) -> Result<Count, Impossible> {
    let mut hit = Count::none();
    for &size in sizes {
        hit = hit.plus(&Count::alike(size, site)?.or_all_at_once(shock))?;
    }
    Ok(hit)
}

/// Rates per year of loss and repair, the same for all sites and all blocs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// One site, by itself.
    pub loss: f64,
    /// One lost site; all are repaired at once.
    pub repair: f64,
    /// All sites of one bloc together.
    pub shock: f64,
}

/// Sites down per bloc, as (size, down) in order: blocs of one size with as many down are the same.
type Down = Vec<(u32, u32)>;

/// Mean years until fewer than `needed` sites are up, from all up, by elimination on the chain of the sites down per
/// bloc. Blocs of one size are counted, not told apart, which keeps the chain small.
pub fn mean_years_to_loss(sizes: &[u32], needed: u32, rates: Rates) -> Result<f64, Impossible> {
    let sites = sizes.iter().fold(0_u32, |sum, &size| sum.saturating_add(size));
    let spare = code(sites, needed)?;
    positive("loss rate", rates.loss)?;
    not_negative("repair rate", rates.repair)?;
    not_negative("shock rate", rates.shock)?;
    let mut all_up: Down = sizes.iter().map(|&size| (size, 0)).collect();
    all_up.sort_unstable();
    let mut chain = Chain::new(2)?;
    let (start, lost) = (0, 1);
    let mut numbers = BTreeMap::from([(all_up.clone(), start)]);
    let mut open = vec![(all_up, start)];
    while let Some((down, from)) = open.pop() {
        for (next, rate) in moves(&down, rates) {
            let to = if next.iter().map(|(_, down)| down).sum::<u32>() > spare {
                lost
            } else if let Some(&number) = numbers.get(&next) {
                number
            } else {
                let number = chain.add_state()?;
                numbers.insert(next.clone(), number);
                open.push((next, number));
                number
            };
            chain.lead(from, to, rate)?;
        }
    }
    chain.mean_time_to_end(start)
}

/// What can happen next, and at which rate per year.
fn moves(down: &Down, rates: Rates) -> Vec<(Down, f64)> {
    let mut moves = Vec::new();
    for (place, &(size, gone)) in down.iter().enumerate() {
        let mut to = |gone: u32, rate: f64| {
            let mut next = down.clone();
            if let Some(bloc) = next.get_mut(place) {
                bloc.1 = gone;
            }
            next.sort_unstable();
            moves.push((next, rate));
        };
        if gone < size {
            to(gone + 1, f64::from(size - gone) * rates.loss);
            to(size, rates.shock);
        }
        if gone > 0 {
            to(gone - 1, f64::from(gone) * rates.repair);
        }
    }
    moves
}
