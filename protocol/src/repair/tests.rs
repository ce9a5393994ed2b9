//! Unit tests of the queue: order, budget, back-off.

use shard_codec::Digest;

use super::queue::Queue;
use crate::evidence::ShardName;
use crate::fixture::{NOW, database};

fn shard(stripe_number: u64) -> ShardName {
    ShardName { database: database(), stripe_number, shard_index: 0, root: Digest::of(&stripe_number.to_be_bytes()) }
}

#[test]
fn what_is_least_redundant_comes_first() {
    let mut queue = Queue::default();
    for (number, surplus, wait) in [(1, 2, 0), (2, 0, 5), (3, 1, 0), (4, 1, 0), (5, 0, 0)] {
        assert!(queue.add(shard(number), surplus, NOW, NOW.plus_ms(wait)));
    }
    // More was lost meanwhile: it moves up, and is still one entry.
    assert!(!queue.add(shard(1), 0, NOW.plus_ms(1), NOW));
    let order: Vec<u64> = std::iter::from_fn(|| queue.next(NOW)).map(|shard| shard.stripe_number).collect();
    assert_eq!(order, [1, 5, 3, 4]);
    assert_eq!(queue.next(NOW.plus_ms(5)), Some(shard(2)));
    assert_eq!(queue.len(), 5);
}

#[test]
fn one_bad_item_waits_longer_each_time_and_never_holds_up_the_rest() {
    let mut queue = Queue::default();
    queue.add(shard(1), 0, NOW, NOW);
    queue.add(shard(2), 5, NOW, NOW);
    let mut now = NOW;
    let mut pauses = Vec::new();
    for _ in 0..14 {
        let next = queue.next(now).unwrap();
        assert_eq!(next, shard(1));
        queue.start(now, &next, 0, 1);
        queue.failed(&next, now);
        assert_eq!(queue.in_work(), 0);
        let second = queue.next(now).unwrap();
        assert_eq!(second, shard(2), "the other one has its turn");
        queue.put_back(&second);
        let due = (0..).map(|seconds| seconds * 1_000).find(|wait| queue.is_ready(&shard(1), now.plus_ms(*wait)));
        pauses.push(due.unwrap() / 1_000);
        now = now.plus_ms(due.unwrap());
    }
    assert_eq!(pauses[..4], [2, 4, 8, 16]);
    assert_eq!(pauses[12..], [3_600, 3_600]);
}

#[test]
fn the_budget_is_kept_and_used_however_often_time_is_told() {
    for every_ms in [1, 1_000] {
        let mut queue = Queue::default();
        (0..100).for_each(|number| _ = queue.add(shard(number), 0, NOW, NOW));
        let mut started = 0;
        for ms in (0..10_000).step_by(every_ms) {
            let now = NOW.plus_ms(ms);
            while let Some(next) = queue.next(now) {
                // A stripe of 16 MiB at 64 MiB/s: four a second, and those of one second in advance.
                queue.start(now, &next, 16 << 20, 64 << 20);
                queue.remove(&next);
                started += 1;
            }
        }
        assert!((40..=44).contains(&started), "{started} when told every {every_ms} ms");
    }
}
