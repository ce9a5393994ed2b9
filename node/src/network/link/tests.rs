//! A site that drips: every byte comes in time, the answer never ends.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use protocol::cbor;
use tokio::time::{Interval, interval};

use super::*;

/// Far below any limit on the wait for a single byte.
const DRIP: Duration = Duration::from_millis(5);
/// By then a test without a limit has failed.
const FOR_EVER: Duration = Duration::from_secs(10);

/// Takes whatever is written, answers with `answer` at once and with zeros from then on, one byte at a time.
struct Dripping {
    answer: Vec<u8>,
    drops: Interval,
}

impl Dripping {
    fn new(answer: Vec<u8>) -> Self {
        Self { answer, drops: interval(DRIP) }
    }
}

impl AsyncRead for Dripping {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.answer.is_empty() {
            ready!(self.drops.poll_tick(cx));
            into[0] = 0;
            return Poll::Ready(Ok(1));
        }
        let count = into.len().min(self.answer.len());
        into[..count].copy_from_slice(&self.answer[..count]);
        self.answer.drain(..count);
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Dripping {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

const REQUEST: Request = Request::Charters { from_version: 1 };

async fn exchange(limits: &Limits, answer: Vec<u8>, body: &[u8], bytes_max: usize) -> FrameError {
    let mut site = Dripping::new(answer);
    let exchanged = exchange_within(limits, &mut site, &REQUEST, body, bytes_max);
    tokio::time::timeout(FOR_EVER, exchanged).await.expect("the call hangs").unwrap_err()
}

#[tokio::test]
async fn an_answer_that_drips_for_ever_ends_in_time() {
    let (short, long) = (Duration::from_millis(150), Duration::from_secs(3_600));
    // A control call: the header promises a mebibyte.
    let header = (1_u32 << 20).to_be_bytes().to_vec();
    let limits = Limits { control: short, bulk: long };
    assert!(matches!(exchange(&limits, header.clone(), &[], 0).await, FrameError::Stalled));
    // A shard that is fetched: it is announced at once, and drips.
    let announced = cbor::encode(&Response::Body { bytes: 1 << 20 });
    let announced = [&u32::try_from(announced.len()).unwrap().to_be_bytes()[..], &announced].concat();
    let limits = Limits { control: long, bulk: short };
    assert!(matches!(exchange(&limits, announced, &[], 1 << 20).await, FrameError::Stalled));
    // A shard that is brought: the answer drips.
    assert!(matches!(exchange(&limits, header, b"shard", 0).await, FrameError::Stalled));
    // What the program itself uses is of this kind.
    assert!(LIMITS.control <= Duration::from_secs(120) && LIMITS.bulk <= Duration::from_secs(600));
}
