//! Sites that are seized, and those that take their place: no home, no key, and in the end nothing depends on the gone.

use std::fs;

use super::harness::{Plan, State, assert_same, wait_until, write_files};

const LAND: &str = "land-register";

/// Drafts, signs and hands out the charter that puts `gone` out and `by` in its place; then starts `by`.
fn replace(state: &mut State, gone: usize, by: usize, version: u64, told: usize) {
    let (gone_name, by_name) = (state.sites[gone].name.clone(), state.sites[by].name.clone());
    let out = format!("charter-{version}.txt");
    let successor = format!("{by_name}/join-request.txt");
    let expel = ["site", "expel", &gone_name, "--seized", "--successor", &successor, "--charter", "charter.txt"];
    let said = state.run(&[&expel[..], &["--out", &out]].concat()).succeeded().json;
    assert_eq!((&said["version"], &said["successor"]), (&version.into(), &by_name.clone().into()), "{said}");
    assert_eq!(said["places"][0]["holds_shards"], true, "{said}");
    state.sign("charter", &out, &[1, 2, 3]);
    fs::rename(state.path(&out), state.path("charter.txt")).unwrap();
    // The operator of one site gives it the new charter, and that site tells the others.
    state.kill(told);
    state.start_with(told, &["--repair-patience", "1"], &[]);
    state.start_with(by, &["--repair-patience", "1"], &[]);
    let whole = format!("all of {LAND} is held here again");
    wait_until("the successor has taken over", 90, || state.log_of(by).contains(&whole));
}

#[test]
fn successors_take_over_shards_and_shares_of_the_seized_without_home() {
    let founders = vec!["ee-home", "lu-vault", "fr-embassy", "fi-centre", "ca-cloud"];
    let plan = Plan {
        site_count: 7,
        data_shards: 3,
        threshold: 3,
        placement: founders.clone(),
        custodians: founders,
        members: Some(5),
        ..Plan::default()
    };
    let mut state = State::found(plan);
    (0..5).for_each(|index| state.start(index));
    write_files(&state.path("source"), 9, 500_000, 7);
    state.backup(LAND, "dir:source").succeeded();
    write_files(&state.path("source"), 3, 500_000, 8);
    state.backup(LAND, "dir:source").succeeded();
    let shards = |state: &State, index: usize| {
        let files = walkdir::WalkDir::new(state.sites[index].dir.join("store/shards")).into_iter();
        files.filter_map(Result::ok).filter(|entry| entry.file_type().is_file()).count()
    };
    let of_each = shards(&state, 1);
    assert!(of_each > 4, "{of_each}");
    // Home is occupied; an embassy and a data centre are seized, one after the other, and nothing of theirs comes back.
    fs::rename(state.path("home"), state.path("home-lost")).unwrap();
    for (gone, by, version, told) in [(1, 5, 2, 0), (2, 6, 3, 3)] {
        state.kill(gone);
        fs::rename(&state.sites[gone].dir, state.path(&format!("seized-{gone}"))).unwrap();
        replace(&mut state, gone, by, version, told);
        assert_eq!(shards(&state, by), of_each, "as many shards as the other held");
    }
    // Of the founders one is left, which is not enough: the successors carry the restore, shards and shares.
    [0, 3].into_iter().for_each(|index| state.kill(index));
    state.order(LAND, "order.txt", &[1, 2, 3]);
    state.restore("order.txt", "restored").succeeded();
    assert_same(&state.path("source"), &state.path("restored"));
    // The seized site comes back with its disk and keys, and is nobody any more.
    fs::rename(state.path("seized-1"), &state.sites[1].dir).unwrap();
    let refused = state.run(&["site", "run", "--dir", "lu-vault", "--charter", "charter.txt"]).refused_with(3);
    assert!(refused.contains("not an active site of charter version 3"), "{refused}");
}
