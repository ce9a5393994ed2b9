//! Sites whose shards lie in rented object storage: the same promises, against whoever has the keys of the storage too.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use super::bucket::{Storage, between};
use super::harness::{Plan, Said, State, assert_same, wait_until, write_files};

const LAND: &str = "land-register";
/// The site whose shards lie in the bucket.
const RENTED: usize = 4;
const BUCKET: &str = "state-shards";
const PLACE: &str = "s3://state-shards/ca-cloud";
const PACE: [&str; 4] = ["--repair-patience", "0", "--audit-interval", "1"];

fn start(state: &mut State, storage: &Storage, more: &[&str]) {
    let environment = storage.environment();
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    state.start_with(RENTED, &[&PACE, more].concat(), &environment);
}

fn founded(is_locked: bool) -> (State, Storage) {
    let storage = Storage::start();
    storage.bucket(BUCKET, is_locked);
    let mut state = State::found(Plan { site_count: 5, ..Plan::default() });
    (0..RENTED).for_each(|index| state.start_with(index, &PACE, &[]));
    start(&mut state, &storage, &["--store", PLACE]);
    write_files(&state.path("source"), 6, 700_000, 1);
    state.backup(LAND, "dir:source").succeeded();
    (state, storage)
}

/// Restores with the rented site as one of the three that are left.
fn restore_without_two(state: &mut State, name: &str) -> serde_json::Value {
    (0..2).for_each(|index| state.kill(index));
    let order = format!("{name}.txt");
    state.order(LAND, &order, &[1, 2, 3]);
    let report = state.restore(&order, name).succeeded().json;
    assert_same(&state.path("source"), &state.path(name));
    (0..2).for_each(|index| state.start_with(index, &PACE, &[]));
    report
}

fn is_whole(state: &State, index: usize) -> bool {
    let name = state.sites[index].name.clone();
    let status = state.run(&["status", "--dir", &name]).json;
    status["repair"]["missing_count"] == 0
        && status["repair"]["has_looked"] == true
        && status["databases"][0]["short_stripe_count"] == 0
}

/// A command about the rented site, with the keys of its storage.
fn run(state: &State, storage: &Storage, arguments: &[&str]) -> Said {
    let mut command = state.command(arguments);
    command.envs(storage.environment()).stdin(Stdio::null());
    Said::of(command.output().unwrap())
}

fn local_shards(state: &State) -> usize {
    let files = walkdir::WalkDir::new(state.sites[RENTED].dir.join("store/shards")).into_iter();
    files.filter_map(Result::ok).filter(|entry| entry.file_type().is_file()).count()
}

#[test]
fn a_site_in_object_storage_serves_and_comes_back_and_outages_are_no_losses() {
    let (mut state, mut storage) = founded(false);
    let names = storage.names(BUCKET, "ca-cloud/");
    assert!(names.len() >= 4 && local_shards(&state) == 0, "{names:?}");
    // kill -9; it knows where its shards lie.
    state.kill(RENTED);
    start(&mut state, &storage, &[]);
    let report = restore_without_two(&mut state, "restored");
    assert!(report["served_bytes"]["ca-cloud"].as_u64().unwrap() > 0, "{report}");

    // The storage goes away: a backup says that this site has no receipt, and nothing of it counts as lost.
    storage.kill();
    write_files(&state.path("source/more"), 2, 900_000, 2);
    let report = state.backup(LAND, "dir:source").succeeded().json;
    assert!(report["missing"]["ca-cloud"].is_string(), "{report}");
    assert!(!state.log_of(RENTED).contains("are missing here"), "{}", state.log_of(RENTED));
    storage.restart();
    // What it could not take it gets from the others.
    wait_until("the rented site has everything", 60, || is_whole(&state, RENTED));
    let said = state.backup(LAND, "dir:source").succeeded().json;
    assert!(said["missing"].as_object().unwrap().is_empty(), "{said}");
    restore_without_two(&mut state, "later");

    // Started with another place by mistake, it would have nothing.
    state.kill(RENTED);
    for other in ["files", "s3://state-shards/elsewhere"] {
        let arguments = ["site", "run", "--dir", "ca-cloud", "--charter", "charter.txt", "--store", other];
        let text = run(&state, &storage, &arguments).refused_with(8);
        assert!(text.contains("lie in s3://state-shards/ca-cloud, not in") && text.contains("move-store"), "{text}");
    }
    // No other site may share its place.
    state.kill(3);
    let text = run(&state, &storage, &["site", "move-store", "--dir", "fi-centre", "--to", PLACE]).refused_with(8);
    assert!(text.contains("belongs to another site"), "{text}");
    // Storage that answers and is not the one that it was: everything would seem lost.
    let owner = format!("{BUCKET}/ca-cloud/.legation");
    assert_eq!(storage.call("DELETE", &owner, &[]).status, 204);
    let text = run(&state, &storage, &["site", "scrub", "--dir", "ca-cloud"]).refused_with(8);
    assert!(text.contains("does not show that it is this site's place"), "{text}");
    // Without keys it says so, and starts nothing.
    let text = state.run(&["site", "run", "--dir", "ca-cloud", "--charter", "charter.txt"]).refused_with(8);
    assert!(text.contains("s3://state-shards/ca-cloud"), "{text}");
}

/// Attack: somebody has the keys of the storage, and neither versions nor a lock keep anything.
#[test]
fn objects_that_are_deleted_and_forged_are_remade_under_names_of_their_own() {
    let (mut state, storage) = founded(false);
    let names = storage.names(BUCKET, "ca-cloud/");
    let (deleted, forged) = names.split_at(names.len() / 2);
    for name in deleted {
        assert_eq!(storage.call("DELETE", &format!("{BUCKET}/{name}"), &[]).status, 204);
    }
    for name in forged {
        let bytes = storage.call("GET", &format!("{BUCKET}/{name}"), &[]).body.len();
        fs::write(state.path("forged"), vec![7; bytes]).unwrap();
        let file = format!("@{}", state.path("forged").display());
        assert_eq!(storage.call("PUT", &format!("{BUCKET}/{name}"), &["--data-binary", &file]).status, 200);
    }
    // The others ask for proofs every second, and the site learns what it has lost.
    let is_remade = || {
        let now = storage.names(BUCKET, "ca-cloud/");
        names.iter().all(|name| now.contains(&format!("{name}.1")))
    };
    wait_until("every shard has a new name", 90, || is_remade() && is_whole(&state, RENTED));
    // What was forged is written over nowhere, and removed where that is possible.
    state.kill(RENTED);
    start(&mut state, &storage, &[]);
    restore_without_two(&mut state, "restored");
    let said = run(&state, &storage, &["verify", LAND, "--dir", "home"]).succeeded().json;
    assert_eq!(said["sites"]["ca-cloud"]["faults"].as_array().unwrap().len(), 0, "{said}");
}

/// Attack: the same, where the bucket keeps versions under a lock.
#[test]
fn in_a_locked_bucket_nothing_can_be_hidden_or_forged() {
    let (mut state, storage) = founded(true);
    let names = storage.names(BUCKET, "ca-cloud/");
    for name in &names {
        let versions = {
            let prefix = name.replace('/', "%2F");
            storage.call("GET", &format!("{BUCKET}?prefix={prefix}&versions="), &[]).body
        };
        let version = between(&String::from_utf8_lossy(&versions), "<VersionId>", "</VersionId>").remove(0);
        let refused = storage.call("DELETE", &format!("{BUCKET}/{name}?versionId={version}"), &[]);
        assert_eq!(refused.status, 403, "the lock holds");
        assert_eq!(storage.call("PUT", &format!("{BUCKET}/{name}"), &["--data-binary", "forged"]).status, 200);
        assert_eq!(storage.call("DELETE", &format!("{BUCKET}/{name}"), &[]).status, 204);
    }
    assert!(storage.names(BUCKET, "ca-cloud/").is_empty(), "all is hidden");
    // So is whose place it is.
    let owner = format!("{BUCKET}/ca-cloud/.legation");
    assert_eq!(storage.call("PUT", &owner, &["--data-binary", "mine"]).status, 200);
    assert_eq!(storage.call("DELETE", &owner, &[]).status, 204);
    // It reads what it wrote, and after a start too.
    let scrub = ["site", "scrub", "--dir", "ca-cloud"];
    for _start in 0..2 {
        state.kill(RENTED);
        let said = run(&state, &storage, &scrub).succeeded().json;
        assert_eq!(said["shards_read"], names.len(), "{said}");
        start(&mut state, &storage, &[]);
    }
    assert!(state.log_of(RENTED).contains("hidden in the object storage"), "{}", state.log_of(RENTED));
    let report = restore_without_two(&mut state, "restored");
    assert!(report["served_bytes"]["ca-cloud"].as_u64().unwrap() > 0, "{report}");
    assert!(storage.names(BUCKET, "ca-cloud/").is_empty(), "nothing had to be remade");
}

#[test]
fn shards_move_from_files_to_a_bucket_and_back_and_home_brings_nothing() {
    let storage = Storage::start();
    storage.bucket(BUCKET, false);
    storage.bucket("other-shards", false);
    let mut state = State::found(Plan { site_count: 5, ..Plan::default() });
    (0..5).for_each(|index| state.start_with(index, &PACE, &[]));
    write_files(&state.path("source"), 12, 1_400_000, 1);
    state.backup(LAND, "dir:source").succeeded();
    let count = local_shards(&state);
    let to = |place: &str| ["site", "move-store", "--dir", "ca-cloud", "--to", place].map(ToOwned::to_owned);
    let moved = |state: &State, place: &str, more: &[&str]| {
        let words = to(place);
        let words: Vec<&str> = words.iter().map(String::as_str).chain(more.iter().copied()).collect();
        run(state, &storage, &words)
    };
    // Not while it runs, and not without being told twice.
    let text = moved(&state, PLACE, &["--yes"]).refused_with(8);
    assert!(text.contains("another process"), "{text}");
    state.kill(RENTED);
    let plan = moved(&state, PLACE, &[]).succeeded().json;
    assert_eq!((plan["shards"].as_u64().unwrap(), local_shards(&state)), (count as u64, count));
    // Killed in the midst of it, it goes on; where the shards count is where they all are.
    for delay_ms in [30, 60, 90] {
        let words = to(PLACE);
        let words: Vec<&str> = words.iter().map(String::as_str).chain(["--yes"]).collect();
        let mut moving = state.command(&words).envs(storage.environment()).stdin(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay_ms));
        moving.kill().unwrap();
        moving.wait().unwrap();
    }
    let before = storage.names(BUCKET, "ca-cloud/").len();
    let said = moved(&state, PLACE, &["--yes"]).succeeded().json;
    println!("{before} of {count} objects were there after three kills: {said}");
    assert_eq!((storage.names(BUCKET, "ca-cloud/").len(), local_shards(&state)), (count, 0), "{said}");
    start(&mut state, &storage, &[]);
    let report = state.backup(LAND, "dir:source").succeeded().json;
    assert_eq!((&report["sent_bytes"], report["missing"].as_object().unwrap().len()), (&0.into(), 0), "{report}");
    restore_without_two(&mut state, "from-bucket");

    // From one bucket to another, and to files again.
    state.kill(RENTED);
    let second = "s3://other-shards";
    assert_eq!(moved(&state, second, &["--yes"]).succeeded().json["shards"], count);
    assert_eq!((storage.names(BUCKET, "").len(), storage.names("other-shards", "").len()), (0, count));
    assert_eq!(moved(&state, "files", &["--yes"]).succeeded().json["shards"], count);
    assert_eq!((storage.names("other-shards", "").len(), local_shards(&state)), (0, count));
    state.start_with(RENTED, &PACE, &[]);
    restore_without_two(&mut state, "from-files");
    assert_eq!(state.backup(LAND, "dir:source").succeeded().json["sent_bytes"], 0);
}

#[test]
fn what_retention_lets_go_leaves_the_bucket() {
    let storage = Storage::start();
    storage.bucket(BUCKET, false);
    let retention = "retention = { keep = [{ one_per = 'snapshot', for = '5s' }] }";
    let mut state = State::found(Plan { site_count: 5, retention, ..Plan::default() });
    let pace = ["--retention-interval", "1", "--retention-grace", "2"];
    (0..RENTED).for_each(|index| state.start_with(index, &[&PACE, pace.as_slice()].concat(), &[]));
    start(&mut state, &storage, &[pace.as_slice(), &["--store", PLACE]].concat());
    let publish = |state: &State, seed: u64| {
        fs::remove_dir_all(state.path("source")).unwrap_or_default();
        write_files(&state.path("source"), 4, 600_000, seed);
        state.backup(LAND, "dir:source").succeeded();
    };
    publish(&state, 1);
    let of_one = storage.names(BUCKET, "").len();
    for seed in 2..=4 {
        std::thread::sleep(Duration::from_secs(3));
        publish(&state, seed);
    }
    wait_until("the first ones are gone from the bucket", 60, || storage.names(BUCKET, "").len() < 3 * of_one);
    restore_without_two(&mut state, "restored");
}
