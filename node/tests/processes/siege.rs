//! The trials of `legation-trial`, short: the same program as for minutes or hours.

use std::process::{Command, Output};

use serde_json::Value;

fn trial(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_legation-trial")).arg("--json").args(arguments).output().unwrap()
}

/// The figures of a trial all of whose promises held.
#[track_caller]
fn held(arguments: &[&str]) -> Value {
    let output = trial(arguments);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said} {}", String::from_utf8_lossy(&output.stderr));
    let value: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(value["broken_promises"], serde_json::json!([]));
    value["figures"].clone()
}

#[test]
fn nothing_acknowledged_is_lost_in_a_short_siege() {
    let figures = held(&["siege", "--minutes", "0.3"]);
    for blows in ["site_kills", "sites_emptied", "home_kills", "healed_bytes"] {
        assert!(figures[blows].as_u64().unwrap() > 0, "no {blows}: {figures}");
    }
    assert!(figures["snapshots_acknowledged"].as_u64().unwrap() > 1, "{figures}");
}

#[test]
fn two_emptied_sites_write_only_what_they_lost() {
    let figures = held(&["repair", "--mib", "48"]);
    assert_eq!(figures["written_per_lost_byte"], 1.0, "{figures}");
    assert!(figures["lost_bytes"].as_u64().unwrap() >= 32 << 20, "{figures}");
}

#[test]
fn a_trial_that_makes_no_sense_is_refused() {
    for arguments in [
        &["repair", "--empty", "3"][..],
        &["siege", "--sites", "4"],
        &["repair", "--sites", "99"],
        &["siege", "--data-shards", "1"],
    ] {
        let output = trial(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    }
}
