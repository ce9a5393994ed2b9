//! The closed forms against exact chains and published frontiers; what binds; choices that are not exhaustive.

use super::figures::{Hazards, SitesFigures};
use super::*;
use crate::fate::exact::bloc::{self, Rates};
use crate::scenario::read;

/// Candidates in blocs of these sizes, each a jurisdiction; rates of the frontier in the reference figures.
fn blocs(sizes: &[u32], search: &str, target: &str) -> Scenario {
    let mut text = format!(
        "schema = 1\ntitle = \"blocs\"\n[run]\nyears = 1\n[policy]\nnotice = \"0s\"\n[search]\n{search}\n[target]\n{target}\n\
         [site_defaults]\nkind = \"data-centre\"\nlost_every = \"20y\"\nseized_every = \"100y\"\n\
         repair = {{ law = \"exponential\", mean = \"30d\" }}\ncost_per_year = 10\n"
    );
    for ((at, size), letter) in sizes.iter().enumerate().zip('A'..='Z') {
        let code = format!("A{letter}");
        text.push_str(&format!("[[sites]]\nname = \"bloc-{at}\"\ncount = {size}\njurisdiction = \"{code}\"\n"));
        for effect in ["lost", "copied"] {
            text.push_str(&format!(
                "[[events]]\nname = \"{code} {effect}\"\nevery = \"1000y\"\nhits = [\"jurisdiction:{code}\"]\neffect = \"{effect}\"\n"
            ));
        }
    }
    read(&text).unwrap()
}

fn figures(scenario: &Scenario, data_shards: u32, threshold: u32, refresh: Option<Span>) -> PlanFigures {
    let all = (1 << scenario.sites.len()) - 1;
    SitesFigures::of(&Hazards::of(scenario), all, &[refresh]).of_code(data_shards, threshold, 0)
}

/// Sites that fell together are counted as coming back together; in the chain each comes back by itself, so that it
/// loses less. Without shocks the two differ by the crossings of one loss that are counted twice.
#[test]
fn loss_is_near_the_exact_chain_and_not_below_it() {
    let cases = [
        (vec![3, 3, 3], 5, 0.001, 2.0),
        (vec![4, 3, 2], 5, 0.001, 2.0),
        (vec![5, 2, 2], 5, 0.001, 1.01),
        (vec![2, 2, 2, 2, 2], 5, 0.001, 2.5),
        (vec![1; 6], 3, 0.0, 1.02),
    ];
    for (sizes, needed, shock, factor) in cases {
        let mut scenario = blocs(&sizes, "sites_min = 1\nsites_max = 12", "");
        // The chain knows no seizure.
        scenario.sites.iter_mut().for_each(|site| site.seized_per_year = 0.0);
        if shock == 0.0 {
            scenario.events.clear();
        }
        let rates = Rates { loss: 0.05, repair: 365.25 / 30.0, shock };
        let years = bloc::mean_years_to_loss(&sizes, needed, rates).unwrap();
        let exact = -libm::expm1(-1.0 / years);
        // A threshold of 2 of so many shares is never lost: the loss is that of shards alone.
        let found = figures(&scenario, needed, 2, None).loss_per_year;
        assert!(found > exact * 0.99 && found < exact * factor, "{sizes:?}: {found:e}, exact {exact:e}");
    }
}

/// Rows R1d, R1n and R2d of the reference figures.
#[test]
fn disclosure_is_that_of_the_reference_figures() {
    // 30 days of a year of 365, as there.
    let refresh = Some(Span::from_ms(2_593_775_342));
    let rows = [
        (vec![2, 2, 2, 2, 2], refresh, 4.265409942098207e-9),
        (vec![2, 2, 2, 2, 2], None, 8.779710262079511e-7),
        (vec![3, 3, 3, 3], refresh, 5.898588418368399e-7),
    ];
    for (sizes, refresh, wanted) in rows {
        let scenario = blocs(&sizes, "sites_min = 1\nsites_max = 12", "");
        let found = figures(&scenario, 2, 5, refresh).disclosure_per_year;
        assert!((found / wanted - 1.0).abs() < 1e-7, "{sizes:?}: {found:e}, wanted {wanted:e}");
    }
}

const TARGET: &str = "loss_per_year = 1e-9\ndisclosure_per_year = 1e-6";

/// Three blocs cannot do what five blocs of two can, however many sites they have; the answer says what binds.
#[test]
fn blocs_decide() {
    let none = blocs(&[3, 3, 3], "sites_min = 3\nsites_max = 9\nrefresh = [\"30d\", \"never\"]", TARGET);
    let answer = search(&none, &|_, _| ()).unwrap();
    assert!(answer.recommended.is_none() && answer.exhaustive);
    assert!(!answer.binding.is_empty());
    for binding in &answer.binding {
        assert!(!binding.limits.is_empty() && binding.message.contains("is asked"), "{}", binding.message);
    }
    let some = blocs(&[2, 2, 2, 2, 2], "sites_min = 10\nsites_max = 10\nrefresh = [\"30d\"]", TARGET);
    let answer = search(&some, &|_, _| ()).unwrap();
    let plan = answer.recommended.unwrap();
    assert!([4, 5].contains(&plan.code.threshold), "{plan:?}");
    assert!(plan.figures.loss_per_year <= 1e-9 && plan.figures.disclosure_per_year <= 1e-6);
    assert!((plan.cost_per_year - 100.0).abs() < 1e-9);
}

/// Sites alike are one choice for each number of them, not one for each set.
#[test]
fn interchangeable_sites_are_not_tried_in_every_order() {
    let scenario = blocs(&[6, 6], "sites_min = 1\nsites_max = 12", "");
    let answer = search(&scenario, &|_, _| ()).unwrap();
    assert_eq!(answer.choices, 7 * 7 - 1);
}

#[test]
fn the_coalition_rule_cannot_be_bought() {
    // Whatever the targets, all sites in one jurisdiction read and destroy together.
    let scenario = blocs(&[5], "sites_min = 1\nsites_max = 5", "");
    let answer = search(&scenario, &|_, _| ()).unwrap();
    assert!(answer.recommended.is_none() && answer.frontier.is_empty());
    assert_eq!(answer.binding[0].limits, [Limit::Coalition]);
}

#[test]
fn every_plan_of_the_frontier_is_better_than_each_other_in_something() {
    let scenario = blocs(&[2, 2, 1, 1, 1, 1], "sites_min = 3\nsites_max = 8\nrefresh = [\"30d\", \"never\"]", TARGET);
    let answer = search(&scenario, &|_, _| ()).unwrap();
    assert!(answer.frontier.len() > 3);
    for a in &answer.frontier {
        for b in &answer.frontier {
            let worse = a.cost_per_year < b.cost_per_year
                && a.figures.loss_per_year < b.figures.loss_per_year / 4.0
                && a.figures.disclosure_per_year < b.figures.disclosure_per_year / 4.0;
            assert!(!worse, "{a:?} beats {b:?}");
        }
    }
    let again = search(&scenario, &|_, _| ()).unwrap();
    assert_eq!(again, answer, "the same on any number of threads");
}

#[test]
fn a_search_that_makes_no_sense_is_refused() {
    let refused = |search_for: &str| search(&blocs(&[2, 2], search_for, ""), &|_, _| ()).unwrap_err().to_string();
    assert!(refused("sites_min = 5\nsites_max = 6").contains("4 candidate sites, but a plan has at least 5"));
    assert!(refused("sites_min = 1\nsites_max = 1\nmust_have = [\"bloc-0-1\", \"bloc-1-1\"]").contains("at most 1"));
    assert!(refused("sites_min = 1\nsites_max = 2\nmust_have = [\"atlantis\"]").contains("'atlantis'"));
    let many = blocs(&[65], "sites_min = 1\nsites_max = 2", "");
    assert_eq!(search(&many, &|_, _| ()), Err(SearchError::TooMany(65)));
}
