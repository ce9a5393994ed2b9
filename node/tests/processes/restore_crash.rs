//! kill -9 of a restore: the next run takes what is there and right, and nothing else.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::evidence::{Numbers, Running, bytes_below, wait_until};
use super::harness::{Plan, State, assert_same};

const REGISTER_BYTES: usize = 56 << 20;

fn partial_files(target: &Path) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(target.join(".legation-partial")).into_iter().map(Result::unwrap);
    files.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

#[test]
fn a_killed_restore_goes_on_and_believes_no_byte() {
    let state = State::running(Plan { site_count: 5, ..Plan::default() });
    fs::create_dir_all(state.path("source")).unwrap();
    let mut numbers = Numbers::new(41);
    fs::write(state.path("source/annex.bin"), numbers.bytes(3 << 20)).unwrap();
    fs::write(state.path("source/register.bin"), numbers.bytes(REGISTER_BYTES)).unwrap();
    fs::write(state.path("source/small.txt"), "after the big one").unwrap();
    state.backup("land-register", "dir:source").succeeded();
    state.order("land-register", "order.txt", &[1, 2, 3]);

    let target = state.path("restored");
    let arguments = ["restore", "--order", "order.txt", "--key", "exile.key", "--charter", "charter.txt"];
    let mut command = state.command(&arguments);
    command.args(["--to", "restored"]);
    let mut restore = Running::start(command);
    wait_until("half of it is written", || {
        restore.has_ended() || bytes_below(&target.join(".legation-partial")) > REGISTER_BYTES as u64 / 3
    });
    assert!(restore.kill(), "the restore ended before it was killed");
    assert!(!target.join("register.bin").exists() && target.join("annex.bin").exists());

    // Whoever had the disk meanwhile wrote a page of his own and cut nothing: it is found by its hash.
    let partials = partial_files(&target);
    let biggest = partials.iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let written = fs::metadata(biggest).unwrap().len();
    let partial = OpenOptions::new().write(true).open(biggest).unwrap();
    let forged_bytes = 64 << 10;
    partial.write_all_at(&vec![0x55; forged_bytes], written / 2).unwrap();
    drop(partial);

    let report = state.restore("order.txt", "restored").succeeded().json;
    let resumed = report["resumed_bytes"].as_u64().unwrap();
    let served: u64 = report["served_bytes"].as_object().unwrap().values().map(|bytes| bytes.as_u64().unwrap()).sum();
    println!("{written} bytes were there, {resumed} of them good, {served} fetched");
    // Every byte of the finished file counts, and of the partial one all but the forged chunks.
    assert!(resumed >= written / 2 + (3 << 20), "{report}");
    assert!(resumed <= written + (3 << 20) - forged_bytes as u64, "{report}");
    assert!(served < REGISTER_BYTES as u64 * 3 / 4, "fetched again: {report}");
    assert_same(&state.path("source"), &target);
    assert!(!target.join(".legation-partial").exists());
}
