//! Large buffers that are used again.
//!
//! A fresh buffer of some MiB costs a page fault for every 4 KiB when it is filled, and the wiping allocator goes
//! over all of it once more when it is freed. On the way of every byte of a database that is more than its coding.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// Buffers that wait for their next use; clones are the same pool.
#[derive(Clone, Debug)]
pub struct BufferPool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    free: Mutex<Vec<Vec<u8>>>,
    kept_bytes_max: usize,
}

impl BufferPool {
    /// A pool that keeps at most `kept_bytes_max` bytes of buffers nobody uses.
    #[must_use]
    pub fn new(kept_bytes_max: usize) -> Self {
        Self { inner: Arc::new(Inner { free: Mutex::default(), kept_bytes_max }) }
    }

    /// A buffer with whatever its last user left in it, or an empty one.
    #[must_use]
    pub fn take(&self) -> Buffer {
        let bytes = self.inner.free.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        Buffer { bytes, pool: self.clone() }
    }

    /// Puts bytes of any origin under the pool's care.
    #[must_use]
    pub fn adopt(&self, bytes: Vec<u8>) -> Buffer {
        Buffer { bytes, pool: self.clone() }
    }

    fn keep(&self, bytes: Vec<u8>) {
        let mut free = self.inner.free.lock().unwrap_or_else(PoisonError::into_inner);
        let kept_bytes: usize = free.iter().map(Vec::capacity).sum();
        if bytes.capacity() > 0 && kept_bytes + bytes.capacity() <= self.inner.kept_bytes_max {
            free.push(bytes);
        }
    }
}

/// A buffer of a [`BufferPool`]; goes back when dropped.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    pool: BufferPool,
}

impl Buffer {
    /// The bytes, for whoever needs to own them; [`BufferPool::adopt`] brings them back.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pool.keep(std::mem::take(&mut self.bytes));
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::BufferPool;

    #[test]
    fn a_buffer_comes_back_and_too_many_are_let_go() {
        let pool = BufferPool::new(3 << 10);
        let mut first = pool.take();
        first.resize(1 << 10, 7);
        let at = first.as_ptr();
        drop(first);
        let again = pool.take();
        assert_eq!((again.as_ptr(), again.len()), (at, 1 << 10));
        drop(again);
        drop(pool.adopt(vec![0; 4 << 10]));
        drop(pool.adopt(vec![0; 2 << 10]));
        drop(pool.adopt(vec![0; 1 << 10]));
        let all: Vec<_> = std::iter::repeat_with(|| pool.take()).take(8).collect();
        assert_eq!(all.iter().map(|buffer| buffer.capacity()).sum::<usize>(), 3 << 10);
    }

    #[test]
    fn bytes_that_were_taken_out_do_not_come_back() {
        let pool = BufferPool::new(1 << 20);
        let mut buffer = pool.take();
        buffer.extend_from_slice(b"mine");
        assert_eq!(buffer.into_bytes(), b"mine");
        assert_eq!(pool.take().capacity(), 0);
    }
}
