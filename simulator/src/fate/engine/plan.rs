//! A [`Model`] made ready to run: constants worked out, agreements turned into timed events, cold sites left out of the
//! blows that spare them.

use super::super::model::{Blow, Departure, Effect, Hits, Law, Model};
use super::clocks::NEVER;
use super::draw::Sampler;

/// A name in the table of causes, by number.
pub(crate) type CauseId = u32;

/// What befalls one site alone, as numbers in the table of causes.
pub(crate) const LOSS: CauseId = 0;
pub(crate) const ROT: CauseId = 1;
pub(crate) const SEIZURE: CauseId = 2;
pub(crate) const COPYING: CauseId = 3;
pub(crate) const OUTAGE: CauseId = 4;
pub(crate) const AGREEMENT: CauseId = 5;
const ALONE: [&str; 6] = ["site lost", "shard rotted", "site seized", "site copied", "site down", "agreement ended"];

#[derive(Debug, Clone)]
pub(crate) struct Plan<'m> {
    pub(crate) model: &'m Model,
    pub(crate) horizon: f64,
    pub(crate) sites: Vec<PlanSite>,
    pub(crate) strikes: Vec<Strike>,
    /// Names; the numbers above, then one per strike.
    pub(crate) causes: Vec<String>,
    pub(crate) data_shards: usize,
    pub(crate) threshold: usize,
    pub(crate) shard_holders: usize,
    pub(crate) share_holders: usize,
    pub(crate) homes: usize,
    /// Something can disclose.
    pub(crate) can_disclose: bool,
    pub(crate) crews: usize,
    /// Known shards at which lazy repair begins.
    pub(crate) repair_at: usize,
    pub(crate) write_off: f64,
    /// Bytes of all databases.
    pub(crate) bytes: f64,
    /// The order of restores.
    pub(crate) by_priority: Vec<usize>,
    pub(crate) decision: Sampler,
    pub(crate) answer: Sampler,
    pub(crate) writer_noticed: Sampler,
}

#[derive(Debug, Clone)]
pub(crate) struct PlanSite {
    pub(crate) holds_shard: bool,
    pub(crate) holds_share: bool,
    pub(crate) is_home: bool,
    pub(crate) loss: Option<Sampler>,
    /// Up, then down.
    pub(crate) outage: Option<[Sampler; 2]>,
    pub(crate) rot: f64,
    pub(crate) seized: f64,
    pub(crate) copied: f64,
    pub(crate) repair: Option<Sampler>,
    pub(crate) remake: Sampler,
    pub(crate) up_bytes: f64,
    pub(crate) down_bytes: f64,
}

impl PlanSite {
    /// Rate of what strikes it alone in silence or by force.
    pub(crate) fn hazard(&self) -> f64 {
        self.rot + self.seized + self.copied
    }
}

/// A group or an event of the timeline.
#[derive(Debug, Clone)]
pub(crate) struct Strike {
    pub(crate) targets: Vec<usize>,
    /// Zero for an event of the timeline.
    pub(crate) per_year: f64,
    /// [`NEVER`] for a group.
    pub(crate) at: f64,
    pub(crate) blow: Blow,
    pub(crate) length: Sampler,
    pub(crate) cause: CauseId,
}

impl<'m> Plan<'m> {
    pub(crate) fn new(model: &'m Model) -> Self {
        let sites: Vec<PlanSite> = model.sites.iter().map(plan_site).collect();
        let mut plan = Self {
            model,
            horizon: model.horizon_years,
            shard_holders: sites.iter().filter(|site| site.holds_shard).count(),
            share_holders: sites.iter().filter(|site| site.holds_share).count(),
            homes: sites.iter().filter(|site| site.is_home).count(),
            can_disclose: sites.iter().any(|site| site.seized + site.copied > 0.0),
            sites,
            strikes: Vec::new(),
            causes: ALONE.iter().map(|&name| name.to_owned()).collect(),
            data_shards: model.code.data_shards as usize,
            threshold: model.code.threshold as usize,
            crews: model.policy.crews.map_or(usize::MAX, |crews| crews as usize),
            repair_at: model.policy.repair_at.map_or(usize::MAX, |at| at as usize),
            write_off: model.policy.write_off_years.unwrap_or(NEVER),
            bytes: model.databases.iter().map(|database| database.bytes).sum(),
            by_priority: (0..model.databases.len()).collect(),
            decision: Sampler::from(&model.restore.decision),
            answer: Sampler::from(&model.restore.answer),
            writer_noticed: Sampler::from(
                &model.writer.map_or(Law::Constant { years: 0.0 }, |writer| writer.noticed_after),
            ),
        };
        plan.by_priority.sort_by_key(|&place| model.databases.get(place).map(|database| database.priority));
        plan.add_strikes();
        plan
    }

    /// The same plan without outages and attacks on availability, where these change neither loss nor disclosure: nobody
    /// is written off for being down, no repair waits for a line, and (`refreshes_matter`) no refresh can fail.
    pub(crate) fn without_idle_outages(&self, refreshes_matter: bool) -> Self {
        let mut plan = self.clone();
        let refresh = refreshes_matter && self.model.code.refresh_years.is_some();
        if self.write_off >= NEVER && self.model.policy.uplink_share.is_none() && !refresh {
            plan.sites.iter_mut().for_each(|site| site.outage = None);
            plan.strikes.retain(|strike| !matches!(strike.blow.effect, Effect::Down(_)));
        }
        plan
    }

    fn add_strikes(&mut self) {
        let model = self.model;
        for (place, site) in model.sites.iter().enumerate() {
            if let Some(agreement) = &site.agreement {
                let blow = Blow::on_all(Effect::Expelled(agreement.departure));
                self.add_strike(vec![place], 0.0, agreement.ends_years, blow, AGREEMENT);
            }
        }
        for timed in &model.timeline {
            let cause = self.name(&timed.name);
            self.add_strike(timed.targets.clone(), 0.0, timed.at_years, timed.blow, cause);
        }
        for group in model.groups.iter().filter(|group| group.per_year > 0.0) {
            let cause = self.name(&group.name);
            self.add_strike(group.members.clone(), group.per_year, NEVER, group.blow, cause);
        }
    }

    /// Two strikes of one name are one cause.
    fn name(&mut self, name: &str) -> CauseId {
        let place = self.causes.iter().skip(ALONE.len()).position(|known| known == name);
        let place = place.map_or(self.causes.len(), |place| place + ALONE.len());
        if place == self.causes.len() {
            self.causes.push(name.to_owned());
        }
        CauseId::try_from(place).unwrap_or(CauseId::MAX)
    }

    fn add_strike(&mut self, mut targets: Vec<usize>, per_year: f64, at: f64, blow: Blow, cause: CauseId) {
        targets.retain(|&site| !(blow.spares_cold && self.model.sites.get(site).is_some_and(|site| site.is_cold)));
        let (discloses, length) = match blow.effect {
            Effect::Seized | Effect::Copied => (true, Sampler::Constant { years: 0.0 }),
            Effect::Expelled(Departure { raided, .. }) => (raided > 0.0, Sampler::Constant { years: 0.0 }),
            Effect::Down(law) => (false, Sampler::from(&law)),
            Effect::Lost | Effect::Rotted | Effect::WriterStolen => (false, Sampler::Constant { years: 0.0 }),
        };
        let hits = match blow.hits {
            Hits::Each { chance } => chance > 0.0,
            Hits::AtRandom { count } => count > 0,
        };
        self.can_disclose |= discloses && hits && !targets.is_empty();
        self.strikes.push(Strike { targets, per_year, at, blow, length, cause });
    }
}

fn plan_site(site: &super::super::model::Site) -> PlanSite {
    PlanSite {
        holds_shard: site.holds_shard,
        holds_share: site.holds_share,
        is_home: site.is_home,
        loss: site.loss.as_ref().map(Sampler::from),
        outage: site.outage.map(|outage| [Sampler::from(&outage.every), Sampler::from(&outage.lasts)]),
        rot: site.rot_per_year,
        seized: site.seized_per_year,
        copied: site.copied_per_year,
        repair: site.repair.as_ref().map(Sampler::from),
        remake: Sampler::from(&site.remake),
        up_bytes: site.up_bytes_per_s,
        down_bytes: site.down_bytes_per_s,
    }
}
