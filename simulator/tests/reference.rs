//! Every row of the reference figures, against the exact solvers. A row is covered or is named below with the reason.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed, which is its job"
)]

mod plans;

use plans::{LOSS, REPAIR, Row, SEIZURE, SHOCK, rows};
use simulator::fate::exact::chance::{Chance, at_least_once, by_mean_time, rate_excluded};
use simulator::fate::exact::count::{Count, poisson_at_most};
use simulator::fate::exact::disclosure::{disclosed, lost_between_audits, reached, reached_in_a_period};
use simulator::fate::exact::observed::Observed;
use simulator::fate::exact::outage::{Attacks, unavailability, unavailable_against_budget};
use simulator::fate::exact::stripe::{Repair, Stripe, mirror_with_constant_repair};
use simulator::fate::exact::{bloc, departure, recovery, refusal::Impossible, scatter};

/// Rows that no solver is held to.
const NOT_COVERED: [(&str, &str); 1] =
    [("G2", "the published figure is twice what its own chain gives; the row says it is no test")];

const ROWS: usize = 171;
const TOLERANCE: f64 = 1e-9;
/// Days in a year; only the repair in 30 days became a rate with another year.
const DAYS: f64 = 365.0;

type Figure = Result<Option<f64>, Impossible>;

fn stripe_of(row: &Row) -> Result<Stripe, Impossible> {
    let rate = row.optional("mu_per_yr").unwrap_or(REPAIR);
    let repair = match row.params["repair"].as_str() {
        None | Some("parallel") => Repair::Parallel(rate),
        Some("serial") => Repair::OneCrew(rate),
        Some("none") => Repair::None,
        Some(other) => panic!("{}: repair {other}", row.id),
    };
    Stripe::new(row.count("n"), row.count("k"), row.optional("lambda_per_yr").unwrap_or(LOSS), repair)
}

/// The figure of a row, or nothing when no solver knows its model.
fn figure(row: &Row) -> Figure {
    match row.id.split('_').next().unwrap_or_default() {
        "A8d" | "A10" | "A11" => special(row),
        "N1" | "P1" | "P2" => special(row),
        id => match id.as_bytes().first() {
            Some(b'A' | b'L') => stripe(row),
            Some(b'B') => between_audits(row),
            Some(b'C') => storj(row),
            Some(b'D' | b'E') => scattered(row),
            Some(b'F' | b'G') => first_order(row),
            Some(b'H') => codex(row),
            Some(b'I') => captured(row),
            Some(b'J') => attacked(row),
            Some(b'K') => frontier(row),
            Some(b'M') => {
                let (n, k, m) = (row.count("n"), row.count("k"), row.count("m"));
                recovery::lazy_repair_ratio(n, k, m, row.number("mttf_months")).map(Some)
            }
            Some(b'O' | b'R') => blocs(row),
            Some(b'Q') => recovered(row),
            _ => Ok(None),
        },
    }
}

fn special(row: &Row) -> Figure {
    let figure = match row.id.as_str() {
        "A8d" => reached(&[LOSS; 5], 3, row.number("T_yr"))?,
        "A10" => mirror_with_constant_repair(row.number("lambda_per_yr"), row.number("repair_days_const") / DAYS)?,
        "A11" => {
            let gone = Chance::weibull(row.number("shape"), row.number("scale_yr"), row.number("T_yr"))?;
            Count::alike(row.count("n"), gone)?.at_least(row.count("n") - row.count("k") + 1)
        }
        "N1" => Count::alike(row.count("n"), Chance::of(row.number("fmax"))?.inverse())?.at_least(row.count("r")),
        "P1" => departure::loss_by(&stripe_of(row)?, row.number("home_lost_day") / DAYS, row.number("T_yr"))?,
        "P2" => {
            let left = row.count("n") - row.count("lost");
            Stripe::new(left, row.count("k"), LOSS, Repair::Parallel(REPAIR))?.loss_by(335.0 / DAYS)?
        }
        _ => return Ok(None),
    };
    Ok(Some(figure))
}

fn stripe(row: &Row) -> Figure {
    let stripe = stripe_of(row)?;
    match row.quantity.as_str() {
        "MTTDL_yr" => stripe.mean_years_to_loss(),
        "MTTDL_yr_first_order" => stripe.mean_years_to_loss_first_order(),
        "P_loss_by_T" => stripe.loss_by(row.number("T_yr")),
        "unavailability" => stripe.unavailability(),
        "loss_crossings_per_yr" => stripe.falls_per_year(),
        "gamma" => stripe.loss_before_all_up(),
        _ => return Ok(None),
    }
    .map(Some)
}

fn between_audits(row: &Row) -> Figure {
    if row.id.starts_with("B1") {
        let audit = row.number("audit_days") / DAYS;
        let (n, k, loss) = (row.count("n"), row.count("k"), row.number("lambda_per_yr"));
        return lost_between_audits(n, k, loss, row.number("T_yr"), audit).map(Some);
    }
    let sites = row.count("D") + row.count("P");
    let period = row.number("repair_days") / DAYS;
    let failed = Count::alike(sites, Chance::within(row.number("afr"), period)?)?.at_least(row.count("failures_ge"));
    reached_in_a_period(failed, period, 1.0).map(Some)
}

fn storj(row: &Row) -> Figure {
    let (n, k) = (row.count("n"), row.count("k"));
    let kept = if row.id.starts_with("C1") {
        poisson_at_most(f64::from(n) * row.number("p_month"), n - k)?
    } else {
        Count::alike(n, Chance::within(0.1, 1.0)?)?.fewer_than(n - k + 1)
    };
    Ok(Some(100.0 * kept))
}

fn scattered(row: &Row) -> Figure {
    let all = row.count("N");
    if row.id.starts_with('E') {
        let (n, m) = (row.count("n"), row.count("m"));
        return Ok(Some(Count::drawn(all, row.count("down"), n)?.fewer_than(n - m + 1)));
    }
    let failed = row.count("failed");
    let figure = match row.optional("stripes") {
        Some(stripes) => scatter::any_lost(all, failed, row.count("n"), row.count("k"), stripes),
        // The table rounds the number of copysets, permutations times N / R; the figures do not.
        None => {
            let per_permutation = f64::from(all) / 3.0;
            let sets = match row.id.as_str() {
                "D1" => per_permutation,
                "D4" => 5.0 * per_permutation,
                _ => row.number("copysets"),
            };
            scatter::any_lost(all, failed, row.count("R"), 1, sets)
        }
    };
    figure.map(Some)
}

/// Replication repaired by one crew, to first order.
fn first_order(row: &Row) -> Figure {
    let per_day =
        |copies, loss, repair| Stripe::new(copies, 1, loss, Repair::OneCrew(repair))?.mean_years_to_loss_first_order();
    match row.id.as_str() {
        "F1" => {
            let block = row.number("block_MB") * 1e6;
            let repair = row.number("gamma_gbps") * 1e9 * 86_400.0 / (8.0 * block);
            let stripes = row.number("C_PB") * 1e15 / (3.0 * block);
            Ok(Some(per_day(3, 1.0 / (DAYS * row.number("mttf_yr")), repair)? / stripes / 1.024))
        }
        "G1" => {
            // Two copies live r / 2 l, three r^2 / 6 l (r = repair / loss): so r and l follow from the two figures.
            let ratio = 3.0 * row.number("R3") / row.number("R2");
            let loss = ratio / (2.0 * row.number("R2"));
            per_day(4, loss, ratio * loss).map(Some)
        }
        _ => Ok(None),
    }
}

fn codex(row: &Row) -> Figure {
    let (needed, spare) = (row.count("k"), row.count("m"));
    let daily = DAYS;
    let patience = row.count("l0");
    let observed = Observed { sites: needed + spare, needed, loss: 1.0, audit: daily, repair: daily, patience };
    by_mean_time(observed.mean_years_to_loss()?, 1.0).map(Some)
}

fn captured(row: &Row) -> Figure {
    let years = row.number("T_yr");
    let n = row.count("n");
    if row.id == "I8" {
        let needed = row.count("k_data").max(row.count("k_key"));
        return reached(&vec![row.number("loss_per_yr"); n as usize], n - needed + 1, years).map(Some);
    }
    let k = row.count("k");
    if let Some(rates) = row.numbers("seizure_per_yr") {
        return reached(&rates, k, years).map(Some);
    }
    if let Some(alliance) = row.optional("alliance_per_yr") {
        let (rate, threshold) = match row.optional("loss_per_yr") {
            Some(loss) => (loss, n - k + 1),
            None => (row.number("seizure_per_yr"), k),
        };
        let hit = bloc::hit(&row.groups(), Chance::within(rate, years)?, Chance::within(alliance, years)?)?;
        return Ok(Some(hit.at_least(threshold)));
    }
    let refresh = row.optional("refresh_days").map(|days| days / DAYS);
    disclosed(n, k, row.number("seizure_per_yr"), years, refresh).map(Some)
}

fn attacked(row: &Row) -> Figure {
    let attacks = Attacks { per_year: 4.0, years: 3.0 / DAYS, downs: Chance::of(0.6)? };
    let up = Chance::of(0.995)?;
    match row.quantity.as_str() {
        "unavailability" => unavailability(row.count("n"), row.count("k"), up, attacks),
        "minutes_per_yr" => unavailability(9, 5, up, attacks).map(|share| share * 525_600.0),
        "P_unavailable" => unavailable_against_budget(row.count("n"), row.count("k"), row.count("b"), up),
        _ => return Ok(None),
    }
    .map(Some)
}

fn frontier(row: &Row) -> Figure {
    match row.quantity.as_str() {
        "P_loss_1yr" => by_mean_time(stripe_of(row)?.mean_years_to_loss()?, 1.0),
        "P_disclosure_1yr" => disclosed(row.count("n"), row.count("k"), SEIZURE, 1.0, Some(30.0 / DAYS)),
        _ => return Ok(None),
    }
    .map(Some)
}

fn blocs(row: &Row) -> Figure {
    let (groups, k) = (row.groups(), row.count("k"));
    if row.quantity == "P_disclosure_1yr" {
        let reached = |years| {
            let hit = bloc::hit(&groups, Chance::within(SEIZURE, years)?, Chance::within(SHOCK, years)?)?;
            Ok(hit.at_least(k))
        };
        return match row.optional("refresh_days") {
            Some(days) => at_least_once(reached(days / DAYS)?, DAYS / days).map(Some),
            None => reached(1.0).map(Some),
        };
    }
    let rates = bloc::Rates {
        loss: row.optional("lambda_per_yr").unwrap_or(LOSS),
        repair: row.optional("mu_per_yr").unwrap_or(REPAIR),
        shock: row.optional("shock_per_yr").unwrap_or(SHOCK),
    };
    let mean = bloc::mean_years_to_loss(&groups, k, rates)?;
    match row.quantity.as_str() {
        "MTTDL_yr" => Ok(Some(mean)),
        "P_loss_1yr" => by_mean_time(mean, 1.0).map(Some),
        _ => Ok(None),
    }
}

fn recovered(row: &Row) -> Figure {
    match row.quantity.as_str() {
        "E_RTO_h" => recovery::mean_time_to_collect(row.count("n"), row.count("k"), row.number("mean_h")),
        "P_RTO_le_t" => {
            let answered = Chance::within(1.0 / row.number("mean_h"), row.number("t_h"))?;
            recovery::collected(row.count("n"), row.count("k"), answered)
        }
        "transfer_h" => {
            let per_hour = |gbps: f64| gbps * 1e9 / 8.0 * 3600.0;
            let (site, ingress) = (per_hour(row.number("site_gbps")), per_hour(row.number("ingress_gbps")));
            recovery::transfer_time(row.number("TB") * 1e12, row.count("k"), site, ingress)
        }
        "E_RPO_min" => recovery::data_not_replicated(row.number("period_min"), row.number("lag_min"), 0.5),
        "TB_per_yr" => {
            recovery::eager_repair_traffic(row.count("n"), row.number("lambda_per_yr"), row.number("data_TB"))
        }
        "upper95_per_yr" => rate_excluded(row.number("years"), 0.95),
        _ => return Ok(None),
    }
    .map(Some)
}

fn distance(found: f64, wanted: f64) -> f64 {
    ((found - wanted) / wanted).abs()
}

#[test]
fn every_row_is_met_or_named() {
    let rows = rows();
    assert_eq!(rows.len(), ROWS);
    let (mut covered, mut offences) = (0, Vec::new());
    for row in &rows {
        let excused = NOT_COVERED.iter().any(|(id, _)| *id == row.id);
        match figure(row) {
            Ok(None) if excused => {}
            Ok(None) => offences.push(format!("{}: no solver, and not named in NOT_COVERED", row.id)),
            Ok(Some(_)) if excused => offences.push(format!("{}: covered, so not to be named in NOT_COVERED", row.id)),
            Err(refusal) => offences.push(format!("{}: {refusal}", row.id)),
            Ok(Some(found)) => {
                covered += 1;
                let off = distance(found, row.value);
                if off.is_nan() || off > TOLERANCE {
                    offences.push(format!("{}: found {found:e}, reference {:e}, off by {off:e}", row.id, row.value));
                }
                if let (Some(published), Some(known)) = (row.published, row.rel_diff) {
                    // What was printed is as far off as the row says, and no further. 1e-14: the last digit of a double.
                    let off = (found - published).abs() / published.min(row.value);
                    if off.is_nan() || off > 1.05 * known + 1e-14 {
                        offences.push(format!("{}: found {found:e}, published {published:e}", row.id));
                    }
                }
            }
        }
    }
    assert!(offences.is_empty(), "{} rows:\n{}", offences.len(), offences.join("\n"));
    assert_eq!(covered, ROWS - NOT_COVERED.len());
}

#[test]
fn the_table_of_codex_names_the_smallest_codes() {
    for row in rows().iter().filter(|row| row.id.starts_with("H1")) {
        let loss = figure(row).unwrap().unwrap();
        // 13+13 is not the smallest on its line: 12+12 already passes, as does 11+11.
        let fails = row.id.ends_with("_below") && row.id != "H1_12_12_l5_below";
        assert_eq!(loss > 1e-9, fails, "{}: {loss:e}", row.id);
    }
}
