//! One writer, two histories: shown by everybody, resolved by nobody.

use node::fault_point::VARIABLE;

use super::harness::{Plan, State, assert_same, wait_until, write_files};

#[test]
fn a_fork_is_proven_by_the_sites_and_never_guessed_away() {
    let mut state = State::running(Plan::default());
    write_files(&state.path("source"), 3, 200_000, 1);
    write_files(&state.path("source-a"), 3, 200_000, 2);
    write_files(&state.path("source-b"), 3, 200_000, 3);
    state.backup("land-register", "dir:source").succeeded();
    let copied = std::process::Command::new("cp").args(["-r", "home", "home-b"]).current_dir(state.dir.path()).status();
    assert!(copied.unwrap().success());

    // The same home in two places, each sees one part of the sites, and one of them goes further.
    (3..7).for_each(|index| state.kill(index));
    state.backup("land-register", "dir:source-a").refused_with(4);
    state.backup("land-register", "dir:source").refused_with(4);
    (0..3).for_each(|index| state.kill(index));
    (3..7).for_each(|index| state.start(index));
    assert_eq!(state.backup_at("home-b", "land-register", "dir:source-b").succeeded().json["sequence"], 2);

    // The parts meet, and what was still to be told is forgotten: every site finds the proof by asking, and keeps it.
    (3..7).for_each(|index| state.kill(index));
    (0..7).for_each(|index| state.start(index));
    for index in 0..7 {
        wait_until("the alarm is in the site's log", 30, || {
            state.log_of(index).contains("ALARM: two manifests of land-register carry sequence 2")
        });
    }
    let snapshots = ["snapshots", "land-register", "--dir", "home"];
    let error = state.run(&snapshots).refused_with(7);
    assert!(error.contains("FORK") && error.contains("sequence 2"), "{error}");
    state.backup("land-register", "dir:source").refused_with(7);

    state.order("land-register", "latest.txt", &[1, 2, 3]);
    state.order_with("land-register", "forked.txt", &[1, 2, 3], &["--sequence", "2"]);
    state.order_with("land-register", "before.txt", &[1, 2, 3], &["--sequence", "1"]);
    for order in ["latest.txt", "forked.txt"] {
        let error = state.restore(order, "guessed").refused_with(7);
        assert!(error.contains("FORK"), "{error}");
        assert!(!state.path("guessed").exists());
    }
    let report = state.restore("before.txt", "before").succeeded().json;
    assert_eq!(report["sequence"], 1);
    assert!(report["faults"].to_string().contains("FORK"), "{report}");
    assert_same(&state.path("source"), &state.path("before"));

    // One part alone, started anew, still shows it; and its three sites are enough for what was before.
    (3..7).for_each(|index| state.kill(index));
    for index in 0..3 {
        state.kill(index);
        state.start(index);
    }
    state.run(&snapshots).refused_with(7);
    state.restore("before.txt", "before-again").succeeded();
    assert_same(&state.path("source"), &state.path("before-again"));
}

#[test]
fn a_home_that_signed_what_no_site_saw_proves_the_fork_itself() {
    let state = State::running(Plan { site_count: 4, data_shards: 2, threshold: 2, ..Plan::default() });
    for (source, seed) in [("source", 1), ("source-a", 2), ("source-b", 3)] {
        write_files(&state.path(source), 2, 100_000, seed);
    }
    state.backup("land-register", "dir:source").succeeded();
    let copied = std::process::Command::new("cp").args(["-r", "home", "home-b"]).current_dir(state.dir.path()).status();
    assert!(copied.unwrap().success());
    // Home dies with its second snapshot signed and nobody told; a copy of it gives that number to another snapshot.
    let died = state.backing_up("land-register", "dir:source-a", &[(VARIABLE, "outbox")]).wait();
    assert_ne!(died.code, 0, "{}", died.stderr);
    state.backup_at("home-b", "land-register", "dir:source-b").succeeded();
    // The sites have one of the two, so only home can show both.
    let error = state.backup("land-register", "dir:source-a").refused_with(7);
    assert!(error.contains("FORK") && error.contains("sequence 2"), "{error}");
    for index in 0..4 {
        wait_until("the site knows of the fork", 30, || {
            state.log_of(index).contains("ALARM: two manifests of land-register carry sequence 2")
        });
    }
}
