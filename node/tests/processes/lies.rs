//! Sites that lie: they slow a restore and are named, they never spoil it.

use super::harness::{Plan, State, assert_same, write_files};

const LIES: [&str; 6] = ["flip-bits", "truncate", "silent", "wrong-share", "old-manifest", "other-share"];
/// What the report says of each of them.
const WORDS: [&str; 6] = [
    "served wrong bytes for shard 0",
    "served wrong bytes for shard 1",
    "did not answer in time",
    "its share does not open",
    "shows snapshot 1 as its newest, others have 2",
    "its share does not fit the commitments",
];

fn lie(state: &mut State, index: usize, lie: &str) {
    state.kill(index);
    state.start_with(index, &[], &[("LEGATION_TEST_LIE", lie)]);
}

#[test]
fn lying_sites_are_named_and_too_many_of_them_bring_an_error() {
    let plan = Plan { databases: vec!["land-register", "court-files"], homes: vec!["home"; 2], ..Plan::default() };
    let mut state = State::running(plan);
    write_files(&state.path("source"), 9, 300_000, 1);
    state.backup("court-files", "dir:source").succeeded();
    state.backup("land-register", "dir:source").succeeded();
    write_files(&state.path("source"), 12, 300_000, 2);
    state.backup("land-register", "dir:source").succeeded();
    state.order("land-register", "order.txt", &[1, 2, 3]);

    for (index, name) in LIES.iter().enumerate() {
        lie(&mut state, index, name);
    }
    let report = state.restore("order.txt", "restored").succeeded().json;
    assert_eq!(report["sequence"], 2);
    assert_same(&state.path("source"), &state.path("restored"));
    for (index, words) in WORDS.iter().enumerate() {
        let faults = report["faults"][&state.sites[index].name].to_string();
        assert!(faults.contains(words), "{}: {} is not in {report}", LIES[index], words);
    }
    assert!(report["faults"].get(&state.sites[6].name).is_none(), "the honest site is blamed: {report}");

    // Reading without a key finds them too.
    let said = state.run(&["verify", "land-register", "--dir", "home"]);
    said.refused_with(6);
    let sites = &said.json["report"]["sites"];
    assert!(sites["ee-home"]["faults"][0].as_str().unwrap().contains("wrong bytes"), "{sites}");
    let silent = sites["fr-embassy"]["faults"].as_array().unwrap();
    assert!(silent.len() == 1 && silent[0].as_str().unwrap().contains("given up after 0 shards"), "{sites}");
    assert_eq!(sites["pt-centre"]["faults"].as_array().unwrap().len(), 0, "{sites}");

    // Five of seven lie about shards: two good ones are not three.
    for index in 0..5 {
        lie(&mut state, index, if index % 2 == 0 { "flip-bits" } else { "truncate" });
    }
    let error = state.restore("order.txt", "spoilt").refused_with(5);
    for site in &state.sites[..5] {
        assert!(error.contains(&format!("site {} served wrong bytes", site.name)), "{error} lacks {}", site.name);
    }
    let finished = walkdir::WalkDir::new(state.path("spoilt")).into_iter().map(Result::unwrap);
    let finished = finished.filter(|entry| entry.file_type().is_file());
    let finished = finished.filter(|entry| !entry.path().to_string_lossy().contains(".legation-partial"));
    assert_eq!(finished.count(), 0, "a file was finished from lies");

    // Five of seven lie about shares; the sixth site does already.
    for index in 0..4 {
        lie(&mut state, index, if index % 2 == 0 { "wrong-share" } else { "other-share" });
    }
    let error = state.restore("order.txt", "unopened").refused_with(5);
    assert!(error.contains("only 2 of 3 shares"), "{error}");
    for site in state.sites[..4].iter().chain(&state.sites[5..6]) {
        assert!(error.contains(&format!("{}: its share does not", site.name)), "{error} lacks {}", site.name);
    }
    assert!(!state.path("unopened").exists());
}
