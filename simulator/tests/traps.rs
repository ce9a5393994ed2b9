//! What goes wrong in other durability tools must not go wrong here: cancellation, refusals, agreement of two ways.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed, which is its job")]

use simulator::fate::exact::bloc::{self, Rates};
use simulator::fate::exact::chain::Chain;
use simulator::fate::exact::chance::{Chance, at_least_once};
use simulator::fate::exact::count::Count;
use simulator::fate::exact::departure;
use simulator::fate::exact::disclosure::disclosed;
use simulator::fate::exact::observed::Observed;
use simulator::fate::exact::refusal::Impossible;
use simulator::fate::exact::stripe::{Repair, Stripe};

fn near(found: f64, wanted: f64) -> bool {
    ((found - wanted) / wanted).abs() < 1e-12
}

fn stripe(sites: u32, needed: u32) -> Stripe {
    Stripe::new(sites, needed, 0.05, Repair::Parallel(12.175)).unwrap()
}

/// The system `-Q h = 1` of the same chain by Gaussian elimination with partial pivoting, as a numerical library does it.
fn by_factorisation(sites: u32, needed: u32) -> f64 {
    let size = (sites - needed + 1) as usize;
    let mut rows = vec![vec![0.0; size + 1]; size];
    for (down, row) in rows.iter_mut().enumerate() {
        let loss = (f64::from(sites) - down as f64) * 0.05;
        let repair = down as f64 * 12.175;
        row[down] = loss + repair;
        if down + 1 < size {
            row[down + 1] = -loss;
        }
        if down > 0 {
            row[down - 1] = -repair;
        }
        row[size] = 1.0;
    }
    for column in 0..size {
        let pivot = (column..size).max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs())).unwrap();
        rows.swap(column, pivot);
        let above = rows[column].clone();
        for row in rows.iter_mut().skip(column + 1) {
            let factor = row[column] / above[column];
            for (entry, above) in row.iter_mut().zip(&above) {
                *entry -= factor * above;
            }
        }
    }
    let mut times = vec![0.0; size];
    for place in (0..size).rev() {
        let known: f64 = (place + 1..size).map(|later| rows[place][later] * times[later]).sum();
        times[place] = (rows[place][size] - known) / rows[place][place];
    }
    times[0]
}

#[test]
fn factorisation_in_doubles_fails_where_elimination_and_recursion_hold() {
    for (needed, truth) in [(10, 8.645_854_590_396_743e18), (6, 2.409_039_114_725_632_6e29)] {
        let naive = by_factorisation(20, needed);
        assert!(naive < 0.0 || (naive / truth - 1.0).abs() > 0.1, "{needed} of 20: {naive:e}");
        let stripe = stripe(20, needed);
        assert!(near(stripe.mean_years_to_loss().unwrap(), truth));
        assert!(near(stripe.chain().unwrap().mean_time_to_end(0).unwrap(), truth));
    }
    assert!((by_factorisation(9, 5) / stripe(9, 5).mean_years_to_loss().unwrap() - 1.0).abs() < 1e-3);
}

#[test]
fn recursion_and_elimination_agree_for_every_small_code() {
    for sites in 1..=24 {
        for needed in 1..=sites {
            for repair in [Repair::Parallel(12.0), Repair::OneCrew(0.3), Repair::None] {
                let stripe = Stripe::new(sites, needed, 0.7, repair).unwrap();
                let recursion = stripe.mean_years_to_loss().unwrap();
                assert!(near(stripe.chain().unwrap().mean_time_to_end(0).unwrap(), recursion));
            }
        }
    }
}

#[test]
fn uniformisation_keeps_its_digits_from_a_moment_to_many_years() {
    for years in [1e-9, 1e-3, 1.0, 40.0, 3000.0] {
        let unrepaired = Stripe::new(5, 3, 0.05, Repair::None).unwrap();
        let binomial = Count::alike(5, Chance::within(0.05, years).unwrap()).unwrap().at_least(3);
        assert!(near(unrepaired.loss_by(years).unwrap(), binomial), "{years}");
    }
    // Over a long time the loss is that of a constant rate.
    let long = stripe(9, 5).loss_by(2000.0).unwrap();
    let rate = Chance::within(1.0 / stripe(9, 5).mean_years_to_loss().unwrap(), 2000.0).unwrap().yes();
    assert!((long / rate - 1.0).abs() < 1e-3);
}

#[test]
fn probabilities_of_all_states_sum_to_one() {
    let chances = stripe(15, 8).chain().unwrap().after_from(3, 0.7).unwrap();
    assert!(near(chances.iter().sum(), 1.0));
    assert!(chances.iter().all(|chance| *chance > 0.0));
    let count = Count::alike(300, Chance::of(0.3).unwrap()).unwrap();
    assert!(near(count.at_least(0), 1.0));
    assert!(near(count.at_least(100) + count.fewer_than(100), 1.0));
    for sites in 1..200 {
        // Rounding never makes more than certainty, which the next formula would refuse.
        let all = Count::alike(sites, Chance::of(0.1).unwrap()).unwrap().at_least(0);
        assert!(all <= 1.0 && at_least_once(all, 2.0).is_ok());
    }
    assert!(near(Count::drawn(5000, 50, 12).unwrap().at_least(0), 1.0));
}

#[test]
fn blocs_without_shocks_are_single_sites_and_a_full_bloc_sets_a_floor() {
    let rates = Rates { loss: 0.05, repair: 12.175, shock: 0.0 };
    let alone = stripe(9, 5).mean_years_to_loss().unwrap();
    for sizes in [&[9][..], &[3, 3, 3], &[5, 3, 1], &[1; 9]] {
        assert!(near(bloc::mean_years_to_loss(sizes, 5, rates).unwrap(), alone));
    }
    let shock = Chance::within(0.001, 1.0).unwrap();
    let site = Chance::within(0.01, 1.0).unwrap();
    assert!(bloc::hit(&[5, 2, 2], site, shock).unwrap().at_least(5) >= shock.yes());
    let one = bloc::hit(&[4], Chance::of(0.0).unwrap(), shock).unwrap();
    assert!(near(one.at_least(4), shock.yes()));
}

#[test]
fn a_fraction_of_a_try_counts_and_a_tiny_chance_is_not_lost() {
    assert!(near(at_least_once(1e-30, 56.15).unwrap(), 56.15e-30));
    assert!(at_least_once(1.0, 0.0).unwrap() <= 0.0);
    assert!(near(at_least_once(1.0, 3.0).unwrap(), 1.0));
    assert!(near(at_least_once(0.5, 0.5).unwrap(), 1.0 - 0.5_f64.sqrt()));
    let often = disclosed(9, 5, 0.01, 10.0, Some(1.0 / 365.0)).unwrap();
    assert!(often > 0.0 && often < disclosed(9, 5, 0.01, 10.0, Some(0.1)).unwrap());
}

#[test]
fn a_departure_after_the_end_changes_nothing_and_one_without_spare_loses_all() {
    let stripe_9_5 = stripe(9, 5);
    assert!(near(departure::loss_by(&stripe_9_5, 2.0, 1.0).unwrap(), stripe_9_5.loss_by(1.0).unwrap()));
    assert!(near(departure::loss_by(&stripe(3, 3), 0.5, 1.0).unwrap(), 1.0));
    // At once, it is a stripe of one site fewer.
    assert!(near(departure::loss_by(&stripe_9_5, 0.0, 1.0).unwrap(), stripe(8, 5).loss_by(1.0).unwrap()));
}

#[test]
fn with_audits_the_mean_time_and_the_date_agree() {
    let observed = Observed { sites: 14, needed: 7, loss: 1.0, audit: 365.0, repair: 365.0, patience: 1 };
    let mean = observed.mean_years_to_loss().unwrap();
    let by_rate = Chance::within(1.0 / mean, 1.0).unwrap().yes();
    assert!((observed.loss_by(1.0).unwrap() / by_rate - 1.0).abs() < 0.03);
}

#[test]
fn input_that_describes_nothing_is_refused() {
    let parallel = Repair::Parallel(1.0);
    for (sites, needed) in [(4, 5), (4, 0), (0, 0)] {
        assert!(matches!(Stripe::new(sites, needed, 0.1, parallel), Err(Impossible::Code { .. })));
    }
    assert!(matches!(Stripe::new(1025, 5, 0.1, parallel), Err(Impossible::TooMany { .. })));
    for rate in [-0.1, 0.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(Stripe::new(4, 2, rate, parallel), Err(Impossible::OutOfRange { .. })));
    }
    for rate in [-0.1, f64::NAN, f64::INFINITY] {
        assert!(matches!(Stripe::new(4, 2, 0.1, Repair::OneCrew(rate)), Err(Impossible::OutOfRange { .. })));
        assert!(matches!(Chance::within(rate, 1.0), Err(Impossible::OutOfRange { .. })));
        assert!(matches!(stripe(4, 2).loss_by(rate), Err(Impossible::OutOfRange { .. })));
    }
    assert!(matches!(Chance::of(1.5), Err(Impossible::OutOfRange { .. })));
    let unrepaired = Stripe::new(4, 2, 0.1, Repair::None).unwrap();
    assert_eq!(unrepaired.mean_years_to_loss_first_order(), Err(Impossible::NoRepair));
    assert_eq!(unrepaired.unavailability(), Err(Impossible::NoRepair));
    assert!(matches!(stripe(9, 5).loss_by(1e9), Err(Impossible::TooMany { .. })));
    assert!(bloc::mean_years_to_loss(&[], 1, Rates { loss: 1.0, repair: 1.0, shock: 1.0 }).is_err());
    assert!(bloc::mean_years_to_loss(&[u32::MAX, 2], 1, Rates { loss: 1.0, repair: 1.0, shock: 1.0 }).is_err());
}

#[test]
fn a_chain_that_never_ends_is_refused_and_an_end_takes_no_time() {
    let mut chain = Chain::new(4).unwrap();
    chain.lead(0, 1, 1.0).unwrap();
    chain.lead(0, 3, 1.0).unwrap();
    chain.lead(1, 2, 1.0).unwrap();
    chain.lead(2, 1, 1.0).unwrap();
    assert_eq!(chain.mean_time_to_end(0), Err(Impossible::NeverEnds));
    assert_eq!(chain.mean_time_to_end(3), Ok(0.0));
    assert_eq!(chain.mean_time_to_end(4), Err(Impossible::NoSuchState(4)));
    assert_eq!(chain.lead(0, 9, 1.0), Err(Impossible::NoSuchState(9)));
    assert!(Chain::new(2049).is_err());
    assert!(matches!(chain.after(&[0.5, 0.0, 0.0, 0.0], 1.0), Err(Impossible::OutOfRange { .. })));
    assert!(matches!(chain.after(&[1.0], 1.0), Err(Impossible::NoSuchState(1))));
}
