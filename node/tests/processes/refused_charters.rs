//! Charters under which one coalition could read or destroy a database are refused before anybody signs them.

use std::fs;

use super::harness::{Plan, State};

#[test]
fn one_coalition_may_neither_read_nor_destroy() {
    let state = State::found(Plan { site_count: 4, ..Plan::default() });
    for (name, jurisdiction) in [("lu-second", "LU"), ("se-cloud", "SE"), ("no-cloud", "NO")] {
        let place = ["site", "init", "--dir", name, "--name", name, "--kind", "cloud", "--jurisdiction", jurisdiction];
        let more =
            ["--vendor", if name == "lu-second" { "Own" } else { "Cumulus" }, "--address", "/ip4/127.0.0.1/tcp/9"];
        state.run(&[&place[..], &more].concat()).succeeded();
    }
    let plan = state.charter_plan(&[]);
    let with = |more: &[&str]| {
        let files: String = more.iter().map(|name| format!("\"{name}/join-request.txt\", ")).collect();
        plan.replace("sites = [", &format!("sites = [{files}"))
    };
    let low = |plan: &str| plan.replace("threshold = 3", "threshold = 2");
    let pact = "[[alliances]]\nname = \"Moselle pact\"\njurisdictions = [\"LU\", \"FR\"]\n[[databases]]";
    let cases: [(&str, String, &[&str]); 4] = [
        ("a jurisdiction reads", low(&with(&["lu-second"])), &["LU", "lu-vault", "lu-second", "could read it"]),
        (
            "a vendor reads",
            low(&with(&["se-cloud", "no-cloud"])),
            &["Cumulus", "se-cloud", "no-cloud", "could read it"],
        ),
        ("an alliance reads", low(&plan.replace("[[databases]]", pact)), &["Moselle pact", "lu-vault", "fr-embassy"]),
        (
            "a jurisdiction destroys",
            with(&["lu-second"]).replace("data_shards = 3", "data_shards = 4"),
            &["LU", "only 3 shards remain of 4 needed"],
        ),
    ];
    fs::write(state.path("good.toml"), with(&["se-cloud", "no-cloud"])).unwrap();
    state.run(&["charter", "draft", "--plan", "good.toml", "--out", "good.txt"]).succeeded();
    for (what, plan, words) in cases {
        fs::write(state.path("bad.toml"), plan).unwrap();
        let error = state.run(&["charter", "draft", "--plan", "bad.toml", "--out", "bad.txt"]).refused_with(3);
        for word in words {
            assert!(error.contains(word), "{what}: {error} lacks {word}");
        }
        assert!(!state.path("bad.txt").exists(), "{what}: drafted all the same");
    }
}
