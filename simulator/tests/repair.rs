//! Losses by hand: what is emptied or rots is remade from the others, who lives on the others' shards gets none.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed, which is its job")]

use simulator::world::{Config, Report, run};

/// Five sites, two snapshots, and one line more.
fn with(line: &str) -> Report {
    let text = format!(
        r#"
        seed = 1
        officials = 3
        quorum = 2
        heal_at_ms = 150000
        converge_within_ms = 120000
        sites = [
            {{ name = "tallinn", jurisdiction = "EE" }},
            {{ name = "luxembourg", jurisdiction = "LU" }},
            {{ name = "helsinki", jurisdiction = "FI" }},
            {{ name = "bern", jurisdiction = "CH" }},
            {{ name = "tokyo", jurisdiction = "JP" }},
        ]
        databases = [{{ name = "land-register", data_shards = 3, threshold = 3, change_bytes = 500 }}]
        timeline = [
            {{ at_ms = 1000, action = {{ publish = {{ database = "land-register" }} }} }},
            {{ at_ms = 10000, action = {{ publish = {{ database = "land-register" }} }} }},
            {{ at_ms = 30000, action = {{ {line} }} }},
        ]
        "#
    );
    let config: Config = toml::from_str(&text).unwrap();
    let report = run(&config, &mut ()).unwrap();
    assert_eq!(report.violation, None, "{line}");
    report
}

fn times(report: &Report, what: &str) -> u64 {
    report.reached.get(what).copied().unwrap_or(0)
}

#[test]
fn an_emptied_disk_is_rebuilt_from_the_others() {
    for records in [false, true] {
        let report = with(&format!(r#"empty = {{ site = "bern", records = {records}, down_ms = 5000 }}"#));
        let mended = times(&report, "a shard was mended");
        assert!(mended >= 2, "{mended} shards, at least one of each snapshot");
        assert!(times(&report, "a site said what it lacks") > 0, "before it asked for help");
        assert!(times(&report, "a site was whole again") > 0 || records, "unless its shares are gone for ever");
    }
}

#[test]
fn rot_is_found_at_home_and_mended() {
    let report = with(r#"rot = { site = "bern", shards = 1 }"#);
    assert_eq!(times(&report, "a shard was found missing"), 1);
    assert_eq!(times(&report, "a shard was mended"), 1);
}

#[test]
fn who_throws_away_and_says_nothing_gets_no_help() {
    let report = with(r#"lie = { site = "bern", lie = "freeload", for_ms = 300000 }"#);
    assert!(times(&report, "help was refused") > 0);
    assert_eq!(times(&report, "a freeloader answered an audit"), 0);
}

#[test]
fn who_throws_away_and_answers_is_convicted_by_its_own_word() {
    let report = with(r#"lie = { site = "bern", lie = "wrong-bytes", for_ms = 300000 }"#);
    assert!(times(&report, "a loss was proven") >= 4, "at each of the others");
}
