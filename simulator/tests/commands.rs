//! The commands as a planner and a script meet them: text, JSON, exit codes, the same bytes twice.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed, which is its job")]
#![allow(clippy::disallowed_methods, reason = "a test of the command line writes files for it")]

use std::path::Path;
use std::process::{Command, Output};

fn legation_sim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_legation-sim")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn succeeded(arguments: &[&str]) -> String {
    let output = legation_sim(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn json(arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&succeeded(arguments)).unwrap()
}

fn written(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn every_ready_made_scenario_is_listed_and_told_in_words() {
    let list = json(&["scenarios", "--json"]);
    let names: Vec<&str> = list.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    for wanted in
        ["estonia-2007", "wannacry-2017", "notpetya-2017", "ukraine-2022", "baltic-cables-2023", "home-occupied"]
    {
        assert!(names.contains(&wanted), "{wanted}");
    }
    for name in names {
        let told = succeeded(&["explain", name]);
        for part in ["Who holds the data", "What may happen", "What happens when", "Sources"] {
            assert!(told.contains(part), "{name}: no '{part}'");
        }
        // What is printed as a file is one.
        assert!(succeeded(&["explain", name, "--toml"]).contains("schema = 1"));
    }
}

#[test]
fn a_scenario_that_makes_no_sense_is_refused_with_line_and_field() {
    let directory = tempfile::tempdir().unwrap();
    let good = succeeded(&["explain", "quiet-decade", "--toml"]);
    let bad = written(directory.path(), "bad.toml", &good.replace("data_shards = 4", "data_shards = 40"));
    let unknown = written(directory.path(), "unknown.toml", &good.replace("rot_every", "rots_every"));
    for (file, expected) in
        [(&bad, "code.data_shards: 40 is more than the 9 sites"), (&unknown, "unknown field `rots_every`")]
    {
        for command in ["run", "explain", "sweep"] {
            let output = legation_sim(&[command, file]);
            assert_eq!(output.status.code(), Some(2), "{command}");
            let said = text(&output.stderr);
            assert!(said.contains("line ") && said.contains(expected), "{said}");
            assert!(output.stdout.is_empty());
        }
    }
    let output = legation_sim(&["run", &bad, "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["exit_code"], 2);
    assert_eq!(legation_sim(&["run", "atlantis"]).status.code(), Some(2));
    assert_eq!(legation_sim(&["run", directory.path().to_str().unwrap()]).status.code(), Some(8));
}

#[test]
fn a_run_is_the_same_twice_and_another_with_another_seed() {
    let run = |seed: &str, threads: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_legation-sim"));
        let arguments = ["run", "home-occupied", "--seed", seed, "--missions", "5000", "--json"];
        let output = command.args(arguments).env("RAYON_NUM_THREADS", threads).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(run("7", "1"), run("7", "4"));
    assert_ne!(run("7", "2"), run("8", "2"));
}

#[test]
fn a_report_is_one_page_without_script_or_network() {
    let directory = tempfile::tempdir().unwrap();
    let report = directory.path().join("report.html");
    let file = report.to_str().unwrap();
    let page = || {
        succeeded(&["run", "home-occupied", "--missions", "2000", "--report", file]);
        std::fs::read_to_string(&report).unwrap()
    };
    let first = page();
    assert!(first.contains("<svg") && first.contains("Home is occupied"));
    for outside in ["<script", "http://", "https://", "<link", "@import", "url("] {
        let links = first.replace("http://www.w3.org/", "");
        assert!(!links.contains(outside), "{outside}");
    }
    assert_eq!(page(), first);
}

#[test]
fn a_plan_is_recommended_or_the_limit_that_binds_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let value = json(&["plan", "--target", "choose-hosts", "--json"]);
    let plan = &value["answer"]["recommended"];
    assert!(plan["figures"]["loss_per_year"].as_f64().unwrap() <= 1e-7);
    assert!(plan["figures"]["disclosure_per_year"].as_f64().unwrap() <= 1e-6);
    assert!(value["recommended_sites"].as_array().unwrap().contains(&"tallinn".into()));
    let text_of = succeeded(&["explain", "choose-hosts", "--toml"]);
    let greedy =
        written(directory.path(), "greedy.toml", &text_of.replace("loss_per_year = 1e-7", "loss_per_year = 1e-30"));
    let output = legation_sim(&["plan", "--target", &greedy]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("loss: 1.000e-30 a year is asked"), "{}", text(&output.stderr));
}

#[test]
fn the_machines_run_through_a_scenario_and_replay_line_by_line() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("run.toml");
    let config = config.to_str().unwrap();
    let value = json(&["run", "embassy-closed", "--years", "0.2", "--mode", "protocol", "--config", config, "--json"]);
    let report = &value["report"];
    assert_eq!(report["violation"], serde_json::Value::Null);
    assert!(report["messages"].as_u64().unwrap() > 1_000);
    assert!(!report["snapshots"].as_array().unwrap().is_empty());
    let replayed = json(&["replay", "--config", config, "--json"]);
    assert_eq!(replayed["trace_digest"], report["trace_digest"]);
}
