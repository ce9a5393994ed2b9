//! Sites that are seized, and those that take their place: no home, no key, and in the end nothing depends on the gone.

use std::fs;

use super::harness::{Plan, State, assert_same, wait_until, write_files};

const LAND: &str = "land-register";

/// Drafts, signs and hands out the charter that puts `gone` out and `by` in its place; then starts `by`.
fn replace(state: &mut State, gone: usize, by: usize, version: u64, told: usize, how: &str) {
    let (gone_name, by_name) = (state.sites[gone].name.clone(), state.sites[by].name.clone());
    let out = format!("charter-{version}.txt");
    let successor = format!("{by_name}/join-request.txt");
    let expel = ["site", "expel", &gone_name, how, "--successor", &successor, "--charter", "charter.txt"];
    let said = state.run(&[&expel[..], &["--out", &out]].concat()).succeeded().json;
    assert_eq!((&said["version"], &said["successor"]), (&version.into(), &by_name.clone().into()), "{said}");
    assert_eq!(said["places"][0]["holds_shards"], true, "{said}");
    adopt(state, &out, told);
    state.start_with(by, &["--repair-patience", "1"], &[]);
    let whole = format!("all of {LAND} is held here again");
    wait_until("the successor has taken over", 90, || state.log_of(by).contains(&whole));
}

/// Officials sign the draft; the operator of one site gives it the new charter, and that site tells the others.
fn adopt(state: &mut State, draft: &str, told: usize) {
    state.sign("charter", draft, &[1, 2, 3]);
    fs::rename(state.path(draft), state.path("charter.txt")).unwrap();
    state.kill(told);
    state.start_with(told, &["--repair-patience", "1"], &[]);
}

fn shards(state: &State, index: usize) -> usize {
    let files = walkdir::WalkDir::new(state.sites[index].dir.join("store/shards")).into_iter();
    files.filter_map(Result::ok).filter(|entry| entry.file_type().is_file()).count()
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
    let of_each = shards(&state, 1);
    assert!(of_each > 4, "{of_each}");
    // Home is occupied; an embassy and a data centre are seized, one after the other, and nothing of theirs comes back.
    fs::rename(state.path("home"), state.path("home-lost")).unwrap();
    for (gone, by, version, told) in [(1, 5, 2, 0), (2, 6, 3, 3)] {
        state.kill(gone);
        fs::rename(&state.sites[gone].dir, state.path(&format!("seized-{gone}"))).unwrap();
        replace(&mut state, gone, by, version, told, "--seized");
        assert_eq!(shards(&state, by), of_each, "as many shards as the other held");
    }
    // The custodians of today have shares of their own, and what was seized is worth nothing beside them.
    for index in [0, 3, 4, 5, 6] {
        let given_on = || {
            let log = state.log_of(index);
            let since = log.rfind("charter version 3 holds").map_or(log.as_str(), |at| &log[at..]);
            since.contains("have shares of epoch")
        };
        wait_until("the shares are given on", 120, given_on);
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

#[test]
fn a_site_leaves_in_good_order_and_is_let_go_only_when_another_has_all() {
    let founders = vec!["ee-home", "lu-vault", "fr-embassy", "fi-centre", "ca-cloud"];
    let plan =
        Plan { site_count: 6, placement: founders.clone(), custodians: founders, members: Some(5), ..Plan::default() };
    let mut state = State::found(plan);
    (0..5).for_each(|index| state.start(index));
    write_files(&state.path("source"), 6, 500_000, 3);
    state.backup(LAND, "dir:source").succeeded();
    let of_each = shards(&state, 2);
    replace(&mut state, 2, 5, 2, 0, "--leaving");
    // What is stored lies well, as far as home is concerned: nothing is sent again.
    let report = state.backup(LAND, "dir:source").succeeded().json;
    assert_eq!(report["sent_bytes"], 0, "{report}");
    let seen = |state: &State, index: usize| {
        let name = state.sites[index].name.clone();
        let said = state.run(&["status", "--dir", &name]).succeeded();
        fs::write(state.path("status.json"), &said.stdout).unwrap();
        said.json["handovers"][0].clone()
    };
    wait_until("another site sees that the successor has all", 60, || {
        let handover = seen(&state, 3);
        (&handover["missing_shard_count"], &handover["missing_share_count"]) == (&0.into(), &0.into())
    });
    assert_eq!((shards(&state, 2), shards(&state, 5)), (of_each, of_each), "both have all");

    // Nobody lets it go on its own word, or on none.
    let expel = ["site", "expel", "fr-embassy", "--charter", "charter.txt", "--out", "charter-3.txt"];
    let refused = state.run(&expel).refused_with(3);
    assert!(refused.contains("show that its successor has all"), "{refused}");
    seen(&state, 2);
    let with_status = [&expel[..], &["--status", "status.json"]].concat();
    let refused = state.run(&with_status).refused_with(3);
    assert!(refused.contains("does not speak for its successor"), "{refused}");
    let mut lacking: serde_json::Value = serde_json::from_slice(&fs::read(state.path("status.json")).unwrap()).unwrap();
    lacking["site"] = "ca-cloud".into();
    lacking["handovers"][0]["missing_share_count"] = 1.into();
    fs::write(state.path("status.json"), lacking.to_string()).unwrap();
    let refused = state.run(&with_status).refused_with(3);
    assert!(refused.contains("jp-embassy has still to take over 0 shards and 1 shares"), "{refused}");
    seen(&state, 3);
    state.run(&with_status).succeeded();
    adopt(&mut state, "charter-3.txt", 0);

    // It is gone with its disk, and two more: what is left is enough only with the successor.
    for index in [0, 2, 3] {
        state.kill(index);
        fs::remove_dir_all(state.sites[index].dir.join("store")).unwrap();
    }
    state.order(LAND, "order.txt", &[1, 2, 3]);
    state.restore("order.txt", "restored").succeeded();
    assert_same(&state.path("source"), &state.path("restored"));
}
