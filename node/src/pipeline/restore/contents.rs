//! Reading the inner tree as a stream of items.

use std::collections::VecDeque;
use std::sync::Arc;

use protocol::contents::{ChunkPlace, ContentsRoot, Item, ItemReader};

use super::RestoreError;
use super::windows::Opener;

/// Contents chunks opened together.
const GROUP: usize = 32;

/// The items of a snapshot, in order.
pub(super) struct ContentsReader {
    opener: Arc<Opener>,
    waiting: VecDeque<ChunkPlace>,
    reader: ItemReader,
}

impl ContentsReader {
    /// Follows the lists down to the chunks of the items.
    pub(super) async fn open(root: &ContentsRoot, opener: Arc<Opener>) -> Result<Self, RestoreError> {
        let mut chunks: Vec<ChunkPlace> = root.chunks.iter().collect();
        for _level in 0..root.depth {
            let waiting = chunks.drain(..).collect();
            let mut list = Self { opener: opener.clone(), waiting, reader: ItemReader::default() };
            while let Some(item) = list.next_item().await? {
                match item {
                    Item::Chunks(run) => chunks.extend(run.iter()),
                    Item::Entry(_) => {
                        let why = "an entry in a list of chunks".to_owned();
                        return Err(protocol::contents::ContentsError::Invalid(why).into());
                    }
                }
            }
        }
        Ok(Self { opener, waiting: chunks.into(), reader: ItemReader::default() })
    }

    /// The next item, or `None` at the end.
    pub(super) async fn next_item(&mut self) -> Result<Option<Item>, RestoreError> {
        loop {
            if let Some(item) = self.reader.next_item()? {
                return Ok(Some(item));
            }
            if self.waiting.is_empty() {
                self.reader.finish()?;
                return Ok(None);
            }
            let group: Vec<ChunkPlace> = self.waiting.drain(..self.waiting.len().min(GROUP)).collect();
            for plaintext in self.opener.chunks("the contents", &group).await? {
                self.reader.feed(&plaintext);
            }
        }
    }
}
