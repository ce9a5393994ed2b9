//! What was asked and what was found, in words: the same for a terminal and for a page.

use super::number::{self, best, number, percent};
use crate::analysis::coalition::{Set, Smallest};
use crate::analysis::verdict::{Finding, Goal, Standing, Verdict};
use crate::fate::outcome::{Cause, Estimate, Method};
use crate::scenario::time::{Law, Span};
use crate::scenario::{Effect, Event, Kind, Scenario, Struck, When};

/// A duration.
pub(crate) fn span(span: Span) -> String {
    number::hours(span.days() * 24.0)
}

/// A random duration.
fn law(law: Law) -> String {
    match law {
        Law::Constant { mean } => span(mean),
        Law::Exponential { mean } | Law::Weibull { mean, .. } | Law::Lognormal { mean, .. } => {
            format!("{} on average", span(mean))
        }
        Law::Uniform { from, to } => format!("{} to {}", span(from), span(to)),
    }
}

/// `1 site`, `3 sites`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(count))
}

/// A whole number, thousands apart.
pub(crate) fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The plan: a term and what it is.
pub(crate) fn plan(scenario: &Scenario) -> Vec<(&'static str, String)> {
    let mut lines = vec![("Sites", sites(scenario))];
    let (shards, shares) = scenario.holders();
    if let Some(code) = &scenario.code {
        let refresh = code.refresh.map_or("the shares are never made anew".to_owned(), |every| {
            format!("the shares are made anew every {}", span(every))
        });
        let rebuilds = format!("any {} of {} shards rebuild", code.data_shards, thousands(shards));
        lines.push((
            "Code",
            format!("{rebuilds}; any {} of {} shares open; {refresh}", code.threshold, thousands(shares)),
        ));
    }
    let policy = &scenario.policy;
    let mut repair =
        format!("noticed after {}, silent loss by an audit every {}", span(policy.notice), span(policy.audit));
    if let Some(crews) = policy.crews {
        repair.push_str(&format!("; {} at a time", counted(crews as usize, "site")));
    }
    if let Some(at) = policy.repair_at {
        repair.push_str(&format!("; begun when {} are left", counted(at as usize, "shard")));
    }
    lines.push(("Repair", repair));
    if !scenario.databases.is_empty() {
        lines.push(("Databases", databases(scenario)));
        let restore = &scenario.restore;
        let speed = number::written(restore.ingress_mbit_s);
        let text = format!(
            "the order takes {}, an answer {}; the new home takes in {speed} Mbit/s",
            law(restore.order_takes),
            law(restore.answer_takes)
        );
        lines.push(("Restore", text));
    }
    if let Some(officials) = &scenario.officials {
        lines.push(("Officials", format!("a quorum of {} of {} decides", officials.quorum, officials.total)));
    }
    lines
}

fn sites(scenario: &Scenario) -> String {
    let count = |kind| scenario.sites.iter().filter(|site| site.kind == kind).count();
    let kinds = [
        (Kind::Home, "at home", "at home"),
        (Kind::DataCentre, "data centre", "data centres"),
        (Kind::Embassy, "embassy", "embassies"),
        (Kind::Cloud, "rented", "rented"),
    ];
    let parts = kinds.into_iter().filter_map(|(kind, one, many)| match count(kind) {
        0 => None,
        1 => Some(format!("1 {one}")),
        of => Some(format!("{} {many}", thousands(of))),
    });
    let parts: Vec<String> = parts.collect();
    let jurisdictions: std::collections::BTreeSet<&str> =
        scenario.sites.iter().map(|site| site.jurisdiction.as_str()).collect();
    let places = counted(jurisdictions.len(), "jurisdiction");
    format!("{}: {}; {places}", thousands(scenario.sites.len()), parts.join(", "))
}

fn databases(scenario: &Scenario) -> String {
    let total: f64 = scenario.databases.iter().map(|database| database.size_gb * 1e9).sum();
    let named = |database: &crate::scenario::file::Database| {
        let size = number::trimmed(&number::bytes(database.size_gb * 1e9, 3));
        format!("{} ({size}, every {})", database.name, span(database.snapshot_every))
    };
    match scenario.databases.as_slice() {
        few if few.len() <= 4 => few.iter().map(named).collect::<Vec<_>>().join(", "),
        many => format!("{}, together {}", thousands(many.len()), number::trimmed(&number::bytes(total, 3))),
    }
}

/// Whom a selector names.
pub(crate) fn selector(selector: &str) -> String {
    match selector.split_once(':') {
        Some(("site", name)) => name.to_owned(),
        Some((kind, name)) => format!("{kind} {name}"),
        None if selector == "home" => "the sites at home".to_owned(),
        None if selector == "abroad" => "the sites abroad".to_owned(),
        None if selector == "all" => "all sites".to_owned(),
        None => selector.to_owned(),
    }
}

/// When an event happens, and what it then does.
pub(crate) fn event(event: &Event) -> (String, String) {
    let when = match event.when {
        When::At(at) if at.ms() == 0 => "at the start".to_owned(),
        When::At(at) => format!("after {}", span(at)),
        When::PerYear(rate) if rate > 0.0 => number::recurrence(rate).unwrap_or_default().replace("about ", ""),
        When::PerYear(_) => "never".to_owned(),
    };
    let whom = event.selectors.iter().map(|one| selector(one)).collect::<Vec<_>>().join(", ");
    let whom = match event.struck {
        Struck::Each(chance) if chance < 1.0 => format!("{whom}, each with the chance {}", number::written(chance)),
        Struck::Each(_) => whom,
        Struck::Pick(count) => format!("{} of {whom}", thousands(count as usize)),
    };
    let mut what = match event.effect {
        Effect::Lost => format!("{whom}: lost"),
        Effect::Seized => format!("{whom}: taken away and read"),
        Effect::Copied => format!("{whom}: read in silence"),
        Effect::Rotted => format!("{whom}: shards rot in silence"),
        Effect::Down => format!("{whom}: down"),
        Effect::Expelled => {
            format!("{whom}: sent away; moved in time {}, raided {}", percent(event.moved, 2), percent(event.raided, 2))
        }
    };
    if let Some(lasts) = event.lasts {
        what.push_str(&format!(" for {}", law(lasts)));
    }
    if event.for_good {
        what.push_str(", for good");
    }
    (when, what)
}

/// Met, missed or not decided.
pub(crate) const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Met => "met",
        Standing::Undecided => "not decided",
        Standing::Missed => "missed",
    }
}

/// What is judged.
pub(crate) const fn goal(goal: Goal) -> &'static str {
    match goal {
        Goal::Loss => "Loss per year",
        Goal::Disclosure => "Disclosure per year",
        Goal::Unavailability => "Time without service",
        Goal::RestoreTime => "RTO: 95 of 100 restores",
        Goal::DataLossTime => "RPO: data lost, 95 of 100",
        Goal::Cost => "Cost per year",
        Goal::ReadTogether => "Who together can read",
        Goal::DestroyTogether => "Who together can destroy",
    }
}

fn value(of: Goal, value: f64, digits: i32) -> String {
    match of {
        Goal::RestoreTime | Goal::DataLossTime => number::hours(value),
        Goal::Unavailability => percent(value, digits),
        Goal::Loss | Goal::Disclosure | Goal::Cost => number(value, digits),
        Goal::ReadTogether | Goal::DestroyTogether => number(value, 1),
    }
}

/// With a small letter, unless it is an abbreviation.
pub(crate) fn lowercase(text: &str) -> String {
    if text.chars().nth(1).is_some_and(char::is_uppercase) { text.to_owned() } else { text.to_lowercase() }
}

/// What is wanted.
pub(crate) fn wanted(finding: &Finding) -> String {
    match finding.goal {
        Goal::ReadTogether | Goal::DestroyTogether => format!("at least {}", value(finding.goal, finding.wanted, 1)),
        Goal::Loss | Goal::Disclosure | Goal::Unavailability | Goal::RestoreTime | Goal::DataLossTime | Goal::Cost => {
            format!("at most {}", number::trimmed(&value(finding.goal, finding.wanted, 3)))
        }
    }
}

/// What was found, and its interval.
pub(crate) fn found(finding: &Finding) -> (String, Option<String>) {
    let Some(found) = &finding.found else {
        let nobody = matches!(finding.goal, Goal::ReadTogether | Goal::DestroyTogether);
        return (if nobody { "not even all" } else { "nothing to judge by" }.to_owned(), None);
    };
    match finding.goal {
        Goal::Loss | Goal::Disclosure => (best(found), number::interval(found)),
        Goal::Unavailability => {
            let digits = number::digits(found);
            let shown = if found.estimate > 0.0 { percent(found.estimate, digits) } else { best(found) };
            let interval = (found.high95 > found.low95 && found.estimate > 0.0)
                .then(|| format!("{} to {}", percent(found.low95, digits + 1), percent(found.high95, digits + 1)));
            (shown, interval)
        }
        Goal::RestoreTime | Goal::DataLossTime => {
            let interval = (found.high95 > found.low95)
                .then(|| format!("{} to {}", number::hours(found.low95), number::hours(found.high95)))
                .filter(|_| found.high95 < f64::MAX);
            (number::hours(found.estimate), interval)
        }
        Goal::Cost | Goal::ReadTogether | Goal::DestroyTogether => (value(finding.goal, found.estimate, 3), None),
    }
}

/// The database or the coalition that decides it.
pub(crate) fn about(finding: &Finding) -> String {
    let about = finding.about.clone().unwrap_or_default();
    match finding.goal {
        Goal::ReadTogether | Goal::DestroyTogether => about.replace(':', " "),
        Goal::Loss | Goal::Disclosure | Goal::Unavailability | Goal::RestoreTime | Goal::DataLossTime | Goal::Cost => {
            about
        }
    }
}

/// Which limit binds, in a sentence.
pub(crate) fn binding(verdict: &Verdict) -> Option<String> {
    let finding = verdict.binding()?;
    let who = finding.about.as_ref().map_or(String::new(), |_| format!(" ({})", about(finding)));
    if matches!(finding.goal, Goal::ReadTogether | Goal::DestroyTogether) {
        let can = if finding.goal == Goal::ReadTogether { "read" } else { "destroy" };
        return Some(format!("The binding limit: one alone can {can}{who}. No figure makes that good."));
    }
    let excess = finding.excess()?;
    let name = lowercase(goal(finding.goal));
    let much = match finding.standing {
        Standing::Missed if excess >= f64::MAX => "never reached".to_owned(),
        Standing::Missed => format!("{} times what is wanted", number(excess, 2)),
        Standing::Undecided => "not decided by so many missions".to_owned(),
        Standing::Met if excess > 0.0 => format!("met with a factor of {} to spare", number(1.0 / excess, 2)),
        Standing::Met => "met".to_owned(),
    };
    let cause = finding
        .cause
        .as_ref()
        .map_or(String::new(), |cause| format!(" {} of it: {}.", percent(cause.share, 2), causes(cause)));
    Some(format!("The binding limit: {name}{who}, {much}.{cause}"))
}

/// Causes that act together.
pub(crate) fn causes(cause: &Cause) -> String {
    cause.together.join(" + ")
}

/// How a figure was found.
pub(crate) const fn method(method: Method) -> &'static str {
    match method {
        Method::Exact => "exact",
        Method::Counted => "counted",
        Method::Weighted => "importance sampling",
        Method::WeightedUnevenly => "importance sampling, NOT TO BE TRUSTED: a few samples carry it",
        Method::Averaged => "averaged",
    }
}

/// The nines of a probability; of what was not seen the least it may have.
pub(crate) fn nines(estimate: &Estimate) -> String {
    let of = |chance: f64| number(-libm::log10(chance), 2);
    if estimate.estimate > 0.0 && estimate.estimate < 0.9 {
        of(estimate.estimate)
    } else if estimate.estimate <= 0.0 && estimate.high95 > 0.0 && estimate.high95 < 1.0 {
        format!("over {}", of(estimate.high95))
    } else {
        "\u{2013}".to_owned()
    }
}

/// How few together do it.
pub(crate) fn fewest(smallest: &Smallest, does: &str) -> String {
    let sites = counted(smallest.needed, "site");
    match smallest.size {
        None => format!("Not even all together can {does}: {sites} would be needed."),
        Some(1) => format!("One alone can {does}: {sites} suffice."),
        Some(size) if smallest.is_cut_off() => {
            let certain = smallest.certain_below;
            format!(
                "{size} together can {does} ({sites} suffice). Fewer than {certain} cannot; between, the search was cut off."
            )
        }
        Some(size) => format!("{size} together can {does}, no fewer: {sites} suffice."),
    }
}

/// A set of bonds.
pub(crate) fn set(set: &Set) -> String {
    set.bonds.join(" + ").replace(':', " ")
}
