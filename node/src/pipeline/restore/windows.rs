//! Windows of chunks: fetched stripe by stripe, opened on all cores, written in order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::try_join_all;
use protocol::contents::{ChunkPlace, Entry, EntryKind, Item};
use protocol::document::{LiveStripe, LiveStripes};
use rayon::prelude::*;
use shard_codec::compression::Decompressor;
use shard_codec::sealing::{ChunkHash, DedupSecret, open_chunk};
use tokio::sync::OnceCell;

use super::RestoreError;
use super::contents::ContentsReader;
use crate::connector::{self, Created, CutHint, EntryId, RestoreError as TargetError, RestoreSummary, Restorer};
use crate::pipeline::fetch::{FetchError, Fetcher};

/// Plaintext of one window, in bytes.
const WINDOW_BYTES: u64 = 8 << 20;
/// Decoded stripes kept for the next window.
const STRIPES_KEPT: usize = 2;
/// A stripe of which less than this part is needed is read by ranges instead.
const SPARSE_PART: usize = 8;
/// Ranges closer than this are read as one.
const RANGE_GAP_BYTES: u64 = 32 << 10;

type Payload = Result<Arc<Vec<u8>>, FetchError>;
type Kept = Arc<OnceCell<Payload>>;

/// Turns places into plaintext.
pub(super) struct Opener {
    fetcher: Arc<Fetcher>,
    live: LiveStripes,
    kept: Mutex<Vec<(u64, Kept)>>,
}

/// Chunks to write one after the other.
pub(super) struct Window {
    tasks: Vec<Task>,
    resumed_bytes: u64,
}

struct Task {
    step: Step,
    path: Arc<str>,
}

enum Step {
    Write { entry: EntryId, offset: u64, place: ChunkPlace },
    Finish { entry: EntryId, bytes: u64 },
}

/// A window with its plaintext.
pub(super) struct OpenWindow {
    steps: Vec<OpenStep>,
    pub(super) resumed_bytes: u64,
}

enum OpenStep {
    Write { entry: EntryId, offset: u64, plaintext: Vec<u8> },
    Finish { entry: EntryId, bytes: u64 },
}

impl OpenWindow {
    pub(super) fn plaintext_bytes(&self) -> u64 {
        let bytes = |step: &OpenStep| match step {
            OpenStep::Write { plaintext, .. } => plaintext.len() as u64,
            OpenStep::Finish { .. } => 0,
        };
        self.steps.iter().map(bytes).sum::<u64>() + self.resumed_bytes
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Opener {
    pub(super) fn new(fetcher: Arc<Fetcher>, live: LiveStripes) -> Self {
        Self { fetcher, live, kept: Mutex::new(Vec::new()) }
    }

    /// The plaintexts of `places`, in order.
    pub(super) async fn chunks(&self, path: &str, places: &[ChunkPlace]) -> Result<Vec<Vec<u8>>, RestoreError> {
        let mut by_stripe: BTreeMap<u64, Vec<(usize, ChunkPlace)>> = BTreeMap::new();
        for (at, place) in places.iter().enumerate() {
            by_stripe.entry(place.stripe_number).or_default().push((at, *place));
        }
        let opened = by_stripe.into_iter().map(|(number, wanted)| self.read_stripe(path, number, wanted));
        let mut plaintexts = vec![Vec::new(); places.len()];
        for (at, plaintext) in try_join_all(opened).await?.into_iter().flatten() {
            if let Some(slot) = plaintexts.get_mut(at) {
                *slot = plaintext;
            }
        }
        Ok(plaintexts)
    }

    async fn read_stripe(
        &self,
        path: &str,
        number: u64,
        wanted: Vec<(usize, ChunkPlace)>,
    ) -> Result<Vec<(usize, Vec<u8>)>, RestoreError> {
        let unknown = || RestoreError::Root(format!("the contents refer to stripe {number}, which no manifest lists"));
        let live = self.live.get(number).ok_or_else(unknown)?;
        let needed: usize = wanted.iter().map(|(_at, place)| usize::try_from(place.sealed_bytes).unwrap_or(0)).sum();
        let is_kept = lock(&self.kept).iter().any(|(kept, _)| *kept == number);
        let sealed = if !is_kept && needed < live.layout.payload_bytes() / SPARSE_PART {
            self.by_ranges(live, &wanted).await
        } else {
            None
        };
        let sealed = match sealed {
            Some(sealed) => Sealed::Apart(sealed),
            None => Sealed::Whole(self.payload(number, live).await?),
        };
        let path = path.to_owned();
        // Opening keeps the cores busy; the runtime's own threads stay free for the sockets.
        let opened = tokio::task::spawn_blocking(move || open_all(&path, &wanted, &sealed)).await;
        opened
            .unwrap_or_else(|error| Err(RestoreError::Chunk { path: "a window".to_owned(), reason: error.to_string() }))
    }

    /// The whole payload; two windows that need it at once fetch it once.
    async fn payload(&self, number: u64, live: &LiveStripe) -> Result<Arc<Vec<u8>>, RestoreError> {
        let cell = {
            let mut kept = lock(&self.kept);
            let cell = match kept.iter().position(|(kept, _)| *kept == number) {
                Some(position) => kept.remove(position).1,
                None => Kept::default(),
            };
            kept.push((number, cell.clone()));
            if kept.len() > STRIPES_KEPT {
                kept.remove(0);
            }
            cell
        };
        let payload = cell.get_or_init(|| async { self.fetcher.stripe(live).await.map(Arc::new) }).await;
        payload.clone().map_err(RestoreError::Fetch)
    }

    /// Only the ranges that are needed, each from the site that holds them; `None` if any of them fails.
    async fn by_ranges(&self, live: &LiveStripe, wanted: &[(usize, ChunkPlace)]) -> Option<Vec<Vec<u8>>> {
        let mut ranges: BTreeMap<_, Vec<std::ops::Range<u64>>> = BTreeMap::new();
        let mut located = Vec::with_capacity(wanted.len());
        for (_at, place) in wanted {
            let (offset, bytes) = (usize::try_from(place.offset).ok()?, usize::try_from(place.sealed_bytes).ok()?);
            let pieces = live.layout.locate(offset, bytes).ok()?;
            for (index, range) in &pieces {
                ranges.entry(*index).or_default().push(range.clone());
            }
            located.push(pieces);
        }
        let mut reads = Vec::new();
        for (index, mut wanted) in ranges {
            wanted.sort_by_key(|range| range.start);
            let mut merged: Vec<std::ops::Range<u64>> = Vec::new();
            for range in wanted {
                match merged.last_mut() {
                    Some(last) if range.start <= last.end + RANGE_GAP_BYTES => last.end = last.end.max(range.end),
                    Some(_) | None => merged.push(range),
                }
            }
            reads.extend(merged.into_iter().map(|range| async move {
                let bytes = self.fetcher.range(live, index, range.clone()).await;
                bytes.map(|bytes| (index, range.start, bytes))
            }));
        }
        let read = try_join_all(reads).await.ok()?;
        let find = |index, range: &std::ops::Range<u64>| {
            read.iter().find_map(|(of, start, bytes)| {
                let from = usize::try_from(range.start.checked_sub(*start)?).ok()?;
                let to = usize::try_from(range.end.checked_sub(*start)?).ok()?;
                if *of == index { bytes.get(from..to) } else { None }
            })
        };
        let gather = |pieces: &Vec<(_, std::ops::Range<u64>)>| {
            let found = pieces.iter().map(|(index, range)| find(*index, range));
            found.collect::<Option<Vec<&[u8]>>>().map(|slices| slices.concat())
        };
        located.iter().map(gather).collect()
    }

    /// Fetches and opens all chunks of a window.
    pub(super) async fn open(&self, window: Window) -> Result<OpenWindow, RestoreError> {
        let places: Vec<ChunkPlace> = (window.tasks.iter())
            .filter_map(|task| match &task.step {
                Step::Write { place, .. } => Some(*place),
                Step::Finish { .. } => None,
            })
            .collect();
        let path = window.tasks.first().map_or_else(|| Arc::from(""), |task| task.path.clone());
        let mut plaintexts = self.chunks(&path, &places).await?.into_iter();
        let steps = window.tasks.into_iter().map(|task| match task.step {
            Step::Write { entry, offset, .. } => {
                OpenStep::Write { entry, offset, plaintext: plaintexts.next().unwrap_or_default() }
            }
            Step::Finish { entry, bytes } => OpenStep::Finish { entry, bytes },
        });
        Ok(OpenWindow { steps: steps.collect(), resumed_bytes: window.resumed_bytes })
    }
}

enum Sealed {
    Whole(Arc<Vec<u8>>),
    Apart(Vec<Vec<u8>>),
}

impl Sealed {
    fn chunk(&self, position: usize, place: &ChunkPlace) -> Option<&[u8]> {
        match self {
            Self::Whole(payload) => {
                let from = usize::try_from(place.offset).ok()?;
                payload.get(from..from.checked_add(usize::try_from(place.sealed_bytes).ok()?)?)
            }
            Self::Apart(chunks) => chunks.get(position).map(Vec::as_slice),
        }
    }
}

fn open_all(
    path: &str,
    wanted: &[(usize, ChunkPlace)],
    sealed: &Sealed,
) -> Result<Vec<(usize, Vec<u8>)>, RestoreError> {
    let failed = |reason: String| RestoreError::Chunk { path: path.to_owned(), reason };
    let open_one = |decompressor: &mut Decompressor, (position, (at, place)): (usize, &(usize, ChunkPlace))| {
        let sealed = sealed.chunk(position, place).ok_or_else(|| failed("it lies outside its stripe".to_owned()))?;
        let hash = ChunkHash::copy_from(&place.hash).ok_or_else(|| failed("no hash".to_owned()))?;
        let bytes = usize::try_from(place.plaintext_bytes).unwrap_or(usize::MAX);
        let mut plaintext = Vec::with_capacity(bytes);
        open_chunk(&hash, sealed, bytes, decompressor, &mut plaintext).map_err(|error| failed(error.to_string()))?;
        Ok((*at, plaintext))
    };
    wanted.par_iter().enumerate().map_init(Decompressor::new, open_one).collect()
}

/// Cuts the contents into windows.
pub(super) struct Windows {
    contents: ContentsReader,
    restorer: Arc<Mutex<Option<Restorer>>>,
    secret: DedupSecret,
    only: Option<String>,
    current: Option<Current>,
    /// Room for what an earlier run may have written.
    present: Vec<u8>,
    /// The entry at hand is a file that an earlier run put in its place.
    is_complete: bool,
}

struct Current {
    entry: EntryId,
    path: Arc<str>,
    offset: u64,
}

impl Windows {
    pub(super) fn new(contents: ContentsReader, restorer: Restorer, secret: DedupSecret, only: Option<String>) -> Self {
        Self {
            contents,
            restorer: Arc::new(Mutex::new(Some(restorer))),
            secret,
            only,
            current: None,
            present: Vec::new(),
            is_complete: false,
        }
    }

    pub(super) fn restorer(&self) -> Arc<Mutex<Option<Restorer>>> {
        self.restorer.clone()
    }

    /// The next chunks to fetch; `None` when all entries are through.
    pub(super) async fn next_window(&mut self) -> Result<Option<Window>, RestoreError> {
        let mut window = Window { tasks: Vec::new(), resumed_bytes: 0 };
        let mut bytes = 0;
        while bytes < WINDOW_BYTES {
            match self.contents.next_item().await? {
                Some(Item::Entry(entry)) => {
                    self.end_current(&mut window);
                    self.begin(&entry)?;
                }
                Some(Item::Chunks(run)) => {
                    if let Some(current) = &mut self.current {
                        for place in run.iter() {
                            bytes += u64::from(place.plaintext_bytes);
                            take_chunk(&self.restorer, &self.secret, current, place, &mut self.present, &mut window)?;
                        }
                    } else if self.is_complete {
                        let complete = run.iter().map(|place| u64::from(place.plaintext_bytes)).sum::<u64>();
                        bytes += complete;
                        window.resumed_bytes += complete;
                    }
                }
                None => {
                    self.end_current(&mut window);
                    break;
                }
            }
        }
        let is_empty = window.tasks.is_empty() && window.resumed_bytes == 0;
        Ok(if is_empty { None } else { Some(window) })
    }

    fn begin(&mut self, entry: &Entry) -> Result<(), RestoreError> {
        self.is_complete = false;
        let wanted = self.only.as_ref().is_none_or(|only| {
            let below = entry.path.strip_prefix(only.as_str());
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        if !wanted {
            return Ok(());
        }
        let created = with(&self.restorer, |restorer| restorer.create(&target_entry(entry)))?;
        match created {
            Created::Open(id) => {
                self.current = Some(Current { entry: id, path: entry.path.as_str().into(), offset: 0 });
            }
            Created::Finished => self.is_complete = true,
            Created::Noted => {}
        }
        Ok(())
    }

    fn end_current(&mut self, window: &mut Window) {
        if let Some(Current { entry, path, offset }) = self.current.take() {
            window.tasks.push(Task { step: Step::Finish { entry, bytes: offset }, path });
        }
    }
}

fn with<R>(
    restorer: &Mutex<Option<Restorer>>,
    act: impl FnOnce(&mut Restorer) -> Result<R, TargetError>,
) -> Result<R, RestoreError> {
    match lock(restorer).as_mut() {
        Some(restorer) => Ok(act(restorer)?),
        None => Err(RestoreError::Root("the target is closed already".to_owned())),
    }
}

/// A chunk that an interrupted run wrote already proves itself by its hash and is not fetched again.
fn take_chunk(
    restorer: &Mutex<Option<Restorer>>,
    secret: &DedupSecret,
    current: &mut Current,
    place: ChunkPlace,
    present: &mut Vec<u8>,
    window: &mut Window,
) -> Result<(), RestoreError> {
    let (entry, offset) = (current.entry, current.offset);
    current.offset += u64::from(place.plaintext_bytes);
    present.resize(usize::try_from(place.plaintext_bytes).unwrap_or(0), 0);
    let count = with(restorer, |restorer| restorer.read_at(entry, offset, present))?;
    if count == present.len() && ChunkHash::of(secret, present).expose(|hash| *hash == place.hash) {
        window.resumed_bytes += count as u64;
        return Ok(());
    }
    window.tasks.push(Task { step: Step::Write { entry, offset, place }, path: current.path.clone() });
    Ok(())
}

fn target_entry(entry: &Entry) -> connector::Entry {
    let kind = match &entry.kind {
        EntryKind::File => connector::EntryKind::File { bytes_hint: None },
        EntryKind::Directory => connector::EntryKind::Directory,
        EntryKind::Symlink { target } => connector::EntryKind::Symlink { target: target.clone() },
    };
    let (path, cut) = (entry.path.clone(), CutHint::ContentDefined);
    connector::Entry { path, kind, mode: entry.mode, modified_ms: entry.modified_ms, cut }
}

/// Writes a window.
pub(super) fn write(restorer: &Mutex<Option<Restorer>>, window: OpenWindow) -> Result<(), RestoreError> {
    tokio::task::block_in_place(|| {
        for step in window.steps {
            match step {
                OpenStep::Write { entry, offset, plaintext } => {
                    with(restorer, |restorer| restorer.write_at(entry, offset, &plaintext))?;
                }
                OpenStep::Finish { entry, bytes } => with(restorer, |restorer| restorer.finish_entry(entry, bytes))?,
            }
        }
        Ok(())
    })
}

/// Everything is written: links, directories and a last fsync.
pub(super) fn finish(restorer: &Mutex<Option<Restorer>>) -> Result<RestoreSummary, RestoreError> {
    match lock(restorer).take() {
        Some(restorer) => Ok(tokio::task::block_in_place(|| restorer.finish())?),
        None => Err(RestoreError::Root("the target is closed already".to_owned())),
    }
}
