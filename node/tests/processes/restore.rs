//! The main job: any `data_shards` of the sites bring everything back, fewer bring nothing.

use super::harness::{Plan, State, assert_same, write_files};

#[test]
fn any_three_of_seven_sites_restore_and_two_do_not() {
    let mut state = State::running(Plan::default());
    write_files(&state.path("source"), 9, 300_000, 1);
    let report = state.backup("land-register", "dir:source").succeeded().json;
    assert_eq!(report["durable"], true);
    assert_eq!(report["shard_sites"].as_array().unwrap().len(), 7);
    state.order("land-register", "order.txt", &[1, 3, 5]);

    for (round, survivors) in [[1, 2, 3], [4, 5, 6], [0, 3, 6], [1, 4, 5]].iter().enumerate() {
        for index in 0..7 {
            if !survivors.contains(&index) {
                state.kill(index);
            }
        }
        let target = format!("restored-{round}");
        let report = state.restore("order.txt", &target).succeeded().json;
        assert_eq!(report["share_sites"].as_array().unwrap().len(), 3);
        assert_same(&state.path("source"), &state.path(&target));

        state.kill(survivors[0]);
        let error = state.restore("order.txt", "never").refused_with(5);
        assert!(error.contains("only 2 of 3 shares"), "{error}");
        for index in (0..7).filter(|index| !survivors[1..].contains(index)) {
            assert!(error.contains(&state.sites[index].name), "{error} does not name {}", state.sites[index].name);
            state.start(index);
        }
    }
}
