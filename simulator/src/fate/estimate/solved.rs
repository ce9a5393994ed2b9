//! Plans that need no chance: which they are, and their figures from [`exact`](super::super::exact).

use super::super::exact::chain::Chain;
use super::super::exact::chance::{Chance, at_least_once};
use super::super::exact::count::Count;
use super::super::exact::stripe::{Repair, Stripe};
use super::super::model::{Effect, Group, Hits, Law, Model, Site};

/// Sites of the largest chain with a state for each set of lost sites.
const SITES_MAX: usize = 10;
/// Edges times jumps: about a second.
const WORK_MAX: f64 = 2e8;
/// Groups whose subsets are gone through.
const GROUPS_MAX: usize = 12;

/// Probability of loss by the horizon, if the plan is a small Markov chain.
pub(super) fn loss(model: &Model) -> Option<f64> {
    let sites: Vec<Rates> = model.sites.iter().map(Rates::of).collect::<Option<_>>()?;
    let policy = &model.policy;
    let at_once = policy.detect_years <= 0.0 && policy.repair_at.is_none() && policy.uplink_share.is_none();
    let is_quiet = model.timeline.is_empty() && !model.sites.iter().any(|site| site.agreement.is_some());
    let writes_off = policy.write_off_years.is_some()
        && (model.sites.iter().any(|site| site.outage.is_some()) || model.groups.iter().any(holds_down));
    if !at_once || !is_quiet || writes_off {
        return None;
    }
    let groups: Vec<&Group> = model.groups.iter().filter(|group| group.per_year > 0.0 && !holds_down(group)).collect();
    let first = sites.first()?;
    let needed = model.code.data_shards.max(model.code.threshold);
    let are_alike = sites.iter().all(|site| site == first) && first.holds == [true, true];
    if groups.is_empty() && are_alike {
        let repair = match (policy.crews, first.repair) {
            (_, rate) if rate <= 0.0 => Repair::None,
            (None, rate) => Repair::Parallel(rate),
            (Some(1), rate) => Repair::OneCrew(rate),
            (Some(crews), rate) if crews as usize >= sites.len() => Repair::Parallel(rate),
            (Some(_), _) => return None,
        };
        let count = u32::try_from(sites.len()).ok()?;
        if first.loss <= 0.0 {
            return Some(0.0);
        }
        let stripe = Stripe::new(count, needed, first.loss, repair).ok()?;
        let rate = 2.0 * f64::from(count) * (first.loss + first.repair);
        let work = rate * model.horizon_years * f64::from(count);
        return if work <= WORK_MAX { stripe.loss_by(model.horizon_years).ok() } else { None };
    }
    let crews_are_enough = policy.crews.is_none_or(|crews| crews as usize >= sites.len());
    if sites.len() > SITES_MAX || !crews_are_enough {
        return None;
    }
    by_sets(model, &sites, &groups)
}

fn holds_down(group: &Group) -> bool {
    matches!(group.blow.effect, Effect::Down(_) | Effect::Copied | Effect::WriterStolen)
}

/// What a site is to a chain.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rates {
    loss: f64,
    /// Zero: never.
    repair: f64,
    /// A shard, a share.
    holds: [bool; 2],
}

impl Rates {
    fn of(site: &Site) -> Option<Self> {
        let loss = match &site.loss {
            Some(law) => law.rate()?,
            None => 0.0,
        };
        let repair = match &site.repair {
            Some(law) => law.rate()?,
            None => 0.0,
        };
        let holds = [site.holds_shard, site.holds_share];
        (site.rot_per_year <= 0.0).then_some(Self { loss: loss + site.seized_per_year, repair, holds })
    }
}

/// A chain whose states are the sets of lost sites.
fn by_sets(model: &Model, sites: &[Rates], groups: &[&Group]) -> Option<f64> {
    let count = sites.len();
    let survives = |lost: usize| {
        let left = |what: usize| {
            let holds = |(place, site): (usize, &Rates)| {
                lost >> place & 1 == 0 && site.holds.get(what).copied().unwrap_or(false)
            };
            sites.iter().enumerate().filter(|&(place, site)| holds((place, site))).count()
        };
        left(0) >= model.code.data_shards as usize && left(1) >= model.code.threshold as usize
    };
    let end = 1 << count;
    let mut chain = Chain::new(end + 1).ok()?;
    let (mut edges, mut fastest) = (0.0, 0.0_f64);
    for lost in (0..end).filter(|&lost| survives(lost)) {
        let mut exit = 0.0;
        let mut lead = |next: usize, rate: f64| {
            if next != lost && rate > 0.0 {
                edges += 1.0;
                exit += rate;
                chain.lead(lost, if survives(next) { next } else { end }, rate).ok()?;
            }
            Some(())
        };
        for (place, site) in sites.iter().enumerate() {
            let bit = 1 << place;
            if lost & bit == 0 { lead(lost | bit, site.loss)? } else { lead(lost & !bit, site.repair)? }
        }
        for group in groups {
            for (hit, chance) in hits(model, group)? {
                lead(lost | hit, group.per_year * chance)?;
            }
        }
        fastest = fastest.max(exit);
    }
    if edges * 2.0 * fastest * model.horizon_years > WORK_MAX {
        return None;
    }
    chain.after_from(0, model.horizon_years).ok()?.get(end).copied()
}

/// The sets of sites that a blow of this group takes, as bits, with their chances; nothing for what is no loss that can
/// be repaired.
fn hits(model: &Model, group: &Group) -> Option<Vec<(usize, f64)>> {
    let (Effect::Lost | Effect::Seized, false, Hits::Each { chance }) =
        (group.blow.effect, group.blow.for_good, group.blow.hits)
    else {
        return None;
    };
    let mut sets = vec![(0_usize, 1.0)];
    for &place in &group.members {
        let is_spared = group.blow.spares_cold && model.sites.get(place).is_some_and(|site| site.is_cold);
        if is_spared {
            continue;
        }
        let with = sets.iter().map(|&(set, weight)| (set | 1 << place, weight * chance));
        let without = sets.iter().map(|&(set, weight)| (set, weight * (1.0 - chance)));
        sets = with.chain(without).filter(|(_, weight)| *weight > 0.0).collect();
    }
    Some(sets)
}

/// Probability of disclosure by the horizon, if sites are captured independently but for whole groups, and nothing else
/// takes away what could be captured.
pub(super) fn disclosure(model: &Model) -> Option<f64> {
    let code = &model.code;
    let are_both = model.sites.iter().all(|site| site.holds_shard && site.holds_share);
    let stands = |site: &Site| site.loss.is_none() && site.rot_per_year <= 0.0 && site.agreement.is_none();
    let writes_off = model.policy.write_off_years.is_some();
    if !model.timeline.is_empty() || !model.sites.iter().all(stands) || writes_off || !are_both {
        return None;
    }
    let groups: Vec<&Group> = model
        .groups
        .iter()
        .filter(|group| group.per_year > 0.0 && !matches!(group.blow.effect, Effect::Down(_) | Effect::WriterStolen))
        .collect();
    let captures = |group: &&Group| {
        matches!(group.blow.effect, Effect::Seized | Effect::Copied)
            && matches!(group.blow.hits, Hits::Each { chance } if chance >= 1.0)
            && !(group.blow.spares_cold && model.sites.iter().any(|site| site.is_cold))
    };
    if groups.len() > GROUPS_MAX || !groups.iter().all(captures) {
        return None;
    }
    let needed = if code.ciphertext_is_public { code.threshold } else { code.threshold.max(code.data_shards) };
    let Some(period) = code.refresh_years else { return captured(model, &groups, needed, model.horizon_years) };
    // Every epoch begins alike only if the captured are whole again at once, every refresh succeeds, and shards captured
    // in earlier epochs never tip the scales.
    let policy = &model.policy;
    let at_once = policy.detect_years <= 0.0
        && policy.repair_at.is_none()
        && policy.uplink_share.is_none()
        && policy.crews.is_none()
        && model.sites.iter().all(|site| site.repair.as_ref().is_some_and(Law::is_instant))
        && survives_each_seizure(model, &groups);
    let only_copied = model.sites.iter().all(|site| site.seized_per_year <= 0.0)
        && groups.iter().all(|group| group.blow.effect == Effect::Copied && !group.blow.for_good);
    let is_lasting = groups.iter().any(|group| group.blow.for_good);
    let never_down = model.sites.iter().all(|site| site.outage.is_none())
        && !model.groups.iter().any(|group| matches!(group.blow.effect, Effect::Down(_)));
    let shares_decide = code.ciphertext_is_public || code.data_shards <= code.threshold;
    if !(at_once || only_copied) || is_lasting || !never_down || !shares_decide {
        return None;
    }
    let epochs = libm::floor(model.horizon_years / period);
    let rest = (model.horizon_years - epochs * period).max(0.0);
    let whole = at_least_once(captured(model, &groups, code.threshold, period)?, epochs).ok()?;
    let last = captured(model, &groups, code.threshold, rest)?;
    Some(whole + (1.0 - whole) * last)
}

/// No single seizure takes so much that the data are lost: after a loss nothing is repaired, and no refresh succeeds.
fn survives_each_seizure(model: &Model, groups: &[&Group]) -> bool {
    let seized = groups.iter().filter(|group| group.blow.effect == Effect::Seized).map(|group| group.members.len());
    let most = seized.max().unwrap_or(0).max(1);
    let needed = model.code.data_shards.max(model.code.threshold) as usize;
    model.sites.len() >= needed + most
}

/// Probability that `needed` sites are captured within `years`: the sum over which groups are struck.
fn captured(model: &Model, groups: &[&Group], needed: u32, years: f64) -> Option<f64> {
    let alone: Vec<Chance> = model
        .sites
        .iter()
        .map(|site| Chance::within(site.seized_per_year + site.copied_per_year, years).ok())
        .collect::<Option<_>>()?;
    let mut sum = 0.0;
    for struck in 0..1_usize << groups.len() {
        let mut weight = 1.0;
        let mut taken = vec![false; model.sites.len()];
        for (place, group) in groups.iter().enumerate() {
            let chance = Chance::within(group.per_year, years).ok()?;
            if struck >> place & 1 == 0 {
                weight *= chance.no();
                continue;
            }
            weight *= chance.yes();
            for &member in &group.members {
                if let Some(taken) = taken.get_mut(member) {
                    *taken = true;
                }
            }
        }
        let sure = u32::try_from(taken.iter().filter(|taken| **taken).count()).ok()?;
        let left: Vec<Chance> =
            alone.iter().zip(&taken).filter(|(_, taken)| !**taken).map(|(chance, _)| *chance).collect();
        sum += weight * Count::of(&left).ok()?.at_least(needed.saturating_sub(sure));
    }
    Some(sum.min(1.0))
}
