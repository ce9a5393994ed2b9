//! A cut every `unit_bytes`: for heap files and databases that are rewritten in place.

use super::ChunkBoundsError;
use crate::limits::CHUNK_BYTES_MAX;

/// Cuts at multiples of one unit, counted from the start of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedSize {
    unit_bytes: usize,
}

impl FixedSize {
    /// A cut every `unit_bytes`.
    ///
    /// # Errors
    /// `unit_bytes` is 0 or exceeds [`CHUNK_BYTES_MAX`].
    pub const fn new(unit_bytes: usize) -> Result<Self, ChunkBoundsError> {
        if unit_bytes == 0 || unit_bytes > CHUNK_BYTES_MAX {
            return Err(ChunkBoundsError {
                min_bytes: unit_bytes,
                max_bytes: unit_bytes,
                limit_bytes: CHUNK_BYTES_MAX,
            });
        }
        Ok(Self { unit_bytes })
    }

    /// Length of every chunk in bytes, the last one of a stream excepted.
    #[must_use]
    pub const fn unit_bytes(&self) -> usize {
        self.unit_bytes
    }

    /// See [`super::Chunker::next_chunk_bytes`].
    #[must_use]
    pub fn next_chunk_bytes(&self, buffer: &[u8], end_of_input: bool) -> Option<usize> {
        if buffer.len() >= self.unit_bytes {
            Some(self.unit_bytes)
        } else if end_of_input && !buffer.is_empty() {
            Some(buffer.len())
        } else {
            None
        }
    }
}
