//! Sources are named clearly; directories, files and streams are captured whole, and what is not is said.

use std::fs;
use std::io::Cursor;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// Entries with their bytes, and the summary.
type Drained = (Vec<(Entry, Vec<u8>)>, CaptureSummary);

/// Reads a capture to its end: every entry with its bytes, and the summary.
pub(super) fn drain(mut capture: Box<dyn Capture>) -> Result<Drained, CaptureError> {
    let mut entries = Vec::new();
    let mut buffer = vec![0; 65_536];
    while let Some(entry) = capture.next_entry()? {
        let mut contents = Vec::new();
        loop {
            let count = capture.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            contents.extend_from_slice(&buffer[..count]);
        }
        entries.push((entry, contents));
    }
    Ok((entries, capture.finish()?))
}

fn open(source: &str, scratch_dir: &Path) -> Result<Box<dyn Capture>, CaptureError> {
    open_capture(&source.parse().unwrap(), &CaptureOptions::new(scratch_dir))
}

#[test]
fn sources_are_parsed_and_shown_alike() {
    for text in ["sqlite:/var/lib/register.db", "dir:relative/path", "file:a:b", "-"] {
        assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
    }
    let unknown = ["postgres:x", "/var/lib/register.db", "", "SQLITE:x"];
    for text in unknown {
        let error = text.parse::<Source>().unwrap_err().to_string();
        assert!(error.contains("sqlite:PATH, dir:PATH, file:PATH, or -"), "{error}");
    }
    assert_eq!("dir:".parse::<Source>().unwrap_err(), ParseSourceError::NoPath { scheme: "dir" });
}

#[test]
fn a_path_that_is_missing_or_of_another_kind_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    for scheme in ["sqlite", "dir", "file"] {
        let error = open(&format!("{scheme}:{}", missing.display()), dir.path()).err().unwrap();
        assert!(matches!(&error, CaptureError::Missing { path } if *path == missing), "{scheme}: {error}");
    }
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = open(&format!("dir:{}", file.display()), dir.path()).err().unwrap();
    assert!(matches!(error, CaptureError::WrongKind { expected: "directory", .. }));
    let error = open(&format!("file:{}", dir.path().display()), dir.path()).err().unwrap();
    assert!(matches!(error, CaptureError::WrongKind { expected: "regular file", .. }));
    for text in ["x".to_owned(), "no database ".repeat(1000)] {
        fs::write(&file, text).unwrap();
        let error = open(&format!("sqlite:{}", file.display()), dir.path()).err().unwrap();
        assert!(matches!(error, CaptureError::WrongKind { expected: "SQLite database", .. }), "{error}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no scratch copy is left");
}

#[test]
fn a_directory_is_captured_in_order_with_its_links_and_without_its_special_files() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("b/c")).unwrap();
    fs::write(root.join("b/c/file"), vec![7; 200_000]).unwrap();
    fs::write(root.join("a"), "").unwrap();
    fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink("/etc/passwd", root.join("link")).unwrap();
    symlink("b", root.join("z")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    let (entries, summary) = drain(open(&format!("dir:{}", root.display()), dir.path()).unwrap()).unwrap();
    let paths: Vec<_> = entries.iter().map(|(entry, _contents)| entry.path.as_str()).collect();
    assert_eq!(paths, ["a", "b", "b/c", "b/c/file", "link", "z"]);
    let file = EntryKind::File { bytes_hint: Some(200_000) };
    let link = EntryKind::Symlink { target: "/etc/passwd".to_owned() };
    assert_eq!((&entries[3].0.kind, &entries[4].0.kind, &entries[2].0.kind), (&file, &link, &EntryKind::Directory));
    assert_eq!(entries[3].1, vec![7; 200_000]);
    assert_eq!(entries[0].0.mode, 0o750);
    assert_eq!((summary.entries, summary.bytes), (6, 200_000));
    assert_eq!(summary.notes, [CaptureNote::SpecialFile { path: "socket".to_owned() }]);
}

#[test]
fn a_name_that_is_not_utf8_ends_the_capture() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "x").unwrap();
    let error = drain(open(&format!("dir:{}", dir.path().display()), dir.path()).unwrap()).unwrap_err();
    assert!(matches!(error, CaptureError::NotUtf8 { .. }));
    assert!(error.to_string().contains("rename it"));
}

#[test]
fn a_file_that_changes_while_it_is_read_is_reported() {
    let changes: [fn(&Path); 3] = [
        |path| fs::write(path, vec![1; 10]).unwrap(),
        |path| fs::write(path, vec![1; 300_000]).unwrap(),
        |path| {
            fs::write(path, vec![2; 200_000]).unwrap();
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        },
    ];
    for scheme in ["dir", "file"] {
        for change in changes {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("file");
            fs::write(&file, vec![1; 200_000]).unwrap();
            let path = if scheme == "dir" { dir.path() } else { &file };
            let mut capture = open(&format!("{scheme}:{}", path.display()), dir.path()).unwrap();
            capture.next_entry().unwrap().unwrap();
            assert_eq!(capture.read(&mut [0; 100]).unwrap(), 100);
            change(&file);
            while capture.read(&mut [0; 65_536]).unwrap() > 0 {}
            let summary = capture.finish().unwrap();
            assert!(summary.bytes <= 200_000, "what is appended is left for the next snapshot");
            let changed = matches!(&summary.notes[..], [CaptureNote::Changed { expected_bytes: 200_000, .. }]);
            assert!(changed, "{scheme}: {:?}", summary.notes);
        }
    }
}

#[test]
fn a_file_that_vanishes_before_it_is_read_is_noted() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "a").unwrap();
    fs::write(dir.path().join("b"), "b").unwrap();
    let mut capture = open(&format!("dir:{}", dir.path().display()), dir.path()).unwrap();
    capture.next_entry().unwrap().unwrap();
    fs::remove_file(dir.path().join("b")).unwrap();
    assert_eq!(capture.next_entry().unwrap(), None);
    let notes = capture.finish().unwrap().notes;
    assert!(notes.contains(&CaptureNote::Vanished { path: "b".to_owned() }), "{notes:?}");
}

#[test]
fn a_stream_is_one_entry_of_unknown_length() {
    let stream = stdin::StreamCapture::new(Box::new(Cursor::new(vec![3; 100_000])));
    let (entries, summary) = drain(Box::new(stream)).unwrap();
    let [(entry, contents)] = &entries[..] else { panic!("one entry") };
    assert_eq!((entry.path.as_str(), &entry.kind), ("stdin", &EntryKind::File { bytes_hint: None }));
    assert_eq!((contents.len() as u64, summary.bytes), (100_000, 100_000));
}
