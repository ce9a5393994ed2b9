//! Syncing a large file while it is still being written: its last sync has little left to wait for, and a register
//! larger than the memory does not drive everything else out of the page cache.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes written between two syncs.
const SYNC_EVERY_BYTES: u64 = 32 << 20;

enum Message {
    Sync(Arc<File>),
    Settle(SyncSender<()>),
}

/// A thread that syncs.
#[derive(Debug)]
pub(super) struct WriteBehind {
    send: SyncSender<Message>,
    failure: Arc<Mutex<Option<io::Error>>>,
    unsynced_bytes: AtomicU64,
    is_used: AtomicBool,
}

impl WriteBehind {
    pub(super) fn start() -> io::Result<Self> {
        let (send, receive) = sync_channel(1);
        let failure = Arc::new(Mutex::default());
        let seen = Arc::clone(&failure);
        std::thread::Builder::new()
            .name("write-behind".to_owned())
            .spawn(move || sync_all_that_comes(&receive, &seen))?;
        Ok(Self { send, failure, unsynced_bytes: AtomicU64::new(0), is_used: AtomicBool::new(false) })
    }

    /// `bytes` more were written to `file`.
    pub(super) fn wrote(&self, file: &Arc<File>, bytes: usize) {
        let unsynced_bytes = self.unsynced_bytes.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        // While the thread is busy, what was written waits for the next turn.
        if unsynced_bytes >= SYNC_EVERY_BYTES && self.send.try_send(Message::Sync(Arc::clone(file))).is_ok() {
            self.unsynced_bytes.store(0, Ordering::Relaxed);
            self.is_used.store(true, Ordering::Relaxed);
        }
    }

    /// Waits until the thread is idle. The system tells an error of writing back only once, to whoever syncs first:
    /// so it is asked for here, before the last sync of a file.
    ///
    /// # Errors
    /// A sync failed since the last call.
    pub(super) fn settle(&self) -> io::Result<()> {
        if !self.is_used.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let (done, wait) = sync_channel(0);
        let stopped = || io::Error::other("the thread that syncs has stopped");
        self.send.send(Message::Settle(done)).map_err(|_stopped| stopped())?;
        wait.recv().map_err(|_stopped| stopped())?;
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.map_or(Ok(()), Err)
    }
}

fn sync_all_that_comes(receive: &Receiver<Message>, failure: &Mutex<Option<io::Error>>) {
    for message in receive {
        match message {
            Message::Sync(file) => {
                if let Err(error) = file.sync_data() {
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
                // What is on disk gives its memory to what comes next. Only advice: nothing is lost without it.
                let _unadvised = rustix::fs::fadvise(&*file, 0, None, rustix::fs::Advice::DontNeed);
            }
            // Nobody waits any more if the restore was given up.
            Message::Settle(done) => drop(done.send(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::ErrorKind;
    use std::os::fd::OwnedFd;
    use std::sync::Arc;

    use super::{SYNC_EVERY_BYTES, WriteBehind};

    #[test]
    fn a_sync_that_fails_is_told_once_before_the_last_one() {
        let write_behind = WriteBehind::start().unwrap();
        // A pipe cannot be synced.
        let (_read, write) = std::io::pipe().unwrap();
        let file = Arc::new(File::from(OwnedFd::from(write)));
        let bytes = usize::try_from(SYNC_EVERY_BYTES).unwrap();
        write_behind.wrote(&file, bytes - 1);
        write_behind.settle().unwrap();
        write_behind.wrote(&file, 1);
        assert_eq!(write_behind.settle().unwrap_err().kind(), ErrorKind::InvalidInput);
        write_behind.settle().unwrap();
    }
}
