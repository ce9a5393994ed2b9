//! Which of many clocks rings first: a tournament of sixteens.
//!
//! Clocks stand in blocks of sixteen. A block's winner stands in a block of the level above, and so on up to four blocks at
//! the most, of which the first is kept: a whole level for two or three blocks would cost more than it tells. To set a
//! clock costs one block per level, whatever the other clocks do. Each place in a block carries its own number
//! in the four lowest bits of its time, so that the least of sixteen numbers says both when and which: no branch, no
//! index to carry along, and ties end the same way everywhere. Times are changed by less than one part in 10^14.

#![allow(clippy::indexing_slicing, reason = "a place in a block is below its width")]

/// Clocks in one block.
pub(crate) const WIDTH: usize = 16;

/// Blocks of the highest level at the most.
pub(crate) const TOPS: usize = 4;

/// Never rings within any horizon.
pub(crate) const NEVER: f64 = f64::MAX;

type Block = [u64; WIDTH];

/// Clocks in `LEVELS` levels: [`TOPS`] times 16 to the power of it at most. Times are never negative.
#[derive(Debug, Clone)]
pub(crate) struct Clocks<const LEVELS: usize> {
    // Lowest level first. Beside each block, the place of its winner.
    levels: [Vec<(Block, usize)>; LEVELS],
    /// The winner of each block of the highest level, if there are several; marked with the number of the block.
    tops: [u64; TOPS],
    has_tops: bool,
    first: u64,
}

impl<const LEVELS: usize> Clocks<LEVELS> {
    /// This many clocks that never ring.
    pub(crate) fn new(count: usize) -> Self {
        let mut blocks = count.max(1);
        debug_assert!(count <= TOPS * WIDTH.pow(u32::try_from(LEVELS).unwrap_or(0)), "more clocks than places");
        let levels = std::array::from_fn(|_| {
            blocks = blocks.div_ceil(WIDTH);
            vec![(std::array::from_fn(|place| mark(NEVER.to_bits(), place)), 0); blocks]
        });
        let tops = std::array::from_fn(|place| mark(NEVER.to_bits(), place));
        Self { levels, tops, has_tops: blocks > 1, first: mark(NEVER.to_bits(), 0) }
    }

    /// Sets one clock.
    #[inline]
    pub(crate) fn set(&mut self, clock: usize, time: f64) {
        let mut time = time.to_bits();
        let mut at = clock;
        for level in &mut self.levels {
            let place = at % WIDTH;
            at /= WIDTH;
            let Some((block, winner)) = level.get_mut(at) else { return };
            block[place] = mark(time, place);
            time = least(block);
            *winner = place_of(time);
        }
        if self.has_tops {
            let Some(top) = self.tops.get_mut(at) else { return };
            *top = mark(time, at);
            let [a, b, c, d] = self.tops;
            time = a.min(b).min(c.min(d));
        }
        self.first = time;
    }

    /// The clock that rings first, and when.
    #[inline]
    pub(crate) fn first(&self) -> (usize, f64) {
        let mut at = if self.has_tops { place_of(self.first) } else { 0 };
        for level in self.levels.iter().rev() {
            let Some((_, winner)) = level.get(at) else { break };
            at = at * WIDTH + winner;
        }
        (at, f64::from_bits(self.first))
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

/// The least of sixteen, in four rounds. Whole numbers, which order as the times do, and not floats: a compiler makes
/// vectors of floats, and to read as a vector what was just written as one number stalls the processor.
#[inline]
fn least(block: &Block) -> u64 {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *block;
    let one = a.min(b).min(c.min(d)).min(e.min(f).min(g.min(h)));
    let two = i.min(j).min(k.min(l)).min(m.min(n).min(o.min(p)));
    one.min(two)
}
