//! A search for a plan, in words.

use std::fmt::Write as _;

use clap::Args;

use super::{Failure, estimate, input, print};
use crate::analysis::figures::Figures;
use crate::fate::outcome::Outcome;
use crate::plan::{self, Answer, Plan};
use crate::report::number::best;
use crate::scenario::Scenario;
use crate::scenario::file::Target;

/// Arguments of `plan`.
#[derive(Debug, Args)]
#[command(after_help = "Example: legation-sim plan --target choose-hosts")]
pub(super) struct PlanArguments {
    /// A file with candidate sites, [target] and [search], or the name of a ready-made one.
    #[arg(long, value_name = "SCENARIO")]
    target: String,
    /// How many plans of the frontier to print.
    #[arg(long, default_value_t = 12)]
    frontier: usize,
}

pub(super) fn run(arguments: &PlanArguments, json: bool) -> Result<(), Failure> {
    let (scenario, _text) = input::scenario(&arguments.target)?;
    let bar = super::progress::bar("choices of sites");
    let answer = plan::search(&scenario, &|size, last| super::progress::at(&bar, size as u64, last as u64));
    bar.finish_and_clear();
    let answer = answer.map_err(Failure::usage)?;
    if let Some(plan) = &answer.recommended {
        let outcome = estimate::outcome(&plan::scenario_of(&scenario, plan), plan.code)?;
        let value = serde_json::json!({
            "answer": answer,
            "recommended_sites": names(&scenario, plan),
            "outcome": outcome,
        });
        return print(json, &value, || in_words(&scenario, &answer, plan, &outcome, arguments.frontier));
    }
    Err(Failure::no_plan(no_plan(&scenario, &answer), serde_json::to_value(&answer).map_err(Failure::unexpected)?))
}

fn names(scenario: &Scenario, plan: &Plan) -> Vec<String> {
    plan.sites.iter().filter_map(|&at| scenario.sites.get(at)).map(|site| site.name.clone()).collect()
}

fn code(plan: &Plan) -> String {
    let refresh = plan.code.refresh.map_or("never refreshed".to_owned(), |span| format!("refreshed every {span}"));
    format!("{} data shards, threshold {}, {refresh}", plan.code.data_shards, plan.code.threshold)
}

fn in_words(scenario: &Scenario, answer: &Answer, plan: &Plan, outcome: &Outcome, shown: usize) -> String {
    let mut text = format!(
        "Recommended: {} sites, {}\n  {}\n  loss {:.2e} a year, disclosure {:.2e} a year, unavailable {:.2e} of the time\n  cost {} \
         a year, {:.2} bytes stored for each byte kept\n",
        plan.sites.len(),
        code(plan),
        names(scenario, plan).join(", "),
        plan.figures.loss_per_year,
        plan.figures.disclosure_per_year,
        plan.figures.unavailability,
        plan.cost_per_year,
        plan.overhead,
    );
    // Writing to a string cannot fail.
    let figures = Figures::of(outcome);
    _ = writeln!(
        text,
        "  estimated by fate mode over {} years: loss {} a year ({:.1e} to {:.1e}), disclosure {} a year ({:.1e} to {:.1e})",
        outcome.horizon_years,
        best(&figures.loss),
        figures.loss.low95,
        figures.loss.high95,
        best(&figures.disclosure),
        figures.disclosure.low95,
        figures.disclosure.high95,
    );
    _ = writeln!(
        text,
        "\nFrontier: no plan is cheaper, loses less and discloses less than one of these ({})",
        answer.frontier.len()
    );
    _ = writeln!(
        text,
        "  {:>9} {:>9} {:>10} {:>5} {:>6} {:>9}  sites",
        "cost", "loss/y", "disclos./y", "n", "k/t", "refresh"
    );
    let near: Vec<&Plan> = answer.frontier.iter().filter(|plan| is_near(plan, &scenario.target)).collect();
    for plan in spread(&near, shown) {
        _ = writeln!(
            text,
            "  {:>9} {:>9.1e} {:>10.1e} {:>5} {:>6} {:>9}  {}",
            plan.cost_per_year,
            plan.figures.loss_per_year,
            plan.figures.disclosure_per_year,
            plan.sites.len(),
            format!("{}/{}", plan.code.data_shards, plan.code.threshold),
            plan.code.refresh.map_or("never".to_owned(), |span| span.to_string()),
            names(scenario, plan).join(" "),
        );
    }
    _ = writeln!(text, "\n{}", judged(answer));
    text.push_str("The frontier is by closed forms, under the assumptions of the file:\n");
    scenario.assumptions.iter().for_each(|line| _ = writeln!(text, "  - {line}"));
    text
}

/// As many as asked for, evenly from the cheapest to the dearest.
fn spread<'a>(plans: &[&'a Plan], shown: usize) -> Vec<&'a Plan> {
    let step = plans.len().div_ceil(shown.max(1)).max(1);
    plans.iter().copied().step_by(step).collect()
}

/// Within a factor of a thousand of what is asked.
fn is_near(plan: &Plan, target: &Target) -> bool {
    let near = |reached: f64, asked: Option<f64>| asked.is_none_or(|asked| reached <= asked * 1_000.0);
    near(plan.figures.loss_per_year, target.loss_per_year)
        && near(plan.figures.disclosure_per_year, target.disclosure_per_year)
}

fn judged(answer: &Answer) -> String {
    let all = if answer.exhaustive {
        "all there are".to_owned()
    } else {
        "not all: of each size only the most promising were followed".to_owned()
    };
    format!("{} choices of sites were judged with every code: {all}.", answer.choices)
}

fn no_plan(scenario: &Scenario, answer: &Answer) -> String {
    let mut text = "no plan with these sites reaches the targets; what binds:".to_owned();
    for binding in &answer.binding {
        let plan = &binding.nearest;
        _ = write!(text, "\n  {}\n    nearest: {}; {}", binding.message, code(plan), names(scenario, plan).join(", "));
    }
    if answer.binding.is_empty() {
        text.push_str("\n  no choice of that many sites holds both a shard and two shares");
    }
    _ = write!(text, "\n{}", judged(answer));
    text
}
