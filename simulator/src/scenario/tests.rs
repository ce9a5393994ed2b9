//! What a person may write, and what is said of what makes no sense.

use super::library;
use super::problem::Problems;
use super::{When, read};

/// Lines 1 to 16; a test adds its own from line 17 on.
const SMALL: &str = r#"schema = 1
title = "Three sites"
[code]
data_shards = 2
threshold = 2
[[sites]]
name = "a"
count = 2
kind = "home"
jurisdiction = "EE"
lost_every = "20y"
[[sites]]
name = "c"
kind = "embassy"
jurisdiction = "FR"
roles = ["shards", "shares"]
"#;

fn refused(text: &str) -> String {
    read(text).expect_err("makes no sense").to_string()
}

#[test]
fn the_ready_made_scenarios_make_sense_and_say_where_they_come_from() {
    assert!(library::ALL.len() >= 11);
    for (name, text) in library::ALL {
        let scenario = read(text).unwrap_or_else(|problems| panic!("{name}:\n{problems}"));
        assert!(!scenario.sources.is_empty() && !scenario.assumptions.is_empty(), "{name}");
        assert!(scenario.about.len() > 100, "{name}");
        assert!(scenario.events.iter().all(|event| !event.hits.is_empty()), "{name}");
    }
}

#[test]
fn defaults_are_filled_in_and_sites_are_counted() {
    let scenario = read(SMALL).unwrap();
    let names: Vec<&str> = scenario.sites.iter().map(|site| site.name.as_str()).collect();
    assert_eq!(names, ["a-1", "a-2", "c"]);
    assert_eq!((scenario.home(), scenario.holders()), (vec![0, 1], (3, 3)));
    assert!((scenario.sites[0].lost_per_year - 0.05).abs() < 1e-12);
    assert!(scenario.sites[2].lost_per_year.abs() < 1e-12);
    let text = format!("{SMALL}[[events]]\nname = \"x\"\nevery = \"never\"\nhits = [\"abroad\"]\neffect = \"lost\"\n");
    let scenario = read(&text).unwrap();
    assert_eq!((scenario.events[0].when, scenario.events[0].hits.clone()), (When::PerYear(0.0), vec![2]));
}

#[test]
fn ten_thousand_sites_are_read() {
    let text = SMALL.replace("count = 2", "count = 9999");
    assert_eq!(read(&text).unwrap().sites.len(), 10_000);
    let text = SMALL.replace("count = 2", "count = 100001");
    assert!(refused(&text).starts_with("line 8, sites[1].count: 100001 sites"), "{}", refused(&text));
    let text = SMALL.replace("count = 2", "count = 4000000000");
    assert!(refused(&text).starts_with("line 8, sites[1].count: 4000000000 sites"), "{}", refused(&text));
}

/// Each default is used by three sites.
#[test]
fn a_fault_of_the_defaults_is_named_once_where_it_is() {
    let faults = "jurisdiction = \"France\"\nrenewal = 2.0\nlifetime = \"1y\"\nlost_every = \"1y\"\n";
    let text = SMALL.replace("jurisdiction = \"FR\"\n", "").replace("jurisdiction = \"EE\"\n", "");
    let said = refused(&format!("{text}[site_defaults]\n{faults}"));
    let begin = ["line 16, site_defaults.jurisdiction: ", "line 17, site_defaults.renewal: "];
    let begin: Vec<&str> = begin.into_iter().chain(["line 18, site_defaults.lifetime: "]).collect();
    assert!(said.lines().zip(&begin).all(|(line, begin)| line.starts_with(begin)), "{said}");
    assert_eq!(said.lines().count(), begin.len(), "{said}");
}

#[test]
fn too_many_hits_are_named_where_they_become_too_many() {
    let sites = SMALL.replace("count = 2", "count = 9999");
    let event =
        |number| format!("[[events]]\nname = \"{number}\"\nevery = \"1y\"\neffect = \"lost\"\nhits = [\"all\"]\n");
    let events = |count: u32| (0..count).map(event).collect::<String>();
    assert_eq!(read(&format!("{sites}{}", events(1000))).unwrap().events.len(), 1000);
    let said = refused(&format!("{sites}{}", events(1002)));
    assert_eq!(
        said,
        "line 5021, events[1001].hits: with this one the events hit 10010000 sites in all, of 10000000 at most"
    );
}

/// A report could not tell two events of one name apart.
#[test]
fn events_may_overlap_and_may_not_share_a_name() {
    let event = |name: &str| {
        format!("[[events]]\nname = \"{name}\"\nat = \"10d\"\nhits = [\"all\"]\neffect = \"down\"\nlasts = \"20d\"\n")
    };
    assert_eq!(read(&format!("{SMALL}{}{}", event("first"), event("second"))).unwrap().events.len(), 2);
    let said = refused(&format!("{SMALL}{}{}", event("twice"), event("twice")));
    assert!(said.contains("events[2].name: two events are called 'twice'"), "{said}");
}

/// What is changed, and what is said then.
#[test]
fn what_makes_no_sense_is_named_with_line_and_field() {
    let event = |rest: &str| format!("{SMALL}[[events]]\nname = \"x\"\n{rest}\n");
    let cases = [
        (SMALL.replace("data_shards = 2", "data_shards = 4"), "line 4, code.data_shards: 4 is more than the 3 sites"),
        (SMALL.replace("data_shards = 2", "data_shards = 0"), "line 4, code.data_shards: 0 must be at least 1"),
        (SMALL.replace("threshold = 2", "threshold = 1"), "line 5, code.threshold: 1 must be at least 2"),
        (SMALL.replace("schema = 1", "schema = 2"), "line 1, schema: 2 is not known here"),
        (SMALL.replace("name = \"c\"", "name = \"a-2\""), "line 13, sites[2].name: two sites are called 'a-2'"),
        (SMALL.replace("\"FR\"", "\"France\""), "line 15, sites[2].jurisdiction: a site needs its jurisdiction"),
        (SMALL.replace("kind = \"home\"\n", ""), "sites[1].kind: a site needs its kind"),
        (SMALL.replace("[\"shards\", \"shares\"]", "[]"), "line 16, sites[2].roles: a site holds shards"),
        (format!("{SMALL}renewal = -0.1\n"), "line 17, sites[2].renewal: -0.1 must be from 0 to 1"),
        (format!("{SMALL}uplink_mbit_s = nan\n"), "line 17, sites[2].uplink_mbit_s: NaN must be from"),
        (event("effect = \"lost\"\nhits = [\"all\"]"), "events[1].at: an event needs `at` (once) or `every`"),
        (event("at = \"1d\"\neffect = \"down\"\nhits = [\"all\"]"), "events[1].lasts: an event with the effect 'down'"),
        (
            event("at = \"99y\"\neffect = \"lost\"\nhits = [\"all\"]"),
            "line 19, events[1].at: 99years is not before the end",
        ),
        (
            event("at = \"1d\"\neffect = \"lost\"\nhits = [\"all\", \"jurisdiction:SE\"]"),
            "line 21, events[1].hits[2]: 'jurisdiction:SE' names no site of this scenario",
        ),
        (
            event("at = \"1d\"\neffect = \"lost\"\nhits = [\"island\"]"),
            "line 21, events[1].hits[1]: 'island' selects nothing",
        ),
        (
            event("at = \"1d\"\neffect = \"lost\"\nhits = [\"all\"]\nchance = 1.5"),
            "line 22, events[1].chance: 1.5 must be from 0 to 1",
        ),
        (format!("{SMALL}[run]\nyears = -1.0\n"), "line 18, run.years: -1 must be above zero"),
        (format!("{SMALL}[run]\nmissions = 0\n"), "line 18, run.missions: must be from 1"),
        (format!("{SMALL}[policy]\nrepair_at = 1\n"), "line 18, policy.repair_at: repair that waits"),
        (
            format!("{SMALL}[officials]\ntotal=3\nquorum=4\ncaptured_every=\"1y\"\nreplaced_after=\"1d\"\n"),
            "line 19, officials.quorum",
        ),
        (
            "schema = 1\ntitle = \"t\"\n[code]\ndata_shards = 1\nthreshold = 2\n".to_owned(),
            "sites: a scenario needs at least one site",
        ),
        (SMALL.replace("[code]\ndata_shards = 2\nthreshold = 2\n", ""), "code: a scenario needs [code]"),
    ];
    for (text, expected) in cases {
        let said = refused(&text);
        assert!(
            said.lines().any(|line| line.starts_with(expected) || line.contains(&format!(", {expected}"))),
            "wanted: {expected}\nsaid: {said}"
        );
    }
}

#[test]
fn what_is_not_of_this_form_is_named_with_line_and_column() {
    let cases = [
        (format!("{SMALL}colour = \"red\"\n"), "line 17", "unknown field `colour`"),
        (SMALL.replace("\"20y\"", "\"20 parsecs\""), "line 11", "is not a duration"),
        (SMALL.replace("\"20y\"", "\"-1d\""), "line 11", "is not a duration"),
        (SMALL.replace("\"20y\"", "\"0s\""), "line 11", "must be above zero"),
        (SMALL.replace("data_shards = 2", "data_shards = -2"), "line 4", "expected u32"),
        (format!("{SMALL}repair = {{ law = \"weibull\", mean = \"1d\" }}\n"), "line 17", "needs shape"),
        (format!("{SMALL}repair = {{ law = \"gauss\", mean = \"1d\" }}\n"), "line 17", "no law 'gauss'"),
        (format!("{SMALL}repair = {{ law = \"constant\", mean = \"1d\", cv = 1.0 }}\n"), "line 17", "takes no cv"),
        (format!("{SMALL}[["), "line 17", "unquoted keys cannot be empty"),
    ];
    for (text, line, expected) in cases {
        let said = refused(&text);
        assert!(matches!(read(&text), Err(Problems::Form(_))));
        assert!(said.contains(line) && said.contains(expected), "wanted: {line}, {expected}\nsaid: {said}");
    }
}
