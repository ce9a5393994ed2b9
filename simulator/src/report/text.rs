//! For a terminal: plain ASCII, aligned, about 25 lines.

use super::Report;
use super::number::{self, best, interval, number, percent};
use super::protocol::ProtocolRun;
use super::words;
use crate::analysis::compare::{Comparison, Contrast, Row, Unit};
use crate::analysis::figures::Figures;
use crate::analysis::sweep::{Frontier, Point};
use crate::analysis::verdict::Standing;
use crate::fate::outcome::{Cause, DatabaseOutcome, Estimate, EventOutcome, Outcome};
use crate::scenario::{Scenario, When};

/// What [`Contrast`] means.
pub(crate) const CONTRAST_NOTE: &str =
    "Of every figure less is better. Open: the 95 % intervals overlap, so many missions do not tell the two apart.";
/// What a common seed means.
pub(crate) const COMMON_SEED_NOTE: &str =
    "Both had the same seed and missions: a small difference may be real although the intervals overlap.";

/// Lines of a table, columns as wide as their widest cell, two spaces apart; the last column is not padded.
fn aligned<const N: usize>(rows: &[[String; N]], indent: usize) -> String {
    let width =
        |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = " ".repeat(indent);
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Control characters of a scenario's texts must not reach a terminal.
fn tame(text: &str) -> String {
    text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect()
}

/// The summary of a plan in fate mode.
pub fn fate(report: &Report) -> String {
    let (scenario, outcome) = (&report.scenario, &report.outcome);
    let effort = &outcome.effort;
    let mut text = format!("{}\n", tame(&scenario.title));
    let plan: Vec<[String; 2]> =
        words::plan(scenario).into_iter().take(3).map(|(term, what)| [term.to_owned(), tame(&what)]).collect();
    text.push_str(&aligned(&plan, 2));
    text.push_str(&format!("\nWithin {}, by {} missions\n", number::years(outcome.horizon_years), missions(outcome)));
    text.push_str(&aligned(&figures(outcome, is_dated(scenario)), 2));
    let causes = causes(outcome);
    if !causes.is_empty() {
        text.push_str("\nLikeliest causes\n");
        text.push_str(&aligned(&causes, 2));
    }
    let restores: Vec<[String; 4]> = outcome.databases.iter().take(6).filter_map(restore).collect();
    if !restores.is_empty() {
        text.push_str("\nAfter the loss of home\n");
        text.push_str(&aligned(&restores, 2));
    }
    if let Some(coalitions) = &report.coalitions {
        text.push_str(&format!("\n{}\n", tame(&words::fewest(&coalitions.read, "read"))));
        text.push_str(&format!("{}\n", tame(&words::fewest(coalitions.destroy(), "destroy"))));
    }
    text.push_str(&verdict(report));
    if !scenario.assumptions.is_empty() {
        text.push_str("\nAssumed\n");
        scenario.assumptions.iter().for_each(|line| text.push_str(&format!("  - {}\n", tame(line))));
    }
    text.push_str(&format!(
        "\nSeed {}, {}; {}\n",
        effort.seed,
        effort.generator,
        tame(&report.provenance.scenario_digest)
    ));
    text
}

fn missions(outcome: &Outcome) -> String {
    let count = |count: u64| words::thousands(usize::try_from(count).unwrap_or(usize::MAX));
    let effort = &outcome.effort;
    match (effort.replications, effort.rare_replications) {
        (plain, 0) => count(plain),
        (0, rare) => format!("{} rare-event", count(rare)),
        (plain, rare) => format!("{} plain and {} rare-event", count(plain), count(rare)),
    }
}

fn is_dated(scenario: &Scenario) -> bool {
    scenario.events.iter().any(|event| matches!(event.when, When::At(_)))
}

/// Where events have dates, a probability within the mission is no rate: nothing is said to come once in so many years.
fn figures(outcome: &Outcome, is_dated: bool) -> Vec<[String; 5]> {
    let rate = Figures::of(outcome);
    let mut rows = Vec::new();
    let mut event = |name: &str, event: &EventOutcome, rate: &Estimate| {
        let recurrence = number::recurrence(rate.estimate).filter(|_| rate.estimate > 0.0 && !is_dated);
        rows.push(line(name, &event.by_horizon, recurrence.unwrap_or_default()));
        if let Some(apart) = &event.independent {
            let rate = apart.per_year(outcome.horizon_years);
            let recurrence = number::recurrence(rate.estimate).filter(|_| rate.estimate > 0.0);
            rows.push(line("  each site by itself", apart, recurrence.unwrap_or_default()));
        }
    };
    event("data loss", &outcome.loss, &rate.loss);
    event("disclosure", &outcome.disclosure, &rate.disclosure);
    let down = &rate.unavailability;
    let time =
        if down.estimate > 0.0 { format!("about {}", number::time_a_year(down.estimate)) } else { String::new() };
    rows.push(line("time without service", down, time));
    rows
}

fn line(name: &str, estimate: &Estimate, words: String) -> [String; 5] {
    let interval = interval(estimate).map_or(String::new(), |interval| format!("({interval})"));
    [name.to_owned(), best(estimate), interval, words, words::method(estimate.method).to_owned()]
}

fn causes(outcome: &Outcome) -> Vec<[String; 3]> {
    let parts = [
        ("loss", &outcome.loss.causes),
        ("disclosure", &outcome.disclosure.causes),
        ("no service", &outcome.unavailability.causes),
    ];
    let row = |name: &str, cause: &Cause| [name.to_owned(), percent(cause.share, 2), tame(&words::causes(cause))];
    parts.into_iter().filter_map(|(name, causes)| causes.first().map(|cause| row(name, cause))).collect()
}

fn restore(database: &DatabaseOutcome) -> Option<[String; 4]> {
    let shown = |hours: Option<f64>| hours.map_or("never".to_owned(), number::hours);
    let (rto, rpo) = (&database.rto_hours, &database.rpo_hours);
    (rto.samples > 0 || rpo.samples > 0).then(|| {
        [
            tame(&database.name),
            format!("half restored within {}", shown(rto.p50)),
            format!("95 of 100 within {}", shown(rto.p95)),
            format!("{} of data lost, or less, in 95 of 100", shown(rpo.p95)),
        ]
    })
}

fn verdict(report: &Report) -> String {
    let verdict = &report.verdict;
    if verdict.findings.is_empty() {
        return String::new();
    }
    let row = |finding: &crate::analysis::verdict::Finding| {
        let (found, interval) = words::found(finding);
        let interval = interval.map_or(String::new(), |interval| format!("({interval})"));
        let standing = match finding.standing {
            Standing::Met => "met",
            Standing::Undecided => "NOT DECIDED",
            Standing::Missed => "MISSED",
        };
        let name = words::lowercase(words::goal(finding.goal));
        [name, words::wanted(finding), found, interval, standing.to_owned()]
    };
    let rows: Vec<[String; 5]> = verdict.findings.iter().map(row).collect();
    let binding = words::binding(verdict).map_or(String::new(), |binding| format!("  {}\n", tame(&binding)));
    format!("\nTargets\n{}{binding}", aligned(&rows, 2))
}

/// Two outcomes side by side.
pub fn comparison(comparison: &Comparison) -> String {
    let [first, second] = &comparison.names;
    let mut rows = vec![[String::new(), tame(first), tame(second), "ratio".to_owned(), String::new()]];
    for row in &comparison.rows {
        let [one, other, ratio] = cells(row);
        rows.push([tame(&row.figure), one, other, ratio, contrast(row.contrast).to_owned()]);
    }
    let note = if comparison.common_seed { format!("{COMMON_SEED_NOTE}\n") } else { String::new() };
    format!("{}\n{CONTRAST_NOTE}\n{note}", aligned(&rows, 0))
}

/// First, second, and their ratio.
pub(crate) fn cells(row: &Row) -> [String; 3] {
    let shown = |estimate: &Estimate| match row.unit {
        Unit::PerYear => best(estimate),
        Unit::Share if estimate.estimate > 0.0 => percent(estimate.estimate, number::digits(estimate)),
        Unit::Share => best(estimate),
        Unit::Hours => number::hours(estimate.estimate),
        Unit::BytesPerYear => format!("{} a year", number::bytes(estimate.estimate, number::digits(estimate))),
    };
    let digits = number::digits(&row.first).min(number::digits(&row.second));
    let ratio = row.ratio.filter(|ratio| *ratio > 0.0).map_or(String::new(), |ratio| number(ratio, digits));
    [shown(&row.first), shown(&row.second), ratio]
}

/// What can be said of two figures.
pub(crate) const fn contrast(contrast: Contrast) -> &'static str {
    match contrast {
        Contrast::Equal => "equal",
        Contrast::Open => "open",
        Contrast::SecondLower => "second lower",
        Contrast::SecondHigher => "second higher",
    }
}

/// Codes that are listed.
const CODES_MAX: usize = 40;

/// The codes of a sweep: the best ones, the current one, and those that meet the targets.
pub fn frontier(frontier: &Frontier) -> String {
    let header =
        ["code", "shares anew", "stored", "losses a year", "disclosures a year", "without service", "targets", ""];
    let mut rows = vec![header.map(str::to_owned)];
    let is_shown = |point: &&Point| point.is_best || point.is_current || point.standing == Standing::Met;
    for point in frontier.points.iter().filter(is_shown).take(CODES_MAX) {
        let mark = match (point.is_best, point.is_current) {
            (true, true) => "best, now",
            (true, false) => "best",
            (false, true) => "now",
            (false, false) => "",
        };
        rows.push([
            format!("{}/{}", point.data_shards, point.threshold),
            point.refresh_years.map_or("never".to_owned(), number::years),
            number(point.overhead, 2),
            best(&point.figures.loss),
            best(&point.figures.disclosure),
            best(&point.figures.unavailability),
            words::standing(point.standing).to_owned(),
            mark.to_owned(),
        ]);
    }
    let more = frontier.points.iter().filter(is_shown).count().saturating_sub(CODES_MAX);
    let more = if more > 0 { format!("  and {}\n", words::counted(more, "other code")) } else { String::new() };
    let tried = words::counted(frontier.points.len(), "code");
    format!(
        "{tried} tried; {} of the grid cannot be held by these sites.\n{}{more}",
        words::thousands(frontier.impossible),
        aligned(&rows, 2)
    )
}

/// A run of the real machines.
pub fn protocol(run: &ProtocolRun) -> String {
    let count = |count: u64| words::thousands(usize::try_from(count).unwrap_or(usize::MAX));
    let mut text = format!("{}\n", tame(&run.title));
    let bytes = number::bytes(number::whole(run.bytes), 3);
    text.push_str(&format!(
        "  {} of virtual time, {} messages, {bytes}\n",
        number::hours(run.hours),
        count(run.messages)
    ));
    let snapshots = run.snapshots.iter().map(|of| {
        [
            tame(&of.database),
            format!("{} begun", count(of.begun)),
            format!("{} durable", count(of.durable)),
            format!("{} lost", count(of.lost)),
        ]
    });
    text.push_str(&aligned(&snapshots.collect::<Vec<_>>(), 2));
    let restores = run.restores.iter().map(|restored| {
        let how = match (&restored.took_hours, &restored.why_not) {
            (Some(hours), _) => format!("restored in {}", number::hours(*hours)),
            (None, Some(why)) => format!("NOT restored: {}", tame(why)),
            (None, None) => "NOT restored".to_owned(),
        };
        [tame(&restored.database), tame(&restored.place), how]
    });
    text.push_str(&aligned(&restores.collect::<Vec<_>>(), 2));
    for reader in &run.readers {
        let order = if reader.by_order { "by order" } else { "WITHOUT an order" };
        let since = reader.since_hours.map_or(String::new(), |hours| format!(", from {} on", number::hours(hours)));
        text.push_str(&format!("  {} could read {} {order}{since}\n", tame(&reader.who), tame(&reader.what)));
    }
    for invariant in run.invariants.iter().filter_map(|invariant| Some((&invariant.name, invariant.broken.as_ref()?))) {
        text.push_str(&format!("  BROKEN: {}: {}\n", tame(invariant.0), tame(invariant.1)));
    }
    text.push_str(&format!("Seed {}, trace {}\n", run.seed, tame(&run.trace_digest)));
    text
}
