//! Factors scale what they name, and nothing else; the strongest comes first.

use super::*;
use crate::fate::model::{Hits, Law};
use crate::fate::outcome::Estimate;
use crate::report::example;

/// Loss follows the rate of seizures to the power 2 and the time to repair to the power 1; disclosure is never seen.
fn by_hand(model: &Model) -> Result<Outcome, String> {
    let mut outcome = example::outcome();
    let site = &model.sites[0];
    let repair = site.repair.map_or(1.0, |law| law.mean_years());
    outcome.horizon_years = 1.0;
    outcome.loss.by_horizon = Estimate::exact(1e-6 * site.seized_per_year * site.seized_per_year * repair);
    outcome.disclosure.by_horizon = Estimate::exact(0.0);
    outcome.unavailability.share_of_time = Estimate::exact(1e-4);
    Ok(outcome)
}

#[test]
fn elasticities_are_those_of_the_law_and_the_strongest_is_first() {
    let mut last = (0, 0);
    let found = sensitivity(&example::model(), by_hand, |done, of| last = (done, of)).unwrap();
    assert_eq!((last.0, last.1), (2 * found.swings.len() + 1, 2 * found.swings.len() + 1));
    let first = &found.swings[0];
    assert_eq!(first.factor, "seizures of a site, per year");
    assert!((first.elasticity(Figure::Loss).unwrap() - 2.0).abs() < 1e-4, "{first:?}");
    assert!((found.swings[1].elasticity(Figure::Loss).unwrap() - 1.0).abs() < 1e-4);
    assert_eq!(found.swings[1].factor, "time to repair");
    assert_eq!(first.elasticity(Figure::Disclosure), None);
    assert!(first.elasticity(Figure::Unavailability).unwrap().abs() < 1e-12);
    assert!(first.is_distinct(Figure::Loss) && !first.is_distinct(Figure::Unavailability));
    assert!((first.width(&found.base, Figure::Loss) - libm::log(16.0)).abs() < 1e-4);
    assert_eq!(sensitivity(&example::model(), |_| Err("no"), |_, _| {}), Err("no"));
}

#[test]
fn every_factor_changes_the_model_by_itself_and_half_undoes_double() {
    let model = example::model();
    let factors = Factor::of(&model);
    assert!(factors.len() >= 12, "{factors:?}");
    for factor in &factors {
        let doubled = factor.scaled(&model, 2.0);
        assert_ne!(doubled, model, "{factor:?}");
        assert!(!factor.name(&model).is_empty());
        let is_chance = matches!(factor, Factor::Timed(_) | Factor::Timeline);
        assert!(is_chance || factor.scaled(&doubled, 0.5) == model, "{factor:?}");
    }
}

#[test]
fn only_what_a_model_has_is_varied_and_a_chance_stops_at_one() {
    let mut model = example::model();
    model.sites = vec![crate::fate::model::Site::new("quiet")];
    model.groups.clear();
    model.policy = Default::default();
    model.code.refresh_years = None;
    model.timeline.iter_mut().for_each(|timed| timed.blow.hits = Hits::Each { chance: 1.0 });
    assert_eq!(Factor::of(&model), []);
    model.timeline[0].blow.hits = Hits::Each { chance: 0.7 };
    assert_eq!(Factor::of(&model), [Factor::Timed(0)]);
    assert_eq!(Factor::Timed(0).scaled(&model, 2.0).timeline[0].blow.hits, Hits::Each { chance: 1.0 });
    model.sites[0].repair = Some(Law::Constant { years: 0.0 });
    assert_eq!(Factor::of(&model).len(), 1, "what takes no time cannot be halved");
    model.groups = (0..20).map(|_| example::model().groups[0].clone()).collect();
    assert_eq!(Factor::of(&model), [Factor::Groups, Factor::Timed(0)]);
}
