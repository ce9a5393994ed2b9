//! The page and the summary: what is there, what is left out, what is escaped, and that the same is the same.

use super::*;
use crate::analysis::compare::compare;
use crate::analysis::sweep::Grid;
use crate::analysis::verdict::verdict;
use crate::analysis::{coalition, sensitivity, sweep};
use crate::fate::model::Model;
use crate::fate::outcome::{Curves, Distribution, Estimate, counted};
use crate::report::protocol::{Invariant, Phase, ProtocolRun, Reader, Restored, Snapshots};

/// Breaks out of a text, an attribute and a style, wherever it is put unescaped.
const HOSTILE: &str = "</title></style></text></svg>\"'><script>alert(1)</script>&amp;\u{202e}";

fn outcome_of(model: &Model) -> Result<Outcome, String> {
    let mut outcome = example::outcome();
    let rare = |exponent: u32, base: f64| libm::pow(base, f64::from(exponent));
    let site = &model.sites[0];
    outcome.loss.by_horizon = Estimate::exact(rare(7 - model.code.data_shards, 0.08) * site.rot_per_year * 30.0);
    outcome.disclosure.by_horizon = Estimate::exact(rare(model.code.threshold, 0.05));
    Ok(outcome)
}

fn report() -> Report {
    let (mut scenario, outcome) = (example::scenario(), example::outcome());
    scenario.target = crate::scenario::file::Target {
        loss_per_year: Some(1e-4),
        disclosure_per_year: Some(1e-3),
        unavailability: Some(1e-3),
        rto_p95: Some("72h".parse().unwrap()),
        rpo_p95: Some("1h".parse().unwrap()),
        cost_per_year: None,
    };
    let coalitions = coalition::coalitions(&scenario, &crate::scenario::select::bonds(&scenario));
    let model = example::model();
    let grid = Grid { refresh_years: vec![Some(0.0625), None], ..Grid::around(&model) };
    Report {
        provenance: Provenance {
            program: "legation-sim 0.1.0".to_owned(),
            scenario_digest: "blake3 00ff".to_owned(),
            command: "legation-sim run home-occupied --seed 1".to_owned(),
        },
        verdict: verdict(&scenario, &outcome, coalitions.as_ref()),
        frontier: Some(sweep::sweep(&model, &grid, &scenario.target, outcome_of, |_, _| {}).unwrap()),
        sensitivity: Some(sensitivity::sensitivity(&model, outcome_of, |_, _| {}).unwrap()),
        scenario,
        outcome,
        coalitions,
    }
}

#[test]
fn a_figure_that_a_few_samples_carry_is_told_as_such() {
    let mut report = report();
    let warning = "NOT TO BE TRUSTED";
    assert!(!text::fate(&report).contains(warning) && !html::fate(&report).unwrap().contains(warning));
    report.outcome.loss.by_horizon.method = crate::fate::outcome::Method::WeightedUnevenly;
    assert!(text::fate(&report).contains(warning) && html::fate(&report).unwrap().contains(warning));
}

fn headings(page: &str) -> Vec<&str> {
    page.split("<h2>").skip(1).filter_map(|rest| rest.split_once("</h2>")).map(|(heading, _)| heading).collect()
}

/// No tag but those of the templates and of the plots, none left open, nothing that loads or runs.
fn assert_sound(page: &str) {
    let mut open = Vec::new();
    let known = "html head meta title style body header p h1 main footer dl dt dd h2 h3 ul li table thead tbody tr th td div br \
                 span figure figcaption svg b code text line polyline polygon rect circle ol";
    let (before, rest) = page.split_once("<style>").unwrap();
    let (style, after) = rest.split_once("</style>").unwrap();
    assert!(!style.contains("url(") && !style.contains("@import") && !style.contains('<'));
    for tag in before.split('<').skip(1).chain(after.split('<').skip(1)) {
        let (tag, _) = tag.split_once('>').unwrap_or_else(|| panic!("'<{tag}' is not closed"));
        let name: String = tag.chars().take_while(|sign| sign.is_ascii_alphanumeric()).collect();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "</{name}> closes nothing");
        } else if !tag.starts_with('!') {
            assert!(known.split(' ').any(|known| known == name), "<{tag}>");
            let quoted: String = tag.split('"').step_by(2).collect();
            assert!(!quoted.contains(" on") && !quoted.contains("href") && !quoted.contains("src"), "<{tag}>");
            if !tag.ends_with('/') && name != "meta" && name != "br" {
                open.push(name);
            }
        }
    }
    assert_eq!(open, Vec::<String>::new());
    let addresses = page.matches("http").count();
    assert_eq!(addresses, page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count(), "only the name space of SVG");
}

#[test]
fn the_page_has_every_section_in_order_and_is_the_same_again() {
    let report = report();
    let page = html::fate(&report).unwrap();
    assert_sound(&page);
    let expected = [
        "Verdict",
        "Key figures",
        "Over time",
        "What makes it happen",
        "Smallest coalitions",
        "Other codes",
        "After the loss of home",
        "What matters",
        "Repair",
        "Assumptions",
        "What the figures do not say",
        "To get the same again",
    ];
    assert_eq!(headings(&page), expected);
    assert_eq!(page.matches("<svg").count(), 5);
    assert_eq!(page, html::fate(&self::report()).unwrap());
    for text in [
        "The binding limit: disclosure per year, 4.1 times what is wanted. 100 % of it: home is occupied",
        "once in 100 years",
        "xoshiro256++",
        "blake3 00ff",
        "each site by itself",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert_eq!(serde_json::to_value(&report).unwrap()["outcome"]["effort"]["seed"], 1);
}

#[test]
fn what_is_not_there_is_left_out() {
    let mut report = report();
    (report.coalitions, report.frontier, report.sensitivity) = (None, None, None);
    report.scenario.target = Default::default();
    report.scenario.databases.clear();
    report.scenario.events.clear();
    report.scenario.assumptions.clear();
    report.scenario.sources.clear();
    report.scenario.about.clear();
    let outcome = &mut report.outcome;
    outcome.databases.clear();
    outcome.assumptions.clear();
    outcome.loss.causes.clear();
    outcome.disclosure.causes.clear();
    outcome.unavailability.causes.clear();
    outcome.curves = Curves { years: vec![], lost: vec![], disclosed: vec![], unavailable: vec![] };
    outcome.repair.repairs_per_year = Estimate::exact(0.0);
    report.verdict = verdict(&report.scenario, &report.outcome, None);
    let page = html::fate(&report).unwrap();
    assert_sound(&page);
    assert_eq!(headings(&page), ["Key figures", "What the figures do not say", "To get the same again"]);
    assert!(!page.contains("<svg") && !page.contains("<h3>"));
    let text = text::fate(&report);
    assert!(!text.contains("Targets") && !text.contains("causes") && text.lines().count() < 15, "{text}");
}

#[test]
fn what_never_happened_and_what_is_certain_can_be_shown() {
    let mut report = report();
    let nothing = counted(0, 1000);
    for value in [nothing, Estimate::exact(0.0), Estimate::exact(1.0), counted(1000, 1000), Estimate::exact(1e-300)] {
        let outcome = &mut report.outcome;
        outcome.loss.by_horizon = value;
        outcome.disclosure.by_horizon = value;
        outcome.unavailability.share_of_time = value;
        outcome.loss.independent = Some(nothing);
        for curve in [&mut outcome.curves.lost, &mut outcome.curves.disclosed, &mut outcome.curves.unavailable] {
            curve.iter_mut().for_each(|share| *share = value.estimate);
        }
        let empty = Distribution {
            samples: 10,
            never: 1.0,
            mean: None,
            p50: None,
            p95: None,
            ecdf: vec![],
            ..outcome.databases[0].rto_hours.clone()
        };
        outcome.databases[0].rto_hours = empty;
        outcome.databases[1].rpo_hours.samples = 0;
        let figures = crate::analysis::figures::Figures::of(outcome);
        report.frontier.iter_mut().flat_map(|frontier| &mut frontier.points).for_each(|point| point.figures = figures);
        if let Some(sensitivity) = &mut report.sensitivity {
            sensitivity.base = figures;
            sensitivity.swings.iter_mut().for_each(|swing| (swing.halved, swing.doubled) = (figures, figures));
        }
        report.verdict = verdict(&report.scenario, &report.outcome, report.coalitions.as_ref());
        let page = html::fate(&report).unwrap();
        assert_sound(&page);
        for nonsense in ["NaN", "inf", "e308", "1.79", "-0"] {
            assert!(!page.replace("font-size", "").contains(&format!(">{nonsense}")), "{nonsense} for {value:?}");
            assert!(!text::fate(&report).contains(&format!(" {nonsense} ")), "{nonsense} for {value:?}");
        }
    }
}

#[test]
fn texts_of_a_scenario_are_only_texts() {
    let mut report = report();
    let hostile = || HOSTILE.to_owned();
    report.provenance = Provenance { program: hostile(), scenario_digest: hostile(), command: hostile() };
    let scenario = &mut report.scenario;
    (scenario.title, scenario.about) = (hostile(), hostile());
    (scenario.sources, scenario.assumptions) = (vec![hostile()], vec![hostile()]);
    scenario.databases[0].name = hostile();
    scenario.events.iter_mut().for_each(|event| (event.name, event.selectors) = (hostile(), vec![hostile()]));
    let outcome = &mut report.outcome;
    outcome.assumptions = vec![hostile()];
    outcome.databases.iter_mut().for_each(|database| database.name = hostile());
    outcome.loss.causes[0].together = vec![hostile()];
    if let Some(coalitions) = &mut report.coalitions {
        coalitions.largest[0].bond = hostile();
        coalitions.read.sets[0].bonds = vec![hostile()];
    }
    if let Some(sensitivity) = &mut report.sensitivity {
        sensitivity.swings.iter_mut().for_each(|swing| swing.factor = hostile());
    }
    report.verdict = verdict(&report.scenario, &report.outcome, report.coalitions.as_ref());
    let page = html::fate(&report).unwrap();
    assert_sound(&page);
    assert!(page.matches("&lt;script&gt;").count() > 15 && !page.contains("<script"));
    let names = [hostile(), hostile()];
    assert_sound(&html::comparison(&compare(names, &report.outcome, &report.outcome), &report.provenance));
    assert_sound(&html::protocol(&run(HOSTILE), &report.provenance));
    report.scenario.title = "clear\u{1b}[2J the\nscreen".to_owned();
    assert!(text::fate(&report).starts_with("clear [2J the screen\n"));
}

#[test]
fn the_summary_is_short_and_aligned() {
    let text = text::fate(&report());
    let lines: Vec<&str> = text.lines().collect();
    assert!((25..=40).contains(&lines.len()), "{text}");
    assert!(text.is_ascii() && lines.iter().all(|line| line.trim_end() == *line), "{text}");
    let at = |name: &str, what: &str| lines.iter().find(|line| line.starts_with(name)).and_then(|line| line.find(what));
    assert_eq!(at("  data loss", "counted"), at("  disclosure", "counted"), "{text}");
    // Events with dates: what is by itself is a rate, what the mission brings is not.
    assert!(text.contains("about once in 300 million years") && !text.contains("about once in 3,200 years"), "{text}");
    assert!(text.contains("MISSED"), "{text}");
}

#[test]
fn two_outcomes_are_told_apart_only_where_they_can_be() {
    let mut other = example::outcome();
    other.loss.by_horizon = counted(9_000, 50_000);
    let names = ["five of nine".to_owned(), "four of nine".to_owned()];
    let comparison = compare(names, &example::outcome(), &other);
    let text = text::comparison(&comparison);
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line("loss").ends_with("second higher") && line("disclosure").ends_with("equal"), "{text}");
    assert!(text.contains("the same seed"));
    let page = html::comparison(&comparison, &report().provenance);
    assert_sound(&page);
    assert!(page.contains("second higher") && page.contains("five of nine and four of nine"));
}

#[test]
fn a_sweep_says_which_codes_are_best_and_which_will_do() {
    let text = text::frontier(&report().frontier.unwrap());
    assert!(["1/6   never", "met      best", "met      now"].iter().all(|words| text.contains(words)), "{text}");
    assert!(text.starts_with("60 codes tried; 0 of the grid"), "{text}");
}

fn run(text: &str) -> ProtocolRun {
    ProtocolRun {
        title: text.to_owned(),
        seed: 7,
        trace_digest: text.to_owned(),
        hours: 720.0,
        messages: 1_234_567,
        bytes: 3_000_000_000,
        phases: vec![Phase { from_hours: 1.0, what: text.to_owned(), converged_after_hours: Some(0.5) }],
        snapshots: vec![Snapshots {
            database: text.to_owned(),
            begun: 10,
            durable: 9,
            lost: 0,
            durable_after_hours: None,
        }],
        restores: vec![Restored { database: text.to_owned(), why_not: Some(text.to_owned()), ..Restored::default() }],
        readers: vec![Reader { who: text.to_owned(), what: text.to_owned(), since_hours: Some(2.0), by_order: true }],
        invariants: vec![Invariant { name: text.to_owned(), checks: 5, broken: None }],
    }
}

#[test]
fn a_run_of_the_machines_is_good_until_something_broke() {
    let provenance = report().provenance;
    let mut good = run("durability");
    let page = html::protocol(&good, &provenance);
    assert_sound(&page);
    assert!(page.contains("Every invariant held") && page.contains("status met"));
    assert!(text::protocol(&good).contains("NOT restored: durability"));
    good.readers[0].by_order = false;
    good.invariants[0].broken = Some("after 3 h".to_owned());
    good.snapshots[0].lost = 2;
    let page = html::protocol(&good, &provenance);
    assert!(page.contains("1 invariant broken; 1 coalition could read without an order; 2 durable snapshots lost."));
    assert!(page.contains("status missed") && text::protocol(&good).contains("BROKEN: durability: after 3 h"));
    assert!(text::protocol(&good).contains("WITHOUT an order"));
    let empty = html::protocol(&ProtocolRun::default(), &provenance);
    assert_sound(&empty);
    assert!(empty.contains("Nobody: at no time") && !empty.contains("<table"));
}
