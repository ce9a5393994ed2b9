//! Which of many clocks rings first: a tournament of sixteens.
//!
//! Clocks stand in blocks of sixteen. A block's winner stands in a block of the level above, and so on up to four blocks at
//! the most, of which the first is kept: a whole level for two or three blocks would cost more than it tells. To set a
//! clock costs one block per level, whatever the other clocks do. Each place in a block carries its own number
//! in the four lowest bits of its time, so that the least of sixteen numbers says both when and which: no branch,
//! and ties end the same way everywhere. Times are changed by less than one part in 10^14.
//!
//! A processor does many things at once if they do not wait for each other. Mostly the clock that has rung is set again,
//! and where it stands is known long before its new time is: so on every level its rivals are compared without it first,
//! and once the time is known there is one comparison a level.

#![allow(
    clippy::indexing_slicing,
    reason = "a place in a block is below its width, and a block is where its clocks are"
)]

/// Clocks in one block.
pub(crate) const WIDTH: usize = 16;

/// Blocks of the highest level at the most.
pub(crate) const TOPS: usize = 4;

/// Never rings within any horizon.
pub(crate) const NEVER: f64 = f64::MAX;

/// Later than any clock: stands for the one that is being set.
const NOBODY: u64 = u64::MAX;

/// Two lines of cache and no more.
#[derive(Debug, Clone, Copy)]
#[repr(align(128))]
struct Block([u64; WIDTH]);

#[derive(Debug, Clone)]
struct Level {
    blocks: Vec<Block>,
    /// The clock that wins each block; padded, as a block of the level above is.
    winners: Vec<u32>,
}

/// Clocks in `LEVELS` levels: [`TOPS`] times 16 to the power of it at most. Times are never negative.
#[derive(Debug, Clone)]
pub(crate) struct Clocks<const LEVELS: usize> {
    /// Lowest first.
    levels: [Level; LEVELS],
    /// The winner of each block of the highest level, if there are several; marked with the number of the block.
    tops: [u64; TOPS],
    has_tops: bool,
    first: Contestant,
}

/// A clock and its time, marked.
#[derive(Debug, Clone, Copy)]
struct Contestant {
    time: u64,
    clock: u32,
}

impl Contestant {
    /// The earlier of two, by choice and not by branch.
    #[inline]
    fn or(self, rival: Self) -> Self {
        let wins = self.time < rival.time;
        Self { time: self.time.min(rival.time), clock: if wins { self.clock } else { rival.clock } }
    }
}

impl<const LEVELS: usize> Clocks<LEVELS> {
    /// This many clocks that never ring.
    pub(crate) fn new(count: usize) -> Self {
        debug_assert!(count <= TOPS * WIDTH.pow(u32::try_from(LEVELS).unwrap_or(0)), "more clocks than places");
        let never = |place| mark(NEVER.to_bits(), place);
        let (mut blocks, mut clocks_each) = (count.max(1), 1);
        let levels = std::array::from_fn(|_| {
            blocks = blocks.div_ceil(WIDTH);
            clocks_each *= WIDTH;
            Level {
                blocks: vec![Block(std::array::from_fn(never)); blocks],
                winners: (0..blocks.next_multiple_of(WIDTH)).map(|block| number(block * clocks_each)).collect(),
            }
        });
        let first = Contestant { time: never(0), clock: 0 };
        Self { levels, tops: std::array::from_fn(never), has_tops: blocks > 1, first }
    }

    /// None of them rings.
    pub(crate) fn silence(&mut self) {
        let never = std::array::from_fn(|place| mark(NEVER.to_bits(), place));
        self.levels.iter_mut().for_each(|level| level.blocks.fill(Block(never)));
        self.tops = std::array::from_fn(|place| mark(NEVER.to_bits(), place));
        self.first.time = mark(NEVER.to_bits(), 0);
    }

    /// Shows what the other clocks of as many show.
    pub(crate) fn follow(&mut self, other: &Self) {
        for (level, other) in self.levels.iter_mut().zip(&other.levels) {
            level.blocks.clone_from(&other.blocks);
            level.winners.clone_from(&other.winners);
        }
        (self.tops, self.first) = (other.tops, other.first);
    }

    /// Sets one clock; one that there is no place for never rings.
    #[inline]
    pub(crate) fn set(&mut self, clock: usize, time: f64) {
        let Some(rivals) = self.rivals(clock) else { return };
        let mut winner = Contestant { time: time.to_bits(), clock: number(clock) };
        let mut at = clock;
        for (level, rival) in self.levels.iter_mut().zip(rivals) {
            winner.time = mark(winner.time, at % WIDTH);
            level.blocks[at / WIDTH].0[at % WIDTH] = winner.time;
            winner = winner.or(rival);
            at /= WIDTH;
            level.winners[at] = winner.clock;
        }
        if self.has_tops {
            winner.time = mark(winner.time, at);
            let rival = self.rival_at_the_top(at);
            self.tops[at] = winner.time;
            winner.time = winner.time.min(rival);
            winner.clock = self.levels[LEVELS - 1].winners[place_of(winner.time)];
        }
        self.first = winner;
    }

    /// Whom the winner of the level below has to beat on each level, if this clock is set. Leaves its places empty.
    #[inline]
    fn rivals(&mut self, clock: usize) -> Option<[Contestant; LEVELS]> {
        let mut rivals = [Contestant { time: NOBODY, clock: 0 }; LEVELS];
        let mut at = clock;
        let mut below: Option<&[u32]> = None;
        for (level, rival) in self.levels.iter_mut().zip(&mut rivals) {
            let block = &mut level.blocks.get_mut(at / WIDTH)?.0;
            block[at % WIDTH] = NOBODY;
            at /= WIDTH;
            let time = least(block);
            let place = at * WIDTH + place_of(time);
            *rival = Contestant { time, clock: below.map_or(number(place), |below| below[place]) };
            below = Some(&level.winners);
        }
        Some(rivals)
    }

    #[inline]
    fn rival_at_the_top(&self, block: usize) -> u64 {
        let other = |place| if place == block { NOBODY } else { self.tops[place] };
        other(0).min(other(1)).min(other(2).min(other(3)))
    }

    /// The clock that rings first, and when.
    #[inline]
    pub(crate) fn first(&self) -> (usize, f64) {
        (self.first.clock as usize, f64::from_bits(self.first.time))
    }
}

#[inline]
fn mark(time: u64, place: usize) -> u64 {
    (time & !15) | place as u64
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "four bits")]
fn place_of(time: u64) -> usize {
    (time & 15) as usize
}

/// The number of a clock in four bytes: a model has 100,000 sites at the most.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "far fewer clocks than 2^32")]
fn number(clock: usize) -> u32 {
    clock as u32
}

/// The least of sixteen, in four rounds. Whole numbers, which order as the times do, and not floats: a compiler makes
/// vectors of floats, and to read as a vector what was just written as one number stalls the processor.
#[inline]
fn least(block: &[u64; WIDTH]) -> u64 {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *block;
    let one = a.min(b).min(c.min(d)).min(e.min(f).min(g.min(h)));
    let two = i.min(j).min(k.min(l)).min(m.min(n).min(o.min(p)));
    one.min(two)
}

#[cfg(test)]
mod tests;
