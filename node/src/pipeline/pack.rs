//! Capture, cut, find again, seal and pack: the blocking half of a backup.
//!
//! A reader thread fills batches of a few MiB with chunk boundaries; the packing thread hashes and seals each batch
//! on all cores, keeps the order, and hands full stripes on. Both queues are bounded, so memory does not depend on
//! the database.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::contents::{
    ChunkPlace, ChunkRun, ContentsRoot, DEPTH_MAX, Entry, EntryKind, Item, ROOT_VERSION, RUN_CHUNKS_MAX, write_item,
};
use rayon::prelude::*;
use shard_codec::CodingParameters;
use shard_codec::chunking::{Chunker, ContentDefined, FixedSize};
use shard_codec::compression::{Compression, Compressor};
use shard_codec::sealing::{ChunkHash, ChunkId, DedupSecret, OVERHEAD_BYTES, seal_chunk};
use shard_codec::stripe::StripeBuilder;
use tokio::sync::mpsc;

use crate::buffers::{Buffer, BufferPool};
use crate::chunk_index::{ChunkIndex, Location};
use crate::connector::{self, Capture, CaptureSummary, CutHint};
use crate::progress::Progress;
use crate::screening::Profiler;

/// Plaintext of one batch, in bytes.
const BATCH_BYTES: usize = 8 << 20;
/// Bytes of buffers that are kept for the next batch.
const KEPT_BYTES_MAX: usize = 32 << 20;
/// Chunks that one worker seals in a row.
const SEAL_GROUP: usize = 32;
/// Contents are cut into chunks of this size on average: small, so that unchanged parts of the tree are found again.
const CONTENTS_MIN_BYTES: usize = 64 << 10;
const CONTENTS_MAX_BYTES: usize = 256 << 10;

/// Why packing stopped.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The source.
    #[error(transparent)]
    Capture(#[from] connector::CaptureError),
    /// The home's chunk index.
    #[error(transparent)]
    Index(#[from] crate::redb_file::RedbFileError),
    /// A bound of the codec; a defect of this program, not of the data.
    #[error("cannot seal: {0}")]
    Seal(String),
    /// Whoever takes the stripes has stopped; its own error says why.
    #[error("the upload stopped")]
    Stopped,
}

/// What the reader thread hands on.
pub(super) enum Piece {
    Entry(connector::Entry),
    /// Chunks of a file, one after the other from the start of `bytes`; what follows the last is nothing.
    Data {
        bytes: Buffer,
        chunks: Vec<Range<usize>>,
    },
    End(CaptureSummary),
}

/// A stripe that is full.
pub(super) struct FullStripe {
    pub(super) number: u64,
    pub(super) payload: Vec<u8>,
    pub(super) chunks: Vec<([u8; 32], Location)>,
}

/// Chunks in stripes that are on their way and not yet in the index.
pub(super) type InFlight = Arc<Mutex<HashMap<[u8; 32], Location>>>;

/// Reads the whole source into batches. Runs on a thread of its own; `send` blocks when packing is slower.
pub(super) fn read_source(
    mut capture: Box<dyn Capture>,
    stripe_bytes: usize,
    progress: &Progress,
    send: &SyncSender<Result<Piece, PackError>>,
) -> Result<(), PackError> {
    let buffers = BufferPool::new(KEPT_BYTES_MAX);
    let hand_on = |piece| send.send(Ok(piece)).map_err(|_closed| PackError::Stopped);
    while let Some(entry) = capture.next_entry()? {
        let chunker = chunker(entry.cut, stripe_bytes)?;
        let is_file = matches!(entry.kind, connector::EntryKind::File { .. });
        hand_on(Piece::Entry(entry))?;
        let mut rest: Vec<u8> = Vec::new();
        let mut at_end = !is_file;
        while !at_end {
            let mut bytes = buffers.take();
            bytes.resize(BATCH_BYTES, 0);
            let mut filled = rest.len();
            bytes.get_mut(..filled).unwrap_or_default().copy_from_slice(&rest);
            while filled < BATCH_BYTES && !at_end {
                let count = capture.read(bytes.get_mut(filled..).unwrap_or_default())?;
                at_end = count == 0;
                filled += count;
                progress.advance(count as u64);
            }
            let mut chunks = Vec::new();
            let mut from = 0;
            while let Some(length) = chunker.next_chunk_bytes(bytes.get(from..filled).unwrap_or_default(), at_end) {
                chunks.push(from..from + length);
                from += length;
            }
            rest = bytes.get(from..filled).unwrap_or_default().to_vec(); // less than a chunk
            hand_on(Piece::Data { bytes, chunks })?;
        }
    }
    hand_on(Piece::End(capture.finish()?))
}

/// Cuts as the file asks for. A chunk goes into one stripe, so stripes of less than a few MiB have smaller chunks.
fn chunker(cut: CutHint, stripe_bytes: usize) -> Result<Chunker, PackError> {
    Ok(match cut {
        CutHint::ContentDefined => {
            let usual = ContentDefined::default();
            let max_bytes = usual.max_bytes().min(stripe_bytes / 2);
            let min_bytes = usual.min_bytes().min(max_bytes / 3);
            Chunker::ContentDefined(ContentDefined::new(min_bytes, max_bytes).map_err(seal_error)?)
        }
        CutHint::Pages { unit_bytes, .. } => {
            let unit_bytes = usize::try_from(unit_bytes).unwrap_or(usize::MAX);
            Chunker::FixedSize(FixedSize::new(unit_bytes).map_err(|error| PackError::Seal(error.to_string()))?)
        }
    })
}

/// What packing counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct PackCounts {
    /// Files, directories and links.
    pub entries: u64,
    /// Plaintext of all files, in bytes.
    pub plaintext_bytes: u64,
    /// Plaintext that was sealed anew, contents included, in bytes.
    pub new_plaintext_bytes: u64,
    /// Sealed bytes added, contents included.
    pub new_sealed_bytes: u64,
}

/// Packs chunks into stripes.
pub(super) struct Packer<'a> {
    secret: &'a DedupSecret,
    index: &'a ChunkIndex,
    usable: &'a BTreeSet<u64>,
    coding: CodingParameters,
    stripe_bytes: usize,
    compression: Compression,
    in_flight: InFlight,
    stripes: BufferPool,
    sealed: BufferPool,
    send: mpsc::Sender<FullStripe>,
    builder: StripeBuilder,
    number: Option<u64>,
    current: Vec<([u8; 32], Location)>,
    contents: Vec<u8>,
    contents_chunks: Vec<ChunkPlace>,
    pub(super) referenced: BTreeSet<u64>,
    pub(super) counts: PackCounts,
    accepted: &'a BTreeSet<u64>,
    pub(super) profiler: Profiler,
}

/// What a [`Packer`] is made of.
pub(super) struct PackerParts<'a> {
    pub(super) secret: &'a DedupSecret,
    pub(super) index: &'a ChunkIndex,
    /// Stripes that may be referred to: live in the head, or stored by an interrupted run.
    pub(super) usable: &'a BTreeSet<u64>,
    /// Stripes of the last accepted snapshot.
    pub(super) accepted: &'a BTreeSet<u64>,
    pub(super) coding: CodingParameters,
    pub(super) stripe_bytes: usize,
    pub(super) in_flight: InFlight,
    /// Buffers of stripes that were stored, for stripes to come.
    pub(super) stripes: BufferPool,
    pub(super) send: mpsc::Sender<FullStripe>,
}

/// What is known of a batch of chunks.
struct Known {
    found: Vec<Found>,
    /// Positions of those that are to be sealed.
    fresh: Vec<usize>,
    /// Whether the last accepted snapshot has each of them, which may lie where nothing new may refer to.
    kept: Vec<bool>,
}

enum Found {
    Old(Location),
    New(usize),
}

fn seal_error(error: impl std::fmt::Display) -> PackError {
    PackError::Seal(error.to_string())
}

impl<'a> Packer<'a> {
    pub(super) fn new(parts: PackerParts<'a>) -> Result<Self, PackError> {
        let PackerParts { secret, index, usable, accepted, coding, stripe_bytes, in_flight, stripes, send } = parts;
        Ok(Self {
            secret,
            index,
            usable,
            coding,
            stripe_bytes,
            compression: Compression::default(),
            in_flight,
            stripes,
            sealed: BufferPool::new(KEPT_BYTES_MAX),
            send,
            builder: StripeBuilder::new(coding, stripe_bytes).map_err(seal_error)?,
            number: None,
            current: Vec::new(),
            contents: Vec::new(),
            contents_chunks: Vec::new(),
            referenced: BTreeSet::new(),
            counts: PackCounts::default(),
            accepted,
            profiler: Profiler::default(),
        })
    }

    /// Takes the next piece of the source.
    pub(super) fn take(&mut self, piece: Piece) -> Result<Option<CaptureSummary>, PackError> {
        match piece {
            Piece::Entry(entry) => {
                self.counts.entries += 1;
                let format = match entry.cut {
                    CutHint::Pages { format, .. } => Some(format),
                    CutHint::ContentDefined => None,
                };
                self.profiler.begin_file(&entry.path, format);
                write_item(&Item::Entry(contents_entry(entry)), &mut self.contents);
                self.cut_contents(false)?;
            }
            Piece::Data { bytes, chunks } => {
                self.counts.plaintext_bytes += chunks.last().map_or(0, |chunk| chunk.end) as u64;
                let slices: Vec<&[u8]> = chunks.iter().filter_map(|range| bytes.get(range.clone())).collect();
                let (places, kept) = self.add(&slices)?;
                for ((place, is_kept), plaintext) in places.iter().zip(kept).zip(&slices) {
                    self.profiler.take(plaintext, place.sealed_bytes, is_kept);
                }
                for run in places.chunks(RUN_CHUNKS_MAX) {
                    write_item(&Item::Chunks(run_of(run)), &mut self.contents);
                }
                self.cut_contents(false)?;
            }
            Piece::End(summary) => return Ok(Some(summary)),
        }
        Ok(None)
    }

    /// Everything is in: packs the rest of the contents, level by level, and hands on the last stripe.
    pub(super) fn finish(&mut self) -> Result<ContentsRoot, PackError> {
        self.cut_contents(true)?;
        let mut depth = 0;
        let mut list = std::mem::take(&mut self.contents_chunks);
        while list.len() > RUN_CHUNKS_MAX {
            depth += 1;
            if depth > DEPTH_MAX {
                return Err(PackError::Seal("contents too deep".to_owned()));
            }
            for run in list.chunks(RUN_CHUNKS_MAX) {
                write_item(&Item::Chunks(run_of(run)), &mut self.contents);
            }
            self.cut_contents(true)?;
            list = std::mem::take(&mut self.contents_chunks);
        }
        self.flush()?;
        Ok(ContentsRoot {
            version: ROOT_VERSION,
            dedup_secret: self.secret.expose(|secret| *secret),
            depth,
            chunks: run_of(&list),
            entry_count: self.counts.entries,
            plaintext_bytes: self.counts.plaintext_bytes,
        })
    }

    fn cut_contents(&mut self, at_end: bool) -> Result<(), PackError> {
        if !at_end && self.contents.len() < BATCH_BYTES / 2 {
            return Ok(());
        }
        let bounds = ContentDefined::new(CONTENTS_MIN_BYTES, CONTENTS_MAX_BYTES).map_err(seal_error)?;
        let contents = std::mem::take(&mut self.contents);
        let (mut slices, mut from) = (Vec::new(), 0);
        while let Some(length) = bounds.next_chunk_bytes(contents.get(from..).unwrap_or_default(), at_end) {
            slices.extend(contents.get(from..from + length));
            from += length;
        }
        let (places, _kept) = self.add(&slices)?;
        self.contents_chunks.extend(places);
        self.contents = contents.get(from..).unwrap_or_default().to_vec();
        Ok(())
    }

    /// Finds or seals each chunk; the places come back in the order of the chunks, and whether the last accepted snapshot has
    /// each of them.
    fn add(&mut self, chunks: &[&[u8]]) -> Result<(Vec<ChunkPlace>, Vec<bool>), PackError> {
        let hashes: Vec<(ChunkHash, ChunkId)> = chunks
            .par_iter()
            .map(|plaintext| {
                let hash = ChunkHash::of(self.secret, plaintext);
                let id = hash.id();
                (hash, id)
            })
            .collect();
        let Known { found, fresh, kept } = self.look_up(&hashes)?;
        let fresh_inputs: Vec<(&ChunkHash, &[u8])> =
            fresh.iter().filter_map(|at| Some((&hashes.get(*at)?.0, *chunks.get(*at)?))).collect();
        self.counts.new_plaintext_bytes +=
            fresh_inputs.iter().map(|(_hash, plaintext)| plaintext.len() as u64).sum::<u64>();
        let compression = self.compression;
        let buffers = &self.sealed;
        let sealed: Vec<(Buffer, Vec<usize>)> = fresh_inputs
            .par_chunks(SEAL_GROUP)
            .map_init(Compressor::new, |compressor, group| seal_group(group, compression, compressor, buffers.take()))
            .collect::<Result<_, PackError>>()?;
        let mut fresh_locations = Vec::with_capacity(fresh.len());
        let mut at = fresh.iter();
        for (bytes, lengths) in &sealed {
            let mut from = 0;
            for length in lengths {
                let chunk = bytes.get(from..from + length).unwrap_or_default();
                from += length;
                let id = at.next().and_then(|at| hashes.get(*at)).map(|(_hash, id)| *id.as_bytes());
                fresh_locations.push(self.pack(id.unwrap_or_default(), chunk)?);
            }
        }
        let places = found.iter().zip(&hashes).zip(chunks).map(|((found, (hash, _id)), plaintext)| {
            let location = match found {
                Found::Old(location) => Some(*location),
                Found::New(slot) => fresh_locations.get(*slot).copied(),
            };
            let location = location.ok_or_else(|| PackError::Seal("a chunk without a place".to_owned()))?;
            Ok(ChunkPlace {
                hash: hash.expose(|hash| *hash),
                stripe_number: location.stripe_number,
                offset: location.offset,
                sealed_bytes: location.bytes,
                plaintext_bytes: u32::try_from(plaintext.len()).map_err(seal_error)?,
            })
        });
        let places = places.collect::<Result<Vec<_>, PackError>>()?;
        self.referenced.extend(places.iter().map(|place| place.stripe_number));
        Ok((places, kept))
    }

    /// Which chunks are stored already, and which are the first of their kind.
    fn look_up(&mut self, hashes: &[(ChunkHash, ChunkId)]) -> Result<Known, PackError> {
        let ids: Vec<[u8; 32]> = hashes.iter().map(|(_hash, id)| *id.as_bytes()).collect();
        let stored = self.index.get_batch(&ids)?;
        let is_accepted = |stored: &Option<Location>| {
            stored.as_ref().is_some_and(|location| self.accepted.contains(&location.stripe_number))
        };
        let kept = stored.iter().map(is_accepted).collect();
        let in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut found, mut fresh) = (Vec::with_capacity(ids.len()), Vec::new());
        let mut in_batch: HashMap<[u8; 32], usize> = HashMap::new();
        for (at, (id, stored)) in ids.iter().zip(stored).enumerate() {
            let old = stored.filter(|location| {
                self.usable.contains(&location.stripe_number) || self.referenced.contains(&location.stripe_number)
            });
            if let Some(location) = old.or_else(|| in_flight.get(id).copied()) {
                found.push(Found::Old(location));
                continue;
            }
            let slot = *in_batch.entry(*id).or_insert_with(|| {
                fresh.push(at);
                fresh.len() - 1
            });
            found.push(Found::New(slot));
        }
        Ok(Known { found, fresh, kept })
    }

    fn pack(&mut self, id: [u8; 32], sealed: &[u8]) -> Result<Location, PackError> {
        if self.builder.room() < sealed.len() {
            self.flush()?;
        }
        let stripe_number = match self.number {
            Some(number) => number,
            None => *self.number.insert(self.index.next_stripe_number()?),
        };
        let offset = self.builder.push_sealed(sealed);
        let offset = offset.ok_or_else(|| PackError::Seal("a chunk longer than a stripe".to_owned()))?;
        let location = Location {
            stripe_number,
            offset: u32::try_from(offset).map_err(seal_error)?,
            bytes: u32::try_from(sealed.len()).map_err(seal_error)?,
        };
        self.counts.new_sealed_bytes += sealed.len() as u64;
        self.current.push((id, location));
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).insert(id, location);
        Ok(location)
    }

    fn flush(&mut self) -> Result<(), PackError> {
        let Some(number) = self.number.take() else { return Ok(()) };
        let buffer = self.stripes.take().into_bytes();
        let fresh = StripeBuilder::reusing(self.coding, self.stripe_bytes, buffer).map_err(seal_error)?;
        let payload = std::mem::replace(&mut self.builder, fresh).finish();
        let chunks = std::mem::take(&mut self.current);
        self.send.blocking_send(FullStripe { number, payload, chunks }).map_err(|_closed| PackError::Stopped)
    }
}

fn seal_group(
    group: &[(&ChunkHash, &[u8])],
    compression: Compression,
    compressor: &mut Compressor,
    mut bytes: Buffer,
) -> Result<(Buffer, Vec<usize>), PackError> {
    let mut rng = crate::entropy::rng();
    let mut lengths = Vec::with_capacity(group.len());
    bytes.clear();
    bytes.reserve(group.iter().map(|(_hash, plaintext)| plaintext.len() + OVERHEAD_BYTES).sum());
    for (hash, plaintext) in group {
        lengths.push(seal_chunk(hash, plaintext, compression, compressor, &mut rng, &mut bytes).map_err(seal_error)?);
    }
    Ok((bytes, lengths))
}

fn run_of(places: &[ChunkPlace]) -> ChunkRun {
    let mut run = ChunkRun::default();
    places.iter().for_each(|place| run.push(place));
    run
}

fn contents_entry(entry: connector::Entry) -> Entry {
    let kind = match entry.kind {
        connector::EntryKind::File { .. } => EntryKind::File,
        connector::EntryKind::Directory => EntryKind::Directory,
        connector::EntryKind::Symlink { target } => EntryKind::Symlink { target },
    };
    Entry { path: entry.path, kind, mode: entry.mode, modified_ms: entry.modified_ms }
}
