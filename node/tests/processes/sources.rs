//! What can be backed up, and how little a second backup sends.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use super::harness::{Plan, Said, State, assert_same};

fn state_of(databases: Vec<&'static str>) -> State {
    State::running(Plan { site_count: 5, databases, ..Plan::default() })
}

fn number(report: &serde_json::Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or_else(|| panic!("no {name} in {report}"))
}

/// Rows of about 300 bytes: half of it text that repeats, half of it hashes that do not compress.
fn found_register(state: &State, rows: u32) -> Connection {
    let register = Connection::open(state.path("land.db")).unwrap();
    register
        .execute_batch(&format!(
            "PRAGMA journal_mode=WAL; PRAGMA page_size=4096;
             CREATE TABLE parcels (id INTEGER PRIMARY KEY, cadastre TEXT, owner TEXT, street TEXT, deed TEXT);
             WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO parcels SELECT i, printf('784:%05d:%04d', i / 7, i % 1000),
                 printf('Owner number %d of the parish of Saint %d', i * 7919 % 100003, i % 40),
                 printf('Long Street %d, building %d, apartment %d', i % 900, i % 80, i % 30),
                 hex(randomblob(80)) FROM n;
             PRAGMA wal_checkpoint(TRUNCATE);"
        ))
        .unwrap();
    register
}

#[test]
fn a_second_backup_sends_what_changed_and_a_third_nothing() {
    let state = state_of(vec!["land-register"]);
    let rows = 150_000;
    let register = found_register(&state, rows);
    let first = state.backup("land-register", "sqlite:land.db").succeeded().json;
    // Scattered over the whole table, which is the worst that can happen to page units: 14 rows are on a page.
    let changed = register
        .execute(
            "UPDATE parcels SET owner = 'New ' || owner, deed = hex(randomblob(80)) WHERE id * 7919 % 1000 < 16",
            [],
        )
        .unwrap();
    assert!((0.015..0.017).contains(&(changed as f64 / f64::from(rows))), "{changed}");
    let second = state.backup("land-register", "sqlite:land.db").succeeded().json;
    let (first_bytes, second_bytes) = (number(&first, "new_sealed_bytes"), number(&second, "new_sealed_bytes"));
    println!("{first_bytes} bytes at first, {second_bytes} for {changed} changed rows of {rows}");
    assert!(first_bytes > 15 << 20, "{first}");
    assert!(second_bytes * 100 <= first_bytes * 35, "{second_bytes} of {first_bytes}");
    assert!(second_bytes > 0, "{second}");
    let third = state.backup("land-register", "sqlite:land.db").succeeded().json;
    println!("{} bytes for no change", number(&third, "sent_bytes"));
    assert_eq!(number(&third, "sequence"), 3);
    assert!(number(&third, "new_sealed_bytes") <= 64 << 10, "{third}");
    assert!(number(&third, "sent_bytes") <= first_bytes / 100, "{third}");
    state.order("land-register", "order.txt", &[1, 2, 3]);
    state.restore("order.txt", "restored").succeeded();
    let sum = |connection: &Connection| -> (i64, i64) {
        let query = "SELECT count(*), sum(length(owner) * id) FROM parcels";
        connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    assert_eq!(sum(&register), sum(&Connection::open(state.path("restored/land.db")).unwrap()));
}

/// Moves money from one table to the other until told to stop; the sum over both never changes.
fn keep_writing(path: &std::path::Path, stop: &AtomicBool) -> u32 {
    let mut register = Connection::open(path).unwrap();
    register.busy_timeout(Duration::from_secs(20)).unwrap();
    let mut moves = 0;
    while !stop.load(Ordering::Relaxed) {
        let transaction = register.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
        let (from, to) = (i64::from(moves % 997 + 1), i64::from(moves * 31 % 997 + 1));
        transaction.execute("UPDATE sellers SET balance = balance - 5 WHERE id = ?1", [from]).unwrap();
        transaction.execute("UPDATE buyers SET balance = balance + 5 WHERE id = ?1", [to]).unwrap();
        transaction.commit().unwrap();
        moves += 1;
    }
    moves
}

#[test]
fn a_database_in_use_comes_back_consistent() {
    let databases = vec!["wal-register", "rollback-register"];
    let state = state_of(databases.clone());
    for (database, journal) in databases.iter().zip(["WAL", "DELETE"]) {
        let path = state.path(&format!("{database}.db"));
        let register = Connection::open(&path).unwrap();
        let tables = ["sellers", "buyers"].map(|table| {
            format!(
                "CREATE TABLE {table} (id INTEGER PRIMARY KEY, balance INTEGER, deed TEXT);
                 WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                 INSERT INTO {table} SELECT i, 1000, hex(randomblob(150)) FROM n;"
            )
        });
        let set_up = format!("PRAGMA journal_mode={journal}; PRAGMA synchronous=OFF; {}", tables.concat());
        register.execute_batch(&set_up).unwrap();
        let stop = AtomicBool::new(false);
        let moves = thread::scope(|scope| {
            let writer = scope.spawn(|| keep_writing(&path, &stop));
            thread::sleep(Duration::from_millis(50));
            let report = state.backup(database, &format!("sqlite:{}", path.display()));
            stop.store(true, Ordering::Relaxed);
            let moves = writer.join().unwrap();
            report.succeeded();
            moves
        });
        println!("{journal}: {moves} transactions while the backup ran");
        assert!(moves > 20, "{moves}");
        let (order, target) = (format!("{database}.txt"), format!("{database}-restored"));
        state.order(database, &order, &[1, 2, 3]);
        state.restore(&order, &target).succeeded();
        let restored = Connection::open(state.path(&format!("{target}/{database}.db"))).unwrap();
        let check: String = restored.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        let sums = "SELECT (SELECT sum(balance) FROM sellers), (SELECT sum(balance) FROM buyers)";
        let (sellers, buyers): (i64, i64) = restored.query_row(sums, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(sellers + buyers, 2 * 20_000 * 1_000, "half of a transaction was captured");
        assert!(buyers > 20_000 * 1_000, "the snapshot is of the time before the writer");
    }
}

#[test]
fn ten_thousand_small_files_and_odd_ones_come_back() {
    let state = state_of(vec!["land-register"]);
    let source = state.path("source");
    for folder in 0..100 {
        let folder_path = source.join(format!("parish-{}/volume-{folder}", folder % 10));
        fs::create_dir_all(&folder_path).unwrap();
        for file in 0..100 {
            fs::write(folder_path.join(format!("deed-{file}.txt")), format!("deed {file} of volume {folder}\n"))
                .unwrap();
        }
    }
    fs::create_dir_all(source.join("empty folder/inner")).unwrap();
    fs::write(source.join("empty file"), "").unwrap();
    fs::write(source.join("\u{f5}igusakt"), "a name that is not ASCII").unwrap();
    symlink("parish-1/volume-1/deed-1.txt", source.join("newest")).unwrap();
    symlink("nowhere", source.join("dangling")).unwrap();
    let first = state.backup("land-register", "dir:source").succeeded().json;
    assert_eq!(number(&first, "entries"), 10_000 + 110 + 2 + 2 + 2, "{first}");
    assert_eq!(first["notes"].as_array().unwrap().len(), 0, "{first}");
    let second = state.backup("land-register", "dir:source").succeeded().json;
    println!("{} bytes at first, {} the second time", number(&first, "sent_bytes"), number(&second, "sent_bytes"));
    assert!(number(&second, "sent_bytes") * 10 <= number(&first, "sent_bytes"), "{second}");
    state.order("land-register", "order.txt", &[1, 2, 3]);
    let report = state.restore("order.txt", "restored").succeeded().json;
    println!("seconds: backup {}, again {}, restore {}", first["seconds"], second["seconds"], report["seconds"]);
    assert_eq!(number(&report, "files"), 10_002, "{report}");
    let restored = state.path("restored");
    assert_same(&source, &restored);
    assert!(restored.join("empty folder/inner").is_dir());
    for link in ["newest", "dangling"] {
        assert_eq!(fs::read_link(restored.join(link)).unwrap(), fs::read_link(source.join(link)).unwrap());
    }
}

fn backup_of_input(state: &State, bytes: &[u8]) -> Said {
    let mut command = state.command(&["backup", "land-register", "--from", "-", "--dir", "home"]);
    command.args(["--charter", "charter.txt"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    Said::of(child.wait_with_output().unwrap())
}

fn restored_output(state: &State) -> Vec<u8> {
    state.restore("order.txt", "-").succeeded().stdout
}

#[test]
fn empty_sources_are_snapshots_too() {
    let state = state_of(vec!["land-register"]);
    let report = backup_of_input(&state, b"").succeeded().json;
    assert_eq!(number(&report, "plaintext_bytes"), 0, "{report}");
    state.order("land-register", "order.txt", &[1, 2, 3]);
    assert_eq!(restored_output(&state), b"");
    backup_of_input(&state, b"one byte more than nothing").succeeded();
    assert_eq!(restored_output(&state), b"one byte more than nothing");
    fs::create_dir_all(state.path("empty")).unwrap();
    let report = state.backup("land-register", "dir:empty").succeeded().json;
    assert_eq!(number(&report, "entries"), 0, "{report}");
    state.restore("order.txt", "restored").succeeded();
    assert_eq!(fs::read_dir(state.path("restored")).unwrap().count(), 0);
    fs::write(state.path("nothing.db"), "").unwrap();
    for source in ["file:nothing.db", "sqlite:nothing.db"] {
        let report = state.backup("land-register", source).succeeded().json;
        assert_eq!(number(&report, "entries"), 1, "{report}");
        let target = source.replace(':', "-");
        state.restore("order.txt", &target).succeeded();
        assert!(state.path(&target).join("nothing.db").exists());
    }
}
