//! What the next charter changes is told before anybody signs it; one that endangers a database is refused, with what would do.

use std::fs;

use super::harness::{Plan, State, write_files};

const LAND: &str = "land-register";

#[test]
fn a_plan_tells_what_moves_and_what_it_risks() {
    let mut state = State::found(Plan { site_count: 6, members: Some(5), ..Plan::default() });
    (0..5).for_each(|index| state.start(index));
    write_files(&state.path("source"), 4, 700_000, 1);
    state.backup(LAND, "dir:source").succeeded();
    let status = state.run(&["status", "--dir", "lu-vault"]).succeeded();
    fs::write(state.path("status.json"), &status.stdout).unwrap();
    let plan = |state: &State, text: String, more: &[&str]| {
        fs::write(state.path("next.toml"), text).unwrap();
        let words = ["charter", "plan", "--plan", "next.toml", "--previous", "charter.txt"];
        state.run(&[words.as_slice(), more].concat())
    };
    let seen = ["--status", "status.json"];

    // Nothing but its number.
    let same = plan(&state, state.charter_plan(&[]), &seen).succeeded().json;
    assert_eq!((&same["to_version"], same["steps"].as_array().unwrap().len()), (&2.into(), 0), "{same}");

    // A sixth site joins, and more shares are needed.
    state.plan.members = Some(6);
    state.plan.threshold = 4;
    let told = plan(&state, state.charter_plan(&[]), &seen).succeeded().json;
    let steps = told["steps"].as_array().unwrap();
    let step = |what: &str| steps.iter().find(|step| step["what"].as_str().unwrap().contains(what)).unwrap();
    step("site jp-embassy joins, in JP");
    let stored = step("the next backup stores everything anew");
    let bytes = stored["bytes"].as_u64().unwrap();
    assert!((2 * 2_800_000..2 * 2_800_000 + 100_000).contains(&bytes), "six shards of which three are enough: {told}");
    let shared = step("4 of 6 open them where 3 of 5 did");
    assert!(shared["seconds"].as_u64().is_some() && shared["risk"].as_str().unwrap().contains("holds it up"), "{told}");
    let unknown = plan(&state, state.charter_plan(&[]), &[]).succeeded().json;
    assert!(unknown["steps"].to_string().contains("\"bytes\":null"), "{unknown}");

    // A successor takes over what a seized site held.
    let seized = state.charter_plan(&["fi-centre"]);
    let successor = seized.replace(
        "\"jp-embassy/join-request.txt\"",
        "{ join_request = \"jp-embassy/join-request.txt\", succeeds = \"fi-centre\" }",
    );
    assert_ne!(seized, successor);
    state.plan.threshold = 3;
    let successor = successor.replace("threshold = 4", "threshold = 3");
    let told = plan(&state, successor, &seen).succeeded().json;
    let text = told["steps"].to_string();
    assert!(text.contains("site jp-embassy takes over every shard and share of fi-centre"), "{text}");
    assert!(text.contains("4 shards of 3 needed and 4 shares of 3 are left until its successor"), "{text}");

    // Six of six would be lost with any one: refused, and what would do is named.
    let text = state.charter_plan(&[]).replace("data_shards = 3", "data_shards = 6");
    let refused = plan(&state, text.clone(), &seen).refused_with(3);
    assert!(
        refused.contains("The nearest that would work: database land-register: data_shards 5 instead of 6"),
        "{refused}"
    );
    fs::write(state.path("next.toml"), text).unwrap();
    let draft = ["charter", "draft", "--plan", "next.toml", "--previous", "charter.txt", "--out", "next.txt"];
    assert!(state.run(&draft).refused_with(3).contains("The nearest that would work"), "drafting says it too");
}

#[test]
fn a_join_request_is_told_in_words_that_both_sides_read() {
    let state = State::found(Plan { site_count: 4, ..Plan::default() });
    let told = state.run(&["site", "request", "lu-vault/join-request.txt", "--qr", "request"]).succeeded().json;
    assert_eq!((&told["name"], &told["jurisdiction"]), (&"lu-vault".into(), &"LU".into()));
    let words = told["fingerprint_words"].as_str().unwrap();
    assert_eq!(words.split_whitespace().count(), 12, "{words}");
    for picture in told["qr"].as_array().unwrap() {
        assert!(fs::read_to_string(state.path(picture.as_str().unwrap())).unwrap().contains("<svg"), "{told}");
    }
    let other = state.run(&["site", "request", "ee-home/join-request.txt"]).succeeded().json;
    assert_ne!(other["fingerprint_words"].as_str().unwrap(), words);
    // What the operator's own machine said when it made it.
    let made = state.run(&[
        "site",
        "init",
        "--dir",
        "x",
        "--name",
        "xx-site",
        "--kind",
        "cloud",
        "--jurisdiction",
        "XX",
        "--address",
        "/ip6/::1/tcp/7000",
    ]);
    let made = made.succeeded().json;
    let told = state.run(&["site", "request", "x/join-request.txt"]).succeeded().json;
    assert_eq!(made["fingerprint_words"], told["fingerprint_words"]);
}
