//! Which leaf is asked for: every leaf that a site is believed to hold is as likely as any other.

use rand::CryptoRng;
use shard_codec::ShardIndex;
use shard_codec::shard_tree::LEAF_BYTES;

use crate::catalog::{Catalog, History, KeptStripe};
use crate::document::Challenge;
use crate::evidence::Evidence;
use crate::identifier::{DatabaseName, SiteName};
use crate::ledger::claims_shard;

/// Stripes drawn before giving up: a site may hold few of them.
const DRAWS_MAX: u32 = 64;

/// A challenge to `site`; `None` if nothing was found to ask for. Half of them go to proven losses, if there are any, so
/// that a site which has repaired is believed again soon.
pub(super) fn draw(
    site: &SiteName,
    catalog: &Catalog,
    evidence: &Evidence,
    rng: &mut impl CryptoRng,
) -> Option<Challenge> {
    let again = if below(2, rng) == 0 { lost_before(site, catalog, evidence, rng) } else { None };
    again.or_else(|| random(site, catalog, evidence, rng))
}

fn lost_before(site: &SiteName, catalog: &Catalog, evidence: &Evidence, rng: &mut impl CryptoRng) -> Option<Challenge> {
    let open = |(_shard, fault): &(_, &crate::evidence::Fault)| {
        let said = fault.evidence.document();
        fault.is_open
            && said.site == *site
            && !evidence.lacks(&said.challenge.database, site, said.challenge.stripe_number)
    };
    let count = evidence.faults().filter(open).count() as u64;
    let drawn = usize::try_from(below(count, rng)).ok()?;
    let (shard, _fault) = evidence.faults().filter(open).nth(drawn)?;
    let stripes = catalog.history(&shard.database)?.kept_stripes();
    let (_position, stripe) = stripes.find(shard.stripe_number, shard.shard_index, &shard.root)?;
    challenge(&shard.database, stripe, ShardIndex::new(shard.shard_index), rng)
}

fn random(site: &SiteName, catalog: &Catalog, evidence: &Evidence, rng: &mut impl CryptoRng) -> Option<Challenge> {
    let total = catalog.histories().map(|(_database, history)| history.kept_stripes().len() as u64).sum();
    let longest = catalog.histories().map(|(_, history)| history.kept_stripes().shard_bytes_max()).max()?;
    for _ in 0..DRAWS_MAX {
        let (database, history, drawn) = locate(catalog, below(total, rng))?;
        let stripe = history.kept_stripes().nth(drawn)?;
        // A shorter shard has fewer leaves: it is taken so much less often.
        let leaves = |bytes: u64| bytes.div_ceil(LEAF_BYTES);
        let is_taken = below(leaves(longest), rng) < leaves(stripe.live.layout.shard_bytes() as u64);
        let held = stripe.live.shard_at(site).filter(|_held| is_taken);
        if let Some((index, _root)) = held
            && claims_shard(site, database, history, stripe, evidence)
        {
            return challenge(database, stripe, index, rng);
        }
    }
    None
}

fn locate(catalog: &Catalog, mut drawn: u64) -> Option<(&DatabaseName, &History, usize)> {
    for (database, history) in catalog.histories() {
        let count = history.kept_stripes().len() as u64;
        if drawn < count {
            return Some((database, history, usize::try_from(drawn).ok()?));
        }
        drawn -= count;
    }
    None
}

fn challenge(
    database: &DatabaseName,
    stripe: &KeptStripe,
    shard_index: ShardIndex,
    rng: &mut impl CryptoRng,
) -> Option<Challenge> {
    let leaf = below((stripe.live.layout.shard_bytes() as u64).div_ceil(LEAF_BYTES), rng);
    let mut nonce = [0; 32];
    rng.fill_bytes(&mut nonce);
    let root = stripe.live.stripe.root(shard_index)?;
    let (database, stripe_number) = (database.clone(), stripe.live.stripe.number);
    Some(Challenge { database, stripe_number, shard_index: shard_index.get(), root, leaf, nonce })
}

/// A number below `end`, each as likely as any other but for 2^-64 (Lemire's multiplication); 0 if `end` is 0.
pub(crate) fn below(end: u64, rng: &mut impl CryptoRng) -> u64 {
    let wide = u128::from(rng.next_u64()) * u128::from(end);
    u64::try_from(wide >> 64).unwrap_or(0)
}

/// Leaves `count` of these sites, drawn at random and in the order of their names: others each time, so that the work is
/// spread, and one that fails in silence is not met for ever.
pub(crate) fn draw_sites(sites: &mut Vec<SiteName>, count: usize, rng: &mut impl CryptoRng) {
    for last in (1..sites.len()).rev() {
        let other = usize::try_from(below(last as u64 + 1, rng)).unwrap_or(last);
        sites.swap(last, other);
    }
    sites.truncate(count);
    sites.sort();
}
