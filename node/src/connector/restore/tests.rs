//! Nothing is written outside the target, nothing is overwritten, and a restore that was cut short goes on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;
use crate::connector::tests::drain;
use crate::connector::{CaptureOptions, CutHint, Source, open_capture};

fn entry(path: &str, kind: EntryKind) -> Entry {
    Entry { path: path.to_owned(), kind, mode: 0o640, modified_ms: 1_700_000_000_123, cut: CutHint::ContentDefined }
}

fn file(path: &str) -> Entry {
    entry(path, EntryKind::File { bytes_hint: None })
}

fn link(path: &str, target: &str) -> Entry {
    entry(path, EntryKind::Symlink { target: target.to_owned() })
}

fn open(target: &Path) -> Restorer {
    Restorer::open(&RestoreTarget::Directory(target.to_owned()), &Digest::of(b"manifest")).unwrap()
}

fn write(restorer: &mut Restorer, path: &str, contents: &[u8]) -> Result<(), RestoreError> {
    let Created::Open(id) = restorer.create(&file(path))? else { panic!("{path}: not open") };
    restorer.write_at(id, 0, contents)?;
    restorer.finish_entry(id, contents.len() as u64)
}

#[test]
fn a_captured_directory_is_restored_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fs::create_dir_all(from.join("deep/er")).unwrap();
    for (path, mode) in [("a", 0o600), ("deep/b", 0o755), ("deep/er/c", 0o444)] {
        fs::write(from.join(path), path.repeat(10_000)).unwrap();
        fs::set_permissions(from.join(path), Permissions::from_mode(mode)).unwrap();
    }
    symlink("../a", from.join("deep/link")).unwrap();
    symlink("/nowhere", from.join("dangling")).unwrap();
    fs::set_permissions(from.join("deep/er"), Permissions::from_mode(0o555)).unwrap();
    let capture = |path: &Path| {
        let source = Source::Directory(path.to_owned());
        drain(open_capture(&source, &CaptureOptions::new(path)).unwrap()).unwrap()
    };
    let (entries, _summary) = capture(&from);
    let mut restorer = open(&to);
    let mut open_entries = Vec::new();
    for (entry, contents) in &entries {
        if let Created::Open(id) = restorer.create(entry).unwrap() {
            open_entries.push((id, contents));
        }
    }
    for (id, contents) in open_entries.iter().rev() {
        for (number, part) in contents.chunks(7_000).enumerate().collect::<Vec<_>>().into_iter().rev() {
            restorer.write_at(*id, number as u64 * 7_000, part).unwrap();
        }
        restorer.finish_entry(*id, contents.len() as u64).unwrap();
    }
    let summary = restorer.finish().unwrap();
    assert_eq!((summary.files, summary.directories, summary.symlinks), (3, 2, 2));
    let (restored, _summary) = capture(&to);
    // A link's own time is that of its making.
    let plain = |entries: Vec<(Entry, Vec<u8>)>| -> Vec<(Entry, Vec<u8>)> {
        let untimed = |mut entry: Entry| {
            if matches!(entry.kind, EntryKind::Symlink { .. }) {
                entry.modified_ms = 0;
            }
            entry
        };
        entries.into_iter().map(|(entry, contents)| (untimed(entry), contents)).collect()
    };
    assert_eq!(plain(restored), plain(entries));
}

#[test]
fn paths_that_could_leave_the_target_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("target");
    let mut restorer = open(&target);
    let absolute = dir.path().join("absolute").display().to_string();
    let long = "a/".repeat(2_100) + "a";
    let hostile = [
        "",
        "/",
        &absolute,
        "..",
        "../out",
        "a/../../out",
        "a/..",
        ".",
        "./a",
        "a/./b",
        "a//b",
        "a/",
        "a\0b",
        ".legation-partial",
        ".legation-partial/x",
        "a/.legation-partial",
        &long,
    ];
    for path in hostile {
        for kind in
            [EntryKind::File { bytes_hint: None }, EntryKind::Directory, EntryKind::Symlink { target: "x".to_owned() }]
        {
            let refused = restorer.create(&entry(path, kind)).unwrap_err();
            assert!(matches!(refused, RestoreError::RefusedPath { .. }), "{path:?}: {refused}");
        }
    }
    for bad in ["", "a\0b", &long] {
        assert!(matches!(
            restorer.create(&link("l", bad)).unwrap_err(),
            RestoreError::RefusedPath { .. } | RestoreError::Duplicate { .. }
        ));
    }
    restorer.create(&file("..a")).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn no_link_leads_outside_neither_an_old_one_nor_the_snapshots_own() {
    let dir = tempfile::tempdir().unwrap();
    let (target, outside) = (dir.path().join("target"), dir.path().join("outside"));
    fs::create_dir_all(&target).unwrap();
    fs::create_dir_all(outside.join("sub")).unwrap();
    symlink(&outside, target.join("old")).unwrap();
    let mut restorer = open(&target);
    // One that was there before.
    for path in ["old/x", "old/sub/x"] {
        let refused = write(&mut restorer, path, b"x").unwrap_err();
        assert!(matches!(refused, RestoreError::Obstructed { .. }), "{path}: {refused}");
        let refused = restorer.create(&entry(&format!("{path}d"), EntryKind::Directory)).unwrap_err();
        assert!(matches!(refused, RestoreError::Obstructed { .. }), "{path}: {refused}");
    }
    // One of the snapshot, before the file that wants to pass it: the file comes first, so it gets a directory.
    let outside_text = outside.display().to_string();
    restorer.create(&link("own", &outside_text)).unwrap();
    write(&mut restorer, "own/x", b"x").unwrap();
    assert!(target.join("own/x").exists());
    let refused = restorer.finish().unwrap_err();
    assert!(matches!(refused, RestoreError::Exists { .. }), "{refused}");
    // One of the snapshot, then a link that wants to pass it.
    let mut restorer = open(&dir.path().join("second"));
    restorer.create(&link("own", &outside_text)).unwrap();
    restorer.create(&link("own/x", "y")).unwrap();
    let refused = restorer.finish().unwrap_err();
    assert!(matches!(refused, RestoreError::Obstructed { .. }), "{refused}");
    // One that is put there while a file is on its way.
    let third = dir.path().join("third");
    let mut restorer = open(&third);
    let Created::Open(id) = restorer.create(&file("d/x")).unwrap() else { panic!() };
    fs::remove_dir(third.join("d")).unwrap();
    symlink(&outside, third.join("d")).unwrap();
    restorer.write_at(id, 0, b"x").unwrap();
    assert!(matches!(restorer.finish_entry(id, 1).unwrap_err(), RestoreError::Obstructed { .. }));
    // A link as the place of incomplete files.
    let fourth = dir.path().join("fourth");
    fs::create_dir(&fourth).unwrap();
    symlink(&outside, fourth.join(".legation-partial")).unwrap();
    let refused = Restorer::open(&RestoreTarget::Directory(fourth), &Digest::of(b"manifest")).unwrap_err();
    assert!(matches!(refused, RestoreError::Obstructed { .. }), "{refused}");
    let names: Vec<_> = fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["sub"]);
    assert_eq!(fs::read_dir(outside.join("sub")).unwrap().count(), 0);
}

#[test]
fn nothing_that_exists_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "precious").unwrap();
    symlink("elsewhere", dir.path().join("link")).unwrap();
    let mut restorer = open(dir.path());
    for path in ["file", "link"] {
        assert!(matches!(restorer.create(&file(path)).unwrap_err(), RestoreError::Exists { .. }), "{path}");
    }
    assert!(matches!(restorer.create(&file("file")).unwrap_err(), RestoreError::Duplicate { .. }));
    let Created::Open(id) = restorer.create(&file("later")).unwrap() else { panic!() };
    fs::write(dir.path().join("later"), "precious").unwrap();
    restorer.write_at(id, 0, b"new").unwrap();
    assert!(matches!(restorer.finish_entry(id, 3).unwrap_err(), RestoreError::Exists { .. }));
    assert!(matches!(restorer.finish().unwrap_err(), RestoreError::Unfinished { .. }));
    for name in ["file", "later"] {
        assert_eq!(fs::read_to_string(dir.path().join(name)).unwrap(), "precious");
    }
}

#[test]
fn special_bits_are_dropped_and_the_length_is_the_announced_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut restorer = open(dir.path());
    let Created::Open(id) = restorer.create(&Entry { mode: 0o6755, ..file("tool") }).unwrap() else { panic!() };
    restorer.write_at(id, 0, b"0123456789").unwrap();
    restorer.finish_entry(id, 4).unwrap();
    assert!(matches!(restorer.write_at(id, 0, b"x").unwrap_err(), RestoreError::UnknownEntry));
    restorer.finish().unwrap();
    let path = dir.path().join("tool");
    assert_eq!(fs::read(&path).unwrap(), b"0123");
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o755);
    assert_eq!(metadata.modified().unwrap(), UNIX_EPOCH + Duration::from_millis(1_700_000_000_123));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_restore_that_was_cut_short_goes_on_and_another_does_not_take_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let mut restorer = open(dir.path());
    write(&mut restorer, "done", b"complete").unwrap();
    let Created::Open(half) = restorer.create(&file("half")).unwrap() else { panic!() };
    restorer.write_at(half, 0, b"first").unwrap();
    drop(restorer);
    assert!(!dir.path().join("half").exists(), "a file that is not complete has no name");

    let target = RestoreTarget::Directory(dir.path().to_owned());
    let mut other = Restorer::open(&target, &Digest::of(b"other manifest")).unwrap();
    assert!(matches!(other.create(&file("done")).unwrap_err(), RestoreError::Exists { .. }));
    let Created::Open(id) = other.create(&file("half")).unwrap() else { panic!() };
    assert_eq!(other.read_at(id, 0, &mut [0; 5]).unwrap(), 0);
    drop(other);

    let mut restorer = open(dir.path());
    assert_eq!(restorer.create(&file("done")).unwrap(), Created::Finished);
    let Created::Open(half) = restorer.create(&file("half")).unwrap() else { panic!() };
    let mut buffer = [0; 5];
    assert_eq!((restorer.read_at(half, 0, &mut buffer).unwrap(), &buffer), (5, b"first"));
    restorer.write_at(half, 5, b" second").unwrap();
    restorer.finish_entry(half, 12).unwrap();
    assert_eq!(restorer.finish().unwrap().files, 2);
    assert_eq!(fs::read(dir.path().join("half")).unwrap(), b"first second");

    let mut again = open(dir.path());
    let refused = again.create(&file("done")).unwrap_err();
    assert!(matches!(refused, RestoreError::Exists { .. }), "a restore that ended is not resumed");
}

#[test]
fn a_finished_file_that_was_changed_meanwhile_is_not_taken_for_finished() {
    let dir = tempfile::tempdir().unwrap();
    let mut restorer = open(dir.path());
    write(&mut restorer, "done", b"complete").unwrap();
    drop(restorer);
    fs::write(dir.path().join("done"), "tampered").unwrap();
    assert!(matches!(open(dir.path()).create(&file("done")).unwrap_err(), RestoreError::Exists { .. }));
}

#[test]
fn more_files_than_a_process_may_open_are_restored_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut restorer = open(dir.path());
    let ids: Vec<_> = (0..300)
        .map(|number| match restorer.create(&file(&format!("d{}/{number}", number % 3))).unwrap() {
            Created::Open(id) => id,
            Created::Finished | Created::Noted => panic!("not open"),
        })
        .collect();
    for part in 0..2_u64 {
        for (number, id) in ids.iter().enumerate() {
            restorer.write_at(*id, part * 4, &u32::try_from(number).unwrap().to_le_bytes()).unwrap();
        }
    }
    for id in &ids {
        restorer.finish_entry(*id, 8).unwrap();
    }
    assert_eq!(restorer.finish().unwrap().files, 300);
    assert_eq!(fs::read(dir.path().join("d2/299")).unwrap(), [43, 1, 0, 0, 43, 1, 0, 0]);
}

#[test]
fn a_stream_takes_one_file_in_order() {
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let sink = Sink::default();
    let mut restorer = Restorer::to_stream(Box::new(sink.clone()));
    assert!(matches!(restorer.create(&link("l", "x")).unwrap_err(), RestoreError::OneFileOnly { .. }));
    let Created::Open(id) = restorer.create(&file("stdin")).unwrap() else { panic!() };
    assert!(matches!(restorer.create(&file("second")).unwrap_err(), RestoreError::OneFileOnly { .. }));
    restorer.write_at(id, 0, b"one ").unwrap();
    let refused = restorer.write_at(id, 5, b"x").unwrap_err();
    assert!(matches!(refused, RestoreError::OutOfOrder { expected: 4, actual: 5 }));
    restorer.write_at(id, 4, b"two").unwrap();
    assert!(matches!(restorer.finish_entry(id, 8).unwrap_err(), RestoreError::Unfinished { .. }));
    restorer.finish_entry(id, 7).unwrap();
    assert_eq!(restorer.finish().unwrap().bytes, 7);
    assert_eq!(sink.0.lock().unwrap().as_slice(), b"one two");
}
