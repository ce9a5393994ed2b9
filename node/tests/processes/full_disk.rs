//! A site without room: it says so, promises nothing, hurts nobody, and catches up when it has room again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::evidence::Numbers;
use super::harness::{Plan, State, assert_same};

const SITES: usize = 5;
const FULL: usize = 2;
const CAPACITY_MIB: u64 = 5;

fn founded() -> State {
    let mut state = State::found(Plan { site_count: SITES, ..Plan::default() });
    for index in (0..SITES).filter(|index| *index != FULL) {
        state.start(index);
    }
    fs::create_dir_all(state.path("source")).unwrap();
    fs::write(state.path("source/register.bin"), Numbers::new(51).bytes(40 << 20)).unwrap();
    state
}

/// The backup is durable without the full site, and says who, why and what to do.
fn assert_durable_without(state: &State, report: &serde_json::Value) {
    let name = &state.sites[FULL].name;
    assert_eq!(report["durable"], true, "{report}");
    let missing = report["missing"].as_object().unwrap();
    assert_eq!(missing.keys().collect::<Vec<_>>(), [name], "{report}");
    let why = missing[name].as_str().unwrap();
    for words in [name, "disk full", "available", "give it room", "run the backup again"] {
        assert!(why.contains(words), "`{why}` does not say `{words}`");
    }
    let holders: Vec<&str> = report["shard_sites"].as_array().unwrap().iter().filter_map(|s| s.as_str()).collect();
    assert_eq!(holders.len(), SITES - 1, "{report}");
    assert!(!holders.contains(&name.as_str()), "it gave a receipt for shards that it does not hold: {report}");
}

fn assert_healed(state: &State) {
    let report = state.backup("land-register", "dir:source").succeeded().json;
    assert_eq!(report["shard_sites"].as_array().unwrap().len(), SITES, "{report}");
    assert_eq!(report["sent_bytes"], 0, "nothing is new: only the full site is healed: {report}");
    state.assert_all_shards_verify("land-register");
}

#[test]
fn a_full_site_is_named_promises_nothing_and_heals() {
    let mut state = founded();
    state.start_with(FULL, &["--capacity-mib", &CAPACITY_MIB.to_string()], &[]);
    let report = state.backup("land-register", "dir:source").succeeded().json;
    assert_durable_without(&state, &report);
    state.kill(FULL);
    let kept = state.assert_store_is_true(FULL, "land-register");
    assert!(kept > 0, "it took what it could");
    let used = super::evidence::bytes_below(&state.sites[FULL].dir.join("store/shards"));
    assert!(used <= CAPACITY_MIB << 20, "{used}");
    state.start(FULL);
    assert_healed(&state);
    // The healed site and two others bring everything back.
    for index in [0, 1] {
        state.kill(index);
    }
    state.order("land-register", "order.txt", &[1, 2, 3]);
    state.restore("order.txt", "restored").succeeded();
    assert_same(&state.path("source"), &state.path("restored"));
}

/// A small file system of its own; gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this test may not mount.
    fn mount(at: &Path, mib: u32) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={mib}m,mode=700"), "legation-test"]).arg(at);
        let mounted = command.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self(at.to_owned()))
    }

    fn grow(&self, mib: u32) {
        let size = format!("remount,size={mib}m");
        assert!(Command::new("mount").args(["-o", &size]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[test]
fn a_disk_that_fills_up_under_the_site_is_no_different() {
    let mut state = founded();
    // 64 MiB are kept free for the index; what is left is less than the site's part.
    let Some(disk) = SmallDisk::mount(&state.sites[FULL].dir.join("store"), 72) else {
        println!("not allowed to mount: only --capacity-mib is tested here");
        return;
    };
    state.start(FULL);
    let report = state.backup("land-register", "dir:source").succeeded().json;
    assert_durable_without(&state, &report);
    state.kill(FULL);
    assert!(state.assert_store_is_true(FULL, "land-register") > 0, "it took what it could");

    // Really nothing left, while the site runs: not even the reserve.
    state.start(FULL);
    let ballast = state.sites[FULL].dir.join("store/ballast");
    let filled = fs::write(&ballast, vec![1; 80 << 20]);
    assert!(filled.is_err(), "the disk is not full");
    let report = state.backup("land-register", "dir:source").succeeded().json;
    assert_durable_without(&state, &report);
    state.kill(FULL);
    fs::remove_file(&ballast).unwrap();
    disk.grow(200);
    state.assert_store_is_true(FULL, "land-register");
    state.start(FULL);
    assert_healed(&state);
    state.kill(FULL);
    drop(disk);
}
