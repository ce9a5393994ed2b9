//! All chance of a run: one stream for every (seed, purpose, index), so that another site, or one message more on one
//! link, shifts nobody else's draws.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// What a stream is for. The number is part of the seed and never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// The configuration of a swarm run.
    Config = 1,
    /// Keys of officials, sites, writers.
    Keys = 2,
    /// Entropy of one site's process.
    Site = 3,
    /// Messages leaving one node.
    Link = 4,
    /// One site's disk.
    Disk = 5,
    /// One site's clock.
    Clock = 6,
    /// Contents and keys of snapshots.
    Home = 7,
    /// Recipients and their orders.
    Recipient = 8,
    /// Enemies.
    Adversary = 9,
}

/// One stream.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of one purpose and index.
    #[must_use]
    pub fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        let mut key = [0; 32];
        let (of_seed, rest) = key.split_at_mut(8);
        let (of_purpose, of_index) = rest.split_at_mut(8);
        of_seed.copy_from_slice(&seed.to_le_bytes());
        of_purpose.copy_from_slice(&u64::from(purpose as u8).to_le_bytes());
        of_index.iter_mut().zip(index.to_le_bytes()).for_each(|(byte, of)| *byte = of);
        Self(ChaCha8Rng::from_seed(key))
    }

    /// The generator itself, for keys and seals.
    pub const fn crypto(&mut self) -> &mut ChaCha8Rng {
        &mut self.0
    }

    /// A stream of its own, for somebody who will draw an unknown number of times.
    #[must_use]
    pub fn branch(&mut self) -> Self {
        Self(ChaCha8Rng::seed_from_u64(self.0.next_u64()))
    }

    /// A number below `end`, which is at least 1; even to within 2^-32.
    pub fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.0.next_u64()) * u128::from(end.max(1));
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number from `first` to `last`, both included.
    pub fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last.saturating_sub(first).saturating_add(1))
    }

    /// True in so many cases of a whole, as in `chance(0.05)`. Draws nothing if it is sure.
    pub fn chance(&mut self, part: f64) -> bool {
        if part <= 0.0 {
            return false;
        }
        // 53 bits, as many as a double holds.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let drawn = (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        drawn < part
    }

    /// One of `items`, or `None` if there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let position = self.below(items.len() as u64);
        usize::try_from(position).ok().and_then(|position| items.get(position))
    }
}

#[cfg(test)]
mod tests {
    use super::{Purpose, Stream};

    #[test]
    fn streams_are_apart_and_the_same_again() {
        let draw = |seed, purpose, index| Stream::new(seed, purpose, index).below(u64::MAX);
        let first = draw(1, Purpose::Link, 0);
        assert_eq!(first, draw(1, Purpose::Link, 0));
        for other in [draw(2, Purpose::Link, 0), draw(1, Purpose::Disk, 0), draw(1, Purpose::Link, 1)] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn numbers_keep_to_their_range() {
        let mut stream = Stream::new(7, Purpose::Config, 0);
        let mut seen = [false; 5];
        (0..200).for_each(|_| seen[usize::try_from(stream.between(3, 7)).unwrap() - 3] = true);
        assert_eq!(seen, [true; 5]);
        let hits = (0..10_000).filter(|_| stream.chance(0.25)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
        assert!(!stream.chance(0.0));
        assert_eq!(stream.pick::<u8>(&[]), None);
    }
}
