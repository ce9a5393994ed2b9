//! One stream: frames of CBOR, and raw bodies between them (`docs/format.md`, "Wire").
//!
//! A length is checked before anything is allocated for it, and every read and write must make progress within
//! [`STALL`], so neither a length of 4 GiB nor a peer that stops half-way costs more than one stream.

use std::future::Future;
use std::io;
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use protocol::cbor;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A peer that moves no byte for this long is given up.
pub const STALL: Duration = Duration::from_secs(30);
/// Bodies are read and written in pieces of this many bytes.
pub const PIECE_BYTES: usize = 256 << 10;

/// What can go wrong on a stream.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer closed the stream between two frames.
    #[error("the peer closed the stream")]
    Closed,
    /// The transport failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// No progress.
    #[error("no progress for {} s", STALL.as_secs())]
    Stalled,
    /// A frame longer than this peer may send.
    #[error("a frame of {actual} bytes where at most {max} are allowed")]
    TooLong {
        /// The length in its header.
        actual: usize,
        /// The bound.
        max: usize,
    },
    /// A frame that does not decode.
    #[error(transparent)]
    Decode(#[from] cbor::DecodeError),
}

async fn within<T>(step: impl Future<Output = io::Result<T>>) -> Result<T, FrameError> {
    match tokio::time::timeout(STALL, step).await {
        Ok(result) => Ok(result?),
        Err(_elapsed) => Err(FrameError::Stalled),
    }
}

/// Writes one frame and flushes.
///
/// # Errors
/// The connection failed or stalled.
pub async fn write_frame<T: Serialize>(stream: &mut (impl AsyncWrite + Unpin), message: &T) -> Result<(), FrameError> {
    let body = cbor::encode(message);
    let length =
        u32::try_from(body.len()).map_err(|_long| FrameError::TooLong { actual: body.len(), max: 0xffff_ffff })?;
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&body);
    write_body(stream, &frame).await
}

/// Reads one frame of at most `bytes_max` bytes. `idle` bounds the wait for its first byte.
///
/// # Errors
/// Closed, failed, stalled, too long, or not the type.
pub async fn read_frame<T: Serialize + DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
    bytes_max: usize,
    idle: Duration,
) -> Result<T, FrameError> {
    let mut header = [0; 4];
    let (first, rest) = header.split_at_mut(1);
    match tokio::time::timeout(idle, stream.read(first)).await {
        Ok(Ok(0)) => return Err(FrameError::Closed),
        Ok(Ok(_one)) => {}
        Ok(Err(error)) => return Err(error.into()),
        Err(_elapsed) => return Err(FrameError::Stalled),
    }
    within(stream.read_exact(rest)).await?;
    let actual = usize::try_from(u32::from_be_bytes(header)).unwrap_or(usize::MAX);
    if actual > bytes_max {
        return Err(FrameError::TooLong { actual, max: bytes_max });
    }
    let body = read_body(stream, actual, Vec::new()).await?;
    Ok(cbor::decode(&body, bytes_max)?)
}

/// Writes raw bytes and flushes.
///
/// # Errors
/// The connection failed or stalled.
pub async fn write_body(stream: &mut (impl AsyncWrite + Unpin), body: &[u8]) -> Result<(), FrameError> {
    for piece in body.chunks(PIECE_BYTES) {
        within(stream.write_all(piece)).await?;
    }
    within(stream.flush()).await
}

/// Reads exactly `bytes` raw bytes into `buffer`, whose old contents are replaced. The caller has bounded `bytes`;
/// memory grows only as they arrive.
///
/// # Errors
/// The connection failed or stalled.
pub async fn read_body(
    stream: &mut (impl AsyncRead + Unpin),
    bytes: usize,
    buffer: Vec<u8>,
) -> Result<Vec<u8>, FrameError> {
    let mut body = buffer;
    body.truncate(bytes);
    body.reserve_exact(bytes.min(8 << 20).saturating_sub(body.len()));
    let mut filled = 0;
    while filled < bytes {
        let end = bytes.min(filled + PIECE_BYTES);
        if body.len() < end {
            body.resize(end, 0); // what is there from the last use needs no zeros
        }
        let piece = body.get_mut(filled..end).unwrap_or_default();
        within(stream.read_exact(piece)).await?;
        filled = end;
    }
    Ok(body)
}

#[cfg(test)]
mod tests;
