//! Compressing a chunk when that pays, with contexts that are made once and used for many chunks.
//!
//! Whether it pays is decided per chunk: data that does not shrink is stored, and on long chunks a few samples are
//! tried first so that incompressible data costs almost nothing. This module never decompresses past the length its
//! caller states.

use zstd::zstd_safe::{CCtx, CParameter, DCtx, ResetDirective, compress_bound};

#[cfg(test)]
mod tests;

/// Length of one probe in bytes.
const PROBE_BYTES: usize = 4096;
/// Probes taken from a chunk.
const PROBES: usize = 4;
/// A chunk shorter than this is compressed without a probe.
const PROBE_FROM_BYTES: usize = 64 << 10;

/// What to do with a chunk before it is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Keep it as it is.
    Stored,
    /// Zstandard (RFC 8878), if that saves enough.
    Zstd {
        /// Level of the `zstd` library; negative is faster.
        level: i32,
    },
}

impl Default for Compression {
    fn default() -> Self {
        Self::Zstd { level: 1 }
    }
}

/// Why a chunk could not be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompressError {
    /// The library refused; the name is its own.
    #[error("zstd: {reason}")]
    Library {
        /// The library's name for the error.
        reason: &'static str,
    },
}

/// Why compressed bytes are not the chunk they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    /// The library refused: not a frame, damaged, or longer than stated.
    #[error("zstd: {reason}")]
    Library {
        /// The library's name for the error.
        reason: &'static str,
    },
    /// The frame is sound but shorter than stated.
    #[error("decompressed to {actual} bytes, expected {expected}")]
    Length {
        /// Bytes stated.
        expected: usize,
        /// Bytes found.
        actual: usize,
    },
}

/// A reusable compression context and its output buffer.
pub struct Compressor {
    context: CCtx<'static>,
    output: Vec<u8>,
}

impl Default for Compressor {
    fn default() -> Self {
        Self::new()
    }
}

impl Compressor {
    /// A fresh context. Its tables are allocated with the first chunk.
    #[must_use]
    pub fn new() -> Self {
        Self { context: CCtx::create(), output: Vec::new() }
    }

    /// `plaintext` compressed as `compression` says, or `None` if it is better stored.
    ///
    /// # Errors
    /// The library refuses the level or has no memory.
    pub(crate) fn compress(
        &mut self,
        plaintext: &[u8],
        compression: Compression,
    ) -> Result<Option<&[u8]>, CompressError> {
        let Compression::Zstd { level } = compression else {
            return Ok(None);
        };
        self.context.reset(ResetDirective::SessionAndParameters).map_err(refused)?;
        self.context.set_parameter(CParameter::CompressionLevel(level)).map_err(refused)?;
        if plaintext.len() >= PROBE_FROM_BYTES && !self.probes_shrink(plaintext)? {
            return Ok(None);
        }
        self.run(plaintext)?;
        Ok(pays(plaintext.len(), self.output.len()).then_some(self.output.as_slice()))
    }

    fn run(&mut self, plaintext: &[u8]) -> Result<(), CompressError> {
        self.output.clear();
        self.output.reserve(compress_bound(plaintext.len()));
        self.context.compress2(&mut self.output, plaintext).map_err(refused)?;
        Ok(())
    }

    /// Whether samples spread over `plaintext` shrink, taken together.
    fn probes_shrink(&mut self, plaintext: &[u8]) -> Result<bool, CompressError> {
        let mut compressed_bytes = 0;
        for probe in plaintext.chunks(plaintext.len().div_ceil(PROBES)) {
            self.run(probe.get(..PROBE_BYTES).unwrap_or(probe))?;
            compressed_bytes += self.output.len();
        }
        Ok(pays(PROBES * PROBE_BYTES, compressed_bytes))
    }
}

/// A reusable decompression context and the buffer that compressed bytes are opened into.
pub struct Decompressor {
    context: DCtx<'static>,
    pub(crate) input: Vec<u8>,
}

impl Default for Decompressor {
    fn default() -> Self {
        Self::new()
    }
}

impl Decompressor {
    /// A fresh context.
    #[must_use]
    pub fn new() -> Self {
        Self { context: DCtx::create(), input: Vec::new() }
    }

    /// Decompresses what `input` holds into all of `target`, and never writes past it.
    ///
    /// # Errors
    /// Not a frame, or a frame of another length. `target` is then undefined.
    pub(crate) fn decompress(&mut self, target: &mut [u8]) -> Result<(), DecompressError> {
        let expected = target.len();
        let actual = self
            .context
            .decompress(target, &self.input)
            .map_err(|code| DecompressError::Library { reason: zstd::zstd_safe::get_error_name(code) })?;
        if actual == expected { Ok(()) } else { Err(DecompressError::Length { expected, actual }) }
    }
}

/// Less than about 3 % saved is not worth the time of every later restore.
const fn pays(plaintext_bytes: usize, compressed_bytes: usize) -> bool {
    compressed_bytes < plaintext_bytes - plaintext_bytes / 32
}

fn refused(code: usize) -> CompressError {
    CompressError::Library { reason: zstd::zstd_safe::get_error_name(code) }
}
