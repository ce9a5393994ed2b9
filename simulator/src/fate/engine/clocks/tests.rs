//! The tournament against a look at every clock.

use super::super::draw::{Draw, Purpose};
use super::{Clocks, NEVER, WIDTH};

/// By time but for its four lowest bits, then by number.
fn looked_for(times: &[f64]) -> (usize, u64) {
    let rounded = |(clock, time): (usize, &f64)| (time.to_bits() & !15, clock);
    let (time, clock) = times.iter().enumerate().map(rounded).min().unwrap();
    (clock, time)
}

fn against_a_look_at_all<const LEVELS: usize>(count: usize) {
    let mut draw = Draw::new(1, Purpose::Plain, count as u64);
    let mut clocks = Clocks::<LEVELS>::new(count);
    let mut times = vec![NEVER; count];
    for step in 0..2000 {
        // Mostly the one that has rung, as in a run; now and then another, one that falls silent, or a tie.
        let clock = if draw.unit() < 0.7 { clocks.first().0 } else { draw.below(count) };
        let now = times[looked_for(&times).0].min(f64::from(step));
        let time = match draw.below(10) {
            0 => NEVER,
            1 => times[draw.below(count)],
            _ => now + draw.exponential(),
        };
        times[clock] = time;
        clocks.set(clock, time);
        let (first, at) = clocks.first();
        assert_eq!((first, at.to_bits() & !15), looked_for(&times), "{count} clocks, step {step}");
    }
    // One for which there is no place is not heard.
    let (_, before) = clocks.first();
    clocks.set(count.next_multiple_of(WIDTH), 0.0);
    assert!((clocks.first().1 - before).abs() <= 0.0);
}

#[test]
fn the_first_of_any_number() {
    for count in [1, 2, 9, 16, 17, 33, 64] {
        against_a_look_at_all::<1>(count);
    }
    for count in [65, 100, 256, 257, 1000, 1024] {
        against_a_look_at_all::<2>(count);
    }
    against_a_look_at_all::<3>(1025);
    against_a_look_at_all::<3>(10_000);
    against_a_look_at_all::<3>(16_384);
    against_a_look_at_all::<4>(16_385);
}
