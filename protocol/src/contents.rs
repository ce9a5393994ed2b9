//! The sealed inner tree of a snapshot: which files there are and which chunks they are made of.
//!
//! Contents are a stream of [`Item`]s. The stream is cut, sealed and striped like any other data; the list of *its*
//! chunks is the next level, and so on until a list fits into the [`ContentsRoot`], which is sealed with the snapshot
//! key. Whoever can open the root can open everything; nothing else of the snapshot needs a key of its own.
//!
//! Decoding is bounded and strict, but contents are authenticated by the writer's manifest: a hostile writer can
//! describe absurd files, and the restorer must treat every path and length as such.

use serde::{Deserialize, Serialize};
use shard_codec::limits::CHUNK_BYTES_MAX;

use crate::cbor::{self, DecodeError};

/// Chunks in one [`ChunkRun`] at the most.
pub const RUN_CHUNKS_MAX: usize = 1_024;
/// One encoded item in bytes at the most.
pub const ITEM_BYTES_MAX: usize = 128 << 10;
/// A root in bytes at the most, before sealing.
pub const ROOT_BYTES_MAX: usize = 192 << 10;
/// Levels of lists at the most; three levels hold more than an exabyte.
pub const DEPTH_MAX: u8 = 4;
/// Version of the root.
pub const ROOT_VERSION: u16 = 1;

/// Bytes of one place: stripe number (8), offset (4), sealed bytes (4), plaintext bytes (4), all big-endian.
const PLACE_BYTES: usize = 20;
const HASH_BYTES: usize = 32;

/// Where one chunk lies, and the hash that names and opens it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChunkPlace {
    /// Keyed hash of the plaintext: the chunk's key is derived from it, so it is secret.
    pub hash: [u8; 32],
    /// The stripe.
    pub stripe_number: u64,
    /// First byte in the stripe's payload.
    pub offset: u32,
    /// Length there.
    pub sealed_bytes: u32,
    /// Length of the plaintext.
    pub plaintext_bytes: u32,
}

impl std::fmt::Debug for ChunkPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { stripe_number, offset, sealed_bytes, plaintext_bytes, .. } = self;
        write!(f, "ChunkPlace(stripe {stripe_number}, {offset}+{sealed_bytes}, plaintext {plaintext_bytes})")
    }
}

/// Chunks that follow each other, in columns: hashes together and places together, which is small and fast.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkRun {
    #[serde(with = "serde_bytes")]
    hashes: Vec<u8>,
    #[serde(with = "serde_bytes")]
    places: Vec<u8>,
}

impl std::fmt::Debug for ChunkRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChunkRun({} chunks, hashes redacted)", self.len())
    }
}

impl ChunkRun {
    /// Appends one chunk.
    pub fn push(&mut self, chunk: &ChunkPlace) {
        self.hashes.extend_from_slice(&chunk.hash);
        self.places.extend_from_slice(&chunk.stripe_number.to_be_bytes());
        self.places.extend_from_slice(&chunk.offset.to_be_bytes());
        self.places.extend_from_slice(&chunk.sealed_bytes.to_be_bytes());
        self.places.extend_from_slice(&chunk.plaintext_bytes.to_be_bytes());
    }

    /// Number of chunks.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.hashes.len() / HASH_BYTES
    }

    /// Whether it holds none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The chunks, in order.
    pub fn iter(&self) -> impl Iterator<Item = ChunkPlace> {
        let (hashes, _) = self.hashes.as_chunks::<HASH_BYTES>();
        let (places, _) = self.places.as_chunks::<PLACE_BYTES>();
        hashes.iter().zip(places).map(|(hash, place)| {
            let [s0, s1, s2, s3, s4, s5, s6, s7, o0, o1, o2, o3, c0, c1, c2, c3, p0, p1, p2, p3] = *place;
            ChunkPlace {
                hash: *hash,
                stripe_number: u64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
                offset: u32::from_be_bytes([o0, o1, o2, o3]),
                sealed_bytes: u32::from_be_bytes([c0, c1, c2, c3]),
                plaintext_bytes: u32::from_be_bytes([p0, p1, p2, p3]),
            }
        })
    }

    fn validate(&self) -> Result<(), String> {
        let count = self.len();
        if self.hashes.len() != count * HASH_BYTES || self.places.len() != count * PLACE_BYTES {
            return Err("a run of chunks with columns of different length".to_owned());
        }
        if count > RUN_CHUNKS_MAX {
            return Err(format!("a run of {count} chunks where at most {RUN_CHUNKS_MAX} are allowed"));
        }
        let too_long =
            |chunk: &ChunkPlace| usize::try_from(chunk.plaintext_bytes).unwrap_or(usize::MAX) > CHUNK_BYTES_MAX;
        if self.iter().any(|chunk| too_long(&chunk)) {
            return Err(format!("a chunk of more than {CHUNK_BYTES_MAX} bytes"));
        }
        Ok(())
    }
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum EntryKind {
    /// A file; its chunks follow.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink {
        /// Where it points, unchanged.
        target: String,
    },
}

/// One file, directory or link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Relative, separated by `/`.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits.
    pub mode: u32,
    /// Milliseconds since 1970, may be negative.
    pub modified_ms: i64,
}

/// One element of the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Item {
    /// A new entry begins.
    Entry(Entry),
    /// The next chunks of the file that began last.
    Chunks(ChunkRun),
}

/// What the snapshot key opens.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentsRoot {
    /// Format version.
    pub version: u16,
    /// The database's dedup secret, so that a restored home goes on with small snapshots.
    #[serde(with = "serde_bytes")]
    pub dedup_secret: [u8; 32],
    /// How many levels of lists stand between `chunks` and the items: 0 if `chunks` are the items' own.
    pub depth: u8,
    /// The top list.
    pub chunks: ChunkRun,
    /// Entries in the stream.
    pub entry_count: u64,
    /// All files together, in bytes.
    pub plaintext_bytes: u64,
}

impl std::fmt::Debug for ContentsRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { version, depth, chunks, entry_count, plaintext_bytes, .. } = self;
        write!(
            f,
            "ContentsRoot(version {version}, depth {depth}, {chunks:?}, {entry_count} entries, {plaintext_bytes} bytes, \
             dedup secret redacted)"
        )
    }
}

impl ContentsRoot {
    /// Encodes the root.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Decodes a root.
    ///
    /// # Errors
    /// Not a root, of an unknown version, or out of bounds.
    pub fn decode(bytes: &[u8]) -> Result<Self, ContentsError> {
        let root: Self = cbor::decode(bytes, ROOT_BYTES_MAX)?;
        if root.version != ROOT_VERSION {
            return Err(ContentsError::Version { actual: root.version });
        }
        if root.depth > DEPTH_MAX {
            return Err(ContentsError::Invalid(format!("{} levels of lists", root.depth)));
        }
        root.chunks.validate().map_err(ContentsError::Invalid)?;
        Ok(root)
    }
}

/// Why contents cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentsError {
    /// Not an encoding.
    #[error("contents: {0}")]
    Decode(#[from] DecodeError),
    /// Written by another version.
    #[error("contents version {actual} is not known here: upgrade legation")]
    Version {
        /// The version found.
        actual: u16,
    },
    /// Contradicts itself.
    #[error("contents: {0}")]
    Invalid(String),
    /// The stream ends inside an item.
    #[error("contents end in the middle of an item")]
    Truncated,
}

/// Appends one item to a stream: 4-byte big-endian length, then CBOR.
pub fn write_item(item: &Item, stream: &mut Vec<u8>) {
    let bytes = cbor::encode(item);
    // ITEM_BYTES_MAX bounds every item this crate can build, far below 4 GiB.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    stream.extend_from_slice(&length.to_be_bytes());
    stream.extend_from_slice(&bytes);
}

/// Cuts a stream that arrives in pieces back into items.
#[derive(Debug, Default)]
pub struct ItemReader {
    buffer: Vec<u8>,
    consumed: usize,
}

impl ItemReader {
    /// Adds the next bytes of the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.consumed);
        self.consumed = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole item, if it is there.
    ///
    /// # Errors
    /// Too long, malformed, or contradicting itself.
    pub fn next_item(&mut self) -> Result<Option<Item>, ContentsError> {
        let rest = self.buffer.get(self.consumed..).unwrap_or_default();
        let Some((header, body)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*header)).unwrap_or(usize::MAX);
        if length > ITEM_BYTES_MAX {
            return Err(DecodeError::TooLong { actual: length, max: ITEM_BYTES_MAX }.into());
        }
        let Some(body) = body.get(..length) else { return Ok(None) };
        let item: Item = cbor::decode(body, ITEM_BYTES_MAX)?;
        if let Item::Chunks(run) = &item {
            run.validate().map_err(ContentsError::Invalid)?;
        }
        self.consumed += 4 + length;
        Ok(Some(item))
    }

    /// Call it when the stream has ended.
    ///
    /// # Errors
    /// Bytes are left over.
    pub fn finish(&self) -> Result<(), ContentsError> {
        if self.consumed == self.buffer.len() { Ok(()) } else { Err(ContentsError::Truncated) }
    }
}

/// What binds a sealed root to its snapshot.
#[must_use]
pub fn root_context(state: &shard_codec::Digest, database: &crate::identifier::DatabaseName, sequence: u64) -> Vec<u8> {
    let name = database.as_str().as_bytes();
    let mut context = b"legation v1 contents root".to_vec();
    context.extend_from_slice(state.as_bytes());
    context.push(u8::try_from(name.len()).unwrap_or(u8::MAX)); // names have at most 63 bytes
    context.extend_from_slice(name);
    context.extend_from_slice(&sequence.to_be_bytes());
    context
}

#[cfg(test)]
mod tests {
    use super::{ChunkPlace, ChunkRun, ContentsError, Item, ItemReader, write_item};

    fn run(count: u32) -> ChunkRun {
        let mut run = ChunkRun::default();
        for index in 0..count {
            let hash = [u8::try_from(index % 251).unwrap(); 32];
            let stripe_number = u64::from(index) << 20;
            run.push(&ChunkPlace { hash, stripe_number, offset: index, sealed_bytes: 7, plaintext_bytes: 9 });
        }
        run
    }

    #[test]
    fn items_survive_any_cut() {
        let items = [Item::Chunks(run(3)), Item::Chunks(run(1_024)), Item::Chunks(run(0))];
        let mut stream = Vec::new();
        items.iter().for_each(|item| write_item(item, &mut stream));
        for step in [1, 7, 4_096, stream.len()] {
            let (mut reader, mut found) = (ItemReader::default(), Vec::new());
            for piece in stream.chunks(step) {
                reader.feed(piece);
                while let Some(item) = reader.next_item().unwrap() {
                    found.push(item);
                }
            }
            reader.finish().unwrap();
            assert_eq!(found, items);
        }
    }

    #[test]
    fn hostile_streams_are_errors() {
        let mut reader = ItemReader::default();
        reader.feed(&[0xff; 8]);
        assert!(matches!(reader.next_item(), Err(ContentsError::Decode(_))));
        let mut stream = Vec::new();
        write_item(&Item::Chunks(run(1_025)), &mut stream);
        let mut reader = ItemReader::default();
        reader.feed(&stream);
        assert!(matches!(reader.next_item(), Err(ContentsError::Invalid(_))));
        let mut reader = ItemReader::default();
        reader.feed(&stream[..20]);
        assert_eq!(reader.next_item(), Ok(None));
        assert_eq!(reader.finish(), Err(ContentsError::Truncated));
    }
}
