//! A site that is lost for good at a known date: the home, when the country is occupied.

use super::refusal::Impossible;
use super::stripe::Stripe;

/// Probability that the data are lost by `by` years when one of the sites, all alike, is gone for good at `gone` years
/// and no site takes its place. At that date it is one of those already down in the share in which sites are down.
pub fn loss_by(stripe: &Stripe, gone: f64, by: f64) -> Result<f64, Impossible> {
    if gone >= by {
        return stripe.loss_by(by);
    }
    let before = stripe.chain()?.after_from(0, gone)?;
    if stripe.spare() == 0 {
        return Ok(1.0);
    }
    let left = stripe.with_sites(stripe.sites() - 1)?;
    let chain = left.chain()?;
    let lost = chain.states() - 1;
    let mut initial = vec![0.0; chain.states()];
    // Index: sites down among those that are left.
    let mut put = |down: usize, chance: f64| {
        if let Some(state) = initial.get_mut(down.min(lost)) {
            *state += chance;
        }
    };
    let sites = f64::from(stripe.sites());
    for (down, chance) in (0..=stripe.spare()).zip(&before) {
        put(down as usize, chance * f64::from(stripe.sites() - down) / sites);
        if down > 0 {
            put(down as usize - 1, chance * f64::from(down) / sites);
        }
    }
    put(lost, before.last().copied().unwrap_or(0.0));
    Ok(chain.after(&initial, by - gone)?.last().copied().unwrap_or(0.0))
}
