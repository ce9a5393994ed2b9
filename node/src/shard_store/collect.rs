//! Removing shards that nothing refers to any more. What refers to what is decided above; here is only how a shard goes.
//!
//! A shard is *noted* first, with the moment, and removed when it was noted long enough ago. Whoever puts it again, or is
//! told that it is here, takes the note away: what a backup relies on is never removed from under it. The file goes
//! first, then the index, all of a call in one transaction:
//!
//! | after | shards/ | index | at the next open |
//! | --- | --- | --- | --- |
//! | noting | whole file | entry, note | stored |
//! | 1 file unlinked | nothing, or whole file | entry, note | missing and not claimed, or stored; removed in the next round |
//! | 2 directories fsynced | - | entry, note | missing and not claimed; removed in the next round |
//! | 3 index committed | - | - | gone |

use std::io;

use shard_codec::Digest;

use super::{Inner, ShardStore, StoredShard};
use crate::redb_file::RedbFileError;

/// Shards removed by one call: others wait for the lock meanwhile.
const REMOVED_AT_ONCE_MAX: usize = 64;

/// Shards cannot be collected; what was not removed will be in a later round.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// A file cannot be removed.
    #[error("shard {root} cannot be removed: {source}")]
    Io {
        /// Which.
        root: Digest,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The index.
    #[error(transparent)]
    Index(#[from] RedbFileError),
}

/// What a round has removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Shards.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl ShardStore {
    /// At most `limit` shards of the index after `after`, in the order of their roots; those too that are not claimed.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn indexed(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<StoredShard>, RedbFileError> {
        self.inner.index.entries(after, limit, |_root| true)
    }

    /// Takes the notes of the `referenced` away, notes the `unreferenced` at `at_ms`, and removes those of them that were
    /// noted `grace_ms` before.
    ///
    /// # Errors
    /// As [`CollectError`]; what is referenced is whole in any case.
    pub fn collect(
        &self,
        unreferenced: &[Digest],
        referenced: &[Digest],
        at_ms: u64,
        grace_ms: u64,
    ) -> Result<Collected, CollectError> {
        let inner = &self.inner;
        let _committing = inner.committing();
        inner.forget_notes(referenced)?;
        let (mut new, mut ripe) = (Vec::new(), Vec::new());
        {
            let notes = inner.notes();
            for root in unreferenced {
                match notes.get(root) {
                    None => new.push(*root),
                    Some(noted) if noted.saturating_add(grace_ms) <= at_ms => ripe.push(*root),
                    Some(_waits) => {}
                }
            }
        }
        if !new.is_empty() {
            inner.index.note(&new, at_ms)?;
            inner.notes().extend(new.into_iter().map(|root| (root, at_ms)));
        }
        ripe.truncate(REMOVED_AT_ONCE_MAX); // the rest in the next round
        if ripe.is_empty() { Ok(Collected::default()) } else { inner.remove(&ripe) }
    }
}

impl Inner {
    /// Whoever holds the commit lock takes these notes away.
    pub(super) fn forget_notes(&self, roots: &[Digest]) -> Result<(), RedbFileError> {
        let noted: Vec<Digest> = {
            let notes = self.notes();
            roots.iter().filter(|root| notes.contains_key(*root)).copied().collect()
        };
        if noted.is_empty() {
            return Ok(());
        }
        self.index.forget_notes(&noted)?;
        let mut notes = self.notes();
        noted.iter().for_each(|root| _ = notes.remove(root));
        Ok(())
    }

    /// Removes what it can; the first error is returned at the end. What was unlinked is not claimed any more, whatever fails
    /// after it. The caller holds the commit lock.
    fn remove(&self, roots: &[Digest]) -> Result<Collected, CollectError> {
        let mut collected = Collected::default();
        let (mut gone, mut failure) = (Vec::new(), None);
        for shard in self.index.get_each(roots)? {
            self.ledger().withdraw(&shard);
            match self.place.unlink(&shard.root) {
                Ok(bytes) => {
                    self.ledger().occupy(bytes, 0);
                    collected.bytes += bytes;
                    gone.push(shard.root);
                }
                Err(source) => {
                    // A file that stays is one; a storage that does not answer does not for the others either.
                    let is_over = source.kind() == io::ErrorKind::Other;
                    failure = failure.or(Some(CollectError::Io { root: shard.root, source }));
                    if is_over {
                        break;
                    }
                }
            }
        }
        if let Some(root) = gone.first().copied() {
            self.place.settle(&gone).map_err(|source| CollectError::Io { root, source })?;
        }
        #[cfg(test)]
        if self.fault.crashes_before_index() {
            let source = io::Error::other("crash injected by a test");
            return Err(CollectError::Io { root: Digest::of(&[]), source });
        }
        self.index.remove(&gone)?;
        let (mut ledger, mut notes) = (self.ledger(), self.notes());
        for root in &gone {
            ledger.forget(root);
            notes.remove(root);
        }
        collected.count = gone.len() as u64;
        failure.map_or(Ok(collected), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{contents, is_stored, open, put, shard_path};
    use super::*;

    fn root(number: u8) -> Digest {
        Digest::of(&contents(number))
    }

    #[test]
    fn what_was_noted_long_enough_goes_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _report) = open(&dir);
        (1..=3).for_each(|number| put(&store, &contents(number)).unwrap());
        let (free, kept) = ([root(1), root(2)], [root(3)]);
        assert_eq!(store.collect(&free, &kept, 1_000, 500).unwrap(), Collected::default());
        assert_eq!(store.collect(&free, &kept, 1_499, 500).unwrap().count, 0);
        // A start does not take the notes away.
        drop(store);
        let (store, _report) = open(&dir);
        let bytes = contents(1).len() as u64;
        assert_eq!(store.stored_bytes(super::super::tests::DATABASE), 3 * bytes);
        let collected = store.collect(&free, &kept, 1_500, 500).unwrap();
        assert_eq!(collected, Collected { count: 2, bytes: 2 * bytes });
        assert_eq!((store.count(), store.stored_bytes(super::super::tests::DATABASE)), (1, bytes));
        assert!(!shard_path(&store, &contents(1)).exists() && store.read(&root(3)).is_ok());
        assert!(!store.contains(&root(1)).unwrap());
        drop(store);
        let (store, report) = open(&dir);
        assert!(report.is_whole() && report.unindexed.is_empty());
        assert_eq!(store.indexed(None, 10).unwrap().len(), 1);
        // It may come again.
        put(&store, &contents(1)).unwrap();
        assert!(is_stored(&store, &contents(1)));
    }

    /// Attack: a backup is told that a shard is here, and it is removed before the snapshot is published.
    #[test]
    fn whoever_is_told_that_a_shard_is_here_finds_it_there() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _report) = open(&dir);
        (1..=3).for_each(|number| put(&store, &contents(number)).unwrap());
        let free = [root(1), root(2), root(3)];
        store.collect(&free, &[], 1_000, 500).unwrap();
        assert_eq!(store.missing(&[root(2), root(9)]).unwrap(), [root(9)], "another site only asks");
        assert_eq!(store.rely_on(&[root(1), root(9)]).unwrap(), [root(9)]);
        assert!(is_stored(&store, &contents(2)));
        assert_eq!(store.collect(&free, &[], 1_600, 500).unwrap().count, 1);
        assert!(store.contains(&root(1)).unwrap() && store.contains(&root(2)).unwrap());
        assert!(!store.contains(&root(3)).unwrap());
        // What something refers to again begins anew as well.
        store.collect(&[], &[root(1)], 1_700, 500).unwrap();
        assert_eq!(store.collect(&free[..2], &[], 2_150, 500).unwrap().count, 1);
        assert!(store.contains(&root(1)).unwrap());
    }

    /// A disk that does not let a file go: the others go, and what is uncertain is not promised.
    #[test]
    fn one_file_that_stays_does_not_hold_up_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _report) = open(&dir);
        (1..=3).for_each(|number| put(&store, &contents(number)).unwrap());
        // A directory of that name cannot be unlinked as a file.
        std::fs::remove_file(shard_path(&store, &contents(2))).unwrap();
        std::fs::create_dir(shard_path(&store, &contents(2))).unwrap();
        let free = [root(1), root(2), root(3)];
        store.collect(&free, &[], 1_000, 0).unwrap();
        let error = store.collect(&free, &[], 1_000, 0).unwrap_err();
        assert!(error.to_string().contains(&root(2).to_string()), "{error}");
        assert_eq!(store.indexed(None, 10).unwrap().len(), 1);
        assert!(!store.contains(&root(2)).unwrap(), "nobody is told that it is here");
    }

    #[test]
    fn a_crash_between_file_and_index_leaves_nothing_that_counts() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _report) = open(&dir);
        (1..=2).for_each(|number| put(&store, &contents(number)).unwrap());
        store.collect(&[root(1)], &[root(2)], 1_000, 0).unwrap();
        store.inner.fault.crash_before_index();
        store.collect(&[root(1)], &[root(2)], 1_000, 0).unwrap_err();
        drop(store);
        let (store, report) = open(&dir);
        assert_eq!(report.missing.len(), 1);
        assert!(!store.contains(&root(1)).unwrap() && store.read(&root(2)).is_ok());
        assert_eq!(store.indexed(None, 10).unwrap().len(), 2, "the next round sees it");
        assert_eq!(store.collect(&[root(1)], &[root(2)], 1_000, 0).unwrap(), Collected { count: 1, bytes: 0 });
        drop(store);
        let (store, report) = open(&dir);
        assert!(report.is_whole() && store.count() == 1);
    }
}
