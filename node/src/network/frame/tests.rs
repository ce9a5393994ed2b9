//! Hostile frames.

use std::time::Duration;

use futures::io::Cursor;
use protocol::cbor::DecodeError;
use protocol::wire::Request;

use super::{FrameError, read_frame, write_frame};

const IDLE: Duration = Duration::from_secs(1);

async fn read(bytes: &[u8], bytes_max: usize) -> Result<Request, FrameError> {
    read_frame(&mut Cursor::new(bytes), bytes_max, IDLE).await
}

#[tokio::test]
async fn round_trip() {
    let mut stream = Vec::new();
    let request = Request::Charters { from_version: 1 };
    write_frame(&mut stream, &request).await.unwrap();
    assert_eq!(read(&stream, 1_000).await.unwrap(), request);
}

#[tokio::test]
async fn a_gibibyte_header_is_refused_before_it_is_read() {
    let error = read(&[0x40, 0, 0, 0, 1, 2, 3], 1_000).await.unwrap_err();
    assert!(matches!(error, FrameError::TooLong { actual: 0x4000_0000, max: 1_000 }), "{error}");
}

#[tokio::test]
async fn depth_trailing_bytes_unknown_requests_and_cuts_are_errors() {
    let deep: Vec<u8> = [&1_000u32.to_be_bytes()[..], &[0x81; 1_000]].concat();
    let unknown = [&[0, 0, 0, 5][..], b"\x64nope"].concat();
    let mut trailing = Vec::new();
    write_frame(&mut trailing, &Request::Charters { from_version: 1 }).await.unwrap();
    trailing.push(0xf6);
    trailing[3] += 1;
    for bytes in [&deep[..], &unknown, &trailing] {
        let error = read(bytes, 10_000).await.unwrap_err();
        assert!(matches!(error, FrameError::Decode(DecodeError::Malformed(_))), "{error}");
    }
    assert!(matches!(read(&[0, 0, 0, 9, 1], 1_000).await, Err(FrameError::Io(_))));
    assert!(matches!(read(&[], 1_000).await, Err(FrameError::Closed)));
}
