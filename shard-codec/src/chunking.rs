//! Cutting a stream of plaintext into chunks, the same way every time.
//!
//! Where a cut falls decides which chunks of the next snapshot are found again, so cut points are pinned by vectors
//! and never depend on how the input was buffered. This module refuses to read: the caller owns the stream.
//! Read next: [`content_defined`] for dumps and files, [`fixed_size`] for files with pages.

pub mod content_defined;
pub mod fixed_size;

pub use content_defined::ContentDefined;
pub use fixed_size::FixedSize;

/// Bounds that cannot cut anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("chunks of {min_bytes} to {max_bytes} bytes: need 1 <= min <= max <= {limit_bytes}")]
pub struct ChunkBoundsError {
    /// Shortest chunk asked for.
    pub min_bytes: usize,
    /// Longest chunk asked for.
    pub max_bytes: usize,
    /// Longest chunk the format allows.
    pub limit_bytes: usize,
}

/// How a stream is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunker {
    /// Where the content says so: stable under insertion and deletion.
    ContentDefined(ContentDefined),
    /// Every so many bytes: for files that are rewritten in place, page by page.
    FixedSize(FixedSize),
}

impl Default for Chunker {
    fn default() -> Self {
        Self::ContentDefined(ContentDefined::default())
    }
}

impl Chunker {
    /// Length in bytes of the chunk at the front of `buffer`, or `None` if more input is needed to decide.
    ///
    /// Call it, take that many bytes off the front, call it again. `None` with `end_of_input` means that nothing is
    /// left. The answer depends on the first [`Chunker::max_bytes`] bytes only.
    #[must_use]
    pub fn next_chunk_bytes(&self, buffer: &[u8], end_of_input: bool) -> Option<usize> {
        match self {
            Self::ContentDefined(cut) => cut.next_chunk_bytes(buffer, end_of_input),
            Self::FixedSize(cut) => cut.next_chunk_bytes(buffer, end_of_input),
        }
    }

    /// Longest chunk in bytes: a buffer this long is always enough to decide.
    #[must_use]
    pub const fn max_bytes(&self) -> usize {
        match self {
            Self::ContentDefined(cut) => cut.max_bytes(),
            Self::FixedSize(cut) => cut.unit_bytes(),
        }
    }
}
