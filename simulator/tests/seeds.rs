//! The swarm: configurations drawn from seeds; and every seed that ever failed.

use simulator::world::swarm::swarm;

#[test]
fn two_hundred_seeds_hold() {
    let report = swarm(0..200, 2).unwrap();
    let failures: Vec<String> =
        report.failures.iter().map(|failure| format!("seed {}: {}", failure.seed, failure.violation)).collect();
    assert!(failures.is_empty(), "{} of {} runs failed:\n{}", failures.len(), report.runs, failures.join("\n"));
    println!("{report:#?}");
}
