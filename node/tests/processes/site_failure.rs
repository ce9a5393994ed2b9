//! A site that cannot do its work properly stops: it does not go on with half of it.

use node::fault_point::VARIABLE;
use node::machine_state::{MachineState, Record, RecordKind};
use protocol::wire::Request;

use super::harness::{Plan, State, wait_until, write_files};
use super::peer::Peer;

const LAND: &str = "land-register";
const SITES: usize = 5;
/// The site that fails.
const FAILING: usize = 2;

#[test]
fn a_site_that_cannot_keep_a_record_stops_and_promises_nothing() {
    let mut state = State::running(Plan { site_count: SITES, ..Plan::default() });
    write_files(&state.path("source"), 2, 100_000, 1);
    state.backup(LAND, "dir:source").succeeded();
    state.kill(FAILING);
    let name = state.sites[FAILING].name.clone();
    let file = MachineState::open(&state.sites[FAILING].dir.join("state.redb")).unwrap();
    let receipts = file.load(RecordKind::Receipt).unwrap();
    let own = |key: &[u8]| key.windows(name.len()).any(|part| part == name.as_bytes());
    let (key, value) = receipts.into_iter().find(|(key, _value)| own(key)).unwrap();
    // Where its receipt for the second snapshot will go, there is another one: what is kept is never overwritten.
    let mut taken = key;
    taken[LAND.len() + 8] = 2;
    file.append(&[Record { kind: RecordKind::Receipt, key: &taken, value: &value }]).unwrap();
    drop(file);
    state.start(FAILING);

    let report = state.backup(LAND, "dir:source").succeeded().json;
    assert_eq!(report["sequence"], 2, "{report}");
    let missing = report["missing"].as_object().unwrap();
    assert_eq!(missing.keys().collect::<Vec<_>>(), [&name], "{report}");
    wait_until("the site stops", 10, || state.ended(FAILING) == Some(8));
    let log = state.log_of(FAILING);
    assert!(log.contains("cannot keep the site's state: stopping, nothing was acknowledged"), "{log}");
}

#[test]
fn a_site_whose_machines_fail_stops() {
    let mut state = State::found(Plan { site_count: 4, ..Plan::default() });
    state.start_with(0, &[], &[(VARIABLE, "machines")]);
    let order = Request::PresentOrder { order: b"anything at all".to_vec().into() };
    let site = &state.charter_sites()[0];
    let asking = std::thread::spawn({
        let site = site.clone();
        move || {
            let peer = Peer::stranger();
            let mut stream = peer.stream(&site);
            drop(peer.runtime.block_on(node::network::frame::write_frame(&mut stream, &order)));
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
    });
    wait_until("the site stops", 10, || state.ended(0) == Some(1));
    asking.join().unwrap();
    let log = state.log_of(0);
    assert!(log.contains("a machine failed: stopping, nothing was acknowledged"), "{log}");
}

#[test]
fn a_second_site_at_a_taken_port_is_refused() {
    let mut state = State::found(Plan { site_count: 4, ..Plan::default() });
    state.start(0);
    let (taken, second) = (format!("/ip4/127.0.0.1/tcp/{}", state.sites[0].port), state.sites[1].name.clone());
    let run = ["site", "run", "--dir", &second, "--charter", "charter.txt", "--listen", &taken];
    let error = state.run(&run).refused_with(2);
    assert!(error.contains(&taken) && error.contains("in use"), "{error}");
    // The first one is not disturbed.
    assert_eq!(state.ended(0), None);
}
