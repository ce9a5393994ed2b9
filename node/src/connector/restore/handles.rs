//! A bounded number of open files: a snapshot may have more files than a process may open.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;

use super::EntryId;

const HANDLES_MAX: usize = 64;

/// The files written last.
#[derive(Debug, Default)]
pub(super) struct Handles {
    open: VecDeque<(EntryId, Arc<File>)>,
}

impl Handles {
    pub(super) fn get(&self, id: EntryId) -> Option<Arc<File>> {
        self.open.iter().rev().find(|(open, _file)| *open == id).map(|(_open, file)| Arc::clone(file))
    }

    pub(super) fn insert(&mut self, id: EntryId, file: Arc<File>) {
        if self.open.len() >= HANDLES_MAX {
            self.open.pop_front();
        }
        self.open.push_back((id, file));
    }

    pub(super) fn remove(&mut self, id: EntryId) {
        self.open.retain(|(open, _file)| *open != id);
    }
}
