//! Rotten, cut and lost shards: found by reading, named, and healed by the next backup.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::harness::{Plan, State, assert_same, write_files};

/// The first shard file of a site.
fn a_shard(state: &State, index: usize) -> PathBuf {
    let files = walkdir::WalkDir::new(state.sites[index].dir.join("store/shards")).sort_by_file_name();
    let files = files.into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    let path = files.map(walkdir::DirEntry::into_path).next().unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

#[test]
fn verify_names_what_is_rotten_and_backup_heals_it() {
    let mut state = State::running(Plan { site_count: 5, data_shards: 2, ..Plan::default() });
    write_files(&state.path("source"), 9, 300_000, 1);
    state.backup("land-register", "dir:source").succeeded();
    let verify = ["verify", "land-register", "--dir", "home"];
    let report = state.run(&verify).succeeded().json;
    assert_eq!(report["durable"], true);
    assert_eq!(report["jurisdictions"].to_string(), r#"["CA","EE","FI","FR","LU"]"#);

    (1..4).for_each(|index| state.kill(index));
    let (rotten, cut, lost) = (a_shard(&state, 1), a_shard(&state, 2), a_shard(&state, 3));
    let mut bytes = fs::read(&rotten).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&rotten, bytes).unwrap();
    fs::OpenOptions::new().write(true).open(&cut).unwrap().set_len(100).unwrap();
    fs::remove_file(&lost).unwrap();
    (1..4).for_each(|index| state.start(index));

    let said = state.run(&verify);
    let text = said.refused_with(6);
    let sites = &said.json["report"]["sites"];
    for (index, path) in [(1, &rotten), (2, &cut), (3, &lost)] {
        let name = &state.sites[index].name;
        let found = &sites[name];
        let root = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(found["faults"].as_array().unwrap().len(), 1, "{found}");
        assert!(found["faults"][0].as_str().unwrap().contains(root), "{found} does not name {root}");
        assert!(text.contains(name) && text.contains(root), "{text}");
        assert_eq!(found["good"].as_u64().unwrap() + 1, found["shards"].as_u64().unwrap());
    }
    assert!(sites["lu-vault"]["faults"][0].as_str().unwrap().contains("rotten"), "{sites}");
    assert_eq!(said.json["report"]["shards_remaining"], 1, "two sites are whole, one may be lost: {}", said.json);
    assert_eq!(said.json["report"]["durable"], false);
    assert_eq!(sites["ee-home"]["faults"].as_array().unwrap().len(), 0);

    // What is rotten is not served, and nothing is lost yet.
    state.order("land-register", "order.txt", &[1, 2, 3]);
    state.restore("order.txt", "restored").succeeded();
    assert_same(&state.path("source"), &state.path("restored"));

    // The writer remakes what the sites lack, and promises only what is there again.
    assert_eq!(state.backup("land-register", "dir:source").succeeded().json["durable"], true);
    let report = state.run(&verify).succeeded().json;
    assert_eq!(report["durable"], true);
    assert!(blake3::hash(&fs::read(&rotten).unwrap()).to_string() == rotten.file_name().unwrap().to_str().unwrap());
    assert!(cut.metadata().unwrap().len() > 100 && lost.exists());
}

#[test]
fn a_site_that_is_down_is_scrubbed_and_names_the_bad_range() {
    let mut state = State::running(Plan { site_count: 5, data_shards: 2, ..Plan::default() });
    write_files(&state.path("source"), 9, 300_000, 1);
    state.backup("land-register", "dir:source").succeeded();
    let name = state.sites[1].name.clone();
    let scrub = ["site", "scrub", "--dir", &name];
    let running = state.run(&scrub).refused_with(8);
    assert!(running.contains("another process uses this store"), "{running}");
    state.kill(1);
    let clean = state.run(&scrub).succeeded().json;
    assert!(clean["shards_read"].as_u64().unwrap() > 0 && clean["bytes_read"].as_u64().unwrap() > 0, "{clean}");
    assert_eq!((&clean["found_now"], clean["lacking"].as_array().unwrap().len()), (&0.into(), 0));

    let rotten = a_shard(&state, 1);
    let mut bytes = fs::read(&rotten).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&rotten, &bytes).unwrap();
    for found_now in [1, 0] {
        let said = state.run(&scrub);
        let text = said.refused_with(6);
        let report = &said.json["report"];
        assert_eq!(report["found_now"], found_now, "{report}");
        let lacking = &report["lacking"][0];
        assert_eq!(lacking["root"], rotten.file_name().unwrap().to_str().unwrap());
        let leaf_start = last / 16_384 * 16_384;
        assert_eq!(lacking["damage"], serde_json::json!([[leaf_start, bytes.len()]]), "{lacking}");
        assert!(text.contains("land-register") && text.contains("legation backup"), "{text}");
        assert_eq!(text.contains("known before"), found_now == 0, "{text}");
    }
    state.start(1);
    assert_eq!(state.backup("land-register", "dir:source").succeeded().json["durable"], true);
    state.kill(1);
    assert_eq!(state.run(&scrub).succeeded().json["lacking"].as_array().unwrap().len(), 0);
}
