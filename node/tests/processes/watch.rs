//! `legation status` and `legation doctor`: what they say of a mesh that is well, and of one that is not.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use super::harness::{Plan, State, free_port, wait_until, write_files};

fn status(state: &State, index: usize) -> Value {
    state.run(&["status", "--dir", &state.sites[index].name]).succeeded().json
}

fn codes(status: &Value) -> Vec<String> {
    let alarms = status["alarms"].as_array().unwrap();
    alarms.iter().map(|alarm| alarm["code"].as_str().unwrap().to_owned()).collect()
}

/// One question of a monitoring system: status line and body.
fn get(port: u16, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[test]
fn status_tells_what_is_so_and_doctor_what_to_do() {
    let mut state = State::found(Plan { site_count: 5, data_shards: 3, threshold: 3, ..Plan::default() });
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    state.start_with(0, &["--http", &address, "--audit-interval", "1"], &[]);
    (1..5).for_each(|index| state.start(index));
    let text = state.run(&["doctor", "--dir", "ee-home"]).refused_with(4);
    assert!(text.contains("land-register: no snapshot is known here") && text.contains("legation backup"), "{text}");

    write_files(&state.path("source"), 4, 200_000, 5);
    state.backup("land-register", "dir:source").succeeded();
    wait_until("every site has proved something", 30, || {
        let sites = status(&state, 0)["sites"].as_array().unwrap().clone();
        sites.iter().all(|site| site["valid_count"].as_u64() > Some(0))
    });
    let well = status(&state, 0);
    let newest = &well["databases"][0]["newest"];
    assert_eq!((newest["sequence"].as_u64(), newest["is_durable"].as_bool()), (Some(1), Some(true)));
    assert_eq!((newest["left_to_lose"].as_u64(), newest["jurisdictions"].as_array().unwrap().len()), (Some(2), 5));
    assert_eq!((newest["readers_count"].as_u64(), newest["takers_count"].as_u64()), (Some(3), Some(3)));
    assert_eq!(codes(&well), Vec::<String>::new());
    state.run(&["doctor", "--dir", "ee-home"]).succeeded();
    assert_eq!(get(port, "/healthz").0, "HTTP/1.1 200 OK");
    let (_, metrics) = get(port, "/metrics");
    assert!(metrics.contains("legation_snapshot_durable{database=\"land-register\"} 1"), "{metrics}");
    assert!(metrics.trim_end().ends_with("# EOF"), "{metrics}");
    assert!(get(port, "/").0.contains("404"));

    // Two sites are away, so that nothing can be mended, and two others have lost their shards: of five three are left.
    (1..5).for_each(|index| state.kill(index));
    for index in [1, 2] {
        std::fs::remove_dir_all(state.sites[index].dir.join("store")).unwrap();
        state.start(index);
    }
    wait_until("the loss is told", 30, || codes(&status(&state, 0)).contains(&"not-durable".to_owned()));
    let said = state.run(&["doctor", "--dir", "ee-home"]);
    let text = said.refused_with(4);
    assert!(text.contains("land-register: the newest snapshot (1)") && text.contains("What to do"), "{text}");
    assert_eq!(get(port, "/healthz").0, "HTTP/1.1 503 Service Unavailable");
    let at_loser = status(&state, 2);
    assert!(codes(&at_loser).contains(&"missing-here".to_owned()), "{at_loser}");

    // No fresh snapshot is an alarm, seen from abroad, whatever home says.
    state.kill(1);
    state.start_with(1, &["--age-max", "land-register=1s"], &[]);
    wait_until("the absence is seen", 20, || codes(&status(&state, 1)).contains(&"late".to_owned()));

    state.kill(1);
    let text = state.run(&["status", "--dir", "lu-vault"]).refused_with(5);
    assert!(text.contains("no site is running") && text.contains("legation site run"), "{text}");
}
