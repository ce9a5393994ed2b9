//! `MinCDC`: the cut is where a hash of four bytes is smallest between `min_bytes` and `max_bytes`.
//!
//! # Source
//! Orson Peters, `MinCDC` (<https://github.com/orlp/mincdc>), in the implementation of the crate `mothcdc`.

use mothcdc::mincdc::{MinCdcHash4, SliceChunker};

use super::ChunkBoundsError;
use crate::limits::CHUNK_BYTES_MAX;

/// Content-defined cuts between two bounds; chunk lengths are uniform between them on random data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentDefined {
    min_bytes: usize,
    max_bytes: usize,
}

impl Default for ContentDefined {
    /// 512 KiB to 1.5 MiB, 1 MiB on average.
    fn default() -> Self {
        Self { min_bytes: 512 << 10, max_bytes: 1536 << 10 }
    }
}

impl ContentDefined {
    /// Cuts of `min_bytes` to `max_bytes`; only the last chunk of a stream may be shorter.
    ///
    /// # Errors
    /// `min_bytes` is 0 or exceeds `max_bytes`, or `max_bytes` exceeds [`CHUNK_BYTES_MAX`].
    pub const fn new(min_bytes: usize, max_bytes: usize) -> Result<Self, ChunkBoundsError> {
        if min_bytes == 0 || min_bytes > max_bytes || max_bytes > CHUNK_BYTES_MAX {
            return Err(ChunkBoundsError { min_bytes, max_bytes, limit_bytes: CHUNK_BYTES_MAX });
        }
        Ok(Self { min_bytes, max_bytes })
    }

    /// Shortest chunk in bytes, the last one of a stream excepted.
    #[must_use]
    pub const fn min_bytes(&self) -> usize {
        self.min_bytes
    }

    /// Longest chunk in bytes.
    #[must_use]
    pub const fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// See [`super::Chunker::next_chunk_bytes`].
    #[must_use]
    pub fn next_chunk_bytes(&self, buffer: &[u8], end_of_input: bool) -> Option<usize> {
        // Only this window decides, whatever else the caller has buffered.
        let window = buffer.get(..self.max_bytes).unwrap_or(buffer);
        if window.len() < self.max_bytes && !end_of_input {
            return None;
        }
        SliceChunker::new(window, self.min_bytes, self.max_bytes, MinCdcHash4::new()).next().map(|chunk| chunk.len())
    }
}
